"""Whole models: several dimensions, sides and fields, waves, complex fields, systems without space, against exact solutions."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest
from problems import MODES, Problem, batched_linear, dn, measured_order, number, semidiscrete
from scipy.integrate import solve_ivp

from ricci.dsl import build, reference
from ricci.dsl.index import Index
from ricci.dsl.model import Event, Load, Param, Unit
from ricci.dsl.types import Kind, Size, Type

T = build.symbol("t", Type(Kind.REAL))
ORDERS = (2, 4, 6, 8)


def sin(t):
    return build.apply("sin", t)


def cos(t):
    return build.apply("cos", t)


def exp(t):
    return build.apply("exp", t)


def lap(field, *coordinates):
    return build.add(*[build.partial(field, c, 2) for c in coordinates])


def integrate(found, end, tol=1e-9):
    run = solve_ivp(found.rhs, (0, end), found.start(), method="BDF", rtol=tol, atol=tol / 100)
    return found.final(end, run.y[:, -1])


def test_heat_between_robin_sides_has_its_exact_solution():
    """Program 01: exp(-t) sin(x)."""
    problem = Problem(("x", -1, 1, False))
    u, x = problem.field("u"), problem.coordinate("x")
    decay = exp(build.neg(T))
    left = build.sub(sin(number(-1)), build.scale(3, cos(number(1))))
    right = build.add(sin(number(1)), cos(number(1)))
    problem.evolve(u, build.partial(u, "x", 2))
    problem.condition(u, "x", "lo", build.sub(build.add(u, build.scale(3, dn(u, "x", "lo"))), build.mul(decay, left)))
    problem.condition(u, "x", "hi", build.sub(build.add(u, dn(u, "x", "hi")), build.mul(decay, right)))
    problem.start(u, sin(x))
    lowered, errors = problem.discretize(), []
    for n in (11, 21, 41):
        found = semidiscrete(lowered, x=n)
        errors.append(np.abs(integrate(found, 1.0)["u"] - np.exp(-1) * np.sin(found.points("x"))).max())
    assert measured_order(errors, [1 / 10, 1 / 20, 1 / 40]) == pytest.approx(2, abs=0.1)
    assert errors[2] < 2e-4


@pytest.mark.parametrize("order", ORDERS)
def test_two_dimensions_with_four_kinds_of_sides(order):
    """lap(u) - u = f with Dirichlet, Neumann, Robin and Dirichlet data that vary along the sides."""
    problem = Problem(("x", 0, 1, False), ("y", 0, 1, False), order=order)
    u, x, y = problem.field("u", family={"mode": MODES}), problem.coordinate("x"), problem.coordinate("y")
    exact = build.mul(sin(build.add(x, y)), exp(x))
    slope_y = build.mul(cos(build.add(x, y)), exp(x))
    slope_x = build.add(exact, slope_y)
    f = build.sub(build.scale(2, slope_y), build.scale(2, exact))
    problem.evolve(u, build.sub(build.sub(lap(u, "x", "y"), u), f))
    problem.condition(u, "x", "lo", build.sub(u, exact))
    problem.condition(u, "x", "hi", build.sub(build.partial(u, "x", 1), slope_x))
    problem.condition(u, "y", "lo", build.sub(build.add(dn(u, "y", "lo"), build.scale(3, u)), build.sub(build.scale(3, exact), slope_y)))
    problem.condition(u, "y", "hi", build.sub(u, exact))
    lowered, errors = problem.discretize(), []
    grids = (17, 21, 25)
    for n in grids:
        found = semidiscrete(lowered, x=n, y=n + 2)
        a, b = batched_linear(found)
        px, py = np.meshgrid(found.points("x")[1:], found.points("y")[:-1], indexing="ij")
        errors.append(np.abs(np.linalg.solve(a, -b) - (np.sin(px + py) * np.exp(px)).ravel()).max())
    assert measured_order(errors, [1 / n for n in grids]) > order - 0.2
    assert np.linalg.eigvals(a).real.max() < 0


def test_three_dimensions_against_the_decay_of_one_mode():
    problem = Problem(("x", 0, 1, False), ("y", 0, 1, False), ("z", 0, 1, True), order=4)
    u = problem.field("u")
    problem.evolve(u, lap(u, "x", "y", "z"))
    for side in ("lo", "hi"):
        problem.condition(u, "x", side, u)
        problem.condition(u, "y", side, dn(u, "y", side))
    found = semidiscrete(problem, x=11, y=9, z=8)
    x, y, z = np.meshgrid(*[found.points(c) for c in "xyz"], indexing="ij")
    mode = np.sin(np.pi * x) * np.cos(np.pi * y) * np.cos(2 * np.pi * z)
    rate = found.rhs(0.0, mode[1:-1].ravel()).reshape(9, 9, 8)
    expected = -6 * np.pi**2 * mode[1:-1]
    assert np.abs(rate - expected).max() < 0.02 * np.abs(expected).max()


def mixed_errors(order, kind):
    """Largest error of dxdy(u) over all rows for one kind of sides."""
    problem = Problem(("x", 0, 1, kind == "P"), ("y", 0, 1, kind == "P"), order=order)
    u, x, y = problem.field("u"), problem.coordinate("x"), problem.coordinate("y")
    frequency = 2 * np.pi if kind == "P" else 2.0
    factor = number(F(frequency))
    exact = build.mul(sin(build.mul(factor, x)), cos(build.mul(factor, y)))
    for c in ("x", "y"):
        for side in ("lo", "hi"):
            if kind == "D":
                problem.condition(u, c, side, build.sub(u, exact))
            if kind == "N":
                other = cos if c == "x" else (lambda t: build.neg(sin(t)))
                first = other(build.mul(factor, x)) if c == "x" else sin(build.mul(factor, x))
                second = cos(build.mul(factor, y)) if c == "x" else other(build.mul(factor, y))
                problem.condition(u, c, side, build.sub(build.partial(u, c, 1), build.mul(factor, first, second)))
    problem.evolve(u, build.partial(build.partial(u, "x", 1), "y", 1))
    lowered, errors = problem.discretize(), []
    grids = (17, 25, 33)
    for n in grids:
        found = semidiscrete(lowered, x=n, y=n)
        px, py = np.meshgrid(found.points("x"), found.points("y"), indexing="ij")
        inner = slice(1, -1) if kind == "D" else slice(None)
        state = (np.sin(frequency * px) * np.cos(frequency * py))[inner, inner]
        expected = (-(frequency**2) * np.cos(frequency * px) * np.sin(frequency * py))[inner, inner]
        errors.append(np.abs(found.rhs(0.0, state.ravel()).reshape(state.shape) - expected).max())
    return measured_order(errors, [1 / n if kind == "P" else 1 / (n - 1) for n in grids])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["P", "D", "N"])
def test_mixed_derivative_up_to_the_corners(order, kind):
    nominal = order if kind == "P" else min(order, 3)
    assert mixed_errors(order, kind) > nominal - 0.3


def test_at_a_corner_the_later_statement_wins():
    for first, second, expected in ((("x", 1), ("y", 2), 2.0), (("y", 2), ("x", 1), 1.0)):
        problem = Problem(("x", 0, 1, False), ("y", 0, 1, False))
        u = problem.field("u")
        problem.evolve(u, lap(u, "x", "y"))
        for c, value in (first, second):
            for side in ("lo", "hi"):
                problem.condition(u, c, side, build.sub(u, number(value)))
        found = semidiscrete(problem, x=5, y=6)
        full = found.final(0.0, np.zeros(12))["u"]
        assert full.shape == (5, 6)
        assert full[0, 0] == full[-1, -1] == expected
        assert full[2, 0] == 2.0
        assert full[0, 2] == 1.0


def test_vector_operators_against_calculus():
    """div, curl, advection and grad(div) of a field on a periodic square, at order 8."""
    problem = Problem(("x", 0, 1, True), ("y", 0, 1, True), order=8)
    names = ("div", "curl", "advection", "gradient_of_div", "stress")
    u, v = problem.field("u"), problem.field("v")
    results = {name: problem.field(name) for name in names}
    dx, dy = (lambda f: build.partial(f, "x", 1)), (lambda f: build.partial(f, "y", 1))
    divergence = build.add(dx(u), dy(v))
    rates = (
        divergence,
        build.sub(dx(v), dy(u)),
        build.add(build.mul(u, dx(u)), build.mul(v, dy(u))),
        dx(divergence),
        build.add(dx(build.mul(u, u)), dy(build.mul(u, v))),
    )
    for field, rate in [(u, number(0)), (v, number(0)), *zip(results.values(), rates, strict=True)]:
        problem.evolve(field, build.expand(rate, field.axes))
    n = 32
    found = semidiscrete(problem, x=n, y=n)
    x, y = np.meshgrid(found.points("x"), found.points("y"), indexing="ij")
    w = 2 * np.pi
    fu, fv = np.sin(w * x) * np.cos(w * y), np.cos(w * (x + y))
    ux, uy, vx, vy = (
        w * np.cos(w * x) * np.cos(w * y),
        -w * np.sin(w * x) * np.sin(w * y),
        -w * np.sin(w * (x + y)),
        -w * np.sin(w * (x + y)),
    )
    expected = {
        "div": ux + vy,
        "curl": vx - uy,
        "advection": fu * ux + fv * uy,
        "gradient_of_div": -(w**2) * fu - w**2 * np.cos(w * (x + y)),
        "stress": 2 * fu * ux + uy * fv + fu * vy,
    }
    state = {s.name: np.zeros((n, n)) for s in found.program.states} | {"u": fu, "v": fv}
    rate = found.call("rhs", {**state, "t": 0.0})
    for name in names:
        np.testing.assert_allclose(rate[name], expected[name], atol=2e-4, rtol=0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sides", ["DD", "DN", "NN"])
def test_wave_equation_neither_grows_nor_decays(order, sides):
    problem = Problem(("x", 0, 1, False), order=order)
    u = problem.field("u")
    problem.evolve(u, build.partial(u, "x", 2), 2)
    for side, kind in zip(("lo", "hi"), sides, strict=True):
        problem.condition(u, "x", side, u if kind == "D" else dn(u, "x", side))
    lowered = problem.discretize()
    assert [(s.name, s.field, s.time_order) for s in lowered.states] == [("u", "u", 0), ("dt(u)", "u", 1)]
    for n in (17, 32):
        assert np.abs(np.linalg.eigvals(semidiscrete(lowered, x=n).linear()[0]).real).max() < 1e-4


def test_damped_wave_with_moving_sides():
    """dtt(u) = lap(u) + lap(dt(u)) + f with u = sin(x + 2t): the velocity takes its boundary values from the field's."""
    problem = Problem(("x", 0, 1, False), order=4)
    u, x = problem.field("u"), problem.coordinate("x")
    phase = build.add(x, build.scale(2, T))
    exact = sin(phase)
    forcing = build.add(build.scale(-3, exact), build.scale(2, cos(phase)))
    problem.evolve(u, build.add(build.partial(u, "x", 2), build.partial(build.partial(u, "x", 2), "t", 1), forcing), 2)
    for side in ("lo", "hi"):
        problem.condition(u, "x", side, build.sub(u, exact))
    problem.start(u, sin(x))
    problem.start(u, build.scale(2, cos(x)), 1)
    lowered, errors = problem.discretize(), []
    for n in (9, 13, 17):
        found = semidiscrete(lowered, x=n)
        errors.append(np.abs(integrate(found, 0.5, 1e-10)["u"] - np.sin(found.points("x") + 1)).max())
    assert measured_order(errors, [1 / 8, 1 / 12, 1 / 16]) == pytest.approx(4, abs=0.35)


