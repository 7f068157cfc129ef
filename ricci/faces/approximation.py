"""`ricci.approximate`: a layer whose weights are replaced by structured ones that are near to them, under a tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ricci.dsl.model import Layer, Model
from ricci.dsl.ops.symbol import name_of
from ricci.errors import CannotRun, Source, WrongUsage

if TYPE_CHECKING:
    from ricci.egraph.approximate import Selection

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Approximation:
    """A model with structured weights. `str()` is the report; every array has the axes that the text declares, in their order.

    `bound` is guaranteed for every input: |y~ - y| <= bound * `growth`; None where no bound is known. `calibrated` is the largest
    |y~ - y| / |y| of the samples; None without samples. `structures`: what each replaced weight is now.
    """

    text: str
    weights: Mapping[str, Array]
    structures: Mapping[str, str]
    flops: int
    dense_flops: int
    bound: float | None
    growth: str
    calibrated: float | None
    measured: int

    def to_json(self) -> dict[str, Any]:
        """The figures, for programs."""
        return {
            "structures": dict(self.structures),
            "flops": self.flops,
            "dense_flops": self.dense_flops,
            "bound": self.bound,
            "bound_relative_to": self.growth,
            "calibrated": self.calibrated,
            "measured": self.measured,
        }

    def __str__(self) -> str:
        lines = [f"{name}: {structure}" for name, structure in self.structures.items()] or ["no weight is replaced"]
        if self.flops:
            lines.append(f"operations of a sample {self.dense_flops} -> {self.flops} ({self.dense_flops / self.flops:.3g} times fewer)")
        if self.bound is not None:
            lines.append(f"bound {self.bound:.2g} of {self.growth or '|y|'}, for every input")
        if self.calibrated is not None:
            lines.append(f"measured {self.calibrated:.2g} of |y|, the largest of the samples")
        return "\n".join([*lines, f"{self.measured} structures were measured"])


def approximate(
    model: Any,
    weights: Mapping[str, Any],
    *,
    tol: float,
    by: str = "bound",
    layer: str = "",
    samples: Mapping[str, Any] | None = None,
) -> Approximation:
    """The cheapest layer y~ with |y~ - y| within `tol`, its weights replaced by structured ones that were measured on their values.

    `model`: the text of a model with one layer (or `layer` names it), or a traced layer. `weights`: arrays by name, axes as declared.
    `by`: which figure `tol` is for, "bound" (guaranteed) or "calibrated" (measured on `samples`: inputs by name).
    tol=0 gives the model as it is. E0905 where no structure meets the tolerance, E0906 where no bound is known.
    Cost: a decomposition of every weight and structure. Source: labels of cost and error, of which dominated ones are dropped (Pareto, as in multi-criteria shortest paths).
    """
    from ricci import driver
    from ricci.egraph.approximate import BY, Problem
    from ricci.egraph.approximate import approximate as select

    if by not in BY:
        raise WrongUsage("E0104", f'by="{by}": the figure is {" or ".join(BY)}', help='by="bound"')
    if not 0 <= tol < float("inf"):
        raise WrongUsage("E0104", f"tol={tol}: a tolerance is a number >= 0", help="tol=1e-3")
    text = str(model)
    checked = driver.check_text(Source("<model>", text))
    chosen = _layer(checked, layer)
    values, sizes = _bound(checked, chosen, weights, samples)
    inputs = [p for p in chosen.function.params if name_of(p) in {f"{chosen.name}.{n}" for n, _ in chosen.inputs}]
    given = {p: values[name_of(p)] for p in chosen.function.params if name_of(p) in values and p not in inputs}
    plain = {w.symbol: (w.order[0], w.order[1]) for w in chosen.weights if len(w.order) == 2 and w.value is None and _item(w, chosen)}
    held = None if samples is None else {p: values[name_of(p)] for p in inputs}
    if by == "calibrated" and held is None:
        raise WrongUsage(
            "E0104", 'by="calibrated" is measured on samples', help=f"samples={{{', '.join(repr(n) for n, _ in chosen.inputs)}: ...}}"
        )
    found = select(Problem(chosen.function, inputs, given, plain, sizes, held), tol, by)
    return _told(text, chosen, found)


def _layer(model: Model, name: str) -> Layer:
    if not model.layers:
        raise CannotRun("E0707", "the model has no layer whose weights could be replaced")
    if not name and len(model.layers) == 1:
        return next(iter(model.layers.values()))
    if name not in model.layers:
        first = next(iter(model.layers))
        raise WrongUsage("E0104", f"`layer` is one of {', '.join(model.layers)}", help=f'layer="{first}"')
    return model.layers[name]


def _item(weight: Any, layer: Layer) -> bool:
    """Whether a weight is declared in the layer by itself, no core of a structured one."""
    cores = {core.name for structured in layer.structured for core in structured.cores}
    return weight.span is not None and weight.name not in cores


def _bound(
    model: Model, layer: Layer, weights: Mapping[str, Any], samples: Mapping[str, Any] | None
) -> tuple[dict[str, Array], dict[str, int]]:
    """Values of weights and inputs in canonical order of axes, and sizes; E08xx for what is missing or does not fit."""
    from ricci import driver
    from ricci.backends.binding import bind_arrays

    program = driver.discretize(model)
    inputs = {f"{layer.name}.{name}": array for name, array in (samples or {}).items()}
    binding = bind_arrays(program, {**inputs, **weights}, 0)
    own = {w.name for w in layer.weights}
    lacking = [name for name in binding.drawn if name in own]
    if lacking:
        raise CannotRun("E0807", f"`weights` has no array for `{lacking[0]}`")
    missing = [name for name, _ in layer.inputs if samples is not None and f"{layer.name}.{name}" not in binding.values]
    if missing:
        raise CannotRun("E0807", f"`samples` has no array for the input `{missing[0]}`")
    return {name: np.asarray(value) for name, value in binding.values.items()}, dict(binding.sizes)


def _told(text: str, layer: Layer, found: Selection) -> Approximation:
    """The new text, and arrays in declared order."""
    declared: dict[str, tuple[str, ...]] = {w.name: w.order for w in layer.weights}
    edits: list[tuple[int, int, str]] = []
    structures: dict[str, str] = {}
    for symbol, row in found.choice.items():
        assert row.structure is not None
        weight = next(w for w in layer.weights if w.symbol is symbol)
        assert weight.span is not None
        edits.append((weight.span.start, weight.span.end, f"{weight.span.text} {row}"))
        structures[weight.name] = str(row)
        declared |= {f"{weight.name}.{core.name}": tuple(axis for axis, _ in core.axes) for core in row.structure.arrays}
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    arrays = {name: _as_declared(array, declared[name]) for name, array in found.weights.items()}
    growth = "" if found.growth is None else str(found.growth)
    figures = (found.flops, found.dense_flops, found.bound, growth, found.calibrated, found.measured)
    return Approximation(text, arrays, structures, *figures)


def _as_declared(array: Array, order: tuple[str, ...]) -> Array:
    """From canonical order of axes to the declared one."""
    canonical = sorted(order)
    return np.ascontiguousarray(np.transpose(array, [canonical.index(axis) for axis in order]))
