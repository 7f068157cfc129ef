"""What a careful person writes by hand in numba: fused steps, unsigned indices, padded arrays, preallocated, no allocation in a step."""

from __future__ import annotations

import time
from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]


def _padded(rows: int, columns: int) -> Array:
    """Zeros with one ghost point a side and a row stride that is no power of two."""
    stride = (columns + 2 + 7) // 8 * 8 + 8
    return np.zeros((rows + 2, stride))


@numba.njit(cache=True)
def _wrap(a: Array, n: int, m: int) -> None:
    for i in range(1, n + 1):
        a[i, 0] = a[i, m]
        a[i, m + 1] = a[i, 1]
    for j in range(m + 2):
        a[0, j] = a[n, j]
        a[n + 1, j] = a[1, j]


def _gray_scott(u: Array, v: Array, p: Array, q: Array, n: int, m: int, a: float, b: float, feed: float, kill: float, dt: float) -> None:
    for row in numba.prange(n):
        i = np.uint64(row + 1)
        one = np.uint64(1)
        for j in range(np.uint64(1), np.uint64(m + 1)):
            x, y = u[i, j], v[i, j]
            r = x * y * y
            p[i, j] = x + dt * (a * (u[i - one, j] + u[i + one, j] + u[i, j - one] + u[i, j + one] - 4.0 * x) - r + feed * (1.0 - x))
            q[i, j] = y + dt * (b * (v[i - one, j] + v[i + one, j] + v[i, j - one] + v[i, j + one] - 4.0 * y) + r - (feed + kill) * y)


def _heat(u: Array, p: Array, n: int, m: int, c: float) -> None:
    for row in numba.prange(n):
        i = np.uint64(row + 1)
        one = np.uint64(1)
        for j in range(np.uint64(1), np.uint64(m + 1)):
            x = u[i, j]
            p[i, j] = x + c * (u[i - one, j] + u[i + one, j] + u[i, j - one] + u[i, j + one] - 4.0 * x)


_STEPS = {
    (name, parallel): numba.njit(parallel=parallel, cache=True)(step)
    for name, step in (("gray_scott", _gray_scott), ("heat", _heat))
    for parallel in (False, True)
}


def gray_scott(n: int, steps: int, threads: int) -> tuple[float, dict[str, Array]]:
    """Seconds for `steps` Euler steps on an n x n periodic grid, and the fields (x first)."""
    numba.set_num_threads(threads)
    step = _STEPS["gray_scott", threads > 1]
    h = 2.5 / n
    position = np.arange(n) * h - 1.25
    bump = np.exp(-80.0 * (position[:, None] ** 2 + position[None, :] ** 2))
    u, v, p, q = (_padded(n, n) for _ in range(4))

    def start() -> None:
        u[1 : n + 1, 1 : n + 1] = 1.0 - 0.5 * bump
        v[1 : n + 1, 1 : n + 1] = 0.25 * bump

    def advance(count: int) -> None:
        nonlocal u, v, p, q
        for _ in range(count):
            _wrap(u, n, n)
            _wrap(v, n, n)
            step(u, v, p, q, n, n, 2e-5 / h**2, 1e-5 / h**2, 0.04, 0.06, 0.05)
            u, v, p, q = p, q, u, v

    start()
    advance(2)
    start()
    begin = time.perf_counter()
    advance(steps)
    return time.perf_counter() - begin, {"u": u[1 : n + 1, 1 : n + 1], "v": v[1 : n + 1, 1 : n + 1]}


def heat(n: int, steps: int, threads: int) -> tuple[float, dict[str, Array]]:
    """Seconds for `steps` Euler steps of the heat equation on n x n inner points with zero ends, and the field."""
    numba.set_num_threads(threads)
    step = _STEPS["heat", threads > 1]
    h = 1.0 / (n + 1)
    wave = np.sin(np.pi * np.arange(1, n + 1) * h)
    u, p = _padded(n, n), _padded(n, n)

    def advance(count: int) -> None:
        nonlocal u, p
        for _ in range(count):
            step(u, p, n, n, 8e-7 / h**2)
            u, p = p, u

    u[1 : n + 1, 1 : n + 1] = wave[:, None] * wave[None, :]
    advance(2)
    u[:] = 0.0
    p[:] = 0.0
    u[1 : n + 1, 1 : n + 1] = wave[:, None] * wave[None, :]
    begin = time.perf_counter()
    advance(steps)
    return time.perf_counter() - begin, {"u": u[1 : n + 1, 1 : n + 1]}
