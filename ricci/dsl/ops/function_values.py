"""What the declarations of scalar functions are made of: rules for kinds, numpy meanings, exact values at rationals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import inf, isqrt
from typing import Any

from ricci.dsl.ops.const import Number
from ricci.dsl.term import TermError
from ricci.dsl.types import Kind

# type rules


def analytic(kinds: Sequence[Kind]) -> Kind:
    """Numbers to real, or complex if one is complex."""
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return max(Kind.REAL, *kinds)


def real(kinds: Sequence[Kind]) -> Kind:
    """Int and real to real."""
    if Kind.BOOL in kinds or Kind.COMPLEX in kinds:
        raise TermError("takes real numbers")
    return Kind.REAL


def ordered(kinds: Sequence[Kind]) -> Kind:
    """Int and real, kind kept."""
    real(kinds)
    return max(kinds)


def magnitude(kinds: Sequence[Kind]) -> Kind:
    """Numbers; complex to real, others kept."""
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return min(kinds[0], Kind.REAL)


def number(kinds: Sequence[Kind]) -> Kind:
    """Numbers, kind kept."""
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return max(kinds)


def same_sort(kinds: Sequence[Kind]) -> Kind:
    """Two truth values or two numbers, to bool."""
    if (kinds[0] == Kind.BOOL) != (kinds[1] == Kind.BOOL):
        raise TermError("compares a truth value with a number")
    return Kind.BOOL


def compared(kinds: Sequence[Kind]) -> Kind:
    """Real numbers to bool."""
    real(kinds)
    return Kind.BOOL


def logic(kinds: Sequence[Kind]) -> Kind:
    if max(kinds) != Kind.BOOL:
        raise TermError("takes truth values")
    return Kind.BOOL


def choice(kinds: Sequence[Kind]) -> Kind:
    """(bool, a, b): a and b both truth values or both numbers."""
    if kinds[0] != Kind.BOOL or (kinds[1] == Kind.BOOL) != (kinds[2] == Kind.BOOL):
        raise TermError("takes a truth value and two values of one sort")
    return max(kinds[1:])


def argument(kinds: Sequence[Kind]) -> Kind:
    number(kinds)
    return Kind.REAL


def pair(kinds: Sequence[Kind]) -> Kind:
    real(kinds)
    return Kind.COMPLEX


def tested(kinds: Sequence[Kind]) -> Kind:
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return Kind.BOOL


# numpy meanings


def from_numpy(name: str) -> Callable[..., Any]:
    def meaning(*args: Any) -> Any:
        import numpy as np

        return getattr(np, name)(*args)

    return meaning


def from_scipy(name: str) -> Callable[..., Any]:
    def meaning(*args: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return meaning


def as_float(x: Any) -> Any:
    return x if x.dtype.kind in "fc" else x.astype("float64")


def sigmoid_value(x: Any) -> Any:
    import numpy as np

    return 1.0 / (1.0 + np.exp(-as_float(x)))


def softplus_value(x: Any) -> Any:
    import numpy as np

    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu_value(x: Any) -> Any:
    import scipy.special

    return 0.5 * x * scipy.special.erfc(-x * 0.5**0.5)


def gelu_tanh_value(x: Any) -> Any:
    import numpy as np

    x = as_float(x)
    return 0.5 * x * (1.0 + np.tanh((2.0 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def pow_value(x: Any, p: Any) -> Any:
    import numpy as np

    return np.power(as_float(x), as_float(p))


def complex_value(a: Any, b: Any) -> Any:
    return a + 1j * b


# exact values


def at_points(
    zero: Number | None = None, one: Number | None = None, minus_inf: Number | None = None, plus_inf: Number | None = None
) -> Callable[..., Number | None]:
    """Values at single points, the others unknown."""
    points: dict[Number, Number | None] = {Fraction(0): zero, Fraction(1): one, -inf: minus_inf, inf: plus_inf}
    table: dict[Number, Number] = {}
    for point, value in points.items():
        if value is not None:
            table[point] = value if isinstance(value, float) else Fraction(value)
    return lambda x: table.get(x)


def sqrt_exact(x: Number) -> Number | None:
    if isinstance(x, float) or x < 0:
        return inf if x == inf else None
    p, q = isqrt(x.numerator), isqrt(x.denominator)
    return Fraction(p, q) if p * p == x.numerator and q * q == x.denominator else None


def cbrt_exact(x: Number) -> Number | None:
    if isinstance(x, float):
        return x
    p, q = round(abs(x.numerator) ** (1 / 3)) if abs(x.numerator) < 2**50 else 0, round(x.denominator ** (1 / 3))
    root = Fraction(p if x > 0 else -p, max(q, 1))
    return root if root**3 == x else None


def pow_exact(x: Number, p: Number) -> Number | None:
    if isinstance(x, float) or isinstance(p, float) or p.denominator != 1 or abs(p) > 64 or (x == 0 and p < 0):
        return None
    return Fraction(x ** int(p))


def sign_exact(x: Number) -> Number:
    return Fraction((x > 0) - (x < 0))


def where_finite(f: Callable[..., int | Fraction]) -> Callable[..., Number | None]:
    """f where all arguments are finite and f is defined."""

    def value(*args: Number) -> Number | None:
        if any(isinstance(a, float) for a in args):
            return None
        try:
            return Fraction(f(*args))
        except ZeroDivisionError:
            return None

    return value


def truth(f: Callable[..., bool]) -> Callable[..., Number]:
    return lambda *args: Fraction(f(*args))


def recip_exact(x: Number) -> Number | None:
    if isinstance(x, float):
        return Fraction(0)
    return 1 / x if x else None
