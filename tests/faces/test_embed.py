"""Models written in Python: the same text, checks and numbers as a file."""

import numpy as np
import pytest
import xarray

import ricci as r
from ricci import cos, dn, dt, dx, dxx, dxxxx, exp, gelu, pi, sin
from ricci.driver import parse
from ricci.dsl.tree import same
from ricci.errors import RicciError, Source
from ricci.faces.embed import Results


def heat():
    m = r.Model("heat")
    (x,) = m.domain("D", x=(-1, 1))
    t, u = m.t, m.field("u")
    m.eq(dt(u), dxx(u))
    m.bc(u, "x.lo", u + 3 * dn(u), exp(-t) * (sin(-1) - 3 * cos(1)))
    m.bc(u, "x.hi", u + dn(u), exp(-t) * (sin(1) + cos(1)))
    m.initial(u, sin(x))
    return m, u, x


@pytest.fixture(scope="module")
def solution():
    m, u, x = heat()
    m.check(r.max(abs(u - exp(-m.t) * sin(x))) < 1e-3)
    return m.solve(grid={"x": 41}, until=1, tol=1e-6)


def test_heat_with_robin_conditions(solution):
    x = np.linspace(-1, 1, 41)
    assert abs(solution.u.values - np.exp(-1) * np.sin(x)).max() < 1e-3
    assert [c.passed for c in solution.checks] == [True]
    assert solution.report["checks"][0]["passed"]
    assert "u" in dir(solution)
    assert solution["u"] is solution.u
    with pytest.raises(AttributeError, match="it has u"):
        _ = solution.v


def test_results_leave_as_numpy_xarray_and_dlpack(solution):
    labelled = solution.u.to_xarray()
    assert labelled.dims == ("x",)
    np.testing.assert_allclose(labelled.coords["x"], np.linspace(-1, 1, 41), atol=1e-15)
    assert float(labelled.sel(x=0, method="nearest")) == solution.u.values[20]
    np.testing.assert_array_equal(np.asarray(solution.u), solution.u.values)
    np.testing.assert_array_equal(np.from_dlpack(solution.u), solution.u.values)


def test_text_of_a_model_is_the_model():
    m, _, _ = heat()
    text = str(m)
    assert same(parse(Source("a", text)), parse(m.source()))
    assert "boundary u on x.lo: u + 3*dn(u) = exp(-t)*(sin(-1) - 3*cos(1))" in text
    found = r.model(text + "solve { grid: x=21; until: t=0.1 }\n")
    again = m.solve(grid={"x": 21}, until=0.1)
    np.testing.assert_array_equal(found.u.values, again.u.values)


def test_kuramoto_sivashinsky_is_written_as_in_a_file():
    k = r.Model("ks")
    (x,) = k.domain("D", x=(0, 32 * pi, "periodic"))
    u = k.field("u")
    k.eq(dt(u) + u * dx(u) + dxx(u) + dxxxx(u), 0)
    k.initial(u, cos(x / 16) * (1 + sin(x / 16)))
    wanted = """domain D: x in 0..32*pi periodic
field u(D)
equation dt(u) + u*dx(u) + dxx(u) + dxxxx(u) = 0
initial u = cos(x/16)*(1 + sin(x/16))
"""
    assert same(parse(k.source()), parse(Source("ks", wanted)))


def test_params():
    text = "field u(t)\nparam k = 1\nequation dt(u) = -k*u\ninitial u = 1\nsolve { until: t=1; tol: 1e-9 }\n"
    assert float(r.model(text).u) == pytest.approx(np.exp(-1), rel=1e-6)
    assert float(r.model(text, k=2).u) == pytest.approx(np.exp(-2), rel=1e-6)
    m = r.Model()
    u, k = m.field("u"), m.param("k", 1)
    m.eq(dt(u), -k * u)
    m.initial(u, 1)
    assert float(m.solve(until=1, tol=1e-9, k=0.5).u) == pytest.approx(np.exp(-0.5), rel=1e-6)


def test_layer_on_arrays_is_numpy():
    b, d, h, c = r.dims("b", d=5, h=7, c=3)

    @r.layer(out="b c")
    def Network(x):
        W1, W2 = r.weight(h, d), r.weight(c, h)
        return r.out[b, c] << W2[c, h] * gelu(W1[h, d] * x[b, d])

    draw = np.random.default_rng(1).standard_normal
    x, w1, w2 = draw((4, 5)), draw((7, 5)), draw((3, 7))
    hidden = x @ w1.T
    from scipy.special import erf

    wanted = 0.5 * hidden * (1 + erf(hidden / np.sqrt(2))) @ w2.T
    np.testing.assert_allclose(Network(x, weights={"W1": w1, "W2": w2}), wanted, rtol=1e-12)
    assert "weight W1[h, d]" in str(Network)
    assert Network(x).shape == (4, 3)
    np.testing.assert_array_equal(Network(x), Network(x))
    assert abs(Network(x) - Network(x, seed=1)).max() > 1e-3
    with pytest.raises(RicciError, match="x"):
        Network(draw((4, 6)))
    with pytest.raises(RicciError, match="W9"):
        Network(x, weights={"W9": w1})
    with pytest.raises(TypeError, match="1"):
        Network(x, x)


