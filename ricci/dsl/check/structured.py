"""Structure annotations: `weight W[h, d] @btt(cores=2, rank=2)` defines W by its cores, which are what is loaded, drawn and counted."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from ricci.dsl import build, tree
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.model import Structured, Unit, Weight
from ricci.dsl.ops.const import value_of
from ricci.dsl.structures import STRUCTURES, Matrix, StructureError, structure
from ricci.dsl.types import Kind, Size, Type
from ricci.dsl.units import NUMBER

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer

LATER = ("tucker", "sparse")  # structures of the language that cannot be run yet


def structure_of(declarer: Declarer, item: tree.TensorDef) -> tree.Annotation | None:
    """The structure among the annotations of a weight; the others are read."""
    found: tree.Annotation | None = None
    for note in item.annotations:
        if note.name.id in LATER:
            declarer.checker.lacking(f"the structure `@{note.name.id}` of the weight `{item.name.id}`", note.span)
        elif note.name.id not in STRUCTURES:
            declarer.checker.annotation(note)
        elif found is not None:
            raise error("E0212", f"`{item.name.id}` has two structures", note, label=f"it is `@{found.name.id}` already")
        else:
            found = note
    return found


def defined(
    declarer: Declarer, item: tree.TensorDef, note: tree.Annotation, name: str, axes: Mapping[str, Size], kind: Kind, unit: Unit
) -> Structured:
    """A weight that its annotation defines; E0212 where that does not fit."""
    if item.value is not None:
        label = f"`@{note.name.id}` defines it by its cores: they are loaded or drawn"
        raise error("E0212", f"the structured weight `{item.name.id}` has a value of its own", item.value, label=label)
    if kind == Kind.BOOL or unit.powers != NUMBER:
        raise error("E0212", f"the structured weight `{item.name.id}` holds no plain numbers", item.type or item)
    matrix = _matrix(item, note, axes)
    try:
        found = structure(note.name.id, matrix, _options(note, declarer.context(item)))
    except StructureError as failure:
        raise error("E0212", failure.message, note, label=failure.remedy) from None
    cores = []
    for core in found.arrays:
        called = f"{name}.{core.name}"
        type_ = Type(kind, dict(core.axes))
        cores.append(Weight(called, build.symbol(called, type_), tuple(a for a, _ in core.axes), note.span, fan=core.fan))
    expansion = build.conform(found.expansion([c.symbol for c in cores]), Type(kind, dict(axes)))
    return Structured(name, build.symbol(name, Type(kind, dict(axes))), tuple(axes), found, tuple(cores), expansion, item.span)


def _matrix(item: tree.TensorDef, note: tree.Annotation, axes: Mapping[str, Size]) -> Matrix:
    if len(axes) != 2:
        message = f"`@{note.name.id}` is a structure of matrices, `{item.name.id}` has {len(axes)} indices"
        raise error("E0212", message, note, label="two indices, the rows first")
    extents = []
    for axis, size in axes.items():
        if size.constant is None:
            raise error("E0212", f"the size of `{axis}` is open, `@{note.name.id}` depends on it", note, label=f"as in dim {axis} = 64")
        extents.append((axis, size.constant))
    (row, rows), (column, columns) = extents
    return Matrix(row, rows, column, columns)


def _options(note: tree.Annotation, context: Context) -> dict[str, int]:
    """Whole numbers by name; those without a name are taken in the order of the options."""
    known = STRUCTURES[note.name.id].options()
    found: dict[str, int] = {}
    for k, argument in enumerate(note.arguments or ()):
        named = isinstance(argument, tree.Keyword)
        node = argument.value if isinstance(argument, tree.Keyword) else argument
        if not named and k >= len(known):
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise error("E0212", f"`@{note.name.id}` has too many options", argument, label=takes)
        name = argument.name.id if isinstance(argument, tree.Keyword) else known[k]
        if name in found:
            raise error("E0212", f"`{name}` is given twice", argument)
        number = value_of(scalar_of(node, context).term)
        if not isinstance(number, Fraction) or number.denominator != 1:
            raise error("E0212", f"`{name}` is a whole number", node)
        found[name] = int(number)
    return found
