"""What an expression of a model is while it is checked: a term or a tuple of terms, with a unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ricci.dsl import build, tree
from ricci.dsl.model import Load, Unit
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, Type
from ricci.dsl.units import NUMBER, Powers
from ricci.errors import CheckFailed, Diagnostics, Span

Data = Any  # Term, or a tuple of Data: one entry per component


@dataclass(frozen=True)
class Value:
    """A quantity; `unit` None fits every unit (`0`, `inf`); `order` is the declared order of axes, () if there is none."""

    data: Data
    unit: Powers | None = NUMBER
    order: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the components of a vector
    edge: str = ""  # what is read beyond an axis: fill wrap clamp mirror, "" is an error
    shown: Unit | None = None

    @property
    def term(self) -> Term:
        assert isinstance(self.data, Term)
        return self.data

    @property
    def rank(self) -> int:
        return rank(self.data)


@dataclass(frozen=True)
class Axis:
    """An index: a `dim`, or a coordinate of a domain."""

    name: str
    size: Size
    coordinate: bool = False
    unit: Powers = NUMBER


@dataclass(frozen=True)
class Procedure:
    """`fn name(parameters) = body`."""

    parameters: tuple[str, ...]
    body: tree.Expr


@dataclass(frozen=True)
class LayerValue:
    """A layer that can be called: inputs and outputs with their declared axes."""

    name: str
    layer: Any


@dataclass(frozen=True)
class Loaded:
    """`load(...)`."""

    load: Load


@dataclass
class Declared:
    """A name, the word for it in messages, and what it stands for, made when it is first used."""

    word: str
    span: Span
    make: Callable[[], Any]
    entity: Any = None
    state: str = "new"

    def get(self) -> Any:
        if self.state == "active":
            raise CheckFailed("E0106", "this is defined by itself", self.span, label="needs its own value")
        if self.state == "failed":
            raise Skip
        if self.state == "new":
            self.state = "active"
            try:
                self.entity = self.make()
            except (CheckFailed, Skip):
                self.state = "failed"
                raise
            self.state = "done"
        return self.entity


class Skip(Exception):
    """A declaration that this statement needs was wrong; it has been reported where it stands."""


@dataclass
class Names:
    """Declarations of one block, then of the block around it."""

    parent: Names | None = None
    table: dict[str, Declared] = field(default_factory=dict)

    def find(self, name: str) -> Declared | None:
        scope: Names | None = self
        while scope is not None:
            if name in scope.table:
                return scope.table[name]
            scope = scope.parent
        return None

    def all(self) -> list[str]:
        return [*self.table, *(self.parent.all() if self.parent else [])]

    def declare(self, name: tree.Name, word: str, make: Callable[[], Any], diagnostics: Diagnostics) -> None:
        """Enter a name; E0102 for a second declaration, E0103 for a predefined one."""
        first = self.table.get(name.id)
        if name.id in ("pi", "im", "inf", "t"):
            diagnostics.add("E0103", f"`{name.id}` is predefined", name.span, label="take another name")
        elif first is not None and word == "coordinate" and first.word not in ("coordinate", "domain"):
            label = f"the coordinate is in line {name.span.line}; take another name"
            diagnostics.add("E0103", f"`{name.id}` is a coordinate", first.span, label=label)
            self.table[name.id] = Declared(word, name.span, make)
        elif first is not None:
            label = f"the {first.word} `{name.id}` is in line {first.span.line}"
            diagnostics.add("E0102", f"`{name.id}` is declared twice", name.span, label=label)
        else:
            self.table[name.id] = Declared(word, name.span, make)


def rank(data: Data) -> int:
    """0 for a scalar, 1 for a vector, 2 for a tensor."""
    return 0 if isinstance(data, Term) else 1 + rank(data[0])


def shape(data: Data) -> tuple[int, ...]:
    """Numbers of components, () for a scalar."""
    return () if isinstance(data, Term) else (len(data), *shape(data[0]))


def mapped(function: Callable[..., Term], *data: Data) -> Data:
    """A function of scalars on every component; all arguments have one shape."""
    if isinstance(data[0], Term):
        return function(*data)
    return tuple(mapped(function, *parts) for parts in zip(*data, strict=True))


def real(name: str) -> Term:
    """A real symbol without axes."""
    return build.symbol(name, Type(Kind.REAL))


TIME = "t"
