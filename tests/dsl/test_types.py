"""Sizes as polynomials with lower bounds; types."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ricci.dsl.types import Dim, Kind, Size, TupleType, Type, at_most, equal, join

N, P, Q = (Size.of(Dim(name)) for name in "npq")
N3 = Size.of(Dim("n", 3))


def test_sizes_compare_by_the_lower_bounds_of_their_dims() -> None:
    assert P * Q - 1 - (Q * (P - 1) + Q - 1) == 0
    assert at_most(3, N3) is True
    assert at_most(5, N) is None
    assert at_most(P, Q) is None
    assert at_most(N, 0) is False
    assert at_most(1, N * P) is True
    assert at_most(P, P * Q) is True
    assert equal(N + 1, 1 + N) is True
    assert equal(N, 0) is False
    assert equal(N, N + 2) is False
    assert equal(N, P) is None
    assert at_most(1, Size.of(Dim("m", 0))) is None


def test_equal_sizes_and_types_are_one_object() -> None:
    assert N * 2 - N is N
    assert (N - N).constant == 0
    assert Size.of(4) == 4
    assert hash(Size.of(4)) == hash(4)
    assert Type(Kind.REAL, {"y": 3, "x": N}) is Type(Kind.REAL, {"x": N, "y": Size.of(3)})
    assert list(Type(Kind.REAL, {"y": 3, "x": N}).axes) == ["x", "y"]
    assert TupleType((Type(Kind.INT),)) is TupleType((Type(Kind.INT),))
    for value in (N3, Type(Kind.REAL, {"x": N3}), TupleType((Type(Kind.INT, {"x": N}),))):
        assert pickle.loads(pickle.dumps(value)) is value


def test_sizes_are_immutable() -> None:
    with pytest.raises(AttributeError):
        N.terms = ()  # type: ignore[misc]


def test_texts_separate_dims_by_name_and_bound() -> None:
    assert str(N * P * 2 - N + 1) == "-n + 2*n*p + 1"
    assert str(N * N * P - 3) == "n^2*p - 3"
    assert N3.canonical_text() != N.canonical_text()
    assert Size.of(Dim("n + m")).canonical_text() != (N + Size.of(Dim("m"))).canonical_text()
    assert Size.of(Dim("2")).canonical_text() != Size.of(2).canonical_text()


def test_kinds_join_to_the_larger() -> None:
    assert join([Kind.INT, Kind.COMPLEX, Kind.REAL]) == Kind.COMPLEX
    assert str(Kind.REAL) == "real"


polynomials = st.recursive(
    st.one_of(st.integers(-3, 3).map(Size.of), st.sampled_from([N, P, Q])),
    lambda inner: st.tuples(inner, inner, st.sampled_from("+-*")).map(
        lambda t: t[0] + t[1] if t[2] == "+" else t[0] - t[1] if t[2] == "-" else t[0] * t[1]
    ),
    max_leaves=5,
)


@given(polynomials, polynomials, st.lists(st.integers(1, 6), min_size=3, max_size=3))
def test_decided_comparisons_hold_for_all_extents(a: Size, b: Size, extents: list[int]) -> None:
    dims = dict(zip("npq", extents, strict=True))
    x, y = a.evaluate(dims), b.evaluate(dims)
    assert (a + b).evaluate(dims) == x + y
    assert (a - b).evaluate(dims) == x - y
    assert (a * b).evaluate(dims) == x * y
    assert at_most(a, b) in ((True, None) if x <= y else (False, None))
    assert equal(a, b) in ((True, None) if x == y else (False, None))
