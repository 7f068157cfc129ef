"""Arrays as users hold them: values with named axes, positions along them, and a unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Labelled:
    """values[axes...] in `unit`; `coordinates` maps an axis to the positions of its points and their unit.

    Converts to numpy (`np.asarray`), DLPack (`from_dlpack`) and xarray (`to_xarray`); indexing and arithmetic are numpy's, on `.values`.
    """

    name: str
    values: Array
    axes: tuple[str, ...]
    unit: str = ""
    coordinates: Mapping[str, tuple[Array, str]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.values.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
        return self.values.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()

    def __float__(self) -> float:
        return float(self.values)

    def __repr__(self) -> str:
        unit = f" [{self.unit}]" if self.unit else ""
        if not self.axes:
            return f"{self.name} = {written(self.values)}{unit}"
        head = f"{self.name}[{', '.join(f'{a}: {n}' for a, n in zip(self.axes, self.shape, strict=True))}]{unit}"
        kind = self.values.dtype.kind
        if self.values.size == 0:
            return head
        if kind == "b":
            return f"{head}: {np.count_nonzero(self.values)} of {self.values.size} true"
        size = np.abs(self.values) if kind == "c" else self.values
        return f"{head}: {'abs ' if kind == 'c' else ''}{np.min(size):.6g} .. {np.max(size):.6g}, mean of entries {written(np.mean(self.values), 6)}"

    def to_xarray(self) -> Any:
        """The same data as `xarray.DataArray`, units in its attributes."""
        import xarray

        coordinates = {
            name: (name, values, {"units": unit} if unit else {}) for name, (values, unit) in self.coordinates.items() if name in self.axes
        }
        return xarray.DataArray(
            self.values, dims=self.axes, coords=coordinates, name=self.name, attrs={"units": self.unit} if self.unit else {}
        )


def written(value: Any, digits: int = 9) -> str:
    """One number as a person writes it: `0.25`, `1 - 2i`, `true`."""
    value = np.asarray(value)
    if value.dtype.kind == "b":
        return "true" if value else "false"
    if value.dtype.kind == "c":
        sign = "-" if np.signbit(value.imag) else "+"
        return f"{float(value.real):.{digits}g} {sign} {abs(float(value.imag)):.{digits}g}i"
    return str(int(value)) if value.dtype.kind in "iu" else f"{float(value):.{digits}g}"
