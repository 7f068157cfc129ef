"""`dtype: f32`: arrays of 32 bits, scalars and sums of 64."""

import numpy as np
import pytest

from ricci.errors import Source
from ricci.faces.execute import Settings, execute

MODELS = {
    "spots": """
        domain D: x in 0..2.5 periodic, y in 0..2.5 periodic
        field u(D), v(D)
        equation dt(u) = 2e-5*lap(u) - u*v^2 + 0.04*(1 - u)
        equation dt(v) = 1e-5*lap(v) + u*v^2 - 0.1*v
        initial u = 1 - 0.5*exp(-20*(x - 1)^2 - 20*(y - 1)^2)
        initial v = 0.25*exp(-20*(x - 1)^2 - 20*(y - 1)^2)
        solve { grid: x=33, y=35; until: t=20; OPTIONS }""",
    "sides": """
        domain D: x in 0..1, y in 0..1
        field u(D)
        equation dt(u) = div((1 + x*y)*grad(u)) + sin(3*t)*exp(-x)
        boundary u on x.lo, x.hi: u = sin(t)
        boundary u on y.lo, y.hi: dn(u) + u = 0
        initial u = sin(pi*x)*y
        solve { grid: x=17, y=21; until: t=0.05; OPTIONS }""",
    "rod": """
        domain D: x in 0..1
        field u(D)
        equation dt(u) = lap(u) - u^3
        boundary u on x.lo: u = sin(t)
        boundary u on x.hi: dn(u) = 0
        initial u = sin(pi*x)
        solve { grid: x=41; until: t=0.1; OPTIONS }""",
    "string": """
        domain D: x in 0..1
        field u(D)
        equation dt(dt(u)) = lap(u)
        boundary u on x.lo, x.hi: u = 0
        initial u = sin(pi*x)
        initial dt(u) = 0
        solve { grid: x=51; until: t=1; OPTIONS }""",
    "packet": """
        domain D: x in 0..10 periodic
        field p(D): complex
        equation dt(p) = im*lap(p)
        initial p = exp(-(x - 5)^2 + 2*im*x)
        solve { grid: x=64; until: t=0.1; OPTIONS }""",
}


def final(model, options, **settings):
    outcome = execute(Source("m.model", MODELS[model].replace("OPTIONS", options)), Settings(**settings), write=False)
    return {name: np.asarray(result.values) for name, result in outcome.results.items()}


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("spots", "tol: 1e-5"),
        ("spots", "time: rk4(dt=0.5)"),
        ("sides", "time: euler(dt=5e-5)"),
        ("rod", "time: rodas4p; tol: 1e-5"),
        ("string", "tol: 1e-5"),
        ("packet", "time: rk4(dt=1e-3)"),
    ],
)
def test_few_digits_less(model, method):
    """The results of 64 bits but for the rounding and, where steps are chosen, the tolerance; the same on any number of threads."""
    long, short = (final(model, f"{method}; dtype: {name}", threads=1) for name in ("f64", "f32"))
    for name, values in short.items():
        assert values.dtype == (np.complex64 if values.dtype.kind == "c" else np.float32)
        assert np.abs(values - long[name]).max() < 2e-5 * np.abs(long[name]).max()
    assert all(np.array_equal(short[name], values) for name, values in final(model, f"{method}; dtype: f32", threads=2).items())


def test_order_of_convergence():
    """Second order in space, as long as errors are larger than roundings."""
    errors = []
    for points in (9, 17, 33):
        text = f"""
            domain D: x in 0..1
            field u(D)
            equation dt(u) = lap(u)
            boundary u on x.lo, x.hi: u = 0
            initial u = sin(pi*x)
            solve {{ grid: x={points}; until: t=0.1; tol: 1e-6; dtype: f32 }}"""
        outcome = execute(Source("m.model", text), Settings(), write=False)
        u = np.asarray(outcome.results["u"].values)
        errors.append(np.abs(u - np.exp(-(np.pi**2) * 0.1) * np.sin(np.pi * np.linspace(0, 1, points))).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(orders - 2).max() < 0.2


def test_time_goes_on_in_64_bits():
    """A hundred thousand steps of 1e-5 end at 1: a time of 32 bits would be off by a thousandth."""
    text = """
        domain D: x in 0..1 periodic
        field u(D), s(D)
        equation dt(u) = 0
        equation dt(s) = if abs(t - 0.75) < 0.25 then 1 else 0
        initial u = 1
        initial s = 0
        solve { grid: x=8; until: t=1; time: euler(dt=1e-5); dtype: f32 }"""
    outcome = execute(Source("m.model", text), Settings(), write=False)
    assert outcome.steps == 100_000
    assert outcome.dt_max == pytest.approx(1e-5, rel=1e-6)
    assert [w.code for w in outcome.warnings] == []
    assert np.abs(np.asarray(outcome.results["s"].values) - 0.5).max() < 0.01


def test_many_steps_say_what_rounding_does():
    text = """
        domain D: x in 0..1 periodic
        field u(D)
        equation dt(u) = -u
        initial u = 1
        solve { grid: x=8; until: t=2; time: euler(dt=1e-5); dtype: f32 }"""
    outcome = execute(Source("m.model", text), Settings(), write=False)
    (warning,) = outcome.warnings
    assert warning.code == "W0505"
    assert "dtype: f64" in warning.help
    assert execute(Source("m.model", text.replace("f32", "f64")), Settings(), write=False).warnings == []


@pytest.mark.parametrize(("dtype", "digits"), [("f64", 0), ("c128", 0), ("f32", 7), ("c64", 7)])
def test_a_tolerance_below_the_rounding_is_said(dtype, digits):
    from ricci import driver

    text = f"field u(t)\nequation dt(u) = -u\ninitial u = 1\nsolve {{ until: t=1; tol: 1e-9; dtype: {dtype} }}\n"
    said = [d.label for d in driver.check_text(Source("m.model", text)).notes if d.code == "W0505"]
    assert said == ([f"{dtype} has about {digits} digits"] if digits else [])


def test_half_the_memory():
    long, short = (
        execute(Source("m.model", MODELS["spots"].replace("OPTIONS", f"time: rk4(dt=0.5); dtype: {name}")), Settings(), write=False)
        for name in ("f64", "f32")
    )
    assert short.planned_bytes < 0.6 * long.planned_bytes


def test_other_number_types_are_coded():
    from ricci.errors import RicciError

    for name in ("bf16", "f16"):
        with pytest.raises(RicciError) as caught:
            final("string", f"dtype: {name}")
        assert caught.value.diagnostics[0].code == "E0601"
