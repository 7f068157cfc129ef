"""The choice of a method, the rates it rests on, and the `time:` option."""

from dataclasses import replace

import numpy as np
import pytest

from ricci.dsl import build
from ricci.dsl.model import Call, Model, Option, Solve
from ricci.dsl.types import Kind, Type
from ricci.errors import RicciError, Source
from ricci.faces.execute import Settings, execute
from ricci.lowering.integrate import METHODS, Integrator, integrate, named, spectrum
from ricci.lowering.integrate.choose import choose
from ricci.lowering.integrate.explicit import stability
from ricci.lowering.integrate.spectrum import rates
from ricci.lowering.integrate.system import number
from tests.lowering.integrate import systems as s


def model(time=None):
    options = () if time is None else (Option("time", (time,)),)
    return Model("test", "", None, solves=[Solve("", "", options)])


def fixed(name, dt):
    return Call(name, (), (("dt", number(dt)),))


def pick(program, end, tol=1e-4, time=None, sizes=None, **values):
    program = replace(program, end=number(str(end)), tolerance=tol)
    program = program if "initial" in program.functions else with_start(program, values)
    values = {**{a.name: a.value for a in program.arguments}, **values}
    return choose(model(time), program, values, sizes or {})


def with_start(program, values):
    """The program with `initial` that gives the values back, from arguments of other names."""
    from ricci.dsl.term import Function

    symbols = [state.symbol for state in program.states]
    return program.with_functions({"initial": Function("initial", tuple(symbols), tuple((x.name, x.symbol) for x in program.states))})


# rates


def rate_of(program, end=1.0, sizes=None, **values):
    program = program if "initial" in program.functions else with_start(program, values)
    return rates(program, {**{a.name: a.value for a in program.arguments}, **values}, sizes or {}, end)


def test_small_systems_have_exact_eigenvalues():
    x, v = s.real("x"), s.real("v")
    found = rate_of(s.system([x, v], [v, build.scale(-9, x)]), x=1.0, v=0.0)
    assert found.fastest == pytest.approx(3j) or found.fastest == pytest.approx(-3j)


def test_stiffness_that_the_initial_data_hide():
    found = rate_of(s.robertson(), end=100.0, a=1.0, b=0.0, c=0.0)
    assert -1e4 < found.fastest.real < -500


@pytest.mark.parametrize("n", [60, 400])
def test_heat(n):
    found = rate_of(s.heat(), sizes={"x": n})
    exact = 4 * (n + 1) ** 2 * np.cos(np.pi / (2 * (n + 1))) ** 2
    assert found.fastest.real == pytest.approx(-exact, rel=0.05)
    assert found.smooth == 0


