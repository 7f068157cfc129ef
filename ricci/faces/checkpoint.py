"""The state of an interrupted run as a file: fields in declared units and axes, and under `run` what makes going on exact."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ricci import driver
from ricci.backends.binding import Binding
from ricci.backends.restart import EXACT, Start, on_points
from ricci.backends.simulation import Trajectory, parameter_names
from ricci.driver import Settings
from ricci.dsl import reference
from ricci.dsl.model import Model, Unit
from ricci.dsl.program import Program
from ricci.faces.declared import as_declared, positions
from ricci.faces.outputs import Coordinate, Recorder, Variable

Array = np.ndarray[Any, Any]


@dataclass
class Checkpoint:
    """What is saved beside the fields: `facts` as JSON, `arrays` by labels that begin with `run.`."""

    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    def add_trajectory(self, trajectory: Trajectory, controls: Mapping[str, Any], method: str) -> None:
        """Counters, the integrator's own values, events and the snapshots of checks."""
        self.facts |= {
            "t": trajectory.time,
            "method": method,
            "controls": {name: np.asarray(value).item() for name, value in controls.items()},
            "steps": trajectory.steps,
            "rejected": trajectory.rejected,
            "dt": [trajectory.dt_min, trajectory.dt_max],
            "seconds": trajectory.seconds,
            "events": [[t, k] for t, k in trajectory.events],
            "snapshots": {},
        }
        for name, taken in trajectory.snapshots.items():
            keys = [{label: f"run.{name}.{n}.{label}" for label in values} for n, (_, values) in enumerate(taken)]
            self.facts["snapshots"][name] = [[t, k] for (t, _), k in zip(taken, keys, strict=True)]
            for (_, values), key in zip(taken, keys, strict=True):
                self.arrays |= {key[label]: np.asarray(value) for label, value in values.items()}

    def add_frames(self, name: str, frames: Sequence[tuple[float, Sequence[Array]]]) -> None:
        """Frames of a plot, as one array for each quantity."""
        keys = [f"run.{name}.{j}" for j in range(len(frames[0][1]))] if frames else []
        self.facts.setdefault("frames", {})[name] = [[moment for moment, _ in frames], keys]
        self.arrays |= {key: np.array([values[j] for _, values in frames]) for j, key in enumerate(keys)}

    def write(
        self, path: Path, model: Model, program: Program, binding: Binding, attributes: Mapping[str, Any], trajectory: Trajectory
    ) -> Path:
        """The file, whole or not there; a state that does not come back from its declared unit bit by bit is kept as it is, too."""
        function = driver.whole_states(model, program)
        known = {**binding.values, **trajectory.states, "t": trajectory.time}
        values = reference.call(function, [known[p] for p in parameter_names(function)], binding.sizes)
        shown: dict[str, tuple[tuple[str, ...], str, Array]] = {}
        for state, whole in zip(program.states, values, strict=True):
            f = model.fields[state.field]
            shown[state.name] = (f.order, state.shown.text, as_declared(np.asarray(whole), f.order, state.shown))
            axes, exact = list(f.symbol.axes), np.asarray(trajectory.states[state.name])
            if on_points(state, axes, _back(shown[state.name][2], f.order, axes, state.shown)).tobytes() != exact.tobytes():
                self.arrays[EXACT + state.name] = exact
        scale = model.time_unit
        coordinates = {"t": Coordinate(np.asarray(trajectory.time / float(scale.factor)), scale.text)}
        used = tuple(dict.fromkeys(a for order, _, _ in shown.values() for a in order))
        coordinates |= positions(program, model, binding, used)
        variables = [Variable(name, order, unit) for name, (order, unit, _) in shown.items()]
        variables += [Variable(label, tuple(f"axis {k}" for k in range(a.ndim)), "") for label, a in self.arrays.items()]
        recorder = Recorder(path, tuple(variables), coordinates, {**attributes, "run": self.facts}, None)
        try:
            recorder.append(0.0, {**{name: array for name, (_, _, array) in shown.items()}, **self.arrays})
            return recorder.close()
        finally:
            recorder.abort()


def _back(array: Array, order: Sequence[str], axes: Sequence[str], unit: Unit) -> Array:
    """What reading makes of an array in declared unit and order."""
    if unit.factor != 1 or unit.offset:
        array = array * float(unit.factor) + float(unit.offset)
    return np.transpose(array, [list(order).index(a) for a in axes])


def trajectory_of(start: Start) -> Trajectory:
    """The part of a run that is over."""
    run = start.run
    shortest, longest = run.get("dt", [float("inf"), 0.0])
    return Trajectory(
        dict(start.states),
        start.time,
        start.snapshots,
        int(run.get("steps", 0)),
        int(run.get("rejected", 0)),
        float(shortest),
        float(longest),
        float(run.get("seconds", 0.0)),
        [(float(t), int(k)) for t, k in run.get("events", [])],
    )


def frames_before(start: Start) -> dict[str, list[tuple[float, list[Array]]]]:
    """Frames of plots that the part of a run before the start has taken, by the name of their function."""
    found = {}
    for name, (times, keys) in start.run.get("frames", {}).items():
        stacked = [start.arrays[key] for key in keys]
        found[name] = [(float(t), [a[n] for a in stacked]) for n, t in enumerate(times)]
    return found


def identity(model: Model) -> dict[str, Any]:
    """What has to be the same so that parts of a saved run mean the same."""
    return {
        "equations": [e.text for e in model.equations],
        "event_texts": [e.text for e in model.events],
        "checks": [c.text for c in model.checks],
        "plots": [[q.label for q in p.quantities] for p in model.plots],
    }


def adapted(start: Start, model: Model, parameters: Mapping[str, Any]) -> tuple[Start, list[str]]:
    """The start without what belongs to another text, and notes about what is different now."""
    mine = identity(model)
    run = dict(start.run)
    if not run:
        return start, []
    if (run.get("equations"), run.get("event_texts")) != (mine["equations"], mine["event_texts"]):
        run |= {"controls": {}, "events": []}
    if run.get("checks") != mine["checks"]:
        run["snapshots"] = {}
    if run.get("plots") != mine["plots"]:
        run["frames"] = {}
    notes = []
    if run.get("equations") != mine["equations"]:
        notes.append(f"the equations are not those of the run that saved `{start.file}`")
    names = sorted({*parameters, *start.parameters})
    changed = [n for n in names if parameters.get(n) != start.parameters.get(n)]
    if changed:
        notes.append(f"not the same as in the run that saved `{start.file}`: {', '.join(changed)}")
    return replace(start, run=run), notes


def going_on(model: Model, settings: Settings, out: Path, plot: bool, state: Path) -> str:
    """The command that goes on, with the settings of this run."""
    if model.source.name.startswith("<"):
        return f'solve(..., resume="{state}")'
    words = ["ricci", "run", model.source.name]
    words += [w for name, value in settings.set for w in ("--set", f"{name}={value}")]
    words += [w for name, value in settings.input for w in ("--input", f"{name}={value}")]
    words += [w for folder in settings.allow_read for w in ("--allow-read", folder)]
    words += ["--weights", settings.weights] if settings.weights else []
    words += ["--seed", str(settings.seed)] if settings.seed else []
    words += ["--backend", settings.backend] if settings.backend != "cpu" else []
    words += ["--threads", str(settings.threads)] if settings.threads is not None else []
    words += ["--opt", str(settings.opt)] if settings.opt != 2 else []
    words += ["--out", str(out)] if out != Path() else []
    words += ["--plot"] if plot else []
    return shlex.join([*words, "--from", str(state)])
