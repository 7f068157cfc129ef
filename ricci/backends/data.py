"""Arrays that enter from files (npy, npz), read without pickle and only from folders the user allows."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ricci.backends.labelled import Labelled
from ricci.dsl.model import Unit
from ricci.dsl.remedies import instead
from ricci.errors import CannotRun, RicciError, Source, Span

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reader:
    """Reads files below `folders` only: the model's own folder, and those named with --allow-read."""

    folders: tuple[Path, ...]

    @classmethod
    def for_model(cls, model_path: str | os.PathLike[str] | None, allowed: Sequence[str]) -> Reader:
        home = Path(model_path).resolve().parent if model_path else Path.cwd().resolve()
        return cls((home, *(Path(folder).resolve() for folder in allowed)))

    def resolve(self, name: str, span: Span | None = None) -> Path:
        """The real path of `name`, relative names counting from the model's folder; E0804 outside the allowed folders."""
        path = (self.folders[0] / name).resolve()
        if not any(path.is_relative_to(folder) for folder in self.folders):
            raise CannotRun(
                "E0804",
                f"`{name}` is outside the folders this model may read",
                span,
                help=f"ricci run --allow-read {path.parent} ...",
            )
        if not path.is_file():
            raise CannotRun("E0805", f"there is no file `{name}`", span, notes=(f"looked for {path}",))
        return path

    def arrays(self, name: str, span: Span | None = None) -> Mapping[str, Array]:
        """All arrays of an npy file (under the key "") or an npz file."""
        path = self.resolve(name, span)
        try:
            with open(path, "rb") as file:
                start = file.read(6)
            if not start.startswith((b"\x93NUMPY", b"PK")):
                raise ValueError("its first bytes are of another kind of file")
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            with loaded:
                return {key: loaded[key] for key in loaded.files}
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            objects = "Object arrays" in str(error)
            reason = "it holds objects of Python, which could run code when they are read" if objects else str(error).splitlines()[0][:200]
            raise CannotRun("E0806", f"`{name}` is not a readable npy or npz file", span, notes=(reason,)) from None

    def array(self, name: str, key: str | None, span: Span | None, wanted: Sequence[str]) -> Stored:
        """One array: `key`, or the first of `wanted` that is there, or the only one; with what the file says about it."""
        arrays = self.arrays(name, span)
        about = metadata_of(arrays)
        named = [k for k in arrays if k in about.axes] or list(arrays)
        found = next((k for k in wanted if k in arrays), None)
        if key is None and found is not None:
            key = found
        elif key is None and len(named) == 1:
            key = named[0]
        elif key is None:
            raise CannotRun(
                "E0807", f"`{name}` holds several arrays: {', '.join(sorted(named))}", span, help=_with_key(name, named, span, wanted[0])
            )
        if key not in arrays:
            held = ", ".join(sorted(k or "(one array)" for k in arrays))
            raise CannotRun("E0807", f"`{name}` has no array `{key}`", span, notes=(f"it holds {held}",))
        array = arrays[key]
        if array.dtype.kind not in "biufc":
            what = f"`{key}` of `{name}`" if key else f"`{name}`"
            raise CannotRun("E0806", f"{what} holds {KINDS.get(array.dtype.kind, 'records')}, not numbers", span)
        return about.of(key, array, name, arrays, span)


KINDS = {"U": "text", "S": "text", "O": "objects of Python", "M": "dates", "m": "times"}


def _with_key(name: str, keys: Sequence[str], span: Span | None, argument: str) -> str:
    """How one of several arrays is chosen: by `key=` in the text, behind a colon on the command line."""
    key = sorted(keys)[0]
    if span is not None:
        return instead(Span(span.source, span.end - 1, span.end), f', key="{key}")')
    return f"ricci run --input {argument}={name}:{key} ..."


@dataclass(frozen=True)
class Stored:
    """An array of a file. What the file says of it is None where it says nothing: only files that ricci wrote do."""

    values: Array
    file: str
    span: Span | None = None
    axes: tuple[str, ...] | None = None
    unit: Unit | None = None
    points: Mapping[str, tuple[Array, Unit | None]] = field(default_factory=dict)  # of the axes that have positions, `t` among them

    @property
    def shape(self) -> str:
        """`21 x 41` in words of a message."""
        return " x ".join(str(n) for n in self.values.shape) or "a single number"


