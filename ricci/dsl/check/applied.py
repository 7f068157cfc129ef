"""What a call applies: a value at a point, a function, a layer or an operator, and what it does to indices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ricci.dsl import tree
from ricci.dsl.check import foreign
from ricci.dsl.check.context import Context, error, settled
from ricci.dsl.check.values import Layered, Namespace, Procedure, Sided, Value
from ricci.dsl.spelling import nearest
from ricci.errors import CheckFailed

NONE: frozenset[str] = frozenset()
DERIVATIVE = re.compile(r"d[^\W\d_]\w*")  # what may be a derivative along coordinates
SOME_VALUE = Value(())  # the value of an inner call, when only its sort matters


@dataclass(frozen=True)
class Rule:
    """One operator of the language. `elaborate` holds its type rule, unit rule and meaning.

    `signature` is shown in messages. `brackets` says what an index in brackets is: "" none allowed, `remove` (`sum[i]`),
    `keep` (`softmax[i]`), `add` (`repeat[i]`), `move` (`rfft[x to k]`), `side` (`integral` also takes sides).
    `everything`: without brackets it takes all axes but t. `makes`: `value`, `layer` or `recipe`.
    """

    name: str
    signature: str
    least: int
    most: int
    elaborate: Callable[[Applied, Context], Any]
    brackets: str = ""
    everything: bool = False
    makes: str = "value"
    keywords: tuple[str, ...] = ()
    raw: bool = False  # arguments are read by the operator itself (names of layers, files, axes)


@dataclass(frozen=True)
class Applied:
    """A call with what it applies. Exactly one of `rule` and `entity` is there."""

    node: tree.Call
    name: str
    entity: Any
    rule: Rule | None
    items: tuple[tree.Item, ...]
    bound: frozenset[str]  # indices that mean something of their own inside the arguments
    made: frozenset[str]  # indices that the result has because of the brackets

    @property
    def takes_everything(self) -> bool:
        """Whether it is over all axes of its arguments; `max(a, b)`, of more than it needs, is pointwise."""
        return self.rule is not None and self.rule.everything and not self.items and len(self.node.positional) <= self.rule.least

    def inside(self, pending: frozenset[str]) -> frozenset[str]:
        """Of the indices to resolve, those that the arguments are about."""
        if self.takes_everything:
            return NONE
        return pending - self.bound

    def result(self, inner: frozenset[str]) -> frozenset[str]:
        if self.takes_everything:
            return NONE
        return (inner - self.bound) | self.made


def applied(node: tree.Call, context: Context) -> Applied:
    """Resolve what stands before the parentheses."""
    found = context.calls.get(node)
    if found is None:
        found = _applied(node, context)
        context.calls[node] = found
    return found


def _applied(node: tree.Call, context: Context) -> Applied:
    function, items = node.function, ()
    if isinstance(function, tree.Index):
        base = function.base
        target = _named(base, node, context) if isinstance(base, tree.Name | tree.Attr) else SOME_VALUE
        if isinstance(target, Rule):
            return _operator(node, target, function.items)
        return Applied(node, function.span.text, SOME_VALUE if isinstance(target, Value) else target, None, function.items, NONE, NONE)
    if isinstance(function, tree.Name | tree.Attr):
        target = _named(function, node, context)
        if isinstance(target, Rule):
            return _operator(node, target, items)
        return Applied(node, function.span.text, target, None, items, NONE, NONE)
    if isinstance(function, tree.Call):
        inner = applied(function, context)
        if inner.rule is not None and inner.rule.makes == "layer":
            from ricci.dsl.check.expressions import entity_of

            return Applied(node, function.span.text, entity_of(function, context), None, (), NONE, NONE)
    return Applied(node, function.span.text, SOME_VALUE, None, (), NONE, NONE)


def _operator(node: tree.Call, rule: Rule, items: tuple[tree.Item, ...]) -> Applied:
    bound: set[str] = set()
    made: set[str] = set()
    for item in items:
        if isinstance(item, tree.Rename):
            bound.add(item.source.id)
            made.add(item.target.id)
        elif isinstance(item, tree.Consume):
            bound.add(item.name.id)
        elif isinstance(item, tree.Produce):
            made.add(item.name.id)
        elif isinstance(item, tree.RangeItem):
            bound.add(item.name.id)
        elif isinstance(item, tree.Name):
            if rule.brackets != "add":
                bound.add(item.id)
            if rule.brackets in ("add", "keep"):
                made.add(item.id)
    return Applied(node, rule.name, None, rule, items, frozenset(bound), frozenset(made))


def _named(function: tree.Name | tree.Attr, call: tree.Call, context: Context) -> Any:
    """The entity or operator that a (dotted) name before parentheses means."""
    if isinstance(function, tree.Attr):
        if isinstance(function.base, tree.Name):
            declaration = context.scope.find(function.base.id)
            owner = declaration.resolve() if declaration is not None else None
            if isinstance(owner, Namespace):
                return member(owner, function.name)
        return SOME_VALUE
    declaration = context.scope.find(function.id)
    if declaration is not None and declaration.word == "predefined" and function.id in context.checker.operators:
        declaration = None  # the value `im` and the operator `im(z)`
    if declaration is not None and declaration.word != "index":
        entity = declaration.resolve()
        if isinstance(entity, Sided):
            return SOME_VALUE
        if isinstance(entity, Value | Procedure | Layered) or function.id not in context.checker.operators:
            return entity
    rule = context.checker.operator(function.id, context)
    if rule is not None:
        return rule
    if DERIVATIVE.fullmatch(function.id):
        settled(context, space=True)
    raise _unknown(function, call, context)


def _unknown(name: tree.Name, call: tree.Call, context: Context) -> CheckFailed:
    """E0101 for what stands before parentheses and is nothing here; other tools may have it."""
    coordinates = [c.name for d in context.checker.model.domains.values() for c in d.coordinates]
    lacking = foreign.unknown_coordinate(name.id, coordinates)
    if lacking:
        message = f"`{name.id}` is along `{lacking}`, and the model has no such coordinate"
        return error("E0101", message, name, label=f"coordinates are {', '.join([*coordinates, 't'])}")
    known = [*context.checker.operators, *(d.name for d in context.scope.all() if d.word in ("fn", "layer", "operator"))]
    guess = foreign.OPERATORS.get(name.id) or nearest(name.id, known)
    label = foreign.FORMS.get(name.id) or (f"did you mean `{guess}`?" if guess else "not declared")
    edits = foreign.operator_edits(call, name, coordinates)
    if edits and edits[0][0] is name.span:
        label = f"did you mean `{edits[0][1]}`?"
    return error("E0101", f"there is no operator or function `{name.id}`", name, label, edits=edits)


def member(owner: Namespace, name: tree.Name) -> Any:
    """A member of a module, nested model or result; E0101 with the nearest name."""
    if name.id not in owner.members:
        guess = nearest(name.id, owner.members)
        raise error(
            "E0101",
            f"the {owner.word} `{owner.name}` has no `{name.id}`",
            name,
            label=f"did you mean `{guess}`?" if guess else f"it has {', '.join(sorted(owner.members)[:8]) or 'nothing'}",
        )
    found = owner.members[name.id]
    return found.resolve() if hasattr(found, "resolve") else found
