"""asin, acos, atan, atan2: one polynomial each on a short interval, the rest by the addition theorem with constants in pairs.

The arctangent of n/d >= 0 is 0, pi/4 or pi/2 plus that of n/d, (n-d)/(n+d) or -d/n, whichever is below tan(pi/8); asin beyond 1/2 is
pi/2 - 2 asin sqrt((1-x)/2) (Cephes, S. Moshier; fdlibm, e_asin.c). Errors stay below 1 unit in the last place (asin, acos: 1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.real import INFINITY, NAN, Pair, Real, exact_sum, ordered_sum

# (atan t - t) / t^3 in t^2 for |t| <= tan(pi/8), (asin t - t) / t^3 in t^2 for |t| <= 1/2
ATAN = (
    *(0.01627552168389342, -0.03456132296826231, 0.04551233844829568, -0.05230375457576669),
    *(0.058789182929757273, -0.06666423954373413, 0.07692296323157785, -0.09090908751706075),
    *(0.11111111105119366, -0.14285714285659457, 0.19999999999999804, -0.3333333333333333),
)
ASIN = (
    *(0.028757851367421566, -0.014851887071247204, 0.01740087944269402, 0.005457506718640358),
    *(0.01032281435018578, 0.011479177415184906, 0.013971212973552933, 0.017352392720869973),
    *(0.02237217294214989, 0.030381944138531247, 0.04464285714635543, 0.07499999999998433),
    *(0.16666666666666669,),
)
TAN_EIGHTH = 0.41421356237309503
PI = (3.141592653589793, 1.2246467991473532e-16)
HUGE, SMALL = 2.0**900, 2.0**-900
SCALE = 2.0**200


def _angle(top: Real, bottom: Real) -> Pair:
    """atan(top/bottom) for top, bottom >= 0, not both 0, both finite and neither near the ends of the exponents."""
    low = top.at_most(bottom * TAN_EIGHTH)
    steep = bottom.at_most(top * TAN_EIGHTH)
    difference, total = exact_sum(top, -bottom), exact_sum(top, bottom)
    n = top.where(low, (-bottom).where(steep, difference.high))
    d = bottom.where(low, top.where(steep, total.high))
    one_part = low | steep
    reciprocal = 1.0 / d
    t = n * reciprocal
    rest = (-t).fma(d, n) + (-t).fma(total.low, difference.low).but(0.0, one_part)
    square = t * t
    tail = (square * t).fma(square.polynomial(ATAN), rest * reciprocal)
    base = top.of(PI[0] / 2).where(steep, PI[0] / 4).but(0.0, low)
    base_low = top.of(PI[1] / 2).where(steep, PI[1] / 4).but(0.0, low)
    nearly = ordered_sum(base, t)
    return Pair(nearly.high, nearly.low + (base_low + tail))


def atan(x: Real) -> Real:
    size = x.size().limited(0.0, HUGE)
    return _angle(size, x.of(1.0)).sum().signed_as(x)


def atan2(y: Real, x: Real) -> Real:
    """The angle of the point (x, y), with the signs of zeros and the limits at infinity."""
    top, bottom = y.size(), x.size()
    endless = top.equals(INFINITY) | bottom.equals(INFINITY)
    top = y.of(1.0).where(top.equals(INFINITY), top.but(0.0, endless))
    bottom = y.of(1.0).where(bottom.equals(INFINITY), bottom.but(0.0, endless))
    largest = top.where(top.above(bottom), bottom)
    scale = y.of(1.0).but(1 / SCALE, largest.above(HUGE)).but(SCALE, largest.below(SMALL))
    angle = _angle(top * scale, (bottom * scale).but(1.0, largest.equals(0.0)))
    turned = ordered_sum(PI[0], -angle.high)
    value = (turned.high + (turned.low + (PI[1] - angle.low))).where(x.bits().has(-(2**63)), angle.sum())
    return value.signed_as(y).but(NAN, ~(x.is_number() & y.is_number()))


def _arc(z: Real, base: Real, base_low: Real, s: Real) -> Real:
    """base + s (1 + z P(z)), z = s^2 up to a factor."""
    nearly = ordered_sum(base, s)
    return nearly.high + (nearly.low + (s * z).fma(z.polynomial(ASIN), base_low))


def asin(x: Real) -> Real:
    size = x.size()
    near = size.at_most(0.5)
    z = (size * size).where(near, (1.0 - size) * 0.5)
    base, base_low = (x.of(part / 2).but(0.0, near) for part in PI)
    return _arc(z, base, base_low, size.where(near, z.root() * -2.0)).signed_as(x)


def acos(x: Real) -> Real:
    """pi/2 - asin x in the middle, 2 asin sqrt((1-x)/2) near 1, pi less that near -1."""
    size = x.size()
    near = size.at_most(0.5)
    negative = x.below(0.0)
    z = (size * size).where(near, (1.0 - size) * 0.5)
    base, base_low = (x.of(part / 2).where(near, x.of(part).where(negative, 0.0)) for part in PI)
    return _arc(z, base, base_low, (-x).where(near, (z.root() * 2.0).negated(negative)))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({"asin": asin, "acos": acos, "atan": atan, "atan2": atan2})