@dataclass(frozen=True)
class Metadata:
    """What a result file of ricci says about its arrays."""

    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    model: str = ""

    def of(self, key: str, array: Array, name: str, arrays: Mapping[str, Array], span: Span | None) -> Stored:
        axes = tuple(self.axes.get(key, ()))
        if len(axes) != array.ndim or not axes:
            return Stored(array, name, span)
        known = {axis: (arrays[axis], self.unit(axis)) for axis in axes if axis in arrays}
        points = {axis: point for axis, point in known.items() if point[0].shape == (array.shape[axes.index(axis)],)}
        return Stored(array, name, span, axes, self.unit(key), points)

    def unit(self, key: str) -> Unit | None:
        """The unit of an array, in terms of the model that wrote it; None where that model has none or it cannot be read."""
        text = self.units.get(key, "")
        if not text and not any(self.units.values()):
            return None
        from ricci.dsl import tree
        from ricci.dsl.parse import parse
        from ricci.dsl.units import Units

        units = Units()
        try:
            for statement in parse(Source("", self.model)).statements:
                if isinstance(statement, tree.UnitDeclaration):
                    units.declare(statement)
            found = [
                n for s in parse(Source("", f"let a = 1 [{text or 1}]")).statements for n in tree.walk(s) if isinstance(n, tree.Number)
            ]
            return units.resolve(found[0].unit) if found and found[0].unit is not None else None
        except RicciError:
            return None


def facts_of(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The entry `metadata` of a result file as it stands there; nothing where there is none or it is of another program."""
    entry = arrays.get("metadata")
    if entry is None or entry.ndim or entry.dtype.kind != "U":
        return {}
    try:
        found = json.loads(str(entry))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def metadata_of(arrays: Mapping[str, Array]) -> Metadata:
    """What a result file says about its arrays."""
    found = facts_of(arrays)
    try:
        axes = {str(k): [str(a) for a in v] for k, v in found["axes"].items()}
        return Metadata(axes, {str(k): str(v) for k, v in found["units"].items()}, str(found.get("model", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Metadata()


def in_memory(value: Any, name: str) -> Stored:
    """An array that a caller holds: numpy or anything with `__array__` or `__dlpack__`; with named axes (xarray, results) it goes by them."""
    axes = getattr(value, "axes" if isinstance(value, Labelled) else "dims", None)
    unit = value.unit if isinstance(value, Labelled) else getattr(value, "attrs", {}).get("units", "")
    bare = not hasattr(value, "__array__") and hasattr(value, "__dlpack__")
    array = np.from_dlpack(value) if bare else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise CannotRun("E0806", f"`{name}` is given {KINDS.get(array.dtype.kind, 'records')}, not numbers")
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        entry = ", ".join(str(int(i)) for i in np.argwhere(np.ma.getmaskarray(value))[0])
        raise CannotRun("E0808", f"`{name}` is given an array with masked values", notes=(f"the first at entry {entry}, counted from 0",))
    named = {name: [str(a) for a in axes]} if isinstance(axes, tuple) else {}
    stored = Metadata(named, {name: str(unit)} if unit else {}).of(name, array, name, {}, None)
    return stored if stored.axes is None else replace(stored, points=_points(value, stored.axes))


def _points(value: Any, axes: Sequence[str]) -> dict[str, tuple[Array, Unit | None]]:
    """Where the points of labelled data are, by axis: of results and of xarray's coordinates that are numbers."""
    found: dict[str, tuple[Array, Unit | None]] = {}
    for axis, n in zip(axes, np.shape(value), strict=True):
        if isinstance(value, Labelled):
            places, unit = value.coordinates.get(axis, (None, ""))
        else:
            coords = getattr(value, "coords", {})
            places = np.asarray(coords[axis]) if axis in coords else None
            unit = str(coords[axis].attrs.get("units", "")) if axis in coords else ""
        if places is not None and np.asarray(places).shape == (n,) and np.asarray(places).dtype.kind in "biuf":
            found[axis] = np.asarray(places), Metadata({}, {axis: unit}).unit(axis)
    return found


def split_key(text: str) -> tuple[str, str | None]:
    """`file.npz:key` -> (file, key); a drive letter or a path without key stays whole."""
    head, colon, tail = text.rpartition(":")
    if colon and head and "/" not in tail and "\\" not in tail and "." not in tail:
        return head, tail
    return text, None
