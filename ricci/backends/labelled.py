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
        axes = ", ".join(f"{a}: {n}" for a, n in zip(self.axes, self.shape, strict=True))
        unit = f" [{self.unit}]" if self.unit else ""
        if self.values.size == 0 or self.values.dtype.kind not in "iuf":
            return f"{self.name}[{axes}]{unit}"
        if not self.axes:
            return f"{self.name} = {float(self.values):.9g}{unit}"
        return f"{self.name}[{axes}]{unit}: {np.min(self.values):.6g} .. {np.max(self.values):.6g}, mean {np.mean(self.values):.6g}"

    def to_xarray(self) -> Any:
        """The same data as `xarray.DataArray`, units in its attributes."""
        import xarray

        coordinates = {
            name: (name, values, {"units": unit} if unit else {}) for name, (values, unit) in self.coordinates.items() if name in self.axes
        }
        return xarray.DataArray(
            self.values, dims=self.axes, coords=coordinates, name=self.name, attrs={"units": self.unit} if self.unit else {}
        )
