"""Result files: npz, netCDF and zarr by extension, with axes, units, model text, parameters and versions inside.

Snapshots are spooled to disk as they come, so memory does not grow with the number of times; the final name appears
only when the file is whole. The arrays of a model without time are one snapshot, and have no axis `t`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ricci.backends.labelled import Labelled
from ricci.errors import CannotWrite, Span

Array = np.ndarray[Any, Any]

Entry = tuple[str, tuple[str, ...], Array, dict[str, str]]  # name, axes, values, attributes

RESERVED = ("t", "metadata")  # names in every file that are no quantities
LONGEST_NAME = 60  # characters of a name made of an expression


@dataclass(frozen=True)
class Variable:
    """One recorded quantity; `axes` in the order of the arrays that will be given, `unit` as printed ("" if none)."""

    label: str
    axes: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Coordinate:
    """Positions of the points of an axis."""

    values: Array
    unit: str


def identifiers(labels: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """A name for each label, no two alike and none of `taken`: `curl(u)` -> `curl_u`, and for a second one `curl_u_2`.

    A label that is a name keeps it, wherever it stands: next to a field `w_x` the component `w.x` is `w_x_2`.
    """
    stems = [(label, re.sub(r"\W+", "_", label.replace("'", "_prime"))[:LONGEST_NAME].strip("_") or "value") for label in labels]
    used = set(taken)
    names = [""] * len(stems)
    for k, (_, stem) in sorted(enumerate(stems), key=lambda item: item[1][0] != item[1][1]):
        name, copy = stem, 1
        while name in used:
            copy += 1
            name = f"{stem}_{copy}"
        used.add(name)
        names[k] = name
    return names


class _Frames:
    """Arrays of one variable, one for each time, appended to a temporary file."""

    def __init__(self, path: Path) -> None:
        self.file: IO[bytes] = open(path, "w+b")  # noqa: SIM115
        self.shape: tuple[int, ...] = ()
        self.dtype: np.dtype[Any] = np.dtype(np.float64)
        self.count = 0

    def append(self, array: Array) -> None:
        array = np.asarray(array, order="C")  # keeps a scalar a scalar
        if self.count == 0:
            self.shape, self.dtype = array.shape, array.dtype
        self.file.write(array.astype(self.dtype, copy=False).data)
        self.file.flush()
        self.count += 1

    def write_npy(self, out: IO[bytes]) -> None:
        """All frames as one npy array, copied in pieces: a long run is never in memory as a whole."""
        shape = (self.count, *self.shape)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(out, header)
        self.file.seek(0)
        shutil.copyfileobj(self.file, out, 1 << 20)

    def array(self) -> Array:
        shape = (self.count, *self.shape)
        return np.zeros(shape, self.dtype) if 0 in shape else np.memmap(self.file.name, self.dtype, "r", shape=shape)

    def close(self) -> None:
        with suppress(OSError):  # closing writes what a full disk has refused
            self.file.close()


class _Single:
    """The only array of a variable, of a model without time."""

    def __init__(self) -> None:
        self.values: Array = np.zeros(0)

    def append(self, array: Array) -> None:
        self.values = np.asarray(array, order="C")

    def write_npy(self, out: IO[bytes]) -> None:
        np.lib.format.write_array(out, self.values, allow_pickle=False)

    def array(self) -> Array:
        return self.values

    def close(self) -> None:
        """Nothing is open."""


class Recorder:
    """Writes one result file: `append` at each time, `close` makes the file appear, `abort` leaves nothing.

    `time_unit` is None for a model without time: then `append` is called once, and no array has an axis `t`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        variables: tuple[Variable, ...],
        coordinates: Mapping[str, Coordinate],
        attributes: Mapping[str, Any],
        time_unit: str | None = "",
        span: Span | None = None,
    ) -> None:
        self.path = Path(path)
        self.variables = variables
        self.coordinates = dict(coordinates)
        self.attributes = dict(attributes)
        self.time_unit = time_unit
        self.times: list[float] = []
        self.names = identifiers((v.label for v in variables), (*RESERVED, *coordinates, *(a for v in variables for a in v.axes)))
        self.leading = () if time_unit is None else ("t",)
        self._span = span
        self._write = _format_of(self.path, span)
        self.parts: list[_Frames | _Single] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent))
            for k in range(len(variables)):
                self.parts.append(_Frames(self._folder / f"{k}.raw") if self.leading else _Single())
        except OSError as error:
            raise self._unwritable(error) from None

    def resume(self, count: int) -> bool:
        """Take over the first `count` times of the file that is there; False, and nothing taken, where it does not hold just them."""
        from ricci.faces.reading import frames_of

        try:
            for time, values in frames_of(self.path, self.names):
                self.append(time, {v.label: a for v, a in zip(self.variables, values, strict=True)})
        except (KeyError, ValueError, OSError, zipfile.BadZipFile, CannotWrite):
            self.times = []
        if len(self.times) == count:
            return True
        self.times = []
        for part in self.parts:
            part.close()
        self.parts = [_Frames(self._folder / f"{k}.raw") for k in range(len(self.variables))]
        return False

    def append(self, time: float, arrays: Mapping[str, Array]) -> None:
        """Record `arrays[label]` of every variable at `time`."""
        try:
            for variable, part in zip(self.variables, self.parts, strict=True):
                part.append(arrays[variable.label])
            self.times.append(time)
        except OSError as error:
            self.abort()
            raise self._unwritable(error) from None

    def close(self) -> Path:
        """Write the file under a temporary name, then rename it into place."""
        partial, old = self._folder / ("whole" + self.path.suffix), self._folder / "replaced"
        try:
            self._write(self, partial)
            if _is_store(self.path):  # a folder cannot be renamed over another one
                os.replace(self.path, old)
            os.replace(partial, self.path)
        except (OSError, RuntimeError) as error:  # RuntimeError: how the netCDF library reports what the disk refuses
            raise self._unwritable(error) from None
        finally:
            if old.exists() and not self.path.exists():
                os.replace(old, self.path)
            self.abort()
        return self.path

    def abort(self) -> None:
        """Leave nothing behind but what `close` has put in place."""
        for part in self.parts:
            part.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _unwritable(self, error: Exception) -> CannotWrite:
        if isinstance(error, RuntimeError) and shutil.disk_usage(self.path.parent).free < sum(p.array().nbytes for p in self.parts):
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the netCDF library does not say why
        return unwritable(self.path, error, self._span)

    def entries(self) -> list[Entry]:
        """Everything in the file: the times, the coordinates, the quantities."""
        found: list[Entry] = []
        if self.leading:
            found.append(("t", ("t",), np.asarray(self.times, np.float64), {"units": self.time_unit or ""}))
        found += [(name, (name,), c.values, {"units": c.unit}) for name, c in self.coordinates.items()]
        for name, v, part in zip(self.names, self.variables, self.parts, strict=True):
            found.append((name, (*self.leading, *v.axes), part.array(), {"units": v.unit, "long_name": v.label}))
        return found

    def metadata(self) -> dict[str, Any]:
        """What a reader needs to understand the arrays."""
        named = list(zip(self.names, self.variables, strict=True))
        units = {**{name: v.unit for name, v in named}, **{name: c.unit for name, c in self.coordinates.items()}}
        return {
            **self.attributes,
            "axes": {name: [*self.leading, *v.axes] for name, v in named},
            "labels": {name: v.label for name, v in named},
            "units": units if self.time_unit is None else {**units, "t": self.time_unit},
        }

    def texts(self) -> dict[str, str]:
        """The attributes of the whole file as texts, in JSON where they are more than that."""
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in self.attributes.items()}


