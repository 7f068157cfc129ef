"""A team of threads that run one compiled function together, each pinned to a core for as long as it runs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache as remembered
from typing import Any

import numpy as np

STOP = 1


def available_cores() -> list[int]:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@remembered
def _blas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The functions that ask and set how many threads numpy's BLAS uses; None where it has none of the known names."""
    from numpy.linalg import _umath_linalg

    try:
        library = ctypes.CDLL(_umath_linalg.__file__)  # a symbol is looked for in all that it is linked with
    except (OSError, AttributeError):
        return None
    for pattern in (
        "scipy_openblas_{}_num_threads64_",
        "scipy_openblas_{}_num_threads",
        "openblas_{}_num_threads64_",
        "openblas_{}_num_threads",
    ):
        try:
            return getattr(library, pattern.format("get")), getattr(library, pattern.format("set"))
        except AttributeError:
            continue
    return None


@contextlib.contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Inside, matrix products by numpy use at most so many threads (where its BLAS can be told)."""
    found = _blas()
    before = found[0]() if found else 0
    if found is None or before <= threads:
        yield
        return
    found[1](threads)
    try:
        yield
    finally:
        found[1](before)


def run_team(function: Callable[..., Any], threads: int, long: bool) -> None:
    """Call `function(me, threads, gate)` on every thread and wait for all.

    A `long` call runs beside the main thread even when it is alone, so that Ctrl-C is seen: all loops then stop soon.
    """
    threads = max(1, threads)
    gate = np.zeros(16, np.int64)
    if threads == 1 and (not long or threading.current_thread() is not threading.main_thread()):
        function(0, 1, gate)
        return
    cores = available_cores()
    failures: list[BaseException] = []

    def work(me: int) -> None:
        try:
            if threads > 1 and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {cores[me % len(cores)]})
            function(me, threads, gate)
        except BaseException as error:
            failures.append(error)
            gate[STOP] = 1

    members = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(threads)]
    for member in members:
        member.start()
    try:
        for member in members:
            while member.is_alive():
                member.join(0.2)
    except KeyboardInterrupt:
        gate[STOP] = 1
        for member in members:
            member.join()
        raise
    if failures:
        raise failures[0]
