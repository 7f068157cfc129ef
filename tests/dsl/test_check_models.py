"""Models that are right: what the check makes of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from checking import error_of, model_of, value_of

from ricci.dsl import build
from ricci.dsl.check import check
from ricci.dsl.format import canonical_text
from ricci.dsl.model import Load
from ricci.dsl.ops.const import value_of as constant
from ricci.dsl.parse import parse
from ricci.dsl.reference import call, evaluate
from ricci.dsl.term import symbols, walk
from ricci.errors import Source
from ricci.lowering.discretize.expressions import normal

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples" / "programs").glob("*.model"))
RUNNABLE = {"01_heat_robin", "02_gray_scott", "14_enzyme_kinetics"}


def program(name):
    (path,) = (ROOT / "examples" / "programs").glob(f"{name}_*.model")
    return check(parse(Source(str(path), path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_every_program_checks(path):
    file = parse(Source(str(path), path.read_text(encoding="utf-8")))
    model = check(file)
    assert (not model.unsupported) == (path.stem in RUNNABLE)
    again = check(parse(Source(str(path), canonical_text(file))))
    assert again.text == model.text
    assert [e.residual for e in again.equations] == [e.residual for e in model.equations]
    assert [c.residual for c in again.conditions] == [c.residual for c in model.conditions]
    assert [c.condition for c in again.checks] == [c.condition for c in model.checks]
    assert [layer.function.roots for layer in again.layers.values()] == [layer.function.roots for layer in model.layers.values()]
    for unsupported in model.unsupported:
        assert unsupported.span is not None


def test_there_are_fifteen_programs():
    assert len(PROGRAMS) == 15


# ---------------------------------------------------------------------------------------------------------------------
# fields, equations, conditions

HEAT = """domain D: x in 0..1
field u(D)
param k = 2
equation heat: dt(u) = k*dxx(u)
boundary u on x.lo: u + 3*dn(u) = exp(-t)
boundary u on x.hi: dn(u) = 0
initial u = sin(pi*x)
"""


def test_an_equation_is_a_residual():
    model = model_of(HEAT)
    u, k = model.fields["u"].symbol, model.params["k"].symbol
    (equation,) = model.equations
    expected = build.sub(build.partial(u, "t"), build.mul(k, build.partial(u, "x", 2)))
    assert equation.residual is expected
    assert (equation.name, equation.determines, equation.time_order) == ("heat", "u", 1)
    assert list(u.axes) == ["x"]


def test_the_normal_points_outwards():
    lo, hi = model_of(HEAT).conditions
    u = model_of(HEAT).fields["u"].symbol
    dx = build.partial(u, "x")
    t = build.symbol("t", build.symbol("t", u.type).type.__class__(u.kind))
    assert lo.residual is build.linear([(1, u), (-3, dx), (-1, build.apply("exp", build.neg(t)))])
    assert hi.residual is dx
    assert [(c.coordinate, c.side, c.field) for c in (lo, hi)] == [("x", "lo", "u"), ("x", "hi", "u")]
    assert lo.rank < hi.rank


def test_wave_equations_have_two_initial_values():
    text = "domain D: x in 0..1 periodic\nfield p(D)\nequation dtt(p) = lap(p)\ninitial p = sin(2*pi*x)\ninitial dt(p) = 0\n"
    model = model_of(text)
    assert model.equations[0].time_order == 2
    assert [i.time_order for i in model.initials] == [0, 1]
    assert error_of(text.replace("initial dt(p) = 0\n", "")).code == "E0305"


POLAR = """domain D: r in 1..2 [m], phi in 0..2*pi periodic
field T(D): [K]
param k = 1e-4 [m^2/s]
equation dt(T) = k*(drr(T) + dr(T)/r + dphiphi(T)/r^2)
boundary T on r.lo, r.hi: T = 0
initial T = 0
check T(phi=pi, r=1.5 [m]) <= integral[phi](T(r=1.5 [m]))
"""


def test_an_axis_may_have_no_unit():
    """Plain bounds in a model with units: an angle is [1], and its derivatives have the unit of the field."""
    model = model_of(POLAR)
    assert [(c.name, c.unit.powers) for c in model.domains["D"].coordinates] == [("r", (("m", 1),)), ("phi", ())]
    found = error_of(POLAR.replace("dphiphi(T)/r^2", "dphiphi(T)"))
    assert (found.code, found.notes) == ("E0401", ())
    assert error_of(POLAR.replace("T(phi=pi,", "T(phi=3 [m],")).code == "E0401"
    forgotten = error_of(POLAR.replace("r in 1..2 [m]", "r in 1..2"))
    assert forgotten.notes == ("`r` is an axis without unit (line 1): a length has one behind a bound, as in 0..1 [m]",)


VECTORS = """domain D: x in 0..1 periodic, y in 0..1 periodic, z in 0..1 periodic
field v(D): vector, w(D): vector, f(D), T(D): tensor(2)
equation dt(f) = LEFT - (RIGHT)
equation dt(v) = v; equation dt(w) = w; equation dt(T) = T
initial f = 0; initial v = (0, 0, 0); initial w = (0, 0, 0)
initial T = ((0, 0, 0), (0, 0, 0), (0, 0, 0))
"""

IDENTITIES = [
    ("div(curl(v))", "0"),
    ("curl(grad(f)).x", "0*f"),
    ("lap(f)", "div(grad(f))"),
    ("lap(f)", "dxx(f) + dyy(f) + dzz(f)"),
    ("lap(v).y", "lap(v.y)"),
    ("dot(v, grad(f))", "v.x*dx(f) + v.y*dy(f) + v.z*dz(f)"),
    ("dot(v, grad(w)).y", "v.x*dx(w.y) + v.y*dy(w.y) + v.z*dz(w.y)"),
    ("div(outer(v, w)).x", "dx(v.x*w.x) + dy(v.y*w.x) + dz(v.z*w.x)"),
    ("grad(v).x.y", "dx(v.y)"),
    ("cross(v, w).z", "v.x*w.y - v.y*w.x"),
    ("trace(grad(v))", "div(v)"),
    ("div(T).z", "dx(T.x.z) + dy(T.y.z) + dz(T.z.z)"),
    ("transpose(T).x.y", "T.y.x"),
    ("dot(T, v).x", "T.x.x*v.x + T.x.y*v.y + T.x.z*v.z"),
    ("dot(ex, v)", "v.x"),
    ("d(f, x, 3)", "dxxx(f)"),
    ("dxxy(f)", "dx(dxy(f))"),
    ("abs(v)^2 - abs(v)^2", "0*f"),
    ("div(f*v)", "dx(f*v.x) + dy(f*v.y) + dz(f*v.z)"),
]


@pytest.mark.parametrize(("left", "right"), IDENTITIES)
def test_vector_calculus(left, right):
    model = model_of(VECTORS.replace("LEFT", left).replace("RIGHT", right))
    rate = normal(next(e for e in model.equations if e.determines == "f").residual)
    assert rate is build.partial(model.fields["f"].symbol, "t")


ADVECTED = "domain D: x in 0..1 periodic, y in 0..1 periodic\nfield w(D): vector\n{}\n"
FORMS = (
    "equation dt(w) + dot((1, 0.5), grad(w)) = 0\ninitial w = 0",
    "equation 0 = dt(w) + dot((1, 0.5), grad(w))\ninitial w = (0, 0)",
    "equation dt(w) = -dot((1, 0.5), grad(w))\ninitial w = 0",
    "equation dt(w) + 0 = (if x > 2 then w else 0)*0 - dot((1, 0.5), grad(w))\ninitial w = 0",
)


def test_nothing_is_the_zero_of_every_rank():
    """Moving a term across `=` changes nothing, also where it leaves 0 behind."""

    def known(form):
        model = model_of(ADVECTED.format(form))
        return [e.residual for e in model.equations], [i.value for i in model.initials]

    first, start = known(FORMS[0])
    for form in FORMS[1:]:
        residuals, own = known(form)
        assert own == start
        assert len(residuals) == 2
        for a, b in zip(first, residuals, strict=True):
            assert a is b or a is build.neg(b)


def test_conditions_of_vectors_and_tensors_take_0():
    text = "domain D: x in 0..1, y in 0..1\nfield w(D): vector, T(D): sym(2)\nequation dt(w) = lap(w)\nequation dt(T) - lap(T) = 0\n{}"
    sides = "boundary w on x.lo, x.hi, y.lo: w = 0\nboundary w on y.hi: 0 = dn(w)\nboundary T on x.lo, x.hi, y.lo, y.hi: T = 0\n"
    model = model_of(text.format(sides + "initial w = 0; initial T = 0\n"))
    assert len(model.conditions) == 4 * 2 + 4 * 3
    assert len(model.initials) == 2 + 3
    assert error_of(text.format(sides + "initial w = 1; initial T = 0\n")).code == "E0206"
    assert error_of(ADVECTED.format("equation dt(w) = 1\ninitial w = 0")).code == "E0206"


def test_vector_fields_are_components():
    model = model_of(VECTORS.replace("LEFT", "f").replace("RIGHT", "f"))
    assert [n for n in model.fields if n.startswith("v")] == ["v.x", "v.y", "v.z"]
    assert model.fields["v.x"].of == "v"
    assert sum(n.startswith("T") for n in model.fields) == 9


def test_a_symmetric_tensor_has_fewer_components():
    text = "domain D: x in 0..1 periodic, y in 0..1 periodic\nfield s(D): sym(2)\nequation dt(s) = s\ninitial s = ((0, 0), (0, 0))\n"
    assert list(model_of(text).fields) == ["s.x.x", "s.x.y", "s.y.y"]


def test_constraints_go_to_the_unknown_that_is_left():
    model = program("03")
    found = {e.determines: (e.name, e.time_order) for e in model.equations}
    assert found == {"u.x": ("momentum.x", 1), "u.y": ("momentum.y", 1), "p": ("mass", 0)}
    assert "N0310" in {n.code for n in model.notes}


def test_first_order_systems_are_counted_together():
    text = "domain D: x in 0..1\nfield p(D), v(D)\nequation dt(p) = -dx(v)\nequation dt(v) = -dx(p)\ninitial p = 0; initial v = 0\n"
    assert error_of(text).code == "E0301"
    assert error_of(text + "boundary p on x.lo: p = 0\n").code == "E0301"
    model_of(text + "boundary p on x.lo: p = 0\nboundary v on x.hi: v = 0\n")
    assert error_of(text + "boundary p on x.lo, x.hi: p = 0\nboundary v on x.hi: v = 0\n").code == "E0302"


def test_the_order_counts_nested_derivatives():
    text = "domain D: x in 0..1\nfield u(D)\nequation dt(u) = -dx(u*dx(lap(u)))\ninitial u = 1\n"
    four = "boundary u on x.lo, x.hi: dn(u) = 0\nboundary u on x.lo, x.hi: d(u, x, 3) = 0\n"
    assert error_of(text + four.splitlines()[0] + "\n").code == "E0301"
    model_of(text + four)


def test_third_order_takes_three():
    text = "domain D: x in 0..1\nfield u(D)\nequation dt(u) + dxxx(u) = 0\ninitial u = 0\nboundary u on x.lo, x.hi: u = 0\n"
    assert error_of(text).code == "E0301"
    model_of(text + "boundary u on x.hi: dn(u) = 0\n")


def test_one_equation_for_several_fields_is_renamed():
    text = "domain D: x in 0..1\nfield u(D), v(D)\nequation dt(u) = dxx(u); equation dt(v) = dxx(v)\n"
    text += "boundary u, v on x.lo, x.hi: u = 1\ninitial u = 1; initial v = 1\n"
    model = model_of(text)
    assert [c.field for c in model.conditions] == ["u", "u", "v", "v"]
    assert model.conditions[2].residual is build.sub(model.fields["v"].symbol, build.const(1, model.fields["v"].symbol.kind))


def test_normal_components_of_vectors():
    text = "domain D: x in 0..1, y in 0..1 periodic\nfield u(D): vector\nequation dt(u) = lap(u)\ninitial u = (0, 0)\n"
    text += "boundary u on x.lo, x.hi: dot(u, n) = 0\nboundary u.y on x.lo, x.hi: dn(u.y) = 0\n"
    model = model_of(text)
    assert [c.field for c in model.conditions] == ["u.x", "u.x", "u.y", "u.y"]


# ---------------------------------------------------------------------------------------------------------------------
# units


def test_terms_are_in_si_units():
    text = "param a = 2 [km], b = 20 [degC], c = 3 [uM], r = 1..2 [km/h]\n".replace(", r = 1..2 [km/h]", "")
    text += "param v = 10 [m/s] in 1..100 [km/h]\n"
    model = model_of(text)
    assert constant(model.params["a"].value) == 2000
    assert constant(model.params["b"].value) == Fraction("293.15")
    assert constant(model.params["c"].value) == Fraction(3, 1000)
    lo, hi = model.params["v"].bounds
    assert (constant(lo), constant(hi)) == (Fraction(5, 18), Fraction(250, 9))
    assert model.params["a"].unit.text == "km"


def test_a_bound_takes_the_unit_of_the_other():
    text = "domain D: x in 0..10 [km] periodic\nfield T(D): [K]\nparam k = 1 [m^2/s]\nequation dt(T) = k*dxx(T)\ninitial T = 300 [K]\n"
    (c,) = model_of(text).domains["D"].coordinates
    assert (constant(c.lo), constant(c.hi)) == (0, 10000)
    assert c.unit.text == "km"


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("L + 0", True),
        ("L + 1", False),
        ("max(L, 0)", True),
        ("if L > 2 [m] then L else inf", True),
        ("sqrt(L^2 + L*1 [m])", True),
        ("L*exp(L/1 [m])", True),
        ("hypot(L, 3 [cm])", True),
        ("abs(-L)", True),
        ("sign(L)", False),
        ("L^(1/2)*L^0.5", True),
        ("(L^3)^(1/3)", True),
        ("sum(L)", True),
        ("L*L/L", True),
        ("L/T*T", True),
        ("L/T", False),
    ],
)
def test_units_of_expressions(expression, fits):
    text = f"param L = 2 [m], T = 3 [s]\nlet a: [m] = {expression}\n"
    if fits:
        model_of(text)
    else:
        assert error_of(text).code == "E0401"


def test_temperatures_on_a_scale_with_an_offset():
    start = "param a = 20 [degC], b = 30 [degC]\n"
    model_of(start + "let d: [K] = b - a\nlet e = a + 5 [K]\nlet m = a + (b - a)/2\n")
    for wrong in ("a + b", "2*a", "a*b", "-a", "a^2", "a/1 [s]"):
        assert error_of(start + f"let d = {wrong}\n").code == "E0404"


# ---------------------------------------------------------------------------------------------------------------------
# reactions and events


def test_mass_action():
    model = model_of("field A(t), B(t)\nparam k = 2, r = 3\nreaction 2*A <-> B rate k, r\ninitial A = 1; initial B = 0\n")
    values = {"A": 0.5, "B": 0.25, "k": 2.0, "r": 3.0}
    rates = {}
    for equation in model.equations:
        f = model.fields[equation.determines].symbol
        (rest,) = build.substitute([equation.residual], {build.partial(f, "t"): build.zero(f.type)})
        rates[equation.determines] = -evaluate([rest], values, {})[0]
    speed = 2 * 0.5**2 - 3 * 0.25
    assert rates == pytest.approx({"A": -2 * speed, "B": speed})


def test_a_rate_with_a_species_is_a_law():
    text = "field S(t), P(t)\nparam v = 2, K = 1\nreaction S -> P rate v*S/(K + S)\ninitial S = 1; initial P = 0\n"
    model = model_of(text)
    equation = next(e for e in model.equations if e.determines == "P")
    f = model.fields["P"].symbol
    (rest,) = build.substitute([equation.residual], {build.partial(f, "t"): build.zero(f.type)})
    assert -evaluate([rest], {"S": 3.0, "v": 2.0, "K": 1.0}, {})[0] == pytest.approx(1.5)


def test_catalysts_do_not_change():
    text = "field A(t), C(t)\nparam k = 1\nreaction A + C -> C rate k\nequation dt(C) = 0\ninitial A = 1; initial C = 1\n"
    assert {e.determines for e in model_of(text).equations} == {"A", "C"}


def test_the_margin_of_an_event_grows_through_zero():
    text = "field u(t)\nequation dt(u) = -u\ninitial u = 1\nevent when u < 0.5: u = u + 1\n"
    (event,) = model_of(text).events
    margin, truth = evaluate([event.margin, event.condition], {"u": 0.2}, {})
    assert margin == pytest.approx(0.3)
    assert truth
    assert event.assignments[0][0] == "u"


# ---------------------------------------------------------------------------------------------------------------------
# params, definitions, data


def test_data_are_loads():
    text = 'domain D: x in 0..1\nfield u(D)\nparam a(D) = load("a.npz"), b(D) in 1..2\nequation dt(u) = dx(a*dx(u)) + b\n'
    text += 'boundary u on x.lo, x.hi: u = 0\ninitial u = load("u.npz")\n'
    model = model_of(text)
    assert isinstance(model.params["a"].value, Load)
    assert model.params["a"].order == ("x",)
    assert model.params["b"].value is None
    assert isinstance(model.initials[0].value, Load)


def test_draws_are_numbers_of_their_own():
    text = "domain D: x in 0..1 periodic\nfield u(D), v(D)\nequation dt(u) = 0*u; equation dt(v) = 0*v\n"
    text += "initial u = normal(seed=1) - normal(seed=1); initial v = uniform(seed=3)\n"
    model = model_of(text)
    u, v = (evaluate([i.value], {}, {"x": 1000})[0] for i in model.initials)
    assert abs(u.std() - np.sqrt(2)) < 0.1
    assert abs(v.mean() - 0.5) < 0.05
    spaced = model_of(text.replace("normal(seed=1) - ", "normal( seed = 1 )  -  "))
    assert spaced.initials[0].value is model.initials[0].value


def test_functions_are_read_at_every_call():
    text = "param a = 2\nfn f(x, y) = x^2 + y\nfn g(x) = f(x, a)\nlet b = g(3) + f(1, 1)\ndim i = 2\ntensor T[i]\nlet r[i] = g(T[i])\n"
    np.testing.assert_allclose(value_of(text, "r", {"T": np.array([1.0, 3.0]), "a": 2.0}), [3, 11])


def test_order_does_not_matter():
    lines = HEAT.strip().split("\n")
    model = model_of("\n".join(reversed(lines)) + "\n")
    assert model.equations[0].residual is model_of(HEAT).equations[0].residual


def test_long_chains_of_definitions():
    text = (
        "\n".join(f"let a{k} = a{k - 1} + 1" for k in range(2000, 0, -1))
        + "\nparam a0 = 1\ndim i = 2\ntensor T[i]\nlet r[i] = a2000*T[i]\n"
    )
    np.testing.assert_allclose(value_of(text, "r", {"T": np.ones(2), "a0": 1.0}), [2001, 2001])


def test_huge_numbers_are_errors():
    assert error_of("fn f(x) = x^64\nlet a = f(f(f(7)))\n").code == "E0203"


# ---------------------------------------------------------------------------------------------------------------------
# observation


def test_values_at_points_and_instants():
    model = model_of(HEAT + "check abs(u(x=0.5, t=1) - mean(u)(t=0)) < 1e-3 and max(u) <= 1\n")
    (check_,) = model.checks
    assert [c.op for c in check_.comparisons] == ["<", "<="]
    assert any(t.op == "at" and t.attrs == ("t", "x") for t in walk([check_.condition]))


def test_a_mean_over_space_is_an_integral():
    text = HEAT.replace("0..1", "0..4") + "check mean(u) < 1\n"
    (comparison,) = model_of(text).checks[0].comparisons
    u = model_of(text).fields["u"].symbol
    assert comparison.left is build.scale(Fraction(1, 4), build.integral(u, ["x"]))


def test_measured_values_have_the_unit_of_the_text():
    (comparison,) = model_of("param L = 2 [km]\ncheck L < 3 [km]\n").checks[0].comparisons
    assert comparison.unit.text == "km"
    assert constant(comparison.right) == 3000


def test_outputs_are_labelled_as_written():
    model = model_of(HEAT + 'let q = u^2\noutput u, q, dx(u) every 0.5 to "o.npz"\nplot u at t=0, t=1 to "u.png"\n')
    assert [q.label for q in model.outputs[0].quantities] == ["u", "q", "dx(u)"]
    assert len(model.plots[0].at) == 2


# ---------------------------------------------------------------------------------------------------------------------
# layers and modules


def test_attention():
    layer = program("12").layers["Attention"]
    b, s, d, h, e = 2, 3, 512, 8, 64
    rng = np.random.default_rng(0)
    x = rng.standard_normal((b, s, d)) / 20
    weights = {n: rng.standard_normal(shape) / 20 for n, shape in {"Q": (h, e, d), "K": (h, e, d), "V": (h, e, d), "O": (d, h, e)}.items()}
    arguments = [np.transpose(x, np.argsort(layer.inputs[0][1]))]
    arguments += [np.transpose(weights[w.name.split(".")[1]], np.argsort(w.order)) for w in layer.weights]
    (y,) = call(layer.function, arguments, {"b": b, "s": s})
    q, k, v = (np.einsum("hed,bsd->bhse", weights[n], x) for n in "QKV")
    scores = np.einsum("bhse,bhte->bhst", q, k) / np.sqrt(e)
    scores[:, :, ~np.tril(np.ones((s, s), bool))] = -np.inf
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    expected = np.einsum("dhe,bhst,bhte->bsd", weights["O"], p, v)
    np.testing.assert_allclose(y, np.einsum("bsd->bds", expected), rtol=1e-9)


def test_gated_linear_attention():
    layer = program("12").layers["GLA"]
    shapes = {"b": 1, "s": 4, "h": 8, "e": 64, "n": 64}
    rng = np.random.default_rng(0)
    arrays = {n: rng.random([shapes[a] for a in order]) for n, order in layer.inputs}
    (o,) = call(layer.function, [np.transpose(arrays[n], np.argsort(order)) for n, order in layer.inputs], {"b": 1, "s": 4})
    state, expected = 0, []
    for s in range(4):
        state = arrays["g"][:, s, ..., None] * state + np.einsum("bhe,bhn->bhen", arrays["k"][:, s], arrays["v"][:, s])
        expected.append(np.einsum("bhe,bhen->bhn", arrays["q"][:, s], state))
    np.testing.assert_allclose(o, np.einsum("sbhn->bhns", np.array(expected)), rtol=1e-9)


def test_a_convolution_pads_with_zeros():
    layer = program("10").layers["Conv"]
    text = (ROOT / "examples/programs/10_tucker_convolution.model").read_text(encoding="utf-8").replace("128", "2").replace("256", "3")
    layer = model_of(text.replace("@tucker(o=48, c=32)", "").split("check flops")[0]).layers["Conv"]
    rng = np.random.default_rng(0)
    u, w = rng.random((1, 4, 5, 2)), rng.random((3, 2, 3, 3))
    given = [np.transpose(u, np.argsort(layer.inputs[0][1])), np.transpose(w, np.argsort(layer.weights[0].order))]
    (v,) = call(layer.function, given, {"b": 1, "y": 4, "x": 5})
    padded = np.pad(u, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = sum(np.einsum("oc,byxc->byxo", w[:, :, m, n], padded[:, m : m + 4, n : n + 5]) for m in range(3) for n in range(3))
    np.testing.assert_allclose(v, np.transpose(expected, np.argsort(["b", "y", "x", "o"])), rtol=1e-12)


def test_layers_are_called_by_name():
    text = "dim b = 2, d = 3, k = 4\ntensor x[d, b], W[k, d]\nlayer L(v[b, d]) -> z[b, k] {\n  weight A[k, d]\n  z[b, k] = A[k, d]*v[b, d]\n}\n"
    model = model_of(text + "let y[b, k] = L(x)\n")
    names = {s.attrs[0] for s in symbols([model.lets["y"].term])}
    assert names == {"x", "L.A"}
    assert error_of(text + "let y[b, k] = L(W)\n").code == "E0202"
    assert error_of(text + "let y[b, k] = L(x, x)\n").code == "E0104"


def test_modules_beside_the_file_and_in_the_library(tmp_path):
    (tmp_path / "laws.model").write_text(
        "import base\nfn drag(v, c) = c*v*abs(v)*base.one()\nparam g = 9.81\nlet half = g/2\n", encoding="utf-8"
    )
    (tmp_path / "base.model").write_text("fn one() = 1\n", encoding="utf-8")
    text = "import laws\nimport nn\nfrom laws import g\ndim i = 2\ntensor a[i], b[i]\nlet r[i] = laws.drag(a[i], 2) + laws.half + g\nlet e = nn.mse(a, b)\n"
    model = model_of(text, str(tmp_path / "main.model"))
    values = {"a": np.array([1.0, -2.0]), "b": np.array([0.0, 1.0]), "g": 2.0}
    np.testing.assert_allclose(evaluate([model.lets["r"].term, model.lets["e"].term], values, {})[0], [5.0, -5.0])
    np.testing.assert_allclose(evaluate([model.lets["e"].term], values, {})[0], 5.0)
    (tmp_path / "loop.model").write_text("from loop import x\nlet y = x\n", encoding="utf-8")
    with pytest.raises(Exception, match="E0106"):
        model_of("import loop\nlet z = loop.y\n", str(tmp_path / "main.model"))


@pytest.mark.parametrize(
    ("loss", "expected"), [("mse(a, b)", 5.0), ("mae(a, b)", 2.0), ("huber(a, b, 1)", 1.5), ("logistic(a, b)", 0.3132617)]
)
def test_losses_of_the_library(loss, expected):
    values = {"a": np.array([1.0, -2.0]), "b": np.array([0.0, 1.0])}
    if loss.startswith("logistic"):
        expected = np.mean(np.log1p(np.exp(values["a"])) - values["b"] * values["a"])
    text = f"import nn\ndim i = 2\ntensor a[i], b[i]\nlet e = nn.{loss}\n"
    np.testing.assert_allclose(value_of(text, "e", values), expected, rtol=1e-9)


def test_cross_entropy_and_relative_error():
    text = (
        "import nn\ndim b = 3, k = 4\ntensor z[b, k], y[b]: int, v[b, k]\nlet r[b] = nn.cross_entropy[k](z, y)\nlet e = nn.rel_l2(z, v)\n"
    )
    rng = np.random.default_rng(0)
    values = {"z": rng.standard_normal((3, 4)), "y": np.array([3, 0, 1]), "v": rng.standard_normal((3, 4))}
    z = values["z"]
    np.testing.assert_allclose(value_of(text, "r", values), np.log(np.exp(z).sum(1)) - z[np.arange(3), values["y"]])
    np.testing.assert_allclose(value_of(text, "e", values), np.linalg.norm(z - values["v"]) / np.linalg.norm(values["v"]))


def test_the_ricker_wavelet():
    text = "dim i = 3\ntensor s[i], f[i]\nlet w[i] = ricker(s[i], f[i])\n"
    s, f = np.array([0.1, 0.05, 0.0]), np.array([10.0, 20.0, 12.0])
    a = (np.pi * (f * s - 1)) ** 2
    np.testing.assert_allclose(value_of(text, "w", {"s": s, "f": f}), (1 - 2 * a) * np.exp(-a), rtol=1e-9)


def test_a_sum_inside_an_extremum_of_two_values():
    """The indices on the left are those of the arguments: j is summed, i is not."""
    text = "dim i = 3, j = 4\ntensor A[i, j], b[j], c[i]\nlet r[i] = max(A[i,j]*b[j], c[i])\n"
    rng = np.random.default_rng(0)
    values = {"A": rng.standard_normal((3, 4)), "b": rng.standard_normal(4), "c": rng.standard_normal(3)}
    np.testing.assert_allclose(value_of(text, "r", values), np.maximum(values["A"] @ values["b"], values["c"]))


@pytest.mark.parametrize("row", [[-np.inf, -np.inf], [-np.inf, 2.0], [np.inf, 2.0], [1000.0, 1001.0], [np.nan, 1.0], [-np.inf, np.inf]])
def test_logsumexp_at_infinity(row):
    values = {"a": np.array(row)}
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(value_of("dim i = 2\ntensor a[i]\nlet s = logsumexp(a)\n", "s", values), np.logaddexp(*row), rtol=1e-15)
