"""LU factors of dense matrices and solves along one axis of an array, as routines that generated modules call (see linear_solve.py).

Source of the method: Golub, Van Loan, Matrix Computations, 4th edition, sections 3.1 and 3.4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ricci.backends.transforms import load8, store8, store_part8

Array = np.ndarray[Any, Any]


def is_lower(table: Array, at: int, n: int) -> bool:
    """Whether all entries above the diagonal are zero."""
    for i in range(n):
        for j in range(i + 1, n):
            if table[at + i * n + j] != 0.0:
                return False
    return True


def dense_factor(table: Array, table_at: int, table_rows: int, pivots: Array, pivots_at: int, pivots_rows: int, n: int) -> None:
    """P A = L U in place, partial pivoting; a triangular matrix is its own factor, and costs n^2. Cost 2/3 n^3.

    A zero pivot becomes NaN, so that the solution is NaN.
    """
    triangular = is_lower(table, table_at, n)
    for k in range(n):
        top = table_at + k * n
        best, largest = k, abs(table[top + k])
        if not triangular:
            for i in range(k + 1, n):
                size = abs(table[table_at + i * n + k])
                if size > largest:
                    best, largest = i, size
        pivots[pivots_at + k] = best
        if best != k:
            other = table_at + best * n
            for j in range(n):
                held = table[top + j]
                table[top + j] = table[other + j]
                table[other + j] = held
        if table[top + k] == 0.0:
            table[top + k] = np.nan
        for i in range(k + 1, n):
            own = table_at + i * n
            factor = table[own + k] / table[top + k]
            table[own + k] = factor
            if factor != 0.0 and not triangular:
                for j in range(k + 1, n, 8):
                    store_part8(table, own + j, load8(table, own + j) - load8(table, top + j) * factor, n - j)


def dense_solve(
    vector: Array, vector_at: int, vector_rows: int, work: Array, work_at: int, work_rows: int,
    table: Array, table_at: int, table_rows: int, pivots: Array, pivots_at: int, pivots_rows: int, outer: int, n: int, inner: int,
) -> None:  # fmt: skip
    """Solve along the middle axis of an array (outer, n, inner), eight lines at a time, with the factors of `dense_factor`. Cost 2 n^2 a line."""
    lines = outer * inner
    for line in range(0, lines, 8):
        for w in range(8):
            at = min(line + w, lines - 1)
            base = vector_at + at // inner * n * inner + at % inner
            for i in range(n):
                work[work_at + 8 * i + w] = vector[base + inner * i]
        for k in range(n):
            p = pivots[pivots_at + k]
            x, y = load8(work, work_at + 8 * k), load8(work, work_at + 8 * p)
            store8(work, work_at + 8 * k, y)
            store8(work, work_at + 8 * p, x)
        for i in range(n):
            x = load8(work, work_at + 8 * i)
            for j in range(i):
                x = x - load8(work, work_at + 8 * j) * table[table_at + i * n + j]
            store8(work, work_at + 8 * i, x)
        for back in range(n):
            i = n - 1 - back
            x = load8(work, work_at + 8 * i)
            for j in range(i + 1, n):
                x = x - load8(work, work_at + 8 * j) * table[table_at + i * n + j]
            store8(work, work_at + 8 * i, x / table[table_at + i * n + i])
        for w in range(min(8, lines - line)):
            base = vector_at + (line + w) // inner * n * inner + (line + w) % inner
            for i in range(n):
                vector[base + inner * i] = work[work_at + 8 * i + w]


SOURCES = (is_lower, dense_factor, dense_solve)
