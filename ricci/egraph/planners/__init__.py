"""Planners: what computes with sums, products and contractions as wholes and hands equal forms to the space."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ricci.cost import TRANSFORMS, Price, Sizes
from ricci.dsl.term import Term
from ricci.egraph.analyses import Given, Ranges
from ricci.egraph.planners import (
    cancelling,
    collecting,
    contracting,
    distributing,
    expanding,
    factoring,
    halving,
    merging,
    normalizing,
    pairing,
    rebinding,
    recurring,
    separating,
    settling,
    sharing,
    sliding,
    transforming,
)
from ricci.egraph.space import Node, Space
from ricci.egraph.structure import Facts, Structure
from ricci.egraph.terms import Loader
from ricci.egraph.verified import acting

Seeds = dict[str, list[tuple[int, Node]]]
FACTORS = 6  # factors of one sum that are tried


def _traced(space: Space, seeds: Seeds, name: str, planner: Callable[[], int]) -> int:
    """Run a planner and keep what it proposes first for every class as a starting point of the search."""
    if name in seeds:
        return planner()
    written = set(space.written)
    space.trace = []
    made = planner()
    seeds[name], space.trace = space.trace, None
    space.written = written
    return made


class _Proposals:
    """Planners one after another, each under its name: (phase, name, proposals) in order."""

    def __init__(self, space: Space) -> None:
        self.space, self.made = space, list[tuple[str, str, int]]()

    def of(self, phase: str, name: str, planner: Callable[[], int]) -> None:
        """Run a planner. What it proposes is its own; normal forms are restored when the next one needs them."""
        with acting(self.space, phase, name):
            self.made.append((phase, name, planner()))


def _structural(
    proposals: _Proposals, loader: Loader, sizes: Sizes, facts: Mapping[Term, Facts], limit: int, routines: frozenset[str]
) -> None:
    """Contractions by what their factors are made of: symmetric, sums with structured members, merged axes, diagonals, circulants."""
    space = loader.space
    if not facts and not any(rebinding.worth_opening(space, node) for node in space.table):
        return
    structure = Structure(space, facts)
    proposals.of("structure", "symmetric values read one way", lambda: rebinding.symmetries(loader, structure))
    space.rebuild()
    proposals.of("structure", "contractions of sums with structured members", lambda: distributing.distribute(loader, structure, limit))
    space.rebuild()
    structure = Structure(space, facts)
    with acting(space, "structure", "changes of variables"):
        made, products = rebinding.rebind(loader, sizes, structure, limit)
    proposals.made += [("structure", name, count) for name, count in made.items()]
    proposals.of("structure", "triangular factors by halves", lambda: halving.halve(loader, sizes, structure, products, limit))
    if routines >= TRANSFORMS:
        fourier = "convolutions by Fourier transforms"
        proposals.of("structure", fourier, lambda: transforming.convolve(loader, structure, products, limit))
    space.rebuild()


def _of_arrays(proposals: _Proposals, loader: Loader, given: Given, limit: int) -> None:
    """Other ways through arrays: filters in passes, windows, recurrences, and exponents of softmax."""
    proposals.of("stencils", "stencils in passes along axes", lambda: separating.separate(loader, limit))
    loader.space.rebuild()
    proposals.of("scans", "windows by doubling", lambda: sliding.slide(loader, limit))
    loader.space.rebuild()
    proposals.of("scans", "recurrences", lambda: recurring.recur(loader, limit))
    loader.space.rebuild()
    proposals.of("exponentials", "common parts of exponents taken out", lambda: normalizing.normalize(loader, given, limit))
    loader.space.rebuild()


def propose(
    loader: Loader,
    price: Price,
    sizes: Sizes,
    given: Given,
    seeds: Seeds,
    rounds: int,
    limit: int,
    nodes: int,
    facts: Mapping[Term, Facts],
    routines: frozenset[str],
) -> list[tuple[str, str, int]]:
    """Rounds of all planners until nothing new appears or the space has so many nodes: (phase, name, proposals) in order.

    `facts` are known of the structure of symbols; `routines` of libraries may be called by what is found.
    """
    space = loader.space

    def collect() -> int:
        return collecting.collect(space, space.classes(), limit)

    proposals = _Proposals(space)
    of = proposals.of
    if given:
        of("structure", "values that can only be one number", lambda: settling.settle(loader, Ranges(space, given)))
        space.rebuild()
    _structural(proposals, loader, sizes, facts, limit, routines)
    _of_arrays(proposals, loader, given, limit)
    of("contractions", "orders of contraction", lambda: contracting.order_contractions(loader, price, sizes, limit))
    space.rebuild()
    of("sums", "powers of sums", lambda: expanding.write_powers(space, space.classes(), limit))
    space.rebuild()
    of("sums", "common pairs", lambda: _traced(space, seeds, "paired", lambda: pairing.pair_all(space)))
    space.rebuild()
    for _ in range(rounds):
        size = space.size()
        of("contractions", "contractions that differ in one factor", lambda: merging.merge_contractions(loader, limit))
        space.rebuild()
        of("sums", "coefficients of outer loops collected", lambda: _traced(space, seeds, "collected", collect))
        if any(node.op == "recip" for node in space.table):
            of("products", "x times 1/x", lambda: cancelling.cancel(space, Ranges(space, given)))
            of("products", "divisions joined", lambda: cancelling.join_divisions(space))
            space.rebuild()
        of("products", "common sub-products", lambda: sharing.share_products(space, space.classes(), limit))
        of("sums", "common factors pulled out", lambda: factoring.factor_sums(space, space.classes(), FACTORS, limit))
        space.rebuild()
        of("sums", "common sub-sums", lambda: sharing.share_sums(space, space.classes(), limit))
        of("sums", "equal coefficients factored", lambda: factoring.group_coefficients(space, space.classes()))
        space.rebuild()
        if space.size() == size or space.size() > nodes:
            break
    of("products", "powers by repeated squaring", lambda: sharing.split_powers(space))
    space.rebuild()
    return [step for step in proposals.made if step[2]]
