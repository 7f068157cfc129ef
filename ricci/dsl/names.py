"""Names in texts: which a text needs, and the same text with another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ricci.dsl import tree


def behind_what_they_name(texts: Mapping[str, Sequence[tree.Node]]) -> list[str]:
    """Names in an order in which each stands behind those that its texts name; circles are cut somewhere."""
    order: list[str] = []
    seen: set[str] = set()
    for first in texts:
        stack = [(first, False)]
        while stack:
            name, ready = stack.pop()
            if ready:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                names = [n.id for text in texts[name] for n in tree.walk(text) if isinstance(n, tree.Name | tree.UnitName)]
                stack.extend((n, False) for n in reversed(names) if n in texts and n not in seen)
    return order


def renamed(node: tree.Expr, old: tree.Dotted, new: tree.Dotted) -> tree.Expr:
    """The same text with another name: `u.x` for `u` makes `dn(u)` into `dn(u.x)`. Names of members and keywords are no values and stay."""
    made = _renamed(node, old, new)
    assert isinstance(made, tree.Expr)
    return made


def _renamed(node: tree.Node, old: tree.Dotted, new: tree.Dotted) -> tree.Node:
    if _spells(node, old.names):
        made: tree.Expr = replace(new.names[0], span=node.span)
        for name in new.names[1:]:
            made = tree.Attr(made, name, span=node.span)
        return made
    changes: dict[str, Any] = {}
    for part in tree.parts(node):
        value = getattr(node, part)
        if part == "name":
            continue
        if isinstance(value, tree.Node):
            changes[part] = _renamed(value, old, new)
        elif isinstance(value, tuple):
            changes[part] = tuple(_renamed(v, old, new) if isinstance(v, tree.Node) else v for v in value)
    return replace(node, **changes)


def _spells(node: tree.Node, names: tuple[tree.Name, ...]) -> bool:
    """Whether a node is this dotted name."""
    for name in reversed(names[1:]):
        if not isinstance(node, tree.Attr) or node.name.id != name.id:
            return False
        node = node.base
    return isinstance(node, tree.Name) and node.id == names[0].id
