"""Rounding of intermediate values is no difference between two forms; what is larger than rounding is, wherever it is."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import special

from ricci import driver
from ricci.cost import Price
from ricci.driver import Source
from ricci.dsl import build, reference
from ricci.dsl.program import Program
from ricci.dsl.term import Function, symbols
from ricci.dsl.types import Kind, Size, Type
from ricci.egraph.fingerprints import Places
from ricci.egraph.optimize import LEVELS, Optimization, optimize, optimize_function
from ricci.egraph.ruleset import parse_rules
from ricci.egraph.terms import Loader
from ricci.egraph.verified import VerifiedSpace
from ricci.egraph.verify import mismatch

X = build.symbol("x", Type(Kind.REAL))
U = build.symbol("u", Type(Kind.REAL, {"i": Size.of(4)}))
P = np.arange(6.0)


def program(text) -> Program:
    return driver.discretize(driver.check_text(Source("<test>", text + "\n")))


@pytest.mark.parametrize(
    ("definition", "exact"),
    [
        ("exp(1e-10*p) - 1", np.expm1(1e-10 * P)),
        ("1 - sigmoid(40 + p)", special.expit(-40 - P)),
        ("erf(10 + p) - 1", -special.erfc(10 + P)),
        ("1 - cos(1e-5*p)^2", np.sin(1e-5 * P) ** 2),
        ("cosh(20*p)^2 - sinh(20*p)^2", np.ones(6)),
    ],
)
def test_a_form_with_more_digits_is_taken(definition, exact):
    """No diagnostic, and the values are those that exact arithmetic gives."""
    better, report = optimize(program(f"dim i=6\ntensor p[i]=i*1.0\nlet r[i] = {definition}"))
    assert not report.diagnostics
    (root,) = better.functions["let:r"].roots
    (found,) = reference.evaluate([root], {"p": P}, {})
    np.testing.assert_allclose(np.broadcast_to(found, 6), exact, rtol=1e-14, atol=0)


@pytest.mark.parametrize("definition", ["log(1 + 1e-12*p)", "log(1 + 1e-10*p)"])
def test_one_plus_little_is_no_difference(definition):
    _, report = optimize(program(f"dim i=6\ntensor p[i]=i*1.0\nlet r[i] = {definition}"))
    assert not report.diagnostics
    assert "log1p" in {s.name for f in report.functions for s in f.steps}


def test_complex_cancellation_is_no_difference():
    better, report = optimize(program("dim i=6\ntensor z[i] : complex\nlet r[i] = cosh(40*z)^2 - sinh(40*z)^2"))
    assert not report.diagnostics
    assert not symbols(better.functions["let:r"].roots)  # it is 1


def test_the_smallest_numbers_have_few_digits():
    """The logarithm of a denormal, beside a result that is rewritten."""
    text = "dim i=7, j=7\ntensor c[i]=sin(i)+1.5, x[i]=cos(3*i)\nlet y[i]=sum[j](c[mod(i-j,7)]*x[j])\nlet l[i]=log(softmax[i](800*x))"
    functions = program(text).functions
    roots = [functions[f"let:{name}"].roots[0] for name in "yl"]
    both = Function("both", tuple(symbols(roots)), tuple(zip("yl", roots, strict=True)))
    _, report = optimize_function(both, routines=frozenset({"rfft", "irfft", "fft", "ifft"}))
    assert not report.diagnostics
    (optimized,) = Optimization([roots[1]], LEVELS[2], Price("time"), {}).result()
    assert mismatch([roots[1]], [optimized], {}) is None


def scaled(term, by):
    return build.scale(1 + Fraction(by), term)


WELL_CONDITIONED = {
    "exponential": build.apply("exp", X),
    "sum": build.add(build.apply("sin", X), build.apply("exp", X)),
    "saturated": build.apply("sigmoid", build.add(X, build.const(40))),
    "tiny": build.scale(Fraction(1, 10**18), build.apply("cos", X)),
    "contraction": build.sum_over(build.mul(U, build.apply("exp", U)), ["i"]),
    "steps": build.apply("floor", build.add(build.apply("sin", X), build.const(7))),
}


@pytest.mark.parametrize("name", WELL_CONDITIONED)
def test_a_millionth_is_found(name):
    term = WELL_CONDITIONED[name]
    wrong = scaled(term, Fraction(1, 10**6))
    assert mismatch([term], [wrong], {}) is not None
    space = VerifiedSpace(Places.of([term, wrong], {}, {}, {}), {})
    a, b = Loader(space).load([term, wrong])
    assert space.difference(a, b) == pytest.approx(1e-6, rel=1e-3)


def test_noise_of_one_element_hides_no_other():
    """At the first place digits are lost at a hundredth, elsewhere a thousandth is missing."""
    first = build.apply("eq", build.iota("i", 4), build.const(0))
    lost = build.mul(build.const(10**13), build.sub(build.const(1), build.apply("sigmoid", build.add(build.const(40), U))))
    good = build.add(build.apply("exp", U), build.apply("where", first, lost, build.const(0)))
    missing = build.apply("where", first, build.const(0), build.const(Fraction(1, 10**3)))
    assert mismatch([good], [build.add(good, build.mul(missing, build.apply("exp", U)))], {}) is not None
    assert mismatch([good], [build.add(good, build.apply("where", first, build.const(Fraction(1, 10**3)), build.const(0)))], {}) is None


PLANTED = """; rule almost: (tan x) = (* 1000001/1000000 (sin x) (recip (cos x)))
(rule ((= e (f_tan x))) ((union e (Sc (bigrat (bigint 1000001) (bigint 1000000)) (Con 0 (multiset-of (f_sin x) (f_recip (f_cos x))))))))"""


def test_a_rule_that_is_wrong_by_a_millionth_is_refused(defects):
    run = Optimization([build.apply("tan", build.apply("exp", X))], LEVELS[2], Price("time"), {}, None, parse_rules(PLANTED, "planted"))
    run.result()
    (refused,) = run.space.refused
    assert refused.author == ("planted", "almost")
    assert refused.difference == pytest.approx(1e-6, rel=1e-3)


def test_steps_of_few_digits_do_not_jump():
    """floor(i / 2) of whole numbers is exact: a form that is one too large at one place is found."""
    half = build.apply("floor", build.scale(Fraction(1, 2), build.iota("i", 4)))
    other = build.add(half, build.apply("where", build.apply("eq", build.iota("i", 4), build.const(2)), build.const(1), build.const(0)))
    assert mismatch([half], [half], {}) is None
    assert mismatch([half], [other], {}) is not None


def test_bodies_of_recurrences_are_rounded_too():
    text = "dim s = 5\ntensor a[s] = 0.1*s\nlet z[s] = 1 - sigmoid(40 + z[s-1]) + 1e-30*a[s]"
    _, report = optimize(program(text))
    assert not report.diagnostics


def test_neighbours_have_the_layout_of_the_points():
    """Axes in another order of first sight: values of a class are compared with values of the same places."""
    a = build.symbol("a", Type(Kind.REAL, {"i": Size.of(3), "j": Size.of(4)}))
    b = build.symbol("b", Type(Kind.REAL, {"j": Size.of(4), "k": Size.of(5)}))
    terms = [a, b, build.mul(a, b), scaled(build.mul(a, b), Fraction(1, 10**6))]
    space = VerifiedSpace(Places.of(terms, {}, {}, {}), {})
    refs = Loader(space).load(terms)
    for ref in refs[:2]:
        space.value(ref)
    assert space.difference(refs[2], refs[3]) > 0
    assert space.around[0].position is space.points.position
