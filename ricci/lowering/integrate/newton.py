"""Linear systems (1 - g J) x = b of implicit methods, J matrix-free, and Newton's iteration on top of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, Term
from ricci.lowering.integrate.system import TIME, System, Terms, both, direction_symbols, integer, largest, norm, number, real

FACTOR = real("ctl:factor")
CHANGE, COUNT = real("ctl:newton:change"), integer("ctl:newton:count")
CONVERGED = Fraction(1, 10**10)  # relative change of the solution; convergence is quadratic
MOST = 15
SMALLEST = Fraction(1, 10**300)


@dataclass(frozen=True)
class Resolvent:
    """x -> (1 - factor J(t, y))^-1 x. All solves of one instance share one matrix, so the generated code factors it once."""

    system: System
    factor: Term
    t: Term
    states: Terms

    def solve(self, right: Sequence[Term]) -> Terms:
        """Solution with right-hand sides `right`, one term per state."""
        system = self.system
        directions = direction_symbols(system.program)
        products = system.tangent(TIME, system.symbols, directions)
        roots = [build.sub(d, build.mul(FACTOR, p)) for d, p in zip(directions, products, strict=True)]
        constants = system.constants(roots, directions)
        names = [s.name for s in system.program.states]
        operator = Function("implicit_operator", (*directions, *constants), tuple(zip(names, roots, strict=True)))
        here = {FACTOR: self.factor, TIME: self.t, **dict(zip(system.symbols, self.states, strict=True))}
        values = tuple(here.get(c, c) for c in constants)
        fitted = [_like(b, d) for b, d in zip(right, directions, strict=True)]
        solution = build.library("solve", (*fitted, *values), (operator,))
        return tuple(build.proj(solution, k) for k in range(len(directions)))


def _like(term: Term, model: Term) -> Term:
    """The term with the kind and all axes of `model`."""
    return build.expand(build.cast(term, model.kind), dict(model.axes))


@dataclass(frozen=True)
class Stage:
    """Solution of an implicit stage; `failed`: Newton's iteration did not converge (None: there was none)."""

    states: Terms
    failed: Term | None


def solve_stage(system: System, known: Terms, factor: Term, t: Term, guess: Terms) -> Stage:
    """Y with Y = known + factor * f(t, Y): of a linear system at once, else by Newton's iteration from `guess`."""
    if system.is_linear:
        rates = system.rates(t, guess)
        residual = [build.sub(build.add(o, build.mul(factor, f)), y) for o, f, y in zip(known, rates, guess, strict=True)]
        step = Resolvent(system, factor, t, guess).solve(residual)
        return Stage(tuple(build.group(build.add(y, d)) for y, d in zip(guess, step, strict=True)), None)
    states = system.symbols
    offsets = tuple(build.symbol(f"ctl:known:{s.name}", s.symbol.type) for s in system.program.states)
    rates = system.rates(TIME, states)
    residual = [build.sub(build.add(o, build.mul(FACTOR, f)), y) for o, f, y in zip(offsets, rates, states, strict=True)]
    step = Resolvent(system, FACTOR, TIME, states).solve(residual)
    new = tuple(build.add(y, d) for y, d in zip(states, step, strict=True))
    change = largest([build.divide(norm(d), build.apply("max2", norm(y), number(SMALLEST))) for d, y in zip(step, new, strict=True)])
    carries = (CHANGE, COUNT, *states)
    after = (change, build.add(COUNT, build.const(1)), *new)
    constants = system.constants(after, carries)
    params = (*carries, *constants)
    body = Function("newton_step", params, tuple((name_of(s), a) for s, a in zip(carries, after, strict=True)))
    infinite = build.const(float("inf"))
    going = both(
        build.apply("lt", number(CONVERGED), CHANGE),
        build.apply("lt", COUNT, build.const(MOST)),
        build.apply("or", build.apply("lt", CHANGE, infinite), build.apply("eq", COUNT, build.const(0))),
    )
    outer = {FACTOR: factor, TIME: t, **dict(zip(offsets, known, strict=True))}
    begin = (number(1), build.const(0), *(_like(g, s) for g, s in zip(guess, states, strict=True)))
    values = tuple(_like(outer[c], c) if c in outer else c for c in constants)
    loop = build.iterate(body, Function("newton_goes_on", params, (("going", going),)), begin, values)
    failed = build.apply("not", build.apply("le", build.proj(loop, 0), number(CONVERGED)))
    return Stage(tuple(build.proj(loop, 2 + k) for k in range(len(states))), failed)
