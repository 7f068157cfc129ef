"""`Stencil`: a sum of shifted reads of one value, as a polynomial in shifts: what can be said about a sum of neighbours exactly.

    out[o] = sum_k p_k base[index_k(o)],  index along axis a: o_a + k_a, continued at the edge in one of five ways

Coefficients p_k are polynomials over the rationals in values that do not vary along the axes of the shifts. Shifts of different axes
commute whatever happens at the edges; shifts of one axis compose only where it is periodic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops import contract
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Size, TupleType

MOST = 400  # summands of a sum that is multiplied out
Monomial = tuple[Term, ...]  # factors in the order of their digests
Coefficient = dict[Monomial, Fraction]
Offsets = tuple[int, ...]
Laurent = dict[Offsets, Coefficient]
ONE: Coefficient = {(): Fraction(1)}


@dataclass(frozen=True, order=True)
class Reach:
    """How one axis of the base is read: along which axis of the result, and how it goes on beyond its edge."""

    axis: str
    out: str
    edge: str  # mod, clamp, mirror: index functions; guard: zero; inside: never beyond


@dataclass(frozen=True)
class Read:
    """One read of a base: which axes move, and how far. `reach` of an unmoved axis is missing."""

    base: Term
    reaches: tuple[Reach, ...]
    offsets: Offsets


@dataclass
class Stencil:
    """The reads of one base; `axes` of the result."""

    base: Term
    reaches: tuple[Reach, ...]
    axes: Mapping[str, Size]
    coefficients: Laurent = field(default_factory=dict)

    @property
    def periodic(self) -> bool:
        return all(r.edge == "mod" for r in self.reaches)


@dataclass
class Reads:
    """A sum by bases; `rest` are its other summands."""

    stencils: list[Stencil]
    rest: list[tuple[Fraction, Term]]


# coefficients


def times(a: Coefficient, b: Coefficient) -> Coefficient:
    out: Coefficient = {}
    for m, p in a.items():
        for n, q in b.items():
            key = tuple(sorted((*m, *n), key=lambda t: t.digest))
            out[key] = out.get(key, Fraction(0)) + p * q
    return {m: q for m, q in out.items() if q}


def plus(a: Coefficient, b: Coefficient, scale: Fraction = Fraction(1)) -> Coefficient:
    out = dict(a)
    for m, q in b.items():
        out[m] = out.get(m, Fraction(0)) + scale * q
    return {m: q for m, q in out.items() if q}


def over_monomial(a: Coefficient, m: Monomial, q: Fraction) -> Coefficient | None:
    """a / (q m), where it is a polynomial."""
    out: Coefficient = {}
    for n, p in a.items():
        left = list(n)
        for factor in m:
            if factor not in left:
                return None
            left.remove(factor)
        out[tuple(left)] = p / q
    return out


def common_monomial(parts: Iterable[Coefficient]) -> Monomial:
    """The greatest product of factors that divides every monomial."""
    common: list[Term] | None = None
    for part in parts:
        for m in part:
            if common is None:
                common = list(m)
                continue
            left, kept = list(m), []
            for factor in common:
                if factor in left:
                    left.remove(factor)
                    kept.append(factor)
            common = kept
    return tuple(common or ())


def coefficient_term(a: Coefficient) -> Term:
    """The value of a coefficient."""
    return build.linear([(q, build.mul(*m)) for m, q in sorted(a.items(), key=lambda item: [t.digest for t in item[0]])])


# from terms


def read_of(t: Term) -> Read:
    """A term as a read; one that is no shift is a base read where it stands."""
    plain = Read(t, (), ())
    if t.op != "reindex" or isinstance(t.args[0].type, TupleType):
        return plain
    pull, base = pull_of(t), t.args[0]
    if pull.fill not in (None, 0):
        return plain
    reaches: list[Reach] = []
    offsets: list[int] = []
    taken: set[str] = set()
    for axis, e in pull.entries:
        found = _reach(axis, e, base.axes[axis], dict(pull.axes), bool(pull.guards))
        if found is None or found[0].out in taken:
            return plain
        taken.add(found[0].out)
        if found[0].out != axis or found[1] or dict(pull.axes)[axis] != base.axes[axis]:
            reaches.append(found[0])
            offsets.append(found[1])
    made = Read(base, tuple(reaches), tuple(offsets))
    return made if shifted(base, made.reaches, made.offsets, dict(pull.axes)) is t else plain


def _reach(axis: str, e: Index, size: Size, out: Mapping[str, Size], guarded: bool) -> tuple[Reach, int] | None:
    """(reach, offset) of an index that is one axis of the result, moved."""
    edge = "inside"
    if len(e.terms) == 1 and e.terms[0][0].kind in ("mod", "clamp", "mirror") and not e.constant.terms and e.terms[0][1].constant == 1:
        atom = e.terms[0][0]
        if atom.size != size:
            return None
        e, edge = atom.inner, atom.kind
    if len(e.terms) != 1 or e.terms[0][0].kind != "axis" or e.terms[0][1].constant != 1 or e.constant.constant is None:
        return None
    name = e.terms[0][0].axis
    if edge == "inside" and guarded and out[name] == size and e.constant.constant:
        edge = "guard"
    return Reach(axis, name, edge), int(e.constant.constant)


def shifted(base: Term, reaches: Sequence[Reach], offsets: Offsets, out: Mapping[str, Size]) -> Term:
    """base[a = index_a(out axis + offset)], axes of the result as in `out`."""
    index: dict[str, Index] = {}
    axes = {name: size for name, size in base.axes.items() if all(r.axis != name for r in reaches)}
    for r, k in zip(reaches, offsets, strict=True):
        moved, size = Index.axis(r.out) + k, base.axes[r.axis]
        index[r.axis] = {"mod": moved.mod, "clamp": moved.clamp, "mirror": moved.mirror}[r.edge](size) if r.edge in FOLDS else moved
        axes[r.out] = out[r.out]
    return build.reindex(base, axes, index, (), 0)


FOLDS = ("mod", "clamp", "mirror")


def shifted_axes(t: Term) -> frozenset[str]:
    """Axes of the result along which anything below the sums and products of t is moved."""
    found: set[str] = set()
    for part in _arithmetic(t):
        for r in read_of(part).reaches:
            found.add(r.out)
    return frozenset(found)


def _arithmetic(t: Term) -> list[Term]:
    """What stands below the sums and plain products at the root of a term."""
    seen: dict[Term, None] = {}
    leaves: dict[Term, None] = {}
    stack = [t]
    while stack and len(seen) < 4 * MOST:
        part = stack.pop()
        if part in seen:
            continue
        seen[part] = None
        if part.op == "linear" or is_product(part) or is_group(part):
            stack.extend(reversed(part.args))
        else:
            leaves[part] = None
    return list(leaves)


def is_product(t: Term) -> bool:
    return (
        t.op == "contract" and not contract.contraction_of(t).bound and all(a == b for _, x in contract.factors_of(t) for a, b in x.items())
    )


def is_group(t: Term) -> bool:
    return t.op == "map" and t.attrs == ("group",)


def reads_of(t: Term) -> Reads | None:
    """A sum, multiplied out, by what it reads; None where nothing is moved or it is too long."""
    moved = shifted_axes(t)
    if not moved or t.kind == Kind.BOOL:
        return None
    found: dict[Term, dict[tuple[Reach, ...], Laurent]] = {}
    plain: dict[Term, Coefficient] = {}
    rest: list[tuple[Fraction, Term]] = []
    stack: list[tuple[Coefficient, Term]] = [(ONE, t)]
    count = 0
    while stack:
        q, part = stack.pop()
        count += 1
        if count > 4 * MOST:
            return None
        opened = _opened(q, part, moved)
        if opened is not None:
            stack.extend(reversed(opened))
            continue
        read = read_of(part)
        if read.reaches:
            laurent = found.setdefault(read.base, {}).setdefault(read.reaches, {})
            laurent[read.offsets] = plus(laurent.get(read.offsets, {}), q)
        else:
            plain[part] = plus(plain.get(part, {}), q)
    stencils = [s for base, groups in found.items() for s in _joined(t, base, groups, plain)]
    rest += [(Fraction(1), build.mul(coefficient_term(q), part)) for part, q in plain.items() if q]
    return Reads(stencils, rest)


def _opened(q: Coefficient, part: Term, moved: frozenset[str]) -> list[tuple[Coefficient, Term]] | None:
    """Summands of a sum; the one factor of a product that varies along the axes of shifts, with the others in the coefficient."""
    if part.op == "linear":
        return [(times(q, {(): c}), a) for c, a in zip(part.attrs, part.args, strict=True)]
    if part.op == "cast" and part.args[0].kind > Kind.BOOL and part.kind < Kind.COMPLEX:
        return [(q, part.args[0])]
    if not is_product(part):
        return None
    outer = tuple(sorted((a for a in part.args if moved.isdisjoint(a.axes)), key=lambda t: t.digest))
    inner = [a for a in part.args if not moved.isdisjoint(a.axes)]
    if not outer or len(inner) != 1:
        return None
    return [(times(q, {outer: Fraction(1)}), inner[0])]


def _joined(t: Term, base: Term, groups: Mapping[tuple[Reach, ...], Laurent], plain: dict[Term, Coefficient]) -> list[Stencil]:
    """Reads that move along different axes as one stencil over all of them; several where an axis is continued in two ways."""
    reaches: dict[str, Reach] = {}
    for group in groups:
        for r in group:
            if reaches.setdefault(r.axis, r) != r:
                return [_stencil(t, base, own, laurent) for own, laurent in groups.items()]
    whole = tuple(reaches[axis] for axis in sorted(reaches))
    unmoved = all(r.axis == r.out and t.axes.get(r.out) == base.axes[r.axis] for r in whole)
    if not unmoved and any(group != whole for group in groups):
        return [_stencil(t, base, own, laurent) for own, laurent in groups.items()]
    joined: Laurent = {}
    for own, laurent in groups.items():
        place = {r.axis: k for k, r in enumerate(own)}
        for offsets, q in laurent.items():
            key = tuple(offsets[place[r.axis]] if r.axis in place else 0 for r in whole)
            joined[key] = plus(joined.get(key, {}), q)
    if unmoved and base in plain:
        zero = (0,) * len(whole)
        joined[zero] = plus(joined.get(zero, {}), plain.pop(base))
    return [_stencil(t, base, whole, joined)]


def _stencil(t: Term, base: Term, reaches: tuple[Reach, ...], laurent: Laurent) -> Stencil:
    return Stencil(base, reaches, dict(t.axes), {k: q for k, q in laurent.items() if q})


# to terms


def applied(base: Term, reaches: tuple[Reach, ...], coefficients: Laurent, out: Mapping[str, Size]) -> Term:
    """The sum of reads, equal coefficients collected."""
    by_coefficient: dict[tuple[tuple[Monomial, Fraction], ...], list[tuple[int, Term]]] = {}
    for offsets, q in sorted(coefficients.items()):
        key = tuple(sorted(q.items(), key=lambda item: [t.digest for t in item[0]]))
        negative = tuple((m, -c) for m, c in key)
        read = shifted(base, reaches, offsets, out)
        if negative in by_coefficient:
            by_coefficient[negative].append((-1, read))
        else:
            by_coefficient.setdefault(key, []).append((1, read))
    return build.linear([_weighted(dict(key), build.linear(reads)) for key, reads in by_coefficient.items()])


def _weighted(q: Coefficient, t: Term) -> tuple[Fraction, Term]:
    if set(q) == {()}:
        return q[()], t
    return Fraction(1), build.mul(coefficient_term(q), t)


def sums(terms: Iterable[Term]) -> list[Term]:
    """Sums among terms and below them that are no part of a larger sum."""
    order = walk(list(terms))
    inside = {a for t in order if t.op == "linear" for a in t.args if a.op == "linear"}
    return [t for t in order if t.op == "linear" and t not in inside and t.axes]
