"""The interpreter: arrays, recurrences, loops, random numbers, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from ricci.dsl import build as b
from ricci.dsl.ops.random import draw, philox
from ricci.dsl.reference import call, evaluate
from ricci.dsl.term import Function, TermError
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.errors import RicciError

N = Size.of(Dim("n"))
R = Type(Kind.REAL)


def real(name: str, **axes: int | Size) -> b.Term:
    return b.symbol(name, Type(Kind.REAL, axes))


def test_arrays_have_their_axes_in_sorted_order() -> None:
    u = real("u", x=2, y=3)
    v = b.rename(u, {"x": "z"})  # axes y, z: the order turns around
    data = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(evaluate([v], {"u": data})[0], data.T)


def test_missing_and_misshapen_values_are_named() -> None:
    u = real("u", x=N)
    with pytest.raises(TermError, match="`u`"):
        evaluate([u], {}, {"n": 3})
    with pytest.raises(TermError, match=r"`u` has shape \(2,\)"):
        evaluate([u], {"u": np.zeros(2)}, {"n": 3})
    with pytest.raises(TermError, match="discretization"):
        evaluate([b.partial(u, "x")], {"u": np.zeros(3)}, {"n": 3})


def test_constants_of_mathematics_have_values() -> None:
    assert evaluate([b.pi()])[0] == np.pi
    assert evaluate([b.im()])[0] == 1j
    assert evaluate([b.size_term(N * N + 1)], {}, {"n": 4})[0] == 17


def test_powers_of_a_size_in_a_real_product_are_real() -> None:
    n = b.size_term(N)
    u = real("u", x=2)
    (value,) = evaluate([b.mul(b.power(n, 6), u)], {"u": np.array([1.0, 0.5])}, {"n": 4096})
    assert value.tolist() == [4096.0**6, 0.5 * 4096.0**6]  # 2^72 is beyond 64 bits


def test_calls_bind_params_by_place() -> None:
    x, y = real("x"), real("y")
    f = Function("f", (y, x), (("difference", b.sub(x, y)), ("twice", b.scale(2, y))))
    assert [float(v) for v in call(f, [1.0, 5.0], {})] == [4.0, 2.0]
    with pytest.raises(TermError, match="takes 2 arguments"):
        call(f, [1.0], {})


def test_scan_both_ways_over_a_later_axis() -> None:
    u = real("u", a=2, s=N)
    c, x = real("c", a=2), real("x", a=2)
    body = Function("sum", (c, x), (("c", b.add(c, x)),))
    data = np.arange(8.0).reshape(2, 4)
    for reverse, expected in ((False, np.cumsum(data, 1)), (True, np.cumsum(data[:, ::-1], 1)[:, ::-1])):
        t = b.proj(b.scan(body, "s", N, [b.const(0)], [u], reverse=reverse), 0)
        assert np.array_equal(evaluate([t], {"u": data}, {"n": 4})[0], expected)


def test_nested_recurrences() -> None:
    """A scan whose body scans: sums over both axes of running sums."""
    u = real("u", s=3, r=4)
    inner_c, inner_x = real("c"), real("x")
    inner = Function("inner", (inner_c, inner_x), (("c", b.add(inner_c, inner_x)),))
    c, x = real("c"), real("row", r=4)
    row_sum = b.slice_at(b.proj(b.scan(inner, "r", 4, [b.const(0)], [x]), 0), "r", 3)
    outer = Function("outer", (c, x), (("c", b.add(c, row_sum)),))
    data = np.arange(12.0).reshape(4, 3)  # axes r, s
    t = b.proj(b.scan(outer, "s", 3, [b.const(0)], [u]), 0)
    assert np.array_equal(evaluate([t], {"u": data})[0], np.cumsum(data.sum(0)))


def test_iterate_counts_its_steps_and_may_do_none() -> None:
    k, top = b.symbol("k", Type(Kind.INT)), b.symbol("top", Type(Kind.INT))
    body = Function("next", (k, top), (("k", b.add(k, b.const(2))),))
    cond = Function("more", (k, top), (("more", b.apply("lt", k, top)),))
    loop = b.iterate(body, cond, [b.const(0)], [top])
    for limit, last, count in ((7, 8, 4), (0, 0, 0)):
        assert [int(v) for v in evaluate([b.proj(loop, 0), b.proj(loop, 1)], {"top": limit})] == [last, count]


def test_deep_terms_do_not_recurse() -> None:
    t = real("x")
    for k in range(20000):
        t = b.apply("sin" if k % 2 else "atan", t)
    assert np.isfinite(evaluate([t], {"x": 0.3})[0])


def test_gather_and_scatter_outside_the_axis() -> None:
    u = real("u", x=3)
    i = b.symbol("i", Type(Kind.INT, {"k": Size.of(4)}))
    at = np.array([-1, 2, 3, 2])
    assert evaluate([b.gather(u, "x", i)], {"u": np.array([1.0, 2.0, 3.0]), "i": at})[0].tolist() == [0, 3, 0, 3]
    v = real("v", k=4)
    assert evaluate([b.scatter(v, i, "x", 3, ["k"])], {"v": np.ones(4), "i": at})[0].tolist() == [0, 0, 2]
    truth = b.apply("lt", b.const(1), u)
    assert evaluate([b.gather(truth, "x", i)], {"u": np.array([1.0, 2.0, 3.0]), "i": at})[0].tolist() == [False, True, False, True]


def test_reductions_over_no_lane() -> None:
    u = b.symbol("u", Type(Kind.REAL, {"x": Size.of(Dim("n", 0))}))
    i = b.symbol("i", Type(Kind.INT, {"x": Size.of(Dim("n", 0))}))
    values = {"u": np.zeros(0), "i": np.zeros(0, int)}

    def value(op: str, t: b.Term) -> float:
        return evaluate([b.reduce(op, t, ["x"])], values, {"n": 0})[0].item()

    assert value("max", u) == -np.inf
    assert value("min", u) == np.inf
    assert value("prod", u) == 1
    assert value("max", i) == -(2**63)
    assert value("any", b.apply("lt", u, u)) is False
    assert value("all", b.apply("lt", u, u)) is True
    assert evaluate([b.sum_over(u, ["x"])], values, {"n": 0})[0] == 0
    with pytest.raises(TermError, match="empty"):
        value("argmax", u)


def test_reductions_propagate_nan_and_find_places() -> None:
    u = real("u", x=4, y=2)
    data = np.array([[1.0, np.nan], [3.0, 2.0], [3.0, 0.0], [-1.0, 5.0]])
    top, place = evaluate([b.reduce("max", u, ["x"]), b.reduce("argmax", u, ["x"])], {"u": data})
    assert np.array_equal(top, [3.0, np.nan], equal_nan=True)
    assert place.tolist() == [1, 0]
    assert evaluate([b.reduce("argmin", u, ["x"])], {"u": np.nan_to_num(data)})[0].tolist() == [3, 0]


def test_singular_systems_and_bad_factorizations_are_coded() -> None:
    a, rhs = real("a", i=2, j=2), real("b", i=2)
    x, m = real("x", j=2), real("m", i=2, j=2)
    apply = Function("apply", (x, m), (("b", b.contract([(m, {}), (x, {})], {"j": Size.of(2)})),))
    solved = b.proj(b.library("solve", (rhs, a), (apply,)), 0)
    with pytest.raises(RicciError, match="singular"):
        evaluate([solved], {"a": np.ones((2, 2)), "b": np.ones(2)})
    with pytest.raises(RicciError, match="positive definite"):
        evaluate([b.proj(b.library("cholesky", (a,), ("i", "j")), 0)], {"a": -np.eye(2)})
    short = b.library("rfft", (real("u", x=5),), ("x", "k", 4))
    with pytest.raises(RicciError, match="frequencies"):
        evaluate([b.proj(short, 0)], {"u": np.zeros(5)})
    shifted = Function("apply", (x, m), (("b", b.add(b.contract([(m, {}), (x, {})], {"j": Size.of(2)}), b.const(1))),))
    with pytest.raises(TermError, match="constant part"):
        evaluate([b.proj(b.library("solve", (rhs, a), (shifted,)), 0)], {"a": np.eye(2), "b": np.ones(2)})


def test_philox_gives_the_published_words() -> None:
    """Known answers of philox4x32-10 from the Random123 distribution (kat_vectors)."""
    ones = 0xFFFFFFFF
    cases = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones, ones), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, words in cases:
        assert tuple(int(w) for w in philox(counter, key)) == words


def test_draws_depend_on_stream_counter_and_place_only() -> None:
    first = b.random("noise", b.const(3), {"y": 4, "x": N})
    (value,) = evaluate([first], {}, {"n": 5})
    assert value.shape == (5, 4)  # axes x, y; places count along x within y
    assert np.array_equal(value.T.ravel(), draw("noise", 3, 20, "uniform"))
    (renamed,) = evaluate([b.random("noise", b.const(3), {"a": 4, "z": N})], {}, {"n": 5})
    assert np.array_equal(renamed, value.T)
    others = [b.random("noise", b.const(4), {"y": 4, "x": N}), b.random("other", b.const(3), {"y": 4, "x": N})]
    for other in evaluate(others, {}, {"n": 5}):
        assert not np.any(other == value)
    assert first is b.random("noise", b.const(3), {"y": 4, "x": N})
    assert np.array_equal(draw("noise", -1, 7, "normal"), draw("noise", -1, 9, "normal")[:7])


def test_draws_have_their_distributions() -> None:
    count = 200_000
    u, z = draw("a", 0, count, "uniform"), draw("a", 0, count, "normal")
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * (1 / 12 / count) ** 0.5
    assert abs(z.mean()) < 4 / count**0.5
    assert abs(z.std() - 1) < 4 / (2 * count) ** 0.5
    assert abs(np.mean(z**4) - 3) < 4 * (96 / count) ** 0.5
    edges = np.linspace(0, 1, 65)
    observed = np.histogram(u, edges)[0]
    assert np.sum((observed - count / 64) ** 2 / (count / 64)) < 63 + 5 * (2 * 63) ** 0.5


def test_draws_inside_a_recurrence_differ_by_step() -> None:
    k = b.symbol("k", Type(Kind.INT))
    c = real("c")
    body = Function("walk", (k, c), (("k", b.add(k, b.const(1))), ("c", b.random("step", k, {}))))
    t = b.proj(b.scan(body, "s", 6, [b.const(0), b.const(0)], []), 1)
    value = evaluate([t])[0]
    assert len(set(value.tolist())) == 6
    assert value[2] == draw("step", 2, 1, "uniform")[0]


def test_the_language_loads_without_heavy_packages() -> None:
    code = "import sys, ricci.dsl.build, ricci.dsl.reference; print([m for m in ('scipy', 'sympy', 'numba', 'egglog') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_values_that_are_not_finite_raise_no_warnings():
    x = real("x", i=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (value,) = evaluate([b.apply("recip", b.apply("sqrt", x))], {"x": np.array([0.0, -1.0, 1e-300])})
    assert np.isinf(value[0])
    assert np.isnan(value[1])
