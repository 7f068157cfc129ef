"""The leapfrog (Störmer-Verlet) method for equations of second order in time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.derivative import tangent
from ricci.dsl.program import Program
from ricci.dsl.remedies import with_options
from ricci.dsl.term import Term, substitute, symbols, walk
from ricci.dsl.types import Kind
from ricci.errors import CannotLower, Span
from ricci.lowering.integrate.system import TIME, Attempt, Method, System, Terms, decays, real

HALF = Fraction(1, 2)
LAST = real("ctl:last:dt")


@dataclass(frozen=True)
class Pair:
    """A field of second order: places of its value and of its velocity among the states, and y'' = force + damping * y'.

    `damping`: None where the acceleration does not depend on the velocity.
    """

    value: int
    velocity: int
    damping: Term | None


@dataclass(frozen=True)
class Leapfrog(Method):
    """(y+ - 2 y + y-)/dt^2 = f(t, y) + g (y+ - y-)/(2 dt). Symplectic for g = 0, of order 2, stable for |lambda| dt <= 2.

    The loop carries y and y- (in the place of the velocity), two arrays a field. Where it begins, y- follows from the velocity v; where it ends, v from
    y-: (1 - g dt/2) v = (y - y-)/dt + dt/2 f(y). Steps of other lengths, as the last one may have: D+ (1 - g h/2) = D (1 + g h/2) + h f
    with D = (y - y-)/dt, D+ = (y+ - y)/dt+, h = (dt + dt+)/2. Cost: one right-hand side a step.

    Source: Hairer, Lubich, Wanner, Geometric numerical integration illustrated by the Störmer-Verlet method (Acta Numerica, 2003).
    """

    name: str = "leapfrog"
    order: int = 2
    error_order: int = 2
    adaptive: bool = False
    implicit: bool = False
    rounds_states: bool = True

    def memory(self, system: System) -> dict[str, Term]:
        return {"ctl:last:dt": LAST}

    def start(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        assert dt is not None
        return (dt,)

    def enter(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        """y and y- at (t, states)."""
        assert dt is not None
        out = list(states)
        for pair, force, damping in self._parts(system, t, states):
            v = states[pair.velocity]
            inside = v if damping is None else build.mul(v, _one_plus(-HALF, dt, damping))
            difference = build.sub(inside, build.mul(build.scale(HALF, dt), force))
            out[pair.velocity] = build.sub(states[pair.value], build.mul(dt, difference))
        return tuple(out)

    def leave(self, system: System, t: Term, states: Terms, memory: Terms) -> Terms:
        """Values and velocities at t."""
        dt = memory[0]
        out = list(states)
        for pair, force, damping in self._parts(system, t, states):
            difference = build.divide(build.sub(states[pair.value], states[pair.velocity]), dt)
            v = build.add(difference, build.mul(build.scale(HALF, dt), force))
            out[pair.velocity] = v if damping is None else build.divide(v, _one_plus(-HALF, dt, damping))
        return tuple(out)

    def attempt(self, system: System, t: Term, dt: Term, states: Terms, memory: Terms) -> Attempt:
        last = memory[0]
        h = build.scale(HALF, build.add(dt, last))
        out = list(states)
        for pair, force, damping in self._parts(system, t, states):
            y, before = states[pair.value], states[pair.velocity]
            ratio = build.divide(dt, last)
            moved, pushed = build.mul(ratio, build.sub(y, before)), build.mul(build.mul(dt, h), force)
            if damping is not None:
                moved = build.mul(moved, _one_plus(HALF, h, damping))
                total = build.divide(build.add(moved, pushed), _one_plus(-HALF, h, damping))
                out[pair.value] = build.group(build.add(y, total))
            else:
                out[pair.value] = build.group(build.add(y, moved, pushed))
            out[pair.velocity] = y
        return Attempt(tuple(out), None, (dt,))

    def amplification(self, eigenvalue: complex, dt: float) -> float | None:
        """Largest |x| of x^2 - (2 + z^2) x + 1 = 0, z = i dt |Im eigenvalue|: damping is centred and amplifies nothing."""
        z = 0j if decays(eigenvalue) else 1j * abs(eigenvalue.imag) * dt
        middle = 1 + z * z / 2
        root = (middle * middle - 1) ** 0.5
        return max(abs(middle + root), abs(middle - root))

    def require(self, program: Program, span: Span | None) -> None:
        try:
            if any(name.startswith("event:") for name in program.functions):
                raise ValueError("the model has an `event`")
            pairs_of(program)
        except ValueError as reason:
            message = f"this version cannot run `leapfrog` here: {reason}"
            raise CannotLower("E0601", message, span, help=with_options(program.statement, [("time", "dp54")])) from None

    def _parts(self, system: System, t: Term, states: Terms) -> list[tuple[Pair, Term, Term | None]]:
        """Accelerations at rest f(t, y), and dampings g(t, y), at (t, states)."""
        pairs = pairs_of(system.program)
        at = list(states)
        for pair in pairs:
            at[pair.velocity] = build.zero(states[pair.velocity].type)
        found = system.rates(t, at)
        here = {TIME: t, **dict(zip(system.symbols, at, strict=True))}
        dampings = [None if p.damping is None else substitute([p.damping], here)[0] for p in pairs]
        return [(pair, found[pair.velocity], damping) for pair, damping in zip(pairs, dampings, strict=True)]


def _one_plus(factor: Fraction, dt: Term, damping: Term) -> Term:
    return build.add(build.const(1, Kind.REAL), build.scale(factor, build.mul(dt, damping)))


def pairs_of(program: Program) -> list[Pair]:
    """Values with their velocities; ValueError with the reason where the method does not fit."""
    states = program.states
    roots = program.functions["rhs"].roots
    speeds = {s.field: k for k, s in enumerate(states) if s.time_order == 1}
    pairs = []
    for k, state in enumerate(states):
        if state.time_order == 1:
            continue
        partner = speeds.get(state.field)
        if partner is None or roots[k] is not states[partner].symbol:
            raise ValueError(f"the equation of `{state.field}` is of first order in time")
        pairs.append(Pair(k, partner, _damping(state.field, roots[partner], partner, program)))
    return pairs


def _damping(field: str, rate: Term, partner: int, program: Program) -> Term | None:
    """g of an acceleration f(t, y) + g y'."""
    v = program.states[partner].symbol
    velocities = {s.symbol for s in program.states if s.time_order == 1}
    used = velocities & set(symbols([rate]))
    if not used:
        return None
    g = tangent([rate], {v: build.expand(build.const(1, Kind.REAL), v.axes)})[0]
    rest = substitute([rate], {v: build.zero(v.type)})[0]
    if used != {v} or not _is_multiple(rate, v) or velocities & set(symbols([g, rest])):
        raise ValueError(f"the acceleration of `{field}` is no multiple of its velocity plus what does not depend on velocities")
    return g


def _is_multiple(rate: Term, v: Term) -> bool:
    """Whether rate = f + g v at every point: v passes through sums and products of values at one place only."""
    depends = {v}
    for term in walk([rate]):
        inner = [a for a in term.args if a in depends]
        if not inner:
            continue
        depends.add(term)
        passed = term.op in ("linear", "cast") or (term.op == "map" and term.attrs[0] == "group")
        if not (passed or (term.op == "contract" and len(inner) == 1)) or not set(v.axes) <= set(term.axes):
            return False
    return True


__all__ = ["Leapfrog", "pairs_of"]
