"""How much memory this process may still take, and the error that comes before an allocation that cannot succeed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ricci.dsl.program import Program
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.errors import CannotRun

BYTES = {Kind.REAL: 8, Kind.INT: 8, Kind.BOOL: 1, Kind.COMPLEX: 16}
CGROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that the machine, the container and the process's own limit leave; None where nothing says so."""
    found = [_free_of_machine(), _free_of_group(), _free_of_limit()]
    known = [n for n in found if n is not None]
    return max(0, min(known)) if known else None


def _free_of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return 1024 * sum(int(fields[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    except (OSError, KeyError, ValueError):
        pages = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in pages:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_of_group() -> int | None:
    try:
        limit = (CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (CGROUP / "memory.current").read_text(encoding="ascii").strip()
        return None if limit == "max" else int(limit) - int(used)
    except (OSError, ValueError):
        return None


def _free_of_limit() -> int | None:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None


def require(needed: int, what: str) -> None:
    """E0602 if `needed` bytes are more than there are."""
    free = available()
    if free is not None and needed > free:
        raise CannotRun(
            "E0602",
            f"{what} need {shown(needed)} of memory, {shown(free)} are free",
            notes=("a smaller grid, or smaller axes, need less",),
        )


def shown(count: int) -> str:
    """Bytes as people read them."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}"


def data_bytes(program: Program, sizes: Mapping[str, int]) -> int:
    """Bytes of all arguments and states of a program, as far as their sizes are known."""
    symbols = [a.symbol for a in program.arguments] + [s.symbol for s in program.states]
    return sum(_bytes_of(symbol, sizes) for symbol in dict.fromkeys(symbols))


def _bytes_of(symbol: Term, sizes: Mapping[str, int]) -> int:
    count = BYTES[symbol.kind]
    for size in symbol.axes.values():
        if any(dim.name not in sizes for dim in size.dims):
            return 0
        count *= max(0, size.evaluate(dict(sizes)))
    return count
