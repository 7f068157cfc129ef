"""The scalar functions, each declared once: type rule, numpy meaning, derivative, spelling in generated code, algebra facts.

Derivatives are terms; a partial receives the arguments and the value, `lambda x, y: ...` for y = f(x). Functions without
partials (choices, and those that are not complex differentiable) have their rules in `directional.py`. `python` is the
spelling for bool, int and real arguments in generated code (`math`, `cmath` and `np` are in scope there; an argument stands
in parentheses or is a name and may occur twice), `python_complex` the one for complex arguments; an empty spelling means that
a target without a library for it cannot run the function. `safe` names an argument and a value of it where function and
derivative are finite. `exact` gives the value at rationals (and infinities) where it is
rational, else None. Types and the normal form of a `map` node are in `scalar.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf, isqrt
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops.const import Number
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind

Partial = Callable[..., Term | None]
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Interval:
    """lo..hi; an end that is `open` does not belong to it."""

    lo: float = -inf
    hi: float = inf
    open_lo: bool = False
    open_hi: bool = False


REALS = Interval()
POSITIVE = Interval(0.0, inf, open_lo=True)
NOT_NEGATIVE = Interval(0.0, inf)
UNIT = Interval(-1.0, 1.0)


@dataclass(frozen=True)
class Scalar:
    """One function of scalars.

    facts: even, odd (of one argument); increasing, decreasing (weakly, where defined); commutative, associative, idempotent;
    positive (value > 0); finite (for every finite argument); analytic (complex differentiable, f(conj z) = conj f(z));
    homogeneous (f(c t) = c f(t) for rational c); flat (the derivative is zero almost everywhere);
    pole (not defined where the argument, of a quotient the divisor, is zero).
    """

    name: str
    kinds: Callable[[Sequence[Kind]], Kind]
    numpy: Callable[..., Any]
    python: str
    partials: tuple[Partial, ...] = ()
    python_complex: str = ""
    exact: Callable[..., Number | None] | None = None
    domain: Interval = REALS
    range: Interval = REALS
    facts: frozenset[str] = frozenset()
    arity: int = 1
    safe: tuple[int, int] | None = None  # (argument, value there) with finite value and derivative; None: nothing to avoid


SCALARS: dict[str, Scalar] = {}


def _declare(
    name: str,
    kinds: Callable[[Sequence[Kind]], Kind],
    numpy: Callable[..., Any],
    python: str,
    partials: tuple[Partial, ...] = (),
    *,
    arity: int = 1,
    python_complex: str = "",
    exact: Callable[..., Number | None] | None = None,
    domain: Interval = REALS,
    range: Interval = REALS,
    facts: str = "",
    safe: tuple[int, int] | None = None,
) -> None:
    if name in SCALARS:
        raise ValueError(f"{name} is declared twice")
    SCALARS[name] = Scalar(
        name, kinds, numpy, python, partials, python_complex, exact, domain, range, frozenset(facts.split()), arity, safe
    )


# type rules


def _analytic(kinds: Sequence[Kind]) -> Kind:
    """Numbers to real, or complex if one is complex."""
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return max(Kind.REAL, *kinds)


def _real(kinds: Sequence[Kind]) -> Kind:
    """Int and real to real."""
    if Kind.BOOL in kinds or Kind.COMPLEX in kinds:
        raise TermError("takes real numbers")
    return Kind.REAL


def _ordered(kinds: Sequence[Kind]) -> Kind:
    """Int and real, kind kept."""
    _real(kinds)
    return max(kinds)


def _magnitude(kinds: Sequence[Kind]) -> Kind:
    """Numbers; complex to real, others kept."""
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return min(kinds[0], Kind.REAL)


def _number(kinds: Sequence[Kind]) -> Kind:
    """Numbers, kind kept."""
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return max(kinds)


def _same(kinds: Sequence[Kind]) -> Kind:
    """Two truth values or two numbers, to bool."""
    if (kinds[0] == Kind.BOOL) != (kinds[1] == Kind.BOOL):
        raise TermError("compares a truth value with a number")
    return Kind.BOOL


def _compare(kinds: Sequence[Kind]) -> Kind:
    """Real numbers to bool."""
    _real(kinds)
    return Kind.BOOL


def _logic(kinds: Sequence[Kind]) -> Kind:
    if max(kinds) != Kind.BOOL:
        raise TermError("takes truth values")
    return Kind.BOOL


def _choice(kinds: Sequence[Kind]) -> Kind:
    """(bool, a, b): a and b both truth values or both numbers."""
    if kinds[0] != Kind.BOOL or (kinds[1] == Kind.BOOL) != (kinds[2] == Kind.BOOL):
        raise TermError("takes a truth value and two values of one sort")
    return max(kinds[1:])


def _argument(kinds: Sequence[Kind]) -> Kind:
    _number(kinds)
    return Kind.REAL


def _pair(kinds: Sequence[Kind]) -> Kind:
    _real(kinds)
    return Kind.COMPLEX


def _test(kinds: Sequence[Kind]) -> Kind:
    if Kind.BOOL in kinds:
        raise TermError("takes numbers, not truth values")
    return Kind.BOOL


# numpy meanings


def _np(name: str) -> Callable[..., Any]:
    def meaning(*args: Any) -> Any:
        import numpy as np

        return getattr(np, name)(*args)

    return meaning


def _special(name: str) -> Callable[..., Any]:
    def meaning(*args: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*args)

    return meaning


def _float(x: Any) -> Any:
    return x if x.dtype.kind in "fc" else x.astype("float64")


def _sigmoid(x: Any) -> Any:
    import numpy as np

    return 1.0 / (1.0 + np.exp(-_float(x)))


def _softplus(x: Any) -> Any:
    import numpy as np

    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _gelu(x: Any) -> Any:
    import scipy.special

    return 0.5 * x * scipy.special.erfc(-x * 0.5**0.5)


def _gelu_tanh(x: Any) -> Any:
    import numpy as np

    x = _float(x)
    return 0.5 * x * (1.0 + np.tanh((2.0 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def _pow(x: Any, p: Any) -> Any:
    import numpy as np

    return np.power(_float(x), _float(p))


def _complex(a: Any, b: Any) -> Any:
    return a + 1j * b


# exact values


def _at(**points: int | Fraction | float) -> Callable[..., Number | None]:
    """Values at single points: zero=..., one=..., minus_inf=..., plus_inf=..."""
    names: dict[str, Number] = {"zero": Fraction(0), "one": Fraction(1), "minus_inf": -inf, "plus_inf": inf}
    table: dict[Number, Number] = {}
    for name, value in points.items():
        table[names[name]] = value if isinstance(value, float) else Fraction(value)
    return lambda x: table.get(x)


def _sqrt_exact(x: Number) -> Number | None:
    if isinstance(x, float) or x < 0:
        return inf if x == inf else None
    p, q = isqrt(x.numerator), isqrt(x.denominator)
    return Fraction(p, q) if p * p == x.numerator and q * q == x.denominator else None


def _cbrt_exact(x: Number) -> Number | None:
    if isinstance(x, float):
        return x
    p, q = round(abs(x.numerator) ** (1 / 3)) if abs(x.numerator) < 2**50 else 0, round(x.denominator ** (1 / 3))
    root = Fraction(p if x > 0 else -p, max(q, 1))
    return root if root**3 == x else None


def _pow_exact(x: Number, p: Number) -> Number | None:
    if isinstance(x, float) or isinstance(p, float) or p.denominator != 1 or abs(p) > 64 or (x == 0 and p < 0):
        return None
    return Fraction(x ** int(p))


def _sign_exact(x: Number) -> Number:
    return Fraction((x > 0) - (x < 0))


def _finite_exact(f: Callable[..., int | Fraction]) -> Callable[..., Number | None]:
    """f where all arguments are finite and f is defined."""

    def value(*args: Number) -> Number | None:
        if any(isinstance(a, float) for a in args):
            return None
        try:
            return Fraction(f(*args))
        except ZeroDivisionError:
            return None

    return value


def _truth(f: Callable[..., bool]) -> Callable[..., Number]:
    return lambda *args: Fraction(f(*args))


def _recip_exact(x: Number) -> Number | None:
    if isinstance(x, float):
        return Fraction(0)
    return 1 / x if x else None


# derivatives


def _f(name: str, *args: Term) -> Term:
    return build.apply(name, *args)


def _number_term(value: int | Fraction) -> Term:
    return build.const(value)


def _recip(t: Term) -> Term:
    return _f("recip", t)


def _minus(t: Term) -> Term:
    return build.scale(-1, t)


def _one_minus(t: Term) -> Term:
    return build.sub(_number_term(1), t)


def _one_plus(t: Term) -> Term:
    return build.add(_number_term(1), t)


def _gauss(x: Term, scale: Fraction) -> Term:
    """exp(-scale x^2) / sqrt(pi)"""
    return build.mul(_f("exp", build.scale(-scale, build.mul(x, x))), _recip(_f("sqrt", build.pi())))


def _gelu_partial(x: Term, y: Term) -> Term:
    normal = build.scale(HALF, _f("erfc", _minus(build.mul(x, _recip(_f("sqrt", _number_term(2)))))))
    return build.add(normal, build.mul(x, _gauss(x, HALF), _recip(_f("sqrt", _number_term(2)))))


def _gelu_tanh_partial(x: Term, y: Term) -> Term:
    cubic = Fraction(44715, 1000000)
    c = _f("sqrt", build.scale(2, _recip(build.pi())))
    square = build.mul(x, x)
    t = _f("tanh", build.mul(c, x, build.add(_number_term(1), build.scale(cubic, square))))
    slope = build.mul(c, build.add(_number_term(1), build.scale(3 * cubic, square)))
    return build.scale(HALF, build.add(_number_term(1), t, build.mul(x, _one_minus(build.mul(t, t)), slope)))


def _pow_exponent(x: Term, p: Term, y: Term) -> Term:
    """x^p log x, zero where x = 0 (p > 0 there)."""
    safe = _f("where", _f("eq", x, _number_term(0)), _number_term(1), x)
    return build.mul(y, _f("log", safe))


def _sum_of_squares(x: Term, y: Term) -> Term:
    return build.add(build.mul(x, x), build.mul(y, y))


FLAT: Partial = lambda *args: None  # noqa: E731

# exponentials, logarithms, powers

_declare(
    "exp", _analytic, _np("exp"), "math.exp({0})", (lambda x, y: y,), python_complex="cmath.exp({0})",
    exact=_at(zero=1, minus_inf=0, plus_inf=inf), range=POSITIVE, facts="increasing positive analytic",
)  # fmt: skip
_declare(
    "expm1", _analytic, _np("expm1"), "math.expm1({0})", (lambda x, y: _one_plus(y),), python_complex="(cmath.exp({0}) - 1.0)",
    exact=_at(zero=0, minus_inf=-1, plus_inf=inf), range=Interval(-1.0, inf), facts="increasing analytic",
)  # fmt: skip
_declare(
    "log", _analytic, _np("log"), "math.log({0})", (lambda x, y: _recip(x),), python_complex="cmath.log({0})",
    exact=_at(one=0, zero=-inf, plus_inf=inf), domain=POSITIVE, facts="increasing analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "log1p", _analytic, _np("log1p"), "math.log1p({0})", (lambda x, y: _recip(_one_plus(x)),),
    python_complex="cmath.log(1.0 + {0})", exact=_at(zero=0, plus_inf=inf), domain=Interval(-1.0, inf, open_lo=True),
    facts="increasing analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "sqrt", _analytic, _np("sqrt"), "math.sqrt({0})", (lambda x, y: build.scale(HALF, _recip(y)),),
    python_complex="cmath.sqrt({0})", exact=_sqrt_exact, domain=NOT_NEGATIVE, range=NOT_NEGATIVE, facts="increasing analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "cbrt", _real, _np("cbrt"), "np.cbrt({0})", (lambda x, y: build.scale(Fraction(1, 3), _recip(build.mul(y, y))),),
    exact=_cbrt_exact, facts="increasing odd finite", safe=(0, 1),
)  # fmt: skip
_declare(
    "pow", _analytic, _pow, "({0} ** {1})",
    (lambda x, p, y: build.mul(p, build.power(x, build.sub(p, _number_term(1)))), _pow_exponent),
    python_complex="({0} ** {1})", exact=_pow_exact, arity=2, facts="analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "recip", _analytic, lambda x: 1.0 / _float(x), "(1.0 / {0})", (lambda x, y: _minus(build.mul(y, y)),),
    python_complex="(1.0 / {0})", exact=_recip_exact, facts="odd analytic pole", safe=(0, 1),
)  # fmt: skip
_declare(
    "hypot", _real, _np("hypot"), "math.hypot({0}, {1})",
    (lambda a, b, y: build.mul(a, _recip(y)), lambda a, b, y: build.mul(b, _recip(y))),
    arity=2, exact=lambda a, b: _sqrt_exact(a * a + b * b), range=NOT_NEGATIVE, facts="commutative", safe=(0, 1),
)  # fmt: skip

# circular and hyperbolic functions

_declare(
    "sin", _analytic, _np("sin"), "math.sin({0})", (lambda x, y: _f("cos", x),), python_complex="cmath.sin({0})",
    exact=_at(zero=0), range=UNIT, facts="odd finite analytic",
)  # fmt: skip
_declare(
    "cos", _analytic, _np("cos"), "math.cos({0})", (lambda x, y: _minus(_f("sin", x)),), python_complex="cmath.cos({0})",
    exact=_at(zero=1), range=UNIT, facts="even finite analytic",
)  # fmt: skip
_declare(
    "tan", _analytic, _np("tan"), "math.tan({0})", (lambda x, y: _one_plus(build.mul(y, y)),), python_complex="cmath.tan({0})",
    exact=_at(zero=0), facts="odd analytic",
)  # fmt: skip
_declare(
    "asin", _analytic, _np("arcsin"), "math.asin({0})", (lambda x, y: _recip(_f("sqrt", _one_minus(build.mul(x, x)))),),
    python_complex="cmath.asin({0})", exact=_at(zero=0), domain=UNIT, range=Interval(-1.5708, 1.5708),
    facts="odd increasing finite analytic", safe=(0, 0),
)  # fmt: skip
_declare(
    "acos", _analytic, _np("arccos"), "math.acos({0})", (lambda x, y: _minus(_recip(_f("sqrt", _one_minus(build.mul(x, x))))),),
    python_complex="cmath.acos({0})", exact=_at(one=0), domain=UNIT, range=Interval(0.0, 3.1416),
    facts="decreasing finite analytic", safe=(0, 0),
)  # fmt: skip
_declare(
    "atan", _analytic, _np("arctan"), "math.atan({0})", (lambda x, y: _recip(_one_plus(build.mul(x, x))),),
    python_complex="cmath.atan({0})", exact=_at(zero=0), range=Interval(-1.5708, 1.5708), facts="odd increasing finite analytic",
)  # fmt: skip
_declare(
    "atan2", _real, _np("arctan2"), "math.atan2({0}, {1})",
    (
        lambda a, b, y: build.mul(b, _recip(_sum_of_squares(a, b))),
        lambda a, b, y: _minus(build.mul(a, _recip(_sum_of_squares(a, b)))),
    ),
    arity=2, range=Interval(-3.1416, 3.1416), facts="finite", safe=(1, 1),
)  # fmt: skip
_declare(
    "sinh", _analytic, _np("sinh"), "math.sinh({0})", (lambda x, y: _f("cosh", x),), python_complex="cmath.sinh({0})",
    exact=_at(zero=0), facts="odd increasing analytic",
)  # fmt: skip
_declare(
    "cosh", _analytic, _np("cosh"), "math.cosh({0})", (lambda x, y: _f("sinh", x),), python_complex="cmath.cosh({0})",
    exact=_at(zero=1), range=Interval(1.0, inf), facts="even positive analytic",
)  # fmt: skip
_declare(
    "tanh", _analytic, _np("tanh"), "math.tanh({0})", (lambda x, y: _one_minus(build.mul(y, y)),), python_complex="cmath.tanh({0})",
    exact=_at(zero=0, plus_inf=1, minus_inf=-1), range=UNIT, facts="odd increasing finite analytic",
)  # fmt: skip
_declare(
    "asinh", _analytic, _np("arcsinh"), "math.asinh({0})", (lambda x, y: _recip(_f("sqrt", _one_plus(build.mul(x, x)))),),
    python_complex="cmath.asinh({0})", exact=_at(zero=0), facts="odd increasing finite analytic",
)  # fmt: skip
_declare(
    "acosh", _analytic, _np("arccosh"), "math.acosh({0})",
    (lambda x, y: _recip(build.mul(_f("sqrt", build.sub(x, _number_term(1))), _f("sqrt", _one_plus(x)))),),
    python_complex="cmath.acosh({0})", exact=_at(one=0), domain=Interval(1.0, inf), range=NOT_NEGATIVE,
    facts="increasing finite analytic", safe=(0, 2),
)  # fmt: skip
_declare(
    "atanh", _analytic, _np("arctanh"), "math.atanh({0})", (lambda x, y: _recip(_one_minus(build.mul(x, x))),),
    python_complex="cmath.atanh({0})", exact=_at(zero=0), domain=Interval(-1.0, 1.0, open_lo=True, open_hi=True),
    facts="odd increasing analytic", safe=(0, 0),
)  # fmt: skip

# special functions

_declare(
    "erf", _real, _special("erf"), "math.erf({0})", (lambda x, y: build.scale(2, _gauss(x, Fraction(1))),),
    exact=_at(zero=0, plus_inf=1, minus_inf=-1), range=UNIT, facts="odd increasing finite",
)  # fmt: skip
_declare(
    "erfc", _real, _special("erfc"), "math.erfc({0})", (lambda x, y: build.scale(-2, _gauss(x, Fraction(1))),),
    exact=_at(zero=1, plus_inf=0, minus_inf=2), range=Interval(0.0, 2.0), facts="decreasing finite",
)  # fmt: skip
_declare(
    "gamma", _real, _special("gamma"), "math.gamma({0})",
    (lambda x, y: build.mul(y, _f("polygamma", _number_term(0), x)),), exact=_at(one=1), facts="pole", safe=(0, 1),
)  # fmt: skip
_declare(
    "lgamma", _real, _special("gammaln"), "math.lgamma({0})", (lambda x, y: _f("polygamma", _number_term(0), x),),
    exact=_at(one=0), facts="pole", safe=(0, 1),
)  # fmt: skip
_declare(
    "polygamma", _real, _special("polygamma"), "",
    (FLAT, lambda k, x, y: _f("polygamma", build.add(k, _number_term(1)), x)), arity=2, facts="pole", safe=(1, 1),
)  # fmt: skip
_declare(
    "sigmoid", _real, _sigmoid, "(1.0 / (1.0 + math.exp(-{0})))", (lambda x, y: build.mul(y, _one_minus(y)),),
    exact=_at(zero=HALF, plus_inf=1, minus_inf=0), range=Interval(0.0, 1.0), facts="increasing positive finite",
)  # fmt: skip
_declare(
    "softplus", _real, _softplus, "(math.log1p(math.exp(-abs({0}))) + (0.0 if {0} < 0.0 else {0}))",
    (lambda x, y: _f("sigmoid", x),), exact=_at(minus_inf=0, plus_inf=inf), range=NOT_NEGATIVE, facts="increasing positive finite",
)  # fmt: skip
_declare(
    "gelu", _real, _gelu, "(0.5 * {0} * math.erfc(-0.7071067811865476 * {0}))", (_gelu_partial,), exact=_at(zero=0), facts="finite",
)  # fmt: skip
_declare(
    "gelu_tanh", _real, _gelu_tanh,
    "(0.5 * {0} * (1.0 + math.tanh(0.7978845608028654 * ({0} + 0.044715 * {0} * {0} * {0}))))", (_gelu_tanh_partial,),
    exact=_at(zero=0), facts="finite",
)  # fmt: skip

# piecewise functions

_declare(
    "abs", _magnitude, _np("abs"), "abs({0})", (lambda x, y: _f("sign", x),), python_complex="abs({0})", exact=abs,
    range=NOT_NEGATIVE, facts="even finite idempotent",
)  # fmt: skip
_declare(
    "sign", _ordered, _np("sign"), "np.sign({0})", (FLAT,), exact=_sign_exact, range=UNIT,
    facts="odd increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "floor", _ordered, _np("floor"), "np.floor({0})", (FLAT,), exact=_finite_exact(floor),
    facts="increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "ceil", _ordered, _np("ceil"), "np.ceil({0})", (FLAT,), exact=_finite_exact(ceil), facts="increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "round", _ordered, _np("rint"), "np.rint({0})", (FLAT,), exact=_finite_exact(round),
    facts="odd increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "mod", _ordered, _np("mod"), "({0} % {1})", (lambda a, b, y: _number_term(1), lambda a, b, y: _minus(_f("floordiv", a, b))),
    arity=2, exact=_finite_exact(lambda a, b: a % b), facts="pole", safe=(1, 1),
)  # fmt: skip
_declare(
    "floordiv", _ordered, _np("floor_divide"), "({0} // {1})", (FLAT, FLAT), arity=2, exact=_finite_exact(lambda a, b: a // b),
    facts="pole flat",
)  # fmt: skip
_declare(
    "min2", _ordered, _np("minimum"), "({0} if {0} < {1} or {0} != {0} else {1})",
    arity=2, exact=min,
    facts="commutative associative idempotent increasing finite",
)  # fmt: skip
_declare(
    "max2", _ordered, _np("maximum"), "({0} if {0} > {1} or {0} != {0} else {1})",
    arity=2, exact=max,
    facts="commutative associative idempotent increasing finite",
)  # fmt: skip
_declare(
    "relu", _ordered, lambda x: _np("maximum")(x, 0), "(0.0 if {0} < 0.0 else {0})",
    exact=lambda x: max(Fraction(0), x), range=NOT_NEGATIVE,
    facts="increasing finite idempotent",
)  # fmt: skip
_declare(
    "heaviside", _real, lambda x: _np("heaviside")(x, 0.5), "(0.5 + 0.5 * np.sign({0}))", (FLAT,),
    exact=lambda x: (1 + _sign_exact(x)) / 2, range=Interval(0.0, 1.0), facts="increasing finite flat",
)  # fmt: skip

# comparisons, logic, choice

_declare(
    "eq", _same, _np("equal"), "({0} == {1})", (FLAT, FLAT), python_complex="({0} == {1})", arity=2,
    exact=_truth(lambda a, b: a == b), facts="commutative flat",
)  # fmt: skip
_declare(
    "ne", _same, _np("not_equal"), "({0} != {1})", (FLAT, FLAT), python_complex="({0} != {1})", arity=2,
    exact=_truth(lambda a, b: a != b), facts="commutative flat",
)  # fmt: skip
_declare("lt", _compare, _np("less"), "({0} < {1})", (FLAT, FLAT), arity=2, exact=_truth(lambda a, b: a < b), facts="flat")
_declare("le", _compare, _np("less_equal"), "({0} <= {1})", (FLAT, FLAT), arity=2, exact=_truth(lambda a, b: a <= b), facts="flat")
_declare("gt", _compare, _np("greater"), "({0} > {1})", (FLAT, FLAT), arity=2, exact=_truth(lambda a, b: a > b), facts="flat")
_declare("ge", _compare, _np("greater_equal"), "({0} >= {1})", (FLAT, FLAT), arity=2, exact=_truth(lambda a, b: a >= b), facts="flat")
_declare(
    "and", _logic, _np("logical_and"), "({0} and {1})", (FLAT, FLAT), arity=2, exact=lambda a, b: a * b,
    facts="commutative associative idempotent flat",
)  # fmt: skip
_declare(
    "or", _logic, _np("logical_or"), "({0} or {1})", (FLAT, FLAT), arity=2, exact=max,
    facts="commutative associative idempotent flat",
)  # fmt: skip
_declare(
    "xor", _logic, _np("logical_xor"), "({0} != {1})", (FLAT, FLAT), arity=2, exact=_truth(lambda a, b: a != b),
    facts="commutative associative flat",
)  # fmt: skip
_declare("not", _logic, _np("logical_not"), "(not {0})", (FLAT,), exact=lambda a: 1 - a, facts="flat")
_declare(
    "where", _choice, _np("where"), "({1} if {0} else {2})", python_complex="({1} if {0} else {2})", arity=3,
)  # fmt: skip
_declare("isfinite", _test, _np("isfinite"), "math.isfinite({0})", (FLAT,), python_complex="cmath.isfinite({0})", facts="flat")

# parentheses that sums and products respect

_declare(
    "group", _number, lambda x: x, "{0}", (lambda x, y: _number_term(1),), python_complex="{0}", exact=lambda a: a,
    facts="increasing finite analytic",
)  # fmt: skip

# complex numbers

_declare("re", _magnitude, _np("real"), "{0}", python_complex="{0}.real", facts="homogeneous finite")
_declare("im", _magnitude, _np("imag"), "(0.0 * {0})", python_complex="{0}.imag", facts="homogeneous finite")
_declare("conj", _number, _np("conj"), "{0}", python_complex="{0}.conjugate()", facts="homogeneous finite")
_declare(
    "arg", _argument, _np("angle"), "(3.141592653589793 if {0} < 0 else 0.0)", python_complex="cmath.phase({0})",
    range=Interval(-3.1416, 3.1416), facts="finite",
)  # fmt: skip
_declare(
    "abs2", _magnitude, lambda x: x.real**2 + x.imag**2, "({0} * {0})",
    python_complex="({0}.real * {0}.real + {0}.imag * {0}.imag)", range=NOT_NEGATIVE, facts="even",
)  # fmt: skip
_declare("complex", _pair, _complex, "complex({0}, {1})", arity=2, facts="finite")