def test_advection_and_waves_are_imaginary():
    n = 80
    u, v = s.real("u", x=n), s.real("v", x=n)
    slope = build.scale(-n // 2, build.sub(build.shift(u, "x", 1), build.shift(u, "x", -1)))
    start = np.sin(2 * np.pi * np.arange(n) / n)
    found = rate_of(s.system([u], [slope]), u=start)
    assert abs(found.fastest.imag) == pytest.approx(n, rel=0.05)
    lap = build.scale(n * n, build.add(build.shift(u, "x", 1), build.shift(u, "x", -1), build.scale(-2, u)))
    found = rate_of(s.system([u, v], [v, lap]), u=start, v=0 * start)
    assert abs(found.fastest.imag) == pytest.approx(2 * n, rel=0.05)


def test_large_grids_are_measured_on_coarse_ones():
    program = replace(s.heat(), coordinates={"x": number(0)})
    found = rate_of(program, sizes={"x": 200_000})
    assert found.fastest.real == pytest.approx(-4 * 200_001.0**2, rel=0.05)


# choices


def test_stiff_diffusion_is_implicit_and_says_why():
    integrator, (choice,) = pick(s.heat(), 1.0, 1e-6, sizes={"x": 200})
    assert integrator.method.name == "rodas4p"
    assert integrator.dt is None
    assert choice.what == "time"
    assert "`u` is stiff" in choice.reason
    assert "bs32" in choice.reason or "dp54" in choice.reason


def test_coarse_diffusion_is_explicit():
    integrator, _ = pick(s.heat(), 0.1, sizes={"x": 8})
    assert not integrator.method.implicit


def test_reaction_diffusion_in_the_plane_is_explicit():
    sizes = {"x": 64, "y": 64}
    integrator, (choice,) = pick(s.gray_scott(), 5000.0, 1e-5, sizes=sizes, **s.seed(64))
    assert not integrator.method.implicit
    assert choice.reason.startswith("explicit")


@pytest.mark.parametrize(
    ("program", "end", "start", "implicit"),
    [
        (s.robertson(), 1e4, {"a": 1.0, "b": 0.0, "c": 0.0}, True),
        (s.van_der_pol(1000), 2000.0, {"x": 2.0, "v": 0.0}, True),
        (s.van_der_pol(1), 20.0, {"x": 2.0, "v": 0.0}, False),
        (s.pendulum(), 100.0, {"x": 1.0, "v": 0.0}, False),
        (s.prothero_robinson(10**6), 3.0, {"y": 1.0}, True),
        (s.lorenz96(), 20.0, {"x": 8 + 0.01 * np.arange(40)}, False),
    ],
    ids=["robertson", "stiff oscillator", "oscillator", "pendulum", "forced", "lorenz"],
)
def test_systems_without_space(program, end, start, implicit):
    integrator, _ = pick(program, end, 1e-6, **start)
    assert integrator.method.implicit is implicit


def steps_said(choice):
    return int(choice.reason.split(" about ")[1].split()[0])


def test_estimated_steps_are_near_those_taken():
    """An oscillation is counted once; of a wave on a grid the finest one is counted, which smooth data do not have."""
    x, v = s.real("x"), s.real("v")
    for tol in (1e-4, 1e-8):
        program = s.system([x, v], [v, build.neg(x)])
        _, (choice,) = pick(program, 10.0, tol, x=1.0, v=0.0)
        run = s.Runner(program, "dp54", x=1.0, v=0.0)
        assert run.to(10.0, tol) == 0
        assert run.steps / 2 < steps_said(choice) < 2 * run.steps
        assert "at most" not in choice.reason
    n = 40
    u = s.real("u", x=n)
    slope = build.scale(n // 2, build.sub(build.shift(u, "x", 1), build.shift(u, "x", -1)))
    program = replace(s.system([u], [slope]), coordinates={"x": number(0)})
    start = np.sin(2 * np.pi * np.arange(n) / n)
    _, (choice,) = pick(program, 1.0, 1e-8, u=start)
    run = s.Runner(program, "dp54", u=start)
    assert run.to(1.0, 1e-8) == 0
    assert "at most" in choice.reason
    assert run.steps < steps_said(choice)


def test_a_spiral_that_dies_out_is_a_transient():
    """An eigenvalue -1000 +- 500 i is no oscillation that goes on."""
    x, v = s.real("x"), s.real("v")
    spiral = [build.add(build.scale(-1000, x), build.scale(500, v)), build.add(build.scale(-500, x), build.scale(-1000, v))]
    integrator, _ = pick(s.system([x, v], spiral), 100.0, 1e-4, x=1.0, v=0.0)
    assert integrator.method.implicit


def test_complex_fields_stay_explicit():
    psi = build.symbol("psi", Type(Kind.COMPLEX))
    program = s.system([psi], [build.scale(-1_000_000, psi)])
    integrator, _ = pick(program, 1.0, psi=1.0 + 0j)
    assert not integrator.method.implicit
    with pytest.raises(RicciError) as error:
        integrate(program, Integrator(METHODS["rodas4p"]))
    assert error.value.code == "E0601"


def test_empty_runs():
    assert pick(s.pendulum(), 0.0, x=1.0, v=0.0)[0].method.name == "dp54"


# the option


def test_named_methods():
    integrator, (choice,) = pick(s.heat(), 0.1, time="rodas4p", sizes={"x": 40})
    assert (integrator.method.name, integrator.dt) == ("rodas4p", None)
    assert choice.reason == "named in the model"
    integrator, (choice,) = pick(s.heat(), 0.1, time=fixed("rk4", "1e-4"), sizes={"x": 40})
    assert integrator.dt is not None
    assert choice.value == "rk4(dt=0.0001)"


@pytest.mark.parametrize(
    ("time", "code", "text"),
    [
        ("dp45", "E0104", "`dp45`"),
        ("rk5", "E0104", "`rk5`"),
        ("runge", "E0104", "`runge`"),
        ("rk4", "E0104", "needs it"),
        (Call("rk4", (), (("step", number(1)),)), "E0104", "`step`"),
        (Call("rk4", (number(1),), ()), "E0104", "without a name"),
        (Call("rk4", (), (("dt", "fast"),)), "E0104", "must be a number"),
        (number(3), "E0104", "this is a value"),
        (fixed("strang", "0.01"), "E0601", "`time: strang`"),
        (fixed("etdrk4", "0.25"), "E0601", "`time: etdrk4`"),
        (Call("rk222", (), (("cfl", number("0.5")),)), "E0601", "`time: rk222`"),
    ],
)
def test_bad_options(time, code, text):
    with pytest.raises(RicciError) as error:
        named(Option("time", (time,)))
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == code
    assert text in diagnostic.message


@pytest.mark.parametrize(("name", "limit"), [("euler", 2.0), ("heun", 2.0), ("rk3", 2.51), ("rk4", 2.785), ("dp54", 3.31)])
def test_unstable_steps_name_the_limit(name, limit):
    n = 40
    rate = 4 * (n + 1) ** 2
    assert pick(s.heat(), 1.0, time=fixed(name, f"{0.97 * limit / rate}"), sizes={"x": n})
    with pytest.raises(RicciError) as error:
        pick(s.heat(), 1.0, time=fixed(name, f"{1.1 * limit / rate}"), sizes={"x": n})
    diagnostic = error.value.diagnostics[0]
    assert diagnostic.code == "E0502"
    assert "`u`" in diagnostic.message
    allowed = float(diagnostic.help.partition("dt=")[2].partition(")")[0])
    assert 0.85 * limit / rate < allowed < limit / rate


def test_unstable_for_every_step():
    """Euler amplifies every oscillation: the remedy is a step that keeps that small over this run."""
    x, v = s.real("x"), s.real("v")
    program = s.system([x, v], [v, build.scale(-10_000, x)])
    with pytest.raises(RicciError) as error:
        pick(program, 100.0, time=fixed("euler", "0.01"), x=1.0, v=0.0)
    assert error.value.code == "E0502"
    assert pick(program, 100.0, time=fixed("rk4", "0.01"), x=1.0, v=0.0)


def test_growth_of_the_equations_is_not_instability():
    y = s.real("y")
    assert pick(s.system([y], [build.scale(20, y)]), 5.0, time=fixed("euler", "0.01"), y=1.0)


@pytest.mark.parametrize("dt", ["0", "-0.1"])
def test_steps_are_positive(dt):
    with pytest.raises(RicciError) as error:
        pick(s.pendulum(), 1.0, time=fixed("rk4", dt), x=1.0, v=0.0)
    assert error.value.code == "E0502"


def test_implicit_steps_are_not_limited():
    assert pick(s.heat(), 1.0, time=fixed("backward_euler", "0.1"), sizes={"x": 400})


def test_stability_function():
    assert stability(METHODS["rk4"].tableau, -1.0) == pytest.approx(1 - 1 + 1 / 2 - 1 / 6 + 1 / 24)


STIFF = """
domain D: x in 0..1 periodic
field u(D), v(D)
param k = 1e6
equation dt(u) = 0.01*dxx(u) + k*(v - u)
equation dt(v) = -v
initial u = 1 + 0*x
initial v = 1
solve {{ grid: x=64; until: t=1; tol: 1e-6 }}
check max(abs(u - {rest})) < 1e-4
"""


def test_a_coupling_that_dies_out_needs_no_steps_of_its_own():
    from ricci.driver import Settings
    from ricci.errors import Source
    from ricci.faces.execute import execute

    outcome = execute(Source("stiff.model", STIFF.format(rest="exp(-t)")), Settings(), write=False)
    (choice,) = [c for c in outcome.choices if c.what == "time"]
    assert choice.value.startswith("rodas")
    assert "stiff" in choice.reason
    assert outcome.steps < 200
    assert all(c.passed for c in outcome.checks)


def test_growth_and_oscillation_of_uniform_fields_need_steps():
    x, v = s.real("x"), s.real("v")
    turning = rate_of(s.system([x, v], [build.scale(50, v), build.scale(-50, x)]), x=1.0, v=0.0)
    assert turning.smooth == pytest.approx(50)
    growing = rate_of(s.system([x], [build.scale(7, x)]), x=1.0)
    assert growing.smooth == pytest.approx(7)
    dying = rate_of(s.system([x], [build.scale(-7, x)]), x=1.0)
    assert dying.smooth == 0


@pytest.mark.parametrize(
    "equation",
    [
        "div((1 + x*y)*grad(u))",
        "div((0.01 + 10*exp(-((x - 0.3)/0.05)^2))*grad(u))",
        "-(1 + 0.9*sin(3*x)*sin(2*y))*dx(u) + 1e-5*lap(u)",
        "1e-4*lap(u^3 - u - 1e-4*lap(u))",
    ],
)
def test_coefficients_that_vary_in_space(equation, monkeypatch):
    """The fastest mode lives where a coefficient is large: steps from patterns all over the grid see a fifth less."""
    seen = []
    iterated = spectrum._iterated

    def measured(at):
        seen.append((np.abs(np.linalg.eigvals(at.matrix())).max(), iterated(at)))
        return seen[-1][1]

    monkeypatch.setattr(spectrum, "_iterated", measured)
    text = f"""
        domain D: x in 0..1 periodic, y in 0..1 periodic
        field u(D)
        equation dt(u) = {equation}
        initial u = sin(2*pi*x)*sin(4*pi*y)
        solve {{ grid: x=26, y=21; until: t=1e-9 }}"""
    execute(Source("m.model", text), Settings(backend="reference"), write=False)
    ((true, found),) = seen
    assert 0.97 * true < abs(found.fastest) < 1.03 * true


def test_a_reaction_on_coarse_grids_makes_no_step_unstable():
    """On small grids the reaction is as fast as the diffusion: the step of a large one is not judged by the bend that this makes."""
    text = """
        domain D: x in 0..2.5 periodic, y in 0..2.5 periodic
        field u(D), v(D)
        equation dt(u) = 2e-5*lap(u) - u*v^2 + 0.04*(1 - u)
        equation dt(v) = 1e-5*lap(v) + u*v^2 - 0.1*v
        initial u = 1 - 0.5*exp(-80*((x - 1.25)^2 + (y - 1.25)^2))
        initial v = 0.25*exp(-80*((x - 1.25)^2 + (y - 1.25)^2))
        solve { grid: x=1024, y=1024; time: euler(dt=STEP); until: t=TIME }"""
    stable = text.replace("STEP", "0.06").replace("TIME", "0.06")  # 8*2e-5*(1024/2.5)^2 = 26.8
    assert execute(Source("m.model", stable), Settings(), write=False).steps == 1
    with pytest.raises(RicciError) as caught:
        execute(Source("m.model", text.replace("STEP", "0.1").replace("TIME", "10")), Settings(), write=False)
    assert caught.value.diagnostics[0].code == "E0502"
    assert "up to 0.07" in caught.value.diagnostics[0].message
