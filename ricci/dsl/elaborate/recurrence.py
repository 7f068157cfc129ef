"""Definitions that refer to themselves at shifted indices: which direction they run, and whether they have one (E0207)."""

from __future__ import annotations

from ricci.dsl import tree
from ricci.errors import CheckFailed


def is_recurrence(statement: tree.Let | tree.Assign) -> bool:
    """Whether `z[s] = ... z[s-1] ...`; E0207 where it refers to itself at the same index, or both to earlier and to later ones."""
    target = statement.target
    direction, axis = 0, ""
    found = False
    for node in tree.walk(statement.value):
        if not isinstance(node, tree.Index) or not isinstance(node.base, tree.Name) or node.base.id != target.name.id:
            continue
        found = True
        name, step = _first_step(target.items, node.items)
        if not step:
            label = f"for example {target.name.id}[{name}-1]"
            raise CheckFailed("E0207", f"`{node.span.text}` is defined by itself at the same index", node.span, label=label)
        if direction and (axis, direction) != (name, step):
            said = f"the recurrence of `{target.name.id}` runs in two directions"
            raise CheckFailed("E0207", said, node.span, label="refer to earlier indices only, or to later ones only")
        direction, axis = step, name
    return found


def _first_step(left: tuple[tree.Item, ...], right: tuple[tree.Item, ...]) -> tuple[str, int]:
    """The first index that is not the one of the left, and -1 or 1; 0 if all are the same."""
    name = ""
    for own, item in zip(left, right, strict=False):
        if isinstance(own, tree.Name):
            name = own.id
            step = _step(name, item)
            if step:
                return name, step
    return name, 0


def _step(name: str, item: tree.Item) -> int:
    """Sign of the shift in `s-1`, `s+2`; 1 for an index of another form, which may be later."""
    if isinstance(item, tree.Name):
        return 0 if item.id == name else 1
    if isinstance(item, tree.Sum):
        total = sum(sign * part.value for sign, part in item.signed if isinstance(part, tree.Number))
        return (total > 0) - (total < 0)
    return -1 if isinstance(item, tree.Number) else 1


__all__ = ["is_recurrence"]
