"""The leapfrog method: order, energy, damping, steps of other lengths, restarts, and what it cannot do."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ricci.backends import simulation
from ricci.errors import RicciError, Source
from ricci.faces.execute import Settings, execute
from ricci.faces.explained import explained
from ricci.lowering.integrate import METHODS

STRING = """
domain D: x in 0..1
field u(D)
equation dt(dt(u)) = lap(u) DAMPING
boundary u on x.lo, x.hi: u = 0
initial u = sin(pi*x)
initial dt(u) = SPEED*sin(pi*x)
solve { grid: x=201; until: t=END; time: leapfrog(dt=STEP) }
"""
FREQUENCY = 400 * np.sin(np.pi / 400)  # of the semi-discrete string


def run(step, end=0.9, damping="", speed="0", **settings):
    text = STRING.replace("DAMPING", damping).replace("SPEED", speed).replace("END", str(end)).replace("STEP", str(step))
    return execute(Source("m.model", text), Settings(**settings), write=False)


def middle(outcome):
    return float(np.asarray(outcome.results["u"].values)[100])


def exact(t, speed=0.0, damping=0.0):
    w = np.sqrt(FREQUENCY**2 - damping**2 / 4)
    return np.exp(-damping * t / 2) * (np.cos(w * t) + (speed + damping / 2) / w * np.sin(w * t))


@pytest.mark.parametrize(
    ("damping", "rate", "speed"), [("", 0.0, "0"), ("", 0.0, "pi"), ("- 3*dt(u)", 3.0, "0"), ("- (3 + 0*x)*dt(u)", 3.0, "pi")]
)
def test_second_order(damping, rate, speed):
    wanted = exact(0.9, np.pi if speed == "pi" else 0.0, rate)
    errors = [abs(middle(run(step, damping=damping, speed=speed)) - wanted) for step in (4e-3, 2e-3, 1e-3)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(orders - 2).max() < 0.1


def test_a_last_step_of_another_length():
    """0.9 and 0.9003 take steps of 4e-3 and a short one; errors stay of second order."""
    assert abs(middle(run(4e-3, end=0.9003)) - exact(0.9003)) < 3e-5
    assert abs(middle(run(2e-3, end=0.9003)) - exact(0.9003)) < 8e-6


def test_energy_stays():
    """A symplectic method keeps the amplitude over many periods: Euler's would grow, damped ones lose it."""
    outcome = run(4e-3, end=200)
    phase = 200 * 2 / 4e-3 * np.arcsin(FREQUENCY * 2e-3)  # of the discrete oscillation
    assert abs(middle(outcome) - np.cos(phase)) < 1e-6


def test_looks_do_not_disturb_the_motion(tmp_path):
    """The velocity that a call gives back begins the next one where it ended."""
    text = STRING.replace("DAMPING", "- 0.5*dt(u)").replace("SPEED", "1").replace("END", "0.4").replace("STEP", "4e-3")
    often = execute(Source("m.model", text + 'output u, dt(u) every 0.04 to "u.npz"\n'), Settings(), str(tmp_path))
    once = execute(Source("m.model", text), Settings(), write=False)
    assert abs(middle(often) - middle(once)) < 1e-12


@pytest.mark.parametrize("damping", ["- 6*t*dt(u)", "- 6*u*u*dt(u)"])
def test_damping_that_changes(damping, tmp_path):
    """Velocities given back in between take the damping of their own time and place: u'' = -w^2 u - g(t, u) u' with independent steps."""
    text = """
        field u(t)
        equation dt(dt(u)) = -9*u DAMPING
        initial u = 1
        initial dt(u) = 2
        solve { until: t=1.5; time: leapfrog(dt=STEP) }
        output dt(u) every 0.3 to "v.npz"
    """.replace("DAMPING", damping)
    errors = []
    for step in ("2e-3", "1e-3"):
        execute(Source("m.model", text.replace("STEP", step)), Settings(), str(tmp_path))
        with np.load(tmp_path / "v.npz") as file:
            shown = file["dt_u"]
        damped = (lambda t, u: 6 * t) if "t*dt" in damping else (lambda t, u: 6 * u * u)
        wanted = solve_ivp(
            lambda t, y: (y[1], -9 * y[0] - damped(t, y[0]) * y[1]),
            (0, 1.5),
            [1, 2],
            rtol=1e-10,
            atol=1e-12,
            t_eval=[0.3 * k for k in range(6)],
        ).y[1]
        errors.append(np.abs(shown - wanted).max())
    assert errors[1] < 1e-4
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2


