"""What looks at fields: outputs, checks, values between nodes and at sides, integrals, named times."""

from __future__ import annotations

import numpy as np
import pytest
from problems import Semidiscrete, measured_order
from scipy.integrate import quad
from scipy.interpolate import BarycentricInterpolator

from ricci.driver import check_text
from ricci.dsl import reference
from ricci.errors import Source
from ricci.lowering.discretize import discretize

ORDERS = (2, 4, 6, 8)


def lowered(*lines, order=4, grid="x=41", until="t=1"):
    """The program of a model with one field on 0..1, from text."""
    text = "\n".join([*lines, f"solve {{ grid: {grid}; space: fd(order={order}); until: {until} }}"]) + "\n"
    return discretize(check_text(Source("test.model", text)))


def bound(program, **sizes):
    known = {**program.sizes, **sizes}
    values = {a.name: reference.evaluate([a.value], {}, known)[0] for a in program.arguments}
    return Semidiscrete(program, known, values)


HEAT = (
    "domain D: x in 0..1",
    "field u(D)",
    "equation dt(u) = dxx(u)",
    "boundary u on x.lo, x.hi: u = exp(sin(3*x))",
    "initial u = exp(sin(3*x))",
)


def exact(x):
    return np.exp(np.sin(3 * x))


def check_values(program, n, k=0):
    """The left sides of a check, on the initial state."""
    found = bound(program, x=n)
    known = {**found.values, **found.call("initial", found.values), "t": 0.0}
    for name in program.functions:
        if name.startswith("snapshot:"):
            known.update(found.call(name, known))
    return found.call(f"check:{k}", known)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("point", "first"), [(0.37, 14), (0.02, 0), (0.99, 39), (0.5125, 20)])
