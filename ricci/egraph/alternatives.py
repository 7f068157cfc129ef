"""Whole alternatives for the values that index maps read: stored and read again, or computed anew at every point.

Prices of single nodes add up; passes over arrays do not: what a kernel computes hides behind what it moves, and what it moves
comes from the memory that its arrays fit into. So the choice between one pass and two is made between whole functions, by a
judge that knows loops and sizes (`Judge`): the cheapest form as it is found, with stores for nothing, and with stores to avoid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from ricci.dsl.term import Term
from ricci.egraph.extract import Effort, Extraction, extract
from ricci.egraph.pricing import NodePrice
from ricci.egraph.space import Node, Space
from ricci.egraph.terms import Loader, Reader


@dataclass(frozen=True)
class Seconds:
    """Predicted time of one evaluation: over all sizes that a grid may have, and for sizes like the present ones."""

    everywhere: float
    here: float


Judge = Callable[[Sequence[Term]], Seconds]  # predicted for a function of these results
WORTH = 1.4  # by so much a form must be faster here for code that is made for here alone: predictions are no better
LOSS = 1.05  # by so much an optimized form may be slower than the source
STORING = {"stored": 0.0, "recomputed": 50.0}  # what storing costs, in its own price


def stores(space: Space, price: NodePrice) -> bool:
    """Whether some value may be stored only because it is read at other points."""
    classes = space.classes()
    return any(node.op == "stored" and price.exact(c, node) > 0 for c in classes for node in space.nodes[c])


def fastest(judged: Mapping[str, Seconds]) -> str:
    """The form for all sizes, the first of equals, among those that lose nothing to the source at the present ones; where it loses much
    to another form at the present ones, that one."""
    most = LOSS * judged["source"].here if "source" in judged else inf
    allowed = {name: seconds for name, seconds in judged.items() if seconds.here <= most} or judged
    everywhere = min(allowed, key=lambda name: allowed[name].everywhere)
    here = min(allowed, key=lambda name: allowed[name].here)
    return here if allowed[everywhere].here > WORTH * allowed[here].here else everywhere


def alternatives(
    loader: Loader,
    roots: Sequence[int],
    like: Sequence[Term],
    price: NodePrice,
    seeds: Mapping[str, Sequence[tuple[int, Node]]],
    effort: Effort,
    first: Extraction,
) -> dict[str, list[Term]]:
    """Terms by name; `first` is the choice at the price as it is."""
    space = loader.space
    found = {"searched": _read(loader, first, roots, like)}
    less = replace(effort, steps=effort.steps // 2, kicks=effort.kicks // 4, compiled_kicks=effort.compiled_kicks // 4)
    for name, factor in STORING.items():
        price.storing = factor
        other = extract(space, roots, price, {**seeds, "searched": list(first.choice.items())}, less)
        terms = _read(loader, other, roots, like)
        if terms not in found.values():
            found[name] = terms
    price.storing = 1.0
    return found


def _read(loader: Loader, extraction: Extraction, roots: Sequence[int], like: Sequence[Term]) -> list[Term]:
    return Reader(loader.space, extraction.choice, loader.templates).read(roots, like)
