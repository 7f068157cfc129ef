"""Domains made of shapes: a box gives the coordinates, what is cut out of it gives named sides."""

from __future__ import annotations

from ricci.dsl import tree
from ricci.dsl.check.agreement import short
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.special import text_of
from ricci.dsl.spelling import nearest
from ricci.errors import Span

# Shapes with the keywords that each takes; `name` names its surface.
SHAPES = {
    "box": (),
    "disk": ("center", "radius"),
    "ball": ("center", "radius"),
    "ellipse": ("center", "radii"),
    "rectangle": ("lo", "hi"),
    "polygon": ("points",),
    "halfplane": ("point", "normal"),
}


def names_of_shape(shape: tree.Expr) -> list[tree.Name]:
    """Names of the coordinates of the box."""
    parts = shape.operands if isinstance(shape, tree.Sum) else (shape,)
    boxes = [p for p in parts if isinstance(p, tree.Call) and isinstance(p.function, tree.Name) and p.function.id == "box"]
    return [k.name for box in boxes[:1] for k in box.keywords]


def axes_of_shape(shape: tree.Expr, context: Context) -> tuple[list[tree.AxisDef], tuple[tuple[str, Span], ...]]:
    """Axes of the box, and the names of all surfaces that are no ends of it."""
    axes: list[tree.AxisDef] = []
    holes: list[tuple[str, Span]] = []
    for sign, part in shape.signed if isinstance(shape, tree.Sum) else ((1, shape),):
        if not isinstance(part, tree.Call) or not isinstance(part.function, tree.Name):
            raise error("E0203", f"`{short(part)}` is no shape", part, label=f"shapes are {', '.join(SHAPES)}")
        name = part.function.id
        if name not in SHAPES:
            guess = nearest(name, SHAPES)
            raise error(
                "E0101",
                f"there is no shape `{name}`",
                part.function,
                label=f"did you mean `{guess}`?" if guess else f"shapes are {', '.join(SHAPES)}",
            )
        if name == "box":
            if axes or sign < 0:
                raise error("E0203", "a domain has one box", part, label="other shapes are cut out of it")
            axes = _box(part)
        else:
            holes += _surface(part, SHAPES[name], context)
    if not axes:
        raise error("E0203", "a domain starts from a box", shape, label="as in box(x=0..1, y=0..1) - disk(...)")
    return axes, tuple(holes)


def _box(part: tree.Call) -> list[tree.AxisDef]:
    axes = []
    for keyword in part.keywords:
        if not isinstance(keyword.value, tree.Range):
            raise error("E0203", f"`{short(keyword.value)}` is no range", keyword.value, label="as in x=0..1")
        axes.append(tree.AxisDef(keyword.name, keyword.value.lo, keyword.value.hi, False, span=keyword.span))
    if part.positional or not axes:
        raise error("E0104", "a box takes its ranges by name", part, label="as in box(x=0..1, y=0..1)")
    return axes


def _surface(part: tree.Call, known: tuple[str, ...], context: Context) -> list[tuple[str, Span]]:
    holes = []
    for keyword in part.keywords:
        if keyword.name.id == "name":
            holes.append((text_of(keyword.value, context), keyword.value.span))
        elif keyword.name.id not in known:
            guess = nearest(keyword.name.id, [*known, "name"])
            label = f"did you mean `{guess}`?" if guess else f"it takes {', '.join([*known, 'name'])}"
            raise error("E0104", f"`{part.function.span.text}` takes no `{keyword.name.id}`", keyword.name, label=label)
        else:
            for item in keyword.value.items if isinstance(keyword.value, tree.Tuple | tree.List) else (keyword.value,):
                if not isinstance(item, tree.Tuple):
                    scalar_of(item, context)
    if not holes:
        raise error("E0203", f"the surface of `{short(part)}` has no name", part, label='add name="hole": conditions stand on it')
    return holes
