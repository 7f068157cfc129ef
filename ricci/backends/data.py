"""Arrays that enter from files (npy, npz), read without pickle and only from folders the user allows."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ricci.errors import CannotRun, Span


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

    def arrays(self, name: str, span: Span | None = None) -> Mapping[str, np.ndarray[Any, Any]]:
        """All arrays of an npy file (under the key "") or an npz file."""
        path = self.resolve(name, span)
        try:
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            with loaded:
                return {key: loaded[key] for key in loaded.files}
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise CannotRun(
                "E0806", f"`{name}` is not a readable npy or npz file", span, notes=(str(error).splitlines()[0][:200],)
            ) from None

    def array(self, name: str, key: str | None, span: Span | None, naming: Callable[[str], str]) -> np.ndarray[Any, Any]:
        """One array: `key`, or the only one in the file. `naming(key)` is the remedy that names one of several."""
        arrays = self.arrays(name, span)
        if key is None and len(arrays) == 1:
            array = next(iter(arrays.values()))
        elif key is None:
            raise CannotRun(
                "E0807",
                f"`{name}` holds several arrays: {', '.join(sorted(arrays))}",
                span,
                help=naming(sorted(arrays)[0]),
            )
        elif key in arrays:
            array = arrays[key]
        else:
            raise CannotRun(
                "E0807",
                f"`{name}` has no array `{key}`",
                span,
                notes=(f"it holds {', '.join(sorted(k or '(one array)' for k in arrays))}",),
            )
        if array.dtype.kind not in "biufc":
            raise CannotRun("E0806", f"array `{key or ''}` of `{name}` holds {array.dtype}, not numbers", span)
        return array


def split_key(text: str) -> tuple[str, str | None]:
    """`file.npz:key` -> (file, key); a drive letter or a path without key stays whole."""
    head, colon, tail = text.rpartition(":")
    if colon and head and "/" not in tail and "\\" not in tail and "." not in tail:
        return head, tail
    return text, None
