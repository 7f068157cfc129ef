"""Result files: npz, netCDF and zarr by extension, with axes, units, model text, parameters and versions inside.

Snapshots are spooled to disk as they come, so memory does not grow with the number of times; the final name appears
only when the file is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from ricci.errors import CannotWrite, Span

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Variable:
    """One recorded quantity; `axes` in the order of the arrays that will be given, `unit` as printed ("" if none)."""

    label: str
    axes: tuple[str, ...]
    unit: str

    @property
    def name(self) -> str:
        """The label as an identifier: `curl(u)` -> `curl_u`."""
        return re.sub(r"\W+", "_", self.label.replace("'", "_prime")).strip("_") or "value"


@dataclass(frozen=True)
class Coordinate:
    """Positions of the points of an axis."""

    values: Array
    unit: str


@dataclass
class _Spool:
    """Arrays of one variable, appended to an unlinked-on-close temporary file."""

    file: IO[bytes]
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float64))
    count: int = 0

    def append(self, array: Array) -> None:
        array = np.asarray(array, order="C")  # keeps a scalar a scalar
        if self.count == 0:
            self.shape, self.dtype = array.shape, array.dtype
        array.astype(self.dtype, copy=False).tofile(self.file)
        self.count += 1

    def write_npy(self, out: IO[bytes]) -> None:
        """All frames as one npy array, copied in pieces: a long run is never in memory as a whole."""
        shape = (self.count, *self.shape)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(out, header)
        self.file.flush()
        self.file.seek(0)
        shutil.copyfileobj(self.file, out, 1 << 20)

    def frames(self) -> Array:
        self.file.flush()
        if self.count == 0 or 0 in self.shape:
            return np.zeros((self.count, *self.shape), self.dtype)
        return np.memmap(self.file.name, self.dtype, "r", shape=(self.count, *self.shape))


class Recorder:
    """Writes one result file: `append` at each time, `close` makes the file appear, `abort` leaves nothing."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        variables: tuple[Variable, ...],
        coordinates: Mapping[str, Coordinate],
        attributes: Mapping[str, Any],
        time_unit: str = "",
        span: Span | None = None,
    ) -> None:
        self.path = Path(path)
        self.variables = variables
        self.coordinates = dict(coordinates)
        self.attributes = dict(attributes)
        self.time_unit = time_unit
        self.times: list[float] = []
        self._write = _format_of(self.path, span)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent))
            self.spools = [_Spool(open(self._folder / f"{k}.raw", "w+b")) for k in range(len(variables))]  # noqa: SIM115
        except OSError as error:
            raise _unwritable(self.path, error, span) from None
        self._span = span

    def append(self, time: float, arrays: Mapping[str, Array]) -> None:
        """Record `arrays[label]` of every variable at `time`."""
        try:
            for variable, spool in zip(self.variables, self.spools, strict=True):
                spool.append(arrays[variable.label])
            self.times.append(time)
        except OSError as error:
            self.abort()
            raise _unwritable(self.path, error, self._span) from None

    def close(self) -> Path:
        """Write the file under a temporary name, then rename it into place."""
        partial = self._folder / ("whole" + self.path.suffix)
        try:
            self._write(self, partial)
            if self.path.is_dir():
                shutil.move(self.path, self._folder / "replaced")
            os.replace(partial, self.path)
        except OSError as error:
            raise _unwritable(self.path, error, self._span) from None
        finally:
            self.abort()
        return self.path

    def abort(self) -> None:
        for spool in self.spools:
            spool.file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def metadata(self) -> dict[str, Any]:
        """What a reader needs to understand the arrays."""
        return {
            **self.attributes,
            "axes": {v.name: ["t", *v.axes] for v in self.variables},
            "labels": {v.name: v.label for v in self.variables},
            "units": {
                **{v.name: v.unit for v in self.variables},
                **{name: c.unit for name, c in self.coordinates.items()},
                "t": self.time_unit,
            },
        }


def _unwritable(path: Path, error: OSError, span: Span | None) -> CannotWrite:
    reason = error.strerror or str(error)
    return CannotWrite(
        "E0810",
        f"cannot write `{path}`: {reason}",
        span,
        notes=("nothing is left under that name that was not there before",),
        help="ricci run --out FOLDER ...",
    )


