"""Every shipped rule on random instances with its side conditions; a wrong rule is caught; the engine's failures are ours."""

from fractions import Fraction

import pytest

from ricci.dsl import build
from ricci.dsl.types import Kind, Size, Type
from ricci.egraph.analyses import Ranges
from ricci.egraph.encode import Budget, Session, on_big_stack, saturate
from ricci.egraph.rulecheck import check_rule
from ricci.egraph.ruleset import all_rules, parse_rules, relevant
from ricci.egraph.terms import Loader, new_space
from ricci.errors import UnsoundRule


@pytest.mark.parametrize("rule", all_rules(), ids=str)
def test_rule_holds_on_random_instances(rule):
    check_rule(rule, seeds=3)


def test_names_are_unique():
    names = [rule.name for rule in all_rules()]
    assert len(names) == len(set(names)) > 50


WRONG = [
    """; rule exp_of_sum_is_sum: (exp (+ x y)) = (+ (exp x) (exp y))
(rule ((= e (f_exp (Lin ms))) (= i (in ms (Sc $1 x))) (= j (in ms (Sc $1 y))) (!= x y))
      ((union e (Lin (multiset-of (Sc $1 (f_exp x)) (Sc $1 (f_exp y)))))))""",
    """; rule root_of_square_is_itself: (sqrt (* x x)) = x
; given: real x
(rule ((= e (f_sqrt (Con 0 (multiset-of x x)))) (real x)) ((union e x)))""",
    # the statement is right under its condition, the text forgets to test it
    """; rule untested: (abs x) = x
; given: positive x
(rule ((= e (f_abs x))) ((union e x)))""",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_rule_is_caught(text):
    (rule,) = parse_rules(text, "planted")
    with pytest.raises(UnsoundRule) as caught:
        check_rule(rule)
    assert caught.value.code == "E0901"
    assert rule.name in str(caught.value)


UNTESTED = [
    """; rule domain: (max[k] (log u)) = (log (max[k] u))
; given: domain_log u
(rule ((= e (r_max b (f_log u)))) ((union e (f_log (r_max b u)))))""",
    """; rule reality: (log (exp x)) = x
; given: real x
(rule ((= e (f_log (f_exp x)))) ((union e x)))""",
    """; rule half: (log (* (exp x) y)) = (+ x (log y))
; given: real x, positive y
(rule ((= e (f_log (Con 0 ms))) (= 2 (multiset-length ms)) (= i (in ms (f_exp x))) (real x) (= j (in ms y)) (!= y (f_exp x)))
      ((union e (Lin (multiset-of (Sc $1 x) (Sc $1 (f_log y)))))))""",
]


@pytest.mark.parametrize("text", UNTESTED)
def test_a_condition_that_the_engine_does_not_test_is_caught(text):
    (rule,) = parse_rules(text, "planted")
    with pytest.raises(UnsoundRule, match="is not known") as caught:
        check_rule(rule, seeds=2)
    assert caught.value.code == "E0901"


K = Size.of(4)


def test_increasing_functions_leave_maxima_where_they_are_defined():
    """max sqrt(x^2) = sqrt(max x^2), but max sqrt(x) is NaN where any x is negative."""
    x = build.symbol("x", Type(Kind.REAL, {"k": K}))
    for inner, fired in ((x, False), (build.mul(x, x), True), (build.apply("sin", x), False)):
        found = run(build.reduce("max", build.apply("sqrt", inner), ["k"]), all_rules())
        assert ("max_of_sqrt" in found.fired) is fired
    assert "min_of_asin" in run(build.reduce("min", build.apply("asin", build.apply("sin", x)), ["k"]), all_rules()).fired


def test_a_rule_that_does_something_else_is_caught():
    text = "; rule other: (sin (- x)) = (cos x)\n(rule ((= e (f_cos x))) ((union e (f_sin x))))"
    with pytest.raises(UnsoundRule) as caught:
        check_rule(parse_rules(text, "planted")[0])
    assert caught.value.code == "E0902"


def test_a_block_without_statement_is_refused():
    with pytest.raises(UnsoundRule, match="statement"):
        parse_rules("(rule ((= e (f_abs x))) ((union e x)))", "planted")


def run(term, rules, budget=Budget()):  # noqa: B008
    loader = Loader(new_space())
    loader.load([term])
    return saturate(loader, [term], rules, Ranges(loader.space, {}), budget)


X = build.symbol("x", Type(Kind.REAL))


def test_a_contradiction_panics_and_arrives_as_an_error():
    text = "; rule one_is_two: (exp x) = 1\n(rule ((= e (f_exp x))) ((union (Sc $1 $One) (Sc $2 $One))))"
    with pytest.raises(UnsoundRule) as caught:
        run(build.apply("exp", X), parse_rules(text, "planted"))
    assert caught.value.code == "E0901"


def test_text_that_the_engine_refuses_is_an_error():
    (rule,) = parse_rules("; rule broken: (exp x) = x\n(rule ((= e (f_exp x) (union e x)))", "planted")
    with pytest.raises(UnsoundRule) as caught:
        run(build.apply("exp", X), [rule])
    assert caught.value.code == "E0903"


def test_a_panic_is_no_base_exception():
    def panic():
        session = Session([], ["exp"])
        session.run(rule)
        session.run(rule)  # the engine aborts on a second rule of one name

    rule = '(rule ((= e (f_exp x))) ((union e e)) :ruleset rw :name "twice")'
    with pytest.raises(UnsoundRule) as caught:
        on_big_stack(panic)
    assert caught.value.code == "E0903"


def test_diverging_rules_stop_at_the_bound_of_rows():
    text = "; rule grows: (exp x) = (exp x)\n(rule ((= e (f_exp x))) ((f_exp (f_exp x)) (f_exp (Sc $2 x))))"
    found = run(build.apply("exp", X), parse_rules(text, "planted"), Budget(iterations=60, rows=500))
    assert 500 < found.rows < 5_000


def test_rules_are_loaded_only_where_they_can_fire():
    rules = relevant(all_rules(), frozenset({"floor"}))
    assert not rules
    names = {r.name for r in relevant(all_rules(), frozenset({"sinh", "cosh", "recip"}))}
    assert {"hyperbolic_tangent", "cosh_plus_sinh", "exp_product"} <= names  # what a rule makes counts


def test_numbers_of_more_than_64_bits_pass_the_engine():
    tiny = build.scale(Fraction(7, 10**30), X)
    term = build.apply("exp", build.apply("log", build.apply("exp", build.scale(3**50, tiny))))
    loader = Loader(new_space())
    loader.load([term])
    rules = [r for r in all_rules() if r.name == "log_of_exp"]
    found = saturate(loader, [term], rules, Ranges(loader.space, {}), Budget())
    assert "log_of_exp" in found.fired
    simple = build.apply("exp", build.scale(3**50, tiny))
    a, b = loader.load([term, simple])
    assert loader.space.find(a) == loader.space.find(b)
