"""End corrections of the trapezoidal rule, as exact rationals."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import comb

from ricci.lowering.discretize.schemes.weights import solve_rational


@cache
def bernoulli(n: int) -> Fraction:
    """B_n with B_1 = -1/2."""
    if n == 0:
        return Fraction(1)
    return -sum((comb(n + 1, k) * bernoulli(k) for k in range(n)), Fraction(0)) / (n + 1)


@cache
def end_corrections(accuracy: int) -> tuple[Fraction, ...]:
    """c with h (sum_i f_i - sum_j c_j (f_j + f_{N-1-j})) = integral + O(h^accuracy) over nodes 0..N-1.

    accuracy - 1 numbers; (1/2) is the trapezoidal rule. They satisfy sum_j c_j j^m = zeta(-m) (+ 1 for m = 0), which is what the
    Euler-Maclaurin formula subtracts at an end. Source: B. Fornberg, SIAM Review 63 (2021) 167 (Gregory's rules).
    """
    count = accuracy - 1
    matrix = [[Fraction(j) ** m for j in range(count)] for m in range(count)]
    right = [[Fraction(1, 2)]] + [[-bernoulli(m + 1) / (m + 1)] for m in range(1, count)]
    return tuple(row[0] for row in solve_rational(matrix, right))
