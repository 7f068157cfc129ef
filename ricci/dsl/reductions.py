"""From a reduced grammar rule to its syntax node: one small reader per rule of grammar.lark.

A reader gets all parts of its rule in order, keyword and symbol tokens among them, so optional parts are told apart by
the token before them, exactly as the rule is written.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ricci.dsl import tree
from ricci.dsl.lexer import Token
from ricci.errors import Diagnostics, Source, Span

BIGGEST_EXPONENT = 400  # |exponent of ten| of a literal: beyond any number a machine holds, and still cheap to hold exactly


class Parts:
    """The parts of one rule, read from left to right: tokens of keywords and symbols, nodes for the rest."""

    __slots__ = ("errors", "items", "next", "span")

    def __init__(self, items: list[Any], span: Span, errors: Diagnostics) -> None:
        self.items = items
        self.next = 0
        self.span = span
        self.errors = errors

    def accept(self, *kinds: str) -> str:
        """Takes the next part if it is one of these symbols or keywords; its text, or "" if it is something else."""
        if self.next < len(self.items):
            item = self.items[self.next]
            if type(item) is Token and item.kind in kinds:
                self.next += 1
                return item.kind
        return ""

    def take(self) -> Any:
        """The next node."""
        item = self.items[self.next]
        self.next += 1
        return item

    def word(self) -> str:
        """The text of the next token, whatever it is."""
        token: Token = self.take()
        return token.text

    def many(self) -> tuple[Any, ...]:
        """Nodes with commas between them."""
        taken = [self.take()]
        while self.accept(","):
            taken.append(self.take())
        return tuple(taken)

    def rest(self) -> tuple[Any, ...]:
        """All nodes that are left, without the tokens between them."""
        left = tuple(item for item in self.items[self.next :] if type(item) is not Token)
        self.next = len(self.items)
        return left

    def items_or_none(self) -> tuple[Any, ...]:
        """`[...]`, or nothing."""
        return self._enclosed("[", "]")

    def arguments_or_none(self) -> tuple[Any, ...]:
        """`(...)`, or nothing."""
        return self._enclosed("(", ")")

    def _enclosed(self, opening: str, closing: str) -> tuple[Any, ...]:
        if not self.accept(opening):
            return ()
        if self.accept(closing):
            return ()
        taken = self.many()
        self.accept(closing)
        return taken

    def after(self, *kinds: str) -> Any:
        """The node behind one of these tokens, or None without the token."""
        return self.take() if self.accept(*kinds) else None

    def block(self) -> tuple[Any, ...]:
        """`{ ... }`."""
        self.accept("{")
        taken = []
        while not self.accept("}"):
            item = self.take()
            if type(item) is not Token:
                taken.append(item)
        return tuple(taken)


Reader = Callable[[Parts], Any]


def _whole(kind: Callable[..., tree.Node]) -> Reader:
    """The nodes of the rule are the fields."""
    return lambda p: kind(*p.rest(), span=p.span)


def _sequence(kind: Callable[..., tree.Node]) -> Reader:
    """The nodes of the rule are the one field."""
    return lambda p: kind(p.rest(), span=p.span)


def _chained(kind: Callable[..., tree.Node]) -> Reader:
    """Operands and the operators between them."""
    return lambda p: kind(*_chain(p), span=p.span)


# ---------------------------------------------------------------------------------------------------------------------
# Expressions


def _name(p: Parts) -> tree.Name:
    return tree.Name(unicodedata.normalize("NFKC", p.word()), span=p.span)


def _string(p: Parts) -> tree.String:
    return tree.String(p.word().strip('"'), span=p.span)


def _exact(p: Parts, text: str) -> Fraction:
    """The value of a literal; one that no machine number can hold is refused before it is computed."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = exponent.lstrip("+-0")
    large = len(digits) > 3 or int(digits or "0") > BIGGEST_EXPONENT or len(mantissa) > 4 * BIGGEST_EXPONENT
    value = Fraction(0) if large else Fraction(mantissa.rstrip(".")) * Fraction(10) ** int(exponent or "0")
    if large or value >= Fraction(2) ** 1024:
        shown = text if len(text) < 40 else text[:36] + "..."
        label = "so small a number is 0" if exponent.startswith("-") else "the largest number is 1.797e308"
        p.errors.add("E0001", f"the number `{shown}` is out of range", p.span, label=label)
    return value


