"""Terms and plain data as JSON text and back: exact, deterministic, and nothing in the text is ever run.

Values are None, truth values, ints, strings, fractions, infinities, tuples, lists, dicts, kinds, and objects: terms, sizes, indices,
guards, types, and dataclasses of classes that the caller names. An object is written once and read back as one object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

from ricci.dsl.index import Atom, Guard, Index
from ricci.dsl.ops.contract import Contraction
from ricci.dsl.ops.reindex import Pull
from ricci.dsl.term import Function, Term, intern, walk
from ricci.dsl.types import Dim, Kind, Size, TupleType, Type

OWN: tuple[type, ...] = (Dim, Function, Contraction, Pull)  # dataclasses that terms are made of


class WireError(ValueError):
    """A text that was not written by `dumps` with these classes."""


# how the classes that are no dataclasses are taken apart and put together
_PARTS: dict[type, tuple[Callable[[Any], Sequence[Any]], Callable[..., Any]]] = {
    Size: (lambda s: s.terms, lambda *terms: _size(terms)),
    Atom: (lambda a: (a.kind, a.axis, a.inner, a.size), Atom),
    Index: (lambda i: (i.terms, i.constant), lambda terms, constant: Index(dict(terms), constant)),
    Guard: (lambda g: (g.lo, g.index, g.hi), Guard),
    Type: (lambda t: (t.kind, dict(t.axes)), Type),
    TupleType: (lambda t: (t.components,), TupleType),
    Term: (lambda t: (t.op, t.args, t.attrs, t.type), intern),
}


def _size(terms: Sequence[tuple[tuple[tuple[Dim, int], ...], int]]) -> Size:
    total = Size.of(0)
    for monomial, coefficient in terms:
        product = Size.of(coefficient)
        for dim, power in monomial:
            for _ in range(power):
                product = product * Size.of(dim)
        total = total + product
    return total


def dumps(value: Any, classes: Sequence[type] = ()) -> str:
    """The text of a value; `classes` are dataclasses that may occur in it besides those of terms. TypeError for anything else."""
    writer = _Writer(frozenset((*OWN, *classes)))
    root = writer.value(value)
    return json.dumps([writer.objects, root], separators=(",", ":"))


def loads(text: str | bytes, classes: Sequence[type] = ()) -> Any:
    """The value of a text; WireError if it is none."""
    named = {c.__name__: c for c in (*OWN, *classes)}
    makers: dict[str, Callable[..., Any]] = {**named, **{c.__name__: make for c, (_, make) in _PARTS.items()}}
    try:
        entries, root = json.loads(text)
        objects: list[Any] = []
        for name, *parts in entries:
            objects.append(makers[name](*(_read(p, objects) for p in parts)))
        return _read(root, objects)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise WireError(f"not a text of ricci: {error}") from error


class _Writer:
    def __init__(self, classes: frozenset[type]) -> None:
        self.classes = classes
        self.objects: list[list[Any]] = []
        self.known: dict[int, int] = {}  # by identity
        self.alive: list[Any] = []  # so that identities stay what they are

    def value(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if isinstance(value, Kind):
            return ["k", int(value)]
        if isinstance(value, Fraction):
            return ["q", value.numerator, value.denominator]
        if isinstance(value, float):
            return ["f", value.hex()]
        if isinstance(value, tuple):
            return ["t", *map(self.value, value)]
        if isinstance(value, list):
            return ["l", *map(self.value, value)]
        if isinstance(value, Mapping):
            return ["d", *([self.value(k), self.value(v)] for k, v in value.items())]
        return ["o", self.place(value)]

    def place(self, item: Any) -> int:
        """The number of an object; written behind what it is made of."""
        if id(item) not in self.known:
            for each in walk([item]) if isinstance(item, Term) else [item]:
                if id(each) not in self.known:
                    entry = [type(each).__name__, *map(self.value, self.parts(each))]
                    self.known[id(each)] = len(self.objects)
                    self.alive.append(each)
                    self.objects.append(entry)
        return self.known[id(item)]

    def parts(self, item: Any) -> Sequence[Any]:
        kind = type(item)
        if kind in _PARTS:
            return _PARTS[kind][0](item)
        if kind not in self.classes or not is_dataclass(item):
            raise TypeError(f"{kind.__name__} is not written")
        return [getattr(item, f.name) for f in fields(item) if f.init]


def _read(value: Any, objects: Sequence[Any]) -> Any:
    if not isinstance(value, list):
        return value
    tag, *rest = value
    if tag == "o":
        return objects[rest[0]]
    if tag == "t":
        return tuple([_read(v, objects) for v in rest])
    if tag == "l":
        return [_read(v, objects) for v in rest]
    if tag == "d":
        return {_read(k, objects): _read(v, objects) for k, v in rest}
    if tag == "q":
        return Fraction(rest[0], rest[1])
    if tag == "k":
        return Kind(rest[0])
    if tag == "f":
        return float.fromhex(rest[0])
    raise ValueError(f"tag {tag!r}")
