"""Recurrences in other forms: joined loops, sums of linear ones, closed forms, last values; equal to the loops as they are written."""

import numpy as np
import pytest

from ricci import driver
from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build, reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import symbols, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph.optimize import optimize_function
from ricci.egraph.planners import recurring
from ricci.errors import Source
from tests.egraph.explained import assert_golden, explanation

HEAD = "dim s={}, e=64\ntensor x[s,e], y[s,e], g[s]\n"
TEXTS = {
    "cascade": "let z[s,e] = 0.9*z[s-1,e] + x[s,e]\nlet w[s,e] = 0.5*w[s-1,e] + 3*z[s,e]\n",
    "sum of equal recurrences": "let z[s,e] = g[s]*z[s-1,e] + x[s,e]\nlet q[s,e] = g[s]*q[s-1,e] + 2*y[s,e] + 1\nlet w[s,e] = 2*z[s,e] - q[s,e]\n",
    "last value": "let z[s,e] = 0.9*z[s-1,e] + x[s,e]*y[s,e]\nlet w[e] = z[{last},e]\n",
    "last of a running sum": "let z[s,e] = z[s-1,e] + x[s,e]\nlet w[e] = z[{last},e]\n",
    "counter": "let z[s] = z[s-1] + 1/3\nlet w[s] = 2*z[s]\n",
    "backwards": "let z[s,e] = 0.9*z[s+1,e] + x[s,e]\nlet w[s,e] = z[s,e] + 0.5*w[s+1,e]\n",
}


def definition(text):
    program = driver.discretize(driver.check_text(Source("test", text)))
    return [f for n, f in program.functions.items() if n.startswith("let:")][-1], program.sizes


def case(name, steps):
    return definition(HEAD.format(steps) + TEXTS[name].replace("{last}", str(steps - 1)))


def values_of(function, sizes, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.uniform(0.2, 1.2, [n.evaluate(sizes) for n in p.axes.values()]) for p in function.params]


def scans(function):
    return sum(t.op == "scan" for t in walk(function.roots))


FEWER = {"last of a running sum": 0, "counter": 0, "last value": 0}


@pytest.mark.parametrize("name", TEXTS)
def test_found_and_equal(name):
    function, sizes = case(name, 300)
    found, report = optimize_function(function, sizes=sizes)
    assert not report.diagnostics, report.to_text()
    assert scans(found) <= FEWER.get(name, 1) < scans(function) or scans(found) == FEWER.get(name) == 0
    arguments = values_of(function, sizes)
    for a, b in zip(reference.call(function, arguments, sizes), reference.call(found, arguments, sizes), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("name", TEXTS)
def test_every_form_is_equal_on_short_axes(name, steps):
    function, sizes = case(name, steps)
    terms = walk(function.roots)
    pairs = recurring.joined([t for t in terms if t.op == "scan"])
    for op, form in (("linear", recurring.merged), ("proj", recurring.closed), ("reindex", recurring.last)):
        pairs += [(t, form(t)) for t in terms if t.op == op and form(t) is not None]
    values = dict(zip([name_of(p) for p in function.params], values_of(function, sizes), strict=True))
    for before, after in pairs:
        assert before.type is after.type
        a, b = reference.evaluate([before, after], values, sizes)
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


def test_what_is_joined_runs():
    function, sizes = case("cascade", 17)
    found, _ = optimize_function(function, sizes=sizes)
    arguments = values_of(function, sizes)
    named = dict(zip([name_of(p) for p in function.params], arguments, strict=True))
    (expected,) = reference.call(function, arguments, sizes)
    (result,) = compile_function(found)(named, sizes).values()
    np.testing.assert_allclose(result, expected, rtol=1e-13)


def recurrence(body, first=0, axes=()):
    """z_s = body(z_{s-1}, x_s) over a symbolic axis."""
    from ricci.dsl.term import Function

    n = Size.of(Dim("n"))
    own = {a: Size.of(4) for a in axes}
    z, x = build.symbol("z", Type(Kind.REAL, own)), build.symbol("x", Type(Kind.REAL, own))
    entering = build.symbol("entering", Type(Kind.REAL, {**own, "s": n}))
    function = Function("", (z, x), (("0", body(z, x)),))
    return build.proj(build.scan(function, "s", n, [build.expand(build.const(first, Kind.REAL), own)], [entering]), 0)


def test_other_coefficients_and_bodies_stay_apart():
    slow = recurrence(lambda z, x: build.add(build.scale(2, z), x))
    fast = recurrence(lambda z, x: build.add(build.scale(3, z), x))
    square = recurrence(lambda z, x: build.add(build.mul(z, z), x))
    moving = recurrence(lambda z, x: build.add(build.shift(z, "i", 1), x), axes=("i",))
    assert recurring.merged(build.add(slow, fast)) is None
    assert recurring.recurrence_of(square) is None
    assert recurring.recurrence_of(moving) is None
    assert recurring.closed(slow) is None
    assert recurring.last(build.slice_at(square, "s", Size.of(Dim("n")) - 1)) is None
    assert recurring.last(build.slice_at(slow, "s", 0)) is None or Dim("n").lower == 1


def test_first_values_count():
    term = build.add(recurrence(lambda z, x: build.add(z, x), 5), build.scale(3, recurrence(lambda z, x: build.sub(z, x), 2)))
    form = recurring.merged(term)
    for n in (1, 4):
        a, b = reference.evaluate([term, form], {"entering": np.arange(float(n))}, {"n": n})
        np.testing.assert_allclose(b, a)


def test_powers_of_unknown_signs_are_not_taken():
    """The last value needs powers of the coefficient: of one that may be negative there is none in floating point."""
    text = "dim s=500, e=300\ntensor x[s,e], a[e]\nlet z[s,e] = a[e]*z[s-1,e] + x[s,e]\nlet w[e] = z[499,e]\n"
    function, sizes = definition(text)
    found, _ = optimize_function(function, sizes=sizes)
    assert scans(found) == 1
    assert not any(t.op == "map" and t.attrs == ("pow",) for t in walk(found.roots))


def test_a_loop_that_reads_other_steps_is_not_joined():
    text = "dim s=9\ntensor x[s]\nlet z[s] = 0.9*z[s-1] + x[s]\nlet w[s] = 0.5*w[s-1] + pad(z)[s+1]\n"
    function, _ = definition(text)
    assert recurring.joined([t for t in walk(function.roots) if t.op == "scan"]) == []


def test_explanations():
    golden = []
    for name in TEXTS:
        function, sizes = case(name, 300)
        assert symbols(function.roots) is not None
        _, report = optimize_function(function, sizes=sizes)
        golden.append(explanation(name, report))
    assert_golden("recurrences", golden)