def _number(p: Parts) -> tree.Number:
    text = p.word()
    p.accept("[")
    unit = p.take() if p.next < len(p.items) else None
    return tree.Number(_exact(p, text.rstrip("i")), text.endswith("i"), unit, text, span=p.span)


def _unary(p: Parts) -> tree.Unary:
    return tree.Unary(p.accept("-", "+", "not"), p.take(), span=p.span)


def _chain(p: Parts) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    return tuple(p.items[0::2]), tuple(token.text for token in p.items[1::2])


def _logic(p: Parts) -> tree.Logic:
    operands, operators = _chain(p)
    return tree.Logic(operators[0], operands, span=p.span)


def _power(p: Parts) -> tree.Power:
    return tree.Power(p.items[0], p.items[2], span=p.span)


def _range(p: Parts) -> tree.Range:
    return tree.Range(p.items[0], p.items[2], span=p.span)


def _call(p: Parts) -> tree.Call:
    function = p.take()
    if isinstance(function, tree.Number):
        rest = p.span.source.text[function.span.end : p.span.end].lstrip()
        p.errors.add("E0001", "a number cannot be called", function.span, label=f"a product is written `{function.span.text}*{rest}`")
    elif isinstance(function, tree.String | tree.Tuple | tree.List):
        p.errors.add("E0001", "this cannot be called", function.span, label="a function or a field stands before `(`")
    return tree.Call(function, p.arguments_or_none(), span=p.span)


def _index(p: Parts) -> tree.Index:
    base = p.take()
    if isinstance(base, tree.Number | tree.String):
        message = "a number has one unit and no index" if isinstance(base, tree.Number) else "a text has no index"
        p.errors.add("E0001", message, Span(p.span.source, base.span.end, p.span.end))
    return tree.Index(base, p.items_or_none(), span=p.span)


def _attr(p: Parts) -> tree.Attr:
    return tree.Attr(p.items[0], p.items[2], span=p.span)


def _inner(p: Parts) -> Any:
    """`(x)` is x."""
    return p.items[1]


# ---------------------------------------------------------------------------------------------------------------------
# Units and types


def _unit_name(p: Parts) -> tree.UnitName:
    return tree.UnitName(unicodedata.normalize("NFKC", p.word()), span=p.span)


def _unit_number(p: Parts) -> tree.UnitNumber:
    text = p.word()
    value = _exact(p, text.rstrip("i"))
    if text.endswith("i") or value == 0:
        p.errors.add("E0001", f"`{text}` cannot stand in a unit", p.span, label="a positive number is expected")
        value = Fraction(1)
    return tree.UnitNumber(value, text, span=p.span)


def _unit_power(p: Parts) -> tree.UnitPower:
    base = p.take()
    p.accept("^", "**")
    bracketed = p.accept("(")
    sign = -1 if p.accept("-") else 1
    exponent = _exact(p, p.word().rstrip("i"))
    if bracketed and p.accept("/"):
        below = _exact(p, p.word().rstrip("i"))
        if below == 0:
            p.errors.add("E0001", "the exponent of a unit has a denominator 0", p.span)
        exponent /= below or 1
    imaginary = any(type(i) is Token and i.text.endswith("i") for i in p.items)
    if imaginary or exponent > 100 or exponent.denominator > 100:
        p.errors.add("E0001", "the exponent of a unit is a small rational number", p.span, label="like `m^2`, `s^-1`, `m^(1/2)`")
        exponent = Fraction(1)
    return tree.UnitPower(base, sign * exponent, span=p.span)


