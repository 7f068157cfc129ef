"""Types of terms: a kind and a set of named axes, each with a size that is a polynomial in named dims.

Nothing here knows operators. Precision is not part of a type. Sizes and types are interned: equal ones are the same
object, so that comparing and hashing them costs nothing while terms are built.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any


class Kind(IntEnum):
    """What the elements of a term are; the join of two kinds is the larger one."""

    BOOL = 0
    INT = 1
    REAL = 2
    COMPLEX = 3

    def __str__(self) -> str:
        return self.name.lower()


def join(kinds: Iterable[Kind]) -> Kind:
    """Smallest kind that holds all of `kinds`; bool for none."""
    return max(kinds, default=Kind.BOOL)


@dataclass(frozen=True, order=True)
class Dim:
    """A symbolic extent whose value is known when sizes are bound; never less than `lower`."""

    name: str
    lower: int = 1

    def __str__(self) -> str:
        return self.name


Monomial = tuple[tuple[Dim, int], ...]  # dims with positive powers, sorted
_SIZES: weakref.WeakValueDictionary[tuple[tuple[Monomial, int], ...], Size] = weakref.WeakValueDictionary()


class Size:
    """A polynomial with integer coefficients in dims: `terms` are (monomial, coefficient), sorted, without zeros."""

    __slots__ = ("__weakref__", "_hash", "_text", "terms")

    terms: tuple[tuple[Monomial, int], ...]
    _text: str
    _hash: int

    @staticmethod
    def of(value: int | Dim | Size) -> Size:
        """The size that a number or a dim is."""
        if isinstance(value, Size):
            return value
        if isinstance(value, Dim):
            return _size({((value, 1),): 1})
        return _size({(): int(value)})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a size is immutable ({name})")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, int) and self.constant == other)

    def __add__(self, other: int | Size) -> Size:
        if not isinstance(other, int | Size):
            return NotImplemented
        total = dict(self.terms)
        for monomial, c in Size.of(other).terms:
            total[monomial] = total.get(monomial, 0) + c
        return _size(total)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return _size({m: -c for m, c in self.terms})

    def __sub__(self, other: int | Size) -> Size:
        return self + -Size.of(other) if isinstance(other, int | Size) else NotImplemented

    def __rsub__(self, other: int | Size) -> Size:
        return Size.of(other) + -self

    def __mul__(self, other: int | Size) -> Size:
        if not isinstance(other, int | Size):
            return NotImplemented
        total: dict[Monomial, int] = {}
        for m, c in self.terms:
            for n, d in Size.of(other).terms:
                monomial = _times(m, n)
                total[monomial] = total.get(monomial, 0) + c * d
        return _size(total)

    __rmul__ = __mul__

    @property
    def constant(self) -> int | None:
        """The value if no dim occurs, else None."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    @property
    def dims(self) -> frozenset[Dim]:
        return frozenset(dim for m, _ in self.terms for dim, _ in m)

    def evaluate(self, dims: Mapping[str, int]) -> int:
        """Value for the given extents of dims (KeyError for a dim that is not given)."""
        total = 0
        for m, c in self.terms:
            for dim, power in m:
                c *= dims[dim.name] ** power
            total += c
        return total

    def canonical_text(self) -> str:
        """Injective text, the same in every process; a plain number is its digits."""
        if self.constant is not None:
            return self._text
        terms = [(c, [(dim.name, dim.lower, power) for dim, power in m]) for m, c in self.terms]
        return f"S{terms!r}"

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Size({self._text})"

    def __reduce__(self) -> Any:
        return (_rebuild_size, (self.terms,))


