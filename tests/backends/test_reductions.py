"""Sums and extremes: numpy's meaning for NaN and nothing, fixed order for any number of threads."""

from itertools import product

import numpy as np
import pytest
from running import assert_close, everywhere, expected, shifted, size, symbol

from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Size, Type
from ricci.lowering.schedule import schedule


def reductions():
    u, k, p, z = (
        symbol("u", x="x", y="y"),
        symbol("k", Kind.INT, x="x", y="y"),
        symbol("p", Kind.BOOL, x="x", y="y"),
        symbol("z", Kind.COMPLEX, x="x", y="y"),
    )
    both = ["x", "y"]
    results = []
    for axes in (["x"], ["y"], both):
        tag = "".join(axes)
        results += [
            (f"sum{tag}", build.sum_over(u, axes)),
            (f"zsum{tag}", build.sum_over(build.mul(z, z), axes)),
            (f"ksum{tag}", build.sum_over(k, axes)),
        ]
        results += [
            (f"{op}{tag}", build.reduce(op, t, axes))
            for op, t in (("max", u), ("min", u), ("any", p), ("all", p), ("prod", build.cast(k, Kind.REAL)))
        ]
        results += [(f"k{op}{tag}", build.reduce(op, k, axes)) for op in ("max", "min")]
    dot = build.sum_over(build.mul(u, u, build.cast(k, Kind.REAL)), both)
    return Function("reductions", (u, k, p, z), (*results, ("dot", dot)))


def test_all_kinds():
    everywhere(reductions(), [{"x": n, "y": m} for n, m in ((1, 1), (3, 5), (17, 9), (200, 151))], tolerance=1e-11)


def test_not_a_number():
    u = symbol("u", x="x", y="y")
    results = [(f"{op}{''.join(axes)}", build.reduce(op, u, axes)) for op in ("max", "min") for axes in (["x"], ["y"], ["x", "y"])]
    function = Function("nan", (u,), (*results, ("sum", build.sum_over(u, ["x", "y"]))))
    executable = compile_function(function, use_cache=False)
    for bad, where in product([np.nan, np.inf, -np.inf], [0, 7, 12, 25]):
        values = np.random.default_rng(1).normal(size=(2, 13))
        values.flat[where] = bad
        found, wanted = executable({"u": values}, {"x": 2, "y": 13}), expected(function, {"u": values}, {"x": 2, "y": 13})
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-14, err_msg=name)


def test_nothing():
    """Over no lane: sum 0, product 1, max -inf, min inf."""
    u = symbol("u", x=size("x", 0), y="y")
    results = [(f"{op}{axis}", build.reduce(op, u, [axis])) for op in ("max", "min", "prod") for axis in "xy"]
    everywhere(Function("none", (u,), (*results, ("sum", build.sum_over(u, ["x"])))), [{"x": 0, "y": 3}, {"x": 2, "y": 9}])


def test_softmax_rows_stay_in_one_kernel():
    """Largest, exponentials, sum and quotient of a row are passes of one loop over the rows."""
    s = symbol("s", a="a", b="b")
    e = build.apply("exp", build.sub(s, build.reduce("max", s, ["b"])))
    soft = build.mul(e, build.apply("recip", build.sum_over(e, ["b"])))
    executable = everywhere(Function("softmax", (s,), (("soft", soft),)), [{"a": n, "b": m} for n, m in ((1, 1), (5, 3), (60, 90))])
    assert len(executable.kernels) == 1


def test_masked_softmax():
    """A causal mask with fill -inf."""
    s = symbol("s", a="a", b="a")
    masked = build.where(build.apply("ge", build.iota("a", s.axes["a"]), build.iota("b", s.axes["b"])), s, build.const(float("-inf")))
    e = build.apply("exp", build.sub(masked, build.reduce("max", masked, ["b"])))
    everywhere(
        Function("causal", (s,), (("soft", build.mul(e, build.apply("recip", build.sum_over(e, ["b"])))),)), [{"a": n} for n in (1, 2, 19)]
    )


