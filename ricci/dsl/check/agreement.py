"""What values must agree in: units, axes, ranks, kinds; and the words in which a message speaks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.edits import either_unit, unit_edits
from ricci.dsl.check.values import Data, Namespace, Value, mapped, shape
from ricci.dsl.model import Unit
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Size
from ricci.dsl.units import Powers, common, over


def short(node: tree.Node) -> str:
    """The text of a node on one line, cut where it is long."""
    text = " ".join(node.span.text.split())
    return text if len(text) <= 48 else text[:45] + "..."


def describe(entity: Any) -> str:
    """What a thing is, in the user's words."""
    words = {
        "Layered": "a layer",
        "DataSet": "a data set",
        "Network": "a network",
        "Text": "a text",
        "Procedure": "a function",
        "Domain": "a domain",
        "Axis": "an index",
        "Sided": "a value at a side",
    }
    if isinstance(entity, Namespace):
        return f"{article(entity.word)} {entity.word}"
    return words.get(type(entity).__name__) or f"{article(getattr(entity, 'word', 'name'))} {getattr(entity, 'word', 'name')}"


def article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"


def rank_word(number: int) -> str:
    return ("scalar", "vector", "tensor")[min(number, 2)]


def words(unit: Powers | None, context: Context) -> str:
    """A unit as this text would write it."""
    return context.checker.units.words(unit)


def agree_units(values: Sequence[Value], nodes: Sequence[tree.Node], context: Context, what: str) -> Powers | None:
    """The one unit of values that are added or compared; E0401 at the first that differs."""
    unit, wrong = common(v.unit for v in values)
    if wrong is None:
        return unit
    first = next(i for i, v in enumerate(values) if v.unit is not None)
    raise error(
        "E0401",
        f"{what} have different units",
        nodes[wrong],
        label=f"{words(values[wrong].unit, context)}, but `{short(nodes[first])}` is {words(values[first].unit, context)}",
        notes=plain_axes(values[wrong], values[first], context),
        edits=either_unit(nodes[wrong], values[wrong].unit, nodes[first], values[first].unit, context),
    )


def plain_axes(a: Value, b: Value, context: Context) -> tuple[str, ...]:
    """What two different units may come from: coordinates that were all declared with plain numbers."""
    ratio = over(a.unit, b.unit)
    axes = {**a.axes, **b.axes}
    found = [c for d in context.checker.model.domains.values() for c in d.coordinates if c.name in axes]
    if ratio is None or len(ratio) != 1 or not found or any(c.unit.text for c in found) or not context.checker.model.uses_units:
        return ()
    c = found[0]
    where = f" (line {c.span.line})" if c.span else ""
    return (f"`{c.name}` is an axis without unit{where}: a length has one behind a bound, as in 0..1 [m]",)


def demand_unit(value: Value, unit: Powers | None, node: tree.Node, context: Context, what: str) -> None:
    """E0401 where a value has another unit than it needs."""
    if value.unit is not None and unit is not None and value.unit != unit:
        label = f"this is {words(value.unit, context)}"
        raise error("E0401", f"{what} has the unit {words(unit, context)}", node, label, edits=unit_edits(node, value.unit, unit, context))


def agree_axes(values: Sequence[Value], nodes: Sequence[tree.Node], context: Context) -> None:
    """E0202 where one axis has two sizes."""
    known: dict[str, tuple[Size, tree.Node]] = {}
    for value, node in zip(values, nodes, strict=True):
        for name, size in value.axes.items():
            if name not in known:
                known[name] = (size, node)
            elif known[name][0] is not size and not context.checker.same_size(known[name][0], size):
                raise error(
                    "E0202",
                    f"the axis `{name}` has two sizes",
                    node,
                    label=f"{size} here, {known[name][0]} in `{short(known[name][1])}` (line {known[name][1].span.line})",
                )


def with_zeros(values: Sequence[Value]) -> list[Value]:
    """0 is the zero of every rank: the number 0 beside a vector or a tensor has as many components."""
    model = next((v for v in values if v.rank), None)
    return [v if model is None or not is_zero(v) else replace(v, data=zeros(model.data), labels=model.labels) for v in values]


def is_zero(value: Value) -> bool:
    """Whether a value is the number 0."""
    return isinstance(value.data, Term) and not value.axes and rational(value.data) == 0


def zeros(data: Data) -> Data:
    """Nothing, in the shape of `data`."""
    return mapped(lambda part: build.const(0), data)


def agree_ranks(values: Sequence[Value], nodes: Sequence[tree.Node], what: str) -> None:
    """E0206 where scalars and vectors are mixed."""
    first = shape(values[0].data)
    for value, node in zip(values, nodes, strict=True):
        if shape(value.data) != first:
            mine, other = rank_word(value.rank), rank_word(values[0].rank)
            if mine == other:
                message = f"{what} have {len(value.data)} and {first[0]} components"
                raise error("E0206", message, node)
            raise error("E0206", f"{what} have different ranks", node, label=f"a {mine}, but `{short(nodes[0])}` is a {other}")


def make(name: str, node: tree.Node, *terms: Term) -> Term:
    """A scalar function; E0203 where the kinds do not fit."""
    try:
        return build.apply(name, *terms)
    except TermError as failure:
        kinds = " and ".join(str(t.kind) for t in terms)
        raise error("E0203", f"`{short(node)}`: {failure}", node, label=f"given {kinds}") from None


def numeric(value: Value, node: tree.Node) -> Value:
    """E0203 for a truth value among numbers."""
    if value.kind == Kind.BOOL:
        raise error("E0203", f"`{short(node)}` is true or false, a number is needed", node, label="if ... then 1 else 0 makes a number")
    return value


def joined_labels(values: Sequence[Value]) -> tuple[str, ...]:
    return next((v.labels for v in values if v.labels), ())


def joined_shown(values: Sequence[Value]) -> Unit | None:
    return next((v.shown for v in values if v.shown is not None), None)


def truth(value: Value, node: tree.Node) -> Term:
    """A truth value; E0203 for a number."""
    if value.rank or value.kind != Kind.BOOL:
        raise error("E0203", f"`{short(node)}` is a number, a condition is needed", node, label="compare it with something")
    return value.term


def rational(term: Term) -> Fraction | None:
    """The number that a constant term is."""
    number = constant_of(term)
    return number if isinstance(number, Fraction) else None
