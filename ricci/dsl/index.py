"""Quasi-affine index expressions over named axes, and guards on them.

`Index` = c + sum k_i atom_i with atom = axis | mod(E, n) | div(E, n) | clamp(E, n) | mirror(E, n); c, k_i and n are `Size`
polynomials. Every atom is a total function, so that an index has a value on lanes that a guard masks:
  mod, div   remainder and quotient of floor division
  clamp      min(max(E, 0), n - 1)
  mirror     the fold of period 2n: 0..n-1 then n-1..0
(for n = 0, an empty axis, all of them are 0). Equal expressions that the rules of `dsl/normal.py` connect are one object text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ricci.dsl.division import ONE, ZERO, larger, lead_sign, smaller
from ricci.dsl.types import Dim, Size, at_most

Bounds = tuple[Size | None, Size | None]  # inclusive; None is unknown

_RANK = {"axis": 0, "mod": 1, "div": 2, "clamp": 3, "mirror": 4}


class Atom:
    """An axis, or mod | div | clamp | mirror of an inner index by a size."""

    __slots__ = ("axis", "inner", "key", "kind", "size")

    kind: str
    axis: str
    inner: Index
    size: Size
    key: tuple[int, str]

    def __init__(self, kind: str, axis: str, inner: Index | None = None, size: Size = ZERO) -> None:
        text = repr(axis) if inner is None else f"{kind}({inner.canonical_text()};{size.canonical_text()})"
        for name, value in (("kind", kind), ("axis", axis), ("inner", inner), ("size", size), ("key", (_RANK[kind], text))):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an index is immutable ({name})")

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.key == other.key)

    def __str__(self) -> str:
        return self.axis if self.kind == "axis" else f"{self.kind}({self.inner}, {show_size(self.size)})"


class Index:
    """c + sum k_i atom_i: `terms` = ((atom, coefficient), ...) sorted, without zero coefficients; `constant` = c."""

    __slots__ = ("_axes", "_hash", "_text", "constant", "terms")

    terms: tuple[tuple[Atom, Size], ...]
    constant: Size
    _axes: frozenset[str]
    _hash: int
    _text: str

    def __init__(self, terms: Mapping[Atom, Size], constant: Size) -> None:
        kept = tuple(sorted(((a, k) for a, k in terms.items() if k.terms), key=lambda term: term[0].key))
        text = "+".join(f"{{{k.canonical_text()}}}*{a.key[1]}" for a, k in kept) + f"+{{{constant.canonical_text()}}}"
        axes: frozenset[str] = frozenset().union(*(a.inner.axes if a.kind != "axis" else {a.axis} for a, _ in kept))
        for name, value in (("terms", kept), ("constant", constant), ("_text", text), ("_hash", hash(text)), ("_axes", axes)):
            object.__setattr__(self, name, value)

    @staticmethod
    def of(value: int | Size | Dim | Index) -> Index:
        """The constant index."""
        return value if isinstance(value, Index) else Index({}, Size.of(value))

    @staticmethod
    @lru_cache(maxsize=4096)
    def axis(name: str) -> Index:
        """The index value of an axis."""
        return Index({Atom("axis", name): ONE}, ZERO)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an index is immutable ({name})")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Index) and self._text == other._text)

    def canonical_text(self) -> str:
        """Injective text, the same in every process."""
        return self._text

    def __str__(self) -> str:
        return _show(self)

    def __repr__(self) -> str:
        return f"Index({self})"

    # arithmetic

    def __add__(self, other: int | Size | Index) -> Index:
        other = Index.of(other)
        if not other.terms:
            return Index(dict(self.terms), self.constant + other.constant) if other.constant.terms else self
        total = dict(self.terms)
        for atom, k in other.terms:
            total[atom] = total[atom] + k if atom in total else k
        return Index(total, self.constant + other.constant)

    __radd__ = __add__

    def __neg__(self) -> Index:
        return self * -1

    def __sub__(self, other: int | Size | Index) -> Index:
        return self + -Index.of(other)

    def __rsub__(self, other: int | Size | Index) -> Index:
        return Index.of(other) + -self

    def __mul__(self, factor: int | Size) -> Index:
        if factor == 1:
            return self
        return Index({a: k * factor for a, k in self.terms}, self.constant * factor)

    __rmul__ = __mul__

    def mod(self, n: int | Size | Dim) -> Index:
        """Remainder of floor division by n."""
        from ricci.dsl.normal import make_mod

        return make_mod(self, Size.of(n), NOTHING_KNOWN)

    def div(self, n: int | Size | Dim) -> Index:
        """Quotient of floor division by n."""
        from ricci.dsl.normal import make_div

        return make_div(self, Size.of(n), NOTHING_KNOWN)

    def clamp(self, n: int | Size | Dim) -> Index:
        """min(max(self, 0), n - 1)."""
        from ricci.dsl.normal import make_clamp

        return make_clamp(self, Size.of(n), NOTHING_KNOWN)

    def mirror(self, n: int | Size | Dim) -> Index:
        """The fold 0..n-1, n-1..0 of period 2n."""
        from ricci.dsl.normal import make_mirror

        return make_mirror(self, Size.of(n), NOTHING_KNOWN)

    # reading

    @property
    def axes(self) -> frozenset[str]:
        """Names of the axes that occur."""
        return self._axes

    @property
    def single_axis(self) -> str | None:
        """The name if this index is exactly one axis, else None."""
        if len(self.terms) == 1 and not self.constant.terms:
            atom, k = self.terms[0]
            if atom.kind == "axis" and k.constant == 1:
                return atom.axis
        return None

    @property
    def is_affine(self) -> bool:
        """Whether every atom is an axis."""
        return all(atom.kind == "axis" for atom, _ in self.terms)

    def coefficient(self, axis: str) -> Size:
        """Coefficient of a plain axis (its occurrences inside atoms are not counted)."""
        return next((k for a, k in self.terms if a.kind == "axis" and a.axis == axis), ZERO)

    def bounds(self, ranges: Ranges) -> Bounds:
        """Least and greatest value over all lanes, where decided (interval arithmetic: never too tight)."""
        low: Size | None = self.constant
        high: Size | None = self.constant
        for atom, k in self.terms:
            lo, hi = atom_bounds(atom, ranges)
            sign = 1 if at_most(ZERO, k) else -1 if at_most(k, ZERO) else 0
            if sign < 0:
                lo, hi = hi, lo
            low = None if low is None or lo is None or not sign else low + k * lo
            high = None if high is None or hi is None or not sign else high + k * hi
        return low, high

    def within(self, ranges: Ranges | Mapping[str, Size]) -> Index:
        """Normal form when axes have the given ranges (or sizes)."""
        if self.is_affine:
            return self
        from ricci.dsl.normal import simplify

        return simplify(self, ranges if isinstance(ranges, Ranges) else Ranges.of(ranges))

    def substitute(self, new: Mapping[str, Index]) -> Index:
        """The index with axes replaced by indices; in normal form as far as that needs no ranges."""
        if self._axes.isdisjoint(new):
            return self
        if len(self.terms) == 1 and self.terms[0][1] is ONE and self.constant is ZERO and self.terms[0][0].kind == "axis":
            return new[self.terms[0][0].axis]
        total = Index.of(self.constant)
        for atom, k in self.terms:
            if atom.kind == "axis":
                total = total + new.get(atom.axis, Index({atom: ONE}, ZERO)) * k
            else:
                total = total + apply_atom(atom, atom.inner.substitute(new)) * k
        return total

    def evaluate(self, axes: Mapping[str, Any], dims: Mapping[str, int]) -> Any:
        """Integer value or numpy array: `axes` gives an integer or an integer array (of broadcastable shape) per axis."""
        total: Any = self.constant.evaluate(dims)
        for atom, k in self.terms:
            total = total + k.evaluate(dims) * _evaluate_atom(atom, axes, dims)
        return total


class Ranges:
    """Inclusive ranges of axes, hashable: what is known about lanes. An axis that is not listed is at least 0."""

    __slots__ = ("_hash", "_map", "items")

    items: tuple[tuple[str, Bounds], ...]
    _map: dict[str, Bounds]
    _hash: int

    def __init__(self, items: Iterable[tuple[str, Bounds]]) -> None:
        known = tuple(sorted(items, key=lambda item: item[0]))
        for name, value in (("items", known), ("_map", dict(known)), ("_hash", hash(known))):
            object.__setattr__(self, name, value)

    @staticmethod
    def of(axes: Mapping[str, Size]) -> Ranges:
        """0 <= axis < size for every axis."""
        return Ranges((name, (ZERO, size - 1)) for name, size in axes.items())

    def __getitem__(self, axis: str) -> Bounds:
        return self._map.get(axis, (ZERO, None))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Ranges) and self.items == other.items)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"ranges are immutable ({name})")

    def narrow(self, guards: Iterable[Guard]) -> Ranges:
        """Ranges on the lanes where all `guards` hold, as far as they bound single axes."""
        new = dict(self._map)
        for guard in guards:
            axis = guard.index.single_axis
            if axis is not None:
                lo, hi = new.get(axis, (ZERO, None))
                above = guard.lo if lo is None else lo if guard.lo is None else larger(lo, guard.lo)
                last = None if guard.hi is None else guard.hi - 1
                below = last if hi is None else hi if last is None else smaller(hi, last)
                new[axis] = (lo if above is None else above, hi if below is None else below)
        return Ranges(new.items())


NOTHING_KNOWN = Ranges(())


class Guard:
    """The condition lo <= index < hi. A side of None is no condition (only where no bound of the index is known)."""

    __slots__ = ("_hash", "_text", "hi", "index", "lo")

    lo: Size | None
    index: Index
    hi: Size | None
    _text: str
    _hash: int

    def __init__(self, lo: int | Size | None, index: Index, hi: int | Size | None) -> None:
        low = None if lo is None else Size.of(lo)
        high = None if hi is None else Size.of(hi)
        text = f"{low and low.canonical_text()}<={index.canonical_text()}<{high and high.canonical_text()}"
        for name, value in (("lo", low), ("index", index), ("hi", high), ("_text", text), ("_hash", hash(text))):
            object.__setattr__(self, name, value)

    @staticmethod
    def equal(left: Index, right: Index | int | Size) -> Guard:
        """The condition left == right."""
        return Guard(0, left - right, 1)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a guard is immutable ({name})")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Guard) and self._text == other._text)

    def canonical_text(self) -> str:
        """Injective text, the same in every process."""
        return self._text

    @property
    def axes(self) -> frozenset[str]:
        return self.index.axes

    def substitute(self, new: Mapping[str, Index]) -> Guard:
        """The guard with axes replaced by indices."""
        return self if self.index.axes.isdisjoint(new) else Guard(self.lo, self.index.substitute(new), self.hi)

    def evaluate(self, axes: Mapping[str, Any], dims: Mapping[str, int]) -> Any:
        """Truth value or boolean array."""
        value = self.index.evaluate(axes, dims)
        above = True if self.lo is None else value >= self.lo.evaluate(dims)
        below = True if self.hi is None else value < self.hi.evaluate(dims)
        return above & below

    def __str__(self) -> str:
        if self.lo is not None and self.hi is not None and (self.hi - self.lo) == 1:
            return f"{self.index} == {show_size(self.lo)}"
        low = "" if self.lo is None else f"{show_size(self.lo)} <= "
        high = "" if self.hi is None else f" < {show_size(self.hi)}"
        return f"{low}{self.index}{high}"

    def __repr__(self) -> str:
        return f"Guard({self})"


def offset_of(index: Index, axis: str) -> Size | None:
    """c when the index is `axis + c`, else None."""
    if len(index.terms) == 1:
        atom, k = index.terms[0]
        if atom.kind == "axis" and atom.axis == axis and k.constant == 1:
            return index.constant
    return None


def apply_atom(atom: Atom, inner: Index, ranges: Ranges = NOTHING_KNOWN) -> Index:
    """The function of a compound atom on another inner index, in normal form."""
    from ricci.dsl.normal import MAKERS

    return MAKERS[atom.kind](inner, atom.size, ranges)


def atom_bounds(atom: Atom, ranges: Ranges) -> Bounds:
    """Least and greatest value of an atom over all lanes, where decided."""
    from ricci.dsl.division import floor_quotient

    if atom.kind == "axis":
        return ranges[atom.axis]
    n = atom.size
    if atom.kind != "div" and not _has_lane(n, ranges):
        return ZERO, None  # 0 for an empty axis, which lies in no range
    if atom.kind in ("mod", "mirror"):
        return ZERO, n - 1
    low, high = atom.inner.bounds(ranges)
    if atom.kind == "div":
        return (None if low is None else floor_quotient(low, n)), (None if high is None else floor_quotient(high, n))
    least = low if low is not None and at_most(ZERO, low) and at_most(low, n - 1) else ZERO
    greatest = high if high is not None and at_most(high, n - 1) and at_most(ZERO, high) else n - 1
    return least, greatest


def _has_lane(n: Size, ranges: Ranges) -> bool:
    """Whether n >= 1: by its lower bound, or because a lane exists on an axis of this size."""
    return bool(at_most(ONE, n)) or any(hi is not None and hi + 1 == n for _, (_, hi) in ranges.items)


def _evaluate_atom(atom: Atom, axes: Mapping[str, Any], dims: Mapping[str, int]) -> Any:
    import numpy as np

    if atom.kind == "axis":
        return axes[atom.axis]
    value = atom.inner.evaluate(axes, dims)
    n = atom.size.evaluate(dims)
    if n <= 0:
        return value * 0
    if atom.kind == "mod":
        return value % n
    if atom.kind == "div":
        return value // n
    if atom.kind == "clamp":
        return np.minimum(np.maximum(value, 0), n - 1)
    folded = value % (2 * n)
    return np.minimum(folded, 2 * n - 1 - folded)


def show_size(size: Size) -> str:
    """Text of a size inside an index: dims are written `#n`, because an axis may have the same name."""
    if size.constant is not None:
        return str(size.constant)
    out = ""
    for monomial, c in sorted(size.terms, key=lambda item: (not item[0], item[0])):
        factors = [f"#{dim.name}" if power == 1 else f"#{dim.name}^{power}" for dim, power in monomial]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("-" if c < 0 else "") if not out else (" - " if c < 0 else " + ")
        out += sign + "*".join(factors)
    return out


def _show(index: Index) -> str:
    parts: list[tuple[bool, str]] = []
    for atom, k in index.terms:
        negative = lead_sign(k) < 0
        size = -k if negative else k
        factor = "" if size == 1 else f"({show_size(size)})*" if len(size.terms) > 1 else f"{show_size(size)}*"
        parts.append((negative, f"{factor}{atom}"))
    if index.constant.terms or not parts:
        negative = index.constant.constant is not None and index.constant.constant < 0
        parts.append((negative, show_size(-index.constant if negative else index.constant)))
    text = "".join((" - " if negative else " + ") + part for negative, part in parts)
    return text[3:] if text.startswith(" + ") else "-" + text[3:]
