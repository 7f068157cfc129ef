"""Branches of `where` rewritten so that every function in them stays where it and its derivative are finite.

In the reverse derivative of where(x <= 0, 0, sqrt(x)) a lane that was not chosen contributes 0 * inf = NaN. With
sqrt(where(x <= 0, 1, x)) inside, the chosen lanes have the same values and the others are finite.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ricci.dsl import build
from ricci.dsl.ops import OPERATORS
from ricci.dsl.ops.contract import bound_of
from ricci.dsl.ops.scalar import scalar_of
from ricci.dsl.term import Term, rewrite, walk
from ricci.dsl.types import Kind


def inside_domains(roots: Sequence[Term], leaves: Collection[Term]) -> list[Term]:
    """The roots with guarded branches; `leaves` are not entered. Same values, also in every chosen lane's derivative.

    Only the pointwise part of a branch is guarded (functions, sums, products without bound axes, casts). Cost: the size of
    the branches, none without a `where` over a function of restricted domain.
    """
    order = walk(roots)
    if not any(_is_where(t) for t in order) or not any(_safe(t) for t in order):
        return list(roots)
    stop = set(leaves)

    def visit(term: Term, args: tuple[Term, ...]) -> Term:
        if term in stop:
            return term
        new = term if args == term.args else OPERATORS[term.op].rebuild(term, args)
        if not _is_where(new):
            return new
        condition, a, b = new.args
        return build.conform(
            build.where(condition, _guarded(a, condition, stop), _guarded(b, build.apply("not", condition), stop)), term.type
        )

    return rewrite(roots, visit)


def _is_where(t: Term) -> bool:
    return t.op == "map" and t.attrs == ("where",)


def _safe(t: Term) -> bool:
    return t.op == "map" and scalar_of(t).safe is not None and t.kind >= Kind.REAL


def _is_pointwise(t: Term) -> bool:
    return t.op in ("map", "linear", "cast") or (t.op == "contract" and not bound_of(t) and _keeps_names(t))


def _keeps_names(product: Term) -> bool:
    return all(axis == label for access in product.attrs.accesses for axis, label in access)


def _guarded(branch: Term, chosen: Term, stop: Collection[Term]) -> Term:
    """The branch with safe arguments where it is not chosen."""
    done: dict[Term, Term] = {}
    stack = [(branch, False)]
    while stack:
        t, ready = stack.pop()
        if t in done:
            continue
        if t in stop or not _is_pointwise(t) or t.kind == Kind.BOOL:
            done[t] = t
            continue
        if not ready:
            stack.append((t, True))
            stack.extend([(a, False) for a in t.args])
            continue
        args = [done[a] for a in t.args]
        if _safe(t):
            place, value = scalar_of(t).safe or (0, 0)
            args[place] = build.where(chosen, args[place], build.const(value))
        done[t] = t if tuple(args) == t.args else OPERATORS[t.op].rebuild(t, tuple(args))
    return done[branch]
