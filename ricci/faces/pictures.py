"""Pictures one would show to a colleague: lines, maps, time series and tables of numbers, as PNG, PDF or SVG."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from ricci.errors import CannotWrite
from ricci.faces.outputs import unwritable

Array = np.ndarray[Any, Any]

FORMATS = (".png", ".pdf", ".svg")
INK = "#1b1f24"
MUTED = "#6a737d"
FAINT = "#e6e8eb"
PALETTE = ("#0f62ae", "#d1495b", "#2a9d5c", "#e39000", "#7a4fb5", "#1aa0a8", "#8c5a2b", "#c2489b")
MAP = "viridis"
DIVERGING = "RdBu_r"
TWO = ("#dde3ea", "#0f62ae")  # false, true
MOST_MARKERS = 64  # entries along an index that are marked one by one
FEW_POINTS = 12  # the same for points of a coordinate or times
SLENDER = 5  # a map that is so many times as long as it is wide is stretched
MOST_EVENTS = 40  # of a series that are marked
MOST_CELLS = 12  # rows or columns of a matrix whose entries are written into their cells
MOST_COLOURS = 12  # whole numbers that are shown by a colour each


@dataclass(frozen=True)
class Axis:
    """A labelled axis of a picture; `index` for one that counts (a dim) and has no positions."""

    name: str
    values: Array
    unit: str = ""
    index: bool = False

    @property
    def label(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class Curve:
    label: str
    values: Array


def refuse_without_library() -> None:
    """E0812 before anything is computed that could not be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise CannotWrite("E0812", "pictures need matplotlib", help="pip install 'ricci[plot]'")


def _figure(width: float, height: float, columns: int = 1, rows: int = 1) -> Any:
    refuse_without_library()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "axes.edgecolor": MUTED,
            "axes.labelcolor": INK,
            "text.color": INK,
            "text.parse_math": False,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.formatter.use_mathtext": False,
        }
    )
    return pyplot.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")


def _save(figure: Any, path: str | os.PathLike[str]) -> Path:
    """Write next to the final name, then rename: a picture is whole or not there."""
    from matplotlib import pyplot

    target = Path(path)
    partial = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks
            figure.savefig(partial, dpi=150, format=target.suffix.removeprefix("."))
        os.chmod(partial, 0o644)  # mkstemp is for the owner alone
        os.replace(partial, target)
    except OSError as error:
        raise unwritable(target, error) from None
    finally:
        if partial and os.path.exists(partial):
            os.unlink(partial)
        pyplot.close(figure)
    return target


# lines


def lines(path: str | os.PathLike[str], title: str, axis: Axis, curves: Sequence[Curve], ylabel: str, ordered: bool = False) -> Path:
    """Curves over one axis; `ordered` curves (snapshots in time) are coloured along a scale instead of by category."""
    figure, panels = _figure(7.2, 4.2)
    panel = panels[0, 0]
    panel.set(title=title, xlabel=axis.label)
    _curves(panel, axis, curves, ylabel, ordered)
    return _save(figure, path)


def series(
    path: str | os.PathLike[str], title: str, axis: Axis, groups: Sequence[tuple[str, Sequence[Curve]]], events: Sequence[float] = ()
) -> Path:
    """Curves over time, a panel for each group (label of its values, curves); `events` are marked while one can tell them apart."""
    figure, panels = _figure(7.2, 1.7 + 2.5 * len(groups), 1, len(groups))
    for panel, (ylabel, curves) in zip(panels.ravel(), groups, strict=True):
        _curves(panel, axis, curves, ylabel, False)
        for moment in events if len(events) <= MOST_EVENTS else ():
            panel.axvline(moment, color=MUTED, lw=0.7, ls=(0, (2, 3)), zorder=0.5)
    panels[0, 0].set(title=title)
    panels[-1, 0].set(xlabel=axis.label)
    return _save(figure, path)


