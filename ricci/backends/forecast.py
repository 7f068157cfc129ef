"""What each kernel of a plan is predicted to cost on a machine, and which resource that time goes to. Nothing is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType
from typing import Any

from ricci.backends.executable import useful_threads
from ricci.backends.numba_cpu import nest_points
from ricci.backends.workload import work_of_plan
from ricci.dsl.ops.symbol import name_of
from ricci.lowering.schedule.plan import Call, Launch, Place, Plan, Routine, Table, steps_of
from ricci.machine import Machine
from ricci.work import Demand, Library, Product, Work, demands


@dataclass(frozen=True)
class Forecast:
    """One kernel or library call of a plan.

    results     arrays and scalars that it computes
    loops       axes and extents of its largest set of loops, outer to inner
    seconds     predicted for one call; None for routines that the machine record has no rate for
    times       calls in one call of the function; a loop of unknown length counts once
    operations  scalar operations by class in one call
    touched     bytes of the arrays that one call reads or writes
    moved       bytes by level of memory beyond the first that move in one call
    parts       seconds by resource, as if it were alone; what overlaps adds up to more than `seconds`
    origins     source lines
    measured    seconds that one call took; None where it was not timed
    """

    kernel: str
    results: tuple[str, ...]
    loops: tuple[tuple[str, int], ...] = ()
    seconds: float | None = None
    times: int = 1
    operations: Mapping[str, float] = field(default_factory=dict)
    touched: float = 0.0
    moved: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    measured: float | None = None

    @property
    def bound(self) -> float:
        """Seconds below which one call cannot get on the machine: those of its busiest resource."""
        return max((seconds for name, seconds in self.parts.items() if name != "launch"), default=0.0)

    @property
    def points(self) -> int:
        return prod(n for _, n in self.loops)

    @property
    def total(self) -> float:
        """Seconds of all its calls in one call of the function; 0 where nothing is predicted."""
        return (self.seconds or 0.0) * self.times

    @property
    def limit(self) -> str:
        """The resource that takes longest; "" where nothing is predicted."""
        return max(self.parts, key=lambda name: self.parts[name], default="")

    def to_json(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "results": list(self.results),
            "loops": dict(self.loops),
            "points": self.points,
            "seconds": self.seconds,
            "times": self.times,
            "operations": dict(self.operations),
            "bytes_touched": self.touched,
            "bytes_moved": dict(self.moved),
            "seconds_by_resource": dict(self.parts),
            "limited_by": self.limit or None,
            "source": list(self.origins),
            "measured_seconds": self.measured,
            "fraction_of_limit": None if not self.measured else self.bound / self.measured,
        }


def forecasts(
    plan: Plan, dims: Mapping[str, int], machine: Machine, threads: int = 1, measured: Mapping[int, float] = MappingProxyType({})
) -> list[Forecast]:
    """Every kernel, library call and routine of a plan, those outside of loops first. `measured`: seconds by the identity of a launch."""
    threads = useful_threads(nest_points(plan), plan.complete(dims), threads)
    found = work_of_plan(plan, dims, machine)
    asked = demands([(work, times) for _, work, times in found], machine)
    names = _names(plan)
    out = []
    for (step, work, times), (demand, _) in zip(found, asked, strict=True):
        if isinstance(step, Launch) and isinstance(work, Work) and isinstance(demand, Demand):
            one = _of_kernel(step, work, times, demand, machine, threads, names)
            out.append(replace(one, measured=measured.get(id(step))))
        elif isinstance(step, Call) and isinstance(work, Product | Library):
            out.append(_of_call(step, work, times, machine, threads, names))
    return out + [Forecast(s.function, _given(s)) for s in steps_of(plan.steps) if isinstance(s, Routine)]


def _names(plan: Plan) -> dict[str, str]:
    """What slots and scalars are called outside of the plan: results by their names, of inputs only the points beyond sides are written."""
    names = {slot.name: f"sides of {slot.name}" for slot in plan.slots if slot.role == "input"}
    for name, target in plan.results.items():
        if isinstance(target, Place):
            names[target.slot.name] = name
        elif target.op == "symbol":
            names[name_of(target)] = name
    return names


def _of_kernel(step: Launch, work: Work, times: int, demand: Demand, machine: Machine, threads: int, names: Mapping[str, str]) -> Forecast:
    largest = max(work.bodies, key=lambda loops: loops.points, default=None)
    moved: dict[str, float] = {}
    for level, count, _ in demand.moved(machine, threads):
        moved[level] = moved.get(level, 0.0) + count
    targets = [m.place.slot.name if m.place else name_of(m.target) for one in step.nest.passes for m in one.members]
    return Forecast(
        step.nest.name,
        tuple(dict.fromkeys(names.get(t, t) for t in targets)),
        largest.extents if largest else (),
        demand.seconds(machine, threads),
        times,
        work.operations,
        sum(work.touched.values()),
        moved,
        _parts(demand, machine, threads),
        step.nest.notes,
    )


def _of_call(step: Call, work: Product | Library, times: int, machine: Machine, threads: int, names: Mapping[str, str]) -> Forecast:
    seconds = work.seconds(machine, threads)
    targets = [r.slot.name if isinstance(r, Place) else str(r) for r in step.results]
    results = tuple(names.get(t, t) for t in targets)
    parts = {"library call": machine.library_call, "library": seconds - machine.library_call}
    if isinstance(work, Library):
        return Forecast(step.routine, results, (), seconds, times, parts=parts)
    axes = (("batch", work.batch), ("rows", work.rows), ("inner", work.inner), ("columns", work.columns))
    products = float(prod(n for _, n in axes))
    entries = work.rows * work.inner + work.inner * work.columns + work.rows * work.columns
    touched = float(work.element * work.batch * entries)
    return Forecast(step.routine, results, axes, seconds, times, {"fma": products}, touched, parts=parts)


def _parts(demand: Demand, machine: Machine, threads: int) -> dict[str, float]:
    """Seconds by resource of one kernel."""
    share = demand.share(threads)
    names = ("arithmetic", "loads and stores", "sums in order", "short rows")
    bodies = [body.parts(machine) for body in demand.bodies]
    parts = {name: share * sum(column) for name, column in zip(names, zip(*bodies, strict=True), strict=False)}
    for level, _, seconds in demand.moved(machine, threads):
        parts[level] = parts.get(level, 0.0) + seconds
    parts["launch"] = demand.start(machine, threads)
    return {name: seconds for name, seconds in parts.items() if seconds > 0}


def _given(step: Routine) -> tuple[str, ...]:
    """Arrays that a routine is given: it says nowhere which of them it writes."""
    return tuple(dict.fromkeys(a.slot.name for a in step.arguments if isinstance(a, Table)))


def seconds_of(found: Sequence[Forecast]) -> float:
    """Predicted seconds of one call of the function."""
    return sum(one.total for one in found)
