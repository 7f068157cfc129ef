"""Going on from a state in a file: what an interrupted run has saved, an output with all fields, or arrays of anybody.

Only npz files are read. Arrays go by the names of the fields (`dt(u)` for a velocity), their axes and units by what the file says,
else as they are declared; of several times the last one is taken. What an interrupted run has saved says more under `run`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ricci.backends.binding import Binding, accept, same_points
from ricci.backends.data import Reader, facts_of, metadata_of
from ricci.backends.simulation import Stop, time_of
from ricci.dsl.model import LAST, Load, Model
from ricci.dsl.program import Argument, Program, State
from ricci.dsl.remedies import quantity, with_options
from ricci.errors import CannotRun
from ricci.lowering.discretize.grid import removed_nodes

Array = np.ndarray[Any, Any]

EXACT = "run.state."  # before the name of a state: its numbers as they were computed


@dataclass(frozen=True)
class Start:
    """Where a run begins: states on their own points in SI units. `run` and `arrays`: what else an interrupted run has saved."""

    file: str
    time: float
    states: Mapping[str, Array]
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    @property
    def snapshots(self) -> dict[str, list[tuple[float, dict[str, Array]]]]:
        """Values that checks need of instants before the start."""
        return {
            name: [(float(t), {label: self.arrays[key] for label, key in keys.items()}) for t, keys in taken]
            for name, taken in self.run.get("snapshots", {}).items()
        }


def load_start(path: str, model: Model, program: Program, binding: Binding) -> Start:
    """The state that a file holds. E0803 where it is not one of this model; E0801, E0802, E0808 for data that do not fit."""
    reader = Reader((Path(path).resolve().parent,))
    arrays = reader.arrays(str(Path(path).resolve()))
    facts, about = facts_of(arrays), metadata_of(arrays)
    run = facts.get("run", {})
    scratch = replace(binding, values=dict(binding.values), sizes=dict(binding.sizes), missing={}, stored={})
    labels = {label: key for key, label in facts.get("labels", {}).items()}
    states = {}
    for state in program.states:
        key = labels.get(state.name, state.name)
        if key not in arrays:
            held = ", ".join(sorted(set(labels) - {n for n in labels if n.startswith("run.")}) or sorted(arrays)) or "nothing"
            raise CannotRun("E0803", f"`{path}` holds no `{state.name}`", notes=(f"it holds {held}",))
        whole = model.fields[state.field]
        stored = about.of(key, arrays[key], path, arrays, None)
        several = stored.axes is not None and stored.axes[0] == "t"
        value = Load(path, (("t", LAST),)) if several else None
        accept(Argument(state.name, whole.symbol, "data", value, whole.order, state.shown), stored, scratch)
        exact = arrays.get(labels.get(EXACT + state.name, ""))
        states[state.name] = (
            exact if exact is not None else on_points(state, list(whole.symbol.axes), np.asarray(scratch.values[state.name]))
        )
    same_points(program, scratch)
    time = float(run["t"]) if "t" in run else _time(path, arrays, about.unit("t") or model.time_unit)
    saved = {label: arrays[key] for label, key in labels.items() if label.startswith("run.") and key in arrays}
    return Start(path, time, states, str(facts.get("model", "")), facts.get("parameters_SI", {}), run, saved)


def on_points(state: State, axes: Sequence[str], whole: Array) -> Array:
    """The part of an array on all points of a field that its state has: without nodes whose values are prescribed."""
    whole = np.transpose(whole, [axes.index(axis.partition(":")[0]) for axis in state.symbol.axes])
    ends = [removed_nodes(axis) for axis in state.symbol.axes]
    return np.asarray(whole[tuple(slice(a, n - b) for (a, b), n in zip(ends, whole.shape, strict=True))], order="C")


def _time(path: str, arrays: Mapping[str, Array], unit: Any) -> float:
    times = np.atleast_1d(arrays["t"]) if "t" in arrays else np.zeros(0)
    if times.ndim != 1 or not times.size or times.dtype.kind not in "iuf":
        raise CannotRun("E0803", f"`{path}` does not say its time: it holds no number `t`")
    time = float(times[-1]) * float(unit.factor)
    if not 0 <= time < math.inf:
        raise CannotRun("E0803", f"`{path}` is a state at t = {quantity(time, unit)}; times of a run begin at 0")
    return time


def remaining(stops: Sequence[Stop], start: Start, program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> list[Stop]:
    """The stops that are still to come. E0704 for an instant before the start that nobody has looked at."""
    end = stops[-1].time
    unit = program.time_unit
    if not start.time < end:
        message = f"the run would end at t = {quantity(end, unit)}; it goes on from t = {quantity(start.time, unit)}"
        help = with_options(program.statement, [("until", f"t={quantity(2 * start.time or 1, unit)}")])
        raise CannotRun("E0704", message, program.statement, help=help)
    known = start.snapshots
    for instant in program.instants:
        passed = isinstance(instant.time, str) or (instant.time is not None and time_of(instant.time, values, sizes) < start.time)
        if passed and instant.function not in known and (not start.run or instant.function.startswith("snapshot:")):
            when = 0.0 if isinstance(instant.time, str) or instant.time is None else time_of(instant.time, values, sizes)
            message = f"the model looks at t = {quantity(when, unit)}, the run goes on from {quantity(start.time, unit)}"
            raise CannotRun("E0704", message, instant.span)
    return [stop for stop in stops if stop.time > start.time or (stop.time == start.time and not start.run)]
