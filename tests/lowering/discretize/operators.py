"""Semi-discrete operators of one field on 0..1 with chosen conditions, as matrices."""

from __future__ import annotations

from functools import cache

import numpy as np
from problems import MODES, Problem, number, semidiscrete

from ricci.dsl import build


def conditions_of(problem, field, coordinate, side, kind, values, robin=0):
    """Prescribe the derivatives (along +coordinate) of the orders in `kind`; `robin` adds robin * u to an outward slope."""
    for order in kind:
        term = build.partial(field, coordinate, order) if order else field
        if order == 1 and robin:
            outward = term if side == "hi" else build.neg(term)
            term = build.add(outward, build.scale(robin, field))
        problem.condition(field, coordinate, side, build.sub(term, values(order, side)))


@cache
def program(rates, order, lo, hi, robin=0):
    """dt(u) = sum c dx^n(u) for (n, c) in `rates`, one copy of u per mode; `lo` None is a periodic axis. Data: param g:ORDER:SIDE."""
    problem = Problem(("x", 0, 1, lo is None), order=order)
    u = problem.field("u", family={"mode": MODES})
    for side, kind in (("lo", lo), ("hi", hi)):
        if kind is not None:
            values = {(m, side): problem.param(f"g:{m}:{side}", (), number(0)) for m in kind}
            conditions_of(problem, u, "x", side, kind, lambda m, s, values=values: values[m, s], robin)
    rates_at = [problem.param(f"c:{n}", (), number(c)) for n, c in rates]
    problem.evolve(u, build.add(*[build.mul(c, build.partial(u, "x", n)) for c, (n, _) in zip(rates_at, rates, strict=True)]))
    return problem.discretize()


def operator(rates, order, lo, hi, n, data=None, robin=0, scales=None):
    """(A, b, x): du/dt = A u + b on the state's nodes x. `data(order, x)` gives the exact derivatives at the sides."""
    lowered = program(tuple(rates), order, lo, hi, robin)
    known = {f"c:{m}": float(c) for m, c in (scales or rates)}
    for side, kind, at in (("lo", lo, 0.0), ("hi", hi, 1.0)):
        for m in kind or ():
            value = 0.0 if data is None else float(data(m, at))
            if m == 1 and robin and data is not None:
                value = (value if side == "hi" else -value) + robin * float(data(0, at))
            known[f"g:{m}:{side}"] = value
    removed = sum(int(kind is not None and kind[:1] == (0,)) for kind in (lo, hi))
    size = n - removed
    found = semidiscrete(lowered, x=n, mode=size + 1, **known)
    units = np.vstack([np.zeros(size), np.eye(size)])
    state = {"u": units, "t": 0.0, **found.values}
    values = found.call("rhs", state)["u"]
    b = values[0]
    points = found.points("x")
    first = int(lo is not None and lo[:1] == (0,))
    return (values[1:] - b).T, b, points[first : first + size]


def steady_errors(derivative, sign, order, lo, hi, grids, exact, robin=0, shift=1.0):
    """Largest errors of sign * u^(d) - shift * u = f with exact side data on each grid; `exact(order, x)` gives derivatives."""
    errors = []
    for n in grids:
        a, b, x = operator(((derivative, sign),), order, lo, hi, n, exact, robin)
        f = sign * exact(derivative, x) - shift * exact(0, x)
        solution = np.linalg.solve(a - shift * np.eye(len(x)), f - b)
        errors.append(np.abs(solution - exact(0, x)).max())
    return errors


def wave(frequency, phase=0.4):
    """Derivatives of sin(frequency * x + phase)."""
    return lambda order, x: frequency**order * np.sin(frequency * np.asarray(x) + phase + order * np.pi / 2)
