"""Function -> Plan: what is stored, in which loops it is computed, in which order, in which memory."""

from __future__ import annotations

from collections.abc import Mapping

from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, Term
from ricci.dsl.types import TupleType
from ricci.lowering.schedule.plan import Place, Plan


def schedule(function: Function, origins: Mapping[Term, str] | None = None, sizes: Mapping[str, int] | None = None) -> Plan:
    """The plan of a function. `origins` gives the source line of terms, for comments in the generated code.

    `sizes`: extents of dims as far as they are known; they decide only how linear systems are solved.
    """
    from ricci.lowering.schedule.block import Block, Workshop  # what is kept is loaded without the scheduler
    from ricci.lowering.schedule.structures import STRUCTURES
    from ricci.lowering.solvers import with_solvers

    function = with_solvers(function, sizes or {})
    shop = Workshop(origins=dict(origins or {}))
    places: dict[Term, Place] = {}
    known: dict[Term, Term] = {}
    inputs: dict[str, Place | Term] = {}
    for param in function.params:
        name = name_of(param)
        if param.axes:
            slot = shop.slot(name, param.kind, param.axes.values(), role="input")
            places[param] = shop.place(param, slot)
            inputs[name] = places[param]
        else:
            known[param] = param
            shop.names.fresh(name)
            inputs[name] = param
    for name, root in function.results:
        if not isinstance(root.type, TupleType):
            shop.titles.setdefault(root, name)
    block = Block(shop, places, known, STRUCTURES)
    roots = list(dict.fromkeys(function.roots))
    steps = block.schedule(roots)
    results: dict[str, Place | Term] = {}
    for name, root in function.results:
        results[name] = block.places[root] if root in block.places else block.known.get(root, root)
    return Plan(function, shop.slots, steps, inputs, results, dict(shop.origins), shop.makers, tuple(shop.orderings))


__all__ = ["Plan", "schedule"]
