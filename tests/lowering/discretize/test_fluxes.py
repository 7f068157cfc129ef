"""Derivatives of expressions: conservative fluxes, nonlinear terms, coefficients from formulas and data, nested operators."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest
from operators import wave
from problems import Problem, dn, measured_order, number, semidiscrete
from scipy.integrate import solve_ivp

from ricci.dsl import build
from ricci.errors import CannotLower

ORDERS = (2, 4, 6, 8)


def sin(t):
    return build.apply("sin", t)


def coefficient(x):
    """1 + sin(4 x)/2 as a term."""
    return build.add(number(1), build.scale(F(1, 2), sin(build.scale(4, x))))


def flux_program(kinds, order, given):
    """dt(u) = dx(a(x)*dx(u)); `given`: a is an array."""
    problem = Problem(("x", 0, 1, kinds == "PP"), order=order)
    u, x = problem.field("u"), problem.coordinate("x")
    a = problem.param("a", ("x",)) if given else coefficient(build.scale(F(355, 226), x) if kinds == "PP" else x)
    for side, kind in zip(("lo", "hi"), kinds, strict=True):
        if kind != "P":
            datum = problem.param(f"g:{side}")
            problem.condition(u, "x", side, build.sub(u if kind == "D" else build.partial(u, "x", 1), datum))
    problem.evolve(u, build.partial(build.mul(a, build.partial(u, "x", 1)), "x", 1))
    return problem.discretize()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("kinds", "frequency"), [("DD", 9.0), ("NN", 6.0)])
@pytest.mark.parametrize("given", [False, True])
def test_flux_form_has_nominal_order_and_a_real_spectrum(order, kinds, frequency, given):
    lowered = flux_program(kinds, order, given)
    exact, errors = wave(frequency, 0.9), []
    grids = {2: (33, 49, 65), 4: (49, 65, 97), 6: (49, 65, 81), 8: (49, 65, 81)}[order]
    for n in grids:
        nodes = np.linspace(0, 1, n)
        known = {f"g:{s}": float(exact(int(k == "N"), at)) for s, k, at in zip(("lo", "hi"), kinds, (0.0, 1.0), strict=True)}
        if given:
            known["a"] = 1 + np.sin(4 * nodes) / 2
        a, b = semidiscrete(lowered, x=n, **known).linear()
        x = nodes[1:-1] if kinds == "DD" else nodes
        f = 2 * np.cos(4 * x) * exact(1, x) + (1 + np.sin(4 * x) / 2) * exact(2, x) - exact(0, x)
        errors.append(np.abs(np.linalg.solve(a - np.eye(len(x)), f - b) - exact(0, x)).max())
    assert measured_order(errors, [1 / (n - 1) for n in grids]) > order - 0.25
    spectrum = np.linalg.eigvals(a)
    assert spectrum.real.max() < 1e-9 * n**2
    assert np.abs(spectrum.imag).max() < 1e-6 * n**2


@pytest.mark.parametrize("order", ORDERS)
def test_periodic_flux_is_symmetric_and_conserves(order):
    lowered = flux_program("PP", order, True)
    n = 24
    values = 2 + np.cos(np.arange(n))
    a, _ = semidiscrete(lowered, x=n, a=values).linear()
    np.testing.assert_allclose(a, a.T, atol=1e-9 * n**2)
    assert np.abs(a.sum(axis=0)).max() < 1e-9 * n**2
    assert np.linalg.eigvalsh(a).max() < 1e-9 * n**2


def trapezoid(values, spacing):
    return spacing * (values.sum() - (values[0] + values[-1]) / 2)


@pytest.mark.parametrize("form", ["lap", "flux", "nonlinear", "porous"])
def test_second_order_with_prescribed_slopes_conserves_exactly(form):
    """The trapezoidal sum of the right-hand side is what flows in through the sides."""
    problem = Problem(("x", 0, 2, False))
    u, x = problem.field("u"), problem.coordinate("x")
    forms = {
        "lap": (build.partial(u, "x", 2), lambda v, at: 1.0),
        "flux": (build.partial(build.mul(coefficient(x), build.partial(u, "x", 1)), "x", 1), lambda v, at: 1 + np.sin(4 * at) / 2),
        "nonlinear": (build.partial(build.mul(u, u, build.partial(u, "x", 1)), "x", 1), lambda v, at: v**2),
        "porous": (build.partial(build.power(u, 3), "x", 2), lambda v, at: 3 * v**2),
    }
    right, diffusivity = forms[form]
    problem.condition(u, "x", "lo", build.sub(dn(u, "x", "lo"), number(F(3, 10))))
    problem.condition(u, "x", "hi", build.sub(build.add(dn(u, "x", "hi"), u), number(2)))
    problem.evolve(u, right)
    n = 13
    found = semidiscrete(problem, x=n)
    values = 1 + np.random.default_rng(0).random(n)
    rate = found.rhs(0.0, values)
    inflow = diffusivity(values[0], 0.0) * 0.3 + diffusivity(values[-1], 2.0) * (2 - values[-1])
    assert trapezoid(rate, 2 / (n - 1)) == pytest.approx(inflow, rel=1e-12)


def test_nonlinear_diffusion_of_a_parabola():
    """dt(u) = dxx(u^2) with u = (1+t)^(-1/3) - x^2/(12 (1+t)): no error in space at order 6, by slope and by value."""
    problem = Problem(("x", 0, 1, False), order=6)
    u, x, t = problem.field("u"), problem.coordinate("x"), build.symbol("t", number(1).type)
    later = build.add(number(1), t)
    exact = build.sub(build.power(later, F(-1, 3)), build.divide(build.mul(x, x), build.scale(12, later)))
    problem.evolve(u, build.partial(build.mul(u, u), "x", 2))
    problem.condition(u, "x", "lo", build.partial(u, "x", 1))
    problem.condition(u, "x", "hi", build.sub(u, exact))
    problem.start(u, build.sub(number(1), build.scale(F(1, 12), build.mul(x, x))))
    found = semidiscrete(problem, x=9)
    run = solve_ivp(found.rhs, (0, 0.5), found.start(), method="BDF", rtol=1e-10, atol=1e-12)
    expected = 1.5 ** (-1 / 3) - found.points("x") ** 2 / 18
    np.testing.assert_allclose(found.final(0.5, run.y[:, -1])["u"], expected, atol=2e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("conservative", [False, True])
def test_burgers_between_prescribed_values(order, conservative):
    """A travelling front 1 - tanh((x - t)/(2 nu))... with time-dependent values at both sides."""
    nu = F(1, 5)
    problem = Problem(("x", -1, 1, False), order=order)
    u, x, t = problem.field("u"), problem.coordinate("x"), build.symbol("t", number(1).type)
    exact = build.sub(number(1), build.apply("tanh", build.scale(1 / (2 * nu), build.sub(x, t))))
    advection = build.scale(F(1, 2), build.partial(build.mul(u, u), "x", 1)) if conservative else build.mul(u, build.partial(u, "x", 1))
    problem.evolve(u, build.sub(build.scale(nu, build.partial(u, "x", 2)), advection))
    for side in ("lo", "hi"):
        problem.condition(u, "x", side, build.sub(u, exact))
    problem.start(u, build.sub(number(1), build.apply("tanh", build.scale(1 / (2 * nu), x))))
    lowered = problem.discretize()
    errors, grids = [], (31, 41, 51)
    for n in grids:
        found = semidiscrete(lowered, x=n)
        run = solve_ivp(found.rhs, (0, 0.3), found.start(), method="BDF", rtol=1e-8, atol=1e-10)
        errors.append(np.abs(found.final(0.3, run.y[:, -1])["u"] - 1 + np.tanh((found.points("x") - 0.3) / 0.4)).max())
    assert measured_order(errors, [1 / (n - 1) for n in grids]) > min(order, 4) - 0.25


def test_a_constant_coefficient_leaves_the_derivative():
    """dx(k*dx(u)) is k*dxx(u): the same right-hand side."""
    rates = []
    for form in ("flux", "plain"):
        problem = Problem(("x", 0, 1, False), order=4)
        u, k = problem.field("u"), problem.param("k")
        inner = build.mul(k, build.partial(u, "x", 1))
        problem.evolve(u, build.partial(inner, "x", 1) if form == "flux" else build.mul(k, build.partial(u, "x", 2)))
        for side in ("lo", "hi"):
            problem.condition(u, "x", side, u)
        rates.append(problem.discretize().functions["rhs"].roots)
    assert rates[0] == rates[1]


def test_beam_of_varying_stiffness_at_second_order():
    """dxx(a(x)*dxx(u)) between clamped sides: negative definite, second order."""
    problem = Problem(("x", 0, 1, False))
    u, x = problem.field("u"), problem.coordinate("x")
    problem.evolve(u, build.neg(build.partial(build.mul(coefficient(x), build.partial(u, "x", 2)), "x", 2)))
    exact, values = wave(5.0), {}
    for side in ("lo", "hi"):
        for m in (0, 1):
            values[m, side] = problem.param(f"g:{m}:{side}")
            problem.condition(u, "x", side, build.sub(build.partial(u, "x", m), values[m, side]))
    lowered, errors, grids = problem.discretize(), [], (33, 49, 65)
    for n in grids:
        known = {f"g:{m}:{s}": float(exact(m, at)) for m in (0, 1) for s, at in (("lo", 0.0), ("hi", 1.0))}
        a, b = semidiscrete(lowered, x=n, **known).linear()
        assert np.linalg.eigvals(a).real.max() < 0
        assert np.abs(np.linalg.eigvals(a).imag).max() < 1e-6 * n**4
        y = np.linspace(0, 1, n)[1:-1]
        stiffness = [1 + np.sin(4 * y) / 2, 2 * np.cos(4 * y), -8 * np.sin(4 * y)]
        f = -(stiffness[2] * exact(2, y) + 2 * stiffness[1] * exact(3, y) + stiffness[0] * exact(4, y))
        errors.append(np.abs(np.linalg.solve(a, f - b) - exact(0, y)).max())
    assert measured_order(errors, [1 / (n - 1) for n in grids]) == pytest.approx(2, abs=0.2)


def test_nested_derivatives_above_second_order_need_periodic_axes():
    for periodic in (True, False):
        problem = Problem(("x", 0, 1, periodic), order=4)
        u = problem.field("u")
        problem.evolve(u, build.neg(build.partial(build.mul(u, build.partial(u, "x", 2)), "x", 2)))
        if periodic:
            assert problem.discretize().functions["rhs"].results
            continue
        for side in ("lo", "hi"):
            problem.condition(u, "x", side, u)
            problem.condition(u, "x", side, dn(u, "x", side))
        with pytest.raises(CannotLower) as caught:
            problem.discretize()
        assert caught.value.code == "E0502"
        assert "order=2" in caught.value.diagnostics[0].help


@pytest.mark.parametrize("order", ORDERS)
def test_two_laplacians_are_one_fourth_derivative(order):
    """lap(lap(u)) in two periodic dimensions against its symbol."""
    problem = Problem(("x", 0, 1, True), ("y", 0, 1, True), order=order)
    u = problem.field("u")
    lap = build.add(build.partial(u, "x", 2), build.partial(u, "y", 2))
    problem.evolve(u, build.add(build.partial(lap, "x", 2), build.partial(lap, "y", 2)))
    errors, grids = [], (16, 20, 24)
    for n in grids:
        found = semidiscrete(problem, x=n, y=n)
        x, y = np.meshgrid(found.points("x"), found.points("y"), indexing="ij")
        values = np.sin(2 * np.pi * (x + y))
        exact = 4 * (2 * np.pi) ** 4 * values
        errors.append(np.abs(found.rhs(0.0, values.ravel()).reshape(n, n) - exact).max())
    assert measured_order(errors, [1 / n for n in grids]) == pytest.approx(order, abs=0.2)
