"""What a run keeps on disk: outputs as the model says, pictures, and the state of an interrupted run."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ricci.backends.binding import Binding
from ricci.backends.labelled import Labelled, written
from ricci.backends.restart import Start
from ricci.backends.simulation import Trajectory
from ricci.driver import Settings
from ricci.dsl.model import Model, Output, Plot, Quantity
from ricci.dsl.program import Program
from ricci.dsl.remedies import quantity, time_unit
from ricci.faces import pictures
from ricci.faces.checkpoint import Checkpoint, frames_before, going_on, identity
from ricci.faces.declared import in_order, positions
from ricci.faces.outputs import Recorder, Variable, identifiers, unwritable

Array = np.ndarray[Any, Any]

Frame = tuple[float, list[Array]]  # time, values of the quantities of a plot

MOST_CURVES = 8  # members of a family that are drawn as curves of one picture


def described(model: Model, program: Program, binding: Binding, settings: Settings) -> dict[str, Any]:
    """Model text, parameters and versions: what makes a result file understandable later."""
    import numpy

    from ricci import __version__

    parameters = {a.name: _parameter(binding.values[a.name]) for a in program.arguments if a.role == "param" and a.name in binding.values}
    versions = {"ricci": __version__, "python": sys.version.split()[0], "numpy": numpy.__version__}
    chosen = {
        "backend": settings.backend,
        "opt": settings.opt,
        "seed": settings.seed,
        "tol": program.tolerance,
        "input": dict(settings.input),
        "weights": settings.weights,
    }
    return {"model": model.text, "parameters_SI": parameters, "sizes": dict(binding.sizes), "versions": versions, "settings": chosen}


def _parameter(value: Any) -> Any:
    array = np.asarray(value)
    if array.ndim:
        return {"shape": list(array.shape)}
    return complex(array).__repr__() if array.dtype.kind == "c" else float(array)


class Kept:
    """What a run leaves on disk: result files, and pictures (`plot`: of every result). With a `start`, those of its first part go on."""

    def __init__(
        self, model: Model, program: Program, binding: Binding, folder: Path, settings: Settings, plot: bool, start: Start | None = None
    ) -> None:
        self.model, self.program, self.binding, self.folder, self.settings, self.plot = model, program, binding, folder, settings, plot
        self._pictures = Pictures(model, program, binding, folder, plot, start)
        self._keeper = Keeper(model, program, binding, folder, settings, start)

    @property
    def notes(self) -> list[str]:
        """What could not go on."""
        return self._keeper.notes

    def take(self, name: str, moment: float, arrays: Mapping[str, Any]) -> None:
        """Record what an output or a plot looks at."""
        self._keeper.take(name, moment, arrays)
        self._pictures.take(name, moment, arrays)

    def close(self, results: Mapping[str, Labelled]) -> list[str]:
        """Write everything; the names of the files."""
        return self._keeper.close() + self._pictures.close(results)

    def abort(self) -> None:
        """Leave no half-written file; nothing happens after `close`."""
        self._keeper.abort()

    def save_state(self, trajectory: Trajectory, controls: Mapping[str, Any], method: str) -> str:
        """After Ctrl-C: what was recorded so far is written, and the state; what to say about it."""
        checkpoint = Checkpoint(identity(self.model))
        checkpoint.add_trajectory(trajectory, controls, method)
        for name, frames in self._pictures.frames.items():
            checkpoint.add_frames(name, frames)
        checkpoint.facts["outputs"] = {output.path: len(recorder.times) for output, recorder in self._keeper.recorders.values()}
        path = self.folder / f"{Path(self.model.source.name).stem.strip('<>')}.state.npz"
        attributes = described(self.model, self.program, self.binding, self.settings)
        checkpoint.write(path, self.model, self.program, self.binding, attributes, trajectory)
        when = quantity(trajectory.time, time_unit(self.program.statement, self.program.time_unit), 6)
        saved = ", ".join([str(path), *self._keeper.close()])
        command = going_on(self.model, self.settings, self.folder, self.plot, path)
        return f"interrupted at t = {when}, step {trajectory.steps}; saved {saved}\n  go on with: {command}"


class Keeper:
    """One recorder for every `output` statement; files appear when `close` is called."""

    def __init__(
        self, model: Model, program: Program, binding: Binding, folder: Path, settings: Settings, start: Start | None = None
    ) -> None:
        self.model, self.program, self.binding, self.folder = model, program, binding, folder
        self.attributes = described(model, program, binding, settings)
        self.recorders: dict[str, tuple[Output, Recorder]] = {}
        self.notes: list[str] = []
        self.scale = float(model.time_unit.factor)
        begun = start.run.get("outputs", {}) if start is not None else {}
        try:
            for k, output in enumerate(model.outputs):
                recorder = self._recorder(output)
                self.recorders[f"output:{k}"] = (output, recorder)
                if begun.get(output.path) and not recorder.resume(int(begun[output.path])):
                    self.notes.append(f"`{recorder.path}` is not the file that the interrupted run wrote: it begins anew")
        except BaseException:
            self.abort()
            raise

    def _recorder(self, output: Output) -> Recorder:
        axes = tuple(dict.fromkeys(a for q in output.quantities for a in q.order))
        variables = tuple(Variable(q.label, q.order, q.unit.text) for q in output.quantities)
        coordinates = positions(self.program, self.model, self.binding, axes)
        time_unit = self.model.time_unit.text if self.program.states else None
        return Recorder(self.folder / output.path, variables, coordinates, self.attributes, time_unit, output.span)

    def take(self, name: str, moment: float, arrays: Mapping[str, Any]) -> None:
        """Record a snapshot if it belongs to an output."""
        if name in self.recorders:
            output, recorder = self.recorders[name]
            recorder.append(moment / self.scale, {q.label: in_order(q, np.asarray(arrays[q.label])) for q in output.quantities})

    def close(self) -> list[str]:
        """Write the files, each once, in the order of the model."""
        written = []
        while self.recorders:
            name = next(iter(self.recorders))
            _, recorder = self.recorders.pop(name)
            if recorder.leading and not recorder.times:  # a run that was interrupted before
                recorder.abort()
            else:
                written.append(str(recorder.close()))
        return written

    def abort(self) -> None:
        for _, recorder in self.recorders.values():
            recorder.abort()
        self.recorders.clear()


def with_series(model: Model) -> Model:
    """The model with a plot of the fields that depend on time alone and that no `plot` shows: their ends are no picture."""
    shown = {quantity.label for plot in model.plots for quantity in plot.quantities}
    coordinates = {c.name for d in model.domains.values() for c in d.coordinates}
    moving = {e.determines for e in model.equations if e.time_order}
    left = [f for f in model.fields.values() if f.name in moving and f.name not in shown and coordinates.isdisjoint(f.order)]
    numbers = [Quantity(f.name, f.symbol, f.unit, ()) for f in left if not f.order]
    groups = [tuple(numbers[k : k + MOST_CURVES]) for k in range(0, len(numbers), MOST_CURVES)]
    groups += [(Quantity(f.name, f.symbol, f.unit, f.order),) for f in left if len(f.order) == 1]
    return replace(model, plots=[*model.plots, *(Plot(group, (), None, over_time=True) for group in groups)])


class Pictures:
    """Snapshots of `plot` statements, drawn when the run is over. `all_results`: of every result that no plot shows, too (`--plot`)."""

    def __init__(
        self, model: Model, program: Program, binding: Binding, folder: Path, all_results: bool, start: Start | None = None
    ) -> None:
        self.model, self.program, self.binding, self.folder = model, program, binding, folder
        self.all_results = all_results
        self.frames: dict[str, list[Frame]] = {f"plot:{k}": [] for k in range(len(model.plots))}
        if start is not None:
            self.frames.update({name: frames for name, frames in frames_before(start).items() if name in self.frames})
        self.stem = Path(model.source.name).stem.strip("<>") or "model"
        named = [plot.path for plot in model.plots if plot.path]
        self.taken = {Path(path).stem for path in named}
        if model.plots or all_results:
            pictures.refuse_without_library()
            for path in {(folder / name).parent for name in named} | {folder}:
                refuse_unwritable(path)

    def take(self, name: str, moment: float, arrays: Mapping[str, Any]) -> None:
        """Keep a frame if it belongs to a plot."""
        if name in self.frames:
            plot = self.model.plots[int(name.partition(":")[2])]
            self.frames[name].append((moment, [in_order(q, np.asarray(arrays[q.label])) for q in plot.quantities]))

    def close(self, results: Mapping[str, Labelled]) -> list[str]:
        """Draw every plot of the model, then what `all_results` asks for."""
        written = [str(self._plot(k, plot)) for k, plot in enumerate(self.model.plots) if self.frames[f"plot:{k}"]]
        shown = {quantity.label for plot in self.model.plots for quantity in plot.quantities}
        left = [r for name, r in results.items() if name not in shown] if self.all_results else []
        written += [str(self._draw(self._free(r.name), self._title([r]), r, [("", r.values)])) for r in left if r.axes]
        numbers = [r for r in left if not r.axes]
        if numbers:
            written.append(str(self._numbers(self._free("numbers"), numbers)))
        return written

    def _numbers(self, path: Path, numbers: Sequence[Labelled]) -> Path:
        return pictures.numbers(path, self.stem.replace("_", " "), [(r.name, _with_unit(r)) for r in numbers])

    def _free(self, label: str) -> Path:
        """A file for this label that no other picture has."""
        (name,) = identifiers([f"{self.stem}_{label}"], self.taken)
        self.taken.add(name)
        return self.folder / f"{name}.png"

    def _plot(self, k: int, plot: Plot) -> Path:
        frames = self.frames[f"plot:{k}"]
        shown = [self._like(quantity, values) for quantity, values in zip(plot.quantities, frames[0][1], strict=True)]
        path = self.folder / plot.path if plot.path else self._free(str(k))
        first = shown[0]
        if not self.program.states:
            return self._draw(path, self._title(shown), first, [("", first.values)]) if first.axes else self._numbers(path, shown)
        if plot.over_time or not first.axes:
            return self._series(path, shown, frames)
        scale, unit = float(self.model.time_unit.factor), self.model.time_unit.text
        named = [(f"t = {moment / scale:.4g}{' ' + unit if unit else ''}", values[0]) for moment, values in frames]
        return self._draw(path, self._title(shown), first, named)

    def _like(self, quantity: Quantity, values: Array) -> Labelled:
        coordinates = {n: (c.values, c.unit) for n, c in positions(self.program, self.model, self.binding, quantity.order).items()}
        return Labelled(quantity.label, values, quantity.order, quantity.unit.text, coordinates)

    def _series(self, path: Path, shown: Sequence[Labelled], frames: Sequence[Frame]) -> Path:
        """Curves over time, those of one unit in one panel; of a family with many members a map."""
        times = np.array([moment for moment, _ in frames]) / float(self.model.time_unit.factor)
        events = [float(a) for a, b in pairwise(times) if a == b]  # a frame before and one after each
        axis = pictures.Axis("t", times, self.model.time_unit.text)
        first = shown[0]
        if first.axes:
            members = np.array([values[0] for _, values in frames])
            index = _axis(first, first.axes[0], members.shape[1])
            if members.shape[1] > MOST_CURVES:
                even = np.linspace(times[0], times[-1], len(times))
                resampled = np.array([np.interp(even, times, row) for row in members.T]).T
                return pictures.maps(
                    path, self._title(shown), replace(axis, values=even), index, [pictures.Curve("", resampled)], first.unit
                )
            curves = [pictures.Curve(f"{index.name} = {k}", row) for k, row in enumerate(members.T)]
            return pictures.series(path, self._title(shown), axis, [(_value_label(first), curves)], events)
        groups: dict[str, list[pictures.Curve]] = {}
        for k, like in enumerate(shown):
            groups.setdefault(like.unit, []).append(pictures.Curve(like.name, np.array([values[k] for _, values in frames])))
        panels = [(_together(curves, unit), curves) for unit, curves in groups.items()]
        return pictures.series(path, self._title(shown), axis, panels, events)

    def _title(self, shown: Sequence[Labelled]) -> str:
        return f"{self.stem.replace('_', ' ')}: {', '.join(r.name for r in shown)}"

    def _draw(self, path: Path, title: str, like: Labelled, frames: Sequence[tuple[str, Array]]) -> Path:
        """Lines along one axis, maps over two; of more axes the others are cut in the middle."""
        axes = [_axis(like, name, extent) for name, extent in zip(like.axes, like.shape, strict=True)]
        shown = _shown(axes)
        place = tuple(slice(None) if k in shown else len(axis.values) // 2 for k, axis in enumerate(axes))
        hidden = [(axis, len(axis.values) // 2) for k, axis in enumerate(axes) if k not in shown]
        if any(not len(axis.values) for axis, _ in hidden):
            shown = [k for k, axis in enumerate(axes) if not len(axis.values)][:2]
            hidden, place = [], ()
            frames = [("", np.zeros([len(axes[k].values) for k in shown]))]
        if hidden:
            title += " at " + ", ".join(f"{axis.name} = {axis.values[m]:.4g}" + f" {axis.unit}".rstrip() for axis, m in hidden)
        curves = [pictures.Curve(label, values[place]) for label, values in frames]
        if len(shown) == 1:
            return pictures.lines(path, title, axes[shown[0]], curves, _value_label(like), ordered=True)
        first, second = (axes[k] for k in shown)
        if first.index and not second.index and len(curves) == 1 and 0 < len(first.values) <= MOST_CURVES:
            family = [pictures.Curve(f"{first.name} = {k}", row) for k, row in enumerate(curves[0].values)]
            return pictures.lines(path, title, second, family, _value_label(like))
        return pictures.maps(path, title, first, second, curves, like.unit)


def _axis(like: Labelled, name: str, extent: int) -> pictures.Axis:
    known = like.coordinates.get(name)
    return pictures.Axis(name, *known) if known is not None else pictures.Axis(name, np.arange(extent, dtype=float), index=True)


def _shown(axes: Sequence[pictures.Axis]) -> list[int]:
    """The one or two axes of a picture: coordinates before indices, the first coordinates and the last indices."""
    places = [k for k, axis in enumerate(axes) if not axis.index]
    counted = [k for k, axis in enumerate(axes) if axis.index]
    return sorted((places[:2] + counted[::-1])[:2])


def _with_unit(number: Labelled) -> str:
    text = written(number.values, 6)
    compound = number.unit and number.values.dtype.kind == "c"
    return f"({text}) {number.unit}" if compound else f"{text} {number.unit}".rstrip()


def _together(curves: Sequence[pictures.Curve], unit: str) -> str:
    names = curves[0].label if len(curves) == 1 else ""
    return f"{names} [{unit}]".strip() if unit else names


def _value_label(like: Labelled) -> str:
    return f"{like.name} [{like.unit}]" if like.unit else like.name


def refuse_unwritable(folder: Path) -> None:
    """E0810 before anything is computed whose picture could not be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    os.close(handle)
    os.unlink(name)