def test_schroedinger_keeps_its_norm():
    """im*dt(psi) = -dxx(psi)/2 + V psi: i times a Hermitian operator, on a periodic axis; real spectrum times i between sides."""
    for periodic in (True, False):
        problem = Problem(("x", 0, 1, periodic), order=8)
        psi, x = problem.field("psi", Kind.COMPLEX), problem.coordinate("x")
        right = build.add(build.scale(F(-1, 2), build.partial(psi, "x", 2)), build.mul(x, psi))
        problem.equation(psi, build.mul(build.im(), build.partial(psi, "t", 1)), right)
        if not periodic:
            for side in ("lo", "hi"):
                problem.condition(psi, "x", side, psi)
        a, b = semidiscrete(problem, x=20).linear()
        assert np.iscomplexobj(a)
        assert np.abs(b).max() == 0
        assert np.abs(np.linalg.eigvals(a).real).max() < 1e-9
        if periodic:
            np.testing.assert_allclose(a, -a.conj().T, atol=1e-9)


def test_coupled_time_derivatives_are_solved_for():
    """2 u' + v' = a, u' - v' = b, with a coefficient that is a param."""
    problem = Problem()
    u, v, k = problem.field("u", domain=None), problem.field("v", domain=None), problem.param("k")
    du, dv = build.partial(u, "t", 1), build.partial(v, "t", 1)
    problem.equation(u, build.add(build.scale(2, du), build.mul(k, dv)), build.neg(u))
    problem.equation(v, build.sub(du, dv), v)
    found = semidiscrete(problem, k=3.0)
    expected = np.linalg.solve([[2, 3], [1, -1]], [-0.7, 0.2])
    np.testing.assert_allclose(found.rhs(0.0, np.array([0.7, 0.2])), expected, rtol=1e-14)


