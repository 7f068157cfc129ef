"""Values of terms as real numbers: they agree with machine numbers where these do not round much, and bounds hold."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from ricci.dsl import build
from ricci.dsl.enclosures import Near, UndecidedError, compare, values_at
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.reference import evaluate
from ricci.dsl.types import Kind, Type

x, y = (build.symbol(name, Type(Kind.REAL)) for name in "xy")
REALS = [name for name in SCALARS if name not in ("complex", "im", "arg", "and", "or", "not", "xor", "where")]
POINTS = [("3/10", "7/4"), ("-5/2", "3/10"), ("0", "-2"), ("7/2", "3"), ("-1", "-1/2"), ("5/4", "0"), ("100", "1/8")]


@pytest.mark.parametrize("name", REALS)
def test_functions_have_the_values_of_machine_numbers(name):
    args = [build.const(1), x] if name == "polygamma" else [x, y][: SCALARS[name].arity]
    term = build.apply(name, *args)
    for p, q in POINTS:
        point = {"x": Fraction(p), "y": Fraction(q)}
        (found,) = values_at([term], point)
        (machine,) = evaluate([term], {n: np.float64(v) for n, v in point.items()})
        value = float(found.value if isinstance(found, Near) else found)
        if np.isfinite(value):
            assert value == pytest.approx(float(machine), rel=1e-12), (p, q)
            assert not isinstance(found, Near) or found.error <= 1e-60 * max(abs(found.value), 1)
        else:
            assert not np.isfinite(float(machine)) or name == "polygamma", (p, q)


def test_errors_are_carried_through_what_cancels():
    """log(1 + exp(300)) - 300 is exp(-300) to all digits that are known, and says how many those are."""
    term = build.sub(build.apply("log", build.add(build.const(1), build.apply("exp", x))), x)
    for n in (10, 100, 300):
        (found,) = values_at([term], {"x": Fraction(n)})
        with mpmath.workprec(2000):
            true = mpmath.log1p(mpmath.exp(-n))
            assert abs(found.value - true) <= found.error
    assert compare(found, Fraction(0)) is None


def test_rational_values_are_exact():
    half = build.apply("floor", build.add(x, build.const(Fraction(1, 2))))
    assert values_at([half, build.mul(x, x, y)], {"x": Fraction(-7, 2), "y": Fraction(1, 3)}) == [-3, Fraction(49, 12)]


def test_what_has_no_value():
    log, recip = build.apply("log", x), build.apply("recip", x)
    zero, minus = values_at([log, build.apply("exp", log), recip], {"x": Fraction(0)}), values_at([log], {"x": Fraction(-1)})
    assert zero[:2] == [-np.inf, 0]
    assert np.isnan(zero[2])
    assert np.isnan(minus[0])
    assert compare(zero[2], minus[0]) is None
    assert compare(zero[2], Fraction(1)) is False


def test_jumps_at_values_that_are_not_rational_are_undecided():
    """sin(x)^2 + cos(x)^2 is one, which its digits cannot tell: its floor may be zero; an exponent of 2^1000 bits has no digits at all."""
    square = build.add(build.power(build.apply("sin", x), 2), build.power(build.apply("cos", x), 2))
    (found,) = values_at([build.apply("floor", square)], {"x": Fraction(1)})
    assert compare(found, Fraction(1)) is None
    with pytest.raises(UndecidedError):
        values_at([build.apply("exp", build.power(x, 64))], {"x": Fraction(10) ** 12})
