"""Derivatives of terms, again as terms: forward tangents, reverse gradients, and the pointwise linear part in a node.

One sweep over the shared graph each; every operator supplies its own tangent and cotangent. Only terms that depend on what
is differentiated (the active ones) are visited. Source: A. Griewank, A. Walther, "Evaluating Derivatives", SIAM 2008, ch. 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ricci.dsl import build
from ricci.dsl.masks import inside_domains
from ricci.dsl.ops import OPERATORS, contract, linear, proj, reindex
from ricci.dsl.term import Term, TermError, walk
from ricci.dsl.types import Kind, TupleType, Type


def active(roots: Iterable[Term], nodes: Iterable[Term]) -> set[Term]:
    """The subterms of the roots that are one of `nodes` or contain one."""
    found = set(nodes)
    for term in walk(roots):
        if term not in found and any(a in found for a in term.args):
            found.add(term)
    return found


def _moving(roots: Iterable[Term], nodes: Iterable[Term]) -> set[Term]:
    """The active terms that truth values and ints, which do not move, leave connected to the nodes."""
    found = {node for node in nodes if not _is_discrete(node)}
    for term in walk(roots):
        if term not in found and not _is_discrete(term) and any(a in found for a in term.args):
            found.add(term)
    return found


def depends(term: Term, node: Term) -> bool:
    """Whether `node` (a symbol or any subterm) occurs in the term."""
    return node in set(walk([term]))


def tangent(roots: Sequence[Term], tangents: Mapping[Term, Term]) -> list[Term]:
    """Directional derivative of every root when each key of `tangents` moves by its value.

    Keys are symbols or any subterms (taken as independent); a tangent has the type of its key. Truth values and integers do
    not move. Result: one term per root, of its type. Cost: a small multiple of the size of the roots.
    """
    for node, direction in tangents.items():
        if direction.type is not node.type:
            raise TermError(f"a tangent of {node.type} has type {direction.type}")
    moving = _moving(roots, tangents)
    done: dict[Term, Term | None] = {}
    for term in walk(roots):
        if term not in moving:
            done[term] = None
        elif term in tangents:
            done[term] = tangents[term]
        else:
            done[term] = OPERATORS[term.op].tangent(term, [done[a] for a in term.args])
    return [_or_zero(done[r], r) for r in roots]


def gradient(of: Term | Sequence[tuple[Term, Term]], wrt: Sequence[Term]) -> list[Term]:
    """Sum over the roots of (d root / d w)* g for every w: the gradient, for one root without axes and g = 1.

    `of` is such a root or pairs (root, cotangent of its type); `wrt` are symbols or any subterms, taken as independent.
    For complex values the pairing is Re<g, t'>. Result: one term per w, of its type. Cost: a small multiple of the roots.
    """
    if isinstance(of, Term):
        if of.axes or of.kind < Kind.REAL:
            raise TermError(f"the gradient of {of.type}: only a real without axes has one; give a cotangent")
        of = [(of, build.cast(build.const(1), of.kind))]
    of = list(zip(inside_domains([root for root, _ in of], wrt), [g for _, g in of], strict=True))
    roots = [root for root, _ in of]
    moving = _moving(roots, wrt)
    parts: dict[Term, list[Term]] = {}
    for root, g in of:
        if g.type is not root.type:
            raise TermError(f"a cotangent of {root.type} has type {g.type}")
        if root in moving:
            parts.setdefault(root, []).append(g)
    leaves = set(wrt)
    result: dict[Term, Term] = {}
    for term in reversed(walk(roots)):
        pending = parts.pop(term, None)
        if not pending:
            continue
        g = _total(pending)
        if term in leaves:
            result[term] = g
            continue
        for argument, part in zip(term.args, OPERATORS[term.op].cotangent(term, g), strict=True):
            if part is not None and argument in moving:
                if part.type is not argument.type:
                    raise TermError(f"the cotangent of {term.op} for {argument.type} has type {part.type}")
                parts.setdefault(argument, []).append(part)
    return [_or_zero(result.get(w), w) for w in wrt]


def _is_discrete(term: Term) -> bool:
    return isinstance(term.type, Type) and term.kind < Kind.REAL


def _or_zero(value: Term | None, like: Term) -> Term:
    if value is not None:
        return value
    if isinstance(like.type, TupleType):
        return proj.make_tuple([build.zero(component) for component in like.type])
    return build.zero(like.type)


def _total(parts: Sequence[Term]) -> Term:
    if isinstance(parts[0].type, TupleType):
        total = parts[0]
        for part in parts[1:]:
            total = proj.add_tuples(total, part)
        return total
    return linear.make_linear([(1, part) for part in parts]) if len(parts) > 1 else parts[0]


# the pointwise linear part

_Affine = tuple[Term | None, Term]  # (coefficient or None for none, rest)


def split_linear(term: Term, node: Term) -> tuple[Term, Term] | None:
    """(coefficient, rest) with term = coefficient * node + rest pointwise and neither containing node; None if there are none.

    The node's value at a point may only enter the term at that point: u[x+1], a sum over x of u, or u*u are not linear here.
    """
    holding = active([term], [node])
    if term not in holding:
        return build.const(0), term
    done: dict[Term, _Affine | None] = {node: (build.const(1), build.zero(node.type))}
    for t in walk([term]):
        if t in holding and t is not node:
            done[t] = _split(t, node, done)
            if done[t] is None and t is term:
                return None
    found = done[term]
    if found is None:
        return None
    coefficient, rest = found
    return (build.const(0) if coefficient is None else coefficient), rest


def _split(t: Term, node: Term, done: Mapping[Term, _Affine | None]) -> _Affine | None:
    parts: list[_Affine] = []
    for a in t.args:
        part = done.get(a, (None, a))
        if part is None:
            return None
        parts.append(part)
    if t.op == "linear":
        coefficients = [(k, c) for k, (c, _) in zip(t.attrs, parts, strict=True) if c is not None]
        rest = linear.make_linear([(k, r) for k, (_, r) in zip(t.attrs, parts, strict=True)])
        return linear.make_linear(coefficients), build.conform(rest, t.type)
    if t.op == "contract":
        return _split_contract(t, node, parts)
    if t.op == "cast" and t.args[0].kind >= Kind.REAL and t.kind >= t.args[0].kind:
        c, r = parts[0]
        return c, build.cast(r, t.kind)
    pull = reindex.plain_pull(t)
    if pull is not None and all(e.single_axis == a for a, e in pull.entries):
        c, r = parts[0]
        return c, build.expand(r, t.axes)
    if t.op == "map" and t.attrs == ("where",) and parts[0][0] is None:
        condition = parts[0][1]
        chosen = [build.const(0) if c is None else c for c, _ in parts[1:]]
        return build.where(condition, *chosen), build.where(condition, parts[1][1], parts[2][1])
    return None


def _split_contract(t: Term, node: Term, parts: Sequence[_Affine]) -> _Affine | None:
    """Exactly one factor holds the node, and the node's axes pass through it under their own names."""
    factors = contract.factors_of(t)
    holding = [k for k, (c, _) in enumerate(parts) if c is not None]
    if len(holding) != 1:
        return None
    (k,) = holding
    factor, access = factors[k]
    if any(access.get(axis) != axis for axis in node.axes):
        return None
    c, r = parts[k]
    assert c is not None
    bound = contract.bound_of(t)
    c = build.expand(c, {axis: size for axis, size in factor.axes.items() if axis not in node.axes})
    others = [*factors[:k], *factors[k + 1 :]]
    coefficient = contract.make_contract([*others, (c, {axis: access[axis] for axis in c.axes})], bound)
    rest = contract.make_contract([*others, (r, access)], bound)
    return coefficient, build.conform(rest, t.type)


__all__ = ["active", "depends", "gradient", "split_linear", "tangent"]
