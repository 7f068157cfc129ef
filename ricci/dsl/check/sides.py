"""Sides: the ends of coordinates, groups of them, surfaces of what is cut out of a domain; and what is only known at one."""

from __future__ import annotations

from collections.abc import Sequence

from ricci.dsl import build, tree
from ricci.dsl.check.context import Context, Side, error, settled
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.foreign import side_named
from ricci.dsl.model import Coordinate
from ricci.dsl.spelling import nearest
from ricci.dsl.types import Kind
from ricci.errors import CheckFailed

ENDS = ("lo", "hi")


class NoSide(CheckFailed):
    """The outward normal was needed where no side is at hand; a definition is then read at the sides where it is used."""


def no_side(what: str, node: tree.Node, context: Context) -> NoSide:
    """E0101 for `dn(u)` or `n` in the interior of a domain, with the ways to name a side."""
    one = next((c for d in context.checker.model.domains.values() for c in d.coordinates if not c.periodic), None)
    label = "only at a side of a domain"
    if one is not None:
        example = f"{what}({one.name}={one.name}.hi)" if what.endswith(")") else f"dn(...)({one.name}={one.name}.hi)"
        label = f"in `boundary`, in integral[{one.name}.hi](...), or at a point of a side: {example}"
    return NoSide("E0101", f"`{what}` points out of a side, and no side is at hand", node.span, label=label)


def coordinates(context: Context) -> dict[str, Coordinate]:
    """All coordinates of the model by name."""
    return {c.name: c for d in context.checker.model.domains.values() for c in d.coordinates}


def surfaces(context: Context) -> list[str]:
    return [h for found in context.checker.holes.values() for h in found]


def sides_of(names: Sequence[tree.Name], node: tree.Node, context: Context) -> list[Side]:
    """The ends of coordinates that a (dotted) name stands for; a named surface has no coordinate. E0104 for an unknown one."""
    known, first = coordinates(context), names[0].id
    if len(names) == 2 and first in known and names[1].id in ENDS:
        return [Side(first, names[1].id)]
    group = context.scope.side(first)
    if len(names) == 1 and group is not None:
        found: list[Side] = group.resolve()
        return found
    if len(names) == 1 and first in surfaces(context):
        return [Side("", first)]
    settled(context, first, space=True)
    text = ".".join(n.id for n in names)
    every = [f"{c}.{e}" for c, one in known.items() if not one.periodic for e in ENDS] + [*context.scope.side_names(), *surfaces(context)]
    named = side_named(text, list(known))
    guess = named if named in every else nearest(text, every)
    label = f"did you mean `{guess}`?" if guess else f"sides are {', '.join(every) or 'none'}"
    raise error("E0104", f"there is no side `{text}`", node, label=label)


def side_items(call_items: Sequence[tree.Item], context: Context) -> list[tuple[Side, tree.Node]]:
    """Sides between brackets, `x.lo` or the name of a group; empty where there are none. E0104 for sides among coordinates."""
    out: list[tuple[Side, tree.Node]] = []
    others: list[tree.Item] = []
    for item in call_items:
        if isinstance(item, tree.Attr) and isinstance(item.base, tree.Name):
            out += [(side, item) for side in sides_of((item.base, item.name), item, context)]
        elif isinstance(item, tree.Name) and is_side(item, context):
            out += [(side, item) for side in sides_of((item,), item, context)]
        else:
            others.append(item)
    if out and others:
        raise error("E0104", "sides and coordinates stand in one pair of brackets", others[0], label="integrate over either")
    for side, where in out:
        if side.coordinate and coordinates(context)[side.coordinate].periodic:
            raise error("E0104", f"`{side.coordinate}` is periodic and has no sides", where)
    return out


def is_side(name: tree.Name, context: Context) -> bool:
    """Whether a bare name between brackets is a group of sides or a surface."""
    return context.scope.find(name.id) is None and (context.scope.side(name.id) is not None or name.id in surfaces(context))


def side_of_point(node: tree.Call, context: Context) -> Side | None:
    """The side on which the point of `u(x=x.hi, t=1)` lies, where it is one; otherwise the side at hand."""
    known = coordinates(context)
    found: list[Side] = []
    for keyword in node.keywords:
        c = known.get(keyword.name.id)
        if c is not None and not c.periodic:
            place = build.cast(scalar_of(keyword.value, context).term, Kind.REAL)
            found += [Side(c.name, end) for end, bound in zip(ENDS, (c.lo, c.hi), strict=True) if place is build.cast(bound, Kind.REAL)]
    return found[0] if len(found) == 1 else context.side
