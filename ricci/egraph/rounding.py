"""What rounding can make of values: evaluations in which every operation is rounded at random (Monte-Carlo arithmetic).

A difference between two forms means something where it is larger than what such evaluations of a form differ by, element by
element. Constants, saturation, cancellation and numbers near the smallest one are covered: it is results that are rounded, not
inputs. What binary fractions of few digits give exactly stays as it is, so that steps and comparisons of such numbers do not jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricci.dsl.ops import Environment
from ricci.dsl.ops.base import exactly
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Term

Array = NDArray[Any]

NEIGHBOURS = 8  # evaluations with random roundings where two values differ
TIMES = 30.0  # a difference of so many times what random roundings make is no rounding
EPSILON = float(np.finfo(float).eps)
SMALLEST = 5e-324
NORMAL = 2.3e-308  # smaller numbers have fewer digits
GRID = float(1 << 20)  # a multiple of 1 / GRID below GRID has few digits: sums and products of two are exact

SUMS = frozenset({"linear", "sum", "contract", "scatter", "library"})  # rounded relative to summands, not to the result
ROUNDED = SUMS | {"const", "scale", "product", "power", "map", "reduce"}
ALGEBRAIC = frozenset({"recip", "sqrt", "cbrt", "pow", "hypot", "prod"})  # exact where the result has few digits
EXACT = frozenset({"abs", "min2", "max2", "relu", "where", "group", "re", "im", "mod", "max", "min", "argmax", "argmin", "sort"}) | {
    name for name, s in SCALARS.items() if "flat" in s.facts
}


class Rounding:
    """One evaluation with roundings drawn from a seed. Values are reals, or complex numbers, up to a relative 2^-52 or the smallest number."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def term(self, term: Term, args: Sequence[Any], environment: Environment) -> Any:
        """`exactly`, rounded at random."""
        name = str(term.attrs[0]) if term.op in ("map", "reduce", "library") else ""
        return self.applied(term.op, name, args, lambda own: exactly(term, own, environment))

    def applied(self, op: str, name: str, args: Sequence[Any], value: Callable[[Sequence[Any]], Any]) -> Any:
        """The value of an operator (and function) on arguments: those of sums are rounded one by one, then the result."""
        if op not in ROUNDED or name in EXACT:
            return value(args)
        few = (not name or name in ALGEBRAIC) and all(_few_digits(a) for a in args)
        found = value(args) if few or op not in SUMS else None
        if few and _few_digits(found):
            return found
        if op in SUMS:
            return self._turned(value([self._turned(a) for a in args]), whole=op == "library")
        turned = self._turned(found)
        if name in SCALARS and "positive" in SCALARS[name].facts:  # zero is a positive number that is too small
            turned = np.where(np.asarray(turned) == 0, SMALLEST * self.generator.integers(0, 2, np.shape(turned)), turned)
        return turned

    def _turned(self, value: Any, whole: bool = False) -> Any:
        """A value with a random last digit; of its largest element where it is computed as a whole."""
        if isinstance(value, tuple):
            return tuple(self._turned(v, whole) for v in value)
        given = np.asarray(value)
        if given.dtype.kind not in "fc" or not given.size:
            return value
        size = np.abs(given)
        if whole:
            size = np.full(given.shape, size.max())
        digit: Array = EPSILON * size * self._drawn(given) + np.where((size > 0) & (size < NORMAL), SMALLEST * self._signs(given), 0.0)
        return np.where(np.isfinite(given) & np.isfinite(digit), given + digit, given)

    def _drawn(self, like: Array) -> Array:
        drawn = self.generator.uniform(-1.0, 1.0, like.shape)
        return drawn + 1j * self.generator.uniform(-1.0, 1.0, like.shape) if like.dtype.kind == "c" else drawn

    def _signs(self, like: Array) -> Array:
        return self.generator.integers(-1, 2, like.shape)


def _few_digits(value: Any) -> bool:
    """Whether all elements are binary fractions of few digits."""
    if isinstance(value, tuple):
        return all(_few_digits(v) for v in value)
    given = np.asarray(value)
    if given.dtype.kind not in "fc":
        return True
    parts = (given.real, given.imag) if given.dtype.kind == "c" else (given,)
    return all(bool(np.all((np.abs(p) < GRID) & (p * GRID == np.rint(p * GRID)))) for p in parts)


def gaps(value: Any, other: Any) -> Array:
    """|value - other| element by element; infinite where only the first is finite, zero where it is not."""
    a, b = np.asarray(value), np.asarray(other)
    if a.dtype.kind not in "fc" and b.dtype.kind not in "fc":
        return np.where(a != b, np.inf, 0.0)
    with np.errstate(all="ignore"):
        gap = np.abs(a - b)
    return np.where(np.isfinite(a), np.where(np.isfinite(b), gap, np.inf), 0.0)


def largest(*values: Any) -> float:
    """The largest finite element of values; no less than 1e-30."""
    found = [np.abs(v[np.isfinite(v)]) for v in map(np.asarray, values) if v.dtype.kind in "fc"]
    return max(1e-30, *(float(v.max()) for v in found if v.size)) if any(v.size for v in found) else 1.0