def _curves(panel: Any, axis: Axis, curves: Sequence[Curve], ylabel: str, ordered: bool) -> None:
    panel.set(ylabel=ylabel)
    if not len(axis.values):
        _nothing(panel, axis)
        return
    few = len(axis.values) <= (MOST_MARKERS if axis.index else FEW_POINTS)
    named = []
    colours = _colours(len(curves), ordered)
    for curve in curves:
        colour = next(colours)
        for k, part in enumerate(_real_parts(curve)):
            steps = "steps-mid" if part.values.dtype.kind == "b" else "default"
            style = {"lw": 1.7, "marker": "o" if few else None, "ms": 4.5, "drawstyle": steps, "ls": (0, (4, 2)) if k else "-"}
            if k and len(curves) == 1:
                colour = next(colours)
            named += panel.plot(axis.values, part.values.astype(float), color=colour, label=part.label, **style)
    kinds = {c.values.dtype.kind for c in curves}
    _ticks(panel, axis, kinds)
    panel.grid(True, color=FAINT, lw=0.7)
    panel.set_axisbelow(True)
    panel.margins(x=0.03 if few else 0.01)
    if len(named) > 1:
        panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)


def _colours(count: int, ordered: bool) -> Iterator[Any]:
    if ordered and count > 1:
        from matplotlib import colormaps

        return iter([colormaps[MAP](v) for v in np.linspace(0.0, 0.9, count)])
    return cycle(PALETTE)


def _real_parts(curve: Curve) -> list[Curve]:
    """What can be drawn: a complex curve as its real and its imaginary part."""
    if curve.values.dtype.kind != "c":
        return [curve]
    behind = f", {curve.label}" if curve.label else ""
    return [Curve(f"real{behind}", curve.values.real), Curve(f"imaginary{behind}", curve.values.imag)]


def _ticks(panel: Any, axis: Axis, kinds: set[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    if axis.index:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if kinds == {"b"}:
        panel.set_yticks([0, 1], ["false", "true"])
        panel.set_ylim(-0.15, 1.15)
    elif kinds <= {"i", "u", "b"}:
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))


def _nothing(panel: Any, *axes: Axis) -> None:
    """The place of a picture of no values."""
    empty = " and ".join(a.name for a in axes if not len(a.values))
    panel.text(0.5, 0.5, f"no values: {empty} has size 0", ha="center", va="center", color=MUTED, transform=panel.transAxes)
    panel.set(xticks=[], yticks=[])


# maps


