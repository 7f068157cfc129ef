"""log and what is made of it: x = 2^e m with sqrt(1/2) <= m < sqrt 2, then log m = 2 atanh s with s = (m-1)/(m+1).

log m is summed as f - (f^2/2 - s (f^2/2 + z R(z))), f = m-1, z = s^2 (fdlibm, e_log.c), so that only the last sum is rounded at
the size of the result. Inverse hyperbolic functions take e and s from the quotient they are made of, so that no bits are lost near 0.
Powers are exp(y log |x|) with a logarithm in pairs, good to 2^-66. Errors stay below 1 unit in the last place (atanh: 1.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.exponential import HIGHEST, INSIDE, LN2, LN2_REST, LOWEST, exp_inside, exp_pair, exp_sum
from ricci.backends.elementary.real import BIAS, INFINITY, NAN, Pair, Real, Whole, exact_product, exact_sum, ordered_sum, outside

# (log((1+s)/(1-s)) - 2s) / s^3 in s^2, and less its first term for the logarithm in pairs
LOG = (
    *(0.13094416666525344, 0.1326802614042874, 0.15386267672882226, 0.18181795124476754),
    *(0.22222222396552982, 0.2857142857078221, 0.4000000000000091, 0.6666666666666666),
)
LOG_PAIR = (
    *(0.1173010786189303, 0.1170557189567721, 0.13334829573906534, 0.1538459450380989),
    *(0.18181818339697634, 0.22222222221636845, 0.28571428571429397, 0.4),
)
# (atanh s - s) / s^3 in s^2 for |s| <= 0.298
ATANH = (
    *(0.07248005404035243, 0.04755339531075977, 0.0593756197222279, 0.0666309581822743),
    *(0.07692449501329983, 0.09090905678614548, 0.1111111115812437, 0.14285714285386109),
    *(0.20000000000000887, 0.3333333333333333),
)
LEAST_NORMAL = 2.2250738585072014e-308
ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
LARGE = 2.0**28  # x^2 + 1 is x^2 from here on
FIFTH = (1 << 52) // 5
LARGE_POWER = 2.0**70  # from here on only 1 has a power that is neither infinite nor zero


def decomposed(x: Real) -> tuple[Whole, Real]:
    """(e, m) of a positive finite number: x = 2^e m, sqrt(1/2) <= m < sqrt 2."""
    tiny = x.below(LEAST_NORMAL)
    exponent, mantissa = decomposed_normal((x * 2.0**54).where(tiny, x))
    return (exponent - 54).where(tiny, exponent), mantissa


def decomposed_normal(x: Real) -> tuple[Whole, Real]:
    """The same for numbers from LEAST_NORMAL on."""
    bits = x.bits() + ((BIAS << 52) - ROOT_HALF)
    return (bits >> 52) - BIAS, ((bits & ((1 << 52) - 1)) + ROOT_HALF).as_float()


def _log_near(e: Real, f: Real, low: Real) -> Real:
    """e ln 2 + log(1 + f) + low."""
    half = (f * 0.5) * f
    s = f / (f + 2.0)
    z = s * s
    low = s.fma(z.fma(z.polynomial(LOG), half), e.fma(LN2_REST, low))
    return e.fma(LN2, f - (half - low))


def _at_ends(value: Real, x: Real) -> Real:
    """-inf at 0, inf at inf, not a number below 0."""
    value = x.where(x.equals(INFINITY), value)
    return value.but(-INFINITY, x.equals(0.0)).but(NAN, ~x.at_least(0.0))


def log(x: Real) -> Real:
    e, m = decomposed(x)
    return _at_ends(_log_near(e.real(), m - 1.0, x.of(0.0)), x)


def _log_pair(x: Pair, more: Real) -> Real:
    """more ln 2 + log(high + low); `low` counts only as far as log(1 + low/high) = low/high, and where it is not lost in high."""
    e, m = decomposed(x.high)
    f = m - 1.0
    low = x.low * ((e ^ -1) + 1).power_of_two()
    return _log_near(e.real() + more, f, (-f).fma(low, low).but(0.0, x.high.at_least(2.0**60)))


def _one_more(p: Pair) -> Pair:
    total = exact_sum(p.high, 1.0)
    return Pair(total.high, total.low + p.low)


def log1p(x: Real) -> Real:
    total = exact_sum(x, 1.0)
    value = _at_ends(_log_pair(total, x.of(0.0)), total.high)
    return x.where(x.size().below(2.0**-54), value)


def softplus(x: Real) -> Real:
    """max(x, 0) + log(1 + exp(-|x|))."""
    whole, e = exp_pair((-x.size()).limited(LOWEST, 0.0))
    first, second = whole.halves()
    small = e.scaled(first).scaled(second)
    value = _log_pair(_one_more(small), x.of(0.0))
    value = small.high.where(small.high.below(2.0**-54), value)
    return x.but(0.0, x.below(0.0)) + value


def _log_sum(x: Real, square: Pair, asinh: bool) -> Real:
    """log u = e ln 2 + 2 atanh s with u = x + r >= 1, r the root of `square`, u = 2^e m and s = (m-1)/(m+1).

    Where e = 0, s is x/(1 + r) for asinh, r/(1 + x) for acosh. One division: 1/(d r) gives 1/d and what the root
    misses.
    """
    r = square.high.root()
    u = ordered_sum(r, x) if asinh else ordered_sum(x, r)
    e = ((u.high.bits() - (BIAS << 52)) + FIFTH) >> 52
    power = e.power_of_two()
    scaled = e.has(-1)
    near = ordered_sum(r if asinh else x, x.of(1.0))
    total = ordered_sum(u.high, power)
    d = total.high.where(scaled, near.high)
    both = 1.0 / (d * r)
    reciprocal = both * r
    missed = ((-r).fma(r, square.high) + square.low) * (both * d * 0.5)
    more = u.low + missed
    n = ((u.high - power) + more).where(scaled, x if asinh else r)
    n_low = missed.of(0.0) if asinh else missed.but(0.0, scaled)
    d_low = (total.low + more).where(scaled, near.low + missed if asinh else near.low)
    s = n * reciprocal
    rest = ((-s).fma(d, n) + n_low) - s * d_low
    z = s * s
    exponent = e.real()
    low = (s * z).fma(z.polynomial(ATANH), rest.fma(reciprocal, exponent * (LN2_REST / 2)))
    return exponent.fma(LN2, (s + low) * 2.0)


def _at_large(value: Real, size: Real) -> Real:
    """log 2x where x^2 is all of x^2 + 1; other values as they are."""

    def of_double() -> Real:
        e, m = decomposed_normal(size)
        return _log_near(e.real() + 1.0, m - 1.0, size.of(0.0))

    return value.otherwise(size.at_least(LARGE), of_double)


def asinh(x: Real) -> Real:
    """log u, u = x + sqrt(1 + x^2), for x >= 0; (u-1)/(u+1) = x/(1 + sqrt(1 + x^2))."""
    size = x.size()
    inside = size.limited(0.0, LARGE)
    square = inside.fma(inside, 1.0)
    value = _at_large(_log_sum(inside, Pair(square, inside.fma(inside, 1.0 - square)), True), size)
    return size.where(size.equals(INFINITY), value).signed_as(x)


def acosh(x: Real) -> Real:
    """log u, u = x + sqrt(x^2 - 1); (u-1)/(u+1) = sqrt(x^2 - 1)/(x + 1)."""
    inside = x.limited(1.0, LARGE)
    t = inside - 1.0
    product = exact_product(t, t)
    square = ordered_sum(t + t, product.high)
    value = _at_large(_log_sum(inside, Pair(square.high, square.low + product.low), False), x)
    return x.where(x.equals(INFINITY), value).but(0.0, x.equals(1.0)).but(NAN, ~x.at_least(1.0))


def half_log_ratio(x: Real) -> tuple[Real, Real]:
    """(e, s): atanh x = e ln(2)/2 + atanh s for 0 <= x < 1, -0.11 < s < 0.298, s = x up to 0.27.

    (1+x)/(1-x) = 2^e m, and s = (m-1)/(m+1) without m: one division. For small x the differences are one rounding each, for
    large x they are those of 1-x, which is exact.
    """
    top, bottom = x + 1.0, 1.0 - x
    e = ((top.bits() - bottom.bits()) + FIFTH) >> 52
    power = e.power_of_two()
    near = x.below(0.5)
    n = x.fma(power + 1.0, 1.0 - power).where(near, (-power).fma(bottom, top))
    d = x.fma(1.0 - power, power + 1.0).where(near, power.fma(bottom, top))
    return e.real(), n / d


def atanh(x: Real) -> Real:
    size = x.size()
    e, s = half_log_ratio(size)
    z = s * s
    low = (s * z).fma(z.polynomial(ATANH), e * (LN2_REST / 2))
    value = e.fma(LN2 / 2, s + low)
    value = value.but(INFINITY, size.equals(1.0)).but(NAN, ~size.at_most(1.0))
    return value.signed_as(x)


def _log_in_pairs(parts: tuple[Whole, Real]) -> Pair:
    """log(2^e m) to 2^-66: e ln 2 + 2s + s z (2/3 + z Q(z)) with every part in pairs.

    The leading parts come in falling order, so they add up quickly; what they leave is gathered meanwhile.
    """
    e, m = parts
    power = e.real()
    f = m - 1.0
    bottom = m + 1.0
    reciprocal = 1.0 / bottom
    s = f * reciprocal
    s_low = (-s).fma(m - (bottom - 1.0), (-s).fma(bottom, f)) * reciprocal
    z = s * s
    z_low = (s + s).fma(s_low, s.fma(s, -z))
    series = ordered_sum(m.of(TWO_THIRDS[0]), z * z.polynomial(LOG_PAIR))
    cube = s * z
    cube_low = s.fma(z, -cube) + s.fma(z_low, z * s_low)
    last = cube * series.high
    last_low = cube.fma(series.high, -last) + cube.fma(series.low + TWO_THIRDS[1], cube_low * series.high)
    first = exact_product(power, LN2)
    total = ordered_sum(first.high, s + s)
    both = ordered_sum(total.high, last)
    low = (power.fma(LN2_REST, first.low) + (s_low + s_low)) + (total.low + last_low)
    return Pair(both.high, both.low + low)


def pow(x: Real, y: Real) -> Real:
    """exp(y log |x|); what is not an ordinary number has a block of its own, for vectors where a lane asks for it."""
    product, low = _exponent(decomposed_normal(x), y)
    result = exp_inside(product, low)
    ordinary = x.at_least(LEAST_NORMAL) & x.below(INFINITY) & product.size().below(INSIDE)
    return result.otherwise(~ordinary, lambda: power_at_ends(x, y))


def _exponent(x: tuple[Whole, Real], y: Real) -> tuple[Real, Real]:
    """y log x."""
    logarithm = _log_in_pairs(x)
    product = y * logarithm.high
    return product, y.fma(logarithm.low, y.fma(logarithm.high, -product))


def power_at_ends(x: Real, y: Real) -> Real:
    """x^y of any two numbers, by a function of the module."""
    (value,) = outside("power", lambda a, b: [_power(a, b)], [x, y], [x])
    return x.to(value.value)


def _power(x: Real, y: Real) -> Real:
    """With the cases of C99: negative where x is and y is odd; pow(x, 0) = pow(1, y) = 1 also where the other is no number."""
    size = x.size()
    product, low = _exponent(decomposed(size), y.limited(-LARGE_POWER, LARGE_POWER))
    result = exp_sum(product.limited(LOWEST, HIGHEST), low.where(product.size().below(-LOWEST), 0.0))
    extreme = size.equals(0.0) | size.equals(INFINITY)
    upward = (size.equals(0.0) & y.below(0.0)) | (size.equals(INFINITY) & y.above(0.0))
    result = result.of(INFINITY).where(upward, 0.0).where(extreme, result)
    half = y * 0.5
    is_whole = y.nearest().equals(y)
    odd = is_whole & ~half.nearest().equals(half)
    result = result.times_sign(x).where(odd, result)
    result = result.but(NAN, x.below(0.0) & ~is_whole & x.above(-INFINITY))
    result = result.but(NAN, ~(x.is_number() & y.is_number()))
    return result.but(1.0, y.equals(0.0) | x.equals(1.0) | (x.equals(-1.0) & y.size().equals(INFINITY)))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "log": log,
        "log1p": log1p,
        "softplus": softplus,
        "asinh": asinh,
        "acosh": acosh,
        "atanh": atanh,
        "pow": pow,
    }
)
