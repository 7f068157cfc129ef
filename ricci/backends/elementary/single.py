"""The functions for reals of 32 bits: arguments and values are such, what lies between has 64.

The reductions are those of the other files; short polynomials are enough, and differences that would lose the last bits of 64
keep more than 32, so that no pairs are needed. Relative errors before the last rounding are below 2^-28: 0.6 ulp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary.circular import HALF_PI, TWO_OVER_PI, far_reduced
from ricci.backends.elementary.error_function import DIVISOR, MIDDLE, ROOT_HALF
from ricci.backends.elementary.exponential import CUBIC, LINEAR, LN2, LOG2_E
from ricci.backends.elementary.inverse_circular import PI, TAN_EIGHTH
from ricci.backends.elementary.logarithm import decomposed_normal, half_log_ratio, power_at_ends
from ricci.backends.elementary.real import INFINITY, NAN, Real, Whole
from ricci.backends.elementary.roots import CBRT_2, CBRT_HALF, INVERSE_CBRT

# the same functions as in the other files, LOG (log(1+f) - f)/f^2 for sqrt(1/2) <= 1+f <= sqrt 2, DECAY for x <= 11
EXP = (
    *(0.00019891080463998843, 0.0013933730715792083, 0.008333310844647862, 0.04166646419740569, 0.16666666681704215),
    *(0.500000001353873,),
)
SINH = (0.00019891080463998843, 0.008333310844647862, 0.16666666681704215)
COSH = (2.4851387704571765e-05, 0.001388886640612628, 0.041666666681700104)
SIN = (2.7249603786849848e-06, -0.00019840084250637795, 0.00833333187010827, -0.1666666666384345)
COS = (-2.7300690439247915e-07, 2.4800598303369057e-05, -0.0013888887668176142, 0.04166666666431132)
ATAN = (*(-0.06450377352341542, 0.10743263384329244, -0.1426391227285186, 0.19999539232716604, -0.3333333175572402),)
ASIN = (
    *(0.03369084720283012, 0.017149238357677253, 0.03110066273549457, 0.04459940152851218, 0.07500094543497424),
    *(0.16666666337430908,),
)
ERF = (
    *(7.875875062685488e-05, -0.000801686428716587, 0.005189087423433974, -0.026854212010626412, 0.11283594715160218),
    *(-0.37612626666720334, 0.12837916584835093),
)
LOG_FOR_POWERS = (
    *(0.053931391936477745, -0.09771466606632885, 0.0992388563872397, -0.09936139015232076, 0.11028402067549856),
    *(-0.12498238895522021, 0.14289164877342586, -0.1666682382765943, 0.1999994112913958, -0.24999997692954962),
    *(0.33333333619664096, -0.5000000000445645),
)
LOG = (
    *(-0.07673651328980903, 0.12722688876814994, -0.1312755963554865, 0.1420485416864887, -0.16626645079535823),
    *(0.20001234513446642, -0.2500078125576922, 0.3333333002800064, -0.49999997649708294),
)
DECAY = (
    *(2.6948358822964865e-05, -6.13818793738956e-05, -0.00039714865369980376, 0.0008272239633165332, 0.0017289149545740138),
    *(-0.011511301547208717, 0.027751460967886173, -0.03573655609300459, 0.007249722972074163, 0.08069782087996741),
    *(-0.2190140559757243, 0.7831300368300955),
)
ATANH = (0.11042066644198358, 0.10952906604679906, 0.14290834515033604, 0.19999942570798468, 0.3333333343571583)
END = 130.0  # exp of it has no counterpart in 32 bits, nor has its reciprocal
TINY = 2.0**-12  # below it odd functions with slope 1 are x up to x^3/6
BEYOND = 10.9  # erfc is zero


def _reduced(x: Real) -> tuple[Whole, Real]:
    k, whole = x.rounded(LOG2_E)
    return whole, k.fma(-LN2, x)


def _exp(x: Real) -> Real:
    """exp x for |x| < 708."""
    whole, r = _reduced(x)
    near = (r * r).fma(r.polynomial(EXP), r + 1.0)
    return (near.bits() + (whole << 52)).as_float()


def exp(x: Real) -> Real:
    return _exp(x.limited(-END, END))


def _expm1(x: Real) -> Real:
    whole, r = _reduced(x)
    power = whole.power_of_two()
    return power.fma((r * r).fma(r.polynomial(EXP), r), power - 1.0)


def expm1(x: Real) -> Real:
    return x.where(x.equals(0.0), _expm1(x.limited(-END, END)))


def tanh(x: Real) -> Real:
    twice = x.limited(-10.0, 10.0) * 2.0
    part = _expm1(twice)
    return (part / (part + 2.0)).signed_as(x)


def _hyperbolic(x: Real) -> tuple[Real, Real, Real, Real]:
    """2^(k-1), 2^(-k-1), cosh r, sinh r."""
    whole, r = _reduced(x.limited(-END, END))
    z = r * r
    up = (whole - 1).power_of_two()
    return up, (whole ^ -1).power_of_two(), z.fma(z.fma(z.polynomial(COSH), 0.5), 1.0), (z * r).fma(z.polynomial(SINH), r)


def sinh(x: Real) -> Real:
    a, b, c, s = _hyperbolic(x)
    return (a + b).fma(s, (a - b) * c).signed_as(x)


def cosh(x: Real) -> Real:
    a, b, c, s = _hyperbolic(x)
    return (a + b).fma(c, (a - b) * s)


def sigmoid(x: Real) -> Real:
    return 1.0 / (_exp(-x.limited(-END, END)) + 1.0)


def gelu_tanh(x: Real) -> Real:
    inside = x.limited(-40.0, 40.0)
    exponent = inside * (inside * inside).fma(CUBIC[0], LINEAR[0])
    value = x.where(x.above(0.0), inside) / (_exp(-exponent.limited(-END, END)) + 1.0)
    return value.but(NAN, x.equals(-INFINITY))


def _log(x: Real, coefficients: Sequence[float] = LOG) -> Real:
    """log of a positive number."""
    e, m = decomposed_normal(x)
    f = m - 1.0
    return e.real().fma(LN2, (f * f).fma(f.polynomial(coefficients), f))


def _log_at_ends(value: Real, x: Real) -> Real:
    value = x.where(x.equals(INFINITY), value)
    return value.but(-INFINITY, x.equals(0.0)).but(NAN, ~x.at_least(0.0))


def log(x: Real) -> Real:
    return _log_at_ends(_log(x), x)


def log1p(x: Real) -> Real:
    total = x + 1.0
    return x.where(x.size().below(2.0**-25), _log_at_ends(_log(total), total))


def softplus(x: Real) -> Real:
    e = _exp((-x.size()).limited(-END, 0.0))
    return x.but(0.0, x.below(0.0)) + e.where(e.below(2.0**-25), _log(e + 1.0))


def asinh(x: Real) -> Real:
    size = x.size()
    value = _log(size + size.fma(size, 1.0).root())
    return size.where(size.below(TINY) | ~size.below(INFINITY), value).signed_as(x)


def acosh(x: Real) -> Real:
    value = x.where(x.equals(INFINITY), _log(x + x.fma(x, -1.0).root()))
    return value.but(NAN, ~x.at_least(1.0))


def atanh(x: Real) -> Real:
    size = x.size()
    e, s = half_log_ratio(size)
    z = s * s
    value = e.fma(LN2 / 2, (s * z).fma(z.polynomial(ATANH), s))
    return value.but(INFINITY, size.equals(1.0)).but(NAN, ~size.at_most(1.0)).signed_as(x)


def pow(x: Real, y: Real) -> Real:
    product = y * _log(x, LOG_FOR_POWERS)
    result = _exp(product.limited(-END, END))
    ordinary = x.above(0.0) & x.below(INFINITY) & y.size().below(INFINITY)
    return result.otherwise(~ordinary, lambda: power_at_ends(x, y))


def _circular(x: Real) -> tuple[Whole, Real, Real]:
    """Quadrant, sin r, cos r."""
    k, whole = x.rounded(TWO_OVER_PI)
    whole, r = far_reduced(x, whole, k.fma(-HALF_PI[1], k.fma(-HALF_PI[0], x)))
    z = r * r
    return whole, (z * r).fma(z.polynomial(SIN), r), z.fma(z.fma(z.polynomial(COS), -0.5), 1.0)


def _turned(x: Real, quarters: int) -> Real:
    whole, sine, cosine = _circular(x)
    place = whole + quarters
    return cosine.where(place.has(1), sine).negated(place.has(2))


def sin(x: Real) -> Real:
    return x.where(x.equals(0.0), _turned(x, 0))


def cos(x: Real) -> Real:
    return _turned(x, 1)


def tan(x: Real) -> Real:
    whole, sine, cosine = _circular(x)
    odd = whole.has(1)
    value = cosine.where(odd, sine) / sine.where(odd, cosine)
    return x.where(x.equals(0.0), value.negated(odd))


def _angle(top: Real, bottom: Real) -> Real:
    low, steep = top.at_most(bottom * TAN_EIGHTH), bottom.at_most(top * TAN_EIGHTH)
    t = top.where(low, (-bottom).where(steep, top - bottom)) / bottom.where(low, top.where(steep, top + bottom))
    square = t * t
    base = top.of(PI[0] / 2).where(steep, PI[0] / 4).but(0.0, low)
    return base + (square * t).fma(square.polynomial(ATAN), t)


def atan(x: Real) -> Real:
    return _angle(x.size().limited(0.0, 2.0**200), x.of(1.0)).signed_as(x)


def atan2(y: Real, x: Real) -> Real:
    top, bottom = y.size(), x.size()
    endless = top.equals(INFINITY) | bottom.equals(INFINITY)
    top = y.of(1.0).where(top.equals(INFINITY), top.but(0.0, endless))
    bottom = y.of(1.0).where(bottom.equals(INFINITY), bottom.but(0.0, endless))
    angle = _angle(top, bottom.but(1.0, top.equals(0.0) & bottom.equals(0.0)))
    value = (PI[0] - angle).where(x.bits().has(-(2**63)), angle)
    return value.signed_as(y).but(NAN, ~(x.is_number() & y.is_number()))


def _arc(x: Real) -> tuple[Real, Real]:
    """(whether |x| <= 1/2 as a size, asin |x| or asin sqrt((1-|x|)/2))."""
    size = x.size()
    z = (size * size).where(size.at_most(0.5), (1.0 - size) * 0.5)
    s = size.where(size.at_most(0.5), z.root())
    return size, (s * z).fma(z.polynomial(ASIN), s)


def asin(x: Real) -> Real:
    size, arc = _arc(x)
    return arc.where(size.at_most(0.5), arc.fma(-2.0, PI[0] / 2)).signed_as(x)


def acos(x: Real) -> Real:
    size, arc = _arc(x)
    far = arc.fma(-2.0, PI[0]).where(x.below(0.0), arc + arc)
    return (PI[0] / 2 - arc.signed_as(x)).where(size.at_most(0.5), far)


def cbrt(x: Real) -> Real:
    """One step of Newton from a polynomial."""
    size = x.size()
    e, m = decomposed_normal(size)
    exponent = e.real()
    q, whole = exponent.rounded(1 / 3)
    r = q.fma(-3.0, exponent)
    below, above = r.below(0.0), r.above(0.0)
    y = m.polynomial(INVERSE_CBRT)
    h = (y * y * y).fma(-m, 1.0)
    y = (y * h).fma(1 / 3, y)
    value = m * (y * y) * whole.power_of_two() * x.of(1.0).but(CBRT_HALF, below).but(CBRT_2, above)
    return x.where(~size.above(0.0) | size.equals(INFINITY), value.signed_as(x))


def hypot(x: Real, y: Real) -> Real:
    value = x.fma(x, y * y).root()
    return value.but(INFINITY, x.size().equals(INFINITY) | y.size().equals(INFINITY))


def _tail(x: Real, square: Real) -> Real:
    """erfc x for 0 <= x <= BEYOND."""
    right, bottom = x + MIDDLE, x.fma(DIVISOR, 1.0)
    both = 1.0 / (right * bottom)
    t = (x - MIDDLE) * (both * bottom)
    return _exp(-square) * (t.polynomial(DECAY) * (both * right))


def erfc(x: Real) -> Real:
    size = x.size().limited(0.0, BEYOND)
    value = _tail(size, size * size)
    return (2.0 - value).where(x.below(0.0), value)


def erf(x: Real) -> Real:
    size = x.size().limited(0.0, BEYOND)
    square = size * size
    near = square.polynomial(ERF).fma(size, size)
    return near.where(size.below(1.0), 1.0 - _tail(size, square)).signed_as(x)


def gelu(x: Real) -> Real:
    size = x.size().limited(0.0, 15.0)
    small = _tail(size * ROOT_HALF[0], size * size * 0.5) * (size * 0.5)
    value = (x - small).where(x.above(0.0), small)
    return value.signed_as(x).but(NAN, x.equals(-INFINITY))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            *(exp, expm1, sinh, cosh, tanh, sigmoid, gelu_tanh, log, log1p, softplus, asinh, acosh, atanh, pow),
            *(sin, cos, tan, asin, acos, atan, atan2, cbrt, hypot, erf, erfc, gelu),
        )
    }
)
