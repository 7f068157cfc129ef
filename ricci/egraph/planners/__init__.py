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


def _structural(
    loader: Loader, sizes: Sizes, facts: Mapping[Term, Facts], limit: int, routines: frozenset[str]
) -> list[tuple[str, str, int]]:
    """Contractions by what their factors are made of: symmetric, sums with structured members, merged axes, diagonals, circulants."""
    space = loader.space
    if not facts and not any(rebinding.worth_opening(space, node) for node in space.table):
        return []
    structure = Structure(space, facts)
    done = [("structure", "symmetric values read one way", rebinding.symmetries(loader, structure))]
    space.rebuild()
    done.append(("structure", "contractions of sums with structured members", distributing.distribute(loader, structure, limit)))
    space.rebuild()
    structure = Structure(space, facts)
    made, products = rebinding.rebind(loader, sizes, structure, limit)
    done += [("structure", name, count) for name, count in made.items()]
    done.append(("structure", "triangular factors by halves", halving.halve(loader, sizes, structure, products, limit)))
    if routines >= TRANSFORMS:
        found = transforming.convolve(loader, structure, products, limit)
        done.append(("structure", "convolutions by Fourier transforms", found))
    space.rebuild()
    return done


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

    done: list[tuple[str, str, int]] = []
    if given:
        done.append(("structure", "values that can only be one number", settling.settle(loader, Ranges(space, given))))
        space.rebuild()
    done += _structural(loader, sizes, facts, limit, routines)
    done.append(("stencils", "stencils in passes along axes", separating.separate(loader, limit)))
    space.rebuild()
    done.append(("scans", "windows by doubling", sliding.slide(loader, limit)))
    space.rebuild()
    done.append(("scans", "recurrences", recurring.recur(loader, limit)))
    space.rebuild()
    done.append(("exponentials", "common parts of exponents taken out", normalizing.normalize(loader, given, limit)))
    space.rebuild()
    done.append(("contractions", "orders of contraction", contracting.order_contractions(loader, price, sizes, limit)))
    space.rebuild()
    done.append(("sums", "common pairs", _traced(space, seeds, "paired", lambda: pairing.pair_all(space))))
    space.rebuild()
    for _ in range(rounds):
        size = space.size()
        done.append(("contractions", "contractions that differ in one factor", merging.merge_contractions(loader, limit)))
        space.rebuild()
        done.append(("sums", "coefficients of outer loops collected", _traced(space, seeds, "collected", collect)))
        if any(node.op == "recip" for node in space.table):
            done.append(("products", "x times 1/x", cancelling.cancel(space, Ranges(space, given))))
            done.append(("products", "divisions joined", cancelling.join_divisions(space)))
            space.rebuild()
        done.append(("products", "common sub-products", sharing.share_products(space, space.classes(), limit)))
        done.append(("sums", "common factors pulled out", factoring.factor_sums(space, space.classes(), FACTORS, limit)))
        space.rebuild()
        done.append(("sums", "common sub-sums", sharing.share_sums(space, space.classes(), limit)))
        done.append(("sums", "equal coefficients factored", factoring.group_coefficients(space, space.classes())))
        space.rebuild()
        if space.size() == size or space.size() > nodes:
            break
    done.append(("products", "powers by repeated squaring", sharing.split_powers(space)))
    space.rebuild()
    return [step for step in done if step[2]]
