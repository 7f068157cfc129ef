"""Normal forms of index expressions and guards.

  mod    absorbs multiples of n and nested remainders; mod(k*e + r, k*n) = k*mod(e, n) + r for 0 <= r < k
  div    gives up multiples of n; div(k*e + r, k*n) = div(e, n); div(div(e, a) + r, b) = div(e + a*r, a*b)
  both   vanish where the bounds of the operand lie in one period; n*div(e, n) + mod(e, n) = e; e - n*div(e, n) = mod(e, n)
  guard  content and constant moved to the bounds, sign of the leading coefficient positive, bounds cut to those of the index

With these, merge(split(x)) is x and wrapped shifts compose. They hold for n >= 1; a dim never falls below its lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import gcd

from ricci.dsl.division import ONE, ZERO, content, divide, exact_quotient, floor_quotient, larger, lead_sign, smaller
from ricci.dsl.index import Atom, Guard, Index, Ranges
from ricci.dsl.types import Size, at_most


@lru_cache(maxsize=1 << 14)
def simplify(index: Index, ranges: Ranges) -> Index:
    """Normal form of an index whose axes have the given ranges."""
    total = Index.of(index.constant)
    for atom, k in index.terms:
        if atom.kind == "axis":
            total = total + Index({atom: k}, ZERO)
        else:
            total = total + MAKERS[atom.kind](simplify(atom.inner, ranges), atom.size, ranges) * k
    return _pair(total, ranges)


def make_mod(e: Index, n: Size, ranges: Ranges) -> Index:
    """mod(e, n) in normal form."""
    if n.constant is not None and n.constant <= 1:
        return Index.of(0)
    e = _pair(_drop_inner_mod(e, n), ranges)
    period = _period(e, n, ranges)
    if period is not None:
        return e - period * n
    _, e = _reduce(e, n)
    period = _period(e, n, ranges)
    if period is not None:
        return e - period * n
    split = _split(e, n, ranges)
    if split is not None:
        k, high, low, smaller_n = split
        return make_mod(high, smaller_n, ranges) * k + low
    return Index({Atom("mod", "", e, n): ONE}, ZERO)


def make_div(e: Index, n: Size, ranges: Ranges) -> Index:
    """div(e, n) in normal form."""
    if n.constant is not None and n.constant <= 1:
        return e if n.constant == 1 else Index.of(0)
    e = _pair(e, ranges)
    period = _period(e, n, ranges)
    if period is not None:
        return Index.of(period)
    whole, e = _reduce(e, n)
    period = _period(e, n, ranges)
    if period is not None:
        return whole + period
    split = _split(e, n, ranges)
    if split is not None:
        _, high, _, smaller_n = split
        return whole + make_div(high, smaller_n, ranges)
    merged = _nested_div(e, n, ranges)
    return whole + (merged if merged is not None else Index({Atom("div", "", e, n): ONE}, ZERO))


def make_clamp(e: Index, n: Size, ranges: Ranges) -> Index:
    """min(max(e, 0), n - 1) in normal form."""
    low, high = e.bounds(ranges)
    above = low is not None and at_most(ZERO, low)
    below = high is not None and at_most(high, n - 1)
    if above and below:
        return e
    if high is not None and at_most(high, ZERO):
        return Index.of(0)
    if low is not None and at_most(n - 1, low):
        return Index.of(n - 1)
    return Index({Atom("clamp", "", e, n): ONE}, ZERO)


def make_mirror(e: Index, n: Size, ranges: Ranges) -> Index:
    """The fold of period 2n in normal form; mirror(e) = mirror(-1 - e)."""
    if n.constant is not None and n.constant <= 1:
        return Index.of(0)
    period = _period(e, n, ranges)
    if period is not None and period.constant is not None:
        rest = e - period * n
        return rest if period.constant % 2 == 0 else n - 1 - rest
    _, e = _reduce(_drop_inner_mod(e, n * 2), n * 2)
    if e.terms and lead_sign(e.terms[0][1]) < 0:
        _, e = _reduce(-1 - e, n * 2)
    low, high = e.bounds(ranges)
    if low is not None and high is not None and at_most(ZERO, low):
        if at_most(high, n - 1):
            return e
        if at_most(n, low) and at_most(high, n * 2 - 1):
            return n * 2 - 1 - e
    return Index({Atom("mirror", "", e, n): ONE}, ZERO)


MAKERS: dict[str, Callable[[Index, Size, Ranges], Index]] = {
    "mod": make_mod,
    "div": make_div,
    "clamp": make_clamp,
    "mirror": make_mirror,
}


def _period(e: Index, n: Size, ranges: Ranges) -> Size | None:
    """q when q*n <= e < (q+1)*n on all lanes."""
    low, high = e.bounds(ranges)
    if low is None or high is None:
        return None
    if at_most(ZERO, low) and at_most(high, n - 1):
        return ZERO
    q = floor_quotient(low, n)
    return q if q is not None and at_most(high, (q + 1) * n - 1) else None


def _reduce(e: Index, n: Size) -> tuple[Index, Index]:
    """(q, r) with e = q*n + r: coefficients and constant of r reduced by n."""
    whole: dict[Atom, Size] = {}
    rest: dict[Atom, Size] = {}
    for atom, k in e.terms:
        whole[atom], rest[atom] = divide(k, n, balanced=True)
    q, c = divide(e.constant, n)
    if not q.terms and not any(k.terms for k in whole.values()):
        return Index.of(0), e
    return Index(whole, q), Index(rest, c)


def _drop_inner_mod(e: Index, n: Size) -> Index:
    """An index equal to e modulo n, with k*mod(f, m) replaced by k*f where n divides k*m."""
    changed = True
    while changed:
        changed = False
        for atom, k in e.terms:
            if atom.kind == "mod" and exact_quotient(k * atom.size, n) is not None:
                e = e - Index({atom: k}, ZERO) + atom.inner * k
                changed = True
                break
    return e


def _split(e: Index, n: Size, ranges: Ranges) -> tuple[Size, Index, Index, Size] | None:
    """(k, high, low, n/k) with e = k*high + low, 0 <= low < k, k > 1 dividing n; the largest such coefficient k."""
    candidates = {k if lead_sign(k) > 0 else -k for _, k in e.terms}
    for k in sorted(candidates, key=lambda size: (len(size.terms), [c for _, c in size.terms], size.canonical_text()), reverse=True):
        if k == 1:
            continue
        smaller_n = exact_quotient(n, k)
        if smaller_n is None:
            continue
        high: dict[Atom, Size] = {}
        low: dict[Atom, Size] = {}
        for atom, c in e.terms:
            q = exact_quotient(c, k)
            if q is not None:
                high[atom] = q
            else:
                low[atom] = c
        q, c = divide(e.constant, k)
        rest = Index(low, c)
        if _period(rest, k, ranges) == 0:
            return k, Index(high, q), rest, smaller_n
    return None


def _nested_div(e: Index, n: Size, ranges: Ranges) -> Index | None:
    """div(div(f, a) + r, n) = div(f + a*r, a*n), and div(mod(f, n*p), n) = mod(div(f, n), p)."""
    divs = [(atom, k) for atom, k in e.terms if atom.kind == "div"]
    if len(divs) == 1 and divs[0][1] == 1:
        atom = divs[0][0]
        rest = e - Index({atom: ONE}, ZERO)
        return make_div(atom.inner + rest * atom.size, atom.size * n, ranges)
    if len(e.terms) == 1 and not e.constant.terms:
        atom, k = e.terms[0]
        if atom.kind == "mod" and k == 1:
            p = exact_quotient(atom.size, n)
            if p is not None:
                return make_mod(make_div(atom.inner, n, ranges), p, ranges)
    return None


def _pair(e: Index, ranges: Ranges) -> Index:
    """Apply n*div(f, n) + mod(f, n) = f and f - n*div(f, n) = mod(f, n) while they apply."""
    while True:
        joined = _join_remainder(e, ranges)
        if joined is None:
            joined = _form_remainder(e, ranges)
        if joined is None:
            return e
        e = joined


def _join_remainder(e: Index, ranges: Ranges) -> Index | None:
    terms = dict(e.terms)
    for atom, k in e.terms:
        if atom.kind != "mod" or len(terms) < 2:
            continue
        quotient = make_div(atom.inner, atom.size, ranges)
        if len(quotient.terms) == 1 and quotient.terms[0][1] == 1:
            div = quotient.terms[0][0]
            if terms.get(div) == k * atom.size:
                rest = {a: c for a, c in terms.items() if a not in (atom, div)}
                return Index(rest, e.constant) + (atom.inner - quotient.constant * atom.size) * k
    return None


def _form_remainder(e: Index, ranges: Ranges) -> Index | None:
    terms = dict(e.terms)
    for atom, c in e.terms:
        if atom.kind != "div" or len(terms) < 2:
            continue
        k = exact_quotient(-c, atom.size)
        if k is None:
            continue
        if all(terms.get(a) == q * k for a, q in atom.inner.terms):
            used = {a for a, _ in atom.inner.terms} | {atom}
            rest = Index({a: q for a, q in terms.items() if a not in used}, e.constant - atom.inner.constant * k)
            return rest + make_mod(atom.inner, atom.size, ranges) * k
    return None


# guards


def make_guards(guards: Iterable[Guard], ranges: Ranges) -> tuple[Guard, ...] | None:
    """Normal form of a conjunction: proved guards dropped, one guard per index, sorted; None for a contradiction."""
    found: dict[Index, list[Guard]] = {}
    for guard in guards:
        normal = _normal_guard(guard, ranges)
        if normal is None:
            continue
        same = found.setdefault(normal.index, [])
        for i, other in enumerate(same):
            both = _intersect(normal, other)
            if both is not None:
                same[i] = normal = both
                break
        else:
            same.append(normal)
        if _is_empty(normal):
            return None
    kept: list[Guard] = []
    for same in found.values():
        kept.extend(dict.fromkeys(same))
    return tuple(sorted(kept, key=Guard.canonical_text))


def _normal_guard(guard: Guard, ranges: Ranges) -> Guard | None:
    """Constant moved out, content divided, sign fixed, bounds cut to those of the index; None if it always holds."""
    index = guard.index.within(ranges)
    lo, hi = guard.lo, guard.hi
    constant = index.constant
    if constant.terms:
        index = index - constant
        lo, hi = (None if lo is None else lo - constant), (None if hi is None else hi - constant)
    if index.terms and lead_sign(index.terms[0][1]) < 0:
        index = -index
        lo, hi = (None if hi is None else 1 - hi), (None if lo is None else 1 - lo)
    g = gcd(*(content(k) for _, k in index.terms))
    if g > 1:
        low = None if lo is None else floor_quotient(-lo, Size.of(g))
        high = None if hi is None else floor_quotient(-hi, Size.of(g))
        if (low is None) == (lo is None) and (high is None) == (hi is None):
            index = Index({a: divide(k, Size.of(g))[0] for a, k in index.terms}, ZERO)
            lo, hi = (None if low is None else -low), (None if high is None else -high)
    least, greatest = index.bounds(ranges)
    above = lo is None or (least is not None and bool(at_most(lo, least)))
    below = hi is None or (greatest is not None and bool(at_most(greatest, hi - 1)))
    if above and below:
        return None
    end = None if greatest is None else greatest + 1
    if lo is not None and end is not None and at_most(end, lo):
        return Guard(0, Index.of(0), 0)
    if hi is not None and least is not None and at_most(hi, least):
        return Guard(0, Index.of(0), 0)
    return Guard(least if above else lo, index, end if below else hi)


def _intersect(a: Guard, b: Guard) -> Guard | None:
    """One guard for two with the same index, if the order of their bounds is decided."""
    lo = b.lo if a.lo is None else a.lo if b.lo is None else larger(a.lo, b.lo)
    hi = b.hi if a.hi is None else a.hi if b.hi is None else smaller(a.hi, b.hi)
    if (lo is None and (a.lo is not None or b.lo is not None)) or (hi is None and (a.hi is not None or b.hi is not None)):
        return None
    return Guard(lo, a.index, hi)


def _is_empty(guard: Guard) -> bool:
    return guard.lo is not None and guard.hi is not None and bool(at_most(guard.hi, guard.lo))
