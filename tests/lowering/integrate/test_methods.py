"""Measured order, accuracy and robustness of every method, through the reference interpreter."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ricci.backends.numba_cpu import compile_plan
from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.lowering.integrate import METHODS
from ricci.lowering.schedule import schedule
from tests.lowering.integrate import systems as s


def riccati_rhs(t, u):
    return [u[1] * np.cos(t) - u[0] ** 2, u[0] - 0.5 * u[1]]


def solution(end, start):
    return solve_ivp(riccati_rhs, (0, end), start, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]


# the fifth order term of dp54 nearly vanishes along the first solution
PROBLEMS = {"dp54": (4.0, [-0.1, 1.5])}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"leapfrog"}))  # of second order in time: test_leapfrog.py
def test_order(name):
    """Error against dt on a coupled nonlinear nonautonomous system: slope within 0.2 of the stated order."""
    end, start = PROBLEMS.get(name, (3.0, [0.2, 1.0]))
    right = solution(end, start)
    errors = []
    for n in (20, 40, 80):
        run = s.Runner(s.riccati(), name, dt=f"{end / n}", y=start[0], z=start[1])
        assert run.to(end) == 0
        assert run.steps == n
        errors.append(np.hypot(run["y"] - right[0], run["z"] - right[1]))
    slope = np.log2(errors[1] / errors[2])
    assert abs(slope - METHODS[name].order) < 0.2, (slope, errors)


ADAPTIVE = sorted(name for name, m in METHODS.items() if m.adaptive)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_error_follows_tolerance(name):
    """The error is near tol and proportional to it."""
    end, start = PROBLEMS.get(name, (1.0, [1.0, 0.5]))
    right = solution(end, start)
    errors = []
    tols = {2: (1e-2, 1e-3, 1e-5), 3: (1e-3, 1e-5, 1e-7)}.get(METHODS[name].order, (1e-5, 1e-7, 1e-9))
    for tol in tols:
        run = s.Runner(s.riccati(), name, y=start[0], z=start[1])
        assert run.to(end, tol) == 0
        errors.append(np.hypot(run["y"] - right[0], run["z"] - right[1]))
        assert errors[-1] < 30 * tol
    measured = np.log(errors[0] / errors[2]) / np.log(tols[0] / tols[2])
    assert abs(measured - 1) < 0.2, errors


def turning_and_decaying():
    """y' = w z - k y, z' = -w y + r (y^2 - z) - 2 k y^2, which is an oscillator, a decay, or a stiff decay."""
    y, z, w, k, r = (s.real(name) for name in "yzwkr")
    square = build.mul(y, y)
    right = [
        build.sub(build.mul(w, z), build.mul(k, y)),
        build.add(build.neg(build.mul(w, y)), build.mul(r, build.sub(square, z)), build.scale(-2, build.mul(k, square))),
    ]
    return s.system([y, z], right, [(w, 0.0), (k, 0.0), (r, 0.0)])


@pytest.mark.parametrize("name", ["dp54", "trbdf2", "rodas4p"])
def test_error_over_tolerance_is_bounded(name):
    """From tol 1e-3 to 1e-9 the error stays below 8 tol: no method loses sight of `tol` (3 units of time, scale 1)."""
    program = turning_and_decaying()
    run = s.Runner(program, name, y=1.0, z=0.0)
    advance = compile_plan(schedule(run.function, sizes={}))
    decayed = {"y": np.exp(-3.0), "z": np.exp(-6.0)}
    problems = {
        "oscillator": ({"w": 1.0, "z": 0.0}, {"y": np.cos(3.0), "z": -np.sin(3.0)}),
        "decay": ({"k": 1.0, "z": 1.0}, decayed),
        "stiff": ({"k": 1.0, "r": 1000.0, "z": 1.0}, decayed),
    }
    for problem, (values, right) in problems.items():
        for tol in (1e-3, 1e-5, 1e-7, 1e-9):
            arguments = {**run.values, **values, "ctl:t_stop": 3.0, "ctl:tol": tol, "ctl:max_steps": 10_000_000}
            got = advance({name_of(p): np.asarray(arguments[name_of(p)]) for p in run.function.params}, {}, 1)
            assert got["ctl:status"] == 0
            assert max(abs(got[k] - right[k]) for k in right) < 8 * tol, (problem, tol)


IMPLICIT = sorted(name for name, m in METHODS.items() if m.adaptive and m.implicit)


@pytest.mark.parametrize("name", IMPLICIT)
@pytest.mark.parametrize("rate", [10, 10**4, 10**8])
def test_stiff_forcing(name, rate):
    """The number of steps does not grow with stiffness, the error stays small (Prothero, Robinson 1974)."""
    run = s.Runner(s.prothero_robinson(rate), name, y=1.0)
    assert run.to(3.0, 1e-5) == 0
    assert abs(run["y"] - np.cos(3.0)) < 1e-4
    assert run.steps < 400


@pytest.mark.parametrize("name", ["rodas4p", "rodas5p"])
def test_robertson(name):
    run = s.Runner(s.robertson(), name, a=1.0, b=0.0, c=0.0)
    assert run.to(1e4, 1e-6) == 0

    def f(t, u):
        r1, r2, r3 = 0.04 * u[0], 3e7 * u[1] ** 2, 1e4 * u[1] * u[2]
        return [r3 - r1, r1 - r3 - r2, r2]

    ref = solve_ivp(f, (0, 1e4), [1.0, 0, 0], method="Radau", rtol=1e-9, atol=1e-13).y[:, -1]
    assert np.allclose([run["a"], run["b"], run["c"]], ref, rtol=1e-4)
    assert abs(run["a"] + run["b"] + run["c"] - 1) < 1e-9  # linear invariants are kept
    assert run.steps < 300


def test_van_der_pol():
    mu = 1000
    run = s.Runner(s.van_der_pol(mu), "rodas4p", x=2.0, v=0.0)
    assert run.to(1200.0, 1e-6) == 0

    def f(t, u):
        return [u[1], mu * (1 - u[0] ** 2) * u[1] - u[0]]

    ref = solve_ivp(f, (0, 1200), [2.0, 0.0], method="Radau", rtol=1e-10, atol=1e-12).y[:, -1]
    assert abs(run["x"] - ref[0]) < 1e-3
    assert run.steps < 1000


def test_explicit_and_implicit_agree_on_lorenz96():
    start = 8.0 + 0.01 * np.sin(np.arange(40))
    run = s.Runner(s.lorenz96(), "dp54", x=start)
    assert run.to(1.0, 1e-11) == 0

    def f(t, x):
        return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8

    ref = solve_ivp(f, (0, 1), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    assert np.max(np.abs(run["x"] - ref)) < 1e-7
    implicit = s.Runner(s.lorenz96(), "rodas5p", x=start)
    assert implicit.to(0.1, 1e-8) == 0
    ref = solve_ivp(f, (0, 0.1), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    assert np.max(np.abs(implicit["x"] - ref)) < 1e-6


def test_newton_that_does_not_converge_says_so():
    """y' = 2 + sqrt|y - t|-like jump: a step over a non-smooth right-hand side has no fixed point to find."""
    y = s.real("y")
    jump = build.where(build.apply("lt", y, build.const(0)), build.const(1), build.const(-3))
    program = s.system([y], [build.cast(jump, build.Kind.REAL)])
    run = s.Runner(program, "backward_euler", dt="0.3", y=0.1)
    assert run.to(3.0) == 4
    assert np.isfinite(run["y"])


def test_linear_systems_need_no_newton():
    from ricci.dsl.term import subfunctions, walk

    for program, loops in ((s.heat(), 0), (s.riccati(), 1)):
        advance = s.integrate(program, s.Integrator(METHODS["crank_nicolson"], s.number("0.1"))).functions["advance"]
        (outer,) = [t for t in walk(advance.roots) if t.op == "iterate"]
        assert sum(t.op == "iterate" for t in walk(subfunctions(outer)[0].roots)) == loops


def test_complex_states():
    """i psi' = 2 psi: psi = exp(-2 i t)."""
    psi = build.symbol("psi", build.Type(build.Kind.COMPLEX))
    program = s.system([psi], [build.mul(build.scale(-2, build.im()), psi)])
    run = s.Runner(program, "dp54", psi=1.0 + 0j)
    assert run.to(1.0, 1e-9) == 0
    assert abs(run["psi"] - np.exp(-2j)) < 1e-8
