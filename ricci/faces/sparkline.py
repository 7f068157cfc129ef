"""A row of blocks for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FLAT = 1e-6  # of the largest value: what varies less is shown as constant


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A row of blocks for a terminal; not-finite values are gaps."""
    blocks = "▁▂▃▄▅▆▇█"
    array = np.asarray(values, float)
    if array.size > width:
        array = array[np.linspace(0, array.size - 1, width).round().astype(int)]
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return " " * array.size
    low, span = float(finite.min()), float(finite.max() - finite.min())
    if span <= FLAT * float(np.abs(finite).max()):
        span = 0.0
    return "".join(" " if not np.isfinite(v) else blocks[int((v - low) / span * 7.999) if span > 0 else 3] for v in array)