def test_a_field_given_by_a_formula_is_no_state():
    problem = Problem(("x", 0, 1, True))
    u, p = problem.field("u"), problem.field("p")
    problem.evolve(u, build.neg(build.partial(p, "x", 1)))
    problem.equation(p, p, build.scale(3, u), time_order=0)
    problem.start(u, number(1))
    found = semidiscrete(problem, x=8)
    assert [s.name for s in found.program.states] == ["u"]
    values = np.cos(2 * np.pi * np.arange(8) / 8)
    np.testing.assert_allclose(found.final(0.0, values)["p"], 3 * values)
    np.testing.assert_allclose(found.rhs(0.0, values), -3 * (np.roll(values, -1) - np.roll(values, 1)) * 4, atol=1e-12)


def test_lorenz_96_is_a_family_without_space():
    size = Size.of(40)
    problem = Problem()
    x = problem.field("X", family={"i": size}, domain=None)

    def shifted(k):
        return build.reindex(x, {"i": size}, {"i": (Index.axis("i") + k).mod(size)}, fill=0)

    product = build.mul(build.sub(shifted(1), shifted(-2)), shifted(-1))
    problem.evolve(x, build.add(build.sub(product, x), number(8)))
    state = np.random.default_rng(1).random(40)
    expected = (np.roll(state, -1) - np.roll(state, 2)) * np.roll(state, 1) - state + 8
    np.testing.assert_allclose(semidiscrete(problem).rhs(0.0, state), expected, rtol=1e-13)


