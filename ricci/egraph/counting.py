"""Operations of a function as the optimizer arranges it: what `flops(L)` is in a model."""

from __future__ import annotations

from collections.abc import Mapping

from ricci import cost
from ricci.cost import Price
from ricci.dsl.term import Function
from ricci.egraph.optimize import LEVELS, Optimization, worthwhile
from ricci.machine import DEFAULT


def fewest_operations(function: Function, sizes: Mapping[str, int]) -> float:
    """The least number of scalar operations found: 2 for every multiplication with its addition, 1 for every function.

    A number of the model alone: no machine enters, and every size is known.
    """
    known = dict(sizes)
    if not worthwhile(function.roots):
        return 0.0
    return cost.operations(Optimization(function.roots, LEVELS[2], Price("ops", DEFAULT), known).result(), known, DEFAULT)