def _unit_product(p: Parts) -> tree.UnitProduct:
    factors: list[Any] = []
    operators: list[str] = []
    for item in p.items:
        if type(item) is Token:
            operators.append(item.text)
            continue
        factors.append(item)
        if len(operators) < len(factors) - 1:
            operators.append("*")
    return tree.UnitProduct(tuple(factors), tuple(operators), span=p.span)


def _type(p: Parts) -> tree.TypeExpr:
    kind = None if p.accept("[") else p.take()
    if kind is None:
        return tree.TypeExpr(None, (), p.take(), span=p.span)
    return tree.TypeExpr(kind, p.arguments_or_none(), p.after("["), span=p.span)


# ---------------------------------------------------------------------------------------------------------------------
# Parts of statements


def _annotation(p: Parts) -> tree.Annotation:
    p.accept("@")
    return tree.Annotation(p.take(), p.arguments_or_none(), span=p.span)


def _target(p: Parts) -> tree.Target:
    return tree.Target(p.take(), p.items_or_none(), p.arguments_or_none(), span=p.span)


def _dim(p: Parts) -> tree.DimDef:
    return tree.DimDef(p.take(), p.after("="), p.after("in"), span=p.span)


def _axis(p: Parts) -> tree.AxisDef:
    name, lo, hi = p.rest()
    last = p.items[-1]
    return tree.AxisDef(name, lo, hi, type(last) is Token and last.kind == "periodic", span=p.span)


def _field(p: Parts) -> tree.FieldDef:
    return tree.FieldDef(p.take(), p.items_or_none(), p.arguments_or_none()[0], p.after(":"), span=p.span)


def _param(p: Parts) -> tree.ParamDef:
    name, items, where = p.take(), p.items_or_none(), p.arguments_or_none()
    kind, value = p.after(":"), p.after("=")
    bounds = None
    if p.accept("in"):
        lo = p.take()
        p.accept("..")
        hi = p.take()
        bounds = tree.Range(lo, hi, span=Span(p.span.source, lo.span.start, hi.span.end))
    return tree.ParamDef(name, items, where[0] if where else None, kind, value, bounds, span=p.span)


def _tensor(p: Parts) -> tree.TensorDef:
    return tree.TensorDef(p.take(), p.items_or_none(), p.after(":"), p.after("="), p.rest(), span=p.span)


def _layer_input(p: Parts) -> tree.LayerInput:
    return tree.LayerInput(p.take(), p.items_or_none(), p.after(":"), span=p.span)


def _layer_output(p: Parts) -> tree.LayerOutput:
    return tree.LayerOutput(p.take(), p.items_or_none(), span=p.span)


def _goal(p: Parts) -> tree.Goal:
    first = p.take()
    if type(first) is not Token:
        return tree.Goal(first, None, (), span=p.span)
    kind = tree.Name(first.text, span=Span(p.span.source, first.start, first.end))
    return tree.Goal(kind, p.take(), p.many() if p.accept("over") else (), span=p.span)


def _entry(p: Parts) -> tree.Entry:
    name = p.take()
    p.accept(":")
    return tree.Entry(name, p.many(), span=p.span)


# ---------------------------------------------------------------------------------------------------------------------
# Statements; the keyword is taken first


def _version(p: Parts) -> tree.Version:
    p.take()
    return tree.Version(p.word(), span=p.span)


def _import(p: Parts) -> tree.Import:
    p.take()
    return tree.Import(p.take(), p.after("as"), span=p.span)


def _from_import(p: Parts) -> tree.FromImport:
    p.take()
    module = p.take()
    p.accept("import")
    return tree.FromImport(module, p.many(), span=p.span)


