"""Direct solvers that generated modules call: assembly of band matrices, their LU factors, and solves with them.

Plain functions of arrays and scalars, written so that numba compiles them and numpy runs them as they are. A generated
module takes the functions of `SOURCES` as they stand here; they call nothing but each other and numpy, allocate nothing,
and are deterministic. A singular matrix gives factors with NaN on the diagonal, hence a solution of NaN: the time loop
sees a step that is not finite and makes it smaller.

Band storage is row-major: `band[i, j - i + lower]` holds A[i, j] for -lower <= j - i <= upper; `lower` further columns on
the right take the fill of row exchanges, so that a row has `2*lower + upper + 1` entries.
Unknowns are ordered as `dsl/ops/band.py: Layout` says: arrays of up to three axes, each with its extent, the node at index 0,
and the size, stride and ring flag of its grid axis (an absent axis: 1, 0, 1, 0, 0).
Source of the method: Golub, Van Loan, Matrix Computations, 4th edition, section 4.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def band_clear(band: Array, lower: int) -> None:
    """The unit matrix."""
    for i in range(band.shape[0]):
        for j in range(band.shape[1]):
            band[i, j] = 0.0
        band[i, lower] = 1.0


def ring_place(node: int, size: int, ring: int) -> int:
    """Place of a node in the order of unknowns: of a ring 0, n-1, 1, n-2, ..; -1 beyond the ends of an open axis."""
    if ring == 0:
        return node if 0 <= node < size else -1
    wrapped = node % size
    return 2 * wrapped if 2 * wrapped < size else 2 * (size - 1 - wrapped) + 1


def band_claim(
    band: Array, lower: int, row: int,
    n0: int, first0: int, size0: int, stride0: int, ring0: int,
    n1: int, first1: int, size1: int, stride1: int, ring1: int,
    n2: int, first2: int, size2: int, stride2: int, ring2: int,
) -> None:  # fmt: skip
    """Clear the diagonal at the rows of an unknown array (n0, n1, n2): they are no rows of the unit matrix."""
    for i0 in range(n0):
        at0 = row + ring_place(i0 + first0, size0, ring0) * stride0
        for i1 in range(n1):
            at1 = at0 + ring_place(i1 + first1, size1, ring1) * stride1
            for i2 in range(n2):
                band[at1 + ring_place(i2 + first2, size2, ring2) * stride2, lower] = 0.0


def band_add(
    band: Array, lower: int, values: Array, same: int, row: int, column: int, offset0: int, offset1: int, offset2: int,
    n0: int, first0: int, size0: int, stride0: int, ring0: int,
    n1: int, first1: int, size1: int, stride1: int, ring1: int,
    n2: int, first2: int, size2: int, stride2: int, ring2: int,
) -> None:  # fmt: skip
    """A[row of node i, column of node i + offset] += values[i] for every node (values[0] if `same`) whose neighbour exists."""
    for i0 in range(n0):
        to0 = ring_place(i0 + first0 + offset0, size0, ring0)
        at0 = row + ring_place(i0 + first0, size0, ring0) * stride0
        for i1 in range(n1):
            to1 = ring_place(i1 + first1 + offset1, size1, ring1)
            at1 = at0 + ring_place(i1 + first1, size1, ring1) * stride1
            if to0 < 0 or to1 < 0:
                continue
            for i2 in range(n2):
                to2 = ring_place(i2 + first2 + offset2, size2, ring2)
                if to2 >= 0:
                    i = at1 + ring_place(i2 + first2, size2, ring2) * stride2
                    j = column + to0 * stride0 + to1 * stride1 + to2 * stride2
                    band[i, j - i + lower] += values[0 if same != 0 else (i0 * n1 + i1) * n2 + i2]


def band_pack(
    vector: Array, values: Array, row: int,
    n0: int, first0: int, size0: int, stride0: int, ring0: int,
    n1: int, first1: int, size1: int, stride1: int, ring1: int,
    n2: int, first2: int, size2: int, stride2: int, ring2: int,
) -> None:  # fmt: skip
    """vector[row of node i] = values[i]"""
    for i0 in range(n0):
        at0 = row + ring_place(i0 + first0, size0, ring0) * stride0
        for i1 in range(n1):
            at1 = at0 + ring_place(i1 + first1, size1, ring1) * stride1
            for i2 in range(n2):
                vector[at1 + ring_place(i2 + first2, size2, ring2) * stride2] = values[(i0 * n1 + i1) * n2 + i2]


def band_unpack(
    vector: Array, values: Array, row: int,
    n0: int, first0: int, size0: int, stride0: int, ring0: int,
    n1: int, first1: int, size1: int, stride1: int, ring1: int,
    n2: int, first2: int, size2: int, stride2: int, ring2: int,
) -> None:  # fmt: skip
    """values[i] = vector[row of node i]"""
    for i0 in range(n0):
        at0 = row + ring_place(i0 + first0, size0, ring0) * stride0
        for i1 in range(n1):
            at1 = at0 + ring_place(i1 + first1, size1, ring1) * stride1
            for i2 in range(n2):
                values[(i0 * n1 + i1) * n2 + i2] = vector[at1 + ring_place(i2 + first2, size2, ring2) * stride2]


def vector_clear(vector: Array) -> None:
    """Zero."""
    for i in range(vector.shape[0]):
        vector[i] = 0.0


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


SOURCES = (band_clear, ring_place, band_claim, band_add, band_pack, band_unpack, vector_clear, band_factor, band_solve)
