"""Diagonally implicit Runge-Kutta methods: stages one after another, each by Newton's iteration with the exact Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

from ricci.dsl import build
from ricci.dsl.term import Term
from ricci.lowering.integrate.newton import Resolvent, solve_stage
from ricci.lowering.integrate.system import Attempt, Method, System, Terms, combination
from ricci.lowering.integrate.tableaux import Tableau


@dataclass(frozen=True)
class DiagonallyImplicit(Method):
    """Y_i = y + dt sum_{j<=i} a_ij f(t + c_j dt, Y_j); y' = y + dt sum b_i f_i.

    The error estimate is filtered by (1 - a dt J)^-1, so that stiff components do not dominate it (Hosea, Shampine 1996).
    """

    tableau: Tableau

    @property
    def name(self) -> str:
        return self.tableau.name

    @property
    def order(self) -> int:
        return self.tableau.order

    @property
    def error_order(self) -> int:
        return self.tableau.error_order

    @property
    def adaptive(self) -> bool:
        return self.tableau.error is not None

    @property
    def implicit(self) -> bool:
        return True

    def memory(self, system: System) -> dict[str, Term]:
        return {}

    def start(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        return ()

    def attempt(self, system: System, t: Term, dt: Term, states: Terms, memory: Terms) -> Attempt:
        tableau = self.tableau
        rates: list[Terms] = []
        failed: Term | None = None
        at = states
        for row, c in zip(tableau.a, tableau.c, strict=True):
            *before, diagonal = row
            time = build.add(t, build.scale(c, dt))
            if not diagonal:
                rates.append(system.rates(time, states))
                continue
            known = tuple(combination(y, dt, before, [k[i] for k in rates]) for i, y in enumerate(states))
            factor = build.scale(diagonal, dt)
            stage = solve_stage(system, known, factor, time, at)
            at = stage.states
            if stage.failed is not None:
                failed = stage.failed if failed is None else build.apply("or", failed, stage.failed)
            rates.append(tuple(build.group(build.divide(build.sub(a, k), factor)) for a, k in zip(at, known, strict=True)))
        new = at
        if tableau.a[-1] != tableau.b:
            new = tuple(combination(y, dt, tableau.b, [k[i] for k in rates]) for i, y in enumerate(states))
        error = None
        if tableau.error is not None:
            raw = [
                build.mul(dt, build.linear([(w, k[i]) for w, k in zip(tableau.error, rates, strict=True) if w])) for i in range(len(states))
            ]
            error = Resolvent(system, build.scale(tableau.a[-1][-1], dt), build.add(t, dt), new).solve(raw)
        return Attempt(new, error, (), failed)
