"""Small programs made by hand, and a driver of `advance` through the reference interpreter."""

import numpy as np

from ricci.dsl import build, reference
from ricci.dsl.model import Unit
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Argument, Program, State
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Size, Type
from ricci.lowering.derive import derive
from ricci.lowering.integrate import METHODS, Integrator, controls, integrate
from ricci.lowering.integrate.system import TIME, number

REAL = Type(Kind.REAL)


def real(name, **axes):
    return build.symbol(name, Type(Kind.REAL, {a: Size.of(n) for a, n in axes.items()}))


def system(states, rates, arguments=(), events=(), units=None, sizes=None, initial=None, end=None, tolerance=1e-4, dims=None):
    """A program y' = rates(t, y) with `states` symbols; `events` are margins; `arguments` are (symbol, value)."""
    names = [name_of(s) for s in states]
    symbols = [s for s, _ in arguments]
    params = (TIME, *states, *symbols)
    functions = {"rhs": Function("rhs", params, tuple(zip(names, rates, strict=True)))}
    for k, margin in enumerate(events):
        functions[f"event:{k}"] = Function(f"event:{k}", params, (("margin", margin),))
    if initial is not None:
        functions["initial"] = Function("initial", tuple(symbols), tuple(zip(names, initial, strict=True)))
    units = units or {}
    return derive(
        Program(
            "test",
            functions,
            states=tuple(State(n, s, n, unit=units.get(n, Unit())) for n, s in zip(names, states, strict=True)),
            arguments=tuple(Argument(name_of(s), s, "param", v) for s, v in arguments),
            sizes=sizes or {},
            end=end,
            tolerance=tolerance,
            dims=dims or {},
        )
    )


class Runner:
    """Calls of `advance`, with everything carried from call to call."""

    def __init__(self, program, method, dt=None, **start):
        step = None if dt is None else number(str(dt))
        self.program = integrate(program, Integrator(METHODS[method], step))
        self.function = self.program.functions["advance"]
        self.values = {"t": 0.0, **{a.name: a.value for a in program.arguments}, **start}
        self.values |= controls(self.program, Integrator(METHODS[method], step), {}, {})
        self.steps = self.rejected = 0

    def to(self, stop, tol=1e-6, max_steps=100_000):
        self.values |= {"ctl:t_stop": stop, "ctl:tol": tol, "ctl:max_steps": max_steps}
        arguments = [np.asarray(self.values[name_of(p)]) for p in self.function.params]
        results = reference.call(self.function, arguments, self.program.sizes)
        self.values |= dict(zip((n for n, _ in self.function.results), results, strict=True))
        self.steps += int(self.values["ctl:steps"])
        self.rejected += int(self.values["ctl:rejected"])
        return int(self.values["ctl:status"])

    def __getitem__(self, name):
        return self.values[name]


# systems with known solutions


def pendulum():
    """x' = v, v' = -sin x (order tests compare with a fine solution)."""
    x, v = real("x"), real("v")
    return system([x, v], [v, build.neg(build.apply("sin", x))])


def forced():
    """y' = y cos t: y = exp(sin t); nonautonomous and nonlinear in t."""
    y = real("y")
    return system([y], [build.mul(y, build.apply("cos", TIME))])


def riccati():
    """y' = -y^2 + z cos t, z' = -z/2 + y: coupled, nonlinear, nonautonomous."""
    y, z = real("y"), real("z")
    return system(
        [y, z],
        [
            build.sub(build.mul(z, build.apply("cos", TIME)), build.mul(y, y)),
            build.sub(y, build.scale(build.HALF, z)),
        ],
    )


def prothero_robinson(rate):
    """y' = -rate (y - cos t) - sin t: y = cos t for every rate."""
    y = real("y")
    cos, sin = build.apply("cos", TIME), build.apply("sin", TIME)
    return system([y], [build.sub(build.scale(-rate, build.sub(y, cos)), sin)])


def robertson():
    a, b, c = real("a"), real("b"), real("c")
    k1, k2, k3 = (
        build.scale(build.Fraction("0.04"), a),
        build.scale(30_000_000, build.mul(b, b)),
        build.scale(10_000, build.mul(b, c)),
    )
    return system([a, b, c], [build.sub(k3, k1), build.sub(build.sub(k1, k3), k2), k2])


def van_der_pol(mu):
    x, v = real("x"), real("v")
    return system([x, v], [v, build.sub(build.scale(mu, build.mul(build.sub(build.const(1), build.mul(x, x)), v)), x)])


def lorenz96(n=40):
    """x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F on a ring."""
    x = real("x", i=n)
    force = real("F")
    right, left, left2 = (build.shift(x, "i", k) for k in (1, -1, -2))
    return system([x], [build.add(build.mul(build.sub(right, left2), left), build.neg(x), force)], [(force, 8.0)])
