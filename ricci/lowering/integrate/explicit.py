"""Explicit Runge-Kutta methods: any tableau with a strictly lower triangular matrix."""

from __future__ import annotations

from dataclasses import dataclass

from ricci.dsl import build
from ricci.dsl.term import Term
from ricci.lowering.integrate.system import Attempt, Method, System, Terms, combination
from ricci.lowering.integrate.tableaux import Row, Tableau


@dataclass(frozen=True)
class Explicit(Method):
    """k_i = f(t + c_i dt, y + dt sum_j a_ij k_j); y' = y + dt sum b_i k_i. Cost: one right-hand side a stage.

    When the last stage is the derivative at y', it is kept as the first stage of the next step (memory `rate:NAME`).
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
        return False

    def memory(self, system: System) -> dict[str, Term]:
        if not self.tableau.first_same_as_last:
            return {}
        return {(name := f"ctl:rate:{s.name}"): build.symbol(name, s.symbol.type) for s in system.program.states}

    def start(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        return system.rates(t, states) if self.tableau.first_same_as_last else ()

    def attempt(self, system: System, t: Term, dt: Term, states: Terms, memory: Terms) -> Attempt:
        tableau = self.tableau
        stages: list[Terms] = []
        new = states
        for row, c in zip(tableau.a, tableau.c, strict=True):
            if not stages and memory:
                stages.append(memory)
                continue
            at = self._combined(dt, row, states, stages)
            new = at
            stages.append(system.rates(build.add(t, build.scale(c, dt)), at))
        if not tableau.first_same_as_last:
            new = self._combined(dt, tableau.b, states, stages)
        error = None
        if tableau.error is not None:
            error = tuple(
                build.mul(dt, build.linear([(w, k[i]) for w, k in zip(tableau.error, stages, strict=True) if w]))
                for i in range(len(states))
            )
        return Attempt(new, error, stages[-1] if memory else ())

    def amplification(self, eigenvalue: complex, dt: float) -> float | None:
        return abs(stability(self.tableau, eigenvalue * dt))

    def _combined(self, dt: Term, weights: Row, states: Terms, stages: list[Terms]) -> Terms:
        return tuple(combination(y, dt, weights, [k[i] for k in stages]) for i, y in enumerate(states))


def stability(tableau: Tableau, z: complex) -> complex:
    """R(z) = 1 + z b (1 - z A)^-1 1, the factor by which a step multiplies y of y' = lambda y, z = lambda dt."""
    stages: list[complex] = []
    for row in tableau.a:
        stages.append(1 + z * sum(float(a) * k for a, k in zip(row, stages, strict=False)))
    return 1 + z * sum(float(b) * k for b, k in zip(tableau.b, stages, strict=True))
