"""Pictures one would show to a colleague: lines, maps and time series, as PNG."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ricci.errors import CannotWrite

Array = np.ndarray[Any, Any]

INK = "#1b1f24"
MUTED = "#6a737d"
PALETTE = ("#0f62ae", "#d1495b", "#2a9d5c", "#e39000", "#7a4fb5", "#1aa0a8", "#8c5a2b", "#c2489b")
MAP = "viridis"
DIVERGING = "RdBu_r"


@dataclass(frozen=True)
class Axis:
    """A labelled axis of a picture."""

    name: str
    values: Array
    unit: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class Curve:
    label: str
    values: Array


def _figure(width: float, height: float, columns: int = 1, rows: int = 1) -> Any:
    try:
        import matplotlib
    except ImportError:
        raise CannotWrite("E0812", "pictures need matplotlib", help="pip install 'ricci[plot]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 10,
            "axes.edgecolor": MUTED,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
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
        handle, partial = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=".png", dir=target.parent)
        os.close(handle)
        figure.savefig(partial, dpi=150, format="png")
        os.chmod(partial, 0o644)  # mkstemp is for the owner alone
        os.replace(partial, target)
    except OSError as error:
        if partial and os.path.exists(partial):
            os.unlink(partial)
        raise CannotWrite("E0810", f"cannot write `{target}`: {error.strerror or error}", help="ricci run --out FOLDER ...") from None
    finally:
        pyplot.close(figure)
    return target


def lines(path: str | os.PathLike[str], title: str, axis: Axis, curves: Sequence[Curve], ylabel: str, ordered: bool = False) -> Path:
    """Curves over one axis; `ordered` curves (snapshots in time) are coloured along a scale instead of by category."""
    from itertools import cycle

    figure, panels = _figure(7.2, 4.2)
    panel = panels[0, 0]
    if ordered and len(curves) > 1:
        from matplotlib import colormaps

        colours: Any = [colormaps[MAP](v) for v in np.linspace(0.0, 0.9, len(curves))]
    else:
        colours = cycle(PALETTE)
    marker = "o" if len(axis.values) < 3 else None
    for curve, colour in zip(curves, colours, strict=False):
        panel.plot(axis.values, np.real(curve.values), color=colour, lw=1.7, marker=marker, label=curve.label)
    panel.set(title=title, xlabel=axis.label, ylabel=ylabel)
    panel.grid(True, color="#e6e8eb", lw=0.7)
    panel.margins(x=0.01)
    if len(curves) > 1:
        panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    return _save(figure, path)


def maps(path: str | os.PathLike[str], title: str, across: Axis, up: Axis, frames: Sequence[Curve], unit: str) -> Path:
    """One map per frame with one common colour scale; `values[i, j]` is at (across[i], up[j])."""
    columns = min(3, max(1, len(frames)))
    rows = -(-len(frames) // columns)
    extent = _extent(across.values) + _extent(up.values)
    aspect = min(max((extent[3] - extent[2]) / max(extent[1] - extent[0], 1e-300), 0.35), 2.0)
    comparable = across.unit == up.unit
    figure, panels = _figure(4.6 * columns + 0.8, (4.0 * aspect if comparable else 3.4) * rows + 0.9, columns, rows)
    values = [np.real(f.values).astype(float) for f in frames]
    finite = np.concatenate([v[np.isfinite(v)].ravel() for v in values]) if values else np.zeros(0)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
        scale, low, high = DIVERGING, -max(-low, high), max(-low, high)
    else:
        scale = MAP
    image = None
    for k, panel in enumerate(panels.ravel()):
        if k >= len(frames):
            panel.set_visible(False)
            continue
        image = panel.imshow(
            values[k].T,
            origin="lower",
            extent=extent,
            cmap=scale,
            vmin=low,
            vmax=high,
            aspect="equal" if comparable else "auto",
            interpolation="nearest",
        )
        panel.set(title=frames[k].label, xlabel=across.label, ylabel=up.label)
    if image is not None:
        figure.colorbar(image, ax=panels.ravel().tolist(), shrink=0.85, pad=0.02, label=f"[{unit}]" if unit else "")
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold")
    return _save(figure, path)


def _extent(values: Array) -> tuple[float, float]:
    """Edges of the cells around the points of a uniform axis."""
    if len(values) == 0:
        return 0.0, 1.0
    half = 0.5 * float(values[1] - values[0]) if len(values) > 1 else 0.5
    return float(values[0]) - half, float(values[-1]) + half
