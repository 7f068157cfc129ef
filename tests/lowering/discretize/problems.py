"""Small models built from terms, and their semi-discrete systems as numpy functions and matrices."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ricci.dsl import build, reference
from ricci.dsl.model import Call, Condition, Coordinate, Domain, Equation, Field, Initial, Model, Option, Param, Solve, Unit
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.discretize import discretize


def number(value):
    """A real constant; floats are taken exactly."""
    return build.const(Fraction(value), Kind.REAL)


def dn(term, coordinate, side):
    """Outward normal derivative."""
    derivative = build.partial(term, coordinate, 1)
    return derivative if side == "hi" else build.neg(derivative)


class Problem:
    """A model on a box, filled step by step: coordinates (name, lo, hi, periodic), then fields, equations and conditions."""

    def __init__(self, *coordinates, order=2, sizes=None):
        self.model = Model("problem", "", None)
        self.axes = {}
        made = []
        for name, lo, hi, periodic in coordinates:
            made.append(Coordinate(name, number(lo), number(hi), periodic, Unit()))
            self.axes[name] = Size.of(Dim(name))
        self.model.domains["D"] = Domain("D", tuple(made))
        self.model.dims.update({name: Dim(name) for name in self.axes})
        grid = tuple((name, build.const(n)) for name, n in (sizes or dict.fromkeys(self.axes, 64)).items())
        space = Call("fd", (), (("order", build.const(order)),))
        self.model.solves.append(
            Solve("", "", (Option("grid", (), grid), Option("space", (space,)), Option("until", (), (("t", number(1)),))))
        )

    def coordinate(self, name):
        return build.symbol(name, Type(Kind.REAL, {name: self.axes[name]}))

    def field(self, name, kind=Kind.REAL, family=None, domain="D"):
        axes = {**(self.axes if domain else {}), **(family or {})}
        symbol = build.symbol(name, Type(kind, axes))
        self.model.fields[name] = Field(name, symbol, domain, tuple(axes), Unit())
        return symbol

    def param(self, name, axes=(), value=None):
        symbol = build.symbol(name, Type(Kind.REAL, {a: self.axes[a] for a in axes}))
        self.model.params[name] = Param(name, symbol, tuple(axes), value, None, Unit())
        return symbol

    def equation(self, field, left, right, time_order=1):
        name = name_of(field)
        self.model.equations.append(Equation("", build.sub(left, right), name, time_order, (), f"equation of {name}"))

    def evolve(self, field, right, time_order=1):
        self.equation(field, build.partial(field, "t", time_order), right, time_order)

    def condition(self, field, coordinate, side, residual):
        rank = len(self.model.conditions)
        self.model.conditions.append(Condition(name_of(field), coordinate, side, residual, f"{name_of(field)} on {side}", rank))

    def start(self, field, value, time_order=0):
        self.model.initials.append(Initial(name_of(field), time_order, value, "initial"))

    def start_at_zero(self):
        for equation in self.model.equations:
            for order in range(equation.time_order):
                self.start(self.model.fields[equation.determines].symbol, number(0), order)

    def discretize(self):
        if not self.model.initials:
            self.start_at_zero()
        return discretize(self.model)


@dataclass
class Semidiscrete:
    """y' = f(t, y) of a program with bound sizes and params; y is the concatenation of the states."""

    program: object
    sizes: dict
    values: dict

    @property
    def shapes(self):
        return [tuple(s.evaluate(self.sizes) for s in state.symbol.axes.values()) for state in self.program.states]

    def split(self, y):
        parts, at = {}, 0
        for state, shape in zip(self.program.states, self.shapes, strict=True):
            n = int(np.prod(shape))
            parts[state.name] = np.asarray(y[at : at + n]).reshape(shape)
            at += n
        return parts

    def call(self, name, known):
        function = self.program.functions[name]
        results = reference.call(function, [known[name_of(p)] for p in function.params], self.sizes)
        return dict(zip((n for n, _ in function.results), results, strict=True))

    def rhs(self, t, y):
        found = self.call("rhs", {**self.values, **self.split(y), "t": t})
        return np.concatenate([np.ravel(found[s.name]) for s in self.program.states])

    def start(self):
        found = self.call("initial", self.values)
        return np.concatenate([np.ravel(found[s.name]) for s in self.program.states])

    def final(self, t, y):
        return self.call("final", {**self.values, **self.split(y), "t": t})

    def points(self, coordinate):
        return reference.evaluate([self.program.coordinates[coordinate]], self.values, self.sizes)[0]

    def linear(self, t=0.0):
        """(A, b) with f(t, y) = A y + b, for a linear system."""
        n = sum(int(np.prod(s)) for s in self.shapes)
        b = self.rhs(t, np.zeros(n))
        columns = [self.rhs(t, unit) - b for unit in np.eye(n)]
        return np.array(columns).T, b


def semidiscrete(problem, **sizes_and_values):
    sizes = {k: v for k, v in sizes_and_values.items() if isinstance(v, int)}
    values = {k: np.asarray(v) for k, v in sizes_and_values.items() if not isinstance(v, int)}
    program = problem if not isinstance(problem, Problem) else problem.discretize()
    return Semidiscrete(program, sizes, values)


MODES = Size.of(Dim("mode"))


def batched_linear(found, t=0.0):
    """(A, b) as `linear`, for a program with one state that has the family axis `mode`: all columns in one evaluation."""
    (state,) = found.program.states
    names = [name for name in state.symbol.axes if name != "mode"]
    where = list(state.symbol.axes).index("mode")
    shape = tuple(state.symbol.axes[name].evaluate(found.sizes) for name in names)
    n = int(np.prod(shape))
    sized = Semidiscrete(found.program, {**found.sizes, "mode": n + 1}, found.values)
    units = np.vstack([np.zeros(n), np.eye(n)]).reshape(n + 1, *shape)
    known = {**found.values, state.name: np.ascontiguousarray(np.moveaxis(units, 0, where)), "t": t}
    rates = np.moveaxis(sized.call("rhs", known)[state.name], where, 0).reshape(n + 1, n)
    return (rates[1:] - rates[0]).T, rates[0]


def slopes(errors, spacings):
    """Measured orders between successive grids."""
    return np.diff(np.log(errors)) / np.diff(np.log(spacings))


def measured_order(errors, spacings):
    """Slope of the line fitted to log(error) over log(spacing)."""
    return np.polyfit(np.log(spacings), np.log(errors), 1)[0]
