"""Float64 values of code that is being built: one number or the lanes of a vector, by the same operations, so the same bits.

Every operation is one instruction of LLVM, rounded once: nothing is contracted or reordered. A `Pair` is the unevaluated sum of
two floats (Dekker 1971; Muller et al., Handbook of Floating-Point Arithmetic, chapters 4 and 14).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

INFINITY = float("inf")
NAN = float("nan")
SHIFT = 6755399441055744.0  # 3 * 2^51: a number below 2^51 added to it is rounded to a whole one, found in the low bits
SHIFT_BITS = 0x4338000000000000
BIAS = 1023


@dataclass(frozen=True)
class Truth:
    """A truth value for every lane."""

    builder: Any
    value: Any

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.builder, self.builder.or_(self.value, other.value))

    def __invert__(self) -> Truth:
        return Truth(self.builder, self.builder.not_(self.value))

    def in_some_lane(self) -> Any:
        """One truth value of the builder."""
        if not isinstance(self.value.type, ir.VectorType):
            return self.value
        whole = ir.IntType(self.value.type.count)
        return self.builder.icmp_unsigned("!=", self.builder.bitcast(self.value, whole), ir.Constant(whole, 0))


@dataclass(frozen=True)
class _Lanes:
    builder: Any
    value: Any
    lanes: int

    def _type(self, element: Any) -> Any:
        return ir.VectorType(element, self.lanes) if self.lanes else element

    def _constant(self, element: Any, number: float) -> Any:
        return ir.Constant(self._type(element), [number] * self.lanes if self.lanes else number)


def _phi(builder: Any, value: Any, block: Any, other: Any, other_block: Any) -> Any:
    joined = builder.phi(value.type)
    joined.add_incoming(value, block)
    joined.add_incoming(other, other_block)
    return joined


class Whole(_Lanes):
    """An int64, or lanes of such; also the bits of a float."""

    def to(self, value: Any) -> Whole:
        return Whole(self.builder, value, self.lanes)

    def _other(self, other: Whole | int) -> Any:
        return other.value if isinstance(other, Whole) else self._constant(ir.IntType(64), other)

    def __add__(self, other: Whole | int) -> Whole:
        return self.to(self.builder.add(self.value, self._other(other)))

    def __sub__(self, other: Whole | int) -> Whole:
        return self.to(self.builder.sub(self.value, self._other(other)))

    def __and__(self, other: Whole | int) -> Whole:
        return self.to(self.builder.and_(self.value, self._other(other)))

    def __or__(self, other: Whole | int) -> Whole:
        return self.to(self.builder.or_(self.value, self._other(other)))

    def __xor__(self, other: Whole | int) -> Whole:
        return self.to(self.builder.xor(self.value, self._other(other)))

    def __lshift__(self, count: int) -> Whole:
        return self.to(self.builder.shl(self.value, self._other(count)))

    def __rshift__(self, count: int) -> Whole:
        """Zeros come in from above."""
        return self.to(self.builder.lshr(self.value, self._other(count)))

    def has(self, bit: int) -> Truth:
        return Truth(self.builder, self.builder.icmp_unsigned("!=", (self & bit).value, self._other(0)))

    def where(self, condition: Truth, otherwise: Whole) -> Whole:
        return self.to(self.builder.select(condition.value, self.value, otherwise.value))

    def joined(self, block: Any, other: Whole, other_block: Any) -> Whole:
        """This value where control came from `block`, else the other."""
        return self.to(_phi(self.builder, self.value, block, other.value, other_block))

    def as_float(self) -> Real:
        """The float that has these bits."""
        return Real(self.builder, self.builder.bitcast(self.value, self._type(ir.DoubleType())), self.lanes)

    def entry_of(self, name: str, table: Sequence[float]) -> Real:
        """The number of a table at this place, read lane by lane; the table is a constant of the module."""
        module, builder = self.builder.module, self.builder
        type_ = ir.ArrayType(ir.DoubleType(), len(table))
        held = module.globals.get(name)
        if held is None:
            held = ir.GlobalVariable(module, type_, name)
            held.linkage, held.global_constant = "internal", True
            held.initializer = ir.Constant(type_, [ir.Constant(ir.DoubleType(), v) for v in table])
        zero = ir.Constant(ir.IntType(64), 0)
        if not self.lanes:
            return Real(builder, builder.load(builder.gep(held, [zero, self.value], inbounds=True)), 0)
        total = ir.Constant(self._type(ir.DoubleType()), ir.Undefined)
        for lane in range(self.lanes):
            at = ir.Constant(ir.IntType(32), lane)
            place = builder.gep(held, [zero, builder.extract_element(self.value, at)], inbounds=True)
            total = builder.insert_element(total, builder.load(place), at)
        return Real(builder, total, self.lanes)

    def real(self) -> Real:
        """A number below 2^51 as a float."""
        return (self + SHIFT_BITS).as_float() - SHIFT

    def power_of_two(self) -> Real:
        """2^k for -1022 <= k <= 1023."""
        return ((self + BIAS) << 52).as_float()

    def halves(self) -> tuple[Real, Real]:
        """Two factors of 2^k for -2044 <= k <= 2046: the product of the first with a number near 1 is exact."""
        biased = self + 2 * BIAS
        half = biased >> 1
        return (half << 52).as_float(), ((biased - half) << 52).as_float()


class Real(_Lanes):
    """A float64, or lanes of such."""

    def to(self, value: Any) -> Real:
        return Real(self.builder, value, self.lanes)

    def of(self, number: float) -> Real:
        return self.to(self._constant(ir.DoubleType(), number))

    def _other(self, other: Real | float) -> Any:
        return other.value if isinstance(other, Real) else self._constant(ir.DoubleType(), other)

    def __add__(self, other: Real | float) -> Real:
        return self.to(self.builder.fadd(self.value, self._other(other)))

    def __sub__(self, other: Real | float) -> Real:
        return self.to(self.builder.fsub(self.value, self._other(other)))

    def __rsub__(self, other: float) -> Real:
        return self.to(self.builder.fsub(self._other(other), self.value))

    def __mul__(self, other: Real | float) -> Real:
        return self.to(self.builder.fmul(self.value, self._other(other)))

    def __truediv__(self, other: Real | float) -> Real:
        return self.to(self.builder.fdiv(self.value, self._other(other)))

    def __rtruediv__(self, other: float) -> Real:
        return self.to(self.builder.fdiv(self._other(other), self.value))

    def __neg__(self) -> Real:
        return self.to(self.builder.fneg(self.value))

    __radd__, __rmul__ = __add__, __mul__

    def _call(self, name: str, *others: Real | float) -> Real:
        type_ = self._type(ir.DoubleType())
        full = f"llvm.{name}.{f'v{self.lanes}' if self.lanes else ''}f64"
        module = self.builder.module
        function = module.globals.get(full) or ir.Function(module, ir.FunctionType(type_, [type_] * (1 + len(others))), full)
        return self.to(self.builder.call(function, [self.value, *[self._other(o) for o in others]]))

    def fma(self, factor: Real | float, term: Real | float) -> Real:
        """self * factor + term, rounded once."""
        return self._call("fma", factor, term)

    def size(self) -> Real:
        return self._call("fabs")

    def root(self) -> Real:
        return self._call("sqrt")

    def joined(self, block: Any, other: Real, other_block: Any) -> Real:
        """This value where control came from `block`, else the other."""
        return self.to(_phi(self.builder, self.value, block, other.value, other_block))

    def otherwise(self, seldom: Truth, other: Callable[[], Real]) -> Real:
        """This value; in lanes where `seldom` holds the other, whose code runs only if there are such."""
        before = self.builder.block
        with self.builder.if_then(seldom.in_some_lane(), likely=False):
            value = other().where(seldom, self)
            inside = self.builder.block
        return self.joined(before, value, inside)

    def nearest(self) -> Real:
        return self._call("rint")

    def signed_as(self, other: Real) -> Real:
        """This size with the sign of the other, also of its zeros."""
        return self._call("copysign", other)

    def times_sign(self, other: Real) -> Real:
        """Negated where the sign bit of the other is set."""
        return (self.bits() ^ (other.bits() & -(2**63))).as_float()

    def negated(self, condition: Truth) -> Real:
        return (-self).where(condition, self)

    def _compare(self, symbol: str, other: Real | float) -> Truth:
        return Truth(self.builder, self.builder.fcmp_ordered(symbol, self.value, self._other(other)))

    def below(self, other: Real | float) -> Truth:
        return self._compare("<", other)

    def above(self, other: Real | float) -> Truth:
        return self._compare(">", other)

    def at_most(self, other: Real | float) -> Truth:
        return self._compare("<=", other)

    def at_least(self, other: Real | float) -> Truth:
        return self._compare(">=", other)

    def equals(self, other: Real | float) -> Truth:
        return self._compare("==", other)

    def is_number(self) -> Truth:
        return Truth(self.builder, self.builder.fcmp_ordered("ord", self.value, self.value))

    def where(self, condition: Truth, otherwise: Real | float) -> Real:
        return self.to(self.builder.select(condition.value, self.value, self._other(otherwise)))

    def but(self, number: float, condition: Truth) -> Real:
        """The number where the condition holds."""
        return self.of(number).where(condition, self)

    def limited(self, least: float, most: float) -> Real:
        """Between two numbers; a NaN stays."""
        return self.but(most, self.above(most)).but(least, self.below(least))

    def bits(self) -> Whole:
        return Whole(self.builder, self.builder.bitcast(self.value, self._type(ir.IntType(64))), self.lanes)

    def rounded(self, factor: float = 1.0) -> tuple[Real, Whole]:
        """The whole number nearest to self * factor as a float and as an integer, below 2^51."""
        shifted = self.fma(factor, SHIFT)
        return shifted - SHIFT, shifted.bits() - SHIFT_BITS

    def polynomial(self, coefficients: Sequence[float]) -> Real:
        """The highest power first. Horner's rule for even and for odd powers side by side: half as many steps wait for each other."""
        if len(coefficients) < 5:
            return self._horner(coefficients)
        square = self * self
        first, second = square._horner(coefficients[0::2]), square._horner(coefficients[1::2])
        return first.fma(self, second) if len(coefficients) % 2 == 0 else second.fma(self, first)

    def _horner(self, coefficients: Sequence[float]) -> Real:
        total = self.of(coefficients[0])
        for c in coefficients[1:]:
            total = total.fma(self, c)
        return total


