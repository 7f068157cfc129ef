"""Random terms: the constructors' normal forms mean what was asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from random_terms import Sample, terms

from ricci.dsl.ops import OPERATORS
from ricci.dsl.reference import evaluate
from ricci.dsl.show import show_term
from ricci.dsl.term import rewrite, walk

RELAXED = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@RELAXED
@given(terms(depth=4))
def test_normal_form_has_the_value_of_the_naive_evaluation(sample: Sample) -> None:
    (value,) = evaluate([sample.term], sample.values, sample.dims)
    assert value.shape == sample.expected.shape
    assert np.all(np.abs(value - sample.expected) <= sample.tolerance), show_term(sample.term)


@RELAXED
@given(terms(depth=4))
def test_rebuilding_gives_the_same_node(sample: Sample) -> None:
    """A normal form is a fixed point of its constructors."""
    (again,) = rewrite([sample.term], lambda t, args: OPERATORS[t.op].rebuild(t, args))
    assert again is sample.term, f"{again}\n{sample.term}"


@RELAXED
@given(terms(depth=3))
def test_inferred_types_are_those_of_the_values(sample: Sample) -> None:
    order = [t for t in walk([sample.term]) if t.op != "scan"]
    for t, value in zip(order, evaluate(order, sample.values, sample.dims), strict=True):
        assert value.shape == tuple(size.evaluate(sample.dims) for size in t.axes.values())
        assert value.dtype.kind == "bifc"[t.kind]
