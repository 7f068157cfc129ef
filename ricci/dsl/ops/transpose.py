"""The transpose of a reindex, again a sum of contracts of reindexes: t_bar[a] = Sum_o [guards(o)] [index(o) = a] g[o].

Each equation index_a(o) = a is solved for one out axis where possible; out axes that remain are summed:
  k*o + rest = a, 0 <= rest < k     o = div(a, k), rest = mod(a, k)
  k*o + rest = a                    o = div(a - rest, k) where k divides it; the largest axis is solved, small ones stay
  mod(e, n) = a                     o = mod(a - rest, n), else e = a + n*w over a new axis w of wraps
  div(e, n) = a                     e = n*a + r over a new axis r of remainders
  clamp, mirror                     disjoint cases, one term each
  anything else                     a guard (always right, only slower)
Source: shared/design/algebra.md, 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ricci.dsl.division import ONE, ZERO, floor_quotient
from ricci.dsl.index import Atom, Guard, Index, Ranges
from ricci.dsl.ops import contract, linear, reindex
from ricci.dsl.term import Term
from ricci.dsl.types import Size, at_most


@dataclass
class _System:
    """Equations D = 0 in `unknown` axes (summed in the end) and axes of the argument; `solution` gives each out axis."""

    known: dict[str, Size]
    unknown: dict[str, Size]
    equations: list[Index]
    solution: dict[str, Index]
    guards: list[Guard]
    names: set[str] = field(default_factory=set)

    @property
    def ranges(self) -> Ranges:
        return Ranges.of({**self.known, **self.unknown})

    def fresh(self, base: str, size: Size) -> Index:
        """A new unknown axis."""
        name = base
        while name in self.names:
            name += "~"
        self.names.add(name)
        self.unknown[name] = size
        return Index.axis(name)

    def solve(self, name: str, value: Index) -> None:
        """Put `value` for an unknown, on the condition that it lies in the range of that axis."""
        size = self.unknown.pop(name)
        new = {name: value}
        self.guards = [g.substitute(new) for g in self.guards] + [Guard(0, value, size)]
        self.equations = [e.substitute(new) for e in self.equations]
        self.solution = {o: e.substitute(new) for o, e in self.solution.items()}

    def copy(self) -> _System:
        return _System(self.known, dict(self.unknown), list(self.equations), dict(self.solution), list(self.guards), set(self.names))


def transpose_pull(
    g: Term, source: Mapping[str, Size], out: Mapping[str, Size], index: Mapping[str, Index], guards: Sequence[Guard]
) -> Term:
    """Cotangent of t in out[o] = t[index(o)] where the guards hold: axes `source`, kind of g (whose axes are `out`)."""
    system = _System(dict(source), {}, [], {}, [], set(source) | set(out))
    system.names -= set(out) - set(source)
    place = {o: system.fresh(o, size) for o, size in out.items()}
    system.solution = dict(place)
    system.guards = [guard.substitute(place) for guard in guards]
    system.equations = [e.substitute(place) - Index.axis(a) for a, e in index.items()]
    parts = []
    pending = [system]
    while pending:
        one = pending.pop()
        while one.equations or _equation_of_guard(one):
            cases = _step(one)
            if cases is not None:
                pending.extend(cases)
                break
        else:
            parts.append((Fraction(1), _term(one, g)))
    return linear.make_linear(parts)


def _equation_of_guard(system: _System) -> bool:
    """Turn a guard that fixes an unknown (`o == c`) into an equation, which is sure to be solved."""
    for guard in system.guards:
        if guard.lo is None or guard.hi is None or guard.hi - guard.lo != 1:
            continue
        index = guard.index.within(system.ranges)
        for atom, k in index.terms:
            apart = all(atom.axis not in _axes(a) for a, _ in index.terms if a != atom)
            if atom.kind == "axis" and atom.axis in system.unknown and k.constant in (1, -1) and apart:
                system.guards.remove(guard)
                system.equations.append(guard.index - guard.lo)
                return True
    return False


def _step(system: _System) -> list[_System] | None:
    """Treat one equation; a list of disjoint cases replaces the system."""
    ranges = system.ranges
    equation = system.equations.pop(0).within(ranges)
    open_terms = [(a, k) for a, k in equation.terms if not _axes(a).isdisjoint(system.unknown)]
    if not open_terms:
        system.guards.append(Guard(0, equation, 1))
        return None
    if _split(system, equation, open_terms, ranges) or _pivot(system, equation, open_terms):
        return None
    for atom, k in open_terms:
        others = [a for a, _ in equation.terms if a != atom]
        apart = all(_axes(a).isdisjoint(_axes(atom) & system.unknown.keys()) for a in others)
        if atom.kind == "axis" or not apart or k.constant not in (1, -1):
            continue
        value = (equation - Index({atom: k}, ZERO)) * -k
        if atom.kind == "mod" and _mod(system, atom, value, ranges):
            return None
        if atom.kind == "div":
            rest = system.fresh("r", atom.size)
            system.equations.append(atom.inner - value * atom.size - rest)
            return None
        if atom.kind in ("clamp", "mirror"):
            return _cases(system, atom, value, ranges)
    system.guards.append(Guard(0, equation, 1))
    return None


def _axes(atom: Atom) -> frozenset[str]:
    return frozenset((atom.axis,)) if atom.kind == "axis" else atom.inner.axes


def _split(system: _System, equation: Index, open_terms: Sequence[tuple[Atom, Size]], ranges: Ranges) -> bool:
    """k*atom + rest = value with c <= rest < c + k: atom = div(value - c, k), rest = mod(value - c, k) + c."""
    closed = equation - Index(dict(open_terms), ZERO)
    for atom, k in open_terms:
        positive = at_most(ONE, k)
        if not positive and not at_most(k, Size.of(-1)):
            continue
        size = k if positive else -k
        rest = Index({a: c if positive else -c for a, c in open_terms if a != atom}, ZERO)
        low, high = rest.bounds(ranges)
        if low is None or high is None or not at_most(high - low, size - 1):
            continue
        if size == 1 and not rest.terms and atom.kind != "axis":
            continue
        value = (-closed if positive else closed) - low
        if atom.kind == "axis":
            solved = value.div(size).within(ranges)
            remains = rest - value.mod(size).within(ranges) - low
            system.equations.append(remains)
            system.solve(atom.axis, solved)
        else:
            system.equations.append(Index({atom: ONE}, ZERO) - value.div(size))
            system.equations.append(rest - value.mod(size) - low)
        return True
    return False


def _pivot(system: _System, equation: Index, open_terms: Sequence[tuple[Atom, Size]]) -> bool:
    """Solve for the largest axis that occurs once, with a coefficient of known sign."""
    best: tuple[tuple[bool, int, bool, str], Atom, Size] | None = None
    for atom, k in open_terms:
        if atom.kind != "axis" or any(atom.axis in _axes(a) for a, _ in equation.terms if a != atom):
            continue
        if not at_most(ONE, k) and not at_most(k, Size.of(-1)):
            continue
        extent = system.unknown[atom.axis].constant
        rank = (extent is None, extent or 0, k.constant in (1, -1), atom.axis)
        if best is None or rank > best[0]:
            best = (rank, atom, k)
    if best is None:
        return False
    _, atom, k = best
    rest = equation - Index({atom: k}, ZERO)
    value, size = (-rest, k) if at_most(ONE, k) else (rest, -k)
    if size != 1:
        system.guards.append(Guard(0, value.mod(size), 1))
        value = value.div(size)
    system.solve(atom.axis, value)
    return True


def _mod(system: _System, atom: Atom, value: Index, ranges: Ranges) -> bool:
    """mod(e, n) = value: solve for an axis of e with coefficient +-1, else e = value + n*w over the wraps w."""
    e, n = atom.inner, atom.size
    in_range = Guard(0, value, n)
    for inner, k in e.terms:
        once = all(inner.axis not in _axes(a) for a, _ in e.terms if a != inner)
        if inner.kind != "axis" or inner.axis not in system.unknown or k.constant not in (1, -1) or not once:
            continue
        extent = system.unknown[inner.axis]
        wraps = floor_quotient(extent - 1, n)
        if wraps is None and not at_most(extent, n):
            continue
        solved = ((value - (e - Index({inner: k}, ZERO))) * k).mod(n)
        if wraps is not None and wraps != 0:
            solved = solved + system.fresh("w", wraps + 1) * n
        system.guards.append(in_range)
        system.solve(inner.axis, solved)
        return True
    low, high = e.bounds(ranges)
    first = None if low is None else floor_quotient(low, n)
    last = None if high is None else floor_quotient(high, n)
    if first is None or last is None:
        return False
    wrap = system.fresh("w", last - first + 1)
    system.guards.append(in_range)
    system.equations.append(e - value - (wrap + first) * n)
    return True


def _cases(system: _System, atom: Atom, value: Index, ranges: Ranges) -> list[_System]:
    """Disjoint cases of clamp(e, n) = value and mirror(e, n) = value."""
    e, n = atom.inner, atom.size
    inside = system.copy()
    inside.guards.append(Guard(0, value, n))
    if atom.kind == "mirror":
        folded = inside.copy()
        inside.equations.append(e.mod(n * 2) - value)
        folded.equations.append(e.mod(n * 2) - (n * 2 - 1 - value))
        return [folded, inside]
    inside.equations.append(e - value)
    low, high = e.bounds(ranges)
    below, above = system.copy(), system.copy()
    below.guards += [Guard(low, e, 0), Guard.equal(value, 0)]
    above.guards += [Guard(n, e, None if high is None else high + 1), Guard.equal(value, n - 1)]
    return [above, below, inside]


def _term(system: _System, g: Term) -> Term:
    """Sum over the unknowns of g pulled; guards that concern no axis of the pull are a separate indicator."""
    core: set[str] = set(system.unknown).union(*(e.axes for e in system.solution.values()))
    guards = list(dict.fromkeys(system.guards))
    grown = True
    while grown:
        grown = False
        for guard in guards:
            if not guard.axes <= core and not guard.axes.isdisjoint(core):
                core |= guard.axes
                grown = True
    sizes = {**system.known, **system.unknown}
    inside = [guard for guard in guards if guard.axes & core or not guard.axes]
    outside = [guard for guard in guards if guard.axes and not guard.axes & core]
    pulled = reindex.make_reindex(g, {a: sizes[a] for a in core}, system.solution, inside, 0)
    factors: list[tuple[Term, Mapping[str, str | int]]] = [(pulled, {})]
    if outside:
        axes = {a: sizes[a] for guard in outside for a in guard.axes}
        factors.append((reindex.indicator(axes, outside), {}))
    return reindex.expand(contract.make_contract(factors, system.unknown), system.known)