def test_a_value_between_nodes_is_the_polynomial_through_the_nearest(order, point, first):
    """`first` is the node before the point on 41 nodes; the window of `order` nodes around it stays on the grid."""
    program = lowered(*HEAT, f"check u(x={point}) < 9", order=order)
    start = min(max(first - order // 2 + 1, 0), 41 - order)
    nodes = np.arange(start, start + order) / 40
    expected = BarycentricInterpolator(nodes, exact(nodes))(point)
    assert check_values(program, 41)["left:0"] == pytest.approx(expected, rel=1e-12)


def test_values_at_nodes_and_at_sides_are_exact():
    program = lowered(*HEAT, "check u(x=0.25) < 9", "check u(x=0) < 9 and u(x=1) < 9", order=6)
    assert check_values(program, 41)["left:0"] == pytest.approx(exact(0.25), rel=1e-14)
    ends = check_values(program, 41, 1)
    assert (ends["left:0"], ends["left:1"]) == (exact(0), pytest.approx(exact(1), rel=1e-15))


def test_the_point_may_be_a_param():
    program = lowered(*HEAT, "param where = 0.3", "check u(x=where) < 9", order=8)
    assert check_values(program, 41)["left:0"] == pytest.approx(exact(0.3), abs=1e-8)


@pytest.mark.parametrize("order", ORDERS)
def test_integral_has_the_order_of_the_scheme(order):
    program = lowered(*HEAT, "check integral(u) < 9", order=order)
    grids = (33, 41, 49)
    value = quad(exact, 0, 1, epsabs=1e-14, epsrel=1e-14)[0]
    errors = [abs(check_values(program, n)["left:0"] - value) for n in grids]
    assert measured_order(errors, [1 / (n - 1) for n in grids]) > order - 0.4


@pytest.mark.parametrize("order", ORDERS)
def test_derivative_at_a_side_has_the_order_of_the_scheme(order):
    program = lowered(*HEAT, "check dx(u)(x=0) < 9 and dxx(u)(x=0) < 9", order=order)
    grids = (49, 65, 81)
    slope, bend = 3.0, 9.0
    found = [check_values(program, n) for n in grids]
    spacings = [1 / (n - 1) for n in grids]
    assert measured_order([abs(f["left:0"] - slope) for f in found], spacings) > order - 0.5
    assert measured_order([abs(f["left:1"] - bend) for f in found], spacings) > order - 0.5


@pytest.mark.parametrize("order", ORDERS)
def test_derivatives_in_outputs_are_accurate_on_all_nodes(order):
    program = lowered(*HEAT, 'output dx(u), dxx(u), u at 0.5 to "a.npz"', order=order)
    assert [(i.function, i.every) for i in program.instants] == [("output:0", None)]
    errors = {"dx(u)": [], "dxx(u)": [], "u": []}
    grids = (33, 49, 65)
    for n in grids:
        found = bound(program, x=n)
        values = found.call("output:0", {**found.values, **found.call("initial", found.values), "t": 0.0})
        x = found.points("x")
        expected = {"dx(u)": 3 * np.cos(3 * x), "dxx(u)": 9 * (np.cos(3 * x) ** 2 - np.sin(3 * x)), "u": 1.0}
        for name, errors_of in errors.items():
            errors_of.append(np.abs(values[name] - expected[name] * exact(x)).max())
    spacings = [1 / (n - 1) for n in grids]
    assert max(errors["u"]) < 1e-14
    assert measured_order(errors["dx(u)"], spacings) > min(order, 3) - 0.3
    assert measured_order(errors["dxx(u)"], spacings) > max(order - 2, 2) - 0.6


def test_named_times_become_snapshots():
    program = lowered(
        *HEAT,
        "param when = 0.25",
        "check max(abs(u(t=when) - u)) < 1 and u(x=0.5, t=0) > 0",
        "check mean(u)(t=when) < 9",
    )
    moments = {i.function: i.time for i in program.instants}
    assert set(moments) == {"snapshot:0", "snapshot:1"}
    first = program.functions["snapshot:0"]
    assert [name for name, _ in first.results] == ["@0:0", "@0:1"]
    found = bound(program)
    state = found.call("initial", found.values)
    known = {**found.values, **state, "t": 0.25}
    early = found.call("snapshot:0", known)
    assert early["@0:0"].shape == (41,)
    late = {**known, **early, **found.call("snapshot:1", known), "u": state["u"] + 0.5, "t": 1.0}
    assert found.call("check:0", late)["left:0"] == pytest.approx(0.5)


def test_outputs_at_intervals_and_at_the_end():
    program = lowered(*HEAT, 'output u every 0.25 to "a.npz"', "plot u", "plot dx(u) at 0.5, 1")
    listed = [(i.function, None if i.time is None else str(i.time), None if i.every is None else str(i.every)) for i in program.instants]
    assert listed == [("output:0", None, "1/4"), ("plot:0", None, None), ("plot:1", "1/2", None), ("plot:1", "1", None)]


def test_periodic_values_and_integrals():
    program = lowered(
        "domain D: x in 0..2 periodic",
        "field u(D)",
        "equation dt(u) = dxx(u)",
        "initial u = exp(cos(pi*x))",
        "check u(x=1.99) < 9 and integral(u) < 9 and mean(u) < 9",
        order=8,
        grid="x=64",
    )
    found = check_values(program, 64)
    assert found["left:0"] == pytest.approx(np.exp(np.cos(np.pi * 1.99)), abs=1e-7)
    assert found["left:1"] == pytest.approx(2 * 1.2660658777520084, rel=1e-14)
    assert found["left:2"] == pytest.approx(1.2660658777520084, rel=1e-14)


def test_checks_without_space():
    program = discretize(
        check_text(
            Source(
                "test.model",
                "field S(t), P(t)\nparam k = 2\nequation dt(S) = -k*S\nequation dt(P) = k*S\ninitial S = 1; initial P = 0\n"
                "solve { until: t=1 }\ncheck abs(S(t=0.5) - exp(-1)) < 1e-3 and dt(S) < 0\n",
            )
        )
    )
    found = bound(program)
    known = {**found.values, "S": 0.5, "P": 0.5, "t": 1.0}
    known.update(found.call("snapshot:0", {**known, "S": 0.25}))
    values = found.call("check:0", known)
    assert values["left:0"] == pytest.approx(abs(0.25 - np.exp(-1)))
    assert values["left:1"] == -1.0


def test_velocity_is_an_output_of_a_wave():
    program = lowered(
        "domain D: x in 0..1",
        "field u(D)",
        "equation dtt(u) = dxx(u)",
        "boundary u on x.lo: u = sin(t)",
        "boundary u on x.hi: u = 0",
        "initial u = 0; initial dt(u) = 1 - x",
        'output dt(u) at 0.5 to "a.npz"',
    )
    found = bound(program, x=11)
    start = found.call("initial", found.values)
    values = found.call("output:0", {**found.values, **start, "t": 0.0})
    np.testing.assert_allclose(values["dt(u)"], 1 - np.linspace(0, 1, 11), atol=1e-14)


def test_definitions_and_layers_pass_through():
    text = (
        "dim i = 3, j = 4\ndim b, d = 5, h = 7\ntensor A[i, j], v[j]\nlet R[i] = A[i, j]*v[j]\n"
        "layer L(x[b, d]) -> y[b, h] {\n  weight W[h, d]\n  y[b, h] = tanh(W[h, d]*x[b, d])\n}\ncheck max(abs(R)) < 9\n"
    )
    program = discretize(check_text(Source("test.model", text)))
    assert program.states == ()
    assert {a.name: a.role for a in program.arguments} == {"A": "weight", "v": "weight", "L.x": "data", "L.W": "weight"}
    a, v = np.arange(12.0).reshape(3, 4), np.ones(4)
    (found,) = reference.call(program.functions["let:R"], [a, v], {})
    np.testing.assert_allclose(found, a.sum(axis=1))
    assert program.functions["L"].results
    assert "check:0" in program.functions
