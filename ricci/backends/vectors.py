"""Explicit vectors for generated code: numba values of type `Vector(element, lanes)` and raw loads and stores.

Generated kernels read and write flat arrays through `loadN`/`storeN` (N lanes; 1 is a scalar) without bounds checks,
index wraparound or alias checks, so what is vectorized is decided by the text of a kernel and not by LLVM's analysis.
`+ - * /`, comparisons and the functions below act lane by lane; a scalar operand is broadcast. Contraction is explicit:
only `fma` rounds once. Functions accept scalars and vectors alike and give the same bits for both.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = (2, 4, 8, 16)
_INT32 = ir.IntType(32)


class Vector(types.Type):
    """`lanes` numbers of one element type in one register."""

    def __init__(self, element: Any, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"{element}x{lanes}")


def typed_intrinsic(function: Callable[..., Any]) -> Any:
    """numba's `intrinsic`, as a decorator that type checkers accept."""
    return intrinsic(function)


def _element(number: Any) -> ir.Type:
    if number == types.float64:
        return ir.DoubleType()
    if number == types.float32:
        return ir.FloatType()
    return ir.IntType(1) if number == types.boolean else ir.IntType(number.bitwidth)


def _llvm(type_: Any) -> ir.Type:
    """LLVM type of a register value of a vector or a scalar."""
    return ir.VectorType(_element(type_.element), type_.lanes) if isinstance(type_, Vector) else _element(type_)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """A vector is one LLVM value."""

    def __init__(self, manager: Any, type_: Vector) -> None:
        super().__init__(manager, type_, _llvm(type_))


def _bits(element: Any) -> int:
    return int(element.bitwidth)


def _bytes(element: Any) -> int:
    return 1 if element == types.boolean else _bits(element) // 8


def _broadcast(builder: Any, value: Any, lanes: int) -> Any:
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))


def _convert(context: Any, builder: Any, value: Any, given: Any, wanted: Any) -> Any:
    """`value` of type `given` as `wanted`: element conversion, then broadcast."""
    source = given.element if isinstance(given, Vector) else given
    target = wanted.element if isinstance(wanted, Vector) else wanted
    if isinstance(given, Vector):
        if source != target:
            value = _convert_lanes(builder, value, source, target, given.lanes)
        return value
    if source == types.boolean and target == types.boolean:
        value = builder.trunc(value, ir.IntType(1)) if value.type != ir.IntType(1) else value
    else:
        value = context.cast(builder, value, source, target)
    return _broadcast(builder, value, wanted.lanes) if isinstance(wanted, Vector) else value


def _convert_lanes(builder: Any, value: Any, source: Any, target: Any, lanes: int) -> Any:
    llvm = ir.VectorType(_element(target), lanes)
    if source == types.boolean:
        return builder.uitofp(value, llvm) if isinstance(target, types.Float) else builder.zext(value, llvm)
    if isinstance(source, types.Integer):
        if isinstance(target, types.Float):
            return builder.sitofp(value, llvm)
        return builder.sext(value, llvm) if _bits(target) > _bits(source) else builder.trunc(value, llvm)
    if isinstance(target, types.Float):
        return builder.fpext(value, llvm) if _bits(target) > _bits(source) else builder.fptrunc(value, llvm)
    return builder.fptosi(value, llvm)


def _join(given: Any) -> Any:
    """The vector type that an operation on these types has: most lanes, the largest element type."""
    vectors = [t for t in given if isinstance(t, Vector)]
    if not vectors:
        return None
    elements = [t.element if isinstance(t, Vector) else t for t in given]
    floats = [e for e in (v.element for v in vectors) if isinstance(e, types.Float)]
    if floats:
        return Vector(max(floats, key=lambda e: e.bitwidth), vectors[0].lanes)
    if any(isinstance(e, types.Float) for e in elements):
        return Vector(types.float64, vectors[0].lanes)
    integers = [e for e in elements if isinstance(e, types.Integer)]
    return Vector(types.int64 if integers else types.boolean, vectors[0].lanes)


def _is_number(given: Any) -> bool:
    return isinstance(given, (Vector, types.Float, types.Integer, types.Boolean))


def _lower_everywhere(function: Any, count: int, emit: Callable[..., Any]) -> None:
    """Register `emit` for every mix of vectors and scalars with at least one vector."""
    scalars = (types.Float, types.Integer, types.Boolean)
    for mask in range(1, 2**count):
        choices = [[Vector] if mask >> k & 1 else list(scalars) for k in range(count)]
        combinations: list[list[Any]] = [[]]
        for choice in choices:
            combinations = [[*c, t] for c in combinations for t in choice]
        for combination in combinations:
            lower_builtin(function, *combination)(emit)