def test_family_of_fields_with_sums_over_the_family():
    """dt(u[i]) = lap(u[i]) + sum_j M[i,j] u[j] keeps the axis of the family beside the grid."""
    count = Size.of(3)
    problem = Problem(("x", 0, 1, False))
    u = problem.field("u", family={"i": count})
    matrix = build.symbol("M", Type(Kind.REAL, {"i": count, "j": count}))
    problem.model.params["M"] = Param("M", matrix, ("i", "j"), None, None, Unit())
    coupling = build.contract([(matrix, {"j": "k"}), (u, {"i": "k"})], {"k": count})
    problem.evolve(u, build.add(build.partial(u, "x", 2), coupling))
    for side in ("lo", "hi"):
        problem.condition(u, "x", side, u)
    values, weights = np.random.default_rng(2).random((3, 7)), np.arange(9.0).reshape(3, 3)
    found = semidiscrete(problem, x=9, M=weights)
    padded = np.pad(values, ((0, 0), (1, 1)))
    expected = (padded[:, 2:] - 2 * values + padded[:, :-2]) * 64 + weights @ values
    np.testing.assert_allclose(found.rhs(0.0, values.ravel()).reshape(3, 7), expected, rtol=1e-12)


def test_events_change_the_state_in_order():
    problem = Problem()
    s, p = problem.field("S", domain=None), problem.field("P", domain=None)
    problem.evolve(s, build.neg(s))
    problem.evolve(p, s)
    margin = build.sub(T, number(30))
    assignments = (("S", build.add(s, number(5))), ("P", build.scale(2, s)))
    problem.model.events.append(Event(build.apply("lt", number(0), margin), margin, assignments, "event"))
    found = semidiscrete(problem)
    known = {"S": 1.0, "P": 7.0, "t": 31.0}
    assert found.call("event:0", known)["margin"] == 1.0
    applied = found.call("apply:0", known)
    assert (applied["S"], applied["P"]) == (6.0, 12.0)


