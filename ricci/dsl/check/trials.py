"""Trials of a rule: points at which its sides are compared, and what that says.

A rule is an identity of real numbers. Machine numbers decide where they agree; where they do not, or overflow, the values are computed
with bounds of their errors (`enclosures.py`), so that neither rounding nor overflow refuses a rule. Points are the same in every run:
special values, integers and halves, 1e-12 .. 1e12 with both signs, values beside the numbers that stand in the rule, equal variables.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from math import isfinite

from ricci.dsl import build
from ricci.dsl.enclosures import NoDigitsError, UndecidedError, Value, as_text, compare, values_at
from ricci.dsl.model import Equality
from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, substitute, symbols, walk
from ricci.dsl.types import Kind, Type

SPECIAL = tuple(Fraction(v) for v in ("0", "1", "-1", "1/2", "-2"))
MOST_SPECIAL = 3  # variables that are given every choice of special values
WHOLE = tuple(Fraction(n, 2) for n in range(21))  # integers and halves
DECADES = range(-12, 13)
MOST_NUMBERS = 12  # of a rule, whose neighbours are tried
BESIDE = Fraction(1, 1000)
DRAWN = 200  # points of moderate size, and as many of any value that is tried
MODERATE = (-3.0, 1.0)  # decimal exponents of random values
AGREE = 1e-12  # of the larger side: machine numbers that differ less are equal
LOOSE = 1e-8  # the same where a function is only known in machine numbers
POINT = "point"  # the axis of all points

Point = Mapping[str, Fraction]


@dataclass(frozen=True)
class Trial:
    """How many points show that the sides are equal, and a point at which they are not, with both values as texts."""

    agreeing: int
    against: tuple[Point, str, str] | None


def tried(rule: Equality) -> Trial:
    """The trial of a rule under its conditions."""
    points = list(points_of(rule))
    agreeing = 0
    for point, same in zip(points, _in_machine_numbers(rule, points), strict=True):
        verdict, values = (True, ()) if same else _decided(rule, point)
        if verdict is False:
            left, right = values
            return Trial(agreeing, (point, as_text(left), as_text(right)))
        agreeing += verdict is True
    return Trial(agreeing, None)


def _in_machine_numbers(rule: Equality, points: Sequence[Point]) -> list[bool]:
    """Of every point, whether no value is lost on the way and the sides agree."""
    import numpy as np

    from ricci.dsl.reference import evaluate

    if not points:
        return []
    variables = symbols([rule.left, rule.right])
    rows = {v: build.symbol(name_of(v), Type(Kind.REAL, {POINT: len(points)})) for v in variables}
    roots = substitute([rule.left, rule.right], rows)
    values = {name_of(v): np.array([float(p[name_of(v)]) for p in points]) for v in variables}
    below = walk(roots)
    found = [np.broadcast_to(v, len(points)) for v in evaluate([*roots, *below], values, {})]
    finite = np.logical_and.reduce([np.isfinite(v) for v in found])
    with np.errstate(all="ignore"):
        same = np.abs(found[0] - found[1]) <= AGREE * np.maximum(np.abs(found[0]), np.abs(found[1]))
    return [bool(v) for v in finite & same]


def _decided(rule: Equality, point: Point) -> tuple[bool | None, Sequence[Value]]:
    """Whether the sides are equal at a point, None if nothing tells; and their values."""
    try:
        values: Sequence[Value] = values_at([rule.left, rule.right], point)
        return compare(*values), values
    except UndecidedError:
        return None, ()
    except NoDigitsError:
        return _compared_loosely(rule, point)


def _compared_loosely(rule: Equality, point: Point) -> tuple[bool | None, Sequence[Value]]:
    """The same in machine numbers alone."""
    from ricci.dsl.reference import evaluate

    left, right = (complex(v[()]) for v in evaluate([rule.left, rule.right], {n: float(v) for n, v in point.items()}, {}))
    finite = [abs(v) < float("inf") for v in (left, right)]
    if not any(finite):
        return None, ()
    same = all(finite) and abs(left - right) <= LOOSE * max(abs(left), abs(right), 1e-3)
    return same, [Fraction(v.real) if ok else float("nan") for v, ok in zip((left, right), finite, strict=True)]


# points


def allowed(rule: Equality) -> dict[str, list[Fraction]]:
    """The values that every variable of a rule is given, those that its conditions allow, the simplest first."""
    facts: dict[str, list[str]] = {name_of(s): [] for s in symbols([rule.left])}
    for fact, symbol in rule.given:
        facts.setdefault(name_of(symbol), []).append(fact)
    values = _values(rule)
    return {name: [v for v in values if all(holds(f, v) for f in facts[name])] for name in sorted(facts)}


def points_of(rule: Equality) -> Iterator[Point]:
    """Points where the conditions hold; none if they leave a variable no value."""
    values = allowed(rule)
    if not all(values.values()):
        return
    names = list(values)
    chosen = random.Random(7)

    def moderate(name: str) -> Fraction:
        size = Fraction(f"{10 ** chosen.uniform(*MODERATE):.6g}")
        fits = {v > 0 for v in values[name] if v}
        return size if True in fits and (False not in fits or chosen.random() < 0.5) else -size if fits else Fraction(0)

    special = [[v for v in values[n] if v in SPECIAL] for n in names[:MOST_SPECIAL]]
    for row in product(*special):
        yield {**dict(zip(names, row, strict=False)), **{n: moderate(n) for n in names[MOST_SPECIAL:]}}
    for v in values[names[0]]:
        if all(v in values[n] for n in names):
            yield dict.fromkeys(names, v)
    for name in names if len(names) > 1 else ():
        for v in values[name]:
            yield {n: v if n == name else moderate(n) for n in names}
    for _ in range(DRAWN):
        yield {n: moderate(n) for n in names}
    for _ in range(DRAWN if len(names) > 1 else 0):
        yield {n: chosen.choice(values[n]) for n in names}


def _values(rule: Equality) -> list[Fraction]:
    """Values that are tried: both signs of all but the special ones."""
    sizes = [*WHOLE, *(Fraction(10) ** k for k in DECADES), *(Fraction(13, 10) * Fraction(10) ** k for k in DECADES)]
    numbers = sorted(_numbers([rule.left, rule.right]))[:MOST_NUMBERS]
    for c in numbers:
        sizes += [c, c * (1 - BESIDE), c * (1 + BESIDE), 2 * c, c / 2]
    sizes += [(a + b) / 2 for a, b in pairwise(numbers)]
    return list(dict.fromkeys([*SPECIAL, *(s * v for v in sizes for s in (1, -1))]))


def _numbers(roots: Iterable[Term]) -> set[Fraction]:
    """Sizes at which something may change: the numbers of terms, their inverses, and quotients of the numbers of one sum."""
    found: set[Fraction] = set()
    for term in walk(roots):
        value = value_of(term)
        written = term.attrs if term.op == "linear" else () if value is None or not isfinite(value) else (value,)
        own = {abs(Fraction(q)) for q in written if q}
        found |= own | {1 / q for q in own} | {p / q for p in own for q in own}
    return found - {Fraction(1)}


def holds(fact: str, value: Fraction) -> bool:
    """Whether a condition allows a value."""
    return {
        "positive": value > 0,
        "nonnegative": value >= 0,
        "negative": value < 0,
        "nonpositive": value <= 0,
        "nonzero": value != 0,
    }[fact]
