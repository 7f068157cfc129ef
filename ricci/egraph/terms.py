"""Terms into a space and back. Signs, rational factors, parentheses, broadcasts and embedding casts are not nodes there.

Loading keeps what the source wrote as one choice (`Space.trace`); reading back builds terms through the constructors and
puts parentheses (`group`) where a constructor would undo a choice: a sum that is computed once inside other sums, a product
inside products, a factor of outer loops.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from ricci.cost import FREE
from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops import OPERATORS, linear, pointwise, reindex
from ricci.dsl.ops import contract as contracts
from ricci.dsl.ops.canonical import canonical_labels
from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.contract import Access, Contraction, Label
from ricci.dsl.ops.functions import SCALARS, Scalar
from ricci.dsl.ops.reindex import Pull, pull_of
from ricci.dsl.term import Term, TermError, walk
from ricci.dsl.types import Kind, Size, TupleType
from ricci.egraph.cuts import crosses
from ricci.egraph.kinds import Opaque
from ricci.egraph.rational import Rational, tidy
from ricci.egraph.space import Axes, Node, Space

ODD = frozenset(name for name, f in SCALARS.items() if "odd" in f.facts)
EVEN = frozenset(name for name, f in SCALARS.items() if "even" in f.facts)


def _numeric(function: Scalar) -> bool:
    """Whether the function takes real numbers and gives a number."""
    try:
        return function.kinds([Kind.REAL] * function.arity) > Kind.BOOL
    except TermError:
        return False


NUMERIC = frozenset(name for name, f in SCALARS.items() if _numeric(f))


def fold(name: str, numbers: Sequence[Rational]) -> Rational | None:
    """Value of a scalar function at rational numbers, where it is a rational number."""
    if name not in NUMERIC:
        return None
    exact = SCALARS[name].exact
    value = exact(*(Fraction(q) for q in numbers)) if exact is not None else None
    return None if value is None or isinstance(value, float) else tidy(Fraction(value))


def new_space() -> Space:
    return Space(odd=ODD, even=EVEN, fold=fold)


def axes_of(term: Term) -> Axes:
    if isinstance(term.type, TupleType):
        return frozenset()
    return frozenset(term.axes.items())


V = TypeVar("V")


@dataclass
class Loader:
    """Puts terms into a space. `templates` maps payloads of operators that the optimizer does not look into to a term of each."""

    space: Space
    known: dict[Term, int] = field(default_factory=dict)
    templates: dict[Hashable, Term] = field(default_factory=dict)

    def load(self, roots: Iterable[Term]) -> list[int]:
        roots = list(roots)
        for term in walk(roots):
            if term not in self.known:
                self.known[term] = self._one(term)
        return [self.space.find(self.known[t]) for t in roots]

    def _one(self, term: Term) -> int:
        space, op = self.space, term.op
        args = [space.find(self.known[a]) for a in term.args]
        if op == "const":
            value = value_of(term)
            if isinstance(value, Fraction) and term.kind > Kind.BOOL:
                return space.number(tidy(value))
            return space.leaf(term)
        if op in ("symbol", "iota"):
            return space.leaf(term, axes_of(term))
        if op == "linear":
            return space.expand(space.sum([(tidy(q), r) for q, r in zip(term.attrs, args, strict=True)]), axes_of(term))
        if op == "contract":
            return self._contract(term, args)
        if op == "map" and not crosses(term):
            return args[0] if term.attrs == ("group",) else space.apply(term.attrs[0], args)
        if op == "cast" and Kind.BOOL < term.args[0].kind < term.kind:
            return args[0]
        if op == "reindex":
            return self.reindex(args[0], pull_of(term))
        if op == "reduce":
            kept = axes_of(term)
            return space.apply("reduce", args, term.attrs, kept)
        key = Opaque.of(term)
        self.templates.setdefault(key, term)
        return space.apply(op, args, key, axes_of(term))

    def reindex(self, ref: int, pull: Pull) -> int:
        """The index map on a value; numbers and signs pass if what stands outside is zero."""
        space = self.space
        axes: Axes = frozenset(pull.axes)
        own = space.axes[space.find(ref) >> 1]
        if not pull.guards and own <= axes and all(e.single_axis == a for a, e in pull.entries):
            return space.expand(ref, axes)
        q: Rational = 1
        if pull.fill in (None, 0):
            q, ref = space.split(ref)
        stored = space.put(Node("stored", None, (space.find(ref),)), None, own)
        return space.scale(q, space.apply("reindex", [stored], pull, axes))

    def _contract(self, term: Term, args: Sequence[int]) -> int:
        attrs = contracts.contraction_of(term)
        factors = [(ref, dict(access)) for ref, access in zip(args, attrs.accesses, strict=True)]
        sizes: dict[Label, Size] = dict(enumerate(attrs.bound))
        return self.space.expand(contraction(self, factors, sizes), axes_of(term))


def stated(loader: Loader, given: Mapping[Term, V]) -> dict[Term | int, V]:
    """What is given of terms, those that are not symbols by their reference."""
    return {t if t.op == "symbol" else loader.load([t])[0]: known for t, known in given.items()}


Factor = tuple[int, Mapping[str, Label]]


def contraction(loader: Loader, factors: Sequence[Factor], bound: Mapping[Label, Size]) -> int:
    """Sum over the bound labels of the product of factors; free labels are axis names. Numbers and signs stand outside."""
    space = loader.space
    if not bound:
        return space.product([(_renamed(loader, ref, access), 1) for ref, access in factors])
    q: Rational = 1
    parts: list[tuple[int, Access]] = []
    for ref, access in factors:
        inner, base = space.split(ref)
        q *= inner
        if base != space.find(space.one):
            parts.append((base, tuple(sorted(access.items()))))
    present = {label for _, access in parts for _, label in access}
    missing = [(1, size) for label, size in bound.items() if label not in present]
    if missing:
        extents = loader.load([build.size_term(size) for _, size in missing])
        rest = contraction(loader, [(base, dict(access)) for base, access in parts], {k: v for k, v in bound.items() if k in present})
        return space.product([(space.scale(q, rest), 1), *((e, 1) for e in extents)])
    texts = {label: size.canonical_text() for label, size in bound.items()}
    order = canonical_labels([(base.to_bytes(8, "big"), access) for base, access in parts], texts)
    number: dict[Label, Label] = {label: i for i, label in enumerate(order)}
    named = [(base, tuple((axis, number.get(label, label)) for axis, label in access)) for base, access in parts]
    named.sort(key=lambda item: (item[0], repr(item[1])))
    payload = Contraction(tuple(bound[label] for label in order), tuple(access for _, access in named))
    axes: dict[str, Size] = {}
    for base, labels in named:
        own = dict(space.axes[base >> 1])
        axes.update({label: own[axis] for axis, label in labels if isinstance(label, str)})
    out = space.apply("contract", [base for base, _ in named], payload, frozenset(axes.items()))
    return space.scale(q, out)


def _renamed(loader: Loader, ref: int, access: Mapping[str, Label]) -> int:
    """The value with its axes called by their labels (two may share one)."""
    if all(axis == label for axis, label in access.items()):
        return ref
    own = dict(loader.space.axes[loader.space.find(ref) >> 1])
    axes = {str(label): own[axis] for axis, label in access.items()}
    entries = tuple(sorted((axis, Index.axis(str(label))) for axis, label in access.items()))
    return loader.reindex(ref, Pull(tuple(sorted(axes.items())), entries, (), None))


@dataclass
class Reader:
    """Builds the terms of a choice of one node a class."""

    space: Space
    choice: Mapping[int, Node]
    templates: Mapping[Hashable, Term]
    uses: dict[int, int] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)  # classes that index maps read: computed once
    built: dict[int, Term] = field(default_factory=dict)

    def read(self, roots: Sequence[int], like: Sequence[Term]) -> list[Term]:
        """Terms of the chosen values with the types of `like`."""
        order = self.order([r >> 1 for r in roots])
        for c in order:
            for d in self._below(c):
                self.uses[d] = self.uses.get(d, 0) + 1
        for r in roots:
            self.uses[r >> 1] = self.uses.get(r >> 1, 0) + 1
        self.stored = {self._stored_by(self.choice[c]) for c in order if self.choice[c].op == "reindex"}
        for c in order:
            node = self.choice[c]
            term = self._one(node)
            if c in self.stored and node.op not in ("leaf", "expand") and _is_inlined(term):
                term = build.group(term)
            self.built[c] = self._negative(term, c) if self.space.nodes[c][node] else term
        return [build.conform(self._signed(r), t.type) for r, t in zip(roots, like, strict=True)]

    def order(self, roots: Iterable[int]) -> list[int]:
        order: list[int] = []
        done: set[int] = set()
        for root in roots:
            stack = [(root, False)]
            while stack:
                c, ready = stack.pop()
                if ready:
                    order.append(c)
                elif c not in done:
                    done.add(c)
                    stack.append((c, True))
                    stack.extend((d, False) for d in reversed(self._below(c)))
        return order

    def _below(self, c: int) -> list[int]:
        """Classes that the chosen node needs; a multiple in a sum may not be computed by itself."""
        out = []
        for r in self.choice[c].children:
            d = self.space.find(r) >> 1
            out.append(d if d in self.choice else self.space.split(r)[1] >> 1)
        return out

    def _stored_by(self, node: Node) -> int:
        """The class that an index map reads at other points; -1 if it only renames."""
        assert isinstance(node.payload, Pull)
        if not node.payload.guards and all(e.single_axis is not None for _, e in node.payload.entries):
            return -1
        c = self._of(node.children[0])[0]
        below = self.choice.get(c)
        return self._of(below.children[0])[0] if below is not None and below.op == "stored" else c

    def _of(self, ref: int) -> tuple[int, int]:
        ref = self.space.find(ref)
        return ref >> 1, ref & 1

    def _negative(self, term: Term, c: int) -> Term:
        return build.neg(build.group(term) if term.op == "linear" and self.uses.get(c, 0) > 1 else term)

    def _signed(self, ref: int) -> Term:
        c, sign = self._of(ref)
        return self._negative(self.built[c], c) if sign else self.built[c]

    def _once(self, c: int) -> bool:
        return self.uses.get(c, 0) <= 1

    def _one(self, node: Node) -> Term:
        if node.op == "leaf":
            key = node.payload
            if isinstance(key, Term):
                return key
            assert isinstance(key, tuple)
            return build.const(key[1] if key[1].denominator > 1 else int(key[1]))
        if node.op == "scale":
            return self._scale(node)
        if node.op == "sum":
            whole = self.space.axes_of(node)
            return build.linear([self._member(r, whole) for r in node.children])
        if node.op == "power":
            return build.mul(*[self._factor(node.children[0], node.exponent)] * node.exponent)
        if node.op == "product":
            return self._product(node)
        return self._other(node)

    def _scale(self, node: Node) -> Term:
        q = node.factor
        c, sign = self._of(node.children[0])
        term = self.built[c]
        apart = _is_sum(term) and len(term.args) > 1 and not (self._once(c) and _is_scaled(term))
        return build.scale(-q if sign else q, build.group(term) if apart else term)

    def _member(self, ref: int, whole: Axes) -> tuple[Rational, Term]:
        """(coefficient, term) of a summand, in parentheses if it is a sum that is computed once or in outer loops."""
        c, sign = self._of(ref)
        if c not in self.choice:
            q, multiplied = self.space.split(ref)
            term = self.built[multiplied >> 1]
            return q, build.group(term) if _is_sum(term) else term
        q = -1 if sign else 1
        node = self.choice[c]
        term = self.built[c]
        if node.op == "scale" and not self.space.nodes[c][node]:
            d, inner = self._of(node.children[0])
            base = self.built[d]
            q *= node.factor if not inner else -node.factor
            return q, build.group(base) if _is_sum(base) else base
        if _is_sum(term) and (not self._once(c) or self.space.axes[c] != whole):
            term = build.group(term)
        return q, term

    def _factor(self, ref: int, uses: int = 1) -> Term:
        """A factor as the constructors leave it: content and sign of a sum stay inside it."""
        c, sign = self._of(ref)
        term = self._negative(self.built[c], c) if sign else self.built[c]
        if term.op == "linear" and linear.primitive(term)[0] != 1:
            return build.group(term)
        if term.op == "contract" and not contracts.contraction_of(term).bound and (uses > 1 or not self._once(c)):
            return build.group(term)
        return term

    def _product(self, node: Node) -> Term:
        whole = self.space.axes_of(node)
        terms = []
        for ref in node.children:
            term = self._factor(ref)
            c = self._of(ref)[0]
            if term.op == "contract" and not contracts.contraction_of(term).bound and self.space.axes[c] != whole:
                term = build.group(term)
            terms.append(term)
        return build.mul(*terms)

    def _other(self, node: Node) -> Term:
        op, payload = node.op, node.payload
        if op == "contract":
            assert isinstance(payload, Contraction)
            terms = [self._factor(r, 2) for r in node.children]
            return build.contract(
                [(t, dict(access)) for t, access in zip(terms, payload.accesses, strict=True)], dict(enumerate(payload.bound))
            )
        args = [self._signed(r) for r in node.children]
        if op == "expand":
            assert isinstance(payload, tuple)
            return build.expand(args[0], dict(payload))
        if op == "stored":
            return args[0]
        if op == "reindex":
            assert isinstance(payload, Pull)
            below = args[0]
            if below.op == "contract":
                below = build.group(below)
            return reindex.assemble(below, dict(payload.axes), payload.index, payload.guards, payload.fill)
        if op == "reduce":
            assert isinstance(payload, tuple)
            name, axes = payload
            return build.reduce(name, args[0], axes)
        if op in SCALARS:
            return build.apply(op, *[self._argument(op, r) for r in node.children])
        template = self.templates[payload]
        typed = [build.conform(a, t.type) if not isinstance(t.type, TupleType) else a for a, t in zip(args, template.args, strict=True)]
        return OPERATORS[template.op].rebuild(template, tuple(typed))

    def _argument(self, op: str, ref: int) -> Term:
        term = self._signed(ref)
        if op in ("recip", "abs") and term.op == "linear" and len(term.args) > 1 and linear.primitive(term)[0] != 1:
            return build.group(term)
        return term


def _is_inlined(term: Term) -> bool:
    """Whether a schedule computes the value where it is used, if nothing says otherwise."""
    if term.op == "map":
        return term.attrs[0] not in FREE
    return term.op == "linear" or (term.op == "contract" and not contracts.contraction_of(term).bound)


def _is_scaled(term: Term) -> bool:
    """Whether every summand is multiplied by a number or by values of outer loops: one number more costs nothing."""
    if term.op != "linear":
        return False
    summands = zip(term.attrs, term.args, strict=True)
    return all(abs(q) != 1 or (t.op == "contract" and any(len(a.axes) < len(term.axes) for a in t.args)) for q, t in summands)


def _is_sum(term: Term) -> bool:
    return pointwise.uncast(pointwise.unexpanded(pointwise.uncast(term))).op == "linear"
