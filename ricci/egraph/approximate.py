"""Structured approximations of weights, beside the e-graph: facts about arrays, and the cheapest choice under a tolerance.

That W is near to L R is a fact about W, never an equality: `Implementation` rows are measured on the actual array, and the terms
of the space know nothing of them. A choice of one row for every weight is a new function, in which the cores stand in for the
weight by their exact expansion; the optimizer then treats it as any function.

Two figures that are kept apart. `bound` is guaranteed for all inputs: |y~ - y| <= bound * G(x) with the growth G of the function
(sensitivity.py), a product of norms, so it is loose. `calibrated` is measured: the largest |y~ - y| / |y| of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ricci.dsl import build, reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.structures import STRUCTURES, Matrix, Structure
from ricci.dsl.term import Function, Term, substitute, walk
from ricci.egraph.sensitivity import (
    Growth,
    Product,
    Sensitivity,
    Unbounded,
    Use,
    batch_axes,
    combined,
    dependent,
    norm_of_samples,
    spectral_norm,
    uses,
)
from ricci.errors import CannotRun

Array = np.ndarray[Any, Any]

LABELS = 64  # Pareto-optimal labels kept for a term
MEASURED = 24  # choices of the front that are tried on samples
PASSES = 4  # over all weights, to improve a choice
ROUNDING = float(np.finfo(float).eps)
BY = ("bound", "calibrated")


@dataclass(frozen=True, eq=False)
class Implementation:
    """A fact about a weight: with `structure` and `cores` it costs `flops` a vector, at a spectral distance `error` (absolute).

    The weight itself is the row without a structure, of error 0.
    """

    structure: Structure | None
    cores: tuple[Array, ...]
    flops: int
    parameters: int
    error: float

    def __str__(self) -> str:
        return "dense" if self.structure is None else str(self.structure)

    def array(self, weight: Array) -> Array:
        """The matrix [row, column] that it stands for."""
        return weight if self.structure is None else self.structure.dense(self.cores)


def measure(array: Array, matrix: Matrix, structures: Iterable[Structure] | None = None) -> list[Implementation]:
    """The facts about a weight [row, column]: itself, and its projection to every structure (all that could pay), with the distance.

    The distance includes the rounding of the projection: a weight that has a structure exactly has it with a small error.
    """
    tried = list(structures) if structures is not None else [s for kind in STRUCTURES.values() for s in kind.candidates(matrix)]
    found = [Implementation(None, (), matrix.flops, matrix.parameters, 0.0)]
    rounding = ROUNDING * max(matrix.rows, matrix.columns) * spectral_norm(array)
    for structure in tried:
        if structure.flops < matrix.flops:
            cores = structure.project(array)
            error = spectral_norm(array - structure.dense(cores)) + rounding
            found.append(Implementation(structure, cores, structure.flops, structure.parameters, error))
    return found


def useful(rows: Iterable[Implementation]) -> list[Implementation]:
    """The rows that no other beats in operations and error, cheapest first."""
    best = np.inf
    found = []
    for row in sorted(rows, key=lambda r: (r.flops, r.error, str(r))):
        if row.error < best:
            best = row.error
            found.append(row)
    return found


@dataclass(frozen=True)
class Candidate:
    """A weight that may be replaced: its symbol, axes (rows first), and how many vectors it is applied to in one evaluation of a sample."""

    symbol: Term
    matrix: Matrix
    vectors: int
    rows: tuple[Implementation, ...]

    @property
    def dense(self) -> Implementation:
        return next(r for r in self.rows if r.structure is None)


Choice = Mapping[Term, Implementation]  # weights that are not in it stay as they are


@dataclass(frozen=True)
class Selection:
    """A function with chosen implementations of its weights.

    `flops` of the products with the candidates for one sample, `dense_flops` before. `bound` is relative to `growth`; None where no
    bound is known (`unbounded` says through what). `calibrated` is None without samples. `measured` counts all rows that were looked at.
    """

    function: Function
    weights: Mapping[str, Array]
    choice: Choice
    candidates: tuple[Candidate, ...]
    flops: int
    dense_flops: int
    bound: float | None
    growth: Growth | None
    unbounded: str
    calibrated: float | None
    measured: int


@dataclass
class Problem:
    """What is to be approximated: a function, which of its parameters are inputs, the values of the others in canonical order of axes.

    `orders`: declared axes (row, column) of weights that may be replaced. `samples`: values of the inputs, for `calibrated`.
    """

    function: Function
    inputs: Sequence[Term]
    weights: Mapping[Term, Array]
    orders: Mapping[Term, tuple[str, str]]
    sizes: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[Term, Array] | None = None


def approximate(problem: Problem, tol: float, by: str, structures: Callable[[Matrix], Iterable[Structure]] | None = None) -> Selection:
    """The cheapest choice whose `by` figure is at most `tol`; the function itself for tol 0. E0905 where no structure meets it."""
    if tol == 0:
        values = {name_of(s): a for s, a in problem.weights.items()}
        return Selection(problem.function, values, {}, (), 0, 0, 0.0, None, "", 0.0, 0)
    candidates = find_candidates(problem, structures)
    figures = Figures(problem, candidates)
    choice = (_by_bound if by == "bound" else _by_samples)(figures, tol)
    if not any(row.structure is not None for row in choice.values()):
        raise CannotRun("E0905", f"no structure meets the tolerance {tol:g} ({by})", notes=_nearest(figures, by))
    return figures.selection(choice)


def find_candidates(problem: Problem, structures: Callable[[Matrix], Iterable[Structure]] | None = None) -> tuple[Candidate, ...]:
    """Weights that occur only as matrices applied to values that depend on the inputs, with their facts."""
    roots = problem.function.roots
    data = dependent(roots, problem.inputs)
    applied: dict[Term, list[Use]] = {}
    otherwise: set[Term] = set(roots)
    for t in walk(roots):
        if t.op == "contract" and t in data:
            for use in uses(t, data, problem.sizes):
                if use.is_matrix:
                    applied.setdefault(use.factor, []).append(use)
                else:
                    otherwise.add(use.factor)
        else:
            otherwise |= set(t.args)
    found = []
    for symbol, order in problem.orders.items():
        if symbol in applied and symbol not in otherwise:
            (row, rows), (column, columns) = ((axis, symbol.axes[axis].constant) for axis in order)
            if rows is None or columns is None:
                continue
            matrix = Matrix(row, rows, column, columns)
            array = problem.weights[symbol] if row < column else problem.weights[symbol].T
            measured = measure(array, matrix, None if structures is None else structures(matrix))
            found.append(Candidate(symbol, matrix, sum(u.vectors for u in applied[symbol]), tuple(measured)))
    return tuple(found)


class Figures:
    """The figures of choices."""

    def __init__(self, problem: Problem, candidates: Sequence[Candidate]) -> None:
        self.problem, self.candidates = problem, tuple(candidates)
        self.rows = {c.symbol: useful(c.rows) for c in candidates}
        self.exact: dict[Term, Implementation] = {c.symbol: c.dense for c in candidates}
        self.vectors = {c.symbol: c.vectors for c in candidates}
        self.sensitivity: Sensitivity | None = None
        self.unbounded = ""
        try:
            self.sensitivity = Sensitivity(problem.function.roots, problem.inputs, problem.weights, problem.sizes)
        except Unbounded as reason:
            self.unbounded = reason.what
        self._arrays: dict[Implementation, Array] = {}
        self._wanted: list[Array] | None = None

    def flops(self, choice: Choice) -> int:
        """Operations of the products with the candidates, for one sample."""
        return sum(self.vectors[w] * choice.get(w, self.exact[w]).flops for w in self.vectors)

    def bound(self, choice: Choice) -> float:
        assert self.sensitivity is not None
        return self.sensitivity.relative({w: row.error for w, row in choice.items()})

    def calibrated(self, choice: Choice) -> float:
        """The largest |y~ - y| / |y| over the samples; infinite where y~ is not finite, or y is zero and y~ is not."""
        if self._wanted is None:
            self._wanted = self._results({})
        roots = self.problem.function.roots
        batch = batch_axes(roots, self.problem.inputs, dependent(roots, self.problem.inputs))
        worst = 0.0
        for root, wanted, found in zip(roots, self._wanted, self._results(choice), strict=True):
            if not np.isfinite(found).all():
                return float("inf")
            size, off = (norm_of_samples(a, list(root.axes), batch) for a in (wanted, found - wanted))
            ratio = np.divide(off, size, out=np.where(off == 0, 0.0, np.inf), where=size > 0)
            worst = max(worst, float(np.max(ratio, initial=0.0)))
        return worst

    def _results(self, choice: Choice) -> list[Array]:
        problem = self.problem
        assert problem.samples is not None
        values = {**problem.samples, **problem.weights}
        for candidate in self.candidates:
            row = choice.get(candidate.symbol)
            if row is not None and row.structure is not None:
                if row not in self._arrays:
                    array = row.structure.dense(row.cores)
                    self._arrays[row] = array if candidate.matrix.row < candidate.matrix.column else array.T
                values[candidate.symbol] = self._arrays[row]
        with np.errstate(all="ignore"):
            out = reference.call(problem.function, [values[p] for p in problem.function.params], dict(problem.sizes))
        return [np.asarray(a) for a in out]

    def selection(self, choice: Choice) -> Selection:
        """The function in which cores stand in for the chosen weights."""
        problem = self.problem
        weights = {name_of(s): a for s, a in problem.weights.items()}
        replacement: dict[Term, Term] = {}
        params: list[Term] = []
        for p in problem.function.params:
            row = choice.get(p)
            if row is None or row.structure is None:
                params.append(p)
                continue
            del weights[name_of(p)]
            cores = []
            for core, array in zip(row.structure.arrays, row.cores, strict=True):
                symbol = build.symbol(f"{name_of(p)}.{core.name}", core.type(p.kind))
                declared = [axis for axis, _ in core.axes]
                weights[name_of(symbol)] = np.transpose(array, [declared.index(axis) for axis in symbol.axes])
                cores.append(symbol)
            replacement[p] = build.conform(row.structure.expansion(cores), p.type)
            params += cores
        roots = substitute(problem.function.roots, replacement)
        results = tuple((name, root) for (name, _), root in zip(problem.function.results, roots, strict=True))
        return Selection(
            Function(problem.function.name, tuple(params), results),
            weights,
            {w: row for w, row in choice.items() if row.structure is not None},
            self.candidates,
            self.flops(choice),
            self.flops({}),
            self.bound(choice) if self.sensitivity is not None else None,
            self.sensitivity.growth if self.sensitivity is not None else None,
            self.unbounded,
            self.calibrated(choice) if problem.samples is not None else None,
            sum(len(c.rows) for c in self.candidates),
        )


# selection


@dataclass(frozen=True)
class Label:
    """What a term can cost: operations of the chosen rows below it, the relative error that they give, and the rows by weight."""

    flops: int
    error: float
    rows: tuple[tuple[int, int], ...]  # (index of the weight, index of the row), sorted


def pareto(labels: Iterable[Label]) -> list[Label]:
    """Labels that no other beats in operations and error, at most LABELS of them, both ends among these."""
    best = np.inf
    front: list[Label] = []
    for label in sorted(labels, key=lambda x: (x.flops, x.error, x.rows)):
        if label.error < best:
            best = label.error
            front.append(label)
    if len(front) <= LABELS:
        return front
    return [front[round(k * (len(front) - 1) / (LABELS - 1))] for k in range(LABELS)]


def labels_of(figures: Figures) -> list[Label]:
    """Pareto-optimal labels of all results together: term by term, a weight that is used twice chosen once."""
    sensitivity = figures.sensitivity
    assert sensitivity is not None
    order = list(figures.rows)
    number = {w: k for k, w in enumerate(order)}
    prices = [[figures.vectors[w] * row.flops for row in figures.rows[w]] for w in order]

    def flops(rows: Mapping[int, int]) -> int:
        return sum(prices[k][j] for k, j in rows.items())

    known: dict[Term, list[Label]] = {}
    start = [Label(0, 0.0, ())]
    for t, step in sensitivity.steps.items():
        sources = [step.source] if isinstance(step, Product) else [part for part, _, _ in step.parts]
        own = [w for w, _ in step.weights if w in number] if isinstance(step, Product) else []
        found: list[Label] = []
        for rows, relative in _joined([known.get(s, start) for s in sources]):
            for chosen in _with_rows(rows, [(number[w], len(figures.rows[w])) for w in own]):
                errors = {w: figures.rows[w][chosen[number[w]]].error for w in own}
                found.append(Label(flops(chosen), combined(step, relative, errors), tuple(sorted(chosen.items()))))
        known[t] = pareto(found)
    total = []
    for rows, relative in _joined([known.get(r, start) for r in sensitivity.roots]):
        total.append(Label(flops(rows), max(relative, default=0.0), tuple(sorted(rows.items()))))
    return pareto(total)


def _joined(labels: Sequence[Sequence[Label]]) -> list[tuple[dict[int, int], list[float]]]:
    """Combinations of labels that agree about the rows of weights."""
    joined: list[tuple[dict[int, int], list[float]]] = [({}, [])]
    for listed in labels:
        more = []
        for rows, errors in joined:
            for label in listed:
                own = dict(label.rows)
                if all(rows.get(k, j) == j for k, j in own.items()):
                    more.append(({**rows, **own}, [*errors, label.error]))
        joined = _thinned(more)
    return joined


def _thinned(joined: list[tuple[dict[int, int], list[float]]]) -> list[tuple[dict[int, int], list[float]]]:
    """At most LABELS^2 of them, evenly, the last one (all exact) among these."""
    most = LABELS * LABELS
    if len(joined) <= most:
        return joined
    return [joined[round(k * (len(joined) - 1) / (most - 1))] for k in range(most)]


def _with_rows(rows: dict[int, int], weights: Sequence[tuple[int, int]]) -> list[dict[int, int]]:
    """All choices for weights (number, how many rows) that are not chosen yet."""
    out = [rows]
    for k, count in weights:
        out = [r if k in r else {**r, k: j} for r in out for j in ([r[k]] if k in r else range(count))]
    return out


def _by_bound(figures: Figures, tol: float) -> Choice:
    if figures.sensitivity is None:
        note = 'the other figure is measured: by="calibrated" with samples'
        raise CannotRun("E0906", f"no bound is known through {figures.unbounded}", notes=(note,))
    fitting = [label for label in labels_of(figures) if label.error <= tol]
    choice = _choice(figures, min(fitting, key=lambda x: (x.flops, x.error, x.rows))) if fitting else dict(figures.exact)
    return improved(figures, choice, lambda c: figures.bound(c) <= tol)


def _choice(figures: Figures, label: Label) -> dict[Term, Implementation]:
    order = list(figures.rows)
    return {**figures.exact, **{order[k]: figures.rows[order[k]][j] for k, j in label.rows}}


def _by_samples(figures: Figures, tol: float) -> Choice:
    """By the errors of single rows, each measured alone and added up, a front of choices; of these the cheapest that measures well."""
    order = list(figures.rows)
    front = [Label(0, 0.0, ())]
    for k, w in enumerate(order):
        alone = [0.0 if row.structure is None else figures.calibrated({w: row}) for row in figures.rows[w]]
        price = [figures.vectors[w] * row.flops for row in figures.rows[w]]
        front = pareto(
            Label(x.flops + price[j], x.error + e, (*x.rows, (k, j))) for x in front for j, e in enumerate(alone) if np.isfinite(e)
        )
    low, high = 0, len(front) - 1  # the last one is exact; cheaper ones err more, as a rule
    best = dict(figures.exact)
    for _ in range(MEASURED):
        if low > high:
            break
        middle = (low + high) // 2
        choice = _choice(figures, front[middle])
        if figures.calibrated(choice) <= tol:
            best, high = (choice if figures.flops(choice) <= figures.flops(best) else best), middle - 1
        else:
            low = middle + 1
    return improved(figures, best, lambda c: figures.calibrated(c) <= tol)


def improved(figures: Figures, choice: dict[Term, Implementation], fits: Callable[[Choice], bool]) -> Choice:
    """Every weight in turn by its cheapest row with which the whole still fits, until nothing changes."""
    for _ in range(PASSES):
        changed = False
        for w in sorted(figures.rows, key=lambda w: (-figures.vectors[w] * choice[w].flops, name_of(w))):
            for row in figures.rows[w]:
                if row.flops >= choice[w].flops:
                    break
                if fits({**choice, w: row}):
                    choice, changed = {**choice, w: row}, True
                    break
        if not changed:
            break
    return choice


def _nearest(figures: Figures, by: str) -> tuple[str, ...]:
    """What comes nearest, for the message."""
    if not figures.candidates:
        return ("no weight is applied as a matrix of known sizes to what depends on the input",)
    figure = figures.bound if by == "bound" else figures.calibrated
    single = [(figure({w: row}), name_of(w), row) for w in figures.rows for row in figures.rows[w] if row.structure is not None]
    if not single:
        return ("no structure makes any of the weights cheaper",)
    error, name, row = min(single, key=lambda s: (s[0], s[1], str(s[2])))
    return (f"the nearest is `{name}` {row} alone: {by} {error:.2g}",)