def matrices():
    a, b, c = symbol("a", i="i", j="j"), symbol("b", j="j", k="k"), symbol("c", k="k", m="m")
    x = symbol("x", j="j")
    chain = build.contract([(a, {"j": "J"}), (b, {"j": "J", "k": "K"}), (c, {"k": "K"})], {"J": a.axes["j"], "K": b.axes["k"]})
    vector = build.contract([(a, {"j": "J"}), (x, {"j": "J"})], {"J": a.axes["j"]})
    gram = build.contract([(a, {"i": "I"}), (build.rename(a, {"j": "j'"}), {"i": "I"})], {"I": a.axes["i"]})
    trace = build.contract([(b, {"j": "J", "k": "K"}), (b, {"j": "J", "k": "K"}), (x, {"j": "J"})], {"J": a.axes["j"], "K": b.axes["k"]})
    shifted = build.contract([(build.apply("exp", a), {"j": "J"}), (build.scale(2, b), {"j": "J"})], {"J": a.axes["j"]})
    return Function(
        "matrices", (a, b, c, x), (("chain", chain), ("vector", vector), ("gram", gram), ("trace", trace), ("shifted", shifted))
    )


def test_contractions():
    everywhere(matrices(), [dict(zip("ijkm", n, strict=True)) for n in ((1, 1, 1, 1), (3, 2, 5, 4), (31, 17, 9, 20))], tolerance=1e-12)
    assert "product" in schedule(matrices()).show()


def test_contraction_inside_a_loop_is_compiled():
    a, x, k = symbol("a", i="n", j="n"), symbol("x", j="n"), symbol("k", Kind.INT)
    step = build.rename(build.contract([(a, {"j": "J"}), (x, {"j": "J"})], {"J": a.axes["j"]}), {"i": "j"})
    body = Function("b", (k, x, a), (("k", build.add(k, build.const(1))), ("x", step)))
    loop = build.iterate(body, Function("c", (k, x, a), (("on", build.apply("lt", k, build.const(3))),)), [build.const(0), x], [a])
    everywhere(Function("power", (a, x), (("x", build.proj(loop, 1)),)), [{"n": n} for n in (1, 5, 30)], tolerance=1e-12)


def test_scatter_and_gather():
    t, i = symbol("t", a="a", b="b"), symbol("i", Kind.INT, a="a")
    counts = build.scatter(t, i, "v", size("v"), ["a"])
    picked = build.gather(counts, "v", i)
    executable = everywhere(
        Function("graph", (t, i), (("counts", counts), ("picked", picked))), [{"a": n, "b": 3, "v": 4} for n in (1, 6, 40)]
    )
    assert_close(
        executable({"t": np.ones((2, 1)), "i": np.array([-5, 99])}, {"a": 2, "b": 1, "v": 3}),
        {"counts": np.zeros((1, 3)), "picked": np.zeros((2, 1))},
    )


@pytest.mark.parametrize(("op", "edge", "shift", "over"), [("sum", "clamp", "k", "j"), ("max", 0, "j", "k"), ("sum", 0, "k", "i")])
def test_reductions_of_what_is_read_past_an_end(op, edge, shift, over):
    """The first point has a loop of one turn, and a total of its own: the other points may not store that one."""
    u = symbol("u", i="i", j="j", k="k")
    t = build.mul(shifted(u, shift, -1, edge), u)
    total = build.sum_over(t, [over]) if op == "sum" else build.reduce(op, t, [over])
    everywhere(Function("ends", (u,), (("total", total),)), [{"i": 4, "j": 3, "k": 5}, {"i": 1, "j": 2, "k": 17}, {"i": 9, "j": 1, "k": 1}])


def test_matrix_products_of_parts_of_arrays():
    """The part of a slot that a view names, and no more, goes to the library."""
    whole, rows, inner = Size.of(40), Size.of(17), Size.of(23)
    a, b = (build.symbol(name, Type(Kind.REAL, {"i": whole, "j": whole})) for name in "ab")
    left = build.reindex(a, {"i": rows, "k": inner}, {"i": Index.axis("i"), "j": Index.axis("k")}, (), 0)
    right = build.reindex(b, {"k": inner, "j": whole}, {"i": Index.axis("k") + 5, "j": Index.axis("j")}, (), 0)
    term = build.contract([(left, {"k": "k"}), (right, {"k": "k"})], {"k": inner})
    everywhere(Function("part", (a, b), (("y", term),)), [{}], threads=(1, 2))
