"""The syntax tree of a `.model` text: what the parser makes, what `fmt` prints and what `check` reads.

Conventions, the same for every node:

* Nodes are immutable and compared by **identity**, so a side table is a dict keyed by nodes; `same(a, b)` compares
  what two trees say (spans left out).
* `span` is the exact text of the node. Parentheses around an expression leave no node: `(a + b)*c` is a `Product` whose
  first operand is the `Sum` `a + b`, with the span inside the parentheses.
* An identifier is a `Name` wherever a message may have to point at it; `.id` is its text, NFKC-normalized.
* What may be absent is `None` if it is one thing and `()` if it is a sequence (the grammar has no empty brackets that
  would mean something else than no brackets, except the call `f()` and `fn f() = ...`).
* `a + b - c` is one `Sum` of three operands, `a*b/c` one `Product`, `a < b < c` one `Compare`, `a and b and c` one
  `Logic`: chains of any length are flat, so a tree is at most `DEEPEST` levels deep. A recursive function over it runs inside
  `with tree.recursion():`, because several calls a level are more than Python allows by itself.
* No names are resolved here: `dx(u)`, `u(x=0.5)` and `Layer(v)` are all `Call`s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from ricci.errors import Source

# The nodes of expressions are names of this module too.
# isort: off
from ricci.dsl.expressions import (
    Argument as Argument, Attr as Attr, Call as Call, Compare as Compare, Cond as Cond, Consume as Consume, Expr as Expr,
    Index as Index, Item as Item, Keyword as Keyword, List as List, Logic as Logic, Name as Name, NamedItem as NamedItem,
    Node as Node, Number as Number, Power as Power, Produce as Produce, Product as Product, Range as Range, RangeItem as RangeItem,
    Rename as Rename, String as String, Sum as Sum, Tuple as Tuple, TypeExpr as TypeExpr, Unary as Unary, UnitExpr as UnitExpr,
    UnitName as UnitName, UnitNumber as UnitNumber, UnitPower as UnitPower, UnitProduct as UnitProduct,
)  # fmt: skip
# isort: on

DEEPEST = 200  # levels of nesting that the parser lets through (E0004)
DEEPEST_CALLS = 2000  # levels of the bodies of functions that call each other, put into each other (E0004)


# ---------------------------------------------------------------------------------------------------------------------
# Parts shared by statements


@dataclass(frozen=True, eq=False)
class Annotation(Node):
    """`@tol(1e-3)`, `@implicit`."""

    name: Name
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, eq=False)
class Dotted(Node):
    """`x.lo`, `burgers.u`, `walls`: one or more names."""

    names: tuple[Name, ...]

    @property
    def text(self) -> str:
        return ".".join(name.id for name in self.names)


@dataclass(frozen=True, eq=False)
class Target(Node):
    """What is defined on the left of `=`: `u`, `R[j, m]`, `dt(p)` (name `dt`, argument `p`), `u(x, y)`, `z[s=-1]`."""

    name: Name
    items: tuple[Item, ...]
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, eq=False)
class Equality(Node):
    """`left = right` as a statement of fact."""

    left: Expr
    right: Expr


# ---------------------------------------------------------------------------------------------------------------------
# Statements


@dataclass(frozen=True, eq=False)
class Statement(Node):
    """`annotations`: those before and behind the statement, in the order of the text."""

    annotations: tuple[Annotation, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, eq=False)
class Version(Statement):
    """`ricci 0.1`."""

    number: str


@dataclass(frozen=True, eq=False)
class Import(Statement):
    """`import nn`, `import a.b as c`."""

    module: Dotted
    alias: Name | None


@dataclass(frozen=True, eq=False)
class FromImport(Statement):
    """`from spin import Sz, Sp`."""

    module: Dotted
    names: tuple[Name, ...]


@dataclass(frozen=True, eq=False)
class UnitDeclaration(Statement):
    """`unit cell = 1e-12 L`."""

    name: Name
    unit: UnitExpr


@dataclass(frozen=True, eq=False)
class DimDef(Node):
    """`b`, `d = 784`, `b in D` (an axis of a domain or data set)."""

    name: Name
    size: Expr | None
    within: Name | None


@dataclass(frozen=True, eq=False)
class DimDeclaration(Statement):
    """`dim b, d = 784`."""

    dims: tuple[DimDef, ...]


@dataclass(frozen=True, eq=False)
class AxisDef(Node):
    """`x in lo..hi periodic`."""

    name: Name
    lo: Expr
    hi: Expr
    periodic: bool


@dataclass(frozen=True, eq=False)
class DomainDeclaration(Statement):
    """`domain D: x in 0..1, y in 0..1` (axes) or `domain D = box(...) - disk(...)` (shape, then axes is empty)."""

    name: Name
    axes: tuple[AxisDef, ...]
    shape: Expr | None


@dataclass(frozen=True, eq=False)
class RegionDeclaration(Statement):
    """`region core = x < 0.5`."""

    name: Name
    value: Expr


@dataclass(frozen=True, eq=False)
class SideDeclaration(Statement):
    """`side walls = x.lo, x.hi`."""

    name: Name
    sides: tuple[Dotted, ...]


@dataclass(frozen=True, eq=False)
class GridDeclaration(Statement):
    """`grid fine: x=100, y=100`."""

    name: Name
    options: tuple[Keyword, ...]


@dataclass(frozen=True, eq=False)
class FieldDef(Node):
    """`u[i](D): vector [m/s]`; `domain` is the name between the parentheses: a domain, or `t`."""

    name: Name
    items: tuple[Item, ...]
    domain: Name
    type: TypeExpr | None


@dataclass(frozen=True, eq=False)
class FieldDeclaration(Statement):
    """`field u(D), v(D)`."""

    fields: tuple[FieldDef, ...]


@dataclass(frozen=True, eq=False)
class ParamDef(Node):
    """`k[i](D): [m/s] = value in lo..hi`; `domain` is None for a number. `replaced`: the model's own value, where another was given."""

    name: Name
    items: tuple[Item, ...]
    domain: Name | None
    type: TypeExpr | None
    value: Expr | None
    bounds: Range | None
    replaced: Expr | None = None