def test_a_boundary_value_taken_from_another_field():
    """T = w*s on a side, where w is a second field: read at the side."""
    problem = Problem(("x", 0, 1, False))
    u, w = problem.field("u"), problem.field("w")
    problem.evolve(u, build.partial(u, "x", 2))
    problem.evolve(w, build.expand(number(0), w.axes))
    problem.condition(u, "x", "lo", build.sub(u, build.scale(2, w)))
    problem.condition(u, "x", "hi", dn(u, "x", "hi"))
    found = semidiscrete(problem, x=6)
    assert found.final(0.0, np.concatenate([np.zeros(5), np.arange(3.0, 9.0)]))["u"][0] == 6.0


def test_radiation_is_a_condition_linear_in_the_slope_only():
    """dn(u) = 1 - u^4: second-order ghost with the value at the side."""
    problem = Problem(("x", 0, 1, False))
    u = problem.field("u")
    problem.evolve(u, build.partial(u, "x", 2))
    problem.condition(u, "x", "lo", build.sub(dn(u, "x", "lo"), build.sub(number(1), build.power(u, 4))))
    problem.condition(u, "x", "hi", dn(u, "x", "hi"))
    values = np.array([0.5, 0.7, 1.0, 1.1])
    rate = semidiscrete(problem, x=4).rhs(0.0, values)
    assert rate[0] == pytest.approx((2 * values[1] - 2 * values[0] + 2 / 3 * (1 - 0.5**4)) * 9)


