"""contract: product of factors with the bound labels summed. Attributes: a `Contraction`, one access (axis -> label) per factor.

A free label is the name of an axis of the result; a bound label is a number and occurs in no type, so a bound axis needs no
name and nothing is captured. A factor may give two axes one label (a diagonal); repeated factors are powers. Normal form:
rational factors stand outside in a `linear`, products without bound labels are flat, sums stay nested, bound labels are
numbered canonically. Source: shared/design/algebra.md, 3.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import base, cast, const, linear, pointwise, reindex, scalar, symbol
from ricci.dsl.ops.canonical import canonical_labels
from ricci.dsl.ops.einsum import contract_arrays
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Dim, Kind, Size, Type

Label = str | int
Access = tuple[tuple[str, Label], ...]  # the label of every axis of a factor, sorted by axis

# A product of more factors than this is one factor of another: the chain rule through k functions would else build k products
# of up to k factors.
LARGEST_PRODUCT = 64


@dataclass(frozen=True)
class Contraction:
    """Sizes of the bound labels 0..k-1, and per factor ((axis, label), ...) sorted by axis."""

    bound: tuple[Size, ...]
    accesses: tuple[Access, ...]


def contraction_of(term: Term) -> Contraction:
    """The attributes of a contract."""
    if term.op != "contract":
        raise TermError(f"{term.op} is not a contract")
    attrs: Contraction = term.attrs
    return attrs


def make_contract(
    factors: Iterable[tuple[Term, Mapping[str, Label]]], bound: Mapping[Label, int | Size | Dim] | Mapping[str, int | Size | Dim]
) -> Term:
    """Sum over the bound labels of the product of the factors.

    An axis without a label in its access keeps its own name as label. Labels that are not in `bound` are the axes of the
    result. A bound label that no factor has multiplies by its size.
    """
    product = _Product({label: Size.of(size) for label, size in bound.items()})
    product.add(factors)
    return product.term()


class _Product:
    """Factors being flattened: what remains are `factors`, a rational, and labels that only broadcasts had."""

    def __init__(self, bound: dict[Label, Size]) -> None:
        self.bound = bound
        self.sizes: dict[Label, Size] = dict(bound)
        self.coefficient = Fraction(1)
        self.kind = Kind.INT
        self.factors: list[tuple[Term, dict[str, Label]]] = []
        self.present: set[Label] = set()

    def add(self, factors: Iterable[tuple[Term, Mapping[str, Label]]]) -> None:
        """Flatten factors; zero is not special here, because the type of the result needs all labels."""
        stack: list[tuple[Term, dict[str, Label]]] = []
        for t, access in factors:
            if not access.keys() <= t.axes.keys():
                raise TermError(f"a factor has no axis {sorted(access.keys() - t.axes.keys())}: {t.type}")
            if t.kind == Kind.BOOL:
                raise TermError("a truth value is no factor: cast it to int")
            self.kind = max(self.kind, t.kind)
            stack.append((t, {axis: access.get(axis, axis) for axis in t.axes}))
        stack.reverse()
        while stack:
            t, own = stack.pop()
            for axis, label in own.items():
                size = t.axes[axis]
                if self.sizes.setdefault(label, size) != size:
                    raise TermError(f"label {label} has sizes {self.sizes[label]} and {size}")
            self._take(t, own, stack)

    def _take(self, t: Term, own: dict[str, Label], stack: list[tuple[Term, dict[str, Label]]]) -> None:
        op = t.op
        if op == "cast":
            inner = pointwise.uncast(t)
            if inner is not t:
                stack.append((inner, own))
                return
        elif op == "const":
            value = const.value_of(t)
            if isinstance(value, Fraction):
                self.coefficient *= value
                return
        elif op == "linear":
            factor, core = linear.primitive(t)
            if factor != 1:
                self.coefficient *= factor
                stack.append((core, {axis: own[axis] for axis in core.axes}))
                return
        elif op == "contract":
            attrs: Contraction = t.attrs
            if not attrs.bound and len(t.args) <= LARGEST_PRODUCT:
                pairs = list(zip(t.args, attrs.accesses, strict=True))
                stack.extend((f, {axis: own[str(label)] for axis, label in access}) for f, access in reversed(pairs))
                return
        elif op == "reindex":
            pull = reindex.plain_pull(t)
            if pull is not None:
                stack.append((t.args[0], {a: own[str(e.single_axis)] for a, e in pull.entries}))
                return
            core, extra = reindex.split_expand(t)
            if extra:
                stack.append((core, {axis: own[axis] for axis in core.axes}))
                return
        self.factors.append((t, own))
        self.present.update(own.values())

    def term(self) -> Term:
        """The product in normal form, with the axes and the kind of the whole."""
        for label, size in self.bound.items():
            if label not in self.present:
                self.add([(size_term(size), {})])
        axes = {str(label): size for label, size in self.sizes.items() if label not in self.bound}
        if any(isinstance(label, int) and label not in self.bound for label in self.sizes):
            raise TermError("a free label is a name")
        whole = self.coefficient.denominator == 1 and abs(self.coefficient) < linear.LARGEST_WHOLE
        kind = self.kind if whole else max(self.kind, Kind.REAL)
        if not self.coefficient or not self.factors:
            return reindex.expand(const.make_const(self.coefficient, kind), axes)
        core = self._core()
        if self.coefficient != 1:
            core = linear.make_linear([(self.coefficient, core)])
        if core.kind != kind:
            core = cast.make_cast(core, kind)
        return core if core.axes.keys() == axes.keys() else reindex.expand(core, axes)

    def _core(self) -> Term:
        bound = {label: size for label, size in self.bound.items() if label in self.present}
        if not bound and len(self.factors) == 1:
            t, own = self.factors[0]
            if all(axis == label for axis, label in own.items()):
                return t
            axes = {str(label): t.axes[axis] for axis, label in own.items()}
            return reindex.make_reindex(t, axes, {axis: Index.axis(str(label)) for axis, label in own.items()})
        accesses = [tuple(sorted(own.items())) for _, own in self.factors]
        order = list(bound)
        if len(bound) > 1:
            texts = {label: size.canonical_text() for label, size in bound.items()}
            pairs = [(t.digest, access) for (t, _), access in zip(self.factors, accesses, strict=True)]
            order = canonical_labels(pairs, texts)
        number: dict[Label, Label] = {label: i for i, label in enumerate(order)}
        if number:
            accesses = [tuple([(axis, number.get(label, label)) for axis, label in access]) for access in accesses]
        ranked = sorted(
            [(t.digest, repr(access), t, access) for (t, _), access in zip(self.factors, accesses, strict=True)],
            key=lambda item: item[:2],
        )
        attrs = Contraction(tuple([bound[label] for label in order]), tuple([item[3] for item in ranked]))
        return base.node("contract", tuple([item[2] for item in ranked]), attrs)


def multiply(terms: Iterable[Term]) -> Term:
    """Pointwise product, axes joined by name; the int 1 for none."""
    return make_contract([(t, {}) for t in terms], {})


def sum_over(t: Term, axes: Iterable[str]) -> Term:
    """Sum of t over axes of its own."""
    names = set(axes)
    if not names <= t.axes.keys():
        raise TermError(f"a sum over {sorted(names - t.axes.keys())}, not axes of {t.type}")
    return make_contract([(t, {})], {name: t.axes[name] for name in names}) if names else t


def size_term(size: int | Size | Dim) -> Term:
    """A size as an int term: dim n is the symbol `#n`."""
    size = Size.of(size)
    if size.constant is not None:
        return const.make_const(size.constant)
    parts = []
    for monomial, c in size.terms:
        dims = [symbol.make_symbol(f"#{dim.name}", Type(Kind.INT)) for dim, power in monomial for _ in range(power)]
        parts.append((Fraction(c), multiply(dims)))
    return linear.make_linear(parts)


def factors_of(term: Term) -> list[tuple[Term, dict[str, Label]]]:
    """Factors with their accesses, as `make_contract` takes them (bound labels are ints)."""
    attrs = contraction_of(term)
    return [(t, dict(access)) for t, access in zip(term.args, attrs.accesses, strict=True)]


def bound_of(term: Term) -> dict[Label, Size]:
    """Sizes of the bound labels, as `make_contract` takes them."""
    return dict(enumerate(contraction_of(term).bound))


def relabel(term: Term, names: Mapping[str, str]) -> Term:
    """The contract with its free labels renamed; two may get one name (a diagonal)."""
    factors = [
        (t, {axis: label if isinstance(label, int) else names.get(label, label) for axis, label in access.items()})
        for t, access in factors_of(term)
    ]
    return make_contract(factors, bound_of(term))


# the operator


def _infer(args: tuple[Term, ...], attrs: Hashable) -> Type:
    assert isinstance(attrs, Contraction)
    axes: dict[str, Size] = {}
    kind = Kind.INT
    for t, access in zip(args, attrs.accesses, strict=True):
        kind = max(kind, t.kind)
        for axis, label in access:
            if isinstance(label, str):
                axes[label] = t.axes[axis]
    return Type(kind, axes)


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    attrs = contraction_of(term)
    dtype = const.DTYPES[term.kind]
    labelled = [(value, [label for _, label in access]) for value, access in zip(args, attrs.accesses, strict=True)]
    return contract_arrays(labelled, list(term.axes), dtype)


def _rebuild(term: Term, args: tuple[Term, ...]) -> Term:
    attrs = contraction_of(term)
    return make_contract([(t, dict(access)) for t, access in zip(args, attrs.accesses, strict=True)], bound_of(term))


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    factors = factors_of(term)
    parts: dict[tuple[Term, str], tuple[int, int]] = {}
    for k, (t, access) in enumerate(factors):
        if tangents[k] is not None:
            same = (t, repr(access))
            parts[same] = (parts[same][0] + 1, k) if same in parts else (1, k)
    terms = []
    for count, k in parts.values():
        dt = tangents[k]
        assert dt is not None
        terms.append((Fraction(count), make_contract([*factors[:k], (dt, factors[k][1]), *factors[k + 1 :]], bound_of(term))))
    return linear.make_linear(terms) if terms else None


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    done: dict[tuple[Term, str], int] = {}
    out: list[Term | None] = []
    factors = factors_of(term)
    counts: dict[tuple[Term, str], int] = {}
    for t, access in factors:
        counts[(t, repr(access))] = counts.get((t, repr(access)), 0) + 1
    for k, (t, access) in enumerate(factors):
        same = (t, repr(access))
        if t.kind < Kind.REAL or same in done:  # equal factors: the first carries the sum of all
            out.append(None)
            continue
        done[same] = k
        part = factor_cotangent(term, k, g)
        out.append(linear.make_linear([(Fraction(counts[same]), part)]) if counts[same] > 1 else part)
    return out


def factor_cotangent(term: Term, k: int, g: Term) -> Term:
    """Cotangent of factor k: g times the conjugates of the other factors, on exactly the axes of factor k.

    Labels of the factor become its own axes; the other labels are summed. A label that only the factor has is a broadcast;
    a label that two of its axes share keeps the diagonal.
    """
    factors = factors_of(term)
    t, own = factors[k]
    sizes: dict[Label, Size] = {label: f.axes[axis] for f, access in factors for axis, label in access.items()}
    name: dict[Label, str] = {}
    diagonal: list[tuple[str, str]] = []
    for axis, label in own.items():
        if label in name:
            diagonal.append((name[label], axis))
        else:
            name[label] = axis
    summed: dict[Label, Label] = {label: i for i, label in enumerate(label for label in sizes if label not in name)}
    new: dict[Label, Label] = {**summed, **name}
    parts: list[tuple[Term, Mapping[str, Label]]] = [(g, {axis: new[axis] for axis in g.axes})]
    for j, (f, access) in enumerate(factors):
        if j != k:
            parts.append((scalar.conjugate(f), {axis: new[label] for axis, label in access.items()}))
    for first, second in diagonal:
        both = {first: t.axes[first], second: t.axes[second]}
        parts.append((reindex.indicator(both, [Guard.equal(Index.axis(first), Index.axis(second))]), {}))
    bound = {new[label]: sizes[label] for label in summed}
    whole = reindex.expand(make_contract(parts, bound), t.axes)
    return scalar.real_part(whole) if t.kind == Kind.REAL and whole.kind == Kind.COMPLEX else cast.make_cast(whole, t.kind)


OPERATOR = base.define(
    base.Operator(
        name="contract",
        infer=_infer,
        meaning=_meaning,
        rebuild=_rebuild,
        tangent=_tangent,
        cotangent=_cotangent,
        facts=frozenset({"commutative", "associative"}),
    )
)
