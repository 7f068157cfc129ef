"""Choice of the time integrator: what the model names, or else the cheapest for the tolerance, with the reasons.

Costs are in units of one right-hand side. Explicit methods pay for stability (the fastest decay rate of the Jacobian times
dt is bounded) or for accuracy; implicit ones for accuracy and for linear solves whose cost depends on the dimension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ricci.dsl import reference
from ricci.dsl.model import Model, Option, Unit
from ricci.dsl.program import Choice, Program
from ricci.dsl.remedies import quantity, time_unit, with_options
from ricci.errors import CannotLower
from ricci.lowering.integrate.explicit import Explicit
from ricci.lowering.integrate.methods import METHODS, Integrator, named
from ricci.lowering.integrate.spectrum import Rates, rates
from ricci.lowering.integrate.system import Method, decays
from ricci.lowering.integrate.tableaux import Tableau

WORTH = 3.0  # an implicit method must promise to be this many times cheaper: its estimate is the less certain one
FEW = 1000  # explicit steps for stability that are hardly worth avoiding
EXCESS = math.log(1e4)  # amplification of a mode over the run that shows an unstable step


@dataclass(frozen=True)
class Candidate:
    """Estimated steps of a method: for stability and for accuracy; cost of one step in right-hand sides."""

    name: str
    stable: float
    accurate: float
    cost: float

    @property
    def steps(self) -> float:
        return max(self.stable, self.accurate)

    @property
    def total(self) -> float:
        return self.steps * self.cost


def choose(model: Model, program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> tuple[Integrator, list[Choice]]:
    """The integrator for a program with `rhs_tangent`, and the reason. `values`: every argument by name."""
    option = _option(model)
    end = _end(program, values, sizes)
    if option is not None:
        integrator = named(option)
        if integrator.dt is not None:
            _check_step(integrator, program, values, sizes, end)
        return integrator, [Choice("time", _text(integrator, values, sizes), "named in the model")]
    if end <= 0 or not program.states:
        return Integrator(METHODS["dp54"]), [Choice("time", "dp54", "there is nothing to integrate")]
    found = rates(program, values, sizes, end)
    candidates = _candidates(program, sizes, found, end)
    best = _best(candidates, found)
    return Integrator(METHODS[best.name]), [Choice("time", best.name, _reason(best, candidates, program, found, end))]


def _option(model: Model) -> Option | None:
    solve = next((s for s in model.solves if not s.goal), None)
    return solve.option("time") if solve else None


def _end(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> float:
    if program.end is None:
        return 0.0
    return float(reference.evaluate([program.end], dict(values), dict(sizes))[0])


def _text(integrator: Integrator, values: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    if integrator.dt is None:
        return integrator.method.name
    dt = float(reference.evaluate([integrator.dt], dict(values), dict(sizes))[0])
    return f"{integrator.method.name}(dt={dt:g})"


def _candidates(program: Program, sizes: Mapping[str, int], found: Rates, end: float) -> list[Candidate]:
    tolerance = max(program.tolerance, 1e-14)
    candidates = []
    # one explicit method only: a changed value or grid must not change the generated code without need
    method = METHODS["dp54"]
    assert isinstance(method, Explicit)
    stable = end * abs(found.fastest) / _limit(method.tableau, found.fastest)
    candidates.append(Candidate(method.name, stable, _accurate(found, end, tolerance, method.error_order), method.tableau.stages - 1.0))
    if any(s.symbol.kind > 2 for s in program.states):  # complex: the linear solves are real
        return candidates
    name = "rodas5p" if tolerance < 1e-7 else "rodas4p"
    accurate = _accurate(found, end, tolerance, METHODS[name].error_order)
    candidates.append(Candidate(name, 0.0, accurate, _implicit_cost(program, sizes, abs(found.fastest) * end / accurate)))
    return candidates


def _accurate(found: Rates, end: float, tolerance: float, order: int) -> float:
    """Steps for accuracy: a transient of the data (steps per decade of time), then changes at the smooth rate.

    The fastest oscillation counts, whether the data have it or not: an upper bound where they are smooth.
    """
    per_change = 0.5 * math.pow(tolerance, -1.0 / order)
    decades = 1.0 + max(0.0, math.log10(max(found.initial * end, 1.0)))
    return max(10.0, per_change * (decades + max(found.smooth, _oscillation(found)) * end))


def _oscillation(found: Rates) -> float:
    """Rate of the fastest change where it goes on; what dies out is a transient."""
    return 0.0 if decays(found.fastest) else abs(found.fastest.imag)


def _limit(tableau: Tableau, eigenvalue: complex) -> float:
    """|dt * eigenvalue| up to which the method damps this mode."""
    assert tableau.stability is not None
    real, imaginary = tableau.stability
    if abs(eigenvalue.imag) > abs(eigenvalue.real):
        return imaginary or 0.1
    return real


def _implicit_cost(program: Program, sizes: Mapping[str, int], stiffness: float) -> float:
    """Right-hand sides that one Rosenbrock step is worth: stages, Jacobian, factors and solves of the matrix."""
    shape = max((s.symbol.axes for s in program.states), key=len, default={})
    extents = sorted(n.evaluate(sizes) for n in shape.values())
    fields = len(program.states)
    if len(extents) <= 1:
        width = fields if extents else max(fields, 1)
        return 30.0 + 3.0 * width * width
    band = fields * float(np.prod(extents[:-1]))
    direct = 30.0 + band * band / 15.0 + band
    iterative = 30.0 + 45.0 * math.sqrt(1.0 + stiffness)
    return min(direct, iterative)


def _best(candidates: Sequence[Candidate], found: Rates) -> Candidate:
    explicit = min((c for c in candidates if not METHODS[c.name].implicit), key=lambda c: c.total)
    implicit = next((c for c in candidates if METHODS[c.name].implicit), None)
    if implicit is None or not decays(found.fastest) or explicit.stable < FEW:
        return explicit
    return implicit if implicit.total * WORTH < explicit.total else explicit


def _reason(best: Candidate, candidates: Sequence[Candidate], program: Program, found: Rates, end: float) -> str:
    unit = time_unit(program.statement, program.time_unit)
    rate = _rate(found.fastest, unit, 2)
    field = program.states[found.state].field
    tolerance = f"tol {program.tolerance:g}"
    explicit = min((c for c in candidates if not METHODS[c.name].implicit), key=lambda c: c.total)
    if METHODS[best.name].implicit:
        return (
            f"the equation of `{field}` is stiff (its fastest change decays at the rate {rate}, the run lasts {quantity(end, unit, 3)}): "
            f"{tolerance} needs about {best.steps:.0f} steps, the explicit {explicit.name} about {explicit.steps:.0f}"
        )
    others = [c for c in candidates if METHODS[c.name].implicit]
    if best.stable > best.accurate:
        text = f"explicit: stability asks for about {best.stable:.0f} steps (rate {rate} of `{field}`)"
        if others:
            text += f", and a step of the implicit {others[0].name} costs as much as {others[0].cost / best.cost:.0f} of them"
        return text
    most = "at most " if _oscillation(found) > 0 and program.coordinates else ""
    return f"explicit: nothing is stiff; {tolerance} needs {most}about {best.accurate:.0f} steps"


def _rate(eigenvalue: complex, unit: Unit, digits: int) -> str:
    """The modulus of an eigenvalue as text: `400`, `400 [1/s]`."""
    return f"{abs(eigenvalue) * float(unit.factor):.{digits}g}" + (f" [1/{unit.text}]" if unit.text else "")


def _check_step(integrator: Integrator, program: Program, values: Mapping[str, Any], sizes: Mapping[str, int], end: float) -> None:
    """E0502 when a fixed step amplifies a mode of the Jacobian that the equations do not."""
    assert integrator.dt is not None
    dt = float(reference.evaluate([integrator.dt], dict(values), dict(sizes))[0])
    method = integrator.method
    name = method.name
    if not (dt > 0 and math.isfinite(dt)):
        message = f"the step of `{name}` must be positive, it is {quantity(dt, program.time_unit, 6)}"
        raise CannotLower("E0502", message, integrator.span, help=_with_step(program, name, 0.01))
    if end <= 0 or method.amplification(-1, dt) is None:
        return
    found = rates(program, values, sizes, end)
    eigenvalue = found.fastest
    if not _unstable(method, eigenvalue, dt, end):
        return
    low, high = 0.0, dt
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if _unstable(method, eigenvalue, middle, end) else (middle, high)
    unit = time_unit(program.statement, program.time_unit, "time")
    rate = _rate(eigenvalue, unit, 3)
    raise CannotLower(
        "E0502",
        f"`{name}` with dt = {quantity(dt, unit, 6)} is unstable: `{program.states[found.state].field}` changes at the rate {rate}, "
        f"which allows dt up to {quantity(low, unit, 3)}",
        integrator.span,
        label="too long a step",
        help=_with_step(program, name, 0.95 * low),
        notes=("without `time:` the integrator and its steps follow from `tol`",),
    )


def _with_step(program: Program, name: str, dt: float) -> str:
    """The `solve` with another fixed step."""
    unit = time_unit(program.statement, program.time_unit, "time")
    return with_options(program.statement, [("time", f"{name}(dt={quantity(dt, unit, 2)})")])


def _unstable(method: Method, eigenvalue: complex, dt: float, end: float) -> bool:
    factor = method.amplification(eigenvalue, dt)
    if factor is None:
        return False
    growth = math.log(max(factor, 1e-300))
    return end / dt * (growth - max(eigenvalue.real, 0.0) * dt) > EXCESS
