"""cbrt and hypot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.logarithm import LEAST_NORMAL, decomposed, decomposed_normal
from ricci.backends.elementary.real import INFINITY, Pair, Real, Whole, exact_product, ordered_sum

# a^(-1/3) for sqrt(1/2) <= a <= sqrt 2, error 2^-17
INVERSE_CBRT = (
    *(-0.10484262703707782, 0.683577431562695, -1.8620663942011886, 2.754857752141042, -2.4668647417873153),
    *(1.995341481913526,),
)
CBRT_2, CBRT_HALF = 1.2599210498948732, 0.7937005259840998
HUGE, SMALL, SCALE = 2.0**500, 2.0**-500, 2.0**600


def cbrt(x: Real) -> Real:
    size = x.size()
    value = _root(decomposed_normal(size))
    seldom = ~(size.at_least(LEAST_NORMAL) & size.below(INFINITY))
    value = value.otherwise(seldom, lambda: size.where(~size.above(0.0) | size.equals(INFINITY), _root(decomposed(size))))
    return value.signed_as(x)


def _root(parts: tuple[Whole, Real]) -> Real:
    """2^q cbrt a with a = 2^r m, r = -1, 0, 1: y = a^(-1/3) by a polynomial and one step of Newton, then a y^2 by another.

    What a y^2 misses is found by a fused multiply-add (Muller et al., Handbook of Floating-Point Arithmetic); below 1 ulp.
    """
    e, m = parts
    exponent = e.real()
    q, whole = exponent.rounded(1 / 3)
    r = q.fma(-3.0, exponent)
    below, above = r.below(0.0), r.above(0.0)
    a = m * m.of(1.0).but(0.5, below).but(2.0, above)
    y = m.polynomial(INVERSE_CBRT) * m.of(1.0).but(CBRT_2, below).but(CBRT_HALF, above)
    h = (y * y * y).fma(-a, 1.0)
    y = (y * h).fma(1 / 3, y)
    square = y * y
    root = a * square
    rest = (-root).fma(root * root, a)
    return (rest * square).fma(1 / 3, root) * whole.power_of_two()


def hypot(x: Real, y: Real) -> Real:
    """sqrt(x^2 + y^2) from exact squares, scaled where they would over- or underflow; infinite where one is. Below 1.1 ulp."""
    a, b = x.size(), y.size()
    large, small = a.where(a.above(b), b), b.where(a.above(b), a)
    scale = x.of(1.0).but(1 / SCALE, large.above(HUGE)).but(SCALE, large.below(SMALL))
    back = x.of(1.0).but(SCALE, large.above(HUGE)).but(1 / SCALE, large.below(SMALL))
    first, second = (exact_product(v * scale, v * scale) for v in (large, small))
    total = ordered_sum(first.high, second.high)
    value = Pair(total.high, total.low + (first.low + second.low)).sum().root() * back
    return value.but(INFINITY, a.equals(INFINITY) | b.equals(INFINITY))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({"cbrt": cbrt, "hypot": hypot})