def _domain(p: Parts) -> tree.DomainDeclaration:
    p.take()
    name = p.take()
    shape = p.after("=")
    return tree.DomainDeclaration(name, () if shape else p.rest(), shape, span=p.span)


def _side(p: Parts) -> tree.SideDeclaration:
    name, *sides = p.rest()
    return tree.SideDeclaration(name, tuple(sides), span=p.span)


def _grid(p: Parts) -> tree.GridDeclaration:
    name, *options = p.rest()
    return tree.GridDeclaration(name, tuple(options), span=p.span)


def _params(p: Parts) -> tree.ParamDeclaration:
    constant = p.word() == "const"
    return tree.ParamDeclaration(constant, p.rest(), span=p.span)


def _equation(p: Parts) -> tree.Equation:
    p.take()
    *label, left, right = p.rest()
    name, items = _label(p, label[0]) if label else (None, ())
    return tree.Equation(name, items, left, right, span=p.span)


def _label(p: Parts, label: tree.Expr) -> tuple[tree.Name | None, tuple[tree.Item, ...]]:
    """The name of an equation, and the indices that it holds for."""
    if isinstance(label, tree.Name):
        return label, ()
    if isinstance(label, tree.Index) and isinstance(label.base, tree.Name):
        return label.base, label.items
    p.errors.add(
        "E0001", f"`{label.span.text}` is not the name of an equation", label.span, label="a name, or `name[i]`, stands before `:`"
    )
    return None, ()


def _boundary(p: Parts) -> tree.Boundary:
    p.take()
    fields = p.many()
    p.accept("on")
    sides = p.many()
    return tree.Boundary(fields, sides, p.rest(), span=p.span)


def _tensors(p: Parts) -> tree.TensorDeclaration:
    keyword = p.word()
    return tree.TensorDeclaration(keyword, p.rest(), span=p.span)


def _network(p: Parts) -> tree.NetworkDeclaration:
    p.take()
    name = p.take()
    p.accept(":")
    return tree.NetworkDeclaration(name, p.take(), p.after("="), span=p.span)


def _layer(p: Parts) -> tree.LayerDefinition:
    p.take()
    name, inputs = p.take(), p.arguments_or_none()
    p.accept("->")
    return tree.LayerDefinition(name, inputs, p.many(), p.block(), span=p.span)


def _model(p: Parts) -> tree.ModelDefinition:
    p.take()
    return tree.ModelDefinition(p.take(), p.arguments_or_none(), p.block(), span=p.span)


def _let(p: Parts) -> tree.Let:
    p.take()
    return tree.Let(p.take(), p.after(":"), p.after("="), span=p.span)


def _function(p: Parts) -> tree.FunctionDefinition:
    p.take()
    return tree.FunctionDefinition(p.take(), p.arguments_or_none(), p.after("="), span=p.span)


def _reaction(p: Parts) -> tree.Reaction:
    p.take()
    left, arrow = p.take(), p.word()
    right, *rates = p.rest()
    return tree.Reaction(left, arrow, right, tuple(rates), span=p.span)


def _iterate(p: Parts) -> tree.Iterate:
    p.take()
    return tree.Iterate(p.many(), p.block(), p.after("until"), p.after("max"), span=p.span)


def _rule(p: Parts) -> tree.RewriteRule:
    p.take()
    name = p.take()
    p.accept(":")
    left, arrow = p.take(), p.word()
    right, *guards = p.rest()
    return tree.RewriteRule(name, left, arrow, right, tuple(guards), span=p.span)


def _sweep(p: Parts) -> tree.Sweep:
    p.take()
    return tree.Sweep(p.many(), p.after("run"), p.after("to"), span=p.span)


def _solve(p: Parts) -> tree.Solve:
    p.take()
    named = any(type(i) is Token and i.kind == ":" for i in p.items)
    name = p.take() if named else None
    p.accept(":")
    goal = None if p.accept("{") else p.take()
    return tree.Solve(name, goal, p.rest(), span=p.span)


