"""sin, cos and tan: x = k pi/2 + r with |r| <= pi/4 and r a pair of floats, then polynomials in r^2.

Up to 2^30 pi/2 in three parts is subtracted with fused multiply-adds (Cody and Waite 1980). Beyond, x 2/pi is taken modulo 4
with those bits of 2/pi that count for the exponent of x (Payne and Hanek 1983), in all lanes at once, when a lane asks for it;
so every float has an exact reduction. Errors stay below 1 unit in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache as remembered
from math import floor
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.real import BIAS, Pair, Real, Whole, exact_product, exact_sum, ordered_sum, outside

TWO_OVER_PI = 0.6366197723675814
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
LARGE = 2.0**30
# (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 in r^2 for |r| <= pi/4
SIN = (
    *(-7.586633672657066e-13, 1.60585305421325e-10, -2.5052106225650122e-08, 2.755731921931959e-06),
    *(-0.0001984126984126504, 0.008333333333333331, -0.16666666666666666),
)
COS = (
    *(-1.1382539967177458e-11, 2.0876144984413913e-09, -2.755731726556589e-07, 2.48015872987538e-05),
    *(-0.0013888888888887389, 0.041666666666666664),
)
TINY = 2.0**-28
ROWS, PARTS = 64, 4  # of the table of 2/pi: one row for 16 exponents, of 4 floats
DIGIT_BITS = 1216
DIGITS = int(  # floor(2/pi * 2^DIGIT_BITS)
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424DD2E006492EEA09D1921CFE1D"
    "EB1CB129A73EE88235F52EBB4484E99C7026B45F7E413991D639835339F49C845F8BBDF9283B1FF897FFDE05980FEF2F118B"
    "5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D7527BAC7EBE5F17B3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B"
    "6BAB",
    16,
)


@remembered
def table() -> tuple[float, ...]:
    """Row j: 2/pi modulo 2^(54 - 16j) times 2^(16j), as a sum of PARTS floats, each with the next 53 bits.

    A float with exponent 16j or more is a multiple of 2^(16j - 52): what the row leaves out turns it by multiples of 4.
    """
    rows: list[float] = []
    for j in range(ROWS):
        rest = (Fraction(DIGITS, 2**DIGIT_BITS) * 2 ** (16 * j)) % 2**54
        for _ in range(PARTS):
            unit = Fraction(2) ** (rest.numerator.bit_length() - rest.denominator.bit_length() - 53)
            part = floor(rest / unit) * unit
            part -= part % (2 * unit) if part >= 2**53 * unit else 0
            rows.append(float(part))
            rest -= part
    return tuple(rows)


def _far(x: Real) -> tuple[Whole, Real, Real]:
    """Quadrant and rest (high, low) of any finite number from 2^30 on; the rest of others is not a number."""
    exponent = ((x.bits() >> 52) & 0x7FF) - BIAS
    row = (exponent >> 4) & (ROWS - 1)
    scale = ((exponent & 15) + BIAS) << 52
    number = ((x.bits() & ~(0x7FF << 52)) | (BIAS << 52)).as_float() * scale.as_float()
    parts = [((row << 2) + k).entry_of("ricci.two_over_pi", table()) for k in range(PARTS)]
    first, second, third = (exact_product(number, part) for part in parts[:3])
    total = exact_sum(_modulo_4(first.high), _modulo_4(first.low))
    more = exact_sum(total.high, _modulo_4(second.high))
    k, whole = more.high.rounded()
    high = more.high - k
    low = third.low + number * parts[3]
    for term in (total.low, more.low, second.low, third.high):
        step = exact_sum(high, term)
        high, low = step.high, low + step.low
    turned = ordered_sum(high, low) * Pair(x.of(HALF_PI[0]), x.of(HALF_PI[1]))
    return whole, turned.high + (x - x), turned.low


def _modulo_4(x: Real) -> Real:
    return x - (x * 0.25).nearest() * 4.0


def _near(x: Real) -> tuple[Whole, Pair]:
    """Quadrant and rest up to 2^30; the first difference is exact."""
    k, whole = x.rounded(TWO_OVER_PI)
    first = k.fma(-HALF_PI[0], x)
    high = k.fma(-HALF_PI[1], first)
    return whole, Pair(high, k.fma(-HALF_PI[2], k.fma(-HALF_PI[1], first - high)))


def _reduced(x: Real) -> tuple[Whole, Pair]:
    """k and r: x = k pi/2 + r."""
    whole, r = _near(x)
    whole, high, low = _beyond(x, whole, r.high, r.low)
    return whole, Pair(high, low)


def far_reduced(x: Real, whole: Whole, r: Real) -> tuple[Whole, Real]:
    """The given reduction, and in lanes beyond LARGE the right one."""
    whole, high, _ = _beyond(x, whole, r, x.of(0.0))
    return whole, high


def _beyond(x: Real, whole: Whole, high: Real, low: Real) -> tuple[Whole, Real, Real]:
    builder, before = x.builder, x.builder.block
    large = ~x.size().at_most(LARGE)
    with builder.if_then(large.in_some_lane(), likely=False):
        far_whole, far_high, far_low = outside("far_angle", _far, [x], [whole, high, low])
        far_whole, far_high, far_low = far_whole.where(large, whole), far_high.where(large, high), far_low.where(large, low)
        inside = builder.block
    return (
        whole.joined(before, far_whole, inside),
        high.joined(before, far_high, inside),
        low.joined(before, far_low, inside),
    )


def _parts(r: Pair) -> tuple[Pair, Pair]:
    """(sin r, cos r) as leading part and rest."""
    z = r.high * r.high
    half = z * 0.5
    sine = (z * r.high).fma(z.polynomial(SIN), (-half).fma(r.low, r.low))
    near = ordered_sum(1.0, -half)
    cosine = (z * z).fma(z.polynomial(COS), (-r.high).fma(r.low, near.low))
    return Pair(r.high, sine), Pair(near.high, cosine)


def _turned(x: Real, quarters: int) -> Real:
    """sin(x + quarters pi/2)."""
    whole, r = _reduced(x)
    sine, cosine = _parts(r)
    place = whole + quarters
    return cosine.where(place.has(1), sine).sum().negated(place.has(2))


def sin(x: Real) -> Real:
    return x.where(x.size().below(TINY), _turned(x, 0))


def cos(x: Real) -> Real:
    return _turned(x, 1)


def tan(x: Real) -> Real:
    """sin r / cos r, or -cos r / sin r in odd quadrants."""
    whole, r = _reduced(x)
    sine, cosine = _parts(r)
    odd = whole.has(1)
    value = (ordered(cosine).where(odd, ordered(sine)) / ordered(sine).where(odd, ordered(cosine))).high
    return x.where(x.size().below(TINY), value.negated(odd))


def ordered(x: Pair) -> Pair:
    return ordered_sum(x.high, x.low)


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({"sin": sin, "cos": cos, "tan": tan})
