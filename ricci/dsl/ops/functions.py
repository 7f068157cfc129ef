"""The scalar functions, each declared once: type rule, numpy meaning, derivative, spelling in generated code, algebra facts.

Derivatives are terms; a partial receives the arguments and the value, `lambda x, y: ...` for y = f(x). Functions without
partials (choices, and those that are not complex differentiable) have their rules in `directional.py`. `python` is the
spelling for bool, int and real arguments in generated code (`math`, `cmath`, `np`, `complexes` are in scope there; an argument stands
in parentheses or is a name and may occur twice), `python_complex` the one for complex arguments; an empty spelling means that
a target without a library for it cannot run the function. `safe` names an argument and a value of it where function and
derivative are finite. `exact` gives the value at rationals (and infinities) where it is
rational, else None. Types and the normal form of a `map` node are in `scalar.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops.const import Number
from ricci.dsl.ops.function_values import (
    analytic,
    argument,
    as_float,
    at_points,
    cbrt_exact,
    choice,
    compared,
    complex_value,
    from_numpy,
    from_scipy,
    gelu_tanh_value,
    gelu_value,
    logic,
    magnitude,
    number,
    ordered,
    pair,
    pow_exact,
    pow_value,
    real,
    recip_exact,
    same_sort,
    sigmoid_value,
    sign_exact,
    softplus_value,
    sqrt_exact,
    tested,
    truth,
    where_finite,
)
from ricci.dsl.term import Term
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
    "exp", analytic, from_numpy("exp"), "math.exp({0})", (lambda x, y: y,), python_complex="complexes.exponential({0})",
    exact=at_points(zero=1, minus_inf=0, plus_inf=inf), range=POSITIVE, facts="increasing positive analytic",
)  # fmt: skip
_declare(
    "expm1", analytic, from_numpy("expm1"), "math.expm1({0})", (lambda x, y: _one_plus(y),), python_complex="complexes.exponential_minus_one({0})",
    exact=at_points(zero=0, minus_inf=-1, plus_inf=inf), range=Interval(-1.0, inf), facts="increasing analytic",
)  # fmt: skip
_declare(
    "log", analytic, from_numpy("log"), "math.log({0})", (lambda x, y: _recip(x),), python_complex="cmath.log({0})",
    exact=at_points(one=0, zero=-inf, plus_inf=inf), domain=POSITIVE, facts="increasing analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "log1p", analytic, from_numpy("log1p"), "math.log1p({0})", (lambda x, y: _recip(_one_plus(x)),),
    python_complex="cmath.log(1.0 + {0})", exact=at_points(zero=0, plus_inf=inf), domain=Interval(-1.0, inf, open_lo=True),
    facts="increasing analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "sqrt", analytic, from_numpy("sqrt"), "math.sqrt({0})", (lambda x, y: build.scale(HALF, _recip(y)),),
    python_complex="cmath.sqrt({0})", exact=sqrt_exact, domain=NOT_NEGATIVE, range=NOT_NEGATIVE, facts="increasing analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "cbrt", real, from_numpy("cbrt"), "np.cbrt({0})", (lambda x, y: build.scale(Fraction(1, 3), _recip(build.mul(y, y))),),
    exact=cbrt_exact, facts="increasing odd finite", safe=(0, 1),
)  # fmt: skip
_declare(
    "pow", analytic, pow_value, "({0} ** {1})",
    (lambda x, p, y: build.mul(p, build.power(x, build.sub(p, _number_term(1)))), _pow_exponent),
    python_complex="complexes.power({0}, {1})", exact=pow_exact, arity=2, facts="analytic", safe=(0, 1),
)  # fmt: skip
_declare(
    "recip", analytic, lambda x: 1.0 / as_float(x), "(1.0 / {0})", (lambda x, y: _minus(build.mul(y, y)),),
    python_complex="complexes.reciprocal({0})", exact=recip_exact, facts="odd analytic pole", safe=(0, 1),
)  # fmt: skip
_declare(
    "hypot", real, from_numpy("hypot"), "math.hypot({0}, {1})",
    (lambda a, b, y: build.mul(a, _recip(y)), lambda a, b, y: build.mul(b, _recip(y))),
    arity=2, exact=lambda a, b: sqrt_exact(a * a + b * b), range=NOT_NEGATIVE, facts="commutative", safe=(0, 1),
)  # fmt: skip

# circular and hyperbolic functions

_declare(
    "sin", analytic, from_numpy("sin"), "math.sin({0})", (lambda x, y: _f("cos", x),), python_complex="complexes.sine({0})",
    exact=at_points(zero=0), range=UNIT, facts="odd finite analytic",
)  # fmt: skip
_declare(
    "cos", analytic, from_numpy("cos"), "math.cos({0})", (lambda x, y: _minus(_f("sin", x)),), python_complex="complexes.cosine({0})",
    exact=at_points(zero=1), range=UNIT, facts="even finite analytic",
)  # fmt: skip
_declare(
    "tan", analytic, from_numpy("tan"), "math.tan({0})", (lambda x, y: _one_plus(build.mul(y, y)),), python_complex="cmath.tan({0})",
    exact=at_points(zero=0), facts="odd analytic",
)  # fmt: skip
_declare(
    "asin", analytic, from_numpy("arcsin"), "math.asin({0})", (lambda x, y: _recip(_f("sqrt", _one_minus(build.mul(x, x)))),),
    python_complex="cmath.asin({0})", exact=at_points(zero=0), domain=UNIT, range=Interval(-1.5708, 1.5708),
    facts="odd increasing finite analytic", safe=(0, 0),
)  # fmt: skip
_declare(
    "acos", analytic, from_numpy("arccos"), "math.acos({0})", (lambda x, y: _minus(_recip(_f("sqrt", _one_minus(build.mul(x, x))))),),
    python_complex="cmath.acos({0})", exact=at_points(one=0), domain=UNIT, range=Interval(0.0, 3.1416),
    facts="decreasing finite analytic", safe=(0, 0),
)  # fmt: skip
_declare(
    "atan", analytic, from_numpy("arctan"), "math.atan({0})", (lambda x, y: _recip(_one_plus(build.mul(x, x))),),
    python_complex="cmath.atan({0})", exact=at_points(zero=0), range=Interval(-1.5708, 1.5708), facts="odd increasing finite analytic",
)  # fmt: skip
_declare(
    "atan2", real, from_numpy("arctan2"), "math.atan2({0}, {1})",
    (
        lambda a, b, y: build.mul(b, _recip(_sum_of_squares(a, b))),
        lambda a, b, y: _minus(build.mul(a, _recip(_sum_of_squares(a, b)))),
    ),
    arity=2, range=Interval(-3.1416, 3.1416), facts="finite", safe=(1, 1),
)  # fmt: skip
_declare(
    "sinh", analytic, from_numpy("sinh"), "math.sinh({0})", (lambda x, y: _f("cosh", x),), python_complex="complexes.hyperbolic_sine({0})",
    exact=at_points(zero=0), facts="odd increasing analytic",
)  # fmt: skip
_declare(
    "cosh", analytic, from_numpy("cosh"), "math.cosh({0})", (lambda x, y: _f("sinh", x),), python_complex="complexes.hyperbolic_cosine({0})",
    exact=at_points(zero=1), range=Interval(1.0, inf), facts="even positive analytic",
)  # fmt: skip
_declare(
    "tanh", analytic, from_numpy("tanh"), "math.tanh({0})", (lambda x, y: _one_minus(build.mul(y, y)),), python_complex="cmath.tanh({0})",
    exact=at_points(zero=0, plus_inf=1, minus_inf=-1), range=UNIT, facts="odd increasing finite analytic",
)  # fmt: skip
_declare(
    "asinh", analytic, from_numpy("arcsinh"), "math.asinh({0})", (lambda x, y: _recip(_f("sqrt", _one_plus(build.mul(x, x)))),),
    python_complex="cmath.asinh({0})", exact=at_points(zero=0), facts="odd increasing finite analytic",
)  # fmt: skip
_declare(
    "acosh", analytic, from_numpy("arccosh"), "math.acosh({0})",
    (lambda x, y: _recip(build.mul(_f("sqrt", build.sub(x, _number_term(1))), _f("sqrt", _one_plus(x)))),),
    python_complex="cmath.acosh({0})", exact=at_points(one=0), domain=Interval(1.0, inf), range=NOT_NEGATIVE,
    facts="increasing finite analytic", safe=(0, 2),
)  # fmt: skip
_declare(
    "atanh", analytic, from_numpy("arctanh"), "math.atanh({0})", (lambda x, y: _recip(_one_minus(build.mul(x, x))),),
    python_complex="cmath.atanh({0})", exact=at_points(zero=0), domain=Interval(-1.0, 1.0, open_lo=True, open_hi=True),
    facts="odd increasing analytic", safe=(0, 0),
)  # fmt: skip

# special functions

_declare(
    "erf", real, from_scipy("erf"), "math.erf({0})", (lambda x, y: build.scale(2, _gauss(x, Fraction(1))),),
    exact=at_points(zero=0, plus_inf=1, minus_inf=-1), range=UNIT, facts="odd increasing finite",
)  # fmt: skip
_declare(
    "erfc", real, from_scipy("erfc"), "math.erfc({0})", (lambda x, y: build.scale(-2, _gauss(x, Fraction(1))),),
    exact=at_points(zero=1, plus_inf=0, minus_inf=2), range=Interval(0.0, 2.0), facts="decreasing finite",
)  # fmt: skip
_declare(
    "gamma", real, from_scipy("gamma"), "math.gamma({0})",
    (lambda x, y: build.mul(y, _f("polygamma", _number_term(0), x)),), exact=at_points(one=1), facts="pole", safe=(0, 1),
)  # fmt: skip
_declare(
    "lgamma", real, from_scipy("gammaln"), "math.lgamma({0})", (lambda x, y: _f("polygamma", _number_term(0), x),),
    exact=at_points(one=0), facts="pole", safe=(0, 1),
)  # fmt: skip
_declare(
    "polygamma", real, from_scipy("polygamma"), "",
    (FLAT, lambda k, x, y: _f("polygamma", build.add(k, _number_term(1)), x)), arity=2, facts="pole", safe=(1, 1),
)  # fmt: skip
_declare(
    "sigmoid", real, sigmoid_value, "(1.0 / (1.0 + math.exp(-{0})))", (lambda x, y: build.mul(y, _one_minus(y)),),
    exact=at_points(zero=HALF, plus_inf=1, minus_inf=0), range=Interval(0.0, 1.0), facts="increasing positive finite",
)  # fmt: skip
_declare(
    "softplus", real, softplus_value, "(math.log1p(math.exp(-abs({0}))) + (0.0 if {0} < 0.0 else {0}))",
    (lambda x, y: _f("sigmoid", x),), exact=at_points(minus_inf=0, plus_inf=inf), range=NOT_NEGATIVE, facts="increasing positive finite",
)  # fmt: skip
_declare(
    "gelu", real, gelu_value, "(0.5 * {0} * math.erfc(-0.7071067811865476 * {0}))", (_gelu_partial,),
    exact=at_points(zero=0), facts="finite",
)  # fmt: skip
_declare(
    "gelu_tanh", real, gelu_tanh_value,
    "(0.5 * {0} * (1.0 + math.tanh(0.7978845608028654 * ({0} + 0.044715 * {0} * {0} * {0}))))", (_gelu_tanh_partial,),
    exact=at_points(zero=0), facts="finite",
)  # fmt: skip

# piecewise functions

_declare(
    "abs", magnitude, from_numpy("abs"), "abs({0})", (lambda x, y: _f("sign", x),), python_complex="abs({0})", exact=abs,
    range=NOT_NEGATIVE, facts="even finite idempotent",
)  # fmt: skip
_declare(
    "sign", ordered, from_numpy("sign"), "np.sign({0})", (FLAT,), exact=sign_exact, range=UNIT,
    facts="odd increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "floor", ordered, from_numpy("floor"), "np.floor({0})", (FLAT,), exact=where_finite(floor),
    facts="increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "ceil", ordered, from_numpy("ceil"), "np.ceil({0})", (FLAT,), exact=where_finite(ceil), facts="increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "round", ordered, from_numpy("rint"), "np.rint({0})", (FLAT,), exact=where_finite(round),
    facts="odd increasing finite flat idempotent",
)  # fmt: skip
_declare(
    "mod", ordered, from_numpy("mod"), "({0} % {1})", (lambda a, b, y: _number_term(1), lambda a, b, y: _minus(_f("floordiv", a, b))),
    arity=2, exact=where_finite(lambda a, b: a % b), facts="pole", safe=(1, 1),
)  # fmt: skip
_declare(
    "floordiv", ordered, from_numpy("floor_divide"), "({0} // {1})", (FLAT, FLAT), arity=2, exact=where_finite(lambda a, b: a // b),
    facts="pole flat",
)  # fmt: skip
_declare(
    "min2", ordered, from_numpy("minimum"), "({0} if {0} < {1} or {0} != {0} else {1})",
    arity=2, exact=min,
    facts="commutative associative idempotent increasing finite",
)  # fmt: skip
_declare(
    "max2", ordered, from_numpy("maximum"), "({0} if {0} > {1} or {0} != {0} else {1})",
    arity=2, exact=max,
    facts="commutative associative idempotent increasing finite",
)  # fmt: skip
_declare(
    "relu", ordered, lambda x: from_numpy("maximum")(x, 0), "(0.0 if {0} < 0.0 else {0})",
    exact=lambda x: max(Fraction(0), x), range=NOT_NEGATIVE,
    facts="increasing finite idempotent",
)  # fmt: skip
_declare(
    "heaviside", real, lambda x: from_numpy("heaviside")(x, 0.5), "(0.5 + 0.5 * np.sign({0}))", (FLAT,),
    exact=lambda x: (1 + sign_exact(x)) / 2, range=Interval(0.0, 1.0), facts="increasing finite flat",
)  # fmt: skip

# comparisons, logic, choice

_declare(
    "eq", same_sort, from_numpy("equal"), "({0} == {1})", (FLAT, FLAT), python_complex="({0} == {1})", arity=2,
    exact=truth(lambda a, b: a == b), facts="commutative flat",
)  # fmt: skip
_declare(
    "ne", same_sort, from_numpy("not_equal"), "({0} != {1})", (FLAT, FLAT), python_complex="({0} != {1})", arity=2,
    exact=truth(lambda a, b: a != b), facts="commutative flat",
)  # fmt: skip
_declare("lt", compared, from_numpy("less"), "({0} < {1})", (FLAT, FLAT), arity=2, exact=truth(lambda a, b: a < b), facts="flat")
_declare("le", compared, from_numpy("less_equal"), "({0} <= {1})", (FLAT, FLAT), arity=2, exact=truth(lambda a, b: a <= b), facts="flat")
_declare("gt", compared, from_numpy("greater"), "({0} > {1})", (FLAT, FLAT), arity=2, exact=truth(lambda a, b: a > b), facts="flat")
_declare("ge", compared, from_numpy("greater_equal"), "({0} >= {1})", (FLAT, FLAT), arity=2, exact=truth(lambda a, b: a >= b), facts="flat")
_declare(
    "and", logic, from_numpy("logical_and"), "({0} and {1})", (FLAT, FLAT), arity=2, exact=lambda a, b: a * b,
    facts="commutative associative idempotent flat",
)  # fmt: skip
_declare(
    "or", logic, from_numpy("logical_or"), "({0} or {1})", (FLAT, FLAT), arity=2, exact=max,
    facts="commutative associative idempotent flat",
)  # fmt: skip
_declare(
    "xor", logic, from_numpy("logical_xor"), "({0} != {1})", (FLAT, FLAT), arity=2, exact=truth(lambda a, b: a != b),
    facts="commutative associative flat",
)  # fmt: skip
_declare("not", logic, from_numpy("logical_not"), "(not {0})", (FLAT,), exact=lambda a: 1 - a, facts="flat")
_declare(
    "where", choice, from_numpy("where"), "({1} if {0} else {2})", python_complex="({1} if {0} else {2})", arity=3,
)  # fmt: skip
_declare("isfinite", tested, from_numpy("isfinite"), "math.isfinite({0})", (FLAT,), python_complex="cmath.isfinite({0})", facts="flat")

# parentheses that sums and products respect

_declare(
    "group", number, lambda x: x, "{0}", (lambda x, y: _number_term(1),), python_complex="{0}", exact=lambda a: a,
    facts="increasing finite analytic",
)  # fmt: skip

# complex numbers

_declare("re", magnitude, from_numpy("real"), "{0}", python_complex="{0}.real", facts="homogeneous finite")
_declare("im", magnitude, from_numpy("imag"), "(0.0 * {0})", python_complex="{0}.imag", facts="homogeneous finite")
_declare("conj", number, from_numpy("conj"), "{0}", python_complex="{0}.conjugate()", facts="homogeneous finite")
_declare(
    "arg", argument, from_numpy("angle"), "(3.141592653589793 if {0} < 0 else 0.0)", python_complex="cmath.phase({0})",
    range=Interval(-3.1416, 3.1416), facts="finite",
)  # fmt: skip
_declare(
    "abs2", magnitude, lambda x: x.real**2 + x.imag**2, "({0} * {0})",
    python_complex="({0}.real * {0}.real + {0}.imag * {0}.imag)", range=NOT_NEGATIVE, facts="even",
)  # fmt: skip
_declare("complex", pair, complex_value, "complex({0}, {1})", arity=2, facts="finite")
