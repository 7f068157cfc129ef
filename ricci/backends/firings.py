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


@dataclass
class Firings:
    """The last times of each event of a program. `statements`: where the events are in the text."""

    program: Program
    statements: Mapping[int, Span | None]
    times: dict[int, deque[float]] = field(default_factory=dict)

    def enter(self, event: int, time: float, step: float | None) -> float | None:
        """An event fires at `time`; `step`: the step if it is fixed. The longest step that may follow, None without a bound.

        It is a small part of the time since the event fired before, so that its condition is seen to become false in between
        (the ball leaves the floor). E0706 where that becomes hopeless: after infinitely many times in a moment it would not.
        """
        times = self.times.setdefault(event, deque(maxlen=LOOK_BACK))
        times.append(time)
        gaps = np.diff(times)
        if not len(gaps):
            return None
        shortest = ACCUMULATED * abs(time)
        if step is not None and len(gaps) > 1 and gaps[-1] > 0:  # the next one would come within a step
            shortest = step * float(gaps[-2] / gaps[-1])
        if len(gaps) == LOOK_BACK - 1 and (gaps[1:] < STEADY * gaps[:-1]).all() and gaps[-1] <= shortest:
            raise self._accumulate(event, time, [float(g) for g in gaps])
        return SHARE * float(gaps[-1])

    def _accumulate(self, event: int, time: float, gaps: list[float]) -> CannotRun:
        when = time + gaps[-1] ** 2 / (gaps[-2] - gaps[-1])
        unit = time_unit(self.program.statement, self.program.time_unit)
        last = ", ".join(quantity(g, unit, 3) for g in gaps[-3:])
        return CannotRun(
            "E0706",
            f"an event fires ever faster: its times accumulate at t = {quantity(when, unit, 6)}",
            self.statements.get(event),
            help=with_options(self.program.statement, [("until", f"t={quantity(BEFORE * when, unit, 6)}")]),
            notes=(f"the last times between two of them are {last}", "the model does not say what comes after that instant"),
        )