def _define_arithmetic(function: Any, real: str, integer: str | None) -> None:
    @infer_global(function)
    class Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) != 2 or not all(_is_number(a) for a in args):
                return None
            joined = _join(args)
            if joined is None or (integer is None and not isinstance(joined.element, types.Float)):
                return None
            return signature(joined, *args)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left, right = (_convert(context, builder, a, t, sig.return_type) for a, t in zip(args, sig.args, strict=True))
        name = real if isinstance(sig.return_type.element, types.Float) else integer
        return getattr(builder, str(name))(left, right)

    _lower_everywhere(function, 2, emit)


def _define_comparison(function: Any, symbol: str) -> None:
    @infer_global(function)
    class Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) != 2 or not all(_is_number(a) for a in args):
                return None
            joined = _join(args)
            return None if joined is None else signature(Vector(types.boolean, joined.lanes), *args)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        joined = _join(sig.args)
        left, right = (_convert(context, builder, a, t, joined) for a, t in zip(args, sig.args, strict=True))
        if isinstance(joined.element, types.Float):
            return (builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered)(symbol, left, right)
        return (builder.icmp_unsigned if joined.element == types.boolean else builder.icmp_signed)(symbol, left, right)

    _lower_everywhere(function, 2, emit)


for _function, _real, _integer in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None),
    (operator.and_, "and_", "and_"),
    (operator.or_, "or_", "or_"),
    (operator.xor, "xor", "xor"),
):
    _define_arithmetic(_function, _real, _integer)
for _function, _symbol in (
    (operator.eq, "=="),
    (operator.ne, "!="),
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
):
    _define_comparison(_function, _symbol)


@infer_global(operator.neg)
class _Negation(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], *args) if len(args) == 1 and isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)  # type: ignore[untyped-decorator]
def _negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    if isinstance(sig.return_type.element, types.Float):
        return builder.fneg(args[0])
    return builder.neg(args[0])


def _address(context: Any, builder: Any, array: Any, index: Any, sig: Any, lanes: int) -> Any:
    data = context.make_array(sig.args[0])(context, builder, array).data
    place = builder.gep(data, [context.cast(builder, index, sig.args[1], types.int64)], inbounds=True)
    if lanes == 1:
        return place
    stored = context.get_data_type(sig.args[0].dtype)
    return builder.bitcast(place, ir.VectorType(stored, lanes).as_pointer())


def _memory(lanes: int) -> tuple[Any, Any]:
    """Load and store of `lanes` neighbours of a flat array at an element index; alignment of one element."""

    @typed_intrinsic
    def load(typing: Any, array: Any, index: Any) -> Any:
        element = array.dtype
        result = element if lanes == 1 else Vector(element, lanes)

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            place = _address(context, builder, args[0], args[1], sig, lanes)
            if lanes == 1:
                return context.unpack_value(builder, element, place)
            value = builder.load(place)
            value.align = _bytes(element)
            if element == types.boolean:
                value = builder.icmp_unsigned("!=", value, ir.Constant(value.type, [0] * lanes))
            return value

        return result(array, index), emit

    @typed_intrinsic
    def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
        element = array.dtype

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            place = _address(context, builder, args[0], args[1], sig, lanes)
            if lanes == 1:
                context.pack_value(builder, element, context.cast(builder, args[2], value, element), place)
                return context.get_dummy_value()
            stored = _convert(context, builder, args[2], value, Vector(element, lanes))
            if element == types.boolean:
                stored = builder.zext(stored, ir.VectorType(ir.IntType(8), lanes))
            instruction = builder.store(stored, place)
            instruction.align = _bytes(element)
            return context.get_dummy_value()

        return types.void(array, index, value), emit

    return load, store


