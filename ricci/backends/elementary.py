"""exp, log, sin, cos and tanh for scalars and vectors alike, as straight-line code: the same bits in every lane of any width.

Reals of 32 bits are computed in 64. Errors stay below 2 units in the last place (tested against numpy). Sources of the
approximations: exp by Taylor's polynomial after reduction by ln 2 in two parts; log as in fdlibm (e_log.c); sin, cos and tanh
with the coefficients of Cephes (S. Moshier), reduction by pi/4 in three parts, library functions for large arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from ricci.backends.vectors import Vector, _convert, _result, typed_intrinsic

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG = (
    *(1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01),
    *(2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01),
)
SIN = (
    *(1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6, -1.98412698295895385996e-4),
    *(8.33333333332211858878e-3, -1.66666666666666307295e-1),
)
COS = (
    *(-1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7, 2.48015872888517045348e-5),
    *(-1.38888888888730564116e-3, 4.16666666666665929218e-2),
)
TANH_TOP = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
TANH_BOTTOM = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)
QUARTER_PI = (7.85398125648498535156e-1, 3.77489470793079817668e-8, 2.69515142907905952645e-15)
FOUR_OVER_PI = 1.2732395447351628
LARGE_ANGLE = 1.0e6  # beyond it the three parts of pi/4 are not enough


@dataclass(frozen=True)
class _Real:
    """A float64 value or vector in the code that is being built; `lanes` 0 for a scalar."""

    builder: Any
    value: Any
    lanes: int

    def of(self, number: float) -> _Real:
        return self.to(self.constant(number))

    def to(self, value: Any) -> _Real:
        return _Real(self.builder, value, self.lanes)

    def constant(self, number: float) -> Any:
        return ir.Constant(self.type, [number] * self.lanes if self.lanes else number)

    @property
    def type(self) -> Any:
        return ir.VectorType(ir.DoubleType(), self.lanes) if self.lanes else ir.DoubleType()

    @property
    def integers(self) -> Any:
        return ir.VectorType(ir.IntType(64), self.lanes) if self.lanes else ir.IntType(64)

    def integer(self, number: int) -> Any:
        return ir.Constant(self.integers, [number] * self.lanes if self.lanes else number)

    def __add__(self, other: _Real) -> _Real:
        return self.to(self.builder.fadd(self.value, other.value))

    def __sub__(self, other: _Real) -> _Real:
        return self.to(self.builder.fsub(self.value, other.value))

    def __mul__(self, other: _Real) -> _Real:
        return self.to(self.builder.fmul(self.value, other.value))

    def __truediv__(self, other: _Real) -> _Real:
        return self.to(self.builder.fdiv(self.value, other.value))

    def call(self, name: str, *others: _Real) -> _Real:
        suffix = f"v{self.lanes}f64" if self.lanes else "f64"
        type_ = ir.FunctionType(self.type, [self.type] * (1 + len(others)))
        function = cgutils.get_or_insert_function(self.builder.module, type_, f"llvm.{name}.{suffix}")
        return self.to(self.builder.call(function, [self.value, *[o.value for o in others]]))

    def fma(self, factor: _Real, term: _Real) -> _Real:
        return self.call("fma", factor, term)

    def compare(self, symbol: str, number: float) -> Any:
        return self.builder.fcmp_ordered(symbol, self.value, self.constant(number))

    def where(self, condition: Any, otherwise: _Real) -> _Real:
        return self.to(self.builder.select(condition, self.value, otherwise.value))

    def bits(self) -> Any:
        return self.builder.bitcast(self.value, self.integers)

    def from_bits(self, bits: Any) -> _Real:
        return self.to(self.builder.bitcast(bits, self.type))

    def truncated(self) -> Any:
        """As integers; a NaN gives 0."""
        ordered = self.builder.fcmp_ordered("==", self.value, self.value)
        return self.builder.fptosi(self.where(ordered, self.of(0.0)).value, self.integers)

    def power_of_two(self, exponents: Any) -> _Real:
        """2^k for -1022 <= k <= 1023."""
        biased = self.builder.add(exponents, self.integer(1023))
        return self.from_bits(self.builder.shl(biased, self.integer(52)))

    def polynomial(self, coefficients: Sequence[float]) -> _Real:
        """Horner's rule, the highest power first."""
        total = self.of(coefficients[0])
        for c in coefficients[1:]:
            total = total.fma(self, self.of(c))
        return total


def _exp(x: _Real) -> _Real:
    """exp x = 2^k exp r with |r| <= ln(2)/2; beyond the range of floats the clamped argument over- or underflows."""
    x = x.of(710.0).where(x.compare(">", 710.0), x)
    x = x.of(-746.0).where(x.compare("<", -746.0), x)
    k = (x * x.of(LOG2_E)).call("rint")
    r = k.fma(x.of(-LN2_HIGH), x)
    r = k.fma(x.of(-LN2_LOW), r)
    p = r.polynomial([1.0 / factorial(n) for n in range(13, -1, -1)])
    whole = k.truncated()
    half = x.builder.ashr(whole, x.integer(1))
    return p * x.power_of_two(half) * x.power_of_two(x.builder.sub(whole, half))


