"""Equations without a stable scheme: waves whose growth rate rises without bound as the grid gets finer.

The wave exp(i phi), phi = pi/8 times a sum of node numbers, is sixteen grid steps long: short, and still seen right by difference
formulas. Where coefficients are smooth the Jacobian multiplies it, at each point, by a matrix over the components: the *symbol* at
this wave. The largest real part of its eigenvalues is the rate at which the wave grows there. Reactions, instabilities with a shortest wave length (Kuramoto-Sivashinsky,
Cahn-Hilliard) and waves that travel have rates that are bounded on all grids; those of `dt(u) = -dxx(u)` rise like n^2.

A first look at the grid of the run finds no growth for most equations. Otherwise grids of increasing fineness are tried, along
one axis or two at a time, data and coefficients carried over. Rates are taken where 9 of 10 points have smaller ones, states of
nonlinear equations are smoothed first: a jump in the data is a steep slope on every grid.

Conditions on the wrong sides of a line make waves grow there, where no symbol sees them. Of an odd order from 3 on, like
`dt(u) = -dxxx(u)`, all eigenvalues are computed on three coarse grids. (Closures of even orders are known to be stable; of
order 1 the side through which a field enters is known.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import log, prod
from typing import Any

import numpy as np

from ricci.dsl.check.equations import space_orders
from ricci.dsl.model import Model
from ricci.dsl.program import Program, State
from ricci.errors import CannotLower, CheckFailed, Diagnostic
from ricci.lowering.integrate.spectrum import Array, Jacobian, named_call, start_values
from ricci.lowering.integrate.system import System
from ricci.lowering.windows import grid_axis

FIRST_LOOK = 20_000  # values of all states in the first look; larger grids are made coarser
FINEST = 262_144  # values of one state on the finest grid tried
COARSEST = 64  # points along the axes of a wave on the coarsest grid tried
REFINED = 2  # from one grid to the next
ACROSS = 12  # points along all other axes
MOST_COMPONENTS = 16
MOST_POINTS = 200  # at which symbols are taken
EDGE = 10  # nodes next to sides whose formulas are others
NOTICED = 1e-6  # growth below this part of the largest rate is rounding
GROWS = 0.7  # power of n from which rates are unbounded
PART = 0.02  # of the largest rate that the growth has, on the finest grid
COARSE = (16, 32, 64)  # points of a line on which all eigenvalues are computed
STEEP = 1.5  # power of n from which growth at sides is unbounded
WINDOW = 16  # states are smoothed over this part of an axis

LENGTH = 16  # grid steps in a wave
COSINE, SINE = np.cos(2 * np.pi / LENGTH * np.arange(LENGTH)), np.sin(2 * np.pi / LENGTH * np.arange(LENGTH))
Direction = Mapping[str, int]  # per grid axis: 0, 1 or -1
Component = tuple[int, tuple[int, ...], complex]  # state, index along its inner axes, unit (1, or i for the imaginary part)


@dataclass(frozen=True)
class Growth:
    """`field` has waves along `axes` that grow at a rate like n^`power`. `rates`: (points along each of the axes, rate) of two grids.

    `always`: the equations are linear, so that what holds at the start holds at all times.
    """

    field: str
    axes: tuple[str, ...]
    power: int
    rates: tuple[tuple[int, float], ...]
    always: bool


def ill_posed(model: Model, program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> list[Diagnostic]:
    """E0502 for linear equations whose solution does not depend on their data continuously; a warning where that holds at the start."""
    look = _Look.of(program, values, sizes)
    if look is None:
        return []
    _fed(model, look)
    sides = _growth_at_sides(model, look)
    if sides is not None:
        return _refused(model, sides, f"`{sides.field}` grows at a side of `{sides.axes[0]}`", SIDES)
    growth = _unbounded_growth(look)
    if growth is None:
        return []
    where = " and ".join(f"`{a}`" for a in growth.axes)
    return _refused(model, growth, f"`{growth.field}` has waves along {where} that grow", SIGNS)


SIGNS = (
    "ill-posed: a sign may be wrong",
    "`dt(u) = k*dxx(u)` and `dt(u) = -k*dxxxx(u)` smooth for k > 0, `dtt(u) = k*dxx(u)` has waves that do not grow",
)
SIDES = (
    "ill-posed: its conditions may be on the wrong sides",
    "`dt(u) = -dxxx(u)` takes one condition at the lower side and two at the upper one, `dt(u) = dxxx(u)` the other way round",
)


def _refused(model: Model, growth: Growth, what: str, why: tuple[str, str]) -> list[Diagnostic]:
    """E0502, or the warning where an equation is ill-posed at the start."""
    equation = next((e for e in model.equations if e.determines == growth.field), None)
    (n, rate), (more, faster) = growth.rates
    message = f"{what} the faster the finer the grid is: no step is stable"
    span = equation.span if equation else None
    label, remark = why
    wave = "" if why is SIDES else f"a wave of {LENGTH} grid steps grows "
    notes = (f"on {n} points {wave}at the rate {rate:.3g}, on {more} points at {faster:.3g}, like n^{growth.power}", remark)
    if growth.always:
        raise CannotLower("E0502", message, span, label=label, notes=notes)
    return [Diagnostic("W0507", message + ", at the initial data", span, label, notes=notes)]


def _growth_at_sides(model: Model, look: _Look) -> Growth | None:
    """What the eigenvalues of a line with an equation of odd order show on three grids."""
    if len(look.axes) != 1 or look.periodic(model, look.axes[0]):
        return None
    (axis,) = look.axes
    orders = [space_orders(e.residual, model.fields[e.determines].symbol).get(axis, 0) for e in model.equations if e.time_order]
    least = look.program.dims[axis].lower
    if max(orders, default=0) < 3 or max(orders) % 2 == 0 or least > COARSE[0]:
        return None
    found = [look.rightmost({axis: n}) for n in COARSE]
    powers = [_power(a.growth, b.growth, n, m) for (a, n), (b, m) in pairwise(zip(found, COARSE, strict=True))]
    last = found[-1]
    if min(powers) < STEEP or max(powers) > 9 or not last.growth > 1e-3 * last.modulus:
        return None
    field = look.program.states[last.state].field
    rates = ((COARSE[1], found[1].growth), (COARSE[2], last.growth))
    return Growth(field, (axis,), round(powers[-1]), rates, System(look.program).is_linear)


def _fed(model: Model, look: _Look) -> None:
    """E0301 where a linear transport enters through the side of a coordinate that has no condition: its one condition is on the other."""
    if not System(look.program).is_linear:
        return
    for equation in model.equations:
        field = model.fields[equation.determines]
        states = [k for k in look.states if look.program.states[k].field == field.name]
        orders = space_orders(equation.residual, field.symbol)
        for axis in [a for a in look.axes if orders.get(a) == 1 and equation.time_order == 1 and len(states) == 1]:
            conditions = [c for c in model.conditions if c.field == field.name and c.coordinate == axis]
            if len(conditions) != 1:
                continue
            (given,) = conditions
            free = "lo" if given.side == "hi" else "hi"
            inward = look.speeds(states[0], axis, free) * (1 if free == "lo" else -1)
            if np.mean(inward > NOTICED * np.max(np.abs(inward), initial=1e-300)) > 0.9:
                text = given.span.text if given.span else ""
                here, there = f"{axis}.{given.side}", f"{axis}.{free}"
                raise CheckFailed(
                    "E0301",
                    f"`{field.name}` enters through {there}, which has no condition; its one condition along `{axis}` is on {here}",
                    given.span,
                    label="here it leaves the domain",
                    help=text.replace(here, there) if text.count(here) == 1 else "",
                )


@dataclass(frozen=True)
class Rate:
    """Growth rate of a wave on one grid and the largest modulus of a rate there; `state` has most of the growing wave."""

    growth: float
    modulus: float
    state: int


def unbounded_growth(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> Growth | None:
    """The wave that shows that the program, which has `rhs_tangent`, is ill-posed at its initial data; None if there is none for sure."""
    look = _Look.of(program, values, sizes)
    return _unbounded_growth(look) if look else None


def _unbounded_growth(look: _Look) -> Growth | None:
    coarse = look.shrunk()
    if not any(_noticed(look.rate(coarse, direction)) for direction in look.directions()):
        return None
    single: dict[str, float] = {}
    for direction in look.directions():
        axes = tuple(a for a, k in direction.items() if k)
        found = look.refined(direction)
        if len(found) < 2 or not found[-1][1].modulus > 0:
            continue
        (n_before, before), (n, last) = found[-2:]
        if len(axes) == 1:
            single[axes[0]] = _power(before.modulus, last.modulus, n_before, n)
        power = _power(before.growth, last.growth, n_before, n)
        steadier = max((single.get(a, 0.0) for a in axes), default=0.0)  # a term of higher order that this grid does not show
        if all(_noticed(r) for _, r in found) and GROWS < power < 9 and power > steadier - 0.5 and _keeps_its_part(found):
            field = look.program.states[last.state].field
            rates = tuple((points, r.growth) for points, r in found[:2])
            return Growth(field, axes, round(power), rates, System(look.program).is_linear)
    return None


def _noticed(rate: Rate) -> bool:
    return rate.growth > NOTICED * rate.modulus


def _keeps_its_part(found: Sequence[tuple[int, Rate]]) -> bool:
    """The growth is a fair part of all rates, and not a smaller one on finer grids."""
    before, last = (r.growth / r.modulus for _, r in found[-2:])
    return last > PART and last > 0.9 * before


def _power(before: float, after: float, n_before: int, n: int) -> float:
    """p of a quantity that goes like n^p; 0 where it does not grow."""
    return log(after / before) / log(n / n_before) if after > before > 0 else 0.0


@dataclass(frozen=True)
class _Look:
    """What the rates are taken of: the states that live on all grid axes together, on grids of any size."""

    program: Program
    values: Mapping[str, Any]
    sizes: Mapping[str, int]
    axes: tuple[str, ...]
    states: tuple[int, ...]

    @staticmethod
    def of(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> _Look | None:
        grids = [tuple(sorted({grid_axis(a)[0] for a in s.symbol.axes} & set(program.coordinates))) for s in program.states]
        axes = max(grids, key=len, default=())
        if not axes or any(sizes.get(a, 0) < 3 for a in axes):
            return None
        states = tuple(k for k, own in enumerate(grids) if own == axes)
        look = _Look(program, values, sizes, axes, states)
        parts = sum(prod(look.inner(program.states[k], sizes)) * (1 + (program.states[k].symbol.kind > 2)) for k in states)
        return look if parts <= MOST_COMPONENTS else None

    def inner(self, state: State, sizes: Mapping[str, int]) -> list[int]:
        """Extents of the axes that are no coordinates: components of a family."""
        return [n.evaluate(sizes) for a, n in state.symbol.axes.items() if grid_axis(a)[0] not in self.axes]

    def periodic(self, model: Model, axis: str) -> bool:
        return any(c.periodic for d in model.domains.values() for c in d.coordinates if c.name == axis)

    def rightmost(self, grid: Mapping[str, int]) -> Rate:
        """The eigenvalue of largest real part of all states together on a coarse grid."""
        sizes = {**self.sizes, **grid}
        at = Jacobian(self.program, self._data(sizes), sizes)
        matrix = at.matrix()
        if not np.isfinite(matrix).all():
            return Rate(0.0, 0.0, 0)
        values, vectors = np.linalg.eig(matrix)
        k = int(np.argmax(values.real))
        return Rate(float(values[k].real), float(np.abs(values).max()), at.state_of(vectors[:, k]))

    def directions(self) -> list[Direction]:
        """Along every axis, then along the diagonals of every two."""
        single = [{a: int(a == b) for a in self.axes} for b in self.axes]
        double = [{a: 1 if a == b else sign if a == c else 0 for a in self.axes} for b, c in combinations(self.axes, 2) for sign in (1, -1)]
        return [*single, *double]

    def shrunk(self) -> dict[str, int]:
        """The grid of the run, or a coarser one."""
        points = prod(self.sizes[a] for a in self.axes) * len(self.states)
        factor = min(1.0, (FIRST_LOOK / points) ** (1 / len(self.axes)))
        return {a: max(int(self.sizes[a] * factor), min(self.sizes[a], COARSEST)) for a in self.axes}

    def refined(self, direction: Direction) -> list[tuple[int, Rate]]:
        """Rates of a wave on finer and finer grids: (points along each of its axes, rate)."""
        along = [a for a, k in direction.items() if k]
        across = {a: max(ACROSS, self.program.dims[a].lower) for a in self.axes if a not in along}
        n, found = max([COARSEST, *(self.program.dims[a].lower for a in along)]), []
        while n ** len(along) * prod(across.values()) <= FINEST:
            found.append((n, self.rate({**across, **dict.fromkeys(along, n)}, direction)))
            growths = [r.growth for _, r in found[-2:]]
            if not _noticed(found[-1][1]) or (len(growths) > 1 and growths[1] < growths[0] * REFINED**GROWS):
                break
            n *= REFINED
        return found

    def rate(self, grid: Mapping[str, int], direction: Direction) -> Rate:
        """The rate of the wave on a grid: that of the symbol where 9 of 10 points have a smaller one."""
        sizes = {**self.sizes, **grid}
        values = self._data(sizes)
        points = self._points(sizes)
        columns = [self._column(c, values, sizes, direction, points) for c in self._components(sizes)]
        symbols = np.array(columns).T  # points, rows, columns
        symbols = symbols[np.isfinite(symbols).all(axis=(1, 2))]
        if not len(symbols):
            return Rate(0.0, 0.0, 0)
        eigenvalues, vectors = np.linalg.eig(symbols)
        fastest = np.argmax(eigenvalues.real, axis=1)
        growths = np.take_along_axis(eigenvalues.real, fastest[:, None], 1)[:, 0]
        place = int(np.argsort(growths)[int(0.9 * (len(growths) - 1))])
        row = int(np.argmax(np.abs(vectors[place][:, fastest[place]])))
        modulus = float(np.quantile(np.abs(eigenvalues).max(axis=1), 0.9))
        return Rate(float(growths[place]), modulus, list(self._components(sizes))[row][0])

    def _data(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        """Arguments and smoothed states on another grid; arrays given on the grid of the run are read at the nearest point."""
        values = dict(self.values)
        for a in self.program.arguments:
            if a.name in values and any(grid_axis(axis)[0] in self.axes for axis in a.symbol.axes):
                array = np.asarray(values[a.name])
                for k, extent in enumerate(n.evaluate(sizes) for n in a.symbol.axes.values()):
                    if array.shape[k] not in (extent, 0):
                        array = array.take(np.round(np.linspace(0, array.shape[k] - 1, extent)).astype(int), axis=k)
                values[a.name] = array
        values = start_values(self.program, values, sizes)
        for state in self.program.states:
            for k, axis in enumerate(state.symbol.axes):
                if grid_axis(axis)[0] in self.axes:
                    values[state.name] = _smoothed(np.asarray(values[state.name]), k)
        return values

    def _components(self, sizes: Mapping[str, int]) -> Iterator[Component]:
        for k in self.states:
            state = self.program.states[k]
            for inner in np.ndindex(*self.inner(state, sizes)):
                yield k, inner, 1.0
                if state.symbol.kind > 2:
                    yield k, inner, 1j

    def _column(
        self,
        component: Component,
        values: Mapping[str, Any],
        sizes: Mapping[str, int],
        direction: Direction,
        points: Sequence[Array],
    ) -> Array:
        """The column of the symbol of one component: rows by sample points."""
        phase = np.zeros(points[0].shape, dtype=int)
        for axis, step in direction.items():
            phase = phase + step * points[self.axes.index(axis)]
        answers: list[Array] = []
        for table in (COSINE, SINE):
            wave = self._wave(*component, direction, table, values)
            parts = named_call(self.program.functions["rhs_tangent"], {**values, **wave}, sizes)
            answers.append(np.array([self._taken(parts, *c, points, sizes) for c in self._components(sizes)]))
        return np.asarray((answers[0] + 1j * answers[1]) * (COSINE[phase % LENGTH] - 1j * SINE[phase % LENGTH]))

    def speeds(self, state: int, axis: str, side: str) -> Array:
        """Speeds, in nodes per time, at which waves of a state travel along an axis near one of its sides."""
        sizes = {**self.sizes, **{a: max(ACROSS, self.program.dims[a].lower) for a in self.axes}}
        sizes[axis] = max(256, self.program.dims[axis].lower)
        points = self._points(sizes)
        points[self.axes.index(axis)] = np.full_like(points[0], EDGE if side == "lo" else sizes[axis] - 1 - EDGE)
        components = list(self._components(sizes))
        direction = {a: int(a == axis) for a in self.axes}
        values = self._data(sizes)
        own = [k for k, c in enumerate(components) if c[0] == state]
        return np.concatenate([-self._column(components[k], values, sizes, direction, points)[k].imag for k in own])

    def _wave(
        self, k: int, inner: tuple[int, ...], unit: complex, direction: Direction, table: Array, values: Mapping[str, Any]
    ) -> dict[str, Array]:
        """Directions of differentiation: the wave in one component, nothing in all others."""
        parts = {f"d:{s.name}": np.zeros_like(values[s.name]) for s in self.program.states}
        state = self.program.states[k]
        shape = np.shape(values[state.name])
        phase: Array = np.zeros((1,) * len(shape), dtype=int)
        for place, (axis, n) in enumerate(zip(state.symbol.axes, shape, strict=True)):
            name, first = grid_axis(axis)
            if name in self.axes:
                phase = phase + direction[name] * (np.arange(n) + first).reshape([-1 if j == place else 1 for j in range(len(shape))])
        chosen = iter(inner)
        at = tuple(slice(None) if grid_axis(a)[0] in self.axes else next(chosen) for a in state.symbol.axes)
        whole = np.broadcast_to(table[phase % LENGTH], shape)
        part = parts[f"d:{state.name}"]
        part[at] = whole[at] * (unit if np.iscomplexobj(part) else 1.0)
        return parts

    def _taken(
        self, parts: Sequence[Array], k: int, inner: tuple[int, ...], unit: complex, points: Sequence[Array], sizes: Mapping[str, int]
    ) -> Array:
        """The answer of one component at the sample points."""
        state = self.program.states[k]
        array = np.broadcast_to(parts[k], [n.evaluate(sizes) for n in state.symbol.axes.values()])
        chosen = iter(inner)
        at = []
        for axis in state.symbol.axes:
            name, first = grid_axis(axis)
            at.append(points[self.axes.index(name)] - first if name in self.axes else next(chosen))
        found = array[tuple(at)]
        return np.asarray(found.imag if unit == 1j else found.real)

    def _points(self, sizes: Mapping[str, int]) -> list[Array]:
        """Node numbers of the sample points, one array per grid axis."""
        each = max(3, int(MOST_POINTS ** (1 / len(self.axes))))
        lanes = []
        for a in self.axes:
            edge = min(EDGE, (sizes[a] - 1) // 8)
            lanes.append(np.unique(np.linspace(max(edge, 1), sizes[a] - 1 - max(edge, 1), each).round().astype(int)))
        return [np.ravel(p) for p in np.meshgrid(*lanes, indexing="ij")]


def _smoothed(array: Array, axis: int) -> Array:
    """Twice the mean over a window of a sixteenth of the axis, cut at its ends."""
    n = array.shape[axis]
    half = n // (2 * WINDOW)
    if half == 0:
        return array
    array = np.moveaxis(array, axis, 0)
    low, high = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
    for _ in range(2):
        sums = np.concatenate([np.zeros_like(array[:1]), np.cumsum(array, axis=0)])
        array = (sums[high] - sums[low]) / (high - low).reshape(-1, *(1,) * (array.ndim - 1))
    return np.moveaxis(array, 0, axis)