def test_layers_know_their_own_indices_only():
    a, b = r.dims("a b")

    @r.layer(out="a", x="a b")
    def Total(x):
        return r.out[a] << r.sum[b](x[a, b])

    r.dims("unrelated", a=9)
    np.testing.assert_allclose(Total(np.ones((2, 3))), [3, 3])
    assert "unrelated" not in str(Total)


def test_second_index_over_a_range():
    b, h = r.dims("b", h=4)

    @r.layer(out="b h")
    def Mix(x):
        W = r.weight(h, h.p, name="W")
        return r.out[b, h] << W[h, h.p] * x[b, h.p]

    draw = np.random.default_rng(2).standard_normal
    x, w = draw((3, 4)), draw((4, 4))
    np.testing.assert_allclose(Mix(x, weights={"W": w}), x @ w.T, rtol=1e-12)


def test_structures_that_are_not_there_say_so():
    b, d, h = r.dims("b", d=4, h=4)

    @r.layer(out="b h")
    def Thin(x):
        W = r.weight(h, d, tucker={"h": 2, "d": 2})
        return r.out[b, h] << W[h, d] * x[b, d]

    assert "@tucker(h=2, d=2)" in str(Thin)
    with pytest.raises(RicciError, match="tucker") as caught:
        Thin(np.ones((2, 4)))
    assert caught.value.diagnostics[0].code == "E0601"


def test_wrong_models_are_errors_with_text():
    m = r.Model()
    m.domain("D", x=(0, 1))
    u = m.field("u")
    m.eq(dt(u), dxx(u))
    m.initial(u, 0)
    with pytest.raises(RicciError, match="needs 2 conditions along `x`") as caught:
        m.solve(grid={"x": 11}, until=1)
    assert "E0301" in caught.value.render()
    m.bc(u, "x.low", u, 0)
    with pytest.raises(RicciError, match="no side"):
        m.solve(grid={"x": 11}, until=1)
    with pytest.raises(RicciError):
        r.model("field u(")
    with pytest.raises(RicciError, match="nothing to compute"):
        r.model("")


def test_python_conditions_and_objects_are_refused():
    u = r.Expression("u")
    with pytest.raises(TypeError, match="truth value"):
        bool(u < 1)
    with pytest.raises(TypeError, match="cannot stand in a model"):
        u + object()
    with pytest.raises(TypeError, match="decorated"):
        r.weight("a")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda a, b: a - (b - a), "a - (b - a)"),
        (lambda a, b: -((a + b) ** 2), "-(a + b)^2"),
        (lambda a, b: (-a) ** 2, "(-a)^2"),
        (lambda a, b: 2**-a, "2^(-a)"),
        (lambda a, b: a / (b * a), "a/(b*a)"),
        (lambda a, b: (a < b) & ~(a > 1), "a < b and not (a > 1)"),
        (lambda a, b: r.where(a < b, a, -b), "(if a < b then a else -b)"),
        (lambda a, b: 1 / 4 * a, "0.25*a"),
        (lambda a, b: a[b, b + 1].p, "a[b, b + 1]'"),
        (lambda a, b: r.max(abs(a)) * r.softmax["s"](b), "max(abs(a))*softmax[s](b)"),
        (lambda a, b: r.quantity(20, "m") + a, "20 [m] + a"),
        (lambda a, b: r.dxxy(a) + r.lap(b), "dxxy(a) + lap(b)"),
    ],
)
def test_expressions_keep_their_grouping(build, text):
    assert str(build(r.Expression("a"), r.Expression("b"))) == text


def test_names_that_are_no_operators():
    for name in ("no_such_operator", "derivative_of", "_hidden"):
        with pytest.raises(AttributeError):
            getattr(r, name)


def test_simplify():
    import sympy

    x, y = sympy.symbols("x y", real=True)
    wide = x * y + x * sympy.sin(y) + x * sympy.cos(y)
    found = r.simplify([wide, sympy.sin(x) ** 2 + sympy.cos(x) ** 2])
    assert isinstance(found, list)
    assert sympy.expand(found[0] - wide) == 0
    assert sympy.count_ops(found[0]) < sympy.count_ops(wide)
    assert found[1] == 1