@dataclass(frozen=True, eq=False)
class ParamDeclaration(Statement):
    """`param F = 0.04, k = 0.06` or `const ...`."""

    constant: bool
    params: tuple[ParamDef, ...]


@dataclass(frozen=True, eq=False)
class Equation(Statement):
    """`equation name[items]: left = right`."""

    name: Name | None
    items: tuple[Item, ...]
    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False)
class Boundary(Statement):
    """`boundary u, v on x.lo, walls: left = right, left = right`."""

    fields: tuple[Dotted, ...]
    sides: tuple[Dotted, ...]
    equations: tuple[Equality, ...]


@dataclass(frozen=True, eq=False)
class Initial(Statement):
    """`initial u = value`, `initial dt(p) = 0`, `initial z[s=-1] = 0`."""

    target: Target
    value: Expr


@dataclass(frozen=True, eq=False)
class TensorDef(Node):
    """`W[h, d]: complex = value @btt(cores=2)`."""

    name: Name
    items: tuple[Item, ...]
    type: TypeExpr | None
    value: Expr | None
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, eq=False)
class TensorDeclaration(Statement):
    """`tensor A[i, j], B[j]`; `keyword` is `tensor` or `weight`. Annotations behind a tensor belong to its `TensorDef`."""

    keyword: str
    tensors: tuple[TensorDef, ...]


@dataclass(frozen=True, eq=False)
class NetworkDeclaration(Statement):
    """`network H: mpo(site) = value`."""

    name: Name
    structure: Expr
    value: Expr | None


@dataclass(frozen=True, eq=False)
class LayerInput(Node):
    """`x[b, d]` (items) or `scale: real` (type)."""

    name: Name
    items: tuple[Item, ...]
    type: TypeExpr | None


@dataclass(frozen=True, eq=False)
class LayerOutput(Node):
    """`y[b, h]`."""

    name: Name
    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False)
class LayerDefinition(Statement):
    """`layer L(x[b, d]) -> y[b, h] { body }`."""

    name: Name
    inputs: tuple[LayerInput, ...]
    outputs: tuple[LayerOutput, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, eq=False)
class ModelDefinition(Statement):
    """`model burgers(nu=0.1) { body }`."""

    name: Name
    arguments: tuple[Argument, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, eq=False)
class Let(Statement):
    """`let R[j, m]: real = value`."""

    target: Target
    type: TypeExpr | None
    value: Expr


@dataclass(frozen=True, eq=False)
class Assign(Statement):
    """`y[b, h] = value` inside a layer or an `iterate`."""

    target: Target
    value: Expr


@dataclass(frozen=True, eq=False)
class FunctionDefinition(Statement):
    """`fn a(x, y) = value`."""

    name: Name
    parameters: tuple[Name, ...]
    value: Expr


@dataclass(frozen=True, eq=False)
class Reaction(Statement):
    """`reaction S + E <-> ES rate kf, kr`; `arrow` is `->` or `<->`."""

    left: Expr
    arrow: str
    right: Expr
    rates: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Event(Statement):
    """`event when condition: target = value`."""

    condition: Expr
    target: Target
    value: Expr


