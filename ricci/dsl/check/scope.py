"""Names: what is declared where, resolved on first use so that the order of declarations does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ricci.dsl import tree
from ricci.dsl.names import behind_what_they_name
from ricci.dsl.spelling import nearest
from ricci.dsl.units import Failed as Failed
from ricci.errors import CheckFailed, Span

PREDEFINED = ("pi", "im", "inf", "t")


@dataclass(eq=False)
class Declaration:
    """A name, what it is called in messages (`field`, `param`, ...) and what it stands for, made on first use."""

    name: str
    word: str
    span: Span | None
    make: Callable[[], Any]
    report: Callable[[CheckFailed], None]
    state: str = "new"  # new | active | done | failed
    entity: Any = None
    used: bool = False
    node: tree.Node | None = None  # the text that says what it stands for

    def resolve(self) -> Any:
        """What the name stands for; raises `Failed` where its declaration was wrong."""
        if self.state == "done":
            return self.entity
        if self.state == "failed":
            raise Failed(self.name)
        if self.state == "active":
            raise CheckFailed("E0106", f"`{self.name}` is defined by itself", self.span, label="needs its own value")
        self.state = "active"
        try:
            self.entity = self.make()
        except CheckFailed as error:
            self.state = "failed"
            self.report(error)
            raise Failed(self.name) from None
        except Failed:
            self.state = "failed"
            raise
        self.state = "done"
        return self.entity


@dataclass(eq=False)
class Scope:
    """Declarations of one block; names not found here are looked up in `parent`."""

    parent: Scope | None = None
    declarations: dict[str, Declaration] = field(default_factory=dict)
    sides: dict[str, Declaration] = field(default_factory=dict)  # groups of sides: names apart from those of values

    def find(self, name: str) -> Declaration | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.declarations.get(name)
            if found is not None:
                found.used = True
                return found
            scope = scope.parent
        return None

    def side(self, name: str) -> Declaration | None:
        """The group of sides of this name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.sides:
                return scope.sides[name]
            scope = scope.parent
        return None

    def side_names(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.sides
            scope = scope.parent

    def here(self, name: str) -> Declaration | None:
        return self.declarations.get(name)

    def names(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.declarations
            scope = scope.parent

    def in_order(self) -> list[Declaration]:
        """The declarations of this block, each behind those that its text names: resolving them nests no deeper than their texts."""
        return in_order(self.declarations)

    def all(self) -> Iterator[Declaration]:
        """Visible declarations, the inner ones first."""
        seen: set[str] = set()
        scope: Scope | None = self
        while scope is not None:
            for name, declaration in scope.declarations.items():
                if name not in seen:
                    seen.add(name)
                    yield declaration
            scope = scope.parent

    def define(self, name: str, word: str, span: Span | None, entity: Any) -> Declaration:
        """Enter a name whose meaning is known."""
        declaration = Declaration(name, word, span, lambda: entity, lambda error: None, "done", entity)
        self.declarations[name] = declaration
        return declaration


def in_order(declarations: Mapping[str, Declaration]) -> list[Declaration]:
    """Declarations, each behind those that its text names."""
    texts = {name: [d.node] if d.node is not None else [] for name, d in declarations.items()}
    return [declarations[name] for name in behind_what_they_name(texts)]


def unknown(name: str, span: Span, known: Iterator[str] | list[str], word: str = "") -> CheckFailed:
    """E0101 with the nearest known name."""
    names = [k for k in known if not k.startswith("%")]
    guess = nearest(name, names)
    label = f"did you mean `{guess}`?" if guess else "not declared"
    what = f"unknown {word} `{name}`" if word else f"`{name}` is not declared"
    return CheckFailed("E0101", what, span, label=label)
