"""Small programs made by hand, and a driver of `advance` through the reference interpreter."""

import numpy as np

from ricci.dsl import build, reference
from ricci.dsl.model import Unit
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Argument, Program, State
from ricci.dsl.term import Function
from ricci.dsl.types import Dim, Kind, Size, Type
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

    def __init__(self, program, method, dt=None, sizes=None, **start):
        self.sizes = program.sizes if sizes is None else sizes
        step = None if dt is None else number(str(dt))
        self.program = integrate(program, Integrator(METHODS[method], step))
        self.function = self.program.functions["advance"]
        self.values = {"t": 0.0, **{a.name: a.value for a in program.arguments}, **start}
        self.values |= controls(self.program, Integrator(METHODS[method], step), {}, {})
        self.steps = self.rejected = 0

    def to(self, stop, tol=1e-6, max_steps=100_000):
        self.values |= {"ctl:t_stop": stop, "ctl:tol": tol, "ctl:max_steps": max_steps}
        arguments = [np.asarray(self.values[name_of(p)]) for p in self.function.params]
        results = reference.call(self.function, arguments, self.sizes)
        self.values |= dict(zip((n for n, _ in self.function.results), results, strict=True))
        self.steps += int(self.values["ctl:steps"])
        self.rejected += int(self.values["ctl:rejected"])
        return int(self.values["ctl:status"])

    def __getitem__(self, name):
        return self.values[name]


# systems with known solutions


def growth():
    """y' = y with the event y > 2."""
    y = real("y")
    return system([y], [y], events=[build.sub(y, number(2))])


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


def heat(dim="x", lower=4):
    """u' = k lap u on n inner points of (0, 1) with u = 0 at both ends; the size is a dim."""
    n = Dim(dim, lower)
    u = build.symbol("u", Type(Kind.REAL, {dim: Size.of(n)}))
    k = real("k")
    points = build.cast(build.size_term(Size.of(n) + 1), Kind.REAL)
    lap = build.add(build.shift(u, dim, 1, 0), build.shift(u, dim, -1, 0), build.scale(-2, u))
    rate = build.mul(k, build.power(points, 2), lap)
    position = build.divide(build.cast(build.add(build.iota(dim, Size.of(n)), build.const(1)), Kind.REAL), points)
    start = build.apply("sin", build.mul(build.pi(), position))
    return system([u], [rate], [(k, 1.0)], initial=[start], dims={dim: n})


def gray_scott():
    """The reaction-diffusion system on a periodic square of given spacing; sizes are dims."""
    x, y = Dim("x", 4), Dim("y", 4)
    axes = {"x": Size.of(x), "y": Size.of(y)}
    u, v = (build.symbol(name, Type(Kind.REAL, axes)) for name in "uv")
    feed, kill, du, dv = (real(name) for name in ("F", "k", "Du", "Dv"))

    def lap(f):
        parts = [build.shift(f, a, k) for a in ("x", "y") for k in (1, -1)]
        h = build.scale(build.Fraction(5, 2), build.apply("recip", build.cast(build.size_term(Size.of(x)), Kind.REAL)))
        return build.mul(build.add(*parts, build.scale(-4, f)), build.power(build.apply("recip", h), 2))

    uvv = build.mul(u, v, v)
    rates = [
        build.add(build.mul(du, lap(u)), build.neg(uvv), build.mul(feed, build.sub(number(1), u))),
        build.add(build.mul(dv, lap(v)), uvv, build.neg(build.mul(build.add(feed, kill), v))),
    ]
    return system([u, v], rates, [(feed, 0.04), (kill, 0.06), (du, 2e-5), (dv, 1e-5)], dims={"x": x, "y": y})


def seed(n):
    """Gray-Scott data: a square in the middle."""
    p = np.arange(n) * 2.5 / n
    inside = (np.abs(p - 1.25) < 0.1)[:, None] & (np.abs(p - 1.25) < 0.1)[None, :]
    return {"u": np.where(inside, 0.5, 1.0), "v": np.where(inside, 0.25, 0.0)}
