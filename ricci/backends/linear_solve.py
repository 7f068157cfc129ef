"""Direct solvers that generated modules call: assembly of band matrices, their LU factors, and solves with them.

Plain functions of arrays and scalars, written so that numba compiles them and numpy runs them as they are (`routines.py`
makes one module of them). They call nothing but each other and numpy, allocate nothing, and are deterministic. A singular
matrix gives factors with NaN on the diagonal, hence a solution of NaN: the time loop sees a step that is not finite and
makes it smaller.

An array argument `name` is the flat memory that it lies in: its elements begin at `name_at`, there are `name_rows` of them,
of a matrix rows of `band_width`.
Band storage is row-major: entry (i, j - i + lower) holds A[i, j] for -lower <= j - i <= upper; `lower` further columns on
the right take the fill of row exchanges, so that a row has `2*lower + upper + 1` entries.
Unknowns are ordered as `dsl/ops/band.py: Layout` says: arrays of up to three axes, each with its extent, the node at index 0,
and the size, stride and ring flag of its grid axis (an absent axis: 1, 0, 1, 0, 0).
Source of the method: Golub, Van Loan, Matrix Computations, 4th edition, section 4.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ricci.backends.transforms import load8, store_part8

Array = np.ndarray[Any, Any]


def fma(x: Any, y: Any, z: Any) -> Any:
    """x y + z; in compiled code rounded once (backends/vectors.py)."""
    return x * y + z


def sum_lanes(value: Array) -> Any:
    """The sum of eight."""
    return value.sum()


def band_clear(band: Array, band_at: int, band_rows: int, band_width: int, lower: int) -> None:
    """The unit matrix."""
    for i in range(band_rows):
        at = band_at + i * band_width
        for j in range(band_width):
            band[at + j] = 0.0
        band[at + lower] = 1.0


def ring_place(node: int, size: int, ring: int) -> int:
    """Place of a node in the order of unknowns: of a ring 0, n-1, 1, n-2, ..; -1 beyond the ends of an open axis."""
    if ring == 0:
        return node if 0 <= node < size else -1
    wrapped = node % size
    return 2 * wrapped if 2 * wrapped < size else 2 * (size - 1 - wrapped) + 1


def band_claim(
    band: Array, band_at: int, band_rows: int, band_width: int, lower: int, row: int,
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
                i = at1 + ring_place(i2 + first2, size2, ring2) * stride2
                band[band_at + i * band_width + lower] = 0.0


def band_add(
    band: Array, band_at: int, band_rows: int, band_width: int, lower: int,
    values: Array, values_at: int, values_rows: int, same: int, row: int, column: int, offset0: int, offset1: int, offset2: int,
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
                    here = 0 if same != 0 else (i0 * n1 + i1) * n2 + i2
                    band[band_at + i * band_width + j - i + lower] += values[values_at + here]


def band_pack(
    vector: Array, vector_at: int, vector_rows: int, values: Array, values_at: int, values_rows: int, row: int,
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
                place = at1 + ring_place(i2 + first2, size2, ring2) * stride2
                vector[vector_at + place] = values[values_at + (i0 * n1 + i1) * n2 + i2]


def band_unpack(
    vector: Array, vector_at: int, vector_rows: int, values: Array, values_at: int, values_rows: int, row: int,
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
                place = at1 + ring_place(i2 + first2, size2, ring2) * stride2
                values[values_at + (i0 * n1 + i1) * n2 + i2] = vector[vector_at + place]


def vector_clear(vector: Array, vector_at: int, vector_rows: int) -> None:
    """Zero."""
    for i in range(vector_rows):
        vector[vector_at + i] = 0.0


def less(band: Array, first: int, top: int, count: int, factor: float) -> None:
    """band[first..] -= factor * band[top..], `count` entries."""
    for j in range(0, count, 8):
        store_part8(band, first + j, fma(-factor, load8(band, top + j), load8(band, first + j)), count - j)


def less_two(band: Array, first: int, second: int, top: int, count: int, factor: float, other: float) -> None:
    """The same for two rows at once, which read the row at `top` once."""
    for j in range(0, count, 8):
        above = load8(band, top + j)
        store_part8(band, first + j, fma(-factor, above, load8(band, first + j)), count - j)
        store_part8(band, second + j, fma(-other, above, load8(band, second + j)), count - j)


def band_factor(
    band: Array, band_at: int, band_rows: int, band_width: int, lower: int, upper: int, pivots: Array, pivots_at: int, pivots_rows: int
) -> None:
    """P A = L U in place for a band matrix, partial pivoting. Cost 2 n lower (upper + what exchanges fill, at most lower).

    Multipliers stay where they arise (earlier ones are not exchanged later): `band_solve` interleaves exchanges and elimination. Those of
    column k lie one behind the other in what is left of the diagonal in row k, which has been eliminated.
    """
    n = band_rows
    last_column = 0
    for k in range(n):
        top = band_at + k * band_width + lower
        last = min(lower, n - 1 - k)
        best, largest = 0, abs(band[top])
        for r in range(1, last + 1):
            size = abs(band[top + r * (band_width - 1)])
            if size > largest:
                best, largest = r, size
        pivots[pivots_at + k] = k + best
        last_column = max(last_column, min(k + best + upper, n - 1))
        width = last_column - k + 1
        if best != 0:
            other = top + best * (band_width - 1)
            for j in range(width):
                held = band[top + j]
                band[top + j] = band[other + j]
                band[other + j] = held
        if band[top] == 0.0:
            band[top] = np.nan
        for r in range(last):
            band[top - lower + r] = band[top + (r + 1) * (band_width - 1)] / band[top]
        for r in range(0, last - 1, 2):
            factor, other_factor = band[top - lower + r], band[top - lower + r + 1]
            if factor != 0.0 or other_factor != 0.0:
                first = top + (r + 1) * (band_width - 1) + 1
                less_two(band, first, first + band_width - 1, top + 1, width - 1, factor, other_factor)
        if last % 2 == 1 and band[top - lower + last - 1] != 0.0:
            less(band, top + last * (band_width - 1) + 1, top + 1, width - 1, band[top - lower + last - 1])


def band_solve(
    band: Array, band_at: int, band_rows: int, band_width: int, lower: int, upper: int,
    pivots: Array, pivots_at: int, pivots_rows: int, vector: Array, vector_at: int, vector_rows: int,
) -> None:  # fmt: skip
    """x with A x = vector, in place, from the factors of `band_factor`. Cost 2 n (2 lower + upper)."""
    n = band_rows
    last_column, reach = 0, 0
    for k in range(n):
        last_column = max(last_column, min(pivots[pivots_at + k] + upper, n - 1))
        reach = max(reach, last_column - k)
        p = vector_at + pivots[pivots_at + k]
        held = vector[p]
        vector[p] = vector[vector_at + k]
        vector[vector_at + k] = held
        if held != 0.0:
            factors, count = band_at + k * band_width, min(lower, n - 1 - k)
            for j in range(0, count, 8):
                at = vector_at + k + 1 + j
                store_part8(vector, at, fma(-held, load8(band, factors + j), load8(vector, at)), count - j)
    for r in range(n):
        i = n - 1 - r
        at = band_at + i * band_width + lower
        count = min(reach, n - 1 - i)
        whole = count - count % 8
        total = vector[vector_at + i]
        for j in range(whole + 1, count + 1):
            total -= band[at + j] * vector[vector_at + i + j]
        if whole > 0:
            sums = load8(band, at + 1) * load8(vector, vector_at + i + 1)
            for j in range(9, whole + 1, 8):
                sums = fma(load8(band, at + j), load8(vector, vector_at + i + j), sums)
            total -= sum_lanes(sums)
        vector[vector_at + i] = total / band[at]


SOURCES = (band_clear, ring_place, band_claim, band_add, band_pack, band_unpack, vector_clear, less, less_two, band_factor, band_solve)
