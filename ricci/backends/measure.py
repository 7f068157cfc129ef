"""Seconds that generated code takes: the least of many short repetitions, so that other programs on the machine disturb little.

A plan without calls into Python is timed inside compiled code: its steps stand in a loop of run-time length, so that the
figure holds neither the call from Python nor the copies of arguments and results. A plan with such calls is timed call by call.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ricci.backends.executable import Executable, Ready, useful_threads
from ricci.backends.numba_cpu import compile_plan
from ricci.backends.threads import available_cores
from ricci.dsl import build
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.loops import lower_launch
from ricci.lowering.schedule import schedule
from ricci.lowering.schedule.plan import Call, Launch, Place, Plan, Repeat, Step, steps_of

TURNS = "measure turns"  # the dim that says how often a timed plan repeats its steps
BLOCK = 4e-4  # seconds of one timed block: long beside the call from Python, short beside what else a machine does
TEAM_BLOCK = 5e-3  # the same for several threads, which are started for every block
REPEATS = 25
LONGEST = 0.2  # seconds that one measurement may take once it has `FEWEST` blocks
FEWEST = 5

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Least and median seconds of one call."""

    least: float
    median: float

    @property
    def noise(self) -> float:
        """How much slower the median was than the least: 0 on a machine with nothing else to do."""
        return self.median / self.least - 1 if self.least > 0 else 0.0


def repeating(plan: Plan) -> Plan:
    """The plan with its steps in a loop of `TURNS` turns; the plan itself where steps are done in Python."""
    if not plan.steps or any(isinstance(step, Call) for step in steps_of(plan.steps)):
        return plan
    counter = build.symbol("measure turn", Type(Kind.INT))
    return replace(plan, steps=[Repeat(counter, Size.of(Dim(TURNS, 0)), False, plan.steps)])


@dataclass(frozen=True)
class Timed:
    """A compiled function whose calls can be timed."""

    plan: Plan  # as it was scheduled, without the loop around it
    executable: Executable

    def seconds(self, arguments: Mapping[str, Any], sizes: Mapping[str, int], threads: int = 1, clock: Clock = time.perf_counter) -> Timing:
        """Seconds of one call on arguments that lie in place already."""
        if TURNS not in self.executable.program.signature.dims:
            ready = self.executable.ready(arguments, sizes)
            return timing(lambda turns: _turns(ready, turns, threads), clock, BLOCK)
        ready = self.executable.ready(arguments, {**sizes, TURNS: 1})
        place = self.executable.program.signature.dims[TURNS]
        size = ready.packed[7]

        def block(turns: int) -> None:
            size[place] = turns
            ready.run(threads)

        return timing(block, clock, BLOCK if threads == 1 else TEAM_BLOCK)


def _turns(ready: Ready, turns: int, threads: int) -> None:
    for _ in range(turns):
        ready.run(threads)


def timed(function: Function, use_cache: bool = True, sizes: Mapping[str, int] | None = None) -> Timed:
    """Schedule and compile a function for timing."""
    plan = schedule(function, sizes=sizes)
    return Timed(plan, compile_plan(repeating(plan), use_cache=use_cache))


def kernel_seconds(plan: Plan, dims: Mapping[str, int], threads: int = 1, single: bool = False) -> dict[int, float]:
    """Least seconds of every kernel of a plan by the identity of its launch, each repeated by itself on numbers between 0 and 1.

    A kernel on slices of what a recurrence computes is left out: where it would work is not known outside of its loop.
    """
    launches = [s for s in steps_of(plan.steps) if isinstance(s, Launch)]
    kernels = [lower_launch(plan, launch) for launch in launches]
    windows = {slot.name for slot in plan.slots if slot.within is not None}
    chosen = [(s, k) for s, k in zip(launches, kernels, strict=True) if not windows & {a.name for a in k.arrays}]
    if not chosen:
        return {}
    turns = [Dim(f"{TURNS} {k}", 0) for k in range(len(chosen))]
    steps: list[Step] = [
        Repeat(build.symbol(f"measure turn {k}", Type(Kind.INT)), Size.of(turn), False, [launch])
        for k, (turn, (launch, _)) in enumerate(zip(turns, chosen, strict=True))
    ]
    scalars = dict.fromkeys(
        s for _, kernel in chosen for s in kernel.scalars if not name_of(s).startswith("#") and name_of(s) not in CONSTANTS
    )
    given = {t for t in plan.inputs.values() if isinstance(t, Term)}
    inputs = {**plan.inputs, **{f"measure:{k}": s for k, s in enumerate(scalars) if s not in given}}
    executable = compile_plan(replace(plan, steps=steps, inputs=inputs), single)
    numbers = {Kind.REAL: 0.75, Kind.COMPLEX: 0.75, Kind.INT: 0, Kind.BOOL: False}
    arguments = {n: numbers[t.slot.kind if isinstance(t, Place) else t.kind] for n, t in inputs.items()}
    ready = executable.ready(arguments, {**dims, **{turn.name: 0 for turn in turns}})
    size, places = ready.packed[7], executable.program.signature.dims
    useful = useful_threads(executable.program.nests, ready.sizes, threads)
    found: dict[int, float] = {}
    for turn, (launch, _) in zip(turns, chosen, strict=True):

        def block(count: int, place: int = places[turn.name]) -> None:
            size[place] = count
            ready.run(threads)

        found[id(launch)] = timing(block, length=BLOCK if useful == 1 else TEAM_BLOCK).least
        size[places[turn.name]] = 0
    return found


def timing(block: Callable[[int], None], clock: Clock = time.perf_counter, length: float = BLOCK) -> Timing:
    """Seconds of one turn of `block(turns)`: the number of turns is raised until a block is so long, then blocks are repeated."""
    block(1)
    turns = 1
    while True:
        seconds = min(_once(block, turns, clock) for _ in range(3))
        if seconds >= length or turns >= 1 << 24:
            break
        turns = min(max(2 * turns, int(turns * 1.2 * length / max(seconds, 1e-9))), 1000 * turns)
    found = [seconds / turns]
    spent = seconds
    while len(found) < REPEATS and (spent < LONGEST or len(found) < FEWEST):
        seconds = _once(block, turns, clock)
        found.append(seconds / turns)
        spent += seconds
    return Timing(min(found), float(np.median(found)))


def _once(block: Callable[[int], None], turns: int, clock: Clock) -> float:
    begin = clock()
    block(turns)
    return clock() - begin


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """The calling thread stays on the last core that the process may use."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {available_cores()[-1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
