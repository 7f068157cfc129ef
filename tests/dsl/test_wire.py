"""Terms and plain data as text and back."""

import json
from dataclasses import dataclass
from fractions import Fraction
from math import inf

import pytest
from hypothesis import given, settings
from random_terms import terms

from ricci.dsl import build, wire
from ricci.dsl.term import Function, symbols
from ricci.dsl.types import Dim, Kind, Size, Type


@settings(max_examples=150, deadline=None)
@given(terms())
def test_terms_come_back_as_the_same_terms(sample):
    function = Function("f", tuple(symbols([sample.term])), (("r", sample.term),))
    text = wire.dumps(function)
    assert wire.loads(text) == function
    assert wire.loads(text).roots[0] is sample.term
    assert wire.dumps(function) == text


def test_deep_terms():
    t = build.symbol("x", Type(Kind.REAL))
    for _ in range(20_000):
        t = build.apply("sin", build.add(t, build.const(1)))
    assert wire.loads(wire.dumps(t)) is t


@dataclass
class Cell:
    inside: object
    name: str = ""


def test_plain_data():
    n = Size.of(Dim("n", 2)) * 3 * Size.of(Dim("m")) * Size.of(Dim("m")) - 4
    data = {"a": [1, None, True, -(2**80)], ("t", Kind.REAL): (Fraction(1, 3), inf, -inf, 0.1), n: Type(Kind.BOOL, {"x": n})}
    assert wire.loads(wire.dumps(data)) == data
    assert type(wire.loads(wire.dumps([True, Kind.INT, 1]))[1]) is Kind


def test_one_object_stays_one_object():
    shared = Cell(None, "shared")
    first, second = wire.loads(wire.dumps([Cell(shared), Cell(shared)], [Cell]), [Cell])
    assert first.inside is second.inside


def test_other_classes_are_refused():
    with pytest.raises(TypeError, match="Cell is not written"):
        wire.dumps(Cell(1))
    text = wire.dumps(Cell(1), [Cell])
    with pytest.raises(wire.WireError):
        wire.loads(text)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[[], 1, 2]", '[[["os.system", "ls"]], ["o", 0]]', '[[], ["o", 3]]', '[[], ["x"]]', '[[["Dim"]], 0]']
)
def test_what_is_no_text_of_ours(text):
    with pytest.raises(wire.WireError):
        wire.loads(text)


def test_it_is_json():
    assert json.loads(wire.dumps((1, 2))) == [[], ["t", 1, 2]]
