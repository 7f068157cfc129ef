"""Rules that a model states: found wherever their left side stands, checked before they are believed, named in explanations."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ricci import driver
from ricci.dsl.check import rules as checked
from ricci.dsl.check.trials import Trial
from ricci.dsl.term import walk
from ricci.egraph.encode import Budget
from ricci.egraph.optimize import LEVELS, optimize_function
from ricci.egraph.rulecheck import check_rule
from ricci.egraph.userrules import compiled
from ricci.errors import CheckFailed, Source
from ricci.faces.execute import Settings, execute
from ricci.faces.explained import explained

SOUND = [
    "log(sigmoid(a)) -> -softplus(-a)",
    "sin(a)*cos(a) <-> sin(2*a)/2",
    "sin(a)^2 + cos(a)^2 -> 1",
    "2*sin(a) - 2*sin(b) -> 4*cos((a + b)/2)*sin((a - b)/2)",
    "atan(b) + atan(1/b) -> 2*atan(1) when b > 0",
    "a^3 - b^3 <-> (a - b)*(a^2 + a*b + b^2)",
    "tanh(a) -> 1 - 2/(exp(2*a) + 1)",
    "sqrt(a)^2 -> a when a >= 0",
    "abs(a) -> -a when a <= 0",
    "x/x -> 1 when x ~= 0",
    "max(a, b) + min(a, b) -> a + b",
    "exp(a + b) -> exp(a)*exp(b)",
    "log(a*b) -> log(a) + log(b) when a > 0, b > 0",
]


def model(*rules, rest=""):
    lines = "\n".join(f"rule r{k}: {text}" for k, text in enumerate(rules))
    return driver.check_text(Source("m.model", f"{lines}\ndim i = 7\ntensor p[i] = sin(i), q[i] = cos(i)\n{rest}\n"))


@pytest.mark.parametrize("text", SOUND)
def test_rules_do_what_they_state(text):
    """On random terms that satisfy the conditions, and without them: the same test as for the rules that come with the optimizer."""
    for rule in compiled(model(text).rules[0]):
        check_rule(rule)


SOUND_FAR_AWAY = [
    "log1p(exp(x)) -> softplus(x)",
    "exp(exp(x))*exp(exp(y)) -> exp(exp(x) + exp(y))",
    "cosh(x)^2 - sinh(x)^2 -> 1",
    "exp(-x^2)*exp(x^2) -> 1",
    "gamma(x + 1) -> x*gamma(x) when x > 0",
    "x^y*x^z -> x^(y + z) when x > 0",
    "floor(x) + floor(x + 0.5) -> floor(2*x)",
    "hypot(x, y) -> sqrt(x^2 + y^2)",
    "sin(x + 3.141592653589793) -> -sin(x)",
    "min(x, 100) -> x when x <= 0",
]


@pytest.mark.parametrize("text", SOUND_FAR_AWAY)
def test_rounding_and_overflow_refuse_no_rule(text):
    """A rule is an identity of real numbers: 1e12 overflows and cancels, halves are exact, a number of 16 digits is a rounded one."""
    assert len(model(text).rules) == 1


@pytest.mark.parametrize(
    "text",
    [
        "floor(x/100) -> 0 when x >= 0",
        "heaviside(x - 50) -> 0 when x >= 0",
        "heaviside(x - 50)*heaviside(50.001 - x) -> 0 when x >= 0",
        "max(x, -50) -> x when x <= 0",
        "min(x*y, 1000000) -> x*y",
        "min(x^2, 1e30) -> x^2",
        "round(x) -> floor(x + 0.5)",
        "floor(x + 0.5) -> round(x) when x <= 0",
        "abs(x - y) -> x - y",
        "sin(x*y) -> sin(x)*sin(y) when x > 0",
        "erf(x)^1000 -> 0 when x < 0",
        "sin(x) + 1e-30 -> sin(x)",
    ],
)
def test_what_is_false_far_away_or_nearby_is_refused(text):
    """And no condition is proposed: none on the sign of one variable makes these right."""
    with pytest.raises(CheckFailed) as raised:
        model(text)
    (found,) = raised.value.diagnostics
    assert found.code == "E0907"
    assert not found.help


@pytest.mark.parametrize("conditions", ["x > 0, x < 0", "x >= 0, x <= 0, x ~= 0", "y > 0, x > 0 and x <= 0"])
def test_conditions_that_leave_no_value(conditions):
    with pytest.raises(CheckFailed) as raised:
        model(f"sin(x)/x*cos(y) -> cos(y) when {conditions}")
    assert [d.code for d in raised.value.diagnostics] == ["E0908"]


@pytest.mark.parametrize("text", ["sqrt(-1 - x^2) -> 7*sqrt(-1 - x^2)", "log(x)^2 -> log(x)*log(2*x) when x < 0"])
def test_rules_of_what_has_no_value_anywhere(text):
    with pytest.raises(CheckFailed) as raised:
        model(text)
    assert [d.code for d in raised.value.diagnostics] == ["E0908"]


def test_a_match_among_other_members():
    """Times any number, beside other factors and summands, over several axes."""
    text = "rule double: sin(a)*cos(a) -> sin(2*a)/2\nrule one: tan(a)^2 - 1/cos(a)^2 -> -1\ndim i = 7, j = 5\ntensor p[i] = i, q[j] = j\n"
    text += "let r = 3*sin(p + 1)*cos(p + 1)*q + p\nlet s = 7*p - 5/cos(q)^2 + 5*tan(q)^2"
    found = {n: execute(Source("m.model", text), Settings(opt=n), write=False).results for n in (0, 2)}
    for name in ("r", "s"):
        np.testing.assert_allclose(np.asarray(found[2][name].values), np.asarray(found[0][name].values), rtol=1e-12)
    program = driver.together(driver.derive(driver.discretize(driver.check_text(Source("m.model", text)))))
    better, _ = driver.optimize(program, 2)
    functions = {t.attrs[0] for f in better.functions.values() for t in walk(f.roots) if t.op == "map"}
    assert not functions & {"cos", "tan"}


def test_explanations_name_the_rule_and_its_line():
    text = "rule mine: log(1 + a^2) + log(1 + b^2) -> log((1 + a^2)*(1 + b^2))\ndim i = 9\ntensor p[i] = i, q[i] = 2*i\nlet r = log(1 + p^2) + log(1 + q^2)"
    found = explained(Source("m.model", text), Settings())
    assert "* model        mine (" in found.to_text()
    assert "m.model:1" in found.to_text()
    steps = json.loads(json.dumps(found.to_json()))["optimizer"]["functions"][0]["rules"]
    assert any(s["phase"] == "model" and s["where"] == "m.model:1" for s in steps)


def test_rules_are_part_of_the_key_of_kept_code():
    keys = set()
    for rules in ((), (SOUND[0],), (SOUND[1],), (SOUND[1].replace("<->", "->"),)):
        program = driver.discretize(model(*rules, rest="let r = sin(p)"))
        keys.add(driver.key(program, "r", None, 2))
    assert len(keys) == 4


def test_nothing_is_assumed():
    """Where the condition is not known the rule is silent, and x/x stays."""
    text = "let r = (p - q)/(p - q)"
    program = driver.together(driver.derive(driver.discretize(model("x/x -> 1 when x ~= 0", rest=text))))
    (function,) = (f for f in driver.optimize(program, 2)[0].functions.values() if f.params)
    assert any(t.op == "map" and t.attrs[0] == "recip" for t in walk(function.roots))


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("x/x -> 1", "x ~= 0"),
        ("sqrt(x)^2 -> x", "x >= 0"),
        ("sqrt(x^2) -> x", "x >= 0"),
        ("sqrt(x^2) -> -x", "x <= 0"),
        ("exp(log(x)) -> x", "x >= 0"),
        ("abs(x)*abs(y) -> x*y when x > 0", "y >= 0"),
        ("atan(x) + atan(1/x) -> 2*atan(1)", "x > 0"),
        ("min(x, 100) -> x", "x <= 0"),
        ("max(x, -50) -> x", "x >= 0"),
        ("heaviside(x - 50) -> 0", "x <= 0"),
    ],
)
def test_the_condition_that_is_missing_is_named(text, help):
    with pytest.raises(CheckFailed) as raised:
        model(text)
    (found,) = raised.value.diagnostics
    assert found.code == "E0907"
    assert found.help.endswith(help)
    model(found.help.partition(": ")[2])  # the remedy can be pasted


def test_rules_that_contradict_each_other_are_left_out(monkeypatch):
    """Should two wrong rules pass the test on numbers, the engine notices, and the function is optimized without them."""
    monkeypatch.setattr(checked, "tried", lambda rule: Trial(1, None))
    program = driver.together(driver.derive(driver.discretize(model("sin(a) -> 1", "sin(a) -> 2", rest="let r = sin(p)*cos(p)*3"))))
    better, report = driver.optimize(program, 2)
    found = [d for f in report.functions for d in f.diagnostics]
    assert [d.code for d in found] == ["W0904"]
    assert "`r0` (m.model:1), `r1` (m.model:2)" in found[0].notes[0]
    assert any(t.op == "map" and t.attrs[0] == "sin" for f in better.functions.values() for t in walk(f.roots))


def test_a_wrong_rule_is_refused_where_it_is_used(monkeypatch):
    monkeypatch.setattr(checked, "tried", lambda rule: Trial(1, None))
    program = driver.together(driver.derive(driver.discretize(model("sin(a)*cos(a) -> sin(3*a)/2", rest="let r = sin(p)*cos(p)*3"))))
    _, report = driver.optimize(program, 2)
    found = [d for f in report.functions for d in f.diagnostics]
    assert [d.code for d in found] == ["W0903"]
    assert "`r0` (m.model:1)" in found[0].notes[0]


def test_growing_rules_end_at_a_bound_and_are_named(monkeypatch):
    monkeypatch.setitem(LEVELS, 2, replace(LEVELS[2], budget=Budget(rows=150)))
    rules = [r for e in model("exp(a) -> exp(a - 1)*exp(1)", "exp(a) -> exp(a/2)^2").rules for r in compiled(e)]
    program = driver.together(driver.derive(driver.discretize(model(rest="let r = exp(p) + exp(p*q) + exp(2*q)"))))
    (function,) = (f for f in program.functions.values() if f.params)
    better, report = optimize_function(function, own_rules=rules)
    assert [d.code for d in report.diagnostics] == ["W0905"]
    assert "by `r0`" in report.diagnostics[0].notes[1]
    assert better.results


def test_level_0_uses_no_rules():
    program = driver.together(driver.derive(driver.discretize(model(SOUND[1], rest="let r = sin(p)*cos(p)"))))
    assert driver.optimize(program, 0)[0] == program
