"""Sliding windows by doubling: found, equal to the windows as written for every edge and width, stable, explained."""

import numpy as np
import pytest

from ricci import driver
from ricci.cost import operations
from ricci.dsl import build, reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import symbols
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph.optimize import optimize_function
from ricci.egraph.planners.sliding import moving_sum, window_extreme, window_sum
from ricci.errors import Source
from tests.egraph.explained import assert_golden, explanation

X = Size.of(Dim("x"))
U = build.symbol("u", Type(Kind.REAL, {"x": X}))
EDGES = ("wrap", "clamp", "mirror", "pad")


def definition(text):
    """The function of the last definition of a model, and the sizes."""
    program = driver.discretize(driver.check_text(Source("test", text)))
    return [f for n, f in program.functions.items() if n.startswith("let:")][-1], program.sizes


def window(operation, width, edge, size=9):
    return definition(f"dim i={size}, a={width}\ntensor U[i]\nlet S[i] = {operation}[a]({edge}(U)[i+a-2])\n")


def assert_equal(before, after, sizes, tolerance=1e-13):
    generator = np.random.default_rng(0)
    values = {name_of(s): generator.uniform(-1, 1, [n.evaluate(sizes) for n in s.axes.values()]) for s in symbols([before])}
    a, b = reference.evaluate([before, after], values, sizes)
    assert before.type is after.type
    np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(1.0, np.abs(a).max(initial=0.0)))


@pytest.mark.parametrize("width", [4, 5, 7, 8, 13])
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("operation", ["sum", "max", "min"])
def test_windows_of_every_width_and_edge(operation, edge, width):
    for size in (2, 3, 5, 20):  # shorter than the window, too
        function, sizes = window(operation, width, edge, size)
        form = (window_sum if operation == "sum" else window_extreme)(function.roots[0])
        assert form is not None
        assert_equal(function.roots[0], form, sizes)


def test_the_number_of_operations_grows_with_the_logarithm():
    function, sizes = window("sum", 64, "wrap", 1000)
    form = window_sum(function.roots[0])
    assert operations([form], sizes) < 8 * 1000
    assert operations([function.roots[0]], sizes) >= 64 * 1000


def test_windows_of_two_axes_are_passes():
    text = "dim i=7, j=5, a=5, b=4\ntensor U[i,j]\nlet S[i,j] = sum[a,b](pad(U)[i+a-2, j+b-1])/20\n"
    function, sizes = definition(text)
    found, report = optimize_function(function, sizes={**sizes, "i": 500, "j": 500})
    assert [s.count for s in report.steps if s.name == "windows by doubling"] == [2]
    assert_equal(function.roots[0], found.roots[0], sizes)
    assert operations(found.roots, sizes) < 0.6 * operations(function.roots, sizes)


def test_no_digits_cancel():
    """Small values behind a large one come out as precisely as they are written: no difference of prefix sums is formed."""
    function, sizes = window("sum", 8, "pad", 100)
    values = np.full(100, 1e-8)
    values[0] = 1e12
    (sums,) = reference.evaluate([window_sum(function.roots[0])], {"U": values}, sizes)
    np.testing.assert_allclose(sums[10:90], 8e-8, rtol=1e-14)


def test_extremes_of_infinities_and_nan():
    function, sizes = window("max", 5, "clamp", 12)
    form = window_extreme(function.roots[0])
    values = np.array([0.0, -np.inf, 3, np.nan, 1, 2, np.inf, -1, -2, -3, -4, -5])
    a, b = reference.evaluate([function.roots[0], form], {"U": values}, sizes)
    np.testing.assert_array_equal(a, b)


def test_weighted_windows_are_no_windows():
    text = "dim i=9, a=5\ntensor U[i], W[a]\nlet S[i] = sum[a](W[a]*pad(U)[i+a-2])\n"
    function, _ = definition(text)
    assert window_sum(function.roots[0]) is None


@pytest.mark.parametrize("read", ["pad(U)[2*i+a-2]", "pad(U)[i+2*a-2]", "wrap(U)[3*i-a]"])
def test_windows_with_strides_stay(read):
    function, _ = definition(f"dim i=9, a=5\ntensor U[i]\nlet S[i] = sum[a]({read})\n")
    assert window_sum(function.roots[0]) is None


def test_a_window_that_looks_back():
    function, sizes = definition("dim i=9, a=5\ntensor U[i]\nlet S[i] = sum[a](pad(U)[i-a])\n")
    form = window_sum(function.roots[0])
    assert form is None or assert_equal(function.roots[0], form, sizes) is None


@pytest.mark.parametrize("edge", ["wrap", "clamp", "mirror", 0])
def test_sums_that_are_written_out(edge):
    term = build.linear([(3, build.shift(U, "x", k, edge)) for k in range(-3, 5)])
    form = moving_sum(term)
    assert form is not None
    for n in (1, 2, 7, 30):
        assert_equal(term, form, {"x": n})
    gap = build.linear([(3, build.shift(U, "x", k, edge)) for k in (-3, -2, -1, 0, 1, 3)])
    assert moving_sum(gap) is None
    uneven = build.linear([(3 + (k == 2), build.shift(U, "x", k, edge)) for k in range(-3, 5)])
    assert moving_sum(uneven) is None


def test_explanations():
    texts = {
        "moving average": "dim i=1000, a=32\ntensor U[i]\nlet S[i] = sum[a](clamp(U)[i+a-16])/32\n",
        "box filter 15x15": "dim i=400, j=300, a=15, b=15\ntensor U[i,j]\nlet S[i,j] = sum[a,b](pad(U)[i+a-7, j+b-7])/225\n",
        "dilation": "dim i=1000, a=21\ntensor U[i]\nlet S[i] = max[a](clamp(U)[i+a-10])\n",
    }
    golden = []
    for title, text in texts.items():
        function, sizes = definition(text)
        found, report = optimize_function(function, sizes=sizes)
        assert report.after < report.before
        assert_equal(function.roots[0], found.roots[0], sizes)
        golden.append(explanation(title, report))
    assert_golden("windows", golden)
