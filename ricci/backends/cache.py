"""What is kept on disk between processes: `<name><suffix>` in one folder that any process may change or delete at any time.

A name holds the hash of everything that decides what the file is. Files are written under a temporary name and renamed, so that
two processes never see half a file; whoever reads one checks that it is whole. The folder is bounded: the least recently used go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PREFIX = "ricci_generated_"
LIMIT = 1 << 30  # bytes of all files, unless RICCI_CACHE_LIMIT says otherwise
_said: set[str] = set()


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


def limit() -> int:
    """Bytes that the folder may hold: RICCI_CACHE_LIMIT; what is no number of bytes is said once."""
    chosen = os.environ.get("RICCI_CACHE_LIMIT", "")
    if chosen.isdecimal():
        return int(chosen)
    if chosen:
        _say_once(f"RICCI_CACHE_LIMIT={chosen} is no number of bytes: {LIMIT} are kept")
    return LIMIT


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print(f"note: {text}", file=sys.stderr)


def content_hash(*texts: str) -> str:
    """32 hexadecimal digits."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).hexdigest()


def read(name: str, suffix: str) -> bytes | None:
    """A file; None if it is not there or cannot be read. It counts as used now."""
    path = folder() / f"{name}{suffix}"
    try:
        data = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data


def write(name: str, suffix: str, data: bytes) -> None:
    """Keep a file; where that fails say so once."""
    where = folder()
    try:
        where.mkdir(parents=True, exist_ok=True)
        write_atomically(where / f"{name}{suffix}", data)
        _shrink(keep=name)
    except OSError as error:
        _say_once(f"compiled code is not kept: {where}: {error.strerror or error}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that other processes see whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _shrink(keep: str) -> None:
    """Remove what was not used for the longest time until the folder is within its limit."""
    kept = entries()
    total = sum(e.bytes for e in kept)
    while total > limit() and kept:
        oldest = kept.pop()
        if oldest.name != keep:
            remove(oldest.name)
            total -= oldest.bytes


# the folder as a whole


def entries() -> list[Entry]:
    """What is in the cache, the last used first."""
    found: dict[str, tuple[int, float]] = {}
    for path in _files():
        try:
            stat = path.stat()
        except OSError:
            continue
        size, used = found.get(_name(path), (0, 0.0))
        found[_name(path)] = size + stat.st_size, max(used, stat.st_mtime)
    return sorted((Entry(n, size, used) for n, (size, used) in found.items()), key=lambda e: (-e.used, e.name))


def size() -> int:
    """Bytes of all files of the cache."""
    return sum(e.bytes for e in entries())


def clear() -> int:
    """Remove everything; how many entries there were."""
    names = [e.name for e in entries()]
    for name in names:
        remove(name)
    return len(names)


def remove(name: str) -> None:
    """Remove all files of an entry."""
    for path in _files():
        if _name(path) == name:
            with contextlib.suppress(OSError):
                path.unlink()


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _files() -> list[Path]:
    try:
        return [p for p in folder().glob(f"{PREFIX}*") if p.is_file()]
    except OSError:
        return []