def _log(x: _Real) -> _Real:
    """log x = e ln 2 + log m with sqrt(1/2) <= m < sqrt 2."""
    builder = x.builder
    tiny = x.compare("<", 2.2250738585072014e-308)
    scaled = (x * x.of(2.0**54)).where(tiny, x)
    # the high bits of sqrt(1/2) are subtracted, so that the exponent field counts from m = sqrt(1/2)
    shifted = builder.sub(scaled.bits(), x.integer(0x3FE6A09E667F3BCD))
    exponent = builder.ashr(shifted, x.integer(52))
    mantissa = builder.add(builder.and_(shifted, x.integer((1 << 52) - 1)), x.integer(0x3FE6A09E667F3BCD))
    e = x.to(builder.sitofp(exponent, x.type))
    e = (e - x.of(54.0)).where(tiny, e)
    f = x.from_bits(mantissa) - x.of(1.0)
    s = f / (x.of(2.0) + f)
    z = s * s
    series = z * z.polynomial(LOG)
    half_square = x.of(0.5) * f * f
    low = s.fma(half_square + series, e * x.of(LN2_LOW))
    value = e.fma(x.of(LN2_HIGH), f - (half_square - low))
    value = x.of(float("inf")).where(x.compare("==", float("inf")), value)
    value = x.of(float("-inf")).where(x.compare("==", 0.0), value)
    return value.where(x.compare(">=", 0.0), x.of(float("nan")))


def _tanh(x: _Real) -> _Real:
    """x + x^3 P(x^2)/Q(x^2) near 0, 1 - 2/(exp 2|x| + 1) with the sign of x elsewhere."""
    size = x.call("fabs")
    z = x * x
    near = (z.polynomial(TANH_TOP) / z.polynomial(TANH_BOTTOM) * z).fma(x, x)
    far = x.of(1.0) - x.of(2.0) / (_exp(size + size) + x.of(1.0))
    return near.where(size.compare("<", 0.625), far).call("copysign", x)


def _circular(x: _Real, quadrant: int) -> _Real:
    """sin(x + quadrant*pi/2): octant j (made even), then the sine or cosine of the rest."""
    builder = x.builder
    size = x.call("fabs")
    octant = (size * x.of(FOUR_OVER_PI)).truncated()
    octant = builder.and_(builder.add(octant, x.integer(1)), x.integer(-2))
    y = x.to(builder.sitofp(octant, x.type))
    r = size
    for part in QUARTER_PI:
        r = y.fma(x.of(-part), r)
    z = r * r
    sine = (z.polynomial(SIN) * z).fma(r, r)
    cosine = z.fma(z * z.polynomial(COS), z.fma(x.of(-0.5), x.of(1.0)))
    turned = builder.add(octant, x.integer(2 * quadrant))
    swap = builder.icmp_signed("!=", builder.and_(turned, x.integer(2)), x.integer(0))
    negative = builder.icmp_signed("!=", builder.and_(turned, x.integer(4)), x.integer(0))
    value = cosine.where(swap, sine)
    value = (x.of(-0.0) - value).where(negative, value)
    return value if quadrant else _signed_like(value, x)


def _signed_like(value: _Real, x: _Real) -> _Real:
    """The value with the sign of x multiplied in."""
    sign = x.builder.and_(x.bits(), x.integer(-(2**63)))
    return x.from_bits(x.builder.xor(value.bits(), sign))


def _guarded(fast: Callable[[_Real], _Real], library: str) -> Callable[[_Real], _Real]:
    """The fast form; in lanes beyond LARGE_ANGLE (or no number) the library's function."""

    def function(x: _Real) -> _Real:
        value = fast(x)
        inside = x.call("fabs").compare("<=", LARGE_ANGLE)
        every = inside
        if x.lanes:
            packed = x.builder.bitcast(inside, ir.IntType(x.lanes))
            every = x.builder.icmp_unsigned("==", packed, ir.Constant(packed.type, (1 << x.lanes) - 1))
        result = cgutils.alloca_once_value(x.builder, value.value)
        with x.builder.if_then(x.builder.not_(every), likely=False):
            x.builder.store(value.where(inside, x.call(library)).value, result)
        return x.to(x.builder.load(result))

    return function


def _function(emit: Callable[[_Real], _Real]) -> Any:
    """The intrinsic of a function of one real argument."""

    @typed_intrinsic
    def function(typing: Any, x: Any) -> Any:
        result = _result((x,))
        lanes = result.lanes if isinstance(result, Vector) else 0
        wide = Vector(types.float64, lanes) if lanes else types.float64

        def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = _convert(context, builder, args[0], x, wide)
            return _convert(context, builder, emit(_Real(builder, value, lanes)).value, wide, result)

        return result(x), code

    return function


exponential = _function(_exp)
logarithm = _function(_log)
hyperbolic_tangent = _function(_tanh)
sine = _function(_guarded(lambda x: _circular(x, 0), "sin"))
cosine = _function(_guarded(lambda x: _circular(x, 1), "cos"))
