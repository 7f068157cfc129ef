"""Stencils in passes: outer products of stencils along single axes, few of them added, and powers of a periodic stencil.

    sum_ij p_i q_j u[x+i, y+j]      = sum_j q_j (sum_i p_i u[x+i])[y+j]     rank 1; r passes each way for rank r; any number of axes
    P = c Q^2 + d                   = c Q(Q u) + d u                       Q by the square root of a polynomial in shifts, periodic axes

Ranks and roots are decided with rational numbers, never by rounding. Along different axes passes commute whatever happens at the
edges; the pass along the outer axis comes first, so that the next one finds its rows in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import isqrt

from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.egraph.stencils import (
    MOST,
    Coefficient,
    Laurent,
    Offsets,
    Reach,
    Stencil,
    applied,
    common_monomial,
    over_monomial,
    plus,
    reads_of,
    sums,
    times,
)
from ricci.egraph.terms import Loader

FEWEST = 5  # reads of a stencil that is taken apart
HIGHEST_RANK = 3
ROUNDS = 3  # passes are taken apart again


def separate(loader: Loader, limit: int) -> int:
    """Propose passes for the sums among the terms that were loaded; how many were found."""
    made = 0
    pending = list(loader.known)
    seen: set[Term] = set()
    for _ in range(ROUNDS):
        found: list[Term] = []
        for term in sums(pending):
            if term in seen or made >= limit:
                continue
            seen.add(term)
            for form in forms(term):
                loader.space.union(loader.load([form])[0], loader.load([term])[0])
                found.append(form)
                made += 1
        if not found:
            break
        pending = found
    return made


def forms(term: Term) -> list[Term]:
    """Equal terms in which some stencils are computed in passes."""
    reads = reads_of(term)
    if reads is None:
        return []
    out = []
    for decompose in (outer_products, square):
        parts = list(reads.rest)
        done = 0
        for stencil in reads.stencils:
            passes = decompose(stencil) if len(stencil.coefficients) >= FEWEST else None
            done += passes is not None
            whole = applied(stencil.base, stencil.reaches, stencil.coefficients, stencil.axes) if passes is None else passes
            parts.append((Fraction(1), whole))
        if done:
            out.append(build.conform(build.linear(parts), term.type))
    return out


# outer products


def outer_products(stencil: Stencil) -> Term | None:
    """A sum of at most HIGHEST_RANK products of passes; None where that is not fewer reads."""
    if len(stencil.reaches) < 2:
        return None
    common = common_monomial(stencil.coefficients.values())
    laurent = {k: over_monomial(q, common, Fraction(1)) or {} for k, q in stencil.coefficients.items()}
    products = _factored(laurent, len(stencil.reaches))
    if products is None:
        return None
    if sum(len(p) for product in products for p in product) >= len(laurent):
        return None
    total = []
    for product in products:
        value = stencil.base
        for reach, along in zip(stencil.reaches, product, strict=True):
            value = _pass(value, reach, along, stencil.axes)
        total.append(value)
    return build.mul(*common, build.add(*total)) if common else build.add(*total)


Along = dict[int, Coefficient]  # offset along one axis -> coefficient


def _factored(laurent: Laurent, axes: int) -> list[list[Along]] | None:
    """The stencil as a sum of products of stencils along each axis; None where there is none of low rank."""
    if axes == 1:
        return [[{k[0]: q for k, q in laurent.items()}]]
    pairs = _skeleton(laurent)
    if pairs is None:
        return None
    out: list[list[Along]] = []
    for first, rest in pairs:
        below = _factored(rest, axes - 1)
        if below is None:
            return None
        out += [[first, *product] for product in below]
    return out if len(out) <= HIGHEST_RANK else None


def _skeleton(laurent: Laurent) -> list[tuple[Along, Laurent]] | None:
    """sum_r first_r (offset along the first axis) * rest_r (the others), with as few terms as the rank."""
    left = {k: q for k, q in laurent.items() if q}
    out: list[tuple[Along, Laurent]] = []
    while left:
        if len(out) == HIGHEST_RANK:
            return None
        pivot = min(left, key=lambda k: (len(left[k]), sum(map(abs, k)), k))
        row = {k[1:]: q for k, q in left.items() if k[0] == pivot[0]}
        column = {k[0]: q for k, q in left.items() if k[1:] == pivot[1:]}
        shared = common_monomial(row.values())
        number = next(iter(row[pivot[1:]].values()))
        rest = {k: over_monomial(q, shared, Fraction(1)) or {} for k, q in row.items()}
        if len(rest[pivot[1:]]) != 1:
            return None
        ((monomial, number),) = rest[pivot[1:]].items()
        first: Along = {}
        for i, q in column.items():
            quotient = over_monomial(q, monomial, number)
            if quotient is None:
                return None
            first[i] = quotient
        for i, p in first.items():
            for k, q in rest.items():
                changed = plus(left.get((i, *k), {}), times(p, q), Fraction(-1))
                if changed:
                    left[(i, *k)] = changed
                else:
                    left.pop((i, *k), None)
        out.append((first, rest))
    return out


def _pass(value: Term, reach: Reach, along: Along, out: Mapping[str, Size]) -> Term:
    """One pass along one axis, to be computed once."""
    return build.group(applied(value, (reach,), {(k,): q for k, q in along.items()}, out))


# powers


def square(stencil: Stencil) -> Term | None:
    """c Q(Q u) + d u, computed as two passes of Q; None where the stencil is no square."""
    if not stencil.periodic or stencil.base.kind > Kind.REAL:
        return None
    found = root(stencil.coefficients)
    if found is None:
        return None
    scale, q, rest = found
    if len(q) < 2:
        return None
    inner = build.group(applied(stencil.base, stencil.reaches, q, stencil.axes))
    outer = applied(inner, stencil.reaches, q, stencil.axes)
    parts = [(scale, build.group(outer))]
    if rest:
        parts.append((Fraction(1), applied(stencil.base, stencil.reaches, {(0,) * len(stencil.reaches): rest}, stencil.axes)))
    return build.linear(parts)


def root(p: Laurent) -> tuple[Fraction, Laurent, Coefficient] | None:
    """(c, Q, d) with P = c Q^2 + d, d at the offset 0. The ends of Q are roots of the ends of P, the rest follows by division."""
    ends = _root_of_end(max(p), p), _root_of_end(min(p), p)
    zero = (0,) * len(max(p))
    if ends[0] is None or ends[1] is None or not min(p) < zero < max(p):
        return None
    scale = ends[0][2]
    for sign in (1, -1):
        q = _root_between(p, ends[0], ends[1], sign) if ends[1][2] == scale else None
        if q is not None:
            left = _minus_square(p, q, scale)
            if all(k == zero for k in left) and _harmless(left.get(zero, {}), p):
                return scale, q, left.get(zero, {})
    return None


def _harmless(rest: Coefficient, p: Laurent) -> bool:
    """Whether what is taken off the square is certainly no larger than the stencil's own coefficients: else digits would cancel."""
    own = [(m, abs(number)) for q in p.values() for m, number in q.items()]
    return all(any(abs(number) <= size and _at_most(m, n) for n, size in own) for m, number in rest.items())


