"""The run of a time-dependent program: from stop to stop, in compiled slices; events, snapshots and failures on the way."""

from __future__ import annotations

import time as clock
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ricci.backends.firings import Firings
from ricci.dsl import reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Instant, Program
from ricci.dsl.remedies import quantity, time_unit, with_options
from ricci.dsl.term import Function, Term
from ricci.errors import CannotRun, Span
from ricci.lowering.jumps import Jump

Array = np.ndarray[Any, Any]
Caller = Callable[[str, Mapping[str, Any]], dict[str, Any]]

REACHED, MORE_STEPS, NOT_FINITE, UNDERFLOW, NO_CONVERGENCE, EVENT = 0, 1, 2, 3, 4, 10
AGAIN = -2  # value of `ctl:armed:K` when event K has fired without having been seen false since it fired before
EVEN_POINTS, EVEN_STEPS = 1 << 30, 1 << 22  # points computed in an even slice, steps of it at most
SLICE_SECONDS = 0.3  # between looks at the progress line,
CARRIED = 4e-9  # and so many more a byte that is copied into the loop and back
SAME_TIME = 1e-12  # times closer than this, relative to the end, are one stop


@dataclass(frozen=True)
class Stop:
    """An instant that the integrator reaches exactly, and the snapshots taken there."""

    time: float
    functions: tuple[str, ...]
    jump: bool = False  # the right-hand side jumps there: the run goes on from just behind it


@dataclass
class Progress:
    """What a listener sees between slices."""

    time: float
    end: float
    steps: int
    seconds: float


@dataclass
class Trajectory:
    """What a run leaves: last states, every snapshot as (time, values) by function, counters."""

    states: dict[str, Any]
    time: float
    snapshots: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)
    steps: int = 0
    rejected: int = 0
    dt_min: float = float("inf")
    dt_max: float = 0.0
    seconds: float = 0.0
    events: list[tuple[float, int]] = field(default_factory=list)


class Interrupted(Exception):
    """The run has stopped between two steps because that was asked for."""


class RunFailed(Exception):
    """A run that cannot go on. `status` is NOT_FINITE, UNDERFLOW or NO_CONVERGENCE; `states` are the last ones at `time`, all finite
    unless they were so at the start (`step` 0) or an event (`event`) has set them; `step` is the number of the one that failed."""

    def __init__(self, status: int, time: float, states: Mapping[str, Any], step: int, event: int | None = None) -> None:
        super().__init__(f"status {status} at t = {time:g}")
        self.status, self.time, self.states, self.step, self.event = status, time, dict(states), step, event


def time_of(moment: Term, values: Mapping[str, Any], sizes: Mapping[str, int]) -> float:
    """The number that a time of the model is, with all params known."""
    return float(reference.evaluate([moment], values, sizes)[0])


