"""Fingerprints of classes: unions of values that differ are refused, by whomever they were proposed, and what is equal passes."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricci.cost import Price
from ricci.dsl import build, reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import symbols
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph.analyses import FACTS
from ricci.egraph.fingerprints import POINTS, Places
from ricci.egraph.optimize import LEVELS, Optimization
from ricci.egraph.planners import collecting
from ricci.egraph.ruleset import parse_rules
from ricci.egraph.terms import Loader
from ricci.egraph.verified import VerifiedSpace

N, P = Size.of(Dim("n")), Size.of(Dim("p"))
X, Y = (build.symbol(name, Type(Kind.REAL)) for name in "xy")
U = build.symbol("u", Type(Kind.REAL, {"i": N}))
A = build.symbol("A", Type(Kind.REAL, {"i": N, "j": P}))


def optimization(terms, rules=None, given=None):
    return Optimization(terms, LEVELS[2], Price("time"), {}, given, rules)


def refused(run):
    return {(r.author, round(r.difference, 6) > 0) for r in run.space.refused}


WRONG = """; rule wrong: (exp x) = (* 2 (exp x))
(rule ((= e (f_exp x))) ((union e (Sc $2 (f_exp (Sc $2 x))))))"""
RIGHT = """; rule right: (abs x) = x
; given: positive x
(rule ((= e (f_abs x)) (positive x)) ((union e x)))"""


def test_a_wrong_rule_is_refused_and_named(defects):
    (rule,) = parse_rules(WRONG, "planted")
    term = build.add(build.apply("exp", X), build.apply("exp", Y))
    run = optimization([term], [rule])
    (found,) = run.result()
    assert np.isclose(*reference.evaluate([term, found], {"x": 0.3, "y": -0.2}, {}))
    (warning,) = run.diagnostics
    assert warning.code == "W0903"
    assert "`wrong`" in warning.message
    assert "exp" in defects[0]


def test_the_other_rules_go_on(defects):
    rules = [*parse_rules(WRONG, "planted"), *parse_rules(RIGHT, "planted")]
    run = optimization([build.mul(build.apply("abs", X), build.apply("exp", Y))], rules, {X: FACTS["positive"]})
    (found,) = run.result()
    assert found is build.mul(X, build.apply("exp", Y))
    assert [d.code for d in run.diagnostics] == ["W0903"]


def test_a_wrong_planner_is_refused_and_named(monkeypatch, defects):
    collect = collecting.collect

    def wrong(space, classes, limit):
        space.union(space.leaf(X), space.leaf(Y))
        return collect(space, classes, limit)

    monkeypatch.setattr(collecting, "collect", wrong)
    run = optimization([build.add(build.apply("sin", X), build.apply("sin", Y))])
    run.result()
    assert {r.author for r in run.space.refused} == {("sums", "coefficients of outer loops collected")}
    assert [d.code for d in run.diagnostics] == ["W0903"]
    assert "coefficients of outer loops collected" in run.diagnostics[0].message


def test_the_refused_form_stays_apart():
    space = VerifiedSpace(Places.of([X, Y], {}, {}, {}), {})
    loader = Loader(space)
    x, y, sine = loader.load([X, Y, build.apply("sin", X)])
    with space.by("test", "planted"):
        space.union(x, y)
        space.union(x, sine)
        space.union(x, x ^ 1)
    space.rebuild()
    assert len({space.find(r) for r in (x, y, sine, x ^ 1)}) == 4
    assert [r.author for r in space.refused] == [("test", "planted")] * 3


def test_what_is_given_counts():
    """|x| = x is no error where x is known to be positive."""
    for given_facts, expected in (({X: FACTS["positive"]}, 0), ({}, 1)):
        run = optimization([build.apply("abs", X), X], [], given_facts)
        a, x = run.load("source", run.before)
        run.space.given = run.stated
        run.space.union(a, x)
        assert len(run.space.refused) == expected


def test_rounding_is_no_difference():
    """(1 + x/10^12) - 1 and x/10^12 agree in few digits only."""
    small = build.scale(build.const(1).attrs[0], build.mul(X, X))
    tiny = build.mul(X, build.apply("exp", build.const(-30)))
    lost = build.sub(build.group(build.add(build.const(1), tiny)), build.const(1))
    space = VerifiedSpace(Places.of([lost, tiny, small], {}, {}, {}), {})
    a, b, c = Loader(space).load([lost, tiny, small])
    assert space.difference(a, b) == 0.0
    assert space.difference(b, c) > 0.0


def test_equal_values_that_nobody_proved():
    term = [
        build.apply("sin", build.scale(2, X)),
        build.scale(2, build.mul(build.apply("sin", X), build.apply("cos", X))),
        build.apply("cos", X),
    ]
    space = VerifiedSpace(Places.of(term, {}, {}, {}), {})
    refs = Loader(space).load(term)
    pairs = {tuple(sorted((a >> 1, b >> 1))) for a, b in space.alike(space.classes())}
    assert tuple(sorted((refs[0] >> 1, refs[1] >> 1))) in pairs
    assert not any(refs[2] >> 1 in pair for pair in pairs)


LEAVES = [
    X,
    U,
    A,
    build.const(2),
    build.symbol("k", Type(Kind.INT, {"i": N})),
    build.size_term(N),
    build.symbol("big", Type(Kind.REAL, {"m": Size.of(40)})),
]
SIZES = {"i": N, "j": P, "m": Size.of(40)}


def grown(inner):
    return st.one_of(
        st.tuples(inner, inner).map(lambda p: build.add(*p)),
        st.tuples(inner, inner).map(lambda p: build.mul(*p)),
        st.tuples(st.sampled_from(["sin", "exp", "abs", "recip", "tanh"]), inner).map(lambda p: build.apply(*p)),
        st.tuples(inner, st.sampled_from(["i", "j", "m"])).map(lambda p: build.sum_over(build.expand(p[0], {p[1]: SIZES[p[1]]}), [p[1]])),
        st.tuples(inner, st.sampled_from(["max", "min", "prod"]), st.sampled_from(["i", "j"])).map(
            lambda p: build.reduce(p[1], build.expand(p[0], {p[2]: SIZES[p[2]]}), [p[2]])
        ),
        st.tuples(inner, st.sampled_from(["wrap", "clamp", 0]), st.integers(-2, 2)).map(
            lambda p: build.shift(build.expand(p[0], {"i": N}), "i", p[2], p[1])
        ),
    )


@settings(max_examples=120, deadline=None)
@given(st.recursive(st.sampled_from(LEAVES), grown, max_leaves=8))
def test_values_are_those_of_the_reference(term):
    """At the points, over tiny sizes; sums over fixed sizes count their points as often as there are."""
    places = Places.of([term], {}, {}, {})
    space = VerifiedSpace(places, templates := {})
    loader = Loader(space, templates=templates)
    (ref,) = loader.load([term])
    value = space.value(ref)
    if value is None or places.shrunk:
        return
    order = sorted(term.axes)
    axes = [(name, places.extent(term.axes[name])) for name in order]
    found = space.points.canonical(value, axes)
    for point in range(POINTS):
        inputs = {}
        for s in symbols([term]):
            if name_of(s).startswith("#"):
                continue
            own = [(a, places.extent(size)) for a, size in s.axes.items()]
            inputs[name_of(s)] = space.points.canonical(space.points._leaf(s), own)[point]
        with np.errstate(all="ignore"):
            (wanted,) = reference.evaluate([term], inputs, dict(places.dims))
        assert np.allclose(found[point], wanted, rtol=1e-9, atol=1e-12, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.sampled_from(LEAVES), grown, max_leaves=10))
def test_no_planner_is_refused(term):
    run = optimization([term])
    run.result()
    assert not run.space.refused


def test_a_defect_in_a_program_is_said(monkeypatch, defects):
    from ricci import driver
    from ricci.egraph import optimize
    from ricci.errors import Source

    importlib.import_module("ricci.egraph.optimize")
    monkeypatch.setattr(collecting, "collect", lambda space, classes, limit: space.union(2 * classes[-1], 2 * classes[0]) or 1)
    model = driver.check_text(Source("<test>", "dim s = 4\ntensor x[s]\nlet y[s] = exp(x[s])*x[s] + x[s]\n"))
    better, report = optimize(driver.discretize(model))
    assert "W0903" in {d.code for d in report.diagnostics}
    assert better.functions
    assert defects


@pytest.mark.parametrize("size", [4, 5, 6, 784])
def test_sums_over_fixed_sizes(size):
    """Sum over m of u[i] is m times u[i], whatever is taken for m."""
    u = build.symbol("u", Type(Kind.REAL, {"i": N, "m": Size.of(size)}))
    flat = build.symbol("v", Type(Kind.REAL, {"i": N}))
    terms = [
        build.sum_over(build.mul(u, flat), ["m"]),
        build.mul(build.sum_over(u, ["m"]), flat),
        build.sum_over(build.add(u, flat), ["m"]),
    ]
    other = build.add(build.sum_over(u, ["m"]), build.scale(size, flat))
    space = VerifiedSpace(Places.of([*terms, other], {}, {}, {}), {})
    a, b, c, d = Loader(space).load([*terms, other])
    assert space.difference(a, b) == 0.0
    assert space.difference(c, d) == 0.0
    assert space.difference(a, c) > 0.0
