"""What a run keeps on disk: outputs as the model says, pictures, and the state of an interrupted run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ricci.backends.binding import Binding
from ricci.backends.labelled import Labelled
from ricci.backends.simulation import Trajectory
from ricci.driver import Settings
from ricci.dsl import reference
from ricci.dsl.model import Model, Output, Plot, Quantity, Unit
from ricci.dsl.program import Program
from ricci.faces.outputs import Coordinate, Recorder, Variable

Array = np.ndarray[Any, Any]


def positions(program: Program, model: Model, binding: Binding, axes: tuple[str, ...]) -> dict[str, Coordinate]:
    """Points of the axes that are coordinates, in their declared units."""
    units = {c.name: c.unit for d in model.domains.values() for c in d.coordinates}
    found = {}
    for axis in axes:
        if axis in program.coordinates:
            values = reference.evaluate([program.coordinates[axis]], binding.values, binding.sizes)[0]
            found[axis] = Coordinate(values / float(units[axis].factor), units[axis].text)
    return found


def in_order(quantity: Quantity, array: Array) -> Array:
    """An array with canonical axes as the user sees it: declared order of axes, declared unit."""
    return as_declared(array, quantity.order, quantity.unit)


def as_declared(array: Array, order: tuple[str, ...], unit: Unit) -> Array:
    """Axes in declared order, values in the declared unit; the same memory where no number changes."""
    canonical = tuple(sorted(order))
    turned = np.transpose(array, [canonical.index(a) for a in order])
    if unit.factor == 1 and not unit.offset:
        return turned
    return np.asarray((turned - float(unit.offset)) / float(unit.factor))


def described(model: Model, program: Program, binding: Binding, settings: Settings) -> dict[str, Any]:
    """Model text, parameters and versions: what makes a result file understandable later."""
    import numpy

    from ricci import __version__

    parameters = {a.name: _parameter(binding.values[a.name]) for a in program.arguments if a.role == "param" and a.name in binding.values}
    versions = {"ricci": __version__, "python": sys.version.split()[0], "numpy": numpy.__version__}
    chosen = {"backend": settings.backend, "opt": settings.opt, "seed": settings.seed, "tol": program.tolerance}
    return {"model": model.text, "parameters_SI": parameters, "sizes": dict(binding.sizes), "versions": versions, "settings": chosen}


def _parameter(value: Any) -> Any:
    array = np.asarray(value)
    if array.ndim:
        return {"shape": list(array.shape)}
    return complex(array).__repr__() if array.dtype.kind == "c" else float(array)


class Keeper:
    """One recorder for every `output` statement; files appear when `close` is called."""

    def __init__(self, model: Model, program: Program, binding: Binding, folder: Path, settings: Settings) -> None:
        self.model, self.program, self.binding, self.folder = model, program, binding, folder
        attributes = described(model, program, binding, settings)
        self.recorders: dict[str, tuple[Output, Recorder]] = {}
        self.scale = float(model.time_unit.factor)
        self.attributes = attributes
        for k, output in enumerate(model.outputs):
            axes = tuple(dict.fromkeys(a for q in output.quantities for a in q.order))
            variables = tuple(Variable(q.label, q.order, q.unit.text) for q in output.quantities)
            coordinates = positions(program, model, binding, axes)
            path = folder / output.path
            self.recorders[f"output:{k}"] = (output, Recorder(path, variables, coordinates, attributes, model.time_unit.text, output.span))

    def take(self, name: str, moment: float, arrays: Mapping[str, Any]) -> None:
        """Record a snapshot if it belongs to an output."""
        if name in self.recorders:
            output, recorder = self.recorders[name]
            recorder.append(moment / self.scale, {q.label: in_order(q, np.asarray(arrays[q.label])) for q in output.quantities})

    def close(self) -> list[str]:
        written = [str(recorder.close()) for _, recorder in self.recorders.values()]
        self.recorders.clear()
        return written

    def abort(self) -> None:
        for _, recorder in self.recorders.values():
            recorder.abort()
        self.recorders.clear()

    def save_state(self, trajectory: Trajectory) -> None:
        """After Ctrl-C: what was recorded so far is written, and the state, with the time it belongs to."""
        path = self.folder / f"{Path(self.model.source.name).stem.strip('<>')}.state.npz"
        variables = tuple(Variable(s.name, tuple(s.symbol.axes), "SI") for s in self.program.states)
        recorder = Recorder(path, variables, {}, self.attributes, "s")
        recorder.append(trajectory.time, {s.name: np.asarray(trajectory.states[s.name]) for s in self.program.states})
        saved = [str(recorder.close()), *self.close()]
        print(f"interrupted at t = {trajectory.time / self.scale:g}, step {trajectory.steps}; saved {', '.join(saved)}", file=sys.stderr)


class Pictures:
    """Snapshots of `plot` statements, drawn when the run is over."""

    def __init__(self, model: Model, program: Program, binding: Binding, folder: Path) -> None:
        self.model, self.program, self.binding, self.folder = model, program, binding, folder
        self.frames: dict[str, list[tuple[float, Array]]] = {f"plot:{k}": [] for k in range(len(model.plots))}
        self.stem = Path(model.source.name).stem.strip("<>") or "model"

    def take(self, name: str, moment: float, arrays: Mapping[str, Any]) -> None:
        """Keep a frame if it belongs to a plot."""
        if name in self.frames:
            quantity = self.model.plots[int(name.partition(":")[2])].quantity
            self.frames[name].append((moment, in_order(quantity, np.asarray(arrays[quantity.label]))))

    def close(self, results: Mapping[str, Labelled]) -> list[str]:
        """Draw every plot of the model, then every result of `results` that no plot shows (`--plot`)."""
        written = [self._plot(k, plot) for k, plot in enumerate(self.model.plots) if self.frames[f"plot:{k}"]]
        shown = {plot.quantity.label for plot in self.model.plots}
        for name, result in results.items():
            if name not in shown and result.axes:
                end = self._title(name, None)
                written.append(self._draw(self.folder / f"{self.stem}_{name.replace('.', '_')}.png", end, result, [("", result.values)]))
        return [w for w in written if w]

    def _plot(self, k: int, plot: Plot) -> str:
        quantity = plot.quantity
        frames = self.frames[f"plot:{k}"]
        coordinates = {n: (c.values, c.unit) for n, c in positions(self.program, self.model, self.binding, quantity.order).items()}
        like = Labelled(quantity.label, frames[0][1], quantity.order, quantity.unit.text, coordinates)
        path = self.folder / (plot.path or f"{self.stem}_{k}.png")
        scale, unit = float(self.model.time_unit.factor), self.model.time_unit.text
        labelled = [(f"t = {moment / scale:.4g}{' ' + unit if unit else ''}", values) for moment, values in frames]
        return self._draw(path, self._title(quantity.label, None), like, labelled)

    def _title(self, label: str, moment: float | None) -> str:
        return f"{self.stem.replace('_', ' ')}: {label}"

    def _draw(self, path: Path, title: str, like: Labelled, frames: list[tuple[str, Array]]) -> str:
        from ricci.faces import pictures

        axes = [
            pictures.Axis(a, *like.coordinates.get(a, (np.arange(n, dtype=float), ""))) for a, n in zip(like.axes, like.shape, strict=True)
        ]
        curves = [pictures.Curve(label, values) for label, values in frames]
        ylabel = f"{like.name} [{like.unit}]" if like.unit else like.name
        if len(axes) == 1:
            return str(pictures.lines(path, title, axes[0], curves, ylabel, ordered=True))
        if len(axes) == 2:
            return str(pictures.maps(path, title, axes[0], axes[1], curves, like.unit))
        if not axes:
            times = np.array([float(label.split()[2]) for label, _ in frames])
            series = pictures.Curve(like.name, np.array([float(v) for _, v in frames]))
            return str(pictures.lines(path, title, pictures.Axis("t", times, self.model.time_unit.text), [series], ylabel))
        middle = tuple(n // 2 for n in like.shape[2:])
        place: Any = (..., *middle)
        cut = [pictures.Curve(c.label, c.values[place]) for c in curves]
        where = ", ".join(f"{a.name} = {a.values[m]:.4g}" for a, m in zip(axes[2:], middle, strict=True))
        return str(pictures.maps(path, f"{title} at {where}", axes[0], axes[1], cut, like.unit))
