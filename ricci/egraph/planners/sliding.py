"""Sums, maxima and minima over sliding windows by doubling: log2(w) operations a point instead of w.

    S_1 = u,  S_2p[i] = S_p[i] + S_p[i + p],  Sum_{k<w} u[i + k] = S_p[i] + S_q[i + p] + ..    w = p + q + .. powers of two
    M_2p[i] = max(M_p[i], M_p[i + p]),  max_{k<w} u[i + k] = max(M_p[i], M_p[i + w - p])       p the largest power of two <= w

Partial windows stand on an axis that is longer by what the window reaches, so that no edge is met inside: exact for every edge. No
difference of prefix sums is formed, which would cancel digits. Source: van Herk (1992) for the extrema; Hillis and Steele (1986).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops import contract
from ricci.dsl.ops.reindex import Pull, pull_of
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Size
from ricci.egraph.stencils import Stencil, applied, reads_of, shifted, sums
from ricci.egraph.terms import Loader

FEWEST = 4  # points of a window
Extended = Callable[[str, Size], Term]  # the values that windows read, along an axis of a name and size
Join = Callable[[Term, Term], Term]
EXTREMES: dict[str, str] = {"max": "max2", "min": "min2"}


def slide(loader: Loader, limit: int) -> int:
    """Propose doubling for the windows among the terms that were loaded; how many there were."""
    made = 0
    for term in list(loader.known):
        form = _slid(term) if made < limit else None
        while form is not None:
            made += _state(loader, term, form)
            form = _slid(form)
    for term in sums(list(loader.known)):
        form = moving_sum(term) if made < limit else None
        if form is not None:
            made += _state(loader, term, form)
    return made


def _state(loader: Loader, term: Term, form: Term) -> int:
    loader.space.union(loader.load([form])[0], loader.load([term])[0])
    return 1


# windows over an axis of their own


def _slid(term: Term) -> Term | None:
    if term.op == "contract":
        return window_sum(term)
    return window_extreme(term) if term.op == "reduce" and term.attrs[0] in EXTREMES else None


def window_sum(term: Term) -> Term | None:
    """A contraction that sums one factor along the axis of a window which no other factor has."""
    factors, sizes = contract.factors_of(term), contract.bound_of(term)
    for label, size in sizes.items():
        width = size.constant
        holders = [(k, axis) for k, (_, access) in enumerate(factors) for axis, own in access.items() if own == label]
        if width is None or width < FEWEST or len(holders) != 1:
            continue
        k, axis = holders[0]
        windows = _windows(factors[k][0], axis, width, build.add, False)
        if windows is None:
            continue
        access = {a: own for a, own in factors[k][1].items() if a != axis}
        rest = {other: n for other, n in sizes.items() if other != label}
        return build.conform(build.contract([*factors[:k], (windows, access), *factors[k + 1 :]], rest), term.type)
    return None


def window_extreme(term: Term) -> Term | None:
    """A maximum or minimum over the axis of a window."""
    name, axes = term.attrs
    for axis in axes:
        width = term.args[0].axes[axis].constant
        if width is None or width < FEWEST:
            continue
        windows = _windows(term.args[0], axis, width, lambda a, b: build.apply(EXTREMES[name], a, b), True)
        if windows is not None:
            rest = [a for a in axes if a != axis]
            return build.conform(build.reduce(name, windows, rest) if rest else windows, term.type)
    return None


def _windows(t: Term, axis: str, width: int, join: Join, idempotent: bool) -> Term | None:
    """t joined along an axis that it reads only as part of `other axis + axis`; None where it reads it in another way.

    What is read along the other axes of the base is read afterwards: windows of several axes are passes, one after the other.
    """
    pull = pull_of(t) if t.op == "reindex" else None
    found = None if pull is None else _sliding(pull, axis)
    if pull is None or found is None:
        return None
    place, other = found
    base, e = t.args[0], pull.index[place]
    inside = [g for g in pull.guards if axis in g.axes]
    outside = [g for g in pull.guards if axis not in g.axes]
    if outside and pull.fill != 0 and not idempotent:
        return None
    mine = f"{place}~"

    def extended(name: str, size: Size) -> Term:
        new = {other: Index.axis(name), axis: Index.of(0)}
        axes = {a: n for a, n in base.axes.items() if a != place} | {name: size}
        return build.reindex(base, axes, {place: e.substitute(new)}, [g.substitute(new) for g in inside], pull.fill if inside else 0)

    windows = doubled(extended, mine, t.axes[other], width, join, idempotent)
    index = {a: i for a, i in pull.entries if a != place} | {mine: Index.axis(other)}
    axes = {a: n for a, n in pull.axes if a != axis}
    return build.reindex(build.group(windows), axes, index, outside, pull.fill if outside else 0)


def _sliding(pull: Pull, axis: str) -> tuple[str, str] | None:
    """(axis of the base, other axis): where `axis` is read, in one sum with another axis that is read nowhere else."""
    places = [a for a, e in pull.entries if axis in e.axes]
    if len(places) != 1:
        return None
    e = pull.index[places[0]]
    guards = [g.index for g in pull.guards]
    rest = [i for a, i in pull.entries if a != places[0]]
    for other in sorted(e.axes - {axis}):
        together = {axis: Index.axis("~") - Index.axis(other)}  # what depends on the sum alone loses both
        if any(other in i.axes for i in rest) or any(i.axes & {axis, other} and not i.axes <= {axis, other} for i in [e, *guards]):
            continue
        if all(i.substitute(together).axes.isdisjoint({axis, other}) for i in [e, *guards] if axis in i.axes) and all(
            axis in i.axes for i in guards if other in i.axes
        ):
            return places[0], other
    return None


# windows that are written out


def moving_sum(term: Term) -> Term | None:
    """A sum in which some value is read at many neighbours of one axis with one coefficient."""
    reads = reads_of(term)
    if reads is None:
        return None
    parts = list(reads.rest)
    done = 0
    for stencil in reads.stencils:
        windows = _of_stencil(stencil)
        done += windows is not None
        whole = applied(stencil.base, stencil.reaches, stencil.coefficients, stencil.axes) if windows is None else windows
        parts.append((Fraction(1), whole))
    return build.conform(build.linear(parts), term.type) if done else None


def _of_stencil(stencil: Stencil) -> Term | None:
    """The stencil as a multiple of a window; None if it is none."""
    offsets = sorted(stencil.coefficients)
    first = offsets[0]
    along = [k for k in range(len(first)) if offsets[-1][k] != first[k]]
    if len(along) != 1 or len(offsets) < FEWEST + 2 or any(q != stencil.coefficients[first] for q in stencil.coefficients.values()):
        return None
    k = along[0]
    if offsets != [(*first[:k], first[k] + i, *first[k + 1 :]) for i in range(len(offsets))]:
        return None
    reach = stencil.reaches[k]

    def extended(name: str, size: Size) -> Term:
        moved = [r if r is not reach else type(r)(r.axis, name, r.edge) for r in stencil.reaches]
        axes = {a: n for a, n in stencil.axes.items() if a != reach.out} | {name: size}
        return shifted(stencil.base, moved, first, axes)

    try:
        windows = doubled(extended, reach.out, stencil.axes[reach.out], len(offsets), build.add, False)
    except TermError:
        return None
    weight = build.linear([(q, build.mul(*m)) for m, q in stencil.coefficients[first].items()])
    return build.mul(weight, windows)


# doubling


def doubled(extended: Extended, axis: str, size: Size, width: int, join: Join, idempotent: bool) -> Term:
    """out[axis] = values 0 .. width - 1 behind it, joined."""
    name = f"{axis}~1"
    levels = [(1, extended(name, size + (width - 1)), name)]
    while 2 * levels[-1][0] <= width:
        p, value, name = levels[-1]
        new = f"{axis}~{2 * p}"
        longer = size + (width - 2 * p)
        both = join(_moved(value, name, new, longer, 0), _moved(value, name, new, longer, p))
        levels.append((2 * p, build.group(both), new))
    if idempotent:
        p, value, name = levels[-1]
        parts = [_moved(value, name, axis, size, k) for k in dict.fromkeys((0, width - p))]
    else:
        parts, offset = [], 0
        for p, value, name in reversed(levels):
            if width & p:
                parts.append(_moved(value, name, axis, size, offset))
                offset += p
    return _joined(parts, join)


def _joined(parts: Sequence[Term], join: Join) -> Term:
    out = parts[0]
    for part in parts[1:]:
        out = join(out, part)
    return out


def _moved(value: Term, old: str, new: str, size: Size, k: int) -> Term:
    """value[old = new + k] along a shorter axis."""
    axes = {a: n for a, n in value.axes.items() if a != old} | {new: size}
    return build.reindex(value, axes, {old: Index.axis(new) + k}, (), 0)
