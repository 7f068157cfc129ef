"""Linear maps as matrices: products of matrices along separate axes, inverted factor by factor, and any small map written out.

(A kron B)^-1 vec X = vec of B^-1 X A^-T: a map that multiplies every axis of its unknown by a matrix of its own (or by a
number, or entry by entry) is inverted axis by axis. C. F. Van Loan, J. Comput. Appl. Math. 123 (2000).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import OPERATORS, contract
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Term, TermError, walk
from ricci.dsl.types import Kind, Size

COLUMN = "@column"  # ending of the axes that count unknowns; no name of a model has it
Factor = tuple[Term, str, str]  # a matrix, its axis among the results, its axis among the unknowns


# products of matrices


def factors_of(result: Term, unknown: Term) -> tuple[list[Factor], list[Term]] | None:
    """(matrices, divisors) with result = divisors * matrices applied to the unknown, outermost first; None if it is not that."""
    matrices: list[Factor] = []
    divisors: list[Term] = []
    while result is not unknown:
        if result.op == "map" and result.attrs[0] == "group":
            result = result.args[0]
            continue
        if result.op == "linear" and len(result.args) == 1:
            divisors.append(build.const(result.attrs[0], Kind.REAL))
            result = result.args[0]
            continue
        step = _product(result, unknown) if result.op == "contract" else None
        if step is None:
            return None
        result, found, others = step
        if matrices and any(d.axes for d in others):
            return None
        matrices += found
        divisors += others
    rows = {row for _, row, _ in matrices}
    if any(axis in rows and axis != row for _, row, axis in matrices):
        return None
    return matrices, divisors


Labelled = tuple[Term, dict[str, str | int]]


def _product(term: Term, unknown: Term) -> tuple[Term, list[Factor], list[Term]] | None:
    """One contraction: its factor with the unknown, the matrices on separate axes of it, the factors that act entry by entry."""
    pairs: list[Labelled] = contract.factors_of(term)
    moving = [k for k, (t, _) in enumerate(pairs) if unknown in walk([t])]
    if len(moving) != 1:
        return None
    inner, access = pairs.pop(moving[0])
    kept = {axis for axis, label in access.items() if label == axis}
    here = {label: axis for axis, label in access.items() if isinstance(label, int)}
    if len(here) + len(kept) != len(access) or len(here) != len(contract.bound_of(term)):
        return None
    matrices = []
    for label, axis in sorted(here.items()):
        found = _matrix(pairs, label, axis, kept)
        if found is None:
            return None
        matrices.append(found)
    divisors = [t for t, own in pairs if set(own.values()) <= kept]
    if len(divisors) != len(pairs) or len({row for _, row, _ in matrices}) != len(matrices):
        return None
    if matrices and any(d.axes for d in divisors):
        return None
    return inner, matrices, [_renamed(t, own) for t, own in pairs]


def _matrix(pairs: list[Labelled], label: int, axis: str, kept: set[str]) -> Factor | None:
    """All factors, taken out of the list, that sit on a bound label and on one label of the result, multiplied."""
    rows = {other for _, own in pairs if label in own.values() for other in own.values() if other != label}
    if len(rows) != 1:
        return None
    (row,) = rows
    if isinstance(row, int) or row in kept:
        return None
    parts = [(t, own) for t, own in pairs if set(own.values()) <= {label, row} and own]
    pairs[:] = [p for p in pairs if p not in parts]
    names: dict[str | int, str] = {label: axis + COLUMN, row: row}
    matrix = build.mul(*(_renamed(t, {a: names[x] for a, x in own.items()}) for t, own in parts))
    square = len(matrix.axes) == 2 and matrix.axes[row] == matrix.axes[axis + COLUMN]
    return (matrix, row, axis) if square and matrix.kind <= Kind.REAL else None


def _renamed(term: Term, access: Mapping[str, str | int]) -> Term:
    """A factor with its labels as names of axes; two axes with one label are a diagonal."""
    axes = {str(label): term.axes[axis] for axis, label in access.items()}
    return build.reindex(term, axes, {axis: Index.axis(str(label)) for axis, label in access.items()})


def solved_by_factors(matrices: Sequence[Factor], divisors: Sequence[Term], right: Term, unknown: Term) -> Term:
    """The unknown: right-hand side divided, then solved along one axis after another."""
    x = build.cast(right, Kind.REAL)
    if divisors:
        x = build.divide(x, build.mul(*divisors))
    for matrix, row, axis in matrices:
        made = build.library("factor_dense", (matrix,), (row, axis + COLUMN))
        x = build.proj(build.library("solve_dense", (build.proj(made, 0), build.proj(made, 1), x), (row, axis)), 0)
    return build.conform(x, unknown.type)


# any map, written out


def matrix_of(results: Sequence[Term], unknowns: Sequence[Term]) -> list[list[Term]] | None:
    """Entries of the map by result and unknown, over the axes of the result and, with `@column` behind them, of the unknown.

    None where it holds an operator that is not linear in a way that is known here.
    """
    rows: list[list[Term]] = [[] for _ in results]
    for unknown in unknowns:
        try:
            columns = _columns(results, unknown, unknowns)
        except TermError:
            return None
        if columns is None:
            return None
        for row, entry in zip(rows, columns, strict=True):
            row.append(entry)
    return rows


def _columns(results: Sequence[Term], unknown: Term, unknowns: Sequence[Term]) -> list[Term] | None:
    """The results for every unit vector of one unknown, all others zero."""
    extra = {axis + COLUMN: size for axis, size in unknown.axes.items()}
    unit = _unit(dict(unknown.axes), {axis: axis for axis in unknown.axes})
    done: dict[Term, Term] = {u: build.zero(u.type) for u in unknowns}
    done[unknown] = unit
    moving = set(unknowns)
    for t in walk(results):
        if t in done:
            continue
        if not any(a in moving for a in t.args):
            done[t] = t
            continue
        moving.add(t)
        found = _with_columns(t, done, moving, unknown, extra)
        if found is None:
            return None
        done[t] = found
    return [build.expand(build.cast(done[r], Kind.REAL), {**dict(r.axes), **extra}) for r in results]


def _unit(axes: Mapping[str, Size], names: Mapping[str, str]) -> Term:
    """1 where the place named by `names` is that of the column."""
    whole = {names[a]: n for a, n in axes.items()} | {a + COLUMN: n for a, n in axes.items()}
    guards = [Guard.equal(Index.axis(names[a]) - Index.axis(a + COLUMN), 0) for a in axes]
    return build.cast(build.indicator(whole, guards), Kind.REAL) if axes else build.const(1, Kind.REAL)


def _with_columns(term: Term, done: Mapping[Term, Term], moving: set[Term], unknown: Term, extra: Mapping[str, Size]) -> Term | None:
    """One operator, its moving argument with the axes of the columns."""
    args = tuple(done[a] for a in term.args)
    if term.op == "reindex":
        pull = pull_of(term)
        if not set(extra) <= set(args[0].axes):
            return build.reindex(args[0], dict(pull.axes), dict(pull.entries), pull.guards, pull.fill)
        index = {**dict(pull.entries), **{a: Index.axis(a) for a in extra}}
        return build.reindex(args[0], {**dict(pull.axes), **extra}, index, pull.guards, pull.fill)
    if term.op == "contract":
        return _contract_with_columns(term, done, moving, unknown)
    if term.op in ("linear", "cast"):
        return OPERATORS[term.op].rebuild(term, args)
    if term.op == "map" and (term.attrs[0] == "group" or (term.attrs[0] == "where" and term.args[0] not in moving)):
        return OPERATORS[term.op].rebuild(term, args)
    return None


def _contract_with_columns(term: Term, done: Mapping[Term, Term], moving: set[Term], unknown: Term) -> Term | None:
    """A product: where the unknown itself stands in it, what is summed over its places is what stands at the column."""
    pairs = contract.factors_of(term)
    active = [k for k, (t, _) in enumerate(pairs) if t in moving]
    if len(active) != 1:
        return None
    bound = dict(contract.bound_of(term))
    inner, access = pairs[active[0]]
    if inner is not unknown:
        factors = [(done[t], dict(own)) for t, own in pairs]
        return _contracted(factors, bound)
    column: dict[str | int, str] = {label: axis + COLUMN for axis, label in access.items() if isinstance(label, int)}
    if len(column) != sum(isinstance(label, int) for label in access.values()):
        return None
    kept = {axis: str(label) for axis, label in access.items() if isinstance(label, str)}
    factors = [(t, {a: column.get(label, label) for a, label in own.items()}) for k, (t, own) in enumerate(pairs) if k != active[0]]
    if kept:
        unit = _unit({a: inner.axes[a] for a in kept}, kept)
        factors.append((unit, {a: a for a in unit.axes}))
    free = {label: n for label, n in bound.items() if label not in column}
    made = _contracted(factors, free)
    lacking = {a: n for a, n in ((axis + COLUMN, inner.axes[axis]) for axis in access) if a not in made.axes}
    return build.expand(made, {**dict(made.axes), **lacking}) if lacking else made


def _contracted(factors: Sequence[tuple[Term, dict[str, str | int]]], bound: Mapping[str | int, Size]) -> Term:
    names = {label: f"{label}@sum" if isinstance(label, int) else label for label in bound}
    listed = [(t, {a: str(names.get(label, label)) for a, label in own.items()}) for t, own in factors]
    return build.contract(listed, {str(names[label]): n for label, n in bound.items()})


def solved_densely(
    entries: Sequence[Sequence[Term]], results: Sequence[Term], unknowns: Sequence[Term], right: Sequence[Term]
) -> list[Term]:
    """The unknowns, by factors of the matrix of the whole system."""
    places, total = _places(unknowns)
    matrix_parts, right_parts = [], []
    for k, row in enumerate(entries):
        b = _flat(build.cast(right[k], Kind.REAL), dict(results[k].axes), places[k], total, "row", "")
        right_parts.append(b)
        for entry, start, unknown in zip(row, places, unknowns, strict=True):
            flat = _flat(entry, dict(results[k].axes), places[k], total, "row", "")
            matrix_parts.append(_flat(flat, dict(unknown.axes), start, total, "row'", COLUMN))
    made = build.library("factor_dense", (build.add(*matrix_parts),), ("row", "row'"))
    x = build.proj(build.library("solve_dense", (build.proj(made, 0), build.proj(made, 1), build.add(*right_parts)), ("row", "row")), 0)
    return [_unflat(x, unknown, start) for unknown, start in zip(unknowns, places, strict=True)]


def _places(unknowns: Sequence[Term]) -> tuple[list[Size], Size]:
    """Where the unknowns begin in one vector, and its length."""
    places, at = [], Size.of(0)
    for u in unknowns:
        places.append(at)
        at = at + count_of(u)
    return places, at


def count_of(term: Term) -> Size:
    """Number of elements."""
    total = Size.of(1)
    for n in term.axes.values():
        total = total * n
    return total


def _flat(term: Term, axes: Mapping[str, Size], start: Size, total: Size, name: str, ending: str) -> Term:
    """The term with some of its axes, ending like that, laid out one after another along one axis from `start` on; 0 elsewhere."""
    place = Index.axis(name) - Index.of(start)
    index: dict[str, Index] = {a: Index.axis(a) for a in term.axes}
    rest = place
    length = Size.of(1)
    for axis, size in reversed(list(axes.items())):
        index[axis + ending] = rest.mod(size)
        rest = rest.div(size)
        length = length * size
    kept = {a: n for a, n in term.axes.items() if a not in {x + ending for x in axes}}
    return build.reindex(term, {**kept, name: total}, index, [Guard(Size.of(0), place, length)], 0)


def _unflat(vector: Term, unknown: Term, start: Size) -> Term:
    """One unknown out of the solution."""
    place = Index.of(start)
    stride = Size.of(1)
    for axis, size in reversed(list(unknown.axes.items())):
        place = place + Index.axis(axis) * stride
        stride = stride * size
    return build.conform(build.reindex(vector, dict(unknown.axes), {"row": place}), unknown.type)


__all__ = ["count_of", "factors_of", "matrix_of", "solved_by_factors", "solved_densely"]