def unwritable(path: Path, error: Exception, span: Span | None = None) -> CannotWrite:
    """E0810: the operating system's reason, and that nothing half-written is left."""
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return CannotWrite(
        "E0810",
        f"cannot write `{path}`: {reason}",
        span,
        notes=("nothing is left under that name that was not there before",),
        help="ricci run --out FOLDER ...",
    )


def _is_store(path: Path) -> bool:
    """Whether a folder is a zarr store, which a new one may replace; any other folder is left alone."""
    return path.suffix == ".zarr" and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _write_npz(recorder: Recorder, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        quantities = dict(zip(recorder.names, recorder.parts, strict=True))
        for name, _, array, _ in recorder.entries():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
                if name in quantities:
                    quantities[name].write_npy(out)
                else:
                    np.lib.format.write_array(out, np.asanyarray(array), allow_pickle=False)
        with archive.open("metadata.npy", "w") as out:
            np.lib.format.write_array(out, np.array(json.dumps(recorder.metadata())), allow_pickle=False)


def _write_netcdf(recorder: Recorder, path: Path) -> None:
    import netCDF4

    entries = _without_complex(recorder.entries())
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.setncatts(recorder.texts())
        for _, axes, array, _ in entries:
            for axis, extent in zip(axes, array.shape, strict=True):
                if axis not in file.dimensions:
                    file.createDimension(axis, None if axis == "t" else extent)
        for name, axes, array, attributes in entries:
            if array.dtype.kind == "b":  # the convention by which xarray reads booleans back
                array, attributes = array.astype(np.int8), {**attributes, "dtype": "bool"}
            variable = file.createVariable(name, array.dtype, axes)
            variable.setncatts(attributes)
            if axes[:1] == ("t",):
                for k in range(array.shape[0]):
                    variable[k, ...] = array[k]
            else:
                variable[...] = array


def _without_complex(entries: list[Entry]) -> list[Entry]:
    """NetCDF has no complex numbers: real and imaginary parts become two variables."""
    found: list[Entry] = []
    plain = [name for name, _, array, _ in entries if array.dtype.kind != "c"]
    for name, axes, array, attributes in entries:
        if array.dtype.kind != "c":
            found.append((name, axes, array, attributes))
            continue
        pair = identifiers([f"{name}_real", f"{name}_imag"], plain)
        for part, label, values in zip(pair, ("real", "imaginary"), (array.real, array.imag), strict=True):
            found.append((part, axes, values, {**attributes, "long_name": f"{label} part of {attributes['long_name']}"}))
            plain.append(part)
    return found


def _write_zarr(recorder: Recorder, path: Path) -> None:
    import xarray

    entries = {name: (axes, array, attributes) for name, axes, array, attributes in recorder.entries()}
    data = {name: entry for name, entry in entries.items() if name in recorder.names}
    coordinates = {name: entry for name, entry in entries.items() if name not in data}
    dataset = xarray.Dataset(data, coordinates, recorder.texts())
    for variable in dataset.variables.values():
        variable.encoding.clear()
    with warnings.catch_warnings():  # the store is whole without consolidated metadata, too; with them readers need not look for it
        warnings.filterwarnings("ignore", "Consolidated metadata")
        dataset.to_zarr(path, mode="w", consolidated=True)


_FORMATS: dict[str, tuple[Callable[[Recorder, Path], None], tuple[str, ...]]] = {
    ".npz": (_write_npz, ()),
    ".nc": (_write_netcdf, ("netCDF4",)),
    ".zarr": (_write_zarr, ("xarray", "zarr")),
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
        )
    writer, needs = _FORMATS[path.suffix]
    missing = [name for name in needs if find_spec(name) is None]
    if missing:
        raise CannotWrite("E0812", f"writing `{path.suffix}` needs {', '.join(missing)}", span, help="pip install 'ricci[io]'")
    return writer


def last_of(path: Path) -> list[Labelled]:
    """The quantities of an npz file of ours, at its last time."""
    found = []
    with np.load(path, allow_pickle=False) as data:
        about = json.loads(str(data["metadata"]))
        for name, label in about["labels"].items():
            axes, array = tuple(about["axes"][name]), data[name]
            if axes[:1] == ("t",):
                axes, array = axes[1:], array[-1]
            where = {a: (data[a], about["units"].get(a, "")) for a in axes if a in data}
            found.append(Labelled(label, np.asarray(array), axes, about["units"][name], where))
    return found
