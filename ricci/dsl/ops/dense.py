"""factor_dense and solve_dense: a linear system along one axis whose matrix is an array, factored once, solved often.

factor_dense  (a; row, column) -> (factors, pivots); the contents of the two are private to this pair
solve_dense   (factors, pivots, b; axis, to) -> (x,): sum_to a[axis, to] x[to, ..] = b[axis, ..], for all other axes of b

The lowering of `solve` makes them when all derivatives are taken, so they have none. Here the factors are the matrix itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, TupleType, Type


def prepare_factor(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    if len(args) != 1 or len(attrs) != 2 or set(args[0].axes) != set(attrs):
        raise TermError("factor_dense takes one matrix and the names of its two axes")
    (matrix,) = args
    if matrix.kind > Kind.REAL or matrix.axes[attrs[0]] != matrix.axes[attrs[1]]:
        raise TermError("factor_dense takes a real square matrix")
    named = build.rename(matrix, {attrs[0]: "row", attrs[1]: "row'"})
    return [build.cast(named, Kind.REAL)], ("row", "row'")


def infer_factor(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    rows = args[0].axes["row"]
    return TupleType((Type(Kind.REAL, {"row": rows, "row'": rows}), Type(Kind.INT, {"row": rows})))


def prepare_solve(args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
    if len(args) != 3 or len(attrs) != 2 or attrs[0] not in args[2].axes or (attrs[1] in args[2].axes and attrs[1] != attrs[0]):
        raise TermError("solve_dense takes factors, pivots and right-hand sides, the axis of these and that of the solution")
    if args[2].axes[attrs[0]] != args[1].axes["row"]:
        raise TermError("the right-hand sides of solve_dense have the rows of the matrix")
    return [*args[:2], build.cast(args[2], Kind.REAL)], attrs


def infer_solve(args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
    axis, to = attrs
    return TupleType((Type(Kind.REAL, {to if a == axis else a: n for a, n in args[2].axes.items()}),))


def factor(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, Any]:
    """The matrix."""
    import numpy as np

    return args[0], np.zeros(len(args[0]), np.int64)


def solve(term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any]:
    """Dense solution; NaN for a singular matrix, as generated code has it."""
    import numpy as np

    matrix, right = args[0], args[2]
    axis, to = term.attrs[1:]
    names = list(term.args[2].axes)
    moved = np.moveaxis(right, names.index(axis), 0)
    try:
        x = np.linalg.solve(matrix, moved.reshape(len(matrix), -1)).reshape(moved.shape) if right.size else moved
    except np.linalg.LinAlgError:
        x = np.full(moved.shape, np.nan)
    order = [to, *(a for a in names if a != axis)]
    return (np.transpose(x, [order.index(a) for a in sorted(order)]),)


def no_tangent(term: Term, results: Sequence[Term], tangents: Sequence[Term | None]) -> Sequence[Term | None]:
    raise TermError("a factored system is made after all derivatives are taken")


def no_cotangent(term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Sequence[Term | None]:
    raise TermError("a factored system is made after all derivatives are taken")
