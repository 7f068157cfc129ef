"""Weights of finite differences, interpolation and extrapolation on a line, as exact rationals.

Every rule here is a linear functional of nodal values that is exact for polynomials up to a degree. Positions are in units of the
spacing; a derivative of order d is divided by spacing^d where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import factorial

Rational = Fraction | int
ZERO, ONE = Fraction(0), Fraction(1)


def weights(nodes: Sequence[Rational], at: Rational, derivative: int) -> tuple[Fraction, ...]:
    """w with sum_j w_j f(nodes_j) = f^(derivative)(at) for every polynomial f of degree < len(nodes).

    Cost O(len(nodes)^2 * derivative). Source: B. Fornberg, Math. Comp. 51 (1988) 699, the recursion of section 3.
    """
    x = [Fraction(node) - Fraction(at) for node in nodes]
    if len(set(x)) != len(x):
        raise ValueError("two nodes at one place")
    table = [[ZERO] * len(x) for _ in range(derivative + 1)]
    table[0][0] = ONE
    previous = ONE
    for n in range(1, len(x)):
        product = ONE
        for j in range(n):
            gap = x[n] - x[j]
            product *= gap
            if j == n - 1:
                for m in range(min(n, derivative), -1, -1):
                    below = m * table[m - 1][n - 1] if m else ZERO
                    table[m][n] = previous / product * (below - x[n - 1] * table[m][n - 1])
            for m in range(min(n, derivative), -1, -1):
                below = m * table[m - 1][j] if m else ZERO
                table[m][j] = (x[n] * table[m][j] - below) / gap
        previous = product
    return tuple(table[derivative])


@cache
def central_weights(derivative: int, accuracy: int) -> dict[int, Fraction]:
    """Offset -> weight of the symmetric rule of even accuracy for a derivative at a node; zero weights left out."""
    reach = (derivative + 1) // 2 + accuracy // 2 - 1
    offsets = range(-reach, reach + 1)
    return {k: w for k, w in zip(offsets, weights(offsets, 0, derivative), strict=True) if w}


@cache
def staggered_weights(derivative: int, accuracy: int) -> dict[int, Fraction]:
    """Offset k -> weight of the value at k + 1/2, for the value (0) or first derivative (1) at 0; 2 * (accuracy // 2) points."""
    offsets = range(-(accuracy // 2), accuracy // 2)
    nodes = [Fraction(2 * k + 1, 2) for k in offsets]
    return {k: w for k, w in zip(offsets, weights(nodes, 0, derivative), strict=True) if w}


@cache
def one_sided_weights(derivative: int, accuracy: int) -> tuple[Fraction, ...]:
    """Weights at nodes 0, 1, ... of a derivative at node 0, of the given accuracy."""
    return weights(range(derivative + accuracy), 0, derivative)


@cache
def extrapolation(
    nodes: tuple[Rational, ...], conditions: tuple[int, ...], degree: int, at: Rational
) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """(a, b): the value at `at` is sum a_j u(nodes_j) + sum b_m s_m of the polynomial p of the given degree that satisfies the
    conditions p^(m)(0) = s_m exactly and the nodal values in the least-squares sense (exactly where as many as unknowns).

    The polynomial is the minimizer of sum (p(nodes_j) - u_j)^2 under the conditions; ValueError where it is not unique.
    """
    free = [m for m in range(degree + 1) if m not in conditions]
    rows = [[Fraction(node) ** m for m in free] for node in nodes]
    if len(rows) < len(free) or any(m > degree for m in conditions):
        raise ValueError(f"{len(rows)} values and conditions {conditions} do not determine degree {degree}")
    gram = [[_dot(rows, i, j) for j in range(len(free))] for i in range(len(free))]
    projection = solve_rational(gram, [[row[i] for row in rows] for i in range(len(free))])
    target = [Fraction(at) ** m for m in free]
    nodal = tuple(sum((t * p[j] for t, p in zip(target, projection, strict=True)), ZERO) for j in range(len(rows)))
    # a condition contributes its own monomial, less what the fit would make of that monomial's nodal values
    data = []
    for m in conditions:
        scale = Fraction(1, factorial(m))
        fitted = sum((a * Fraction(node) ** m for a, node in zip(nodal, nodes, strict=True)), ZERO)
        data.append(scale * (Fraction(at) ** m - fitted))
    return nodal, tuple(data)


def _dot(rows: Sequence[Sequence[Fraction]], i: int, j: int) -> Fraction:
    return sum((row[i] * row[j] for row in rows), ZERO)


def solve_rational(matrix: Sequence[Sequence[Rational]], right: Sequence[Sequence[Rational]]) -> list[list[Fraction]]:
    """X with matrix X = right by Gauss-Jordan elimination in exact arithmetic; ValueError for a singular matrix."""
    n = len(matrix)
    rows = [[Fraction(v) for v in (*a, *b)] for a, b in zip(matrix, right, strict=True)]
    for column in range(n):
        pivot = next((i for i in range(column, n) if rows[i][column]), None)
        if pivot is None:
            raise ValueError("singular matrix")
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [v / scale for v in rows[column]]
        for i in range(n):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [v - factor * w for v, w in zip(rows[i], rows[column], strict=True)]
    return [row[n:] for row in rows]