def test_names_with_a_scope_are_reached_by_dots():
    results = Results({"y": 1, "L.y": 2, "L.M.z": 3})
    assert (results.y, results.L.y, results.L.M.z, results["L.y"]) == (1, 2, 3, 2)
    assert {"y", "L"} <= set(dir(results))
    with pytest.raises(AttributeError, match=r"no `z`; it has y, L\.y, L\.M\.z"):
        _ = results.z


def test_arrays_stand_for_params_tensors_and_inputs():
    text = "dim i = 3, j = 2\ntensor a[i], B[i, j]\nparam k = 2\nlet y[j] = k*sum[i](a[i]*B[i, j])\n"
    a, b = np.arange(3.0), np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(r.model(text, a=a, B=b, k=3).y.values, 3 * a @ b)
    np.testing.assert_allclose(r.model(text, a=a, weights={"B": b}).y.values, 2 * a @ b)
    with pytest.raises(RicciError, match="E0807"):
        r.model(text, a=a, C=b)
    with pytest.raises(RicciError, match="E0801"):
        r.model(text, a=b, B=b)


def test_named_axes_go_by_their_names():
    text = "dim i = 3, j = 3\ntensor B[i, j]\nlet y[i] = sum[j](B[i, j]*j)\n"
    b = np.arange(9.0).reshape(3, 3)
    turned = xarray.DataArray(b.T, dims=("j", "i"))
    np.testing.assert_allclose(r.model(text, B=turned).y.values, b @ np.arange(3))
    again = r.model("dim i = 3, j = 3\ntensor B[i, j]\nlet C[j, i] = B[i, j]\n", B=b).C
    np.testing.assert_allclose(r.model(text, B=again).y.values, b @ np.arange(3))
    np.testing.assert_allclose(r.model(text, B=xarray.DataArray(b)).y.values, b @ np.arange(3))
    with pytest.raises(RicciError, match="E0801"):
        r.model(text, B=xarray.DataArray(b, dims=("j", "k")))


def test_arrays_of_other_libraries_come_in_over_dlpack():
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **keywords):
            return self.array.__dlpack__(**keywords)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    found = r.model("dim i = 3\ntensor a[i]\nlet y[i] = 2*a[i]\n", a=Foreign(np.arange(3.0))).y
    np.testing.assert_array_equal(found.values, [0, 2, 4])
    np.testing.assert_array_equal(np.from_dlpack(found), [0, 2, 4])


def test_initial_fields_are_arrays_of_params():
    m = r.Model("heat")
    m.domain("D", x=(0, 1, "periodic"))
    u = m.field("u")
    start = m.param("start", domain="D")
    m.eq(r.dt(u), 1e-9 * r.dxx(u))
    m.initial(u, start)
    values = np.random.default_rng(1).standard_normal(16)
    solution = m.solve(grid={"x": 16}, until=1e-3, start=values)
    np.testing.assert_allclose(solution.u.values, values, rtol=1e-6)


def test_weights_are_given_all_or_none():
    (b, d) = r.dims("b", d=3)

    @r.layer(out="b", x="b d")
    def dot(x):
        w, v = r.weight(d), r.weight(d)
        return r.out[b] << x[b, d] * (w[d] + v[d])

    x = np.ones((2, 3))
    np.testing.assert_allclose(dot(x, weights={"W1": np.ones(3), "W2": np.zeros(3)}), [3, 3])
    with pytest.raises(RicciError, match="E0807"):
        dot(x, weights={"W1": np.ones(3)})


def test_integrators_and_schemes_are_names():
    assert str(r.rk4(dt=0.5)) == "rk4(dt=0.5)"
    assert str(r.fd(order=4)) == "fd(order=4)"
    assert {"Model", "dt", "lap", "etdrk4", "softmax"} <= set(dir(r))
    with pytest.raises(RicciError, match="E0601"):
        r.torch(None)


def test_what_python_offers_and_a_model_has_not_is_refused():
    m = r.Model("wrong")
    m.domain("D", x=(0, 1))
    u = m.field("u")
    with pytest.raises(TypeError):
        np.sin(u)
    with pytest.raises(TypeError, match="solve"):
        m.initial(u, np.arange(3))
    with pytest.raises(TypeError, match="grid="):
        m.solve(grid=11)
    assert str(np.float64(2) * u) == "2.0*u"
    assert str(u % 2) == "mod(u, 2)"
    assert str(u // 2) == "floor(u/2)"


def test_the_text_of_a_model_holds_how_it_was_solved_last():
    m = r.Model("decay")
    u = m.field("u", domain="t")
    m.eq(dt(u), -u)
    m.initial(u, 1)
    assert "solve" not in str(m)
    m.solve(until=1, tol=1e-6)
    m.solve(until=2, tol=1e-6)
    assert str(m).count("solve") == 1
    assert "until: t=2" in str(m) or "until: 2" in str(m)
    np.testing.assert_allclose(float(r.model(str(m)).u), np.exp(-2), rtol=1e-5)
