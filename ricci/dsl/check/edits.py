"""Edits of a text that could mend a mistake; mending.py tries them."""

from __future__ import annotations

import re

from ricci.dsl import tree
from ricci.dsl.check.context import Context
from ricci.dsl.remedies import nodes
from ricci.dsl.units import NUMBER, Powers, over, show
from ricci.errors import Span

Edit = tuple[Span, str]
BEHIND_A_NAME = re.compile(r"[ \t]*(\[[^\]\n]*\])?[ \t]*(\([^)\n]*\))?")


def unit_edits(node: tree.Node, have: Powers | None, want: Powers | None, context: Context) -> tuple[Edit, ...]:
    """Edits of an expression that could give it another unit: a unit behind one of its numbers, a derivative of another order."""
    missing = over(want, have)
    if missing is None or missing == NUMBER:
        return ()
    numbers = [n for n in tree.walk(node) if isinstance(n, tree.Number) and n.unit is None and not n.imaginary]
    return (*((n.span, f"{n.text} {context.checker.units.words(missing)}") for n in numbers[:4]), *order_edits(node))


def either_unit(a: tree.Node, of_a: Powers | None, b: tree.Node, of_b: Powers | None, context: Context) -> tuple[Edit, ...]:
    """Edits that could give one of two expressions the unit of the other, the first one first."""
    return (*unit_edits(a, of_a, of_b, context), *unit_edits(b, of_b, of_a, context))


def order_edits(node: tree.Node) -> tuple[Edit, ...]:
    """`dx` for `dxx` and the reverse, for every derivative of an expression."""
    out: list[Edit] = []
    for call in tree.walk(node):
        if isinstance(call, tree.Call) and isinstance(call.function, tree.Name) and re.fullmatch(r"d(\w)\1*", call.function.id):
            name = call.function.id
            out += [(call.function.span, name + name[-1])] + ([(call.function.span, name[:-1])] if len(name) > 2 else [])
    return tuple(out[:6])


def declared_unit(name: tree.Node, type_: tree.TypeExpr | None) -> tuple[Edit, ...]:
    """A unit for a declaration without one: each that the text writes, then none."""
    source = name.span.source
    written = [n.unit for n in nodes(source, tree.TypeExpr)] + [n.unit for n in nodes(source, tree.Number)]
    texts = dict.fromkeys([*(show(unit) for unit in written if unit is not None), "1"])
    if type_ is not None:
        return tuple((type_.span, f"{type_.span.text} [{text}]") for text in texts)
    behind = BEHIND_A_NAME.match(source.text, name.span.end)
    end = behind.end() if behind else name.span.end
    return tuple((Span(source, end, end), f": [{text}]") for text in texts)
