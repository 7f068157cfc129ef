"""Values of terms without axes at rational points, as real numbers: exact where they are rational, else with a bound of the error.

Nothing overflows and nothing cancels unseen: what is not rational has many digits, and an error that is carried through every
operator. Numbers of fifteen digits and more are taken for rounded ones. A form without a value (a division by zero, the root of a
negative number) is NaN; logarithms of zero and what follows from them are infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import inf, isfinite, isinf, nan
from typing import Any

from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, walk

BITS = 320  # of numbers that are not rational; functions are computed with twice as many
LOST = 16  # bits of a function's value that may be wrong
MANY_DIGITS = 10**14  # a numerator from here on belongs to a number that was rounded to doubles
ROUNDED = Fraction(1, 2**52)
LARGEST = 200  # binary exponent of what functions are taken of; beyond, values would have numbers of digits without bound
RATIO = 10**9  # a comparison decides where errors are so many times smaller than the values


class UndecidedError(Exception):
    """The digits do not tell what the value is."""


class NoDigitsError(Exception):
    """A function is only known in machine numbers."""


@dataclass(frozen=True)
class Near:
    """A number that differs from `value` by no more than `error`; both of many digits."""

    value: Any
    error: Any


Value = Fraction | Near | float  # a float is infinite or NaN


def values_at(roots: Sequence[Term], point: Mapping[str, Fraction]) -> list[Value]:
    """Values of terms at a point, by names of symbols; UndecidedError or NoDigitsError where they are not known."""
    done: dict[Term, Value] = {}
    for term in walk(roots):
        done[term] = _one(term, [done[a] for a in term.args], point)
    return [done[t] for t in roots]


def compare(left: Value, right: Value) -> bool | None:
    """Whether two values are equal; None where both are no numbers, or the digits do not tell."""
    if isinstance(left, float) or isinstance(right, float):
        return None if isinstance(left, float) and isinstance(right, float) else False
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    a, b = _near(left), _near(right)
    size = max(abs(a.value), abs(b.value))
    error = a.error + b.error + size * _smallest()
    if abs(a.value - b.value) > 2 * error:
        return False
    return True if error * RATIO <= size else None


def as_text(value: Value) -> str:
    """A value with six digits."""
    if isinstance(value, float):
        return "no number" if value != value else str(value)
    if isinstance(value, Fraction) and abs(value) < 10**300:
        return f"{float(value):.6g}"
    return str(_digits().nstr(_near(value).value, 6))


@cache
def _digits() -> Any:
    """Arithmetic of `BITS` bits."""
    import mpmath

    context = mpmath.mp.clone()
    context.prec = BITS
    return context


def _smallest() -> Any:
    return _digits().ldexp(1, -BITS)


def _near(value: Fraction | Near) -> Near:
    if isinstance(value, Near):
        return value
    number = _digits().mpf(value.numerator) / value.denominator
    exact = value.denominator & (value.denominator - 1) == 0 and value.numerator.bit_length() <= BITS
    return Near(number, 0 if exact else abs(number) * _smallest())


def _number(value: Fraction) -> Fraction | Near:
    """A number of the source: one of many digits stands for all that round to it."""
    if abs(value.numerator) < MANY_DIGITS or value.denominator == 1:
        return value
    near = _near(value)
    return Near(near.value, near.error + abs(near.value) * _near(ROUNDED).value)


def _one(term: Term, args: Sequence[Value], point: Mapping[str, Fraction]) -> Value:
    if term.op == "symbol":
        return point[name_of(term)]
    if term.op == "const":
        value = value_of(term)
        assert value is not None
        return _number(Fraction(value)) if isfinite(value) else float(value)
    if term.op == "linear":
        return _sum([_product([_number(Fraction(q)), a]) for q, a in zip(term.attrs, args, strict=True)])
    if term.op == "contract":
        return _product(args)
    if term.op == "cast":
        return args[0]
    if term.op == "map":
        return _function(term.attrs[0], args)
    raise NoDigitsError(term.op)


def _sum(members: Sequence[Value]) -> Value:
    if any(isinstance(m, float) for m in members):
        ends = {m for m in members if isinstance(m, float)}
        return ends.pop() if len(ends) == 1 else nan
    if all(isinstance(m, Fraction) for m in members):
        return sum((m for m in members if isinstance(m, Fraction)), Fraction(0))
    parts = [_near(m) for m in members if not isinstance(m, float)]
    rounding = sum(abs(p.value) for p in parts) * _smallest()
    return Near(sum(p.value for p in parts), sum(p.error for p in parts) + rounding)


def _product(factors: Sequence[Value]) -> Value:
    out: Value = Fraction(1)
    for f in factors:
        out = _times(out, f)
    return out


def _times(a: Value, b: Value) -> Value:
    if isinstance(a, float) or isinstance(b, float):
        sign = _sign(a) * _sign(b)
        return sign * inf if sign else nan
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    if a == 0 or b == 0:
        return Fraction(0)
    p, q = _near(a), _near(b)
    value = p.value * q.value
    return Near(value, abs(p.value) * q.error + abs(q.value) * p.error + p.error * q.error + abs(value) * _smallest())


def _sign(value: Value) -> int:
    """The sign; 0 for zero and NaN."""
    if isinstance(value, Near):
        if abs(value.value) <= value.error:
            raise UndecidedError
        value = Fraction(1 if value.value > 0 else -1)
    return (value > 0) - (value < 0)


# functions


def _function(name: str, args: Sequence[Value]) -> Value:
    """The value of a scalar function."""
    if name == "isfinite":
        return Fraction(not isinstance(args[0], float))
    if any(isinstance(a, float) and a != a for a in args):
        return nan
    if name in ("group", "re", "conj"):
        return args[0]
    if name == "where":
        if isinstance(args[0], Near):
            raise UndecidedError
        return args[1] if args[0] else args[2]
    exact = SCALARS[name].exact
    plain = [a for a in args if not isinstance(a, Near)]
    if len(plain) == len(args) and exact is not None:
        found = exact(*plain)
        if found is not None:
            return float(found) if isinstance(found, float) and isinf(found) else Fraction(found)
    if any(isinstance(a, float) for a in args) or (name == "recip" and args[0] == 0):
        return nan
    return _of_digits(name, [_near(a) for a in args if not isinstance(a, float)])


def _of_digits(name: str, args: Sequence[Near]) -> Value:
    """The function at the middle, and how far it is from that at the ends of every argument."""
    function = _functions().get(name)
    if function is None:
        raise NoDigitsError(name)
    context = _digits()
    if name not in ALGEBRAIC and any(a.value and context.mag(a.value) > LARGEST for a in args):
        raise UndecidedError
    middle = [a.value for a in args]
    value = _real(function, middle)
    if value is not None and context.isinf(value):
        if any(a.error for a in args):
            raise UndecidedError
        return float(value)
    spread = 0
    for k, a in enumerate(args):
        ends = [_real(function, [*middle[:k], a.value + s * a.error, *middle[k + 1 :]]) for s in (-1, 1)] if a.error else []
        if any((end is None) != (value is None) or (end is not None and context.isinf(end)) for end in ends):
            raise UndecidedError
        if value is not None and ends:
            spread += max(abs(end - value) for end in ends)
    return nan if value is None else Near(value, 2 * spread + abs(value) * context.ldexp(1, LOST - BITS))


def _real(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """The value if it is a real number, None if there is none."""
    context = _digits()
    try:
        with context.workprec(2 * BITS):
            value = function(*args)
    except (ValueError, ZeroDivisionError):
        return None
    except (OverflowError, ArithmeticError, MemoryError):
        raise UndecidedError from None
    if isinstance(value, context.mpc) or context.isnan(value):
        return None
    return +context.mpf(value)


ALGEBRAIC = frozenset(
    [
        *("log", "log1p", "sqrt", "cbrt", "recip", "hypot", "abs", "abs2", "sign", "min2", "max2", "relu", "heaviside"),
        *("eq", "ne", "lt", "le", "gt", "ge", "atan", "asinh", "acosh"),
    ]
)  # functions whose values are not much larger than their arguments


@cache
def _functions() -> Mapping[str, Callable[..., Any]]:
    """Functions of many digits, by name."""
    m = _digits()

    def sign(x: Any) -> Any:
        return m.mpf((x > 0) - (x < 0))

    def gelu_tanh(x: Any) -> Any:
        cubic = m.mpf(44715) / 1000000
        return x / 2 * (1 + m.tanh(m.sqrt(2 / m.pi) * (x + cubic * x**3)))

    names = "exp expm1 log log1p sqrt sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh hypot erf erfc gamma floor ceil"
    return {
        **{name: getattr(m, name) for name in names.split()},
        "pow": m.power,
        "recip": lambda x: 1 / x,
        "cbrt": lambda x: sign(x) * m.cbrt(abs(x)),
        "lgamma": lambda x: m.re(m.loggamma(x)),
        "polygamma": lambda k, x: m.psi(int(k), x),
        "sigmoid": lambda x: 1 / (1 + m.exp(-x)),
        "softplus": lambda x: m.log1p(m.exp(x)),
        "gelu": lambda x: x / 2 * m.erfc(-x / m.sqrt(2)),
        "gelu_tanh": gelu_tanh,
        "abs": abs,
        "abs2": lambda x: x * x,
        "sign": sign,
        "round": m.nint,
        "mod": lambda a, b: a - b * m.floor(a / b),
        "floordiv": lambda a, b: m.floor(a / b),
        "min2": min,
        "max2": max,
        "relu": lambda x: max(x, 0),
        "heaviside": lambda x: (1 + sign(x)) / 2,
        "eq": lambda a, b: int(a == b),
        "ne": lambda a, b: int(a != b),
        "lt": lambda a, b: int(a < b),
        "le": lambda a, b: int(a <= b),
        "gt": lambda a, b: int(a > b),
        "ge": lambda a, b: int(a >= b),
    }
