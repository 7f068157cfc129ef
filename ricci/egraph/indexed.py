"""`IndexedProduct`: a contraction opened down to what it reads, with index expressions where a plain contraction has labels.

    out[o] = q * Sum_bound prod_k factor_k[index_k(labels)], where every guard holds, else 0

Free labels are read from the axes o of the result: label = out[label](o). Bound labels are summed over their whole range. In this
form a change of summation variables is a substitution, whatever the factors are: splits, shifts, eliminated indicators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Atom, Guard, Index
from ricci.dsl.index import Ranges as Lanes
from ricci.dsl.normal import make_guards
from ricci.dsl.ops.contract import Contraction, Label
from ricci.dsl.ops.reindex import Pull
from ricci.dsl.term import Term
from ricci.dsl.types import Dim, Size, Type
from ricci.egraph.kinds import Kinds
from ricci.egraph.rational import Rational
from ricci.egraph.space import Axes, Node, Space
from ricci.egraph.structure import Structure
from ricci.egraph.terms import Loader

LARGEST = 32  # factors of an opened contraction
Own = dict[str, Index]  # axis of a factor -> index over labels


@dataclass(frozen=True)
class Factor:
    """A class, read at an index per axis."""

    ref: int
    index: tuple[tuple[str, Index], ...]

    @property
    def own(self) -> Own:
        return dict(self.index)

    @property
    def labels(self) -> frozenset[str]:
        return frozenset().union(*(e.axes for _, e in self.index))

    def substituted(self, new: Mapping[str, Index]) -> Factor:
        return Factor(self.ref, tuple((axis, e.substitute(new)) for axis, e in self.index))


@dataclass(frozen=True)
class IndexedProduct:
    """See the head of the file. `sizes` of all labels, `out` of the free ones, `axes` of the result.

    `retold`: a factor is read in another way than it was written, because of what is known about its structure.
    """

    factors: tuple[Factor, ...]
    guards: tuple[Guard, ...]
    sizes: Mapping[str, Size]
    out: Mapping[str, Index]
    axes: Axes
    number: Rational = 1
    retold: bool = False

    @property
    def bound(self) -> list[str]:
        return [label for label in self.sizes if label not in self.out]

    def indices(self) -> list[Index]:
        """Every index expression that decides what is read."""
        return [e for f in self.factors for _, e in f.index] + [g.index for g in self.guards]

    def normal(self) -> IndexedProduct:
        """Indices and guards in normal form; a product without lanes has the number 0."""
        lanes = Lanes.of(self.sizes)
        guards = make_guards(self.guards, lanes)
        if guards is None:
            return replace(self, factors=(), guards=(), sizes={a: self.sizes[a] for a in self.out if a in self.sizes}, number=0)
        inside = lanes.narrow(guards)
        factors = tuple(Factor(f.ref, tuple((a, e.within(inside)) for a, e in f.index)) for f in self.factors)
        return replace(self, factors=factors, guards=guards)

    def substituted(self, new: Mapping[str, Index], sizes: Mapping[str, Size], guards: Iterable[Guard] = ()) -> IndexedProduct:
        """Bound labels exchanged for others: `new` gives each by the labels that replace it, `sizes` are theirs."""
        kept = {label: size for label, size in self.sizes.items() if label not in new}
        return replace(
            self,
            factors=tuple(f.substituted(new) for f in self.factors),
            guards=(*(g.substitute(new) for g in self.guards), *guards),
            sizes={**kept, **sizes},
        ).normal()

    def fresh(self, count: int = 1) -> list[str]:
        """Names for new labels."""
        names = (f"%{k}" for k in range(len(self.sizes) + count))
        return [name for name in names if name not in self.sizes][:count]

    @property
    def weight(self) -> tuple[int, int, int]:
        """How far the indices are from plain labels: compound atoms, labels inside of them, guards; then the labels."""
        atoms = [atom for e in self.indices() for atom in compound(e)]
        return len(atoms), sum(len(a.inner.axes) for a in atoms), len(self.sizes)


def compound(e: Index) -> list[Atom]:
    """Atoms that are no axes, nested ones too."""
    found: list[Atom] = []
    waiting = [e]
    while waiting:
        for atom, _ in waiting.pop().terms:
            if atom.kind != "axis":
                found.append(atom)
                waiting.append(atom.inner)
    return found


def single_label(e: Index, label: str) -> tuple[int, Index] | None:
    """(s, rest) with e = s*label + rest, s = +-1, the label nowhere else in e."""
    k = e.coefficient(label).constant
    if k not in (1, -1):
        return None
    rest = e - Index.axis(label) * k
    return None if label in rest.axes else (k, rest)


# from the space


class Opener:
    """Opens classes of a space into products."""

    def __init__(self, loader: Loader, structure: Structure) -> None:
        self.loader, self.space, self.structure = loader, loader.space, structure
        self.dims = _dims(self.space)
        self.emitter = Emitter(loader, structure)

    def opened(self, c: int, node: Node) -> IndexedProduct | None:
        """The contraction or product that a node of a class is; None if it has too many factors."""
        work = _Opening(self, c)
        return work.product if work.run(node) else None

    def column(self, c: int, a: str, b: str) -> int | None:
        """Class of a circulant sum at b = 0, from the members at b = 0; None where these are not views of single values."""
        members = []
        for d, q in self.space.forms.get(c, {}).items():
            work = _Opening(self, self.space.find(2 * d) >> 1)
            if not work.whole() or len(work.factors) != 1 or work.guards:
                return None
            (f,) = work.factors
            index = {axis: e.substitute({b: Index.of(0)}) for axis, e in f.index}
            axes = {axis: size for axis, size in self.space.axes[work.root] if axis != b}
            sign = -1 if self.space.find(2 * d) & 1 else 1
            members.append((Fraction(q * work.number * sign), build.reindex(self.emitter.probe(f.ref), axes, index, (), 0)))
        if not members:
            return None
        ref = self.emitter.load(build.linear(members))
        return None if ref & 1 or self.space.axes[ref >> 1] != frozenset(x for x in self.space.axes[c] if x[0] != b) else ref >> 1


@dataclass
class _Opening:
    opener: Opener
    root: int
    sizes: dict[str, Size] = field(default_factory=dict)
    factors: list[Factor] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    number: Rational = 1
    retold: bool = False

    @property
    def space(self) -> Space:
        return self.opener.space

    @property
    def product(self) -> IndexedProduct:
        axes = self.space.axes[self.root]
        out = {name: Index.axis(name) for name, _ in sorted(axes)}
        return IndexedProduct(tuple(self.factors), tuple(self.guards), self.sizes, out, axes, self.number, self.retold).normal()

    def run(self, node: Node) -> bool:
        """Open the root by one of its nodes."""
        self.sizes = dict(sorted(self.space.axes[self.root]))
        return self._open(self._below(self.root, node, {name: Index.axis(name) for name in self.sizes}, frozenset([self.root])))

    def whole(self) -> bool:
        """Open the root as a factor."""
        self.sizes = dict(sorted(self.space.axes[self.root]))
        return self._open([(2 * self.root, {name: Index.axis(name) for name in self.sizes}, frozenset())])

    def _open(self, stack: list[tuple[int, Own, frozenset[int]]]) -> bool:
        while stack:
            ref, own, above = stack.pop()
            q, base = self.space.split(ref)
            self.number *= q
            c = base >> 1
            if base == self.space.find(self.space.one):
                continue
            below = None if c in above else self._inside(c, own, above | {c})
            if below is None:
                self._atom(c, own)
            else:
                stack += below
            if len(self.factors) + len(stack) > LARGEST:
                return False
        return True

    def _inside(self, c: int, own: Own, above: frozenset[int]) -> list[tuple[int, Own, frozenset[int]]] | None:
        """Factors of a class by the first of its nodes that is a product or an index map; None if there is none."""
        for node in self.space.nodes[c]:
            if node.op in ("contract", "product", "expand") or (node.op == "reindex" and _keeps_zero(node)):
                if c not in {self.space.find(r) >> 1 for r in node.children}:
                    return self._below(c, node, own, above)
            elif node.op == "where" and self.space.constant(node.children[2]) == 0:
                guards = self._condition(node.children[0], own)
                if guards is not None:
                    self.guards += guards
                    self._sign(c, node)
                    return [(node.children[1], self._restricted(node.children[1], own), above)]
            elif node.op == "cast":
                guards = self._condition(node.children[0], own)
                if guards is not None:
                    self.guards += guards
                    self._sign(c, node)
                    return []
        return None

    def _sign(self, c: int, node: Node) -> None:
        if self.space.nodes[c][node]:
            self.number = -self.number

    def _restricted(self, ref: int, own: Own) -> Own:
        return {axis: own[axis] for axis, _ in self.space.axes[self.space.find(ref) >> 1]}

    def _below(self, c: int, node: Node, own: Own, above: frozenset[int]) -> list[tuple[int, Own, frozenset[int]]]:
        self._sign(c, node)
        payload = node.payload
        if node.op == "reindex":
            assert isinstance(payload, Pull)
            self.guards += [g.substitute(own) for g in payload.guards]
            index = {axis: e.substitute(own) for axis, e in payload.entries}
            return [(self._unstored(node.children[0]), index, above)]
        if node.op != "contract":
            return [(r, self._restricted(r, own), above) for r in reversed(node.children)]
        assert isinstance(payload, Contraction)
        labels: dict[Label, Index] = dict(own.items())
        for k, size in enumerate(payload.bound):
            name = f"%{len(self.sizes)}"
            self.sizes[name] = size
            labels[k] = Index.axis(name)
        pairs = zip(node.children, payload.accesses, strict=True)
        return [(r, {axis: labels[label] for axis, label in access}, above) for r, access in reversed(list(pairs))]

    def _unstored(self, ref: int) -> int:
        ref = self.space.find(ref)
        for node, sign in self.space.nodes[ref >> 1].items():
            if node.op == "stored":
                return self.space.find(node.children[0]) ^ (ref & 1) ^ sign
        return ref

    def _atom(self, c: int, own: Own) -> None:
        facts = self.opener.structure.of(c)
        own = dict(own)
        for (a, b), (lo, hi) in sorted(facts.bands.items(), key=lambda item: item[0]):
            if a in own and b in own:
                self.guards.append(Guard(lo, own[a] - own[b], None if hi is None else hi + 1))
        for a, b in sorted(facts.circulant):
            size = dict(self.space.axes[c])[a]
            own[a], own[b] = (own[a] - own[b]).mod(size), Index.of(0)
            column = self.opener.column(c, a, b)
            if column is not None:
                c = column
                del own[b]
                break
        for a, b in sorted(facts.symmetric):
            if own[b].canonical_text() < own[a].canonical_text():
                own[a], own[b] = own[b], own[a]
                self.retold = True
        self.factors.append(Factor(2 * c, tuple(sorted(own.items()))))

    # conditions on indices

    def _condition(self, ref: int, own: Own) -> list[Guard] | None:
        """Guards that say what a truth value says; None if it does not speak of indices alone."""
        waiting, found = [(ref, own)], []
        while waiting:
            r, at = waiting.pop()
            guards = self._comparison(self.space.find(r) >> 1, at, waiting)
            if guards is None:
                return None
            found += guards
        return found

    def _comparison(self, c: int, own: Own, waiting: list[tuple[int, Own]]) -> list[Guard] | None:
        for node in self.space.nodes[c]:
            if node.op == "and":
                waiting += [(r, self._restricted(r, own)) for r in node.children]
                return []
            if node.op == "expand":
                waiting.append((node.children[0], self._restricted(node.children[0], own)))
                return []
            if node.op == "reindex" and isinstance(node.payload, Pull) and not node.payload.guards:
                waiting.append((self._unstored(node.children[0]), {a: e.substitute(own) for a, e in node.payload.entries}))
                return []
            if node.op in COMPARISONS:
                a, b = node.children
                inner = self._below_absolute(a, own) if node.op in ("le", "lt") else []
                sides: list[Index | None] = [*inner] if inner else [self._number(a, self._restricted(a, own))]
                found = [self._compared(node.op, e, b, own) for e in sides]
                return None if None in found else [g for g in found if g is not None]
        return None

    def _compared(self, op: str, a: Index | None, right: int, own: Own) -> Guard | None:
        b = self._number(right, self._restricted(right, own))
        return None if a is None or b is None else COMPARISONS[op](a, b)

    def _below_absolute(self, ref: int, own: Own) -> list[Index]:
        """e and -e of a value |e|."""
        for node in self.space.nodes[ref >> 1]:
            if node.op == "abs" and not self.space.find(ref) & 1:
                e = self._number(node.children[0], self._restricted(node.children[0], own))
                return [] if e is None else [e, -e]
        return []

    def _number(self, ref: int, own: Own) -> Index | None:
        """A whole number that depends on indices alone, as an index expression."""
        q, base = self.space.split(ref)
        if q != int(q):
            return None
        inner = self._whole(base >> 1, own)
        return None if inner is None else inner * int(q)

    def _whole(self, c: int, own: Own) -> Index | None:
        if 2 * c == self.space.find(self.space.one):
            return Index.of(1)
        if c in self.space.zeros:
            return Index.of(0)
        for node, sign in self.space.nodes[c].items():
            found = self._whole_node(node, own)
            if found is not None:
                return -found if sign else found
        return None

    def _whole_node(self, node: Node, own: Own) -> Index | None:
        if node.op == "leaf" and isinstance(node.payload, Term):
            leaf = node.payload
            if leaf.op == "iota":
                return own[next(iter(leaf.axes))]
            dim = self.opener.dims.get(str(leaf.attrs[0])) if leaf.op == "symbol" else None
            return None if dim is None else Index.of(dim)
        if node.op == "expand":
            return self._number(node.children[0], self._restricted(node.children[0], own))
        if node.op == "reindex" and isinstance(node.payload, Pull) and not node.payload.guards:
            return self._number(self._unstored(node.children[0]), {a: e.substitute(own) for a, e in node.payload.entries})
        if node.op == "sum":
            total: Index | None = Index.of(0)
            for r in node.children:
                part = self._number(r, self._restricted(r, own))
                total = None if total is None or part is None else total + part
            return total
        return None


COMPARISONS: Mapping[str, Callable[[Index, Index], Guard]] = {
    "eq": Guard.equal,
    "lt": lambda a, b: Guard(1, b - a, None),
    "le": lambda a, b: Guard(0, b - a, None),
    "gt": lambda a, b: Guard(1, a - b, None),
    "ge": lambda a, b: Guard(0, a - b, None),
}


def _keeps_zero(node: Node) -> bool:
    assert isinstance(node.payload, Pull)
    return node.payload.fill in (None, 0)


def _dims(space: Space) -> dict[str, Dim]:
    """Size symbols by name."""
    return {f"#{d.name}": d for c in space.classes() for _, size in space.axes[c] for d in size.dims}


# to the space


@dataclass(frozen=True)
class Part:
    """Factors that hang together by bound labels. `labels` are all labels that they and their guards read."""

    factors: tuple[Factor, ...]
    guards: tuple[Guard, ...]
    labels: frozenset[str]


def parts_of(product: IndexedProduct) -> list[Part]:
    """Independent factors of a product; those over the same free labels are one."""
    bound = frozenset(product.bound)
    parts: list[Part] = []
    items = [Part((f,), (), f.labels) for f in product.factors] + [Part((), (g,), g.axes) for g in product.guards]
    for item in items:
        near = [p for p in parts if p.labels & item.labels & bound]
        for p in near:
            parts.remove(p)
            item = Part(p.factors + item.factors, p.guards + item.guards, p.labels | item.labels)
        parts.append(item)
    joined: dict[frozenset[str], Part] = {}
    for p in parts:
        other = joined.get(p.labels)
        joined[p.labels] = p if other is None else Part(other.factors + p.factors, other.guards + p.guards, p.labels)
    return list(joined.values())


@dataclass(frozen=True)
class Spectrum:
    """The transform of a value along axes, with the lanes of each."""

    term: Term
    lanes: Mapping[str, Size]

    def has(self, wanted: Mapping[str, tuple[Size, Size]]) -> bool:
        """Whether it is over just these axes, with (lanes, frequencies) of each."""
        return {axis: (size, self.term.axes[axis]) for axis, size in self.lanes.items()} == dict(wanted)


class Emitter:
    """Puts products into a space, term by term through the constructors; a class stands in them as a symbol of its own."""

    def __init__(self, loader: Loader, structure: Structure) -> None:
        self.structure = structure
        self.loader, self.kinds = loader, Kinds(loader.space)
        self.spectra: dict[int, Spectrum] = {}  # of values that came out of inverse transforms

    def probe(self, ref: int) -> Term:
        """A symbol that is loaded as the class."""
        ref = self.loader.space.find(ref)
        symbol = build.symbol(f"%{ref}", Type(self.kinds.of(ref), dict(self.loader.space.axes[ref >> 1])))
        self.loader.known[symbol] = ref
        return symbol

    def load(self, term: Term) -> int:
        return self.loader.load([term])[0]

    def emitted(self, product: IndexedProduct) -> int:
        """The class of a product, over the axes of its result."""
        space = self.loader.space
        if product.number == 0:
            return space.expand(space.zero, product.axes)
        product = replace(product, guards=self._more_than_ranges(product))
        unread = [label for label in product.bound if all(label not in e.axes for e in product.indices())]
        factors = [self.load(build.size_term(product.sizes[label])) for label in unread]
        factors += [self.pulled_back(product, *self.part(product, p)) for p in parts_of(product)]
        return space.expand(space.scale(product.number, space.product([(r, 1) for r in factors]) if factors else space.one), product.axes)

    def _more_than_ranges(self, product: IndexedProduct) -> tuple[Guard, ...]:
        """The guards that do not only say that the index of a factor is in range, or where it is known not to be zero."""
        lanes = Lanes.of(product.sizes)
        known: list[Guard] = []
        for f in product.factors:
            sizes, own = dict(self.loader.space.axes[f.ref >> 1]), f.own
            known += [Guard(0, e, sizes[axis]) for axis, e in f.index]
            for (a, b), (lo, hi) in self.structure.of(f.ref >> 1).bands.items():
                known.append(Guard(lo, own[a] - own[b], None if hi is None else hi + 1))
        told = {g for guard in known for g in make_guards([guard], lanes) or ()}
        return tuple(g for g in product.guards if g not in told)

    def part(self, product: IndexedProduct, part: Part) -> tuple[int, dict[str, str]]:
        """The class of a part and the label of each of its axes: named as in the result, or else after those of the factors."""
        term, names = self.term(product, part)
        return self.load(term), {name: label for label, name in names.items()}

    def term(self, product: IndexedProduct, part: Part) -> tuple[Term, dict[str, str]]:
        """A part as a contraction of views, and names of its free labels."""
        guards = list(part.guards)
        names: dict[str, str] = {}
        views: list[tuple[Term, dict[str, str]]] = []
        for f in sorted(part.factors, key=lambda f: (f.ref, [e.canonical_text() for _, e in f.index])):
            mine = [g for g in guards if g.axes <= f.labels]
            guards = [g for g in guards if g not in mine]
            views.append(self.view(product, f, mine))
        for g in guards:
            axes = {label: product.sizes[label] for label in sorted(g.axes)}
            views.append((build.indicator(axes, [g]), {label: label for label in axes}))
        for _, access in views:
            for axis, label in sorted(access.items()):
                if label in product.out and label not in names:
                    names[label] = unused(product.out[label].single_axis or axis, names.values())
        labelled = [(t, {axis: names.get(label, f"{label}%") for axis, label in access.items()}) for t, access in views]
        bound = {f"{label}%": product.sizes[label] for label in product.bound if label in part.labels}
        return build.contract(labelled, bound), names

    def view(self, product: IndexedProduct, f: Factor, guards: Sequence[Guard]) -> tuple[Term, dict[str, str]]:
        """What a factor reads, and the label of each axis of that; axes are named after those of the factor."""
        t = self.probe(f.ref)
        if not guards and all(e.single_axis is not None and product.sizes[e.single_axis] is t.axes[a] for a, e in f.index):
            return t, {axis: str(e.single_axis) for axis, e in f.index}
        names: dict[str, str] = {}
        for axis, e in f.index:
            for label in sorted(e.axes):
                if label not in names:
                    names[label] = unused(axis, names.values())
        for label in sorted(frozenset().union(*(g.axes for g in guards)) - names.keys()):
            names[label] = unused(label, names.values())
        new = {label: Index.axis(name) for label, name in names.items()}
        axes = {name: product.sizes[label] for label, name in names.items()}
        index = {axis: e.substitute(new) for axis, e in f.index}
        view = build.reindex(t, axes, index, [g.substitute(new) for g in guards], 0)
        return view, {name: label for label, name in names.items()}

    def pulled_back(self, product: IndexedProduct, ref: int, labels: Mapping[str, str]) -> int:
        """A part over the axes of the result."""
        sizes = dict(product.axes)
        index = {axis: product.out[label] for axis, label in labels.items()}
        read = frozenset().union(*(e.axes for e in index.values()))
        return self.load(build.reindex(self.probe(ref), {a: sizes[a] for a in sorted(read)}, index, (), 0))


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, with primes if it is taken."""
    taken = set(taken)
    while name in taken:
        name += "'"
    return name
