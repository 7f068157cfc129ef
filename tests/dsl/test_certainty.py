"""Kleene's logic of comparisons: what NaN leaves undecided is neither certain nor impossible."""

import itertools

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.dsl import build, reference
from ricci.dsl.certainty import certainty
from ricci.dsl.types import Kind, Size, Type
from ricci.errors import Source
from ricci.faces.execute import execute

A, B = (build.symbol(name, Type(Kind.REAL)) for name in "ab")
ROW = build.symbol("row", Type(Kind.REAL, {"i": Size.of(3)}))
Z = build.symbol("z", Type(Kind.COMPLEX))
NAN, YES, NO = float("nan"), (True, True), (False, False)
OPEN = (False, True)


def judged(condition, **values):
    found = reference.evaluate(list(certainty(condition)), {k: np.asarray(v) for k, v in values.items()})
    return bool(found[0]), bool(found[1])


def less(a, b):
    return build.apply("lt", a, b)


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_a_comparison_with_nan_is_open_and_any_other_is_decided(name):
    condition = build.apply(name, A, B)
    for a, b in itertools.product((0.0, 1.0, -np.inf, np.inf, NAN), repeat=2):
        if np.isnan(a) or np.isnan(b):
            assert judged(condition, a=a, b=b) == OPEN
            assert judged(build.apply("not", condition), a=a, b=b) == OPEN
        else:
            holds = bool(reference.evaluate([condition], {"a": np.asarray(a), "b": np.asarray(b)})[0])
            assert judged(condition, a=a, b=b) == (holds, holds)


def test_logic_decides_what_does_not_depend_on_the_open_part():
    table = {True: (1.0, YES), False: (-1.0, NO), None: (NAN, OPEN)}
    zero = build.const(0, Kind.REAL)
    p, q = less(zero, A), less(zero, B)
    kleene = {
        "and": lambda a, b: False if False in (a, b) else None if None in (a, b) else True,
        "or": lambda a, b: True if True in (a, b) else None if None in (a, b) else False,
        "xor": lambda a, b: None if None in (a, b) else a != b,
        "eq": lambda a, b: None if None in (a, b) else a == b,
        "ne": lambda a, b: None if None in (a, b) else a != b,
    }
    for (x, (a, _)), (y, (b, _)) in itertools.product(table.items(), repeat=2):
        for name, rule in kleene.items():
            assert judged(build.apply(name, p, q), a=a, b=b) == table[rule(x, y)][1], (name, x, y)


def test_quantifiers_and_choices():
    zero = build.const(0, Kind.REAL)
    positive = less(zero, ROW)
    everywhere, somewhere = build.reduce("all", positive, ("i",)), build.reduce("any", positive, ("i",))
    assert judged(everywhere, row=[1, NAN, 1]) == OPEN
    assert judged(everywhere, row=[1, NAN, -1]) == NO
    assert judged(somewhere, row=[1, NAN, -1]) == YES
    assert judged(somewhere, row=[-1, NAN, -1]) == OPEN
    rooted = build.where(less(A, zero), build.const(True), less(build.apply("sqrt", A), build.const(2, Kind.REAL)))
    with np.errstate(invalid="ignore"):
        assert judged(rooted, a=-1.0) == YES  # the branch with NaN is not taken
        assert judged(rooted, a=9.0) == NO
        assert judged(rooted, a=NAN) == OPEN
    clipped = build.where(less(zero, A), A, zero)  # a number chosen by an open condition
    assert judged(less(clipped, build.const(1, Kind.REAL)), a=NAN) == OPEN
    assert judged(build.apply("eq", Z, build.cast(zero, Kind.COMPLEX)), z=complex(0, NAN)) == OPEN
    assert judged(build.apply("isfinite", A), a=NAN) == NO


def test_a_check_that_compares_nan_fails_and_says_so():
    text = """
field u(t)
equation dt(u) = -u
initial u = 1
solve { until: t=1 }
check not (sqrt(-u) > 10)
check sqrt(-u) < 10 or u > 0
check if u > 0 then u < 1 else sqrt(-u) < 1
check sqrt(-u) <= 10
"""
    outcome = execute(Source("<model>", text), Settings(backend="reference"), write=False)
    denied, decided, taken, plain = outcome.checks
    assert not denied.passed
    assert denied.undefined
    assert denied.to_json()["undefined"] is True
    assert decided.passed
    assert taken.passed
    assert not plain.passed
    assert "check FAILED: not (sqrt(-u) > 10)   (it compares what is not a number (NaN))" in outcome.summary()
