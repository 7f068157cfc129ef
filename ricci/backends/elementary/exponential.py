"""exp and what is made of it: x = k ln 2 + r with a whole k and |r| <= ln(2)/2, then polynomials in r.

Hyperbolic functions come from cosh r and sinh r without a second exponential: with a = 2^(k-1), b = 2^(-k-1)
sinh x = (a-b) cosh r + (a+b) sinh r, cosh x = (a+b) cosh r + (a-b) sinh r. Where two parts of a result are of one size, both are
pairs of floats. The reduction is that of Cody and Waite (Software Manual for the Elementary Functions, 1980) with fused
multiply-adds; polynomials interpolate at Chebyshev points. Errors stay below 1 unit in the last place (cosh: 1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.real import INFINITY, NAN, Pair, Real, Whole, exact_product, ordered_sum

LOG2_E = 1.4426950408889634
LN2, LN2_REST = 0.6931471805599453, 2.3190468138462996e-17
HIGHEST, LOWEST = 711.0, -770.0  # exp overflows above; below it is zero, also times 40
# (exp r - 1 - r) / r^2 for |r| <= ln(2)/2; error 2^-61.7 of exp r
EXP = (
    *(2.091475532527879e-09, 2.5105312729622103e-08, 2.7557273478720615e-07, 2.755725517000089e-06),
    *(2.480158732567746e-05, 0.0001984126987500228, 0.0013888888888883711, 0.008333333333326084),
    *(0.04166666666666667, 0.1666666666666667, 0.5),
)
# (sinh r - r) / r^3 and (cosh r - 1 - r^2/2) / r^4 in r^2
SINH = (
    *(1.6086677666787362e-10, 2.5052070959803662e-08, 2.7557319247344507e-06, 0.00019841269841263252),
    *(0.008333333333333333, 0.16666666666666666),
)
COSH = (
    *(1.148801514915641e-11, 2.087673359969793e-09, 2.755731923858304e-07, 2.4801587301583185e-05),
    *(0.001388888888888889, 0.041666666666666664),
)
LINEAR = (1.5957691216057308, -9.96930880911092e-17)  # 2 sqrt(2/pi), and what rounding took
CUBIC = (0.07135481627260025, -6.175149918155315e-19)  # 0.044715 of that
INSIDE = 708.0  # exp and its reciprocal are normal numbers
TINY = 2.0**-28  # below it odd functions with slope 1 are x to the last bit, or nearly


def reduced(x: Real, low: Real | None = None) -> tuple[Whole, Real, Real]:
    """k, r and the small rest of r: x + low = k ln 2 + r + rest; the differences are exact."""
    k, whole = x.rounded(LOG2_E)
    first = k.fma(-LN2, x)
    rest = k * -LN2_REST if low is None else k.fma(-LN2_REST, low)
    r = first + rest
    return whole, r, (first - r) + rest


def exp_pair(x: Real, low: Real | None = None) -> tuple[Whole, Pair]:
    """exp(x + low) = 2^k times a pair, for LOWEST <= x <= HIGHEST."""
    whole, r, rest = reduced(x, low)
    tail = (r * r).fma(r.polynomial(EXP), rest)
    near = ordered_sum(1.0, r)
    return whole, ordered_sum(near.high, near.low + tail)


def scaled(value: Real, whole: Whole) -> Real:
    """value * 2^k with one rounding, also where it over- or underflows."""
    first, second = whole.halves()
    return value * first * second


def exp(x: Real) -> Real:
    return exp_sum(x.limited(LOWEST, HIGHEST), None)


def exp_sum(x: Real, low: Real | None) -> Real:
    """exp(x + low) for LOWEST <= x <= HIGHEST, rounded twice."""
    whole, r, rest = reduced(x, low)
    return scaled(_near_one(r, rest), whole)


def exp_inside(x: Real, low: Real) -> Real:
    """exp(x + low) where the value is a normal number: |x| < INSIDE."""
    whole, r, rest = reduced(x, low)
    return (_near_one(r, rest).bits() + (whole << 52)).as_float()


def _near_one(r: Real, rest: Real) -> Real:
    """exp(r + rest)"""
    return (r + (r * r).fma(r.polynomial(EXP), rest)) + 1.0


def expm1(x: Real) -> Real:
    """2^k (exp r - 1) + (2^k - 1), halved so that the power does not overflow."""
    whole, r, rest = reduced(x.limited(-40.0, 709.8))
    power = (whole - 1).power_of_two()
    leading = ordered_sum(power - 0.5, power * r)
    value = (leading.high + power.fma((r * r).fma(r.polynomial(EXP), rest), leading.low)) * 2.0
    return x.where(x.size().below(2.0**-54), value)


def tanh(x: Real) -> Real:
    """P/(P + 1) with P = (exp 2x - 1)/2 for x >= 0; 1 from 20 on."""
    size = x.size()
    whole, r, rest = reduced(size.limited(0.0, 20.0) * 2.0)
    power = (whole - 1).power_of_two()
    turned = power * r
    tail = power * (r * r).fma(r.polynomial(EXP), rest)
    above = power + 0.5
    top, bottom = ordered_sum(power - 0.5, turned), ordered_sum(above, turned)
    top_low, bottom_low = top.low + tail, bottom.low + (tail + (0.5 - (above - power)))
    reciprocal = 1.0 / (bottom.high + bottom_low)
    value = (top.high + top_low) * reciprocal
    missed = (-value).fma(bottom.high, top.high) + (-value).fma(bottom_low, top_low)
    return size.where(size.below(TINY), missed.fma(reciprocal, value)).signed_as(x)


def _hyperbolic(x: Real) -> tuple[Real, Real, Real, Real, Real]:
    """(a, b, cosh r - 1, r, sinh r - r) for 0 <= x <= 710.6; a = 2^(k-2), b = 2^(-k-2), which counts for small k only."""
    whole, r, rest = reduced(x)
    square = r * r
    sinh = (square * r).fma(square.polynomial(SINH), rest)
    cosh = r.fma(rest, square * square.fma(square.polynomial(COSH), 0.5))
    return (whole - 2).power_of_two(), ((whole ^ -1) - 1).power_of_two().but(0.0, x.above(40.0)), cosh, r, sinh


def sinh(x: Real) -> Real:
    """The leading parts a - b and (a + b) r, the smaller, may cancel: their sum is a pair."""
    size = x.size()
    a, b, cosh_rest, r, sinh_rest = _hyperbolic(size.limited(0.0, 710.6))
    total, difference = a + b, ordered_sum(a, -b)
    turned = exact_product(r, total)
    leading = ordered_sum(difference.high, turned.high)
    low = (leading.low + turned.low) + (difference.high.fma(cosh_rest, total * sinh_rest) + difference.low)
    value = (leading.high + low) * 2.0
    return size.where(size.below(TINY), value).signed_as(x)


def cosh(x: Real) -> Real:
    """Its leading part a + b is the larger."""
    a, b, cosh_rest, r, sinh_rest = _hyperbolic(x.size().limited(0.0, 710.6))
    total = ordered_sum(a, b)
    return (total.high + (total.high.fma(cosh_rest, (a - b) * (r + sinh_rest)) + total.low)) * 2.0


def _logistic(factor: Real, x: Real, low: Real | None = None) -> Real:
    """factor / (1 + exp(-x - low)) as factor exp(-|x|)/(1 + exp(-|x|)) for x < 0: small values keep their bits."""
    below = x.below(0.0)
    size = (-x.size()).limited(LOWEST, 0.0)
    whole, e = exp_pair(size, None if low is None else low.negated(~below))
    first, second = whole.halves()
    power = first * second
    bottom = ordered_sum(1.0, e.high * power)
    bottom = Pair(bottom.high, e.low.fma(power, bottom.low))
    one = Pair(e.high.of(1.0), e.high.of(0.0))
    quotient = e.where(below, one) / bottom
    value = quotient.high.fma(factor, quotient.low * factor)
    return (value * first * second).where(below, value)


def sigmoid(x: Real) -> Real:
    return _logistic(x.of(1.0), x)


def gelu_tanh(x: Real) -> Real:
    """x/2 (1 + tanh(c (x + 0.044715 x^3))) = x / (1 + exp(-2c (x + 0.044715 x^3))), c = sqrt(2/pi); the exponent is a pair."""
    inside = x.limited(-40.0, 40.0)
    square = exact_product(inside, inside)
    cubic = square * Pair(x.of(CUBIC[0]), x.of(CUBIC[1]))
    exponent = (cubic + Pair(x.of(LINEAR[0]), x.of(LINEAR[1]))) * Pair(inside, x.of(0.0))
    value = x.where(x.above(40.0), _logistic(inside, exponent.high, exponent.low))
    return value.but(NAN, x.equals(-INFINITY))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "exp": exp,
        "expm1": expm1,
        "sinh": sinh,
        "cosh": cosh,
        "tanh": tanh,
        "sigmoid": sigmoid,
        "gelu_tanh": gelu_tanh,
    }
)
