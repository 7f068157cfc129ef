"""Terms: immutable, hash-consed, typed at construction.

`Term(op, args, attrs)` has one instance per value: two equal terms are the same object, so identity is equality and a
side table is a dict keyed by terms. `digest` is a content hash that is the same in every process; all ordering uses it.
Operators are defined in `dsl/ops/` (base.py: `OPERATORS`); terms are made by `dsl/build.py` only.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cached_property
from math import inf
from typing import Any

from ricci.dsl.types import Kind, Size, TupleType, Type


class TermError(TypeError):
    """A constructor was given arguments that are not well typed (a defect of the caller, never of a user's text)."""


class Term:
    """One node. `attrs` is hashable and specific to the operator; axes inside it are data."""

    __slots__ = ("__weakref__", "args", "attrs", "digest", "op", "type")

    op: str
    args: tuple[Term, ...]
    attrs: Any  # hashable, specific to the operator
    type: Any
    digest: bytes

    @property
    def kind(self) -> Kind:
        try:
            kind: Kind = self.type.kind
        except AttributeError:
            raise TermError(f"{self.op} is a tuple: take a component first") from None
        return kind

    @property
    def axes(self) -> Mapping[str, Size]:
        try:
            axes: Mapping[str, Size] = self.type.axes
        except AttributeError:
            raise TermError(f"{self.op} is a tuple: take a component first") from None
        return axes

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a term is immutable ({name})")

    def __repr__(self) -> str:
        from ricci.dsl.show import show_term

        return show_term(self)

    def __reduce__(self) -> Any:
        raise TermError("terms are not pickled")


_TABLE: weakref.WeakValueDictionary[tuple[Any, ...], Term] = weakref.WeakValueDictionary()


def canonical(attrs: object) -> str:
    """Text that is equal exactly when the attributes are equal, the same in every process.

    Attributes are tuples, strings, None, exact numbers (equal numbers of different Python types have one text, because
    they are one dictionary key), infinities, terms, dataclasses of these, and objects with a `canonical_text` method.
    """
    if isinstance(attrs, tuple):
        return "(" + ",".join([canonical(a) for a in attrs]) + ")"
    if isinstance(attrs, str):
        return repr(attrs)
    if isinstance(attrs, Fraction):
        return f"{_digits(attrs.numerator)}/{_digits(attrs.denominator)}" if attrs.denominator != 1 else _digits(attrs.numerator)
    if isinstance(attrs, int):
        return _digits(int(attrs))
    if isinstance(attrs, Term):
        return "T" + attrs.digest.hex()
    if attrs is None or (isinstance(attrs, float) and attrs in (inf, -inf)):
        return f"<{attrs}>"
    text = getattr(attrs, "canonical_text", None)
    if text is not None:
        own: str = text()
        return own
    if is_dataclass(attrs):
        inside = ",".join([canonical(getattr(attrs, f.name)) for f in fields(attrs)])
        return f"{type(attrs).__name__}{{{inside}}}"
    raise TermError(f"{type(attrs).__name__} cannot be an attribute of a term")


def _digits(number: int) -> str:
    """A whole number as text; Python writes long ones in base ten only up to a limit."""
    return str(number) if number.bit_length() < 10_000 else hex(number)


def intern(op: str, args: tuple[Term, ...], attrs: Hashable, type_: Type | TupleType) -> Term:
    """The one term with this operator, arguments, attributes and type."""
    key = (op, tuple([id(a) for a in args]), attrs, type_)
    found = _TABLE.get(key)
    if found is not None:
        return found
    text = f"{op}|{canonical(attrs)}|{type_.canonical_text()}|"
    digest = hashlib.blake2b(text.encode() + b"".join([a.digest for a in args]), digest_size=16).digest()
    term = object.__new__(Term)
    for name, value in (("op", op), ("args", args), ("attrs", attrs), ("type", type_), ("digest", digest)):
        object.__setattr__(term, name, value)
    _TABLE[key] = term
    return term


@dataclass(frozen=True)
class Function:
    """A closed function of terms: every symbol that occurs in a result is one of `params` or a size (`#n`)."""

    name: str
    params: tuple[Term, ...]
    results: tuple[tuple[str, Term], ...]

    @property
    def roots(self) -> tuple[Term, ...]:
        return tuple(term for _, term in self.results)

    @cached_property
    def digest(self) -> bytes:
        """Content hash, the same in every process."""
        text = canonical((self.name, self.params, self.results))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def canonical_text(self) -> str:
        return "F" + self.digest.hex()


def subfunctions(term: Term) -> tuple[Function, ...]:
    """Functions that a `scan`, `iterate` or matrix-free `library` term carries in its attributes."""
    attrs = term.attrs
    return tuple(a for a in attrs if isinstance(a, Function)) if isinstance(attrs, tuple) else ()


def with_subfunctions(term: Term, functions: Sequence[Function]) -> Term:
    """The term with its functions, in the order of `subfunctions`, exchanged for others of the same types."""
    new = iter(functions)
    attrs: Any = term.attrs
    return intern(term.op, term.args, tuple(next(new) if isinstance(a, Function) else a for a in attrs), term.type)


def walk(roots: Iterable[Term]) -> list[Term]:
    """Every distinct subterm, arguments before the terms that use them; bodies of scan and iterate are not entered."""
    seen: set[Term] = set()
    order: list[Term] = []
    for root in roots:
        stack: list[tuple[Term, bool]] = [(root, False)]
        while stack:
            term, ready = stack.pop()
            if ready:
                order.append(term)
                continue
            if term in seen:
                continue
            seen.add(term)
            stack.append((term, True))
            stack.extend((a, False) for a in reversed(term.args) if a not in seen)
    return order


def rewrite(roots: Sequence[Term], visit: Callable[[Term, tuple[Term, ...]], Term]) -> list[Term]:
    """Bottom-up map over the shared graph: `visit(term, new_args)` gives the replacement of `term`."""
    done: dict[Term, Term] = {}
    for term in walk(roots):
        done[term] = visit(term, tuple(done[a] for a in term.args))
    return [done[r] for r in roots]


def substitute(roots: Sequence[Term], replacement: Mapping[Term, Term]) -> list[Term]:
    """The roots with every term that is a key of `replacement` (usually a symbol) exchanged, rebuilt by the constructors.

    Bodies of scan, iterate and library are closed and stay as they are. Cost: one construction per term above a change.
    """
    from ricci.dsl.ops import OPERATORS

    done: dict[Term, Term] = {}
    for term in walk(roots):
        found = replacement.get(term)
        if found is None:
            args = tuple([done[a] for a in term.args])
            found = term if args == term.args else OPERATORS[term.op].rebuild(term, args)
        done[term] = found
    return [done[r] for r in roots]


def symbols(roots: Iterable[Term]) -> list[Term]:
    """The distinct symbols that occur in the roots, in the order of `walk`."""
    return [term for term in walk(roots) if term.op == "symbol"]
