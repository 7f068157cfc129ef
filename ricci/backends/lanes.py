"""Which loops are written with vectors, decided on the loop IR: every value that changes along the loop needs a form in lanes."""

from __future__ import annotations

from collections.abc import Sequence

from ricci.backends.expressions import VECTOR_FUNCTIONS
from ricci.dsl.index import Index
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind
from ricci.lowering import kernel as ir
from ricci.lowering.kernel import Holds, Kernel, Leaf, Load, Loop, Number, Statement

VECTOR_MAPS = frozenset(VECTOR_FUNCTIONS) | {"where", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "not", "group", "isfinite"}


def leaf_axes(leaf: Leaf) -> set[str]:
    """Loop axes and computed positions that a leaf depends on."""
    if isinstance(leaf, Number):
        return set(leaf.index.axes)
    if isinstance(leaf, Holds):
        return {a for g in leaf.guards for a in g.axes}
    return {a for e in leaf.index for a in e.axes} | {a for g in leaf.guards for a in g.axes}


def may_be_nan(body: Sequence[Statement], total: Term) -> bool:
    """Whether a value folded into a total could be NaN, as far as its expression tells."""
    return any(not never_nan(s.value) for s in ir.statements(body) if isinstance(s, ir.Fold) and s.total is total)


def never_nan(term: Term) -> bool:
    """Sufficient: `where(x <= c, x, d)` with numbers c, d is no NaN, nor is the absolute value or a multiple of such."""
    while True:
        if term.op == "const" or term.kind != Kind.REAL:
            return True
        if (term.op == "map" and term.attrs[0] == "abs") or (term.op == "linear" and len(term.args) == 1):
            term = term.args[0]
        elif term.op == "map" and term.attrs[0] == "where":
            test, yes, no = term.args
            bounded = test.op == "map" and test.attrs[0] in ("lt", "le", "gt", "ge") and yes in test.args
            return no.op == "const" and bounded
        else:
            return False


def fold_loops(body: Sequence[Statement], total: Term, whole: Kernel, lanes: int) -> set[bool]:
    """Whether loops that fold into a total are done in vectors (True), one by one (False), or both."""
    found: set[bool] = set()
    stack: list[tuple[Statement, bool]] = [(s, False) for s in body]
    while stack:
        statement, inside = stack.pop()
        if isinstance(statement, Loop):
            vector = inside or in_vectors(statement, whole, lanes)
            stack.extend((s, vector) for s in statement.body)
        elif isinstance(statement, ir.Fold) and statement.total is total:
            found.add(inside)
    return found


def in_vectors(loop: Loop, whole: Kernel, lanes: int) -> bool:
    """Whether a loop is written with vectors."""
    return loop.vector and lanes > 1 and (loop.hi - loop.lo) != 1 and vectorizable(loop, whole)


def vectorizable(loop: Loop, whole: Kernel) -> bool:
    """Whether every value that changes along a loop is a contiguous load, an affine index, or a real function of such."""
    axis = loop.axis
    varying: set[Term] = set()
    begun = {s.total for s in ir.statements(loop.body) if isinstance(s, ir.Begin)}
    for statement in ir.statements(loop.body):
        if isinstance(statement, ir.Add) or (isinstance(statement, Loop) and _bounds_vary(statement, axis)):
            return False
        if isinstance(statement, ir.Store) and not _stored_in_lanes(statement, axis, whole):
            return False
        if isinstance(statement, (ir.Begin, ir.Fold)) and statement.total.kind != Kind.REAL:
            return False
        if isinstance(statement, (ir.Let, ir.Fold, ir.Store)):
            if not _value_in_lanes(statement.value, axis, whole, varying, begun):
                return False
            if isinstance(statement, ir.Let) and statement.value in varying:
                varying.add(statement.name)
    return True


def _stored_in_lanes(statement: ir.Store, axis: str, whole: Kernel) -> bool:
    return _contiguous(statement.index, axis) and whole.array(statement.array).kind != Kind.COMPLEX


def _bounds_vary(loop: Loop, axis: str) -> bool:
    return loop.vector and loop.axis == axis


def _contiguous(index: tuple[Index, ...], axis: str) -> bool:
    return (
        bool(index) and index[-1].coefficient(axis) == 1 and _plain_along(index[-1], axis) and not any(axis in e.axes for e in index[:-1])
    )


def _plain_along(index: Index, axis: str) -> bool:
    """Whether an axis occurs in an index only by itself, not inside mod or div."""
    return all(atom.kind == "axis" or axis not in atom.inner.axes for atom, _ in index.terms)


def _value_in_lanes(root: Term, axis: str, whole: Kernel, varying: set[Term], begun: set[Term]) -> bool:
    for term in walk([root]):
        if term in varying:
            continue
        if term.op == "symbol":
            leaf = whole.leaves.get(term)
            if term in begun:
                varying.add(term)
            elif leaf is not None and axis in leaf_axes(leaf):
                if not _leaf_in_lanes(leaf, axis, whole):
                    return False
                varying.add(term)
            elif leaf is not None and any(a in whole.computed for a in leaf_axes(leaf)):
                return False
        elif any(a in varying for a in term.args):
            if not _in_lanes(term):
                return False
            varying.add(term)
    return True


def _leaf_in_lanes(leaf: Leaf, axis: str, whole: Kernel) -> bool:
    if isinstance(leaf, Load):
        guarded = any(axis in g.axes for g in leaf.guards)
        return not guarded and _contiguous(leaf.index, axis) and whole.array(leaf.array).kind != Kind.COMPLEX
    indices = [leaf.index] if isinstance(leaf, Number) else [g.index for g in leaf.guards]
    return all(_plain_along(e, axis) for e in indices)


def _in_lanes(term: Term) -> bool:
    """Whether an operator has a lane by lane form."""
    if term.kind == Kind.COMPLEX or any(a.kind == Kind.COMPLEX for a in term.args):
        return False
    if term.op == "map":
        name = term.attrs[0]
        if name not in VECTOR_MAPS:
            return False
        return name not in VECTOR_FUNCTIONS or term.kind == Kind.REAL
    return term.op in ("linear", "contract", "cast")
