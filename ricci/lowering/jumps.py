"""Times at which a right-hand side jumps: t* with g(t*, params) = 0, where g decides a comparison or a step of the time alone.

An adaptive integrator sees a right-hand side at its stages only: a pulse between them changes nothing and is stepped over. The
times of such switches are therefore stops of a run. Found are comparisons, `sign`, `heaviside`, `floor`, `ceil`, `round` and
`mod` whose arguments are linear in t, or in one `mod(.., period)` that is linear in t; conditions that depend on the state are
for the error estimate and for events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ricci.dsl import build, reference
from ricci.dsl.derivative import active, depends, split_linear
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, symbols, walk

COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
ZERO_STEPS = frozenset({"sign", "heaviside"})
WHOLE_STEPS = frozenset({"floor", "ceil"})
MOST = 100_000  # switches of one kind in a run; more are not told apart by any step


@dataclass(frozen=True)
class Jump:
    """Times first + k*period for all whole k, or `first` alone; where `within` is given, only if 0 <= within < size."""

    first: Term
    period: Term | None = None
    within: tuple[Term, Term] | None = None

    @property
    def terms(self) -> list[Term]:
        return [t for t in (self.first, self.period, *(self.within or ())) if t is not None]

    def times(self, end: float, values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[float]:
        """Those between 0 and `end`, both excluded."""
        found = iter(float(v) for v in reference.evaluate(self.terms, values, sizes))
        first = next(found)
        period = 0.0 if self.period is None else abs(next(found))
        if self.within is not None:
            inside, size = next(found), next(found)
            if not (min(0.0, size) <= inside <= max(0.0, size)):
                return
        if period == 0.0:
            candidates: Iterable[float] = [first]
        elif not 0 < end / period < MOST:
            return
        else:
            start = -int(first // period)
            candidates = (first + k * period for k in range(start, start + int(end / period) + 2))
        yield from (t for t in candidates if 0 < t < end)


def jumps(roots: Iterable[Term], time: Term, params: Iterable[Term]) -> list[Jump]:
    """The switches of functions whose results are `roots`, as terms over params; none depends on a state or a place."""
    known = {*params, time}
    found: dict[Jump, None] = {}
    roots = list(roots)
    moving = active(roots, [time])
    for term in walk(roots):
        if term.op != "map" or term not in moving or term.axes or not set(_free(term)) <= known:
            continue
        name = str(term.attrs[0])
        if name in COMPARISONS:
            found.update(dict.fromkeys(_zeros(build.sub(*term.args), time)))
        elif name in ZERO_STEPS:
            found.update(dict.fromkeys(_zeros(term.args[0], time)))
        elif name in WHOLE_STEPS or name == "round":
            half = build.const(0) if name != "round" else build.scale(build.HALF, build.const(1))
            found.update(dict.fromkeys(_every(build.sub(term.args[0], half), build.const(1), time)))
        elif name == "mod":
            found.update(dict.fromkeys(_every(term.args[0], term.args[1], time)))
    return list(found)


def _free(term: Term) -> list[Term]:
    return [s for s in symbols([term]) if not name_of(s).startswith("#")]


def _root(term: Term, node: Term) -> tuple[Term, Term] | None:
    """(coefficient, value of `node`) with term = 0, if the term is linear in the node."""
    split = split_linear(term, node) if depends(term, node) else None
    if split is None:
        return None
    coefficient, rest = split
    return coefficient, build.neg(build.mul(rest, build.apply("recip", coefficient)))


def _zeros(term: Term, time: Term) -> list[Jump]:
    """Where a term of the time is zero."""
    folded = [t for t in walk([term]) if t.op == "map" and t.attrs[0] == "mod" and depends(t, time)]
    if not folded:
        found = _root(term, time)
        return [] if found is None else [Jump(found[1])]
    if len(folded) > 1:
        return []
    (node,) = folded
    outer = _root(term, node)
    inner = _root(node.args[0], time)
    if outer is None or inner is None or depends(outer[1], time):
        return []
    value, (argument, period) = outer[1], node.args
    at = _root(build.sub(argument, value), time)
    if at is None:
        return []
    return [Jump(at[1], build.mul(period, build.apply("recip", inner[0])), (value, period))]


def _every(argument: Term, period: Term, time: Term) -> list[Jump]:
    """Where a term of the time is a multiple of a period."""
    found = _root(argument, time)
    if found is None or depends(period, time):
        return []
    return [Jump(found[1], build.mul(period, build.apply("recip", found[0])))]