def test_initial_values_from_data_params_and_other_fields():
    problem = Problem(("x", 0, 1, False))
    u, v, k, x = problem.field("u"), problem.field("v"), problem.param("k"), problem.coordinate("x")
    for field in (u, v):
        problem.evolve(field, build.partial(field, "x", 2))
        problem.condition(field, "x", "lo", field)
        problem.condition(field, "x", "hi", dn(field, "x", "hi"))
    problem.start(u, build.mul(k, x))
    problem.start(v, build.add(build.mul(u, u), T, number(1)))
    found = semidiscrete(problem, x=5, k=2.0)
    start = found.call("initial", found.values)
    np.testing.assert_allclose(start["u"], [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(start["v"], np.array([0.5, 1.0, 1.5, 2.0]) ** 2 + 1)
    problem.model.initials[0] = problem.model.initials[0].__class__("u", 0, Load("u.npy"), "initial u = load")
    problem.model.initials[1] = problem.model.initials[1].__class__("v", 0, number(0), "initial v = 0")
    lowered = problem.discretize()
    data = next(a for a in lowered.arguments if a.role == "data")
    assert (data.order, data.value) == (("x",), Load("u.npy"))
    given = semidiscrete(lowered, x=5, **{data.name: np.arange(5.0)})
    np.testing.assert_allclose(given.call("initial", given.values)["u"], [1, 2, 3, 4])


def test_a_formula_of_a_param_is_its_default_on_all_nodes():
    problem = Problem(("x", 0, 2, False))
    u, x = problem.field("u"), problem.coordinate("x")
    a = problem.param("a", ("x",), build.mul(x, x))
    problem.evolve(u, build.mul(a, u))
    lowered = problem.discretize()
    (argument,) = [p for p in lowered.arguments if p.name == "a"]
    np.testing.assert_allclose(reference.evaluate([argument.value], {}, {"x": 5})[0], np.linspace(0, 2, 5) ** 2)


def test_the_program_does_not_depend_on_the_grid():
    made = []
    for n in (41, 999):
        problem = Problem(("x", 0, 1, False), ("y", 0, 1, True), order=4, sizes={"x": n, "y": n})
        u = problem.field("u")
        problem.evolve(u, lap(u, "x", "y"))
        for side in ("lo", "hi"):
            problem.condition(u, "x", side, u)
        made.append(problem.discretize())
    assert made[0].functions == made[1].functions
    assert made[0].sizes == {"x": 41, "y": 41}
    assert made[1].sizes == {"x": 999, "y": 999}


def test_right_hand_sides_name_their_equation():
    problem = Problem(("x", 0, 1, True))
    u = problem.field("u")
    problem.evolve(u, build.partial(u, "x", 2))
    lowered = problem.discretize()
    assert lowered.origins[lowered.functions["rhs"].roots[0]] == "equation of u"
    assert lowered.choices[0].what == "space"


@pytest.mark.parametrize("order", ORDERS)
def test_an_absorbing_side_lets_waves_out(order):
    """dt(u) + dn(u) = 0 is a prescribed slope once the velocity is a state: nothing grows, and a pulse leaves."""
    problem = Problem(("x", 0, 1, False), order=order)
    u, x = problem.field("u"), problem.coordinate("x")
    problem.evolve(u, build.partial(u, "x", 2), 2)
    problem.condition(u, "x", "lo", dn(u, "x", "lo"))
    problem.condition(u, "x", "hi", build.add(build.partial(u, "t", 1), dn(u, "x", "hi")))
    pulse = exp(build.scale(-200, build.power(build.sub(x, number(F(1, 2))), 2)))
    problem.start(u, pulse)
    problem.start(u, build.scale(400, build.mul(build.sub(x, number(F(1, 2))), pulse)), 1)
    lowered = problem.discretize()
    for n in (24, 37):
        assert np.linalg.eigvals(semidiscrete(lowered, x=n).linear()[0]).real.max() < 1e-6
    found = semidiscrete(lowered, x=61)
    run = solve_ivp(found.rhs, (0, 1), found.start(), rtol=1e-6, atol=1e-8)
    assert np.abs(found.final(1.0, run.y[:, -1])["u"]).max() < {2: 0.08, 4: 0.02, 6: 0.01, 8: 0.01}[order]


def test_deep_sums_and_products_are_differentiated_without_recursion():
    problem = Problem(("x", 0, 1, True))
    u, k = problem.field("u"), problem.param("k")
    inner = u
    for _ in range(3000):
        inner = build.add(build.mul(k, inner), build.mul(k, k, u))
    problem.evolve(u, build.partial(inner, "x", 1))
    assert problem.discretize().functions["rhs"].results