def _write_npz(recorder: Recorder, path: Path) -> None:
    entries: dict[str, Array] = {"t": np.asarray(recorder.times, np.float64)}
    entries |= {name: c.values for name, c in recorder.coordinates.items()}
    entries["metadata"] = np.array(json.dumps(recorder.metadata()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in entries.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
                np.lib.format.write_array(out, np.asanyarray(array), allow_pickle=False)
        for variable, spool in zip(recorder.variables, recorder.spools, strict=True):
            with archive.open(f"{variable.name}.npy", "w", force_zip64=True) as out:
                spool.write_npy(out)


def _netcdf_variable(file: Any, name: str, array: Array, axes: tuple[str, ...], attributes: Mapping[str, str]) -> None:
    """NetCDF has no complex type and no bool: complex values become two variables, bool becomes int8."""
    if array.dtype.kind == "c":
        _netcdf_variable(file, f"{name}_real", array.real, axes, attributes)
        _netcdf_variable(file, f"{name}_imag", array.imag, axes, attributes)
        return
    stored = np.int8 if array.dtype.kind == "b" else array.dtype
    variable = file.createVariable(name, stored, axes)
    variable.setncatts(dict(attributes))
    if axes[:1] == ("t",):
        for k in range(array.shape[0]):
            variable[k, ...] = array[k]
    else:
        variable[...] = array


def _write_netcdf(recorder: Recorder, path: Path) -> None:
    import netCDF4

    frames = [spool.frames() for spool in recorder.spools]
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.setncatts({k: v if isinstance(v, str) else json.dumps(v) for k, v in recorder.attributes.items()})
        file.createDimension("t", None)
        _netcdf_variable(file, "t", np.asarray(recorder.times, np.float64), ("t",), {"units": recorder.time_unit})
        for name, extent in _extents(recorder, frames).items():
            file.createDimension(name, extent)
        for name, coordinate in recorder.coordinates.items():
            _netcdf_variable(file, name, coordinate.values, (name,), {"units": coordinate.unit})
        for variable, array in zip(recorder.variables, frames, strict=True):
            _netcdf_variable(file, variable.name, array, ("t", *variable.axes), {"units": variable.unit, "long_name": variable.label})


def _extents(recorder: Recorder, frames: list[Array]) -> dict[str, int]:
    extents: dict[str, int] = {name: len(c.values) for name, c in recorder.coordinates.items()}
    for variable, array in zip(recorder.variables, frames, strict=True):
        extents |= dict(zip(variable.axes, array.shape[1:], strict=True))
    return extents


def _write_zarr(recorder: Recorder, path: Path) -> None:
    import xarray

    frames = [spool.frames() for spool in recorder.spools]
    data = {v.name: (("t", *v.axes), f, {"units": v.unit, "long_name": v.label}) for v, f in zip(recorder.variables, frames, strict=True)}
    coordinates: dict[str, Any] = {"t": ("t", np.asarray(recorder.times, np.float64), {"units": recorder.time_unit})}
    coordinates |= {name: (name, c.values, {"units": c.unit}) for name, c in recorder.coordinates.items()}
    attributes = {k: v if isinstance(v, str) else json.dumps(v) for k, v in recorder.attributes.items()}
    dataset = xarray.Dataset(data, coordinates, attributes)
    for variable in dataset.variables.values():
        variable.encoding.clear()
    dataset.to_zarr(path, mode="w", consolidated=False)


_FORMATS: dict[str, tuple[Callable[[Recorder, Path], None], str]] = {
    ".npz": (_write_npz, ""),
    ".nc": (_write_netcdf, "netCDF4"),
    ".zarr": (_write_zarr, "xarray"),
}


def _format_of(path: Path, span: Span | None) -> Callable[[Recorder, Path], None]:
    """The writer for an extension, refused before any computing when it cannot work."""
    from importlib.util import find_spec

    if path.suffix not in _FORMATS:
        raise CannotWrite(
            "E0811",
            f"`{path.name}` has no extension of a known format",
            span,
            notes=("known are " + ", ".join(_FORMATS),),
            help=f'"{path.with_suffix(".npz").name}"',
        )
    writer, needs = _FORMATS[path.suffix]
    missing = [name for name in ([needs, "zarr"] if path.suffix == ".zarr" else [needs] if needs else []) if find_spec(name) is None]
    if missing:
        raise CannotWrite("E0812", f"writing `{path.suffix}` needs {', '.join(missing)}", span, help="pip install 'ricci[io]'")
    return writer
