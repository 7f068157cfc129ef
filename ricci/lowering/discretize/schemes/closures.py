"""Closures: which polynomial continues a field beyond a side, for every derivative, accuracy and kind of side.

A side's kind is the tuple of the orders of normal derivatives that its conditions prescribe, lowest first: (0,) Dirichlet, (1,)
Neumann and Robin, (0, 1) clamped, (0, 2) supported, (1, 3) guided, (2, 3) free, () nothing. The ghost values beyond the side are
those of the polynomial of `degree` that satisfies the conditions and the `points` nearest free nodes (in the least-squares sense
where there are more than unknowns), so that the central stencil applies up to the last node.

The entries were found by experiment and are held by tests/lowering/discretize/test_closures.py; docs/decisions/002-closures.md
has the measurements: for even derivatives the full order and a real spectrum that is nowhere positive, for odd ones the largest
boundary order whose spectrum stays bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from ricci.lowering.discretize.schemes.weights import extrapolation

ACCURACIES = (2, 4, 6, 8)
DIRICHLET, NEUMANN, NOTHING = (0,), (1,), ()
CLAMPED, SUPPORTED, GUIDED, FREE = (0, 1), (0, 2), (1, 3), (2, 3)


@dataclass(frozen=True)
class Closure:
    """Degree of the polynomial, and how many free nodes it is fitted to (as many as unknowns unless said)."""

    degree: int
    points: int


def _exact(degree: int, kind: tuple[int, ...]) -> Closure:
    return Closure(degree, degree + 1 - len(kind))


# (derivative, kind of side) -> degree per accuracy, or (degree, points); accuracies that are missing have no stable closure
_TABLE: dict[tuple[int, tuple[int, ...]], dict[int, int | tuple[int, int]]] = {
    # a value is read beyond the side by interpolation only
    (0, NOTHING): {2: 1, 4: 3, 6: 5, 8: 7},
    (0, DIRICHLET): {2: 1, 4: 3, 6: 5, 8: 7},
    (0, NEUMANN): {2: 1, 4: 3, 6: 5, 8: 7},
    # first derivative: above the cubic at a value, stability depends on what stands at the other side
    (1, NOTHING): {2: 2, 4: 3, 6: 3, 8: 3},
    (1, DIRICHLET): {2: 2, 4: 3, 6: 3, 8: 3},
    (1, NEUMANN): {2: 2, 4: 3, 6: 4, 8: 5},
    # second derivative: full order; the least-squares fit at order 8 keeps the spectrum real
    (2, DIRICHLET): {2: 1, 4: 3, 6: 5, 8: (7, 13)},
    (2, NEUMANN): {2: 2, 4: 4, 6: 6, 8: 8},
    (2, (2,)): {2: 3, 4: 5, 6: 7, 8: 9},
    # third derivative: one condition upstream, two downstream
    (3, DIRICHLET): {2: 3, 4: 5, 6: 6, 8: 6},
    (3, NEUMANN): {2: 3, 4: 5, 6: 5, 8: 5},
    (3, (2,)): {2: 3, 4: 5, 6: 6, 8: 6},
    (3, (1, 2)): {2: 3, 4: 5, 6: 6, 8: 6},
    (3, CLAMPED): {2: 2, 4: 4, 6: 5, 8: 5},
    (3, SUPPORTED): {2: 3, 4: 5, 6: 6, 8: 6},
    (3, GUIDED): {2: 4, 4: 4, 6: 5, 8: 6},
    (3, FREE): {2: 4, 4: 5, 6: 6, 8: 6},
    # fourth derivative: two conditions a side
    (4, CLAMPED): {2: 3, 4: 5, 6: 7, 8: (8, 8)},
    (4, SUPPORTED): {2: 3, 4: 5, 6: 7, 8: (9, 11)},
    (4, GUIDED): {2: 4, 4: 6, 6: 8, 8: 10},
    (4, FREE): {2: 4, 4: 6, 6: 8, 8: 10},
}


# order of the solution that odd derivatives keep between sides, whatever the accuracy inside
STATED_ORDER = {1: 4, 3: 5}


def used_conditions(derivative: int, kind: tuple[int, ...]) -> tuple[int, ...]:
    """The conditions of a side that the closure of a derivative takes into account.

    Third and fourth derivatives use all of them; up to the second the lowest alone decides what is stable and of full order.
    """
    if (derivative, kind) in _TABLE or derivative > 2:
        return kind
    lowest = kind[:1]
    return lowest if (derivative, lowest) in _TABLE else NOTHING


def closure(derivative: int, accuracy: int, kind: tuple[int, ...]) -> Closure | None:
    """The closure for a derivative at a side whose used conditions are `kind`; None where none is stable."""
    entry = _TABLE.get((derivative, kind), {}).get(accuracy)
    if entry is None:
        return None
    return Closure(*entry) if isinstance(entry, tuple) else _exact(entry, kind)


def stable_accuracies(derivative: int, kind: tuple[int, ...]) -> tuple[int, ...]:
    """Accuracies that have a closure for this derivative and side."""
    return tuple(sorted(_TABLE.get((derivative, used_conditions(derivative, kind)), {})))


@dataclass(frozen=True)
class Ghost:
    """Value `distance` spacings beyond a side: sum nodal[j] * u(first + j) + sum data[m] * spacing^order_m * condition_m.

    Nodes are counted inwards from the side; a condition's derivative is taken inwards.
    """

    distance: Fraction
    first: int
    nodal: tuple[Fraction, ...]
    data: tuple[Fraction, ...]


@cache
def ghosts(closure: Closure, kind: tuple[int, ...], reach: int) -> tuple[Ghost, ...]:
    """Ghost values at 1..reach spacings beyond a node-centred side."""
    first = 1 if 0 in kind else 0
    nodes = tuple(range(first, first + closure.points))
    out = []
    for g in range(1, reach + 1):
        nodal, data = extrapolation(nodes, kind, closure.degree, -g)
        out.append(Ghost(Fraction(g), first, nodal, data))
    return tuple(out)


# fluxes at half points: (degree, points) of the fit to the values at 1/2, 3/2, ... and, where the side prescribes the flux, at 0
_FLUX: dict[bool, dict[int, tuple[int, int]]] = {
    True: {2: (1, 1), 4: (3, 3), 6: (5, 5), 8: (7, 7)},
    False: {2: (1, 2), 4: (3, 4), 6: (4, 5), 8: (6, 9)},
}
# the field that a flux differentiates or interpolates at half points
_FLUX_FIELD: dict[tuple[int, ...], dict[int, int | tuple[int, int]]] = {
    NEUMANN: {2: 1, 4: 3, 6: 5, 8: 7},
    DIRICHLET: {2: 1, 4: 3, 6: 5, 8: (7, 12)},
    NOTHING: {2: 1, 4: 3, 6: 5, 8: (7, 13)},
}


def flux_closure(accuracy: int, prescribed: bool) -> Closure:
    """How a flux is continued over the half points beyond a side; `prescribed`: its value at the side is a condition."""
    return Closure(*_FLUX[prescribed][accuracy])


def flux_field_closure(accuracy: int, kind: tuple[int, ...]) -> tuple[tuple[int, ...], Closure]:
    """Used conditions and closure for reading a field at half points inside a flux."""
    used = kind[:1] if kind[:1] in _FLUX_FIELD else NOTHING
    entry = _FLUX_FIELD[used][accuracy]
    return used, Closure(*entry) if isinstance(entry, tuple) else _exact(entry, used)


@cache
def flux_ghosts(closure: Closure, prescribed: bool, reach: int) -> tuple[Ghost, ...]:
    """Flux at -1/2, -3/2, ... (reach of them) from the values at 1/2, 3/2, ... and the prescribed one at the side."""
    nodes = tuple(Fraction(2 * i + 1, 2) for i in range(closure.points))
    kind = (0,) if prescribed else ()
    out = []
    for g in range(reach):
        at = Fraction(-2 * g - 1, 2)
        nodal, data = extrapolation(nodes, kind, closure.degree, at)
        out.append(Ghost(-at, 0, nodal, data))
    return tuple(out)
