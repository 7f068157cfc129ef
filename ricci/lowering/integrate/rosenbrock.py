"""Rosenbrock-Wanner methods: linearly implicit, one matrix a step, no iteration. For stiff systems.

Hairer, Wanner, Solving Ordinary Differential Equations II, section IV.7 (the form of equation 7.25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.term import Term
from ricci.lowering.integrate.newton import Resolvent
from ricci.lowering.integrate.system import Attempt, Method, System, Terms
from ricci.lowering.integrate.tableaux import RosenbrockTableau


@dataclass(frozen=True)
class Rosenbrock(Method):
    """(1 - gamma dt J) U_i = gamma (dt f(t + alpha_i dt, y + sum a_ij U_j) + sum c_ij U_j + g_i dt^2 f_t); y' = y + sum m_i U_i."""

    tableau: RosenbrockTableau

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
        return True

    @property
    def implicit(self) -> bool:
        return True

    def memory(self, system: System) -> dict[str, Term]:
        return {}

    def start(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        return ()

    def attempt(self, system: System, t: Term, dt: Term, states: Terms, memory: Terms) -> Attempt:
        tableau = self.tableau
        gamma = build.scale(tableau.gamma, dt)
        resolvent = Resolvent(system, gamma, t, states)
        slopes = system.time_slopes(t, states)
        stages: list[Terms] = []
        for a, c, alpha, g in zip(tableau.a, tableau.c, tableau.alpha, tableau.g, strict=True):
            at = tuple(_plus(y, a, [u[i] for u in stages]) for i, y in enumerate(states))
            rates = system.rates(build.add(t, build.scale(alpha, dt)), at)
            right = []
            for i, (rate, slope) in enumerate(zip(rates, slopes, strict=True)):
                parts = [build.mul(gamma, rate), build.scale(tableau.gamma, _sum(c, [u[i] for u in stages], rate))]
                if g:
                    parts.append(build.scale(g, build.mul(gamma, dt, slope)))
                right.append(build.add(*parts))
            stages.append(resolvent.solve(right))
        new = tuple(_plus(y, tableau.m, [u[i] for u in stages]) for i, y in enumerate(states))
        error = tuple(_sum(tableau.error, [u[i] for u in stages], y) for i, y in enumerate(states))
        return Attempt(new, error)


def _sum(weights: Sequence[Fraction], terms: Sequence[Term], model: Term) -> Term:
    """sum weights_i terms_i, a zero like `model` when there is none."""
    used = [(w, u) for w, u in zip(weights, terms, strict=True) if w]
    return build.linear(used) if used else build.scale(0, model)


def _plus(start: Term, weights: Sequence[Fraction], terms: Sequence[Term]) -> Term:
    used = [(w, u) for w, u in zip(weights, terms, strict=True) if w]
    return build.group(build.linear([(Fraction(1), start), *used])) if used else start