@dataclass(frozen=True, eq=False)
class Iterate(Statement):
    """`iterate x = start { body } until condition max count`; the starts are `Assign`s without annotations."""

    starts: tuple[Assign, ...]
    body: tuple[Statement, ...]
    until: Expr
    maximum: Expr | None


@dataclass(frozen=True, eq=False)
class RewriteRule(Statement):
    """`rule name: left -> right when guard, guard`."""

    name: Name
    left: Expr
    arrow: str
    right: Expr
    guards: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class SweepAxis(Node):
    """`Re in [100, 200]`."""

    name: Name
    values: Expr


@dataclass(frozen=True, eq=False)
class Sweep(Statement):
    """`sweep Re in [100, 200] run forward to "sweep.npz"`."""

    axes: tuple[SweepAxis, ...]
    run: Name | None
    path: String | None


@dataclass(frozen=True, eq=False)
class Goal(Node):
    """`minimize objective over vp`; kind `minimize`, `maximize`, `find`, `eigen`, or another name that stands alone."""

    kind: Name
    objective: Expr | None
    over: tuple[Dotted, ...]


@dataclass(frozen=True, eq=False)
class Entry(Node):
    """One option of `solve { name: arguments }`."""

    name: Name
    arguments: tuple[Argument, ...]

    @property
    def positional(self) -> tuple[Expr, ...]:
        return tuple(a for a in self.arguments if isinstance(a, Expr))

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        return tuple(a for a in self.arguments if isinstance(a, Keyword))


@dataclass(frozen=True, eq=False)
class Solve(Statement):
    """`solve name: goal { entries }`."""

    name: Name | None
    goal: Goal | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, eq=False)
class Run(Statement):
    """`run forward with k=2, m=3`."""

    name: Name | None
    settings: tuple[Keyword, ...]


@dataclass(frozen=True, eq=False)
class Output(Statement):
    """`output u, v every 50 to "file.zarr"` or `... at t=1, t=2 to ...`."""

    quantities: tuple[Expr, ...]
    every: Expr | None
    at: tuple[Argument, ...]
    path: String


@dataclass(frozen=True, eq=False)
class Plot(Statement):
    """`plot u at t=1 to "u.png"`, `plot y, v`."""

    quantities: tuple[Expr, ...]
    at: tuple[Argument, ...]
    path: String | None


@dataclass(frozen=True, eq=False)
class Save(Statement):
    """`save MLP to "mlp.npz"`."""

    what: Dotted
    path: String


@dataclass(frozen=True, eq=False)
class Check(Statement):
    """`check max(abs(u)) < 1e-3`."""

    condition: Expr


@dataclass(frozen=True, eq=False)
class Dataset(Statement):
    """`dataset digits = load("digits.npz", x=[b, d])`."""

    name: Name
    value: Expr


@dataclass(frozen=True, eq=False)
class Comment(Node):
    """`# words` as written; `alone` when nothing stands before it on its line."""

    text: str
    alone: bool


@dataclass(frozen=True, eq=False)
class File(Node):
    """The whole text. Comments are beside the statements, in order; their spans say where they belong."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
    source: Source = field(repr=False)


# ---------------------------------------------------------------------------------------------------------------------
# Walking


_PARTS: dict[str, tuple[str, ...]] = {}


def parts(node: Node) -> tuple[str, ...]:
    """Names of the fields that belong to the syntax."""
    kind = type(node).__name__
    if kind not in _PARTS:
        _PARTS[kind] = tuple(f.name for f in fields(node) if f.name not in ("span", "source"))
    return _PARTS[kind]


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below, in the order of the fields."""
    for name in parts(node):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (v for v in value if isinstance(v, Node))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, each before its children."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(children(node))))


def levels(node: Node) -> int:
    """How many nodes stand inside each other at most."""
    deepest, stack = 0, [(node, 1)]
    while stack:
        here, depth = stack.pop()
        deepest = max(deepest, depth)
        stack.extend((c, depth + 1) for c in children(here))
    return deepest


@contextmanager
def recursion() -> Iterator[None]:
    """Room on the stack for recursion over the deepest tree, up to forty calls a level of a text, twenty of bodies of functions."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 40 * DEEPEST + 20 * DEEPEST_CALLS + 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def same(a: Any, b: Any) -> bool:
    """Whether two trees say the same: equal kinds and fields, spans and comments left out."""
    stack = [(a, b)]
    while stack:
        a, b = stack.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, Node):
            stack.extend((getattr(a, n), getattr(b, n)) for n in parts(a) if n != "comments")
        elif isinstance(a, tuple):
            if len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True
