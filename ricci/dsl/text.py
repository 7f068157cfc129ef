"""Syntax tree -> text: the one canonical spelling of every node, with the fewest parentheses that keep the meaning.

A text is a list of pieces: strings, and `Break`s where a line may be broken (always behind a token after which the language
lets a statement go on). `plain` joins them on one line, `broken` fits them into a width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import singledispatch

from ricci.dsl import tree
from ricci.dsl.units import show

# How tightly an expression binds: what stands at a place must bind at least as tightly as the place asks for.
CONDITION, OR, AND, NOT, COMPARE, RANGE, SUM, PRODUCT, UNARY, POWER, POSTFIX = range(11)


@dataclass(frozen=True)
class Break:
    """A place for a line break; a lower level is a better place."""

    level: int


Pieces = list["str | Break"]


def plain(pieces: Iterable[str | Break]) -> str:
    """On one line."""
    return "".join(piece for piece in pieces if isinstance(piece, str))


def broken(pieces: Sequence[str | Break], width: int, indent: str) -> str:
    """On lines of at most `width` characters where that can be, the later ones indented; broken at the best places first."""
    before = [0]  # characters before each piece
    for piece in pieces:
        before.append(before[-1] + (len(piece) if isinstance(piece, str) else 0))
    lines = []
    start, room = 0, width
    while before[-1] - before[start] > room:
        places = _places(pieces, before, start, room)
        if not places:
            break
        far = [place for place in places if place[2] >= room // 3]  # no line of three letters
        at = -min(far or places)[1]
        lines.append(plain(pieces[start:at]).rstrip())
        start = at + 1
        room = width - len(indent)
    lines.append(plain(pieces[start:]))
    return ("\n" + indent).join(lines)


def _places(pieces: Sequence[str | Break], before: Sequence[int], start: int, room: int) -> list[tuple[int, int, int]]:
    """Breaks at which the line from `start` is not too long, or the first one: (level, -place in the pieces, length of the line)."""
    found: list[tuple[int, int, int]] = []
    for i in range(start, len(pieces) - 1):
        piece, length = pieces[i], before[i] - before[start]
        if length > room + 1 and found:
            break
        if isinstance(piece, Break):
            found.append((piece.level, -i, length))
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Expressions


def level_of(node: tree.Expr) -> int:
    match node:
        case tree.Cond():
            return CONDITION
        case tree.Logic(operator):
            return OR if operator == "or" else AND
        case tree.Unary(operator):
            return NOT if operator == "not" else UNARY
        case tree.Compare():
            return COMPARE
        case tree.Range():
            return RANGE
        case tree.Sum():
            return SUM
        case tree.Product():
            return PRODUCT
        case tree.Power():
            return POWER
    return POSTFIX


def expression(node: tree.Expr, place: int = CONDITION, depth: int = 0) -> Pieces:
    """An expression at a place that asks for operators of at least some tightness; `depth` counts the brackets around it."""
    if level_of(node) < place:
        return ["(", *_EXPRESSIONS[type(node).__name__](node, depth + 1), ")"]
    return _EXPRESSIONS[type(node).__name__](node, depth)


def _chain(operands: Sequence[tree.Expr], operators: Sequence[str], place: int, depth: int, gap: str) -> Pieces:
    """Operands with operators between them; a break may follow an operator."""
    level = 20 * depth + place
    pieces = expression(operands[0], place, depth)
    for operator, operand in zip(operators, operands[1:], strict=True):
        pieces += [f"{gap}{operator}{gap}", Break(level), *expression(operand, place, depth)]
    return pieces


def _number(node: tree.Number, depth: int) -> Pieces:
    return [node.text if node.unit is None else f"{node.text} [{show(node.unit)}]"]


def _logic(node: tree.Logic, depth: int) -> Pieces:
    operators = [node.operator] * (len(node.operands) - 1)
    return _chain(node.operands, operators, AND if node.operator == "or" else NOT, depth, " ")


def _unary(node: tree.Unary, depth: int) -> Pieces:
    if node.operator == "not":
        return ["not ", *expression(node.operand, NOT, depth)]
    return [node.operator, *expression(node.operand, UNARY, depth)]


def _power(node: tree.Power, depth: int) -> Pieces:
    base = expression(node.base, POSTFIX, depth)
    if isinstance(node.base, tree.Number) and node.base.unit is not None:
        base = ["(", *base, ")"]
    return [*base, "^", *expression(node.exponent, UNARY, depth)]


def _position(node: tree.Expr, place: int, depth: int) -> Pieces:
    """An index or a bound: `s-1` is closed up there, longer sums are not."""
    if isinstance(node, tree.Sum) and len(node.operands) == 2 and all(_short(o) for o in node.operands):
        first, second = (expression(o, PRODUCT, depth) for o in node.operands)
        return [*first, node.operators[0], *second]
    return expression(node, place, depth)


def _short(node: tree.Expr) -> bool:
    return isinstance(node, tree.Name) or (isinstance(node, tree.Number) and node.unit is None)


def _interval(lo: tree.Expr, hi: tree.Expr, depth: int = 0) -> Pieces:
    first, last = _position(lo, SUM, depth), _position(hi, SUM, depth)
    return [*first, _dots(first, last), *last]


def _dots(lo: Pieces, hi: Pieces) -> str:
    """`..` needs a gap behind `1.` and before `.5`: three dots mean nothing."""
    return (" " if plain(lo[-1:]).endswith(".") else "") + ".." + (" " if plain(hi).startswith(".") else "")


def _cond(node: tree.Cond, depth: int) -> Pieces:
    level = 20 * depth
    condition, yes = expression(node.condition, OR, depth), expression(node.yes, OR, depth)
    return ["if ", *condition, " then ", Break(level + 1), *yes, " else ", Break(level), *expression(node.no, CONDITION, depth)]


def _call(node: tree.Call, depth: int) -> Pieces:
    return [*expression(node.function, POSTFIX, depth), *_bracketed("(", node.arguments, ")", depth)]


def _index(node: tree.Index, depth: int) -> Pieces:
    pieces = [*expression(node.base, POSTFIX, depth), "["]
    for i, item in enumerate(node.items):
        pieces += [", ", Break(20 * depth + 20)] if i else []
        shown = _position(item, CONDITION, depth + 1) if isinstance(item, tree.Sum) else part(item, depth + 1)
        reserved = isinstance(item, tree.Expr) and re.match(r"to\b(?!')", plain(shown))  # `[to c]` makes an axis
        pieces += ["(", *shown, ")"] if reserved else shown
    return [*pieces, "]"]


def _attr(node: tree.Attr, depth: int) -> Pieces:
    base = expression(node.base, POSTFIX, depth)
    if isinstance(node.base, tree.Number):
        base = ["(", *base, ")"]
    return [*base, ".", node.name.id]


_EXPRESSIONS: dict[str, Callable[..., Pieces]] = {
    "Name": lambda node, depth: [node.id],
    "Number": _number,
    "String": lambda node, depth: [f'"{node.value}"'],
    "Tuple": lambda node, depth: _bracketed("(", node.items, ")", depth),
    "List": lambda node, depth: _bracketed("[", node.items, "]", depth),
    "Unary": _unary,
    "Sum": lambda node, depth: _chain(node.operands, node.operators, PRODUCT, depth, " "),
    "Product": lambda node, depth: _chain(node.operands, node.operators, UNARY, depth, ""),
    "Power": _power,
    "Compare": lambda node, depth: _chain(node.operands, node.operators, RANGE, depth, " "),
    "Logic": _logic,
    "Cond": _cond,
    "Range": lambda node, depth: _interval(node.lo, node.hi, depth),
    "Call": _call,
    "Index": _index,
    "Attr": _attr,
}


def _bracketed(opening: str, parts: Sequence[tree.Node], closing: str, depth: int) -> Pieces:
    return [opening, *_listed(parts, depth + 1), closing] if parts or opening == "(" else []


def _optional(opening: str, parts: Sequence[tree.Node], closing: str) -> Pieces:
    """Brackets that are left out when nothing stands between them."""
    return _bracketed(opening, parts, closing, 0) if parts else []


def _listed(parts: Sequence[tree.Node], depth: int = 0) -> Pieces:
    """Parts with commas between them."""
    pieces: Pieces = []
    for i, node in enumerate(parts):
        if i:
            pieces += [", ", Break(20 * depth)]
        pieces += part(node, depth)
    return pieces


# ---------------------------------------------------------------------------------------------------------------------
# Items, types, parts of statements


@singledispatch
def part(node: tree.Node, depth: int = 0) -> Pieces:
    """What may stand in a list."""
    raise TypeError(type(node).__name__)


@part.register
def _(node: tree.Expr, depth: int = 0) -> Pieces:
    return expression(node, CONDITION, depth)


@part.register(tree.Keyword)
@part.register(tree.NamedItem)
def _(node: tree.Keyword | tree.NamedItem, depth: int = 0) -> Pieces:
    return [node.name.id, "=", *_position(node.value, CONDITION, depth)]


@part.register
def _(node: tree.Rename, depth: int = 0) -> Pieces:
    return [f"{node.source.id} to {node.target.id}"]


@part.register
def _(node: tree.Consume, depth: int = 0) -> Pieces:
    return [f"{node.name.id} to"]


@part.register
def _(node: tree.Produce, depth: int = 0) -> Pieces:
    return [f"to {node.name.id}"]


@part.register
def _(node: tree.RangeItem, depth: int = 0) -> Pieces:
    return [node.name.id, " in ", *_interval(node.lo, node.hi, depth)]


@part.register
def _(node: tree.Dotted, depth: int = 0) -> Pieces:
    return [node.text]


@part.register
def _(node: tree.DimDef, depth: int = 0) -> Pieces:
    return [node.name.id, *_after(" = ", node.size), *([f" in {node.within.id}"] if node.within else [])]


@part.register
def _(node: tree.AxisDef, depth: int = 0) -> Pieces:
    return [node.name.id, " in ", *_interval(node.lo, node.hi), *([" periodic"] if node.periodic else [])]


@part.register
def _(node: tree.FieldDef, depth: int = 0) -> Pieces:
    return [node.name.id, *_optional("[", node.items, "]"), f"({node.domain.id})", *_type(node.type)]


@part.register
def _(node: tree.ParamDef, depth: int = 0) -> Pieces:
    domain = [f"({node.domain.id})"] if node.domain else []
    bounds: Pieces = [" in ", *_interval(node.bounds.lo, node.bounds.hi)] if node.bounds else []
    return [node.name.id, *_optional("[", node.items, "]"), *domain, *_type(node.type), *_after(" = ", node.value), *bounds]


@part.register
def _(node: tree.TensorDef, depth: int = 0) -> Pieces:
    annotations = [f" {plain(annotation(a))}" for a in node.annotations]
    return [node.name.id, *_bracketed("[", node.items, "]", 0), *_type(node.type), *_after(" = ", node.value), *annotations]


@part.register
def _(node: tree.LayerInput, depth: int = 0) -> Pieces:
    return [node.name.id, *_optional("[", node.items, "]"), *_type(node.type)]


@part.register
def _(node: tree.LayerOutput, depth: int = 0) -> Pieces:
    return [node.name.id, *_bracketed("[", node.items, "]", 0)]


@part.register
def _(node: tree.SweepAxis, depth: int = 0) -> Pieces:
    return [node.name.id, " in ", *expression(node.values)]


@part.register
def _(node: tree.Equality, depth: int = 0) -> Pieces:
    return [*expression(node.left), " = ", Break(0), *expression(node.right)]


def annotation(node: tree.Annotation) -> Pieces:
    return [f"@{node.name.id}", *_optional("(", node.arguments, ")")]


def _type(node: tree.TypeExpr | None) -> Pieces:
    if node is None:
        return []
    kind: Pieces = [node.kind.id, *_optional("(", node.arguments, ")")] if node.kind else []
    unit = [f"[{show(node.unit)}]"] if node.unit else []
    return [": ", *kind, *([" "] if kind and unit else []), *unit]


def _target(node: tree.Target) -> Pieces:
    return [node.name.id, *_optional("[", node.items, "]"), *_optional("(", node.arguments, ")")]


def _after(word: str, node: tree.Expr | None) -> Pieces:
    return [] if node is None else [word, *([Break(1)] if word == " = " else []), *expression(node)]


# ---------------------------------------------------------------------------------------------------------------------
# Statements. Those with a body print only their head; layout is with format.py


@singledispatch
def statement(node: tree.Node) -> Pieces:
    """A statement on one line; of one with a body the part before `{`, an option of `solve` as well."""
    raise TypeError(type(node).__name__)


@statement.register
def _(node: tree.Version) -> Pieces:
    return [f"ricci {node.number}"]


@statement.register
def _(node: tree.Import) -> Pieces:
    return [f"import {node.module.text}", *([f" as {node.alias.id}"] if node.alias else [])]


@statement.register
def _(node: tree.FromImport) -> Pieces:
    return [f"from {node.module.text} import ", *(_names(node.names))]


def _names(names: Sequence[tree.Name]) -> Pieces:
    pieces: Pieces = []
    for i, name in enumerate(names):
        pieces += [", ", Break(0)] if i else []
        pieces.append(name.id)
    return pieces


@statement.register
def _(node: tree.UnitDeclaration) -> Pieces:
    return [f"unit {node.name.id} = {show(node.unit)}"]


@statement.register
def _(node: tree.DimDeclaration) -> Pieces:
    return ["dim ", *_listed(node.dims)]


@statement.register
def _(node: tree.DomainDeclaration) -> Pieces:
    if node.shape is not None:
        return [f"domain {node.name.id}", *_after(" = ", node.shape)]
    return [f"domain {node.name.id}: ", Break(0), *_listed(node.axes)]


@statement.register
def _(node: tree.RegionDeclaration) -> Pieces:
    return [f"region {node.name.id}", *_after(" = ", node.value)]


@statement.register
def _(node: tree.SideDeclaration) -> Pieces:
    return [f"side {node.name.id} = ", *_listed(node.sides)]


@statement.register
def _(node: tree.GridDeclaration) -> Pieces:
    return [f"grid {node.name.id}: ", *_listed(node.options)]


@statement.register
def _(node: tree.FieldDeclaration) -> Pieces:
    return ["field ", *_listed(node.fields)]


@statement.register
def _(node: tree.ParamDeclaration) -> Pieces:
    return ["const " if node.constant else "param ", *_listed(node.params)]


@statement.register
def _(node: tree.Equation) -> Pieces:
    name: Pieces = [" ", node.name.id, *_optional("[", node.items, "]"), ":"] if node.name else []
    return ["equation", *name, " ", *expression(node.left), " = ", Break(0), *expression(node.right)]


@statement.register
def _(node: tree.Boundary) -> Pieces:
    return ["boundary ", *_listed(node.fields), " on ", *_listed(node.sides), ": ", Break(0), *_listed(node.equations)]


@statement.register
def _(node: tree.Initial) -> Pieces:
    return ["initial ", *_target(node.target), *_after(" = ", node.value)]


@statement.register
def _(node: tree.TensorDeclaration) -> Pieces:
    return [f"{node.keyword} ", *_listed(node.tensors)]


@statement.register
def _(node: tree.NetworkDeclaration) -> Pieces:
    return [f"network {node.name.id}: ", *expression(node.structure), *_after(" = ", node.value)]


@statement.register
def _(node: tree.LayerDefinition) -> Pieces:
    return [f"layer {node.name.id}", *_bracketed("(", node.inputs, ")", 0), " -> ", Break(0), *_listed(node.outputs)]


@statement.register
def _(node: tree.ModelDefinition) -> Pieces:
    return [f"model {node.name.id}", *_optional("(", node.arguments, ")")]


@statement.register
def _(node: tree.Let) -> Pieces:
    return ["let ", *_target(node.target), *_type(node.type), *_after(" = ", node.value)]


@statement.register
def _(node: tree.Assign) -> Pieces:
    return [*_target(node.target), *_after(" = ", node.value)]


@statement.register
def _(node: tree.FunctionDefinition) -> Pieces:
    return [f"fn {node.name.id}(", *_names(node.parameters), ")", *_after(" = ", node.value)]


@statement.register
def _(node: tree.Reaction) -> Pieces:
    sides: Pieces = [*expression(node.left, SUM), f" {node.arrow} ", Break(0), *expression(node.right, SUM)]
    return ["reaction ", *sides, " rate ", *_listed(node.rates)]


@statement.register
def _(node: tree.Event) -> Pieces:
    return ["event when ", *expression(node.condition), ": ", Break(0), *_target(node.target), *_after(" = ", node.value)]


@statement.register
def _(node: tree.Iterate) -> Pieces:
    pieces: Pieces = ["iterate "]
    for i, start in enumerate(node.starts):
        pieces += [", ", Break(0)] if i else []
        pieces += statement(start)
    return pieces


@statement.register
def _(node: tree.RewriteRule) -> Pieces:
    guards: Pieces = [" when ", *_listed(node.guards)] if node.guards else []
    return [f"rule {node.name.id}: ", Break(0), *expression(node.left), f" {node.arrow} ", Break(0), *expression(node.right), *guards]


@statement.register
def _(node: tree.Sweep) -> Pieces:
    run = [f" run {node.run.id}"] if node.run else []
    return ["sweep ", *_listed(node.axes), *run, *_after(" to ", node.path)]


@statement.register
def _(node: tree.Solve) -> Pieces:
    name = [f" {node.name.id}:"] if node.name else []
    goal: Pieces = []
    if node.goal:
        goal = [f" {node.goal.kind.id}"]
        if node.goal.objective is not None:
            goal += [" ", *expression(node.goal.objective)]
        if node.goal.over:
            goal += [" over ", *_listed(node.goal.over)]
    return ["solve", *name, *goal]


@statement.register
def _(node: tree.Entry) -> Pieces:
    return [f"{node.name.id}: ", *_listed(node.arguments)]


@statement.register
def _(node: tree.Run) -> Pieces:
    name = [f" {node.name.id}"] if node.name else []
    return ["run", *name, *([" with ", *_listed(node.settings)] if node.settings else [])]


@statement.register
def _(node: tree.Output) -> Pieces:
    at: Pieces = [" at ", *_listed(node.at)] if node.at else []
    return ["output ", *_listed(node.quantities), *_after(" every ", node.every), *at, *_after(" to ", node.path)]


@statement.register
def _(node: tree.Plot) -> Pieces:
    at: Pieces = [" at ", *_listed(node.at)] if node.at else []
    return ["plot ", *_listed(node.quantities), *at, *_after(" to ", node.path)]


@statement.register
def _(node: tree.Save) -> Pieces:
    return [f"save {node.what.text}", *_after(" to ", node.path)]


@statement.register
def _(node: tree.Check) -> Pieces:
    return ["check ", *expression(node.condition)]


@statement.register
def _(node: tree.Dataset) -> Pieces:
    return [f"dataset {node.name.id}", *_after(" = ", node.value)]


def tail(node: tree.Iterate) -> Pieces:
    """What follows the body of an `iterate`."""
    return [" until ", *expression(node.until), *_after(" max ", node.maximum)]
