"""erf, erfc and gelu: erfc x = exp(-x^2) G / (1 + 9/8 x) for x >= 0 with one polynomial G in t = (x - 3)/(x + 3) on the whole axis.

G = (1 + 9/8 x) exp(x^2) erfc x lies between 0.63 and 1 and has a small slope (Shepherd and Laframboise, Math. Comp. 36, 1981, map the
half line like this). The exponent is exact, so small values of erfc and gelu keep their bits. Errors stay below 1.2 units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.exponential import exp_pair, scaled
from ricci.backends.elementary.real import INFINITY, NAN, Pair, Real, Whole, exact_product, exact_sum, ordered_sum

# G in t for 0 <= x <= 27.8, and erf x / x - 1 in x^2 for x <= 1
DECAY = (
    *(-2.2779277536334896e-09, -5.14521229585819e-09, 1.606171153191351e-08, 5.214538203385823e-08),
    *(-5.5263468738635104e-08, -3.281406188773256e-07, 9.53481149293228e-08, 1.8202764544442424e-06),
    *(1.3779176684972912e-07, -1.0377094709463624e-05, -7.06783859399854e-07, 6.47413352627501e-05),
    *(-3.1127541659253876e-05, -0.0004188563492215104, 0.0008011737082188849, 0.0017324219507027473),
    *(-0.011503167494506496, 0.027751546929898934, -0.035737631897080645, 0.007249679551188151),
    *(0.08069787267533049, -0.21901405471390548, 0.783130036418581),
)
ERF = (
    *(5.957176147748911e-11, -1.1372848856791674e-09, 1.4659775274047436e-08, -1.6350312701054695e-07),
    *(1.6461000484121368e-06, -1.4925595266831182e-05, 0.0001205533111164271, -0.000854832698083379),
    *(0.0052239776248180145, -0.026866170645076792, 0.11283791670954879, -0.3761263890318375),
    *(0.1283791670955126,),
)
MIDDLE, DIVISOR = 3.0, 1.125
BEYOND = 27.7  # erfc is zero
ROOT_HALF = (0.7071067811865476, -4.833646656726457e-17)


def _tail(x: Pair, square: Pair) -> tuple[Whole, Pair]:
    """erfc x = 2^k times a pair for 0 <= x <= BEYOND; `square` is x^2."""
    whole, e = exp_pair(-square.high, -square.low)
    slow = exact_product(x.high, DIVISOR)
    bottom = exact_sum(slow.high, 1.0)
    bottom_low = x.low.fma(DIVISOR, slow.low + bottom.low)
    right = x.high + MIDDLE
    both = 1.0 / (right * bottom.high)
    t = (x.high - MIDDLE) * (both * bottom.high)
    slope = t.polynomial(DECAY[:-1])
    g = slope.fma(t, DECAY[-1])
    top = e * Pair(g, slope.fma(t, DECAY[-1] - g))
    reciprocal = both * right
    value = top.high * reciprocal
    rest = (-value).fma(bottom.high, top.high) + (-value).fma(bottom_low, top.low)
    return whole, ordered_sum(value, rest * reciprocal)


def _times_power(value: Pair, whole: Whole) -> Pair:
    first, second = whole.halves()
    return value.scaled(first).scaled(second)


def erfc(x: Real) -> Real:
    """2 - erfc(-x) below 0."""
    size = x.size().limited(0.0, BEYOND)
    whole, value = _tail(Pair(size, x.of(0.0)), exact_product(size, size))
    small = _times_power(value, whole)
    turned = ordered_sum(2.0, -small.high)
    return (turned.high + (turned.low - small.low)).where(x.below(0.0), small.high)


def erf(x: Real) -> Real:
    """x (1 + P(x^2)) up to 1, 1 - erfc beyond."""
    size = x.size().limited(0.0, BEYOND)
    square = size * size
    near = square.polynomial(ERF).fma(size, size)
    whole, value = _tail(Pair(size, x.of(0.0)), Pair(square, x.of(0.0)))
    return near.where(size.below(1.0), 1.0 - scaled(value.high, whole)).signed_as(x)


def gelu(x: Real) -> Real:
    """x/2 erfc(-x/sqrt 2) = max(x, 0) - |x|/2 erfc(|x|/sqrt 2); -inf gives no number, as 0 times infinity."""
    size = x.size().limited(0.0, 39.2)
    argument = exact_product(size, ROOT_HALF[0])
    argument = Pair(argument.high, size.fma(ROOT_HALF[1], argument.low))
    whole, value = _tail(argument, exact_product(size, size).scaled(0.5))
    half = exact_product(value.high, size * 0.5)
    small = _times_power(Pair(half.high, value.low.fma(size * 0.5, half.low)), whole)
    upper = ordered_sum(size, -small.high)
    above = x.where(x.above(39.0), upper.high + (upper.low - small.low))
    return above.where(x.above(0.0), small.sum()).signed_as(x).but(NAN, x.equals(-INFINITY))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({"erf": erf, "erfc": erfc, "gelu": gelu})