@typed_intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an element; places outside of the array do nothing."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = _address(context, builder, args[0], args[1], sig, 1)
        type_ = ir.FunctionType(ir.VoidType(), [place.type, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(builder.module, type_, "llvm.prefetch.p0")
        builder.call(function, [place, *(ir.Constant(_INT32, n) for n in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, index), emit


def _store_part(lanes: int) -> Any:
    """Store the first `count` lanes; all of them when count >= lanes, which is the usual case and a plain store."""

    @typed_intrinsic
    def store_part(typing: Any, array: Any, index: Any, value: Any, count: Any) -> Any:
        element = array.dtype

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            place = _address(context, builder, args[0], args[1], sig, lanes)
            stored = _convert(context, builder, args[2], value, Vector(element, lanes))
            if element == types.boolean:
                stored = builder.zext(stored, ir.VectorType(ir.IntType(8), lanes))
            size = _bytes(element)
            number = context.cast(builder, args[3], count, types.int64)
            whole = builder.icmp_signed(">=", number, ir.Constant(number.type, lanes))
            with builder.if_else(whole, likely=True) as (then, otherwise):
                with then:
                    builder.store(stored, place).align = size
                with otherwise:
                    counts = _broadcast(builder, number, lanes)
                    inside = builder.icmp_signed("<", ir.Constant(counts.type, list(range(lanes))), counts)
                    type_ = ir.FunctionType(ir.VoidType(), [stored.type, place.type, _INT32, inside.type])
                    name = f"llvm.masked.store.v{lanes}{_stored_name(element)}.p0"
                    masked = cgutils.get_or_insert_function(builder.module, type_, name)
                    builder.call(masked, [stored, place, ir.Constant(_INT32, size), inside])
            return context.get_dummy_value()

        return types.void(array, index, value, count), emit

    return store_part


def _stored_name(element: Any) -> str:
    if isinstance(element, types.Float):
        return f"f{element.bitwidth}"
    return "i8" if element == types.boolean else f"i{element.bitwidth}"


def _lane_tools(lanes: int) -> tuple[Any, Any, Any]:
    @typed_intrinsic
    def ramp(typing: Any, start: Any) -> Any:
        """start, start+1, ... as int64 lanes."""
        result = Vector(types.int64, lanes)

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            first = _broadcast(builder, context.cast(builder, args[0], start, types.int64), lanes)
            return builder.add(first, ir.Constant(_llvm(result), list(range(lanes))))

        return result(start), emit

    @typed_intrinsic
    def spread(typing: Any, value: Any) -> Any:
        """A scalar in every lane; a vector stays."""
        result = value if isinstance(value, Vector) else Vector(value, lanes)

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _convert(context, builder, args[0], value, result)

        return result(value), emit

    @typed_intrinsic
    def keep(typing: Any, value: Any, count: Any, other: Any) -> Any:
        """The first `count` lanes of `value`, `other` in the rest: the tail of a reduction."""
        result = value if isinstance(value, Vector) else Vector(value, lanes)

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            counts = _broadcast(builder, context.cast(builder, args[1], count, types.int64), lanes)
            inside = builder.icmp_signed("<", ir.Constant(counts.type, list(range(lanes))), counts)
            kept = _convert(context, builder, args[0], value, result)
            return builder.select(inside, kept, _convert(context, builder, args[2], other, result))

        return result(value, count, other), emit

    return ramp, spread, keep


load1, store1 = _memory(1)
load2, store2 = _memory(2)
load4, store4 = _memory(4)
load8, store8 = _memory(8)
load16, store16 = _memory(16)
store_part2, store_part4, store_part8, store_part16 = (_store_part(n) for n in LANES)
ramp2, spread2, keep2 = _lane_tools(2)
ramp4, spread4, keep4 = _lane_tools(4)
ramp8, spread8, keep8 = _lane_tools(8)
ramp16, spread16, keep16 = _lane_tools(16)


def _result(given: Any) -> Any:
    """Type of a real function of these arguments: the joined vector or scalar float."""
    joined = _join(given)
    if joined is not None:
        return joined if isinstance(joined.element, types.Float) else Vector(types.float64, joined.lanes)
    floats = [t for t in given if isinstance(t, types.Float)]
    return max(floats, key=lambda t: t.bitwidth) if floats else types.float64


def _suffix(type_: Any) -> str:
    element = type_.element if isinstance(type_, Vector) else type_
    return (f"v{type_.lanes}" if isinstance(type_, Vector) else "") + f"f{element.bitwidth}"


def _real_intrinsic(name: str, count: int) -> Callable[..., Any]:
    """Code generator of the LLVM intrinsic `llvm.NAME` on `count` real arguments."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        result = sig.return_type
        operands = [_convert(context, builder, a, t, result) for a, t in zip(args, sig.args, strict=True)]
        type_ = ir.FunctionType(_llvm(result), [_llvm(result)] * count)
        return builder.call(cgutils.get_or_insert_function(builder.module, type_, f"llvm.{name}.{_suffix(result)}"), operands)

    return emit


@typed_intrinsic
def fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """x*y + z, rounded once."""
    return _result((x, y, z))(x, y, z), _real_intrinsic("fma", 3)


@typed_intrinsic
def maximum(typing: Any, x: Any, y: Any) -> Any:
    """The larger; NaN if one is NaN."""
    return _result((x, y))(x, y), _real_intrinsic("maximum", 2)


@typed_intrinsic
def minimum(typing: Any, x: Any, y: Any) -> Any:
    """The smaller; NaN if one is NaN."""
    return _result((x, y))(x, y), _real_intrinsic("minimum", 2)


def _extreme(symbol: str) -> Any:
    @typed_intrinsic
    def function(typing: Any, x: Any, y: Any) -> Any:
        result = _result((x, y))

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            left, right = (_convert(context, builder, a, t, result) for a, t in zip(args, (x, y), strict=True))
            return builder.select(builder.fcmp_ordered(symbol, left, right), left, right)

        return result(x, y), emit

    return function


larger = _extreme(">")  # one instruction; y where a NaN is compared
smaller = _extreme("<")


@typed_intrinsic
def any_lane(typing: Any, x: Any) -> Any:
    """Whether a truth value or some lane of truth values holds."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not isinstance(x, Vector):
            return args[0]
        bits = builder.bitcast(args[0], ir.IntType(x.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(x), emit


def _unary(name: str) -> Any:
    @typed_intrinsic
    def function(typing: Any, x: Any) -> Any:
        return _result((x,))(x), _real_intrinsic(name, 1)

    return function


round_up = _unary("ceil")
square_root = _unary("sqrt")
magnitude = _unary("fabs")
round_down = _unary("floor")
round_even = _unary("rint")


@typed_intrinsic
def choose(typing: Any, condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y; both are evaluated."""
    lanes = [t.lanes for t in (condition, x, y) if isinstance(t, Vector)]
    if lanes:
        joined = _join((x, y)) or (_result((x, y)) if x != y else x)
        result = joined if isinstance(joined, Vector) else Vector(joined, lanes[0])
    else:
        result = typing.unify_types(x, y)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wanted = Vector(types.boolean, result.lanes) if isinstance(condition, Vector) else types.boolean
        truth = _convert(context, builder, args[0], condition, wanted)
        if not isinstance(condition, Vector):
            truth = builder.trunc(truth, ir.IntType(1)) if truth.type != ir.IntType(1) else truth
        left, right = (
            _convert(context, builder, a, t, result) if lanes else context.cast(builder, a, t, result)
            for a, t in zip(args[1:], (x, y), strict=True)
        )
        return builder.select(truth, left, right)

    return result(condition, x, y), emit


@typed_intrinsic
def to_real(typing: Any, x: Any) -> Any:
    """bool or int as float64, lane by lane."""
    result = Vector(types.float64, x.lanes) if isinstance(x, Vector) else types.float64

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _convert(context, builder, args[0], x, result)

    return result(x), emit


@typed_intrinsic
def to_int(typing: Any, x: Any) -> Any:
    """bool or real as int64, toward zero, lane by lane."""
    result = Vector(types.int64, x.lanes) if isinstance(x, Vector) else types.int64

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _convert(context, builder, args[0], x, result)

    return result(x), emit


def _fold(builder: Any, value: Any, lanes: int, step: Callable[[Any, Any], Any]) -> Any:
    """Lanes joined in a fixed tree: halves, quarters, ..."""
    while lanes > 1:
        half = lanes // 2
        empty = ir.Constant(value.type, ir.Undefined)
        low, high = (
            builder.shuffle_vector(value, empty, ir.Constant(ir.VectorType(_INT32, half), list(range(start, start + half))))
            for start in (0, half)
        )
        value, lanes = step(low, high), half
    return builder.extract_element(value, ir.Constant(_INT32, 0))


def _across(real: str, integer: str) -> Any:
    @typed_intrinsic
    def function(typing: Any, x: Any) -> Any:
        if not isinstance(x, Vector):
            return x(x), lambda context, builder, sig, args: args[0]
        result = x.element

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            def step(low: Any, high: Any) -> Any:
                if not isinstance(result, types.Float):
                    return _integer_step(builder, integer, low, high)
                if not real.startswith("llvm."):
                    return getattr(builder, real)(low, high)
                name = f"{real}.v{low.type.count}f{result.bitwidth}"
                called = cgutils.get_or_insert_function(builder.module, ir.FunctionType(low.type, [low.type] * 2), name)
                return builder.call(called, [low, high])

            return _fold(builder, args[0], x.lanes, step)

        return result(x), emit

    return function


def _integer_step(builder: Any, name: str, low: Any, high: Any) -> Any:
    if name in (">", "<"):
        return builder.select(builder.icmp_signed(name, low, high), low, high)
    return getattr(builder, name)(low, high)


sum_lanes = _across("fadd", "add")
product_lanes = _across("fmul", "mul")
maximum_lanes = _across("llvm.maximum", ">")
minimum_lanes = _across("llvm.minimum", "<")


def _atomic(emit_operation: Callable[[Any, Any], Any]) -> Any:
    @typed_intrinsic
    def function(typing: Any, array: Any, index: Any) -> Any:
        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            data = context.make_array(array)(context, builder, args[0]).data
            return emit_operation(builder, builder.gep(data, [context.cast(builder, args[1], index, types.int64)]))

        return types.int64(array, index), emit

    return function


# sequentially consistent: everything stored before `arrive` is seen after `seen` returns the new count
arrive = _atomic(lambda builder, place: builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst"))
seen = _atomic(lambda builder, place: builder.load_atomic(place, "seq_cst", 8))
