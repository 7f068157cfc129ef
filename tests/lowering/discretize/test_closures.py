"""Every derivative, accuracy and kind of side: spectrum of the semi-discrete operator, and order of the solution."""

from __future__ import annotations

import numpy as np
import pytest
from operators import operator, steady_errors, wave
from problems import measured_order

ORDERS = (2, 4, 6, 8)
D, N, NOTHING = (0,), (1,), ()
PAIRS_OF_TWO = [(0, 1), (0, 2), (1, 3), (2, 3)]


def spectrum(rates, order, lo, hi, n, robin=0, scales=None):
    return np.linalg.eigvals(operator(rates, order, lo, hi, n, robin=robin, scales=scales)[0])


# second and fourth derivatives: nowhere positive and real, so that diffusion and waves are both stable


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lo", "hi", "robin"), [(None, None, 0), (D, D, 0), (N, N, 0), (D, N, 0), (N, D, 0), (N, N, 1), (D, N, 50)])
def test_second_derivative_has_a_real_spectrum_without_growth(order, lo, hi, robin):
    for n in (24, 37, 64):
        found = spectrum(((2, 1),), order, lo, hi, n, robin)
        assert found.real.max() < 1e-9 * n**2
        assert np.abs(found.imag).max() < 1e-6 * n**2
        assert found.real.min() > -30 * n**2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [None, *PAIRS_OF_TWO])
def test_fourth_derivative_has_a_real_spectrum_without_growth(order, kind):
    for n in (24, 37, 64):
        found = spectrum(((4, -1),), order, kind, kind, n)
        assert found.real.max() < 1e-9 * n**4
        assert np.abs(found.imag).max() < 1e-4 * n**4


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lo", "hi"), [((0, 1), (2, 3)), ((0, 2), (1, 3))])
def test_fourth_derivative_with_two_kinds_of_sides(order, lo, hi):
    for n in (24, 37, 64):
        found = spectrum(((4, -1),), order, lo, hi, n)
        assert found.real.max() < 1e-9 * n**4
        assert np.abs(found.imag).max() < 1e-4 * n**4


# first derivatives: transport into the domain, past it, and with diffusion of any strength


@pytest.mark.parametrize("order", ORDERS)
def test_transport_from_an_inflow_decays(order):
    for n in (24, 37, 96):
        assert spectrum(((1, -1),), order, D, NOTHING, n).real.max() < 0
        assert spectrum(((1, 1),), order, NOTHING, D, n).real.max() < 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lo", "hi"), [(D, D), (N, N), (N, D), (None, None)])
def test_transport_between_sides_is_neutral(order, lo, hi):
    for n in (24, 37, 96):
        assert spectrum(((1, -1),), order, lo, hi, n).real.max() < 1e-4


@pytest.mark.parametrize("order", ORDERS)
def test_transport_towards_a_prescribed_slope_stays_bounded(order):
    growth = [spectrum(((1, -1),), order, D, N, n).real.max() for n in (24, 48, 96)]
    assert growth[2] < growth[0] + 0.05
    assert growth[2] < 1.5


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lo", "hi"), [(D, D), (N, N), (D, N), (N, D)])
def test_transport_with_diffusion_of_any_strength_stays_bounded(order, lo, hi):
    for cell_peclet in (100.0, 10.0, 1.0, 0.1):
        growth = []
        for n in (24, 48, 96):
            scales = ((1, -1.0), (2, 1 / (n * cell_peclet)))
            growth.append(spectrum(((1, -1), (2, 1)), order, lo, hi, n, scales=scales).real.max())
        assert growth[2] < max(growth[0], 0) + 0.05
        assert max(growth) < 1.5


# third derivatives: one condition where the waves come from, two where they go


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lo", "hi"), [(D, (0, 1)), ((2,), (0, 1)), (D, (1, 2)), (N, (0, 1))])
def test_dispersion_decays(order, lo, hi):
    for n in (24, 37, 64):
        assert spectrum(((3, -1),), order, lo, hi, n).real.max() < 1e-7 * n**3


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", PAIRS_OF_TWO)
@pytest.mark.parametrize("direction", [-1, 1])
def test_lower_derivatives_beside_a_fourth_one_stay_bounded(order, kind, direction):
    rates = ((1, direction), (2, -1), (3, direction), (4, -1))
    growth = [spectrum(rates, order, kind, kind, n).real.max() for n in (24, 48)]
    assert growth[1] < growth[0] + 0.05
    for strength in (1.0, 0.1):
        n = 48
        scales = ((1, 0), (2, 0), (3, direction), (4, -strength / n))
        assert spectrum(rates, order, kind, kind, n, scales=scales).real.max() < 1e-7 * n**3


# orders

# frequencies and grids lie where the leading error term rules: the grid resolves the wave and rounding is far below

PERIODIC = {2: (33, 49, 65), 4: (33, 49, 65), 6: (25, 33, 41), 8: (17, 21, 25)}
SECOND = {2: (33, 49, 65), 4: (49, 65, 97), 6: (65, 81, 97), 8: (65, 81, 97)}
FOURTH = {2: (33, 49, 65), 4: (49, 65, 81), 6: (41, 49, 57), 8: (37, 41, 49)}
FOURTH_SUPPORTED = {**FOURTH, 8: (49, 57, 65)}  # its error is smaller on coarse grids than the leading term says


def periodic_wave(order, x):
    return (2 * np.pi) ** order * np.sin(2 * np.pi * np.asarray(x) + order * np.pi / 2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("derivative", [1, 2, 3, 4])
def test_nominal_order_on_periodic_axes(derivative, order):
    grids = PERIODIC[order]
    sign = -1.0 if derivative == 4 else 1.0
    errors = steady_errors(derivative, sign, order, None, None, grids, periodic_wave)
    assert measured_order(errors, [1 / n for n in grids]) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("lo", "hi", "robin", "frequency"),
    [(D, D, 0, 8.0), (N, N, 0, 12.0), (N, N, 2, 16.0), (D, N, 0, 16.0)],
)
def test_nominal_order_of_the_second_derivative_up_to_the_sides(order, lo, hi, robin, frequency):
    grids = SECOND[order]
    errors = steady_errors(2, 1.0, order, lo, hi, grids, wave(frequency), robin)
    assert measured_order(errors, [1 / (n - 1) for n in grids]) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", PAIRS_OF_TWO)
def test_nominal_order_of_the_fourth_derivative_up_to_the_sides(order, kind):
    grids = (FOURTH_SUPPORTED if kind == (0, 2) else FOURTH)[order]
    errors = steady_errors(4, -1.0, order, kind, kind, grids, wave(6.0))
    assert measured_order(errors, [1 / (n - 1) for n in grids]) > order - 0.2


@pytest.mark.parametrize("order", ORDERS)
def test_stated_order_of_the_first_derivative_at_an_inflow(order):
    grids = (49, 65, 97)
    errors = steady_errors(1, -1.0, order, D, NOTHING, grids, wave(6.0))
    assert measured_order(errors, [1 / (n - 1) for n in grids]) > min(order, 4) - 0.2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("lo", "hi"), [(D, (0, 1)), ((2,), (0, 1)), (D, (1, 2)), (N, (0, 1))])
def test_stated_order_of_the_third_derivative(order, lo, hi):
    grids = (49, 65, 81)
    errors = steady_errors(3, -1.0, order, lo, hi, grids, wave(6.0))
    assert measured_order(errors, [1 / (n - 1) for n in grids]) > min(order, 5) - 0.2