def _at_most(m: tuple[Term, ...], n: tuple[Term, ...]) -> bool:
    """Whether n is m times sizes of axes, which are at least one."""
    more = list(n)
    for factor in m:
        if factor not in more:
            return False
        more.remove(factor)
    return all(factor.op == "symbol" and name_of(factor).startswith("#") for factor in more)


End = tuple[Offsets, Coefficient, Fraction]  # offset and coefficient of an end of Q, and the number c


def _root_of_end(offset: Offsets, p: Laurent) -> End | None:
    """The end of Q whose square, times c, is the end of P."""
    if len(p[offset]) != 1 or any(k % 2 for k in offset):
        return None
    ((monomial, number),) = p[offset].items()
    half = monomial[::2]
    if half != monomial[1::2]:
        return None
    size = _root_of(abs(number))
    scale = Fraction(1) if size is not None else abs(number)
    return tuple(k // 2 for k in offset), {half: size or Fraction(1)}, -scale if number < 0 else scale


def _root_between(p: Laurent, top: End, low: End, sign: int) -> Laurent | None:
    """Q with given ends, from what is left of P at offsets above 0, largest first."""
    ((begin, size),) = top[1].items()
    q: Laurent = {top[0]: top[1], low[0]: {m: sign * v for m, v in low[1].items()}}
    zero = (0,) * len(top[0])
    box = [(min(ks), max(ks)) for ks in zip(*p, strict=True)]
    for _ in range(MOST):
        left = {k: v for k, v in _minus_square(p, q, top[2]).items() if k > zero}
        if not left:
            return q
        offset = max(left)
        at = tuple(a - b for a, b in zip(offset, top[0], strict=True))
        more = over_monomial(left[offset], begin, 2 * size * top[2])
        inside = all(lo <= 2 * k <= hi for k, (lo, hi) in zip(at, box, strict=True))
        if more is None or not low[0] < at < top[0] or not inside:
            return None
        q[at] = plus(q.get(at, {}), more)
    return None


def _minus_square(p: Laurent, q: Laurent, scale: Fraction) -> Laurent:
    left = dict(p)
    for a, x in q.items():
        for b, y in q.items():
            k = tuple(i + j for i, j in zip(a, b, strict=True))
            left[k] = plus(left.get(k, {}), times(x, y), -scale)
    return {k: v for k, v in left.items() if v}


def _root_of(q: Fraction) -> Fraction | None:
    a, b = isqrt(q.numerator), isqrt(q.denominator)
    return Fraction(a, b) if a * a == q.numerator and b * b == q.denominator else None