def test_the_reference_and_the_generated_loop_agree():
    outcomes = [run(4e-3, end=0.1, damping="- u*u", speed="pi", backend=backend) for backend in ("cpu", "reference")]
    assert abs(middle(outcomes[0]) - middle(outcomes[1])) < 1e-13


def test_a_run_has_the_same_bits_however_long_its_slices_take(monkeypatch):
    """Where the loop is left and entered again, values are rounded: the places do not hang on the clock."""
    results = []
    for seconds in (1e-9, 10.0):
        monkeypatch.setattr(simulation, "SLICE_SECONDS", seconds)
        monkeypatch.setattr(simulation, "EVEN_STEPS", 16)
        results.append(np.asarray(run(1e-3, damping="- 0.3*dt(u)").results["u"].values).tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_two_arrays_a_field(threads):
    """The level before is overwritten in place, around it ghosts of both; nothing is copied."""
    text = """
        domain D: x in 0..1 periodic, y in 0..1 periodic
        field u(D), v(D)
        equation dt(dt(u)) = lap(u) - v
        equation dt(dt(v)) = 2*lap(v) - u - 0.1*dt(v)
        initial u = sin(2*pi*x)*cos(2*pi*y)
        initial v = cos(2*pi*x)
        initial dt(u) = 0
        initial dt(v) = 0
        solve { grid: x=400, y=401; until: t=0.02; time: leapfrog(dt=1e-3) }"""
    outcome = execute(Source("m.model", text), Settings(threads=threads), write=False)
    u = np.outer(np.sin(2 * np.pi * np.arange(400) / 400), np.cos(2 * np.pi * np.arange(401) / 401))
    v = np.repeat(np.cos(2 * np.pi * np.arange(400) / 400)[:, None], 401, axis=1)

    def lap(a):
        return sum((np.roll(a, 1, k) + np.roll(a, -1, k) - 2 * a) * n * n for k, n in ((0, 400), (1, 401)))

    dt = 1e-3
    u0 = u + dt * dt / 2 * (lap(u) - v)
    v0 = v + dt * dt / 2 * (2 * lap(v) - u)
    for _ in range(20):
        damped = (v - v0) / dt
        after_u = 2 * u - u0 + dt * dt * (lap(u) - v)
        speed = (damped * (1 - 0.05 * dt) + dt * (2 * lap(v) - u)) / (1 + 0.05 * dt)
        u, u0, v, v0 = after_u, u, v + dt * speed, v
    for name, wanted in (("u", u), ("v", v)):
        assert np.abs(np.asarray(outcome.results[name].values) - wanted).max() < 1e-11
    shown = explained(Source("m.model", text), Settings()).to_text()
    assert "steps overlap" in shown


def test_particles():
    """Equations without space: an orbit closes."""
    text = """
        field x(t), y(t)
        equation dt(dt(x)) = -x/(x^2 + y^2)^1.5
        equation dt(dt(y)) = -y/(x^2 + y^2)^1.5
        initial x = 1
        initial y = 0
        initial dt(x) = 0
        initial dt(y) = 1
        solve { until: t=2*pi; time: leapfrog(dt=1e-3) }"""
    outcome = execute(Source("m.model", text), Settings(), write=False)
    assert abs(float(outcome.results["x"].values) - 1) < 1e-5
    assert abs(float(outcome.results["y"].values)) < 1e-5


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (STRING.replace("DAMPING", "+ 1e-3*lap(dt(u))"), "E0601", "no multiple of its velocity"),
        (STRING.replace("DAMPING", "- dt(u)^2"), "E0601", "no multiple of its velocity"),
        (
            STRING.replace("DAMPING", "").replace("dt(dt(u))", "dt(u)").replace("initial dt(u) = SPEED*sin(pi*x)\n", ""),
            "E0601",
            "first order",
        ),
        (STRING.replace("DAMPING", "") + "event when mean(u) < 0: u = 0\n", "E0601", "event"),
        (STRING.replace("DAMPING", "").replace("STEP", "6e-3"), "E0502", "up to 0.005"),
        (STRING.replace("DAMPING", "").replace("(dt=STEP)", ""), "E0104", "needs it"),
    ],
)
def test_what_it_cannot_do(text, code, said):
    with pytest.raises(RicciError) as caught:
        execute(Source("m.model", text.replace("SPEED", "0").replace("END", "0.1").replace("STEP", "1e-4")), Settings(), write=False)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == code
    assert said in diagnostic.message


def test_amplification():
    method = METHODS["leapfrog"]
    assert method.amplification(190j, 0.01) == pytest.approx(1)
    assert method.amplification(210j, 0.01) > 1.5
    assert method.amplification(-500, 0.01) == pytest.approx(1)
