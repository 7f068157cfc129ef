"""Events that fire ever faster: a ball that bounces comes to rest after finitely many seconds and infinitely many bounces."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ricci.dsl.program import Program
from ricci.dsl.remedies import quantity, time_unit, with_options
from ricci.errors import CannotRun, Span

LOOK_BACK = 6  # times of an event that are looked at
STEADY = 0.99  # each time between two of them is below this part of the one before
ACCUMULATED = 1e-9  # and the last one is this part of the time so far
SHARE = 0.01  # of the time between two, which the first step after an event does not exceed
BEFORE = 0.99  # part of the time until they accumulate that a run is advised to cover
MOMENT, CROWD = 1e-9, 1000  # an event that fires so often within this part of the time so far gets nowhere


@dataclass
class Firings:
    """The last times of each event of a program. `statements`: where the events are in the text; `end` of the run."""

    program: Program
    statements: Mapping[int, Span | None]
    end: float = 0.0
    times: dict[int, deque[float]] = field(default_factory=dict)
    crowds: dict[int, tuple[float, int]] = field(default_factory=dict)  # first time and number of firings in one moment

    def enter(self, event: int, time: float, step: float | None, seen: bool = True) -> float | None:
        """An event fires at `time`; `step`: the step if it is fixed; `seen`: its condition was false since it fired before.

        Result: the longest step that may follow, None without a bound. It is a small part of the time since the event fired
        before, so that few steps find where its condition is false in between (the ball is above the floor). E0706 where numbers
        cannot tell any more that it was false, or soon would not: after infinitely many times in a moment.
        """
        times = self.times.setdefault(event, deque(maxlen=LOOK_BACK))
        times.append(time)
        gaps = np.diff(times)
        shrinks = len(gaps) == LOOK_BACK - 1 and bool((gaps[1:] < STEADY * gaps[:-1]).all())
        shortest = ACCUMULATED * abs(time)
        if step is not None and len(gaps) > 1 and gaps[-1] > 0:  # the next one would come within a step
            shortest = step * float(gaps[-2] / gaps[-1])
        if shrinks and (gaps[-1] <= shortest or not seen):
            raise self._accumulate(event, time, [float(g) for g in gaps])
        if not seen or self._crowded(event, time):
            raise self._endless(event, time)
        return SHARE * float(gaps[-1]) if len(gaps) else None

    def remember(self, event: int, time: float) -> None:
        """An event fired in the part of the run that is over."""
        self.times.setdefault(event, deque(maxlen=LOOK_BACK)).append(time)
        self._crowded(event, time)

    def _crowded(self, event: int, time: float) -> bool:
        first, count = self.crowds.get(event, (time, 0))
        if time - first > MOMENT * abs(time):
            first, count = time, 0
        self.crowds[event] = (first, count + 1)
        return count + 1 >= CROWD

    def _endless(self, event: int, time: float) -> CannotRun:
        unit = time_unit(self.program.statement, self.program.time_unit)
        note = "what it assigns does not make its condition false, or not for a time that numbers can tell"
        message = f"an event fires again and again at t = {quantity(time, unit, 6)}"
        return CannotRun("E0706", message, self.statements.get(event), help=self._end_before(time), notes=(note,))

    def _end_before(self, time: float) -> str:
        """The `solve` that ends before; none where hardly anything would be left of the run."""
        unit = time_unit(self.program.statement, self.program.time_unit)
        if time <= MOMENT * self.end:
            return ""
        return with_options(self.program.statement, [("until", f"t={quantity(BEFORE * time, unit, 6)}")])

    def _accumulate(self, event: int, time: float, gaps: list[float]) -> CannotRun:
        when = time + gaps[-1] ** 2 / (gaps[-2] - gaps[-1])
        unit = time_unit(self.program.statement, self.program.time_unit)
        last = ", ".join(quantity(g, unit, 3) for g in gaps[-3:])
        return CannotRun(
            "E0706",
            f"an event fires ever faster: its times accumulate at t = {quantity(when, unit, 6)}",
            self.statements.get(event),
            help=self._end_before(when),
            notes=(f"the last times between two of them are {last}", "the model does not say what comes after that instant"),
        )