def _run(p: Parts) -> tree.Run:
    p.take()
    name = None if p.next == len(p.items) or p.accept("with") else p.take()
    return tree.Run(name, p.rest(), span=p.span)


def _output(p: Parts) -> tree.Output:
    p.take()
    quantities = p.many()
    every = p.after("every")
    at = p.many() if p.accept("at") else ()
    return tree.Output(quantities, every, at, p.after("to"), span=p.span)


def _plot(p: Parts) -> tree.Plot:
    p.take()
    quantities = p.many()
    at = p.many() if p.accept("at") else ()
    return tree.Plot(quantities, at, p.after("to"), span=p.span)


def _statement(p: Parts) -> Any:
    nodes = p.rest()
    annotations = tuple(n for n in nodes if isinstance(n, tree.Annotation))
    core = next(n for n in nodes if isinstance(n, tree.Statement))
    return replace(core, annotations=annotations, span=p.span) if annotations else core


def _start(p: Parts) -> tuple[tree.Statement, ...]:
    return p.rest()


READERS: dict[str, Reader] = {
    "start": _start,
    "statement": _statement,
    "version": _version,
    "import_": _import,
    "from_import": _from_import,
    "unit_declaration": _whole(tree.UnitDeclaration),
    "dims": _sequence(tree.DimDeclaration),
    "dim": _dim,
    "domain": _domain,
    "axis": _axis,
    "region": _whole(tree.RegionDeclaration),
    "side": _side,
    "grid": _grid,
    "fields": _sequence(tree.FieldDeclaration),
    "field": _field,
    "params": _params,
    "param": _param,
    "equation": _equation,
    "boundary": _boundary,
    "equality": _whole(tree.Equality),
    "initial": _whole(tree.Initial),
    "tensors": _tensors,
    "tensor": _tensor,
    "network": _network,
    "layer": _layer,
    "layer_input": _layer_input,
    "layer_output": _layer_output,
    "model": _model,
    "let": _let,
    "assign": _whole(tree.Assign),
    "function": _function,
    "reaction": _reaction,
    "event": _whole(tree.Event),
    "iterate": _iterate,
    "rule": _rule,
    "sweep": _sweep,
    "sweep_axis": _whole(tree.SweepAxis),
    "solve": _solve,
    "goal": _goal,
    "entry": _entry,
    "run": _run,
    "output": _output,
    "plot": _plot,
    "save": _whole(tree.Save),
    "check": _whole(tree.Check),
    "dataset": _whole(tree.Dataset),
    "type": _type,
    "target": _target,
    "annotation": _annotation,
    "dotted": _sequence(tree.Dotted),
    "named_item": _whole(tree.NamedItem),
    "rename": _whole(tree.Rename),
    "consume": _whole(tree.Consume),
    "produce": _whole(tree.Produce),
    "range_item": _whole(tree.RangeItem),
    "keyword": _whole(tree.Keyword),
    "cond": _whole(tree.Cond),
    "or_": _logic,
    "and_": _logic,
    "unary": _unary,
    "compare": _chained(tree.Compare),
    "range_": _range,
    "sum_": _chained(tree.Sum),
    "product": _chained(tree.Product),
    "power": _power,
    "call": _call,
    "index": _index,
    "attr": _attr,
    "parentheses": _inner,
    "tuple": _sequence(tree.Tuple),
    "list": _sequence(tree.List),
    "name": _name,
    "string": _string,
    "number": _number,
    "unit_product": _unit_product,
    "unit_power": _unit_power,
    "unit_name": _unit_name,
    "unit_number": _unit_number,
}


def reduce(rule: str, items: list[Any], source: Source, start: int, end: int, errors: Diagnostics) -> Any:
    """The node of a rule; `items` are its parts in order."""
    return READERS[rule](Parts(items, Span(source, start, end), errors))
