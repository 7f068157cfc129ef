"""Direct solvers that generated modules call: LU factors of dense and of banded matrices, and solves with them.

Plain functions of arrays and scalars, written so that numba compiles them and numpy runs them as they are. A generated
module takes the functions of `SOURCES` as they stand here; they call nothing but each other and numpy, allocate nothing,
and are deterministic. A singular matrix gives factors with NaN on the diagonal, hence a solution of NaN: the time loop
sees a step that is not finite and makes it smaller.

Band storage is row-major: `band[i, j - i + lower]` holds A[i, j] for -lower <= j - i <= upper; `lower` further columns on
the right take the fill of row exchanges, so that a row has `2*lower + upper + 1` entries.
Source of the method: Golub, Van Loan, Matrix Computations, 4th edition, sections 3.4 and 4.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def dense_factor(matrix: Array, pivots: Array) -> None:
    """P A = L U in place; L has a unit diagonal. `matrix` (n, n), `pivots` (n,) int. Cost 2 n^3 / 3."""
    n = matrix.shape[0]
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(matrix[i, k]) > abs(matrix[best, k]):
                best = i
        pivots[k] = best
        if best != k:
            for j in range(n):
                held = matrix[k, j]
                matrix[k, j] = matrix[best, j]
                matrix[best, j] = held
        if matrix[k, k] == 0.0:
            matrix[k, k] = np.nan
        for i in range(k + 1, n):
            factor = matrix[i, k] / matrix[k, k]
            matrix[i, k] = factor
            if factor != 0.0:
                for j in range(k + 1, n):
                    matrix[i, j] -= factor * matrix[k, j]


def dense_solve(matrix: Array, pivots: Array, vector: Array) -> None:
    """x with A x = vector, in place, from the factors of `dense_factor`. Cost 2 n^2."""
    n = matrix.shape[0]
    for k in range(n):
        p = pivots[k]
        held = vector[p]
        vector[p] = vector[k]
        vector[k] = held
    for i in range(1, n):
        total = vector[i]
        for j in range(i):
            total -= matrix[i, j] * vector[j]
        vector[i] = total
    for r in range(n):
        i = n - 1 - r
        total = vector[i]
        for j in range(i + 1, n):
            total -= matrix[i, j] * vector[j]
        vector[i] = total / matrix[i, i]


def band_factor(band: Array, lower: int, upper: int, pivots: Array) -> None:
    """P A = L U in place for a band matrix, partial pivoting. `band` (n, 2*lower + upper + 1). Cost 2 n lower (lower + upper).

    Multipliers stay where they arise (earlier ones are not exchanged later): `band_solve` interleaves exchanges and elimination.
    """
    n = band.shape[0]
    reach = lower + upper
    for k in range(n):
        last = min(lower, n - 1 - k)
        best = 0
        for r in range(1, last + 1):
            if abs(band[k + r, lower - r]) > abs(band[k + best, lower - best]):
                best = r
        pivots[k] = k + best
        width = min(reach, n - 1 - k) + 1
        if best != 0:
            for j in range(width):
                held = band[k, lower + j]
                band[k, lower + j] = band[k + best, lower - best + j]
                band[k + best, lower - best + j] = held
        if band[k, lower] == 0.0:
            band[k, lower] = np.nan
        for r in range(1, last + 1):
            factor = band[k + r, lower - r] / band[k, lower]
            band[k + r, lower - r] = factor
            if factor != 0.0:
                for j in range(1, width):
                    band[k + r, lower - r + j] -= factor * band[k, lower + j]


def band_solve(band: Array, lower: int, upper: int, pivots: Array, vector: Array) -> None:
    """x with A x = vector, in place, from the factors of `band_factor`. Cost 2 n (2 lower + upper)."""
    n = band.shape[0]
    reach = lower + upper
    for k in range(n):
        p = pivots[k]
        held = vector[p]
        vector[p] = vector[k]
        vector[k] = held
        if held != 0.0:
            for r in range(1, min(lower, n - 1 - k) + 1):
                vector[k + r] -= band[k + r, lower - r] * held
    for r in range(n):
        i = n - 1 - r
        total = vector[i]
        for j in range(1, min(reach, n - 1 - i) + 1):
            total -= band[i, lower + j] * vector[i + j]
        vector[i] = total / band[i, lower]


SOURCES = (dense_factor, dense_solve, band_factor, band_solve)
