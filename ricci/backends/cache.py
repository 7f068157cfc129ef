"""Generated modules on disk: `<hash>.py` and numba's compiled code beside it, in one folder that any process may delete.

A name is the hash of the text and of everything that decides what it does (toolchain); files are written under a temporary
name and renamed, so that two processes never see half a file. `<hash>.seal` holds the hashes of the compiled files: what is
not as its seal says is removed before anything reads it, and built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_warned: set[str] = set()


@dataclass(frozen=True)
class Entry:
    """One module in the cache."""

    name: str
    bytes: int
    used: float  # seconds since the epoch


def folder() -> Path:
    """RICCI_CACHE, or ricci below the user's cache folder."""
    chosen = os.environ.get("RICCI_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ricci"


def content_hash(source: str, toolchain: str) -> str:
    """The name of a module: 32 hexadecimal digits."""
    return hashlib.blake2b(f"{toolchain}\0{source}".encode(), digest_size=16).hexdigest()


def load_module(source: str, toolchain: str, use_cache: bool = True) -> ModuleType:
    """The module of a source text: from this process, from disk, or new."""
    name = f"ricci_generated_{content_hash(source, toolchain)}"
    if name in sys.modules:
        return sys.modules[name]
    path = _written(name, source) if use_cache else None
    if path is None:
        source = source.replace("cache=True", "cache=False")
        path = _written_aside(name, source)
    return _imported(name, path, source)


def load_aside(source: str, toolchain: str) -> ModuleType:
    """The module compiled anew, beside the one that is in use."""
    source = source.replace("cache=True", "cache=False")
    name = f"ricci_aside_{content_hash(source, toolchain)}"
    return sys.modules[name] if name in sys.modules else _imported(name, _written_aside(name, source), source)


def forget(module: ModuleType) -> None:
    """Let the next `load_module` start anew, on disk too: compiled code of this module could not be read or written."""
    sys.modules.pop(module.__name__, None)
    with contextlib.suppress(OSError):
        remove(module.__name__)


def _written(name: str, source: str) -> Path | None:
    """The path of the text in the cache folder, written if it is missing or not what it should be; None if that fails."""
    where = folder()
    path = where / f"{name}.py"
    try:
        where.mkdir(parents=True, exist_ok=True)
        if not _holds(path, source):
            remove(name)
            write_atomically(path, source)
        elif not _sealed(name):
            _remove_compiled(name)
        elif not os.access(where, os.W_OK):
            raise PermissionError(f"{where} is read-only")
        return path
    except OSError as error:
        _warn(where, error)
        return None


def seal(module: ModuleType) -> None:
    """Record the hashes of a module's compiled files, once they are complete."""
    path = folder() / f"{module.__name__}.py"
    if not _holds_any(path, module):
        return
    text = _fingerprints(module.__name__)
    with contextlib.suppress(OSError):
        if not _holds(folder() / f"{module.__name__}.seal", text):
            write_atomically(folder() / f"{module.__name__}.seal", text)


def _holds_any(path: Path, module: ModuleType) -> bool:
    """Whether a module was loaded from this file."""
    return str(path) == (module.__spec__.origin if module.__spec__ else "")


def _sealed(name: str) -> bool:
    return _holds(folder() / f"{name}.seal", _fingerprints(name))


def _fingerprints(name: str) -> str:
    """One line a compiled file: its name and hash."""
    lines = []
    for path in _compiled(name):
        try:
            lines.append(f"{path.name} {hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()}")
        except OSError:
            lines.append(f"{path.name} unreadable")
    return "\n".join(sorted(lines)) + "\n"


def _compiled(name: str) -> list[Path]:
    return [p for p in (folder() / "__pycache__").glob(f"{name}*") if p.suffix in (".nbi", ".nbc")]


def _remove_compiled(name: str) -> None:
    for path in _compiled(name):
        path.unlink(missing_ok=True)


def _holds(path: Path, source: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == source
    except (OSError, ValueError):
        return False


def _warn(where: Path, error: OSError) -> None:
    """Say once per folder that there is no cache."""
    if str(where) in _warned:
        return
    _warned.add(str(where))
    print(f"note: compiled code is not kept: {where}: {error.strerror or error}", file=sys.stderr)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that other processes see whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


_aside: list[str] = []


def _written_aside(name: str, source: str) -> Path:
    """A file of this process only; its folder goes with the process."""
    if not _aside:
        import atexit

        _aside.append(tempfile.mkdtemp(prefix="ricci-"))
        atexit.register(shutil.rmtree, _aside[0], ignore_errors=True)
    path = Path(_aside[0]) / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    return path


def _imported(name: str, path: Path, source: str) -> ModuleType:
    """Import by path; compiled code lies beside the text whatever NUMBA_CACHE_DIR says."""
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


# the folder as a whole


def entries() -> list[Entry]:
    """Modules in the cache, the last used first."""
    found: dict[str, list[float]] = {}
    for path in _files():
        name = path.name.split(".", 1)[0]
        try:
            stat = path.stat()
        except OSError:
            continue
        total = found.setdefault(name, [0, 0.0])
        total[0] += stat.st_size
        total[1] = max(total[1], stat.st_mtime)
    return sorted((Entry(n, int(b), used) for n, (b, used) in found.items()), key=lambda e: -e.used)


def size() -> int:
    """Bytes of all files of the cache."""
    return sum(e.bytes for e in entries())


def clear() -> int:
    """Remove every module of the cache; how many there were."""
    names = [e.name for e in entries()]
    for name in names:
        remove(name)
    return len(names)


def remove(name: str) -> None:
    """Remove the text of a module and its compiled code."""
    for path in _files():
        if path.name.split(".", 1)[0].split("-", 1)[0] == name:
            with contextlib.suppress(OSError):
                path.unlink()


def _files() -> list[Path]:
    where = folder()
    out: list[Path] = []
    for pattern in ("ricci_generated_*", "__pycache__/ricci_generated_*"):
        try:
            out += [p for p in where.glob(pattern) if p.is_file()]
        except OSError:
            continue
    return out
