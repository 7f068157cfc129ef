"""Index maps pushed through sums, contractions and scalar functions, towards the leaves. A choice: no constructor does it.

  (sum c_i t_i)[R]     = sum c_i t_i[R]                          fill 0; not where the sum is an extension (`is_extension`)
  (Sum_B prod t_k)[R]  = Sum_B prod t_k[R restricted to its labels]  fill 0; a guard goes to one factor that has all its axes,
                                                                 else it is an indicator factor: no guard is lost
  f(t_1, ..)[R]        = f(t_1[R], ..)                           with a fill c where f(v, ..) = c for one of a few fills v;
                                                                 a cast likewise
Source: shared/design/algebra.md, 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import inf

from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import OPERATORS, const, contract, linear, reindex, scalar
from ricci.dsl.ops.reindex import Fill, Pull
from ricci.dsl.term import Term, rewrite
from ricci.dsl.types import Kind, Size

Combine = Callable[[Sequence[Term]], Term]
FILLS: tuple[Fill, ...] = (Fraction(0), Fraction(1), -inf, inf)


def is_extension(t: Term) -> bool:
    """A field with what lies beyond its sides added to it: a guarded read plus values under indicators of places (`[x == 0]*v`).

    Schedules store that around the field, so that a shift of it is a plain read. Shifting every member instead would put the
    formulas of the sides, each under its guard, into all 5^d regions of the loops that read it.
    """
    if t.op != "linear" or not any(a.op == "reindex" and reindex.pull_of(a).guards for a in t.args):
        return False
    return any(_is_indicator(f) for a in t.args for f in (a.args if a.op == "contract" else (a,)))


def _is_indicator(t: Term) -> bool:
    return t.op == "reindex" and t.args[0].op == "const" and bool(reindex.pull_of(t).guards)


def push_reindex(t: Term) -> Term:
    """A term equal to t whose index map stands one operator deeper; t itself where that is not possible.

    Under a function of one argument an index map stands outside by construction: it passes through such functions and
    into the operator below them.
    """
    functions: list[Combine] = []
    while _is_unary(t):
        split = _split(t)
        if split is None:
            break
        (t,), combine = split
        functions.append(combine)
    split = None if _is_unary(t) else _split(t)
    result = t if split is None else split[1](split[0])
    for combine in reversed(functions):
        result = combine([result])
    return result


def push_reindexes(roots: Sequence[Term]) -> list[Term]:
    """The roots with every index map as near to the leaves as it goes. Cost: a construction per term that is reached."""
    known: dict[Term, Term] = {}
    return rewrite(roots, lambda term, args: _push_all(term if args == term.args else OPERATORS[term.op].rebuild(term, args), known))


def _push_all(root: Term, known: dict[Term, Term]) -> Term:
    """Push at `root` and at every index map that this creates."""
    stack = [root]
    while stack:
        t = stack[-1]
        if t in known:
            stack.pop()
            continue
        split = _split(t)
        if split is None and t.op == "linear" and len(t.args) == 1:
            split = list(t.args), lambda new, t=t: OPERATORS["linear"].rebuild(t, tuple(new))
        if split is None:
            known[t] = t
            stack.pop()
            continue
        children, combine = split
        missing = [child for child in children if child not in known]
        if missing:
            stack.extend(missing)
            continue
        known[t] = combine([known[child] for child in children])
        stack.pop()
    return known[root]


def _is_unary(t: Term) -> bool:
    return t.op == "reindex" and t.args[0].op in ("map", "cast") and len(t.args[0].args) == 1


def _split(t: Term) -> tuple[list[Term], Combine] | None:
    """(the index map on each argument of the operator below, how to put the results together)."""
    if t.op != "reindex":
        return None
    pull = reindex.pull_of(t)
    below = t.args[0]
    if below.op == "linear" and pull.fill in (None, 0) and not is_extension(below):
        coefficients: tuple[Fraction, ...] = below.attrs
        children = [_pulled(a, pull, pull.fill) for a in below.args]
        return children, lambda new: build.conform(linear.make_linear(zip(coefficients, new, strict=True)), t.type)
    if below.op == "contract" and pull.fill in (None, 0):
        return _split_contract(t, pull, below)
    if below.op == "map":
        return _split_map(t, pull, below)
    if below.op == "cast":
        return _split_cast(t, pull, below)
    return None


def _pulled(a: Term, pull: Pull, fill: Fill) -> Term:
    """The index map on one argument that is broadcast to the axes of the operator: it reads fewer indices."""
    return reindex.assemble(a, dict(pull.axes), {axis: pull.index[axis] for axis in a.axes}, pull.guards, fill)


def _split_map(t: Term, pull: Pull, below: Term) -> tuple[list[Term], Combine] | None:
    name: str = below.attrs[0]
    fill: Fill = None
    if pull.fill is not None:
        fills = [v for v in FILLS if _value(name, below, v) == pull.fill]
        if not fills:
            return None
        fill = fills[0]
    children = [_pulled(a, pull, _fill_for(a, fill)) for a in below.args]
    return children, lambda new: build.conform(scalar.make_map(name, list(new)), t.type)


def _split_cast(t: Term, pull: Pull, below: Term) -> tuple[list[Term], Combine] | None:
    (a,) = below.args
    if pull.fill is not None and a.kind < Kind.REAL:
        exact = isinstance(pull.fill, Fraction) and pull.fill.denominator == 1
        if not exact or (a.kind == Kind.BOOL and pull.fill not in (0, 1)):
            return None
    return [_pulled(a, pull, pull.fill)], lambda new: build.cast(new[0], t.kind)


def _fill_for(a: Term, fill: Fill) -> Fill:
    return Fraction(fill != 0) if a.kind == Kind.BOOL and fill is not None else fill


def _value(name: str, below: Term, fill: Fill) -> const.Number | None:
    """f(fill, ..), if it is exactly known and keeps the kinds of the arguments."""
    assert fill is not None
    if isinstance(fill, float) and any(a.kind < Kind.REAL or a.kind == Kind.COMPLEX for a in below.args):
        return None
    arguments = [const.make_const(fill if a.kind > Kind.BOOL else bool(fill), a.kind) for a in below.args]
    return const.value_of(scalar.make_map(name, arguments))


def _split_contract(t: Term, pull: Pull, below: Term) -> tuple[list[Term], Combine]:
    """Free labels take the index, bound labels pass; every guard goes to one factor or becomes an indicator."""
    factors = contract.factors_of(below)
    sizes = contract.bound_of(below)
    out = dict(pull.axes)
    guards = list(pull.guards)
    children: list[Term] = []
    accesses: list[dict[str, contract.Label]] = []
    for factor, access in factors:
        read: set[str] = set()
        for label in access.values():
            if isinstance(label, str):
                read |= pull.index[label].axes
        own = [guard for guard in guards if guard.axes <= read]
        guards = [guard for guard in guards if guard not in own]
        child, new = _restricted(factor, access, pull, {a: out[a] for a in read}, own)
        children.append(child)
        accesses.append(new)
    if guards:
        axes = {axis: out[axis] for guard in guards for axis in guard.axes}
        children.append(reindex.indicator(axes, guards))
        accesses.append({})

    def combine(new: Sequence[Term]) -> Term:
        pairs = [(f, {axis: access.get(axis, axis) for axis in f.axes}) for f, access in zip(new, accesses, strict=True)]
        return build.conform(contract.make_contract(pairs, sizes), t.type)

    return children, combine


def _restricted(
    factor: Term, access: Mapping[str, contract.Label], pull: Pull, out: dict[str, Size], guards: Sequence[Guard]
) -> tuple[Term, dict[str, contract.Label]]:
    """The factor under the part of the index map that concerns it, and its new access: axes of the result by name."""
    names: dict[contract.Label, str] = {}
    index: dict[str, Index] = {}
    axes = dict(out)
    for axis, label in access.items():
        if isinstance(label, str):
            index[axis] = pull.index[label]
            continue
        if label not in names:
            name = axis
            while name in axes:
                name += "'"
            names[label] = name
            axes[name] = factor.axes[axis]
        index[axis] = Index.axis(names[label])
    # where a guard of another factor does not hold, the index may leave this factor: there the value is 0
    return reindex.make_reindex(factor, axes, index, guards, 0), {name: label for label, name in names.items()}