def outside(name: str, emit: Callable[..., Sequence[Any]], arguments: Sequence[Real], like: Sequence[Any]) -> list[Any]:
    """The results of code that stands once in the module, as a function: for what is long and seldom needed. `like`: values of
    the types of the results."""
    builder, lanes = arguments[0].builder, arguments[0].lanes
    module, full = builder.module, f"ricci.{name}.{lanes}"
    function = module.globals.get(full)
    if function is None:
        result = ir.LiteralStructType([v.value.type for v in like])
        function = ir.Function(module, ir.FunctionType(result, [a.value.type for a in arguments]), full)
        function.linkage = "internal"
        for attribute in ("noinline", "cold", "nounwind"):
            function.attributes.add(attribute)
        inside = ir.IRBuilder(function.append_basic_block())
        total = ir.Constant(result, ir.Undefined)
        for place, value in enumerate(emit(*[Real(inside, a, lanes) for a in function.args])):
            total = inside.insert_value(total, value.value, place)
        inside.ret(total)
    found = builder.call(function, [a.value for a in arguments])
    return [v.to(builder.extract_value(found, place)) for place, v in enumerate(like)]


@dataclass(frozen=True)
class Pair:
    """high + low, |low| at most about an ulp of high."""

    high: Real
    low: Real

    def __add__(self, other: Pair) -> Pair:
        total = exact_sum(self.high, other.high)
        return ordered_sum(total.high, total.low + (self.low + other.low))

    def __mul__(self, other: Pair) -> Pair:
        product = exact_product(self.high, other.high)
        return ordered_sum(product.high, self.high.fma(other.low, self.low.fma(other.high, product.low)))

    def __truediv__(self, other: Pair) -> Pair:
        """One division: the rest of the first quotient is multiplied by the reciprocal."""
        reciprocal = 1.0 / other.high
        first = self.high * reciprocal
        rest = (-first).fma(other.high, self.high) + (-first).fma(other.low, self.low)
        return ordered_sum(first, rest * reciprocal)

    def scaled(self, factor: Real | float) -> Pair:
        """Times a power of two."""
        return Pair(self.high * factor, self.low * factor)

    def where(self, condition: Truth, otherwise: Pair) -> Pair:
        return Pair(self.high.where(condition, otherwise.high), self.low.where(condition, otherwise.low))

    def sum(self) -> Real:
        return self.high + self.low


def exact_sum(a: Real, b: Real | float) -> Pair:
    """a + b without error (Knuth)."""
    total = a + b
    part = total - a
    return Pair(total, (a - (total - part)) + (_real(a, b) - part))


def ordered_sum(a: Real | float, b: Real) -> Pair:
    """a + b without error where |a| >= |b| (Dekker)."""
    total = b + a
    return Pair(total, b - (total - a))


def exact_product(a: Real, b: Real | float) -> Pair:
    """a * b without error."""
    high = a * b
    return Pair(high, a.fma(b, -high))


def _real(like: Real, number: Real | float) -> Real:
    return number if isinstance(number, Real) else like.of(number)
