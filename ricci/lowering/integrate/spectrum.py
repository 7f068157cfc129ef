"""Rates of a right-hand side at a state: the eigenvalue of largest modulus of its Jacobian, and how fast smooth data change.

Small systems: all eigenvalues of the dense Jacobian. Large ones: the Ritz value of largest modulus of Arnoldi's iteration, which begins with a sum of
oscillating patterns and of one fixed irregular vector. (Power steps see less than the largest value of coefficients that vary in space.)
Large grids are measured on three coarse ones; a + b n^p through the three, n the intervals along an axis, extends them to the real size.

Source: Saad, Numerical Methods for Large Eigenvalue Problems (2011), section 6.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ricci.dsl import reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Program
from ricci.dsl.term import Function
from ricci.dsl.types import Kind
from ricci.lowering.integrate.system import decays

Array = np.ndarray[Any, Any]
DENSE = 48  # unknowns up to which the Jacobian is formed
FOLLOWED = 20  # unknowns up to which the slow solution is followed, to see stiffness that the initial data hide
ABOUT_AS_NEAR = 0.03  # of the largest rate, by which fits of rates on coarse grids may differ from the best
KRYLOV = 16  # products with the Jacobian of a large system
VECTORS = 400_000_000  # bytes that the vectors of the iteration may take
FEWEST = 4  # of them however large the system
LARGE = 60_000  # unknowns above which coarse grids stand for the real one


@dataclass(frozen=True)
class Rates:
    """`fastest`: eigenvalue of largest modulus (complex); `smooth`: of smooth perturbations that do not just die out; `initial`: of the
    data themselves; all 1/time. `state`: index of the state in which the fastest mode lives."""

    fastest: complex
    smooth: float
    initial: float
    state: int = 0


def named_call(function: Function, values: Mapping[str, Any], sizes: Mapping[str, int]) -> list[Array]:
    """Results of a function whose parameters are found by name."""
    arguments = [values[name_of(p)] for p in function.params]
    with np.errstate(all="ignore"):
        return [np.asarray(r) for r in reference.call(function, arguments, dict(sizes))]


def start_values(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """The values with the states at the start and t = 0."""
    function = program.functions["initial"]
    states = named_call(function, {**values, "t": 0.0}, sizes)
    return {**values, **dict(zip((n for n, _ in function.results), states, strict=True)), "t": 0.0}


def rates(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int], end: float) -> Rates:
    """Rates of the program at its initial data; see the module."""
    unknowns = sum(int(np.prod([s.evaluate(sizes) for s in state.symbol.axes.values()])) for state in program.states)
    if unknowns > LARGE:
        scalable = _scalable(program, values, sizes)
        if scalable:
            return _extrapolated(program, values, sizes, end, scalable, unknowns)
    at = Jacobian(program, start_values(program, values, sizes), sizes)
    return _dense(at, end) if at.size <= DENSE else _iterated(at)


@dataclass
class Jacobian:
    """J d and f at given values, on one flat vector of all states."""

    program: Program
    values: Mapping[str, Any]
    sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        self.states = [np.asarray(self.values[s.name]) for s in self.program.states]
        self.scales = [float(np.max(np.abs(y), initial=0.0)) for y in self.states]
        top = max(self.scales, default=0.0) or 1.0
        self.scales = [s or top for s in self.scales]
        self.size = sum(y.size for y in self.states)
        kinds = [y.dtype for y in self.states]
        self.dtype = np.result_type(float, *kinds)

    def split(self, vector: Array) -> list[Array]:
        """Parts of a flat vector (in units of the scales) as states."""
        parts, first = [], 0
        for y, scale in zip(self.states, self.scales, strict=True):
            part = vector[first : first + y.size].reshape(y.shape) * scale
            parts.append(part if np.iscomplexobj(y) else part.real)
            first += y.size
        return parts

    def join(self, parts: list[Array]) -> Array:
        flat = [np.ravel(np.broadcast_to(p, y.shape)) / s for p, y, s in zip(parts, self.states, self.scales, strict=True)]
        return np.concatenate(flat).astype(self.dtype) if flat else np.zeros(0)

    def times(self, vector: Array) -> Array:
        names = [f"d:{s.name}" for s in self.program.states]
        values = {**self.values, **dict(zip(names, self.split(vector), strict=True))}
        return self.join(named_call(self.program.functions["rhs_tangent"], values, self.sizes))

    def slope(self) -> Array:
        return self.join(named_call(self.program.functions["rhs"], self.values, self.sizes))

    def speed(self) -> float:
        """Largest rate of change of the data, relative to their scales; 0 where it is not finite."""
        speed = float(np.max(np.abs(self.slope()), initial=0.0))
        return speed if np.isfinite(speed) else 0.0

    def matrix(self) -> Array:
        return np.stack([self.times(column) for column in np.eye(self.size, dtype=self.dtype)], axis=1)

    def moved(self, t: float, change: Array) -> Jacobian:
        new = [y + d for y, d in zip(self.states, self.split(change), strict=True)]
        return Jacobian(
            self.program, {**self.values, **{s.name: y for s, y in zip(self.program.states, new, strict=True)}, "t": t}, self.sizes
        )

    def state_of(self, vector: Array) -> int:
        """Index of the state with the largest part of a vector."""
        ends = np.cumsum([y.size for y in self.states])
        parts = [float(np.linalg.norm(p)) for p in np.split(vector, ends[:-1])]
        return int(np.argmax(parts)) if parts else 0


def _dense(at: Jacobian, end: float) -> Rates:
    """All eigenvalues at the start and, for very small systems, along a rough slow solution (linearly implicit Euler)."""
    initial = at.speed()
    fastest, smooth, state = 0j, 0.0, 0
    t = 0.0
    for k in range(12 if at.size <= FOLLOWED else 1):
        matrix = at.matrix()
        if not np.isfinite(matrix).all():
            break
        values, vectors = np.linalg.eig(matrix)
        if values.size:
            best = int(np.argmax(np.abs(values)))
            if abs(values[best]) > abs(fastest):
                fastest, state = complex(values[best]), at.state_of(vectors[:, best])
            if k == 0:
                smooth = max((abs(v) for v in values if not decays(complex(v))), default=0.0)
        dt = end * 10.0 ** (k - 11)
        change = _implicit_step(matrix, at.slope(), dt)
        if change is None:
            break
        t += dt
        at = at.moved(t, change)
    return Rates(fastest, smooth, initial, state)


def _implicit_step(matrix: Array, slope: Array, dt: float) -> Array | None:
    """(1 - dt J)^-1 dt f; None when that leads nowhere."""
    try:
        change = np.linalg.solve(np.eye(len(slope)) - dt * matrix, dt * slope)
    except np.linalg.LinAlgError:
        return None
    return change if np.isfinite(change).all() and np.max(np.abs(change), initial=0.0) < 1e6 else None


def _iterated(at: Jacobian) -> Rates:
    fastest, state = _largest(at)
    return Rates(fastest, _smooth(at), at.speed(), state)


def _beginning(at: Jacobian) -> Array:
    """A vector that excites the extreme modes of difference operators: signs (+-), (++--) along all axes, an irregular one."""

    def pattern(period: int) -> Array:
        parts = []
        for y in at.states:
            signs = np.ones(y.shape)
            for axis, n in enumerate(y.shape):
                lanes = np.where(np.arange(n) % period < period // 2, 1.0, -1.0)
                signs = signs * lanes.reshape([-1 if k == axis else 1 for k in range(y.ndim)])
            parts.append(np.ravel(signs))
        return np.concatenate(parts)

    irregular = np.modf(np.arange(1, at.size + 1) * 0.6180339887498949)[0] - 0.5
    return np.asarray(sum(p / max(float(np.linalg.norm(p)), 1e-300) for p in (pattern(2), pattern(4), irregular)))


def _largest(at: Jacobian) -> tuple[complex, int]:
    """The Ritz value of largest modulus, and the state in which its vector is largest; what is not finite ends the iteration."""
    first = _beginning(at).astype(at.dtype)
    basis = [first / (float(np.linalg.norm(first)) or 1.0)]
    most = min(KRYLOV, max(FEWEST, VECTORS // max(first.nbytes, 1)))
    projected = np.zeros((most, most), at.dtype)
    count = 0
    for k in range(most):
        image = at.times(basis[k])
        size = float(np.linalg.norm(image))
        if not np.isfinite(size):
            break
        for _ in range(2):  # once leaves what rounding does not
            for i, vector in enumerate(basis):
                part = np.vdot(vector, image)
                projected[i, k] += part
                image = image - part * vector
        count = k + 1
        rest = float(np.linalg.norm(image))
        if count == most or rest <= 1e-10 * size:
            break
        projected[k + 1, k] = rest
        basis.append(image / rest)
    if not count:
        return 0j, 0
    values, vectors = np.linalg.eig(projected[:count, :count])
    best = int(np.argmax(np.abs(values)))
    return complex(values[best]), at.state_of(np.asarray(sum(w * v for w, v in zip(vectors[:, best], basis, strict=False))))


def _smooth(at: Jacobian) -> float:
    """Fastest rate of uniform perturbations that do not just die out: eigenvalues of the Jacobian on fields that are constant in space,
    at most points (sides excepted): what is not differences."""
    columns = []
    for k, (y, scale) in enumerate(zip(at.states, at.scales, strict=True)):
        parts = [np.zeros(z.shape) for z in at.states]
        parts[k] = np.full(y.shape, scale)
        answer = at.join([*named_call(at.program.functions["rhs_tangent"], _with(at, parts), at.sizes)])
        ends = np.cumsum([z.size for z in at.states])
        columns.append([_middle(p) for p in np.split(answer, ends[:-1])])
    matrix = np.array(columns).T
    if not np.isfinite(matrix).all():
        return 0.0
    return max((float(abs(v)) for v in np.linalg.eigvals(matrix) if not decays(complex(v))), default=0.0)


def _middle(part: Array) -> complex:
    """Median of the values of a state, real and imaginary parts apart; 0 of none."""
    if not part.size:
        return 0.0
    return complex(np.median(part.real), np.median(part.imag)) if np.iscomplexobj(part) else float(np.median(part))


def _with(at: Jacobian, parts: list[Array]) -> dict[str, Any]:
    return {**at.values, **{f"d:{s.name}": p for s, p in zip(at.program.states, parts, strict=True)}}


def _scalable(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int]) -> list[str]:
    """Dims of grid axes along which given arrays can be sampled: numbers can, positions cannot."""
    grid = {
        d.name
        for axis in program.coordinates
        for s in program.states
        for a, n in s.symbol.axes.items()
        if a.partition(":")[0] == axis
        for d in n.dims
    }
    fixed = {d.name for a in program.arguments for n in a.symbol.axes.values() for d in n.dims if a.symbol.kind == Kind.INT}
    return sorted(d for d in grid - fixed if sizes.get(d, 0) > 16)


def _extrapolated(
    program: Program, values: Mapping[str, Any], sizes: Mapping[str, int], end: float, dims: list[str], unknowns: int
) -> Rates:
    """Rates on grids of 1/4, 1/2 and 1 times a coarse size, extended by the best a + b n^p with a, b >= 0."""
    shrink = (LARGE / unknowns) ** (1 / len(dims))
    samples = []
    for factor in (0.25, 0.5, 1.0):
        coarse = {**sizes, **{d: max(12, int(sizes[d] * shrink * factor)) for d in dims}}
        given = dict(values) | _sampled(program, values, sizes, coarse)
        at = Jacobian(program, start_values(program, given, coarse), coarse)
        samples.append((float(coarse[dims[0]] - 1), _iterated(at)))  # rates follow the distance of points
    n = float(sizes[dims[0]] - 1)
    moduli = np.array([abs(r.fastest) for _, r in samples])
    last = samples[-1][1]
    if moduli[-1] == 0:
        return last
    return Rates(last.fastest * _extended(np.array([m for m, _ in samples]), moduli, n) / moduli[-1], last.smooth, last.initial, last.state)


def _sampled(program: Program, values: Mapping[str, Any], sizes: Mapping[str, int], coarse: Mapping[str, int]) -> dict[str, Array]:
    """Given arrays on the coarse grid: the values at the nearest places."""
    found = {}
    for argument in program.arguments:
        extents = [(n.evaluate(sizes), n.evaluate(coarse)) for n in argument.symbol.axes.values()]
        if argument.name in values and any(fine != few for fine, few in extents):
            places = [np.rint(np.linspace(0, fine - 1, few)).astype(int) for fine, few in extents]
            found[argument.name] = np.asarray(values[argument.name])[np.ix_(*places)]
    return found


def _extended(points: Array, values: Array, n: float) -> float:
    """a + b n^p at n, with p in 1..6 and a, b >= 0 nearest to the values at the points; of those that are about as near, the lowest p.

    What does not grow with the grid, a reaction say, bends the curve through small grids, and a higher p may only follow the bend.
    """
    found: list[tuple[float, float]] = []
    for p in range(1, 7):
        matrix = np.stack([np.ones_like(points), (points / n) ** p], axis=1)
        a, b = np.linalg.lstsq(matrix, values, rcond=None)[0]
        a, b = (0.0, float(values[-1] / (points[-1] / n) ** p)) if a < 0 else (float(values.max()), 0.0) if b < 0 else (a, b)
        found.append((float(np.max(np.abs(a + b * (points / n) ** p - values) / values[-1])), float(a + b)))
    least = min(misfit for misfit, _ in found)
    return next(value for misfit, value in found if misfit <= least + ABOUT_AS_NEAR)
