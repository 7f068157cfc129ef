"""Arrays as they are declared: order of axes, units, and the points of coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ricci.backends.binding import Binding
from ricci.dsl import reference
from ricci.dsl.model import Model, Quantity, Unit
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Program
from ricci.dsl.term import symbols
from ricci.errors import CannotRun
from ricci.faces.outputs import Coordinate

Array = np.ndarray[Any, Any]


def positions(program: Program, model: Model, binding: Binding, axes: tuple[str, ...]) -> dict[str, Coordinate]:
    """Points of the axes that are coordinates, in their declared units."""
    units = {c.name: c.unit for d in model.domains.values() for c in d.coordinates}
    found = {}
    for axis in axes:
        if axis in program.coordinates:
            lacking = [name for name in map(name_of, symbols([program.coordinates[axis]])) if name in binding.missing]
            if lacking:
                raise CannotRun(
                    "E0707",
                    f"the points of `{axis}` need `{lacking[0]}`, which has no value",
                    help=f"ricci run {binding.missing[lacking[0]]} ...",
                )
            values = reference.evaluate([program.coordinates[axis]], binding.values, binding.sizes)[0]
            found[axis] = Coordinate(values / float(units[axis].factor), units[axis].text)
    return found


def in_order(quantity: Quantity, array: Array) -> Array:
    """An array with canonical axes as the user sees it: declared order of axes, declared unit."""
    return as_declared(array, quantity.order, quantity.unit)


def as_declared(array: Array, order: tuple[str, ...], unit: Unit) -> Array:
    """Axes in declared order, values in the declared unit; the same memory where no number changes."""
    canonical = tuple(sorted(order))
    turned = np.transpose(array, [canonical.index(a) for a in order])
    if unit.factor == 1 and not unit.offset:
        return turned
    return np.asarray((turned - float(unit.offset)) / float(unit.factor))
