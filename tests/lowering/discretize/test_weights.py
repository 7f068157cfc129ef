"""Weights against exact polynomials and published tables."""

from __future__ import annotations

from fractions import Fraction as F
from math import factorial

import pytest

from ricci.lowering.discretize.schemes.quadrature import bernoulli, end_corrections
from ricci.lowering.discretize.schemes.weights import (
    central_weights,
    extrapolation,
    one_sided_weights,
    solve_rational,
    staggered_weights,
    weights,
)


def monomial_derivative(power, order, at):
    return F(factorial(power), factorial(power - order)) * F(at) ** (power - order) if power >= order else F(0)


@pytest.mark.parametrize("derivative", [1, 2, 3, 4])
@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_central_weights_are_exact_to_their_degree_and_not_beyond(derivative, accuracy):
    found = central_weights(derivative, accuracy)
    for power in range(derivative + accuracy):
        assert sum(w * F(k) ** power for k, w in found.items()) == monomial_derivative(power, derivative, 0)
    power = derivative + accuracy
    assert sum(w * F(k) ** power for k, w in found.items()) != 0


def test_central_weights_of_tables():
    assert central_weights(2, 4) == {-2: F(-1, 12), -1: F(4, 3), 0: F(-5, 2), 1: F(4, 3), 2: F(-1, 12)}
    assert central_weights(1, 6) == {-3: F(-1, 60), -2: F(3, 20), -1: F(-3, 4), 1: F(3, 4), 2: F(-3, 20), 3: F(1, 60)}
    assert central_weights(4, 2) == {-2: 1, -1: -4, 0: 6, 1: -4, 2: 1}
    assert central_weights(3, 2) == {-2: F(-1, 2), -1: 1, 1: -1, 2: F(1, 2)}


def test_staggered_and_one_sided_weights_of_tables():
    assert staggered_weights(1, 4) == {-2: F(1, 24), -1: F(-9, 8), 0: F(9, 8), 1: F(-1, 24)}
    assert staggered_weights(0, 4) == {-2: F(-1, 16), -1: F(9, 16), 0: F(9, 16), 1: F(-1, 16)}
    assert one_sided_weights(1, 2) == (F(-3, 2), 2, F(-1, 2))
    assert one_sided_weights(2, 2) == (2, -5, 4, -1)


def test_weights_on_uneven_nodes():
    nodes, at = (F(-3, 2), F(0), F(1, 3), F(2), F(7, 2)), F(1, 5)
    for derivative in range(5):
        found = weights(nodes, at, derivative)
        for power in range(5):
            assert sum(w * x**power for w, x in zip(found, nodes, strict=True)) == monomial_derivative(power, derivative, at)


def test_two_nodes_at_one_place_are_refused():
    with pytest.raises(ValueError, match="one place"):
        weights((0, 1, 1), 0, 1)


@pytest.mark.parametrize("conditions", [(), (0,), (1,), (0, 1), (0, 2), (1, 3), (2, 3)])
@pytest.mark.parametrize("extra", [0, 3])
def test_extrapolation_reproduces_polynomials_of_its_degree(conditions, extra):
    degree = 5
    first = 1 if 0 in conditions else 0
    nodes = tuple(range(first, first + degree + 1 - len(conditions) + extra))
    for at in (-1, -2, F(-1, 2)):
        nodal, data = extrapolation(nodes, conditions, degree, at)
        for power in range(degree + 1):
            found = sum(a * F(x) ** power for a, x in zip(nodal, nodes, strict=True))
            found += sum(b * monomial_derivative(power, m, 0) for b, m in zip(data, conditions, strict=True))
            assert found == F(at) ** power


def test_least_squares_extrapolation_is_the_line_of_best_fit():
    nodal, _ = extrapolation((0, 1, 2, 3), (), 1, -1)
    values = (F(1), F(0), F(3), F(2))
    slope = sum((F(x) - F(3, 2)) * v for x, v in zip(range(4), values, strict=True)) / 5
    assert sum(a * v for a, v in zip(nodal, values, strict=True)) == F(6, 4) + slope * (-1 - F(3, 2))


def test_extrapolation_without_enough_values_is_refused():
    with pytest.raises(ValueError, match="do not determine"):
        extrapolation((0, 1), (), 3, -1)


def test_second_order_neumann_ghost_is_the_mirror_image():
    assert extrapolation((0, 1), (1,), 2, -1) == ((0, 1), (-2,))


def test_gregory_weights_of_tables():
    assert [1 - c for c in end_corrections(4)] == [F(3, 8), F(7, 6), F(23, 24)]
    assert end_corrections(2) == (F(1, 2),)
    assert bernoulli(8) == F(-1, 30)
    assert bernoulli(7) == 0


@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_corrected_trapezoid_integrates_polynomials_exactly(accuracy):
    count = 11
    for power in range(accuracy):
        total = sum(F(i) ** power for i in range(count))
        total -= sum(c * (F(j) ** power + F(count - 1 - j) ** power) for j, c in enumerate(end_corrections(accuracy)))
        assert total == F(count - 1) ** (power + 1) / (power + 1)


def test_singular_systems_are_refused():
    with pytest.raises(ValueError, match="singular"):
        solve_rational([[1, 2], [2, 4]], [[1], [1]])