def end_time(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> float:
    """When the run ends; E0707 where the model does not say, E0704 before its start or never."""
    if program.end is None:
        help = with_options(program.statement, [("until", f"t={quantity(1, program.time_unit)}")])
        raise CannotRun("E0707", "the model does not say how far to run", program.statement, help=help)
    end = time_of(program.end, values, sizes)
    if not 0 <= end < float("inf"):
        raise CannotRun("E0704", f"the run would end at t = {quantity(end, program.time_unit)}; it starts at t = 0", program.statement)
    return end


def stops_of(program: Program, end: float, values: Mapping[str, Any], sizes: Mapping[str, int]) -> list[Stop]:
    """Every instant as a time, merged and sorted; a named time after the end is an error (a check could never be made)."""
    at: dict[float, list[str]] = {0.0: [], end: []}

    def enter(moment: float, function: str) -> None:
        near = next((t for t in at if abs(t - moment) <= SAME_TIME * max(abs(end), 1e-300)), moment)
        at.setdefault(near, []).append(function)

    for instant in program.instants:
        if instant.every is not None:
            period = time_of(instant.every, values, sizes)
            if not period > 0:
                found = quantity(period, program.time_unit)
                raise CannotRun("E0705", f"an output interval must be positive, it is {found}", instant.span)
            for k in range(int(np.floor(end / period * (1 + 1e-12))) + 1):
                enter(k * period, instant.function)
        elif instant.time is None:
            enter(end, instant.function)
        elif isinstance(instant.time, str):
            enter(0.0, instant.function)
        else:
            moment = time_of(instant.time, values, sizes)
            if not 0 <= moment <= end * (1 + SAME_TIME):
                raise _outside(program, instant, moment, end)
            enter(moment, instant.function)
    return [Stop(t, tuple(dict.fromkeys(at[t]))) for t in sorted(at)]


def with_switches(
    stops: Sequence[Stop], switches: Iterable[Jump], end: float, values: Mapping[str, Any], sizes: Mapping[str, int]
) -> list[Stop]:
    """The stops, and the times at which the right-hand side jumps: no step of the integrator goes over one."""
    close = SAME_TIME * max(abs(end), 1e-300)
    times = sorted({t for jump in switches for t in jump.times(end, values, sizes)})
    out = {stop.time: stop for stop in stops}
    known = sorted(out)
    for t in times:
        k = bisect_left(known, t)
        near = next((n for n in known[max(0, k - 1) : k + 1] if abs(n - t) <= close), None)
        if near is None:
            insort(known, t)
        out[t if near is None else near] = Stop(t, (), True) if near is None else replace(out[near], jump=True)
    return [out[t] for t in known]


def _outside(program: Program, instant: Instant, moment: float, end: float) -> CannotRun:
    """E0704 for a time that the run does not reach, with the `solve` that reaches it."""
    unit = time_unit(program.statement, program.time_unit)
    later = end < moment < float("inf")
    help = with_options(program.statement, [("until", f"t={quantity(moment, unit)}")]) if later else ""
    message = f"the model looks at t = {quantity(moment, unit)}, the run goes from 0 to {quantity(end, unit)}"
    return CannotRun("E0704", message, instant.span, help=help)


@dataclass
class Simulation:
    """One run of `program` to `end`. `call(name, arguments)` evaluates a function of the program.

    `controls` are the initial values of the integrator's own carries (`ctl:*`, `scale:*`), see lowering/integrate.
    `listen` is called between slices; `record` at each snapshot (function, time, values), before the run goes on, and for the
    functions `at_events` before and after each event.
    """

    program: Program
    values: Mapping[str, Any]
    end: float
    call: Caller
    controls: dict[str, Any]
    tolerance: float
    listen: Callable[[Progress], None]
    record: Callable[[str, float, dict[str, Any]], None]
    keep: frozenset[str] = frozenset()  # snapshot functions whose values the caller wants back
    statements: Mapping[int, Span | None] = field(default_factory=dict)  # of the events
    at_events: tuple[str, ...] = ()
    asked: Callable[[], bool] = lambda: False  # whether the run is to be interrupted
    even: bool = (
        False  # slices have a number of steps that follows from the points, not from the time that they take: they leave their mark
    )

    def prepare(self, begin: Trajectory | None = None) -> None:
        """Initial states, or those to go on from, and one call of the time loop that goes nowhere: after it everything is compiled."""
        self.trajectory = trajectory = Trajectory(self._call("initial", {}), 0.0) if begin is None else begin
        self.firings = Firings(self.program, self.statements, self.end)
        for moment, event in trajectory.events:
            self.firings.remember(event, moment)
        if not _finite(trajectory.states):
            raise RunFailed(NOT_FINITE, trajectory.time, trajectory.states, 0)
        nowhere = {"t": trajectory.time, "ctl:t_stop": trajectory.time, "ctl:tol": self.tolerance, "ctl:max_steps": 0}
        self._call("advance", {**trajectory.states, **self.controls, **nowhere})

    def run(self, stops: Sequence[Stop]) -> Trajectory:
        """Advance from stop to stop, after `prepare`. `Interrupted` where that is asked for, with `self.trajectory` and `self.controls`
        between two steps and with everything recorded up to there: a run that begins with them does the same as this one would."""
        trajectory = self.trajectory
        for stop in stops:
            while trajectory.time < stop.time:
                event = self._advance(stop.time)
                if event is not None:
                    self._apply(event)
            self._look(stop.functions)
            if stop.jump and trajectory.time < self.end:
                trajectory.time = min(stop.time + SAME_TIME * self.end, self.end)
        return trajectory

    def _call(self, name: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        function: Function = self.program.functions[name]
        known = {**self.values, **extra}
        return self.call(name, {p: known[p] for p in parameter_names(function)})

    def _advance(self, stop: float) -> int | None:
        """Slices of the compiled time loop up to `stop` or an event; returns the event's number."""
        trajectory = self.trajectory
        slice_steps = 16 if not self.even else self._even_steps()
        while True:
            if self.asked():
                raise Interrupted
            begin = clock.perf_counter()
            now = {"t": trajectory.time, "ctl:t_stop": stop, "ctl:tol": self.tolerance, "ctl:max_steps": slice_steps}
            arguments = {**trajectory.states, **self.controls, **now}
            result = self._call("advance", arguments)
            took = clock.perf_counter() - begin
            status = int(result["ctl:status"])
            self._take(result, took)
            if NOT_FINITE <= status < EVENT:
                raise self._failure(status, arguments, int(result["ctl:steps"]))
            self.listen(Progress(trajectory.time, self.end, trajectory.steps, trajectory.seconds))
            if status == REACHED:
                trajectory.time = stop
                return None
            if status >= EVENT:
                return status - EVENT
            if self.even:
                continue
            grow = max(SLICE_SECONDS, CARRIED * sum(a.nbytes for a in map(np.asarray, trajectory.states.values()))) / max(took, 1e-6)
            slice_steps = max(1, min(int(slice_steps * min(max(grow, 0.25), 8.0)), 1 << 30))

    def _even_steps(self) -> int:
        """About a second of steps on a usual machine."""
        points = sum(np.asarray(a).size for a in self.trajectory.states.values())
        return max(16, min(EVEN_POINTS // max(points, 1), EVEN_STEPS))

    def _take(self, result: Mapping[str, Any], took: float) -> None:
        trajectory = self.trajectory
        trajectory.states = {s.name: result[s.name] for s in self.program.states}
        trajectory.time = float(result["t"])
        for name in self.controls:
            if name in result:
                self.controls[name] = result[name]
        trajectory.steps += int(result["ctl:steps"])
        trajectory.rejected += int(result["ctl:rejected"])
        if int(result["ctl:steps"]):
            trajectory.dt_min = min(trajectory.dt_min, float(result["ctl:dt_min"]))
            trajectory.dt_max = max(trajectory.dt_max, float(result["ctl:dt_max"]))
        trajectory.seconds += took

    def _apply(self, event: int) -> None:
        trajectory = self.trajectory
        self._look(self.at_events)
        changed = self._call(f"apply:{event}", {**trajectory.states, "t": trajectory.time})
        trajectory.states = {**trajectory.states, **changed}
        trajectory.events.append((trajectory.time, event))
        adaptive = any(name.startswith("scale:") for name in self.controls)
        step = None if adaptive else float(self.controls["ctl:dt"])
        longest = self.firings.enter(event, trajectory.time, step, int(self.controls[f"ctl:armed:{event}"]) != AGAIN)
        if adaptive and longest is not None:
            self.controls["ctl:dt"] = -longest
        if not _finite(changed):
            raise RunFailed(NOT_FINITE, trajectory.time, trajectory.states, trajectory.steps, event)
        self._look(self.at_events)

    def _look(self, functions: Sequence[str]) -> None:
        trajectory = self.trajectory
        for name in functions:
            values = self._call(name, {**trajectory.states, "t": trajectory.time})
            self.record(name, trajectory.time, values)
            if name in self.keep:
                trajectory.snapshots.setdefault(name, []).append((trajectory.time, values))

    def _failure(self, status: int, arguments: Mapping[str, Any], taken: int) -> RunFailed:
        """With the last finite states: a fixed step that is not finite was taken, so all but it are taken again."""
        trajectory = self.trajectory
        if _finite(trajectory.states):
            return RunFailed(status, trajectory.time, trajectory.states, trajectory.steps + 1)
        time, states = arguments["t"], {s.name: arguments[s.name] for s in self.program.states}
        if taken > 1:
            again = self._call("advance", {**arguments, "ctl:max_steps": taken - 1})
            time, states = float(again["t"]), {s.name: again[s.name] for s in self.program.states}
        return RunFailed(status, time, states, trajectory.steps)


def _finite(arrays: Mapping[str, Any]) -> bool:
    return all(bool(np.isfinite(a).all()) for a in arrays.values())


def parameter_names(function: Function) -> list[str]:
    """Names of the parameters, in order."""
    return [name_of(p) for p in function.params]
