"""Frames of result files that ricci wrote, one time after another, so that a run can go on writing them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, Any]
Frames = Iterator[tuple[float, list[Array]]]


def frames_of(path: Path, names: Sequence[str]) -> Frames:
    """(time, values of the quantities `names`) in the order of the file, one frame in memory. KeyError, OSError or ValueError for
    a file that is none of ricci's."""
    return {".npz": _of_npz, ".nc": _of_netcdf, ".zarr": _of_zarr}[path.suffix](path, names)


class _Member:
    """Frames of one array in an npz file."""

    def __init__(self, file: IO[bytes]) -> None:
        if np.lib.format.read_magic(file) != (2, 0):
            raise ValueError("another version of the format")
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(file)
        if by_columns or not shape:
            raise ValueError("no frames")
        self.file, self.shape, self.dtype = file, shape[1:], dtype

    def next(self) -> Array:
        size = int(np.prod(self.shape, dtype=int)) * self.dtype.itemsize
        content = self.file.read(size)
        if len(content) != size:
            raise ValueError("the file ends too early")
        return np.frombuffer(content, self.dtype).reshape(self.shape)


def _of_npz(path: Path, names: Sequence[str]) -> Frames:
    with zipfile.ZipFile(path) as archive, ExitStack() as stack:
        with archive.open("t.npy") as file:
            times = np.lib.format.read_array(file, allow_pickle=False)
        members = [_Member(stack.enter_context(archive.open(f"{name}.npy"))) for name in names]
        for time in times:
            yield float(time), [m.next() for m in members]


def _of_netcdf(path: Path, names: Sequence[str]) -> Frames:
    import netCDF4

    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)

        def frame(name: str, k: int) -> Array:
            if name not in file.variables:  # a complex quantity is two variables
                return np.asarray(file.variables[f"{name}_real"][k] + 1j * file.variables[f"{name}_imag"][k])
            variable = file.variables[name]
            truth = "dtype" in variable.ncattrs() and variable.getncattr("dtype") == "bool"
            return np.asarray(variable[k], bool if truth else None)

        for k, time in enumerate(np.asarray(file.variables["t"][:])):
            yield float(time), [frame(name, k) for name in names]


def _of_zarr(path: Path, names: Sequence[str]) -> Frames:
    import xarray

    with xarray.open_zarr(path, decode_times=False) as data:
        for k, time in enumerate(data["t"].values):
            yield float(time), [np.asarray(data[name][k].values) for name in names]