def maps(path: str | os.PathLike[str], title: str, first: Axis, second: Axis, frames: Sequence[Curve], unit: str) -> Path:
    """One map per frame with one common colour scale; `values[i, j]` is at (first[i], second[j]).

    A matrix (two indices) stands as it is written: the first index downwards. Otherwise the first axis goes across, the second up.
    """
    matrix = first.index and second.index
    frames = [part for frame in frames for part in _real_parts(frame)]
    if matrix or (first.index and not second.index):  # a coordinate goes across
        across, up = second, first
        shown = [Curve(f.label, f.values) for f in frames]
    else:
        across, up = first, second
        shown = [Curve(f.label, f.values.T) for f in frames]
    columns = min(3, max(1, len(shown)))
    rows = -(-len(shown) // columns)
    figure, panels = _figure(*_extents_of_figure(across, up, columns, rows), columns, rows)
    scale = _Scale.of([f.values for f in shown])
    image = None
    for k, panel in enumerate(panels.ravel()):
        if k >= len(shown):
            panel.set_visible(False)
            continue
        panel.set(title=shown[k].label, xlabel=across.label, ylabel=up.label)
        if not shown[k].values.size:
            _nothing(panel, first, second)
            continue
        image = _map(panel, across, up, shown[k].values, scale, matrix)
    if image is not None:
        _colour_bar(figure, panels, image, scale, unit)
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
    return _save(figure, path)


@dataclass(frozen=True)
class _Scale:
    """Colours of values: their range, and for truth values and few whole numbers a colour for each."""

    colours: Any
    low: float
    high: float
    kind: str
    each: bool = False

    @classmethod
    def of(cls, frames: Sequence[Array]) -> _Scale:
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        kind = frames[0].dtype.kind if frames else "f"
        if kind == "b":
            return cls(ListedColormap(TWO), -0.5, 1.5, kind, True)
        finite = np.concatenate([v[np.isfinite(v)].ravel() for v in frames]) if frames else np.zeros(0)
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if kind in "iu" and high - low < MOST_COLOURS:
            return cls(colormaps[MAP].resampled(int(high - low) + 1), low - 0.5, high + 0.5, kind, True)
        if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
            return cls(colormaps[DIVERGING], -max(-low, high), max(-low, high), kind)
        return cls(colormaps[MAP], low, high, kind)


def _extents_of_figure(across: Axis, up: Axis, columns: int, rows: int) -> tuple[float, float]:
    """Width and height that leave little paper empty around maps of this shape."""
    left, right = _extent(across.values)
    bottom, top = _extent(up.values)
    aspect = min(max((top - bottom) / max(right - left, 1e-300), 0.25), 2.5) if _comparable(across, up) else 0.72
    width = 3.7 * min(1.0, 1.25 / aspect)
    return (width + 0.75) * columns + 1.15, (width * aspect + 0.75) * rows + 0.35


def _comparable(across: Axis, up: Axis) -> bool:
    """Whether a length means the same along both axes, so that a square is to look like one; not where a map would be a mere strip."""
    if across.index != up.index or across.unit != up.unit:
        return False
    left, right = _extent(across.values)
    bottom, top = _extent(up.values)
    return 1 / SLENDER <= (top - bottom) / max(right - left, 1e-300) <= SLENDER


def _map(panel: Any, across: Axis, up: Axis, values: Array, scale: _Scale, matrix: bool) -> Any:
    """`values[j, i]` is at (across[i], up[j])."""
    from matplotlib.ticker import MaxNLocator

    left, right = _extent(across.values)
    bottom, top = _extent(up.values)
    panel.set_facecolor(FAINT)  # seen where a value is not a number
    image = panel.imshow(
        values.astype(float),
        origin="upper" if matrix else "lower",
        extent=(left, right, top, bottom) if matrix else (left, right, bottom, top),
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        aspect="equal" if _comparable(across, up) else "auto",
        interpolation="nearest",
    )
    for axis, side in ((across, panel.xaxis), (up, panel.yaxis)):
        if axis.index:
            side.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if matrix and not scale.each and max(values.shape) <= MOST_CELLS:
        _entries(panel, values, scale)
    return image


def _entries(panel: Any, values: Array, scale: _Scale) -> None:
    """The entries of a small matrix in their cells, in a colour that can be read there."""
    span = (scale.high - scale.low) or 1.0
    for (j, i), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = scale.colours((float(value) - scale.low) / span)
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            panel.text(i, j, f"{value:.3g}", ha="center", va="center", fontsize=8, color="white" if dark else INK)


def _colour_bar(figure: Any, panels: Any, image: Any, scale: _Scale, unit: str) -> None:
    bar = figure.colorbar(image, ax=panels.ravel().tolist(), shrink=0.85, pad=0.02, label=f"[{unit}]" if unit else "")
    bar.outline.set_visible(False)
    if scale.kind == "b":
        bar.set_ticks([0, 1], labels=["false", "true"])
    elif scale.each:
        whole = list(range(round(scale.low + 0.5), round(scale.high - 0.5) + 1))
        bar.set_ticks(whole, labels=[str(k) for k in whole])


def _extent(values: Array) -> tuple[float, float]:
    """Edges of the cells around the points of a uniform axis."""
    if len(values) == 0:
        return 0.0, 1.0
    half = 0.5 * float(values[1] - values[0]) if len(values) > 1 else 0.5
    return float(values[0]) - half, float(values[-1]) + half


# numbers


def numbers(path: str | os.PathLike[str], title: str, rows: Sequence[tuple[str, str]]) -> Path:
    """A table of named numbers, one a row: what is written on a slide."""
    widest = max([len(title) * 1.15, *(len(label) + len(value) + 6 for label, value in rows)])
    figure, panels = _figure(min(max(4.0, 0.115 * widest + 0.6), 12.0), 0.75 + 0.42 * len(rows))
    panel = panels[0, 0]
    panel.set(title=title, xlim=(0, 1), ylim=(len(rows), 0))
    panel.axis("off")
    for k, (label, value) in enumerate(rows):
        panel.text(0.0, k + 0.5, label, va="center", color=MUTED, fontsize=11)
        panel.text(1.0, k + 0.5, value, va="center", ha="right", fontsize=13, fontweight="bold")
        if k:
            panel.axhline(k, color=FAINT, lw=0.8)
    return _save(figure, path)