def _times(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for dim, power in right:
        powers[dim] = powers.get(dim, 0) + power
    return tuple(sorted(powers.items()))


def _size(terms: Mapping[Monomial, int]) -> Size:
    key = tuple(sorted((m, c) for m, c in terms.items() if c))
    found = _SIZES.get(key)
    if found is None:
        found = object.__new__(Size)
        plain = not key or (len(key) == 1 and not key[0][0])  # a plain number hashes like the int it equals
        code = hash(key[0][1] if key else 0) if plain else hash(key)
        for name, value in (("terms", key), ("_text", _size_text(key)), ("_hash", code)):
            object.__setattr__(found, name, value)
        _SIZES[key] = found
    return found


def _rebuild_size(terms: tuple[tuple[Monomial, int], ...]) -> Size:
    return _size(dict(terms))


def _size_text(terms: tuple[tuple[Monomial, int], ...]) -> str:
    out = ""
    for m, c in sorted(terms, key=lambda item: (not item[0], item[0])):
        factors = [dim.name if power == 1 else f"{dim.name}^{power}" for dim, power in m]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("-" if c < 0 else "") if not out else (" - " if c < 0 else " + ")
        out += sign + "*".join(factors)
    return out or "0"


def _above_lower_bounds(size: Size) -> dict[Monomial, int]:
    """Coefficients of the polynomial in n' where every dim n = lower + n', n' >= 0."""
    total = Size.of(0)
    for m, c in size.terms:
        product = Size.of(c)
        for dim, power in m:
            for _ in range(power):
                product = product * (Size.of(dim) + dim.lower)
        total = total + product
    return dict(total.terms)


def equal(a: int | Size, b: int | Size) -> bool | None:
    """Whether a = b for all dims above their lower bounds: True, False (never equal) or None (depends or unknown)."""
    difference = _above_lower_bounds(Size.of(a) - b)
    if not difference:
        return True
    constant = difference.get((), 0)
    if constant > 0 and all(c >= 0 for c in difference.values()):
        return False
    if constant < 0 and all(c <= 0 for c in difference.values()):
        return False
    return None


@lru_cache(maxsize=1 << 15)
def at_most(a: int | Size, b: int | Size) -> bool | None:
    """Whether a <= b for all dims above their lower bounds: True, False (always a > b) or None (depends or unknown)."""
    difference = _above_lower_bounds(Size.of(b) - a)
    if all(c >= 0 for c in difference.values()):
        return True
    if difference.get((), 0) < 0 and all(c <= 0 for c in difference.values()):
        return False
    return None


_TYPES: weakref.WeakValueDictionary[tuple[Kind, tuple[tuple[str, Size], ...]], Type] = weakref.WeakValueDictionary()


class Type:
    """Kind of the elements and sizes of the named axes; `axes` iterates in sorted name order, the canonical order."""

    __slots__ = ("__weakref__", "_canonical", "_hash", "axes", "kind")

    kind: Kind
    axes: Mapping[str, Size]
    _canonical: str
    _hash: int

    def __new__(cls, kind: Kind, axes: Mapping[str, Size | int | Dim] = MappingProxyType({})) -> Type:
        items = tuple([(name, Size.of(axes[name])) for name in sorted(axes)])
        key = (kind, items)
        found = _TYPES.get(key)
        if found is None:
            found = object.__new__(cls)
            text = ",".join(f"{name!r}:{size.canonical_text()}" for name, size in items)
            fields = {"kind": kind, "axes": MappingProxyType(dict(items)), "_canonical": f"{kind}[{text}]", "_hash": hash(key)}
            for name, value in fields.items():
                object.__setattr__(found, name, value)
            _TYPES[key] = found
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a type is immutable ({name})")

    def __hash__(self) -> int:
        return self._hash

    def canonical_text(self) -> str:
        """Injective text, the same in every process."""
        return self._canonical

    def __str__(self) -> str:
        inside = ", ".join(f"{name}: {size}" for name, size in self.axes.items())
        return f"{self.kind}[{inside}]" if inside else str(self.kind)

    def __repr__(self) -> str:
        return f"Type({self})"

    def __reduce__(self) -> Any:
        return (Type, (self.kind, dict(self.axes)))


_TUPLES: weakref.WeakValueDictionary[tuple[Type, ...], TupleType] = weakref.WeakValueDictionary()


class TupleType:
    """Types of the components of a `scan`, `iterate` or `library` term; consumed by `proj` only."""

    __slots__ = ("__weakref__", "components")

    components: tuple[Type, ...]

    def __new__(cls, components: tuple[Type, ...]) -> TupleType:
        found = _TUPLES.get(components)
        if found is None:
            found = object.__new__(cls)
            object.__setattr__(found, "components", components)
            _TUPLES[components] = found
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a type is immutable ({name})")

    def __iter__(self) -> Iterator[Type]:
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    def canonical_text(self) -> str:
        return "(" + ",".join(c.canonical_text() for c in self.components) + ")"

    def __str__(self) -> str:
        return "(" + ", ".join(map(str, self.components)) + ")"

    def __repr__(self) -> str:
        return f"TupleType{self}"

    def __reduce__(self) -> Any:
        return (TupleType, (self.components,))
