"""reindex: meaning against a loop over lanes, adjoint identity, composition, normal forms, pushing."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from math import inf

import numpy as np
import pytest

from ricci.dsl import build as b
from ricci.dsl.derivative import gradient
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import OPERATORS, Environment
from ricci.dsl.ops.reindex import plain_pull, pull_of, split_expand
from ricci.dsl.push import push_reindex, push_reindexes
from ricci.dsl.reference import evaluate
from ricci.dsl.term import Term, TermError, walk
from ricci.dsl.types import Dim, Kind, Size, Type

N = Size.of(Dim("n"))
X, Y, OUT, M = (Index.axis(name) for name in ("x", "y", "o", "m"))


def real(name: str, **axes: int | Size) -> Term:
    return b.symbol(name, Type(Kind.REAL, axes))


def random_index(rng: random.Random, names: list[str], depth: int = 2) -> Index:
    e = Index.of(rng.randint(-2, 3))
    for _ in range(rng.randint(0, 2)):
        if depth and rng.random() < 0.45:
            inner = random_index(rng, names, depth - 1)
            atom = getattr(inner, rng.choice(["mod", "div", "clamp", "mirror"]))(rng.randint(1, 6))
        elif names:
            atom = Index.axis(rng.choice(names))
        else:
            continue
        e = e + atom * rng.choice([1, 1, 1, -1, 2, 3, -2, 5])
    return e


def random_sizes(rng: random.Random, names: list[str], most: int) -> dict[str, int]:
    sizes = {name: rng.choice([1, 2, 3, 4, 5]) for name in sorted(rng.sample(names, rng.randint(0, most)))}
    if sizes and rng.random() < 0.05:
        sizes[rng.choice(list(sizes))] = 0
    return sizes


def lanes(source, out, index, guards, fill):
    """The definition: one lane at a time."""
    result = np.full(tuple(out.values()), fill, float)
    for lane in itertools.product(*[range(n) for n in out.values()]):
        at = dict(zip(out, lane, strict=True))
        position = [index[a].evaluate(at, {}) for a in sorted(index)]
        inside = all(0 <= p < n for p, n in zip(position, source.shape, strict=True))
        if inside and all(g.evaluate(at, {}) for g in guards):
            result[lane] = source[tuple(position)]
    return result


@pytest.mark.parametrize("block", range(4))
def test_meaning_adjoint_and_composition_of_random_maps(block):
    for seed in range(block * 400, block * 400 + 400):
        rng = random.Random(seed)
        numbers = np.random.default_rng(seed)
        source, out = random_sizes(rng, ["a", "b", "c"], 2), random_sizes(rng, ["a", "b", "c"], 3)
        index = {axis: random_index(rng, list(out)) for axis in source}
        guards = []
        for _ in range(rng.randint(0, 2)):
            lo = rng.randint(-2, 4)
            guards.append(Guard(lo, random_index(rng, list(out), 1), lo + rng.randint(0, 4)))
        fill = rng.choice([0, 0, 2])
        t, g = real("t", **source), real("g", **out)
        values = {"t": numbers.normal(size=tuple(source.values())), "g": numbers.normal(size=tuple(out.values()))}

        pulled = b.reindex(t, out, index, guards, fill)
        assert pulled.type is Type(Kind.REAL, out)
        wanted = lanes(values["t"], out, index, guards, fill)
        np.testing.assert_array_equal(evaluate([pulled], values)[0], wanted)

        linear = b.reindex(t, out, index, guards, 0)
        (back,) = gradient([(linear, g)], [t])
        assert back.type is t.type
        forward, backward = evaluate([linear, back], values)
        np.testing.assert_allclose((forward * values["g"]).sum(), (values["t"] * backward).sum(), atol=1e-11, err_msg=str(seed))

        further = random_sizes(rng, ["a", "b", "d"], 2)
        second = {axis: random_index(rng, list(further)) for axis in out}
        beyond = rng.choice([0, 0, 2])
        composed = b.reindex(pulled, further, second, (), beyond)
        np.testing.assert_array_equal(evaluate([composed], values)[0], lanes(wanted, further, second, (), beyond), err_msg=str(seed))


def test_maps_of_symbolic_size_hold_for_every_size():
    """Normal forms may use only what holds for all sizes: evaluate each at several, one point included."""
    for seed in range(250):
        rng = random.Random(seed)
        sizes = [N, N + 1, N * 2, Size.of(Dim("q")), Size.of(3)]
        source, out = {"a": rng.choice(sizes), "b": rng.choice(sizes)}, {"a": rng.choice(sizes), "o": rng.choice(sizes)}
        index = {}
        for axis, size in source.items():
            e = (
                Index.axis(rng.choice(["a", "o"])) * rng.choice([1, 1, -1, 2])
                + rng.choice([0, 1, -1, 2])
                + rng.choice([Size.of(0), N, N - 1])
            )
            index[axis] = rng.choice([e, e.mod(size), e.clamp(size), e.mirror(size), e.div(2)])
        t, g = real("t", **source), real("g", **out)
        pulled = b.reindex(t, out, index, (), 0)
        (back,) = gradient([(pulled, g)], [t])
        for dims in ({"n": 1, "q": 1}, {"n": 2, "q": 5}, {"n": 5, "q": 3}):
            numbers = np.random.default_rng(seed)
            values = {
                "t": numbers.normal(size=[s.evaluate(dims) for s in source.values()]),
                "g": numbers.normal(size=[s.evaluate(dims) for s in out.values()]),
            }
            forward, backward = evaluate([pulled, back], values, dims)
            numeric = {axis: bound_index(e, dims) for axis, e in index.items()}
            wanted = lanes(values["t"], {o: s.evaluate(dims) for o, s in out.items()}, numeric, (), 0)
            np.testing.assert_array_equal(forward, wanted, err_msg=str((seed, dims)))
            np.testing.assert_allclose((forward * values["g"]).sum(), (values["t"] * backward).sum(), atol=1e-11, err_msg=str(seed))


class bound_index:
    """An index with its dims given."""

    def __init__(self, index, dims):
        self.index, self.dims = index, dims

    def evaluate(self, axes, _):
        return self.index.evaluate(axes, self.dims)


# normal form


def test_identity_rename_and_prefix():
    u = real("u", x=N)
    assert b.reindex(u, {"x": N}, {}) is u
    assert b.rename(b.rename(u, {"x": "y"}), {"y": "x"}) is u
    assert plain_pull(b.rename(u, {"x": "y"})) is not None
    a = real("a", x=4)
    prefix = b.reindex(a, {"x": 2}, {"x": X})
    assert prefix is not a
    assert plain_pull(prefix) is None, "a rename keeps the size"
    (back,) = gradient([(prefix, real("g", x=2))], [a])
    np.testing.assert_array_equal(evaluate([back], {"g": np.array([1.0, 2.0])})[0], [1, 2, 0, 0])
    product = b.contract([(prefix, {}), (real("c", x=2), {})], {"x": Size.of(2)})
    np.testing.assert_array_equal(evaluate([product], {"a": np.arange(4.0), "c": np.array([3.0, 5.0])})[0], 5.0)


def test_wrapped_shifts_are_a_group_and_zero_edge_shifts_are_not():
    u = real("u", x=N)
    assert b.shift(b.shift(u, "x", 3), "x", -3) is u
    assert b.shift(b.shift(u, "x", 1), "x", 1) is b.shift(u, "x", 2)
    there_and_back = b.shift(b.shift(u, "x", 1, 0), "x", -1, 0)
    assert there_and_back is not u
    assert [str(g) for g in pull_of(there_and_back).guards] == ["1 <= x < #n"]
    np.testing.assert_array_equal(evaluate([there_and_back], {"u": np.arange(1.0, 5.0)}, {"n": 4})[0], [0, 2, 3, 4])
    np.testing.assert_array_equal(evaluate([there_and_back], {"u": np.ones(1)}, {"n": 1})[0], [0])


def test_merge_of_split_is_the_term():
    u = real("u", i=N * 4)
    q = Size.of(4)
    split = b.reindex(u, {"r": N, "s": 4}, {"i": Index.axis("r") * 4 + Index.axis("s")})
    merged = b.reindex(split, {"i": N * 4}, {"r": Index.axis("i").div(q), "s": Index.axis("i").mod(q)})
    assert merged is u
    assert not pull_of(split).guards


def test_different_fills_stay_nested():
    u = real("u", x=N)
    inner = b.shift(u, "x", 1, 1)
    outer = b.shift(inner, "x", 1, 0)
    assert pull_of(outer).fill == 0
    assert outer.args[0] is inner
    np.testing.assert_array_equal(evaluate([outer], {"u": np.array([5.0, 6.0, 7.0])}, {"n": 3})[0], [7, 1, 0])


def test_lanes_behind_a_guard_may_leave_every_domain():
    """Composing under a guard gives indices beyond one reflection; atoms are total."""
    u = real("u", x=3)
    mirrored = b.reindex(u, {"x": 9}, {"x": (X - 3).mirror(3)})
    far = b.reindex(mirrored, {"x": 20}, {"x": 3 * X - 20}, (), 0)
    wanted = lanes(np.array([1.0, 2.0, 3.0]), {"x": 9}, {"x": (X - 3).mirror(3)}, (), 0)
    np.testing.assert_array_equal(evaluate([far], {"u": np.array([1.0, 2.0, 3.0])})[0], lanes(wanted, {"x": 20}, {"x": 3 * X - 20}, (), 0))


@pytest.mark.parametrize("name", ["c", "t", "self", "axes", "fill", "k", "term", "x y", "'", "lambda"])
def test_axes_are_data(name):
    u = b.symbol("u", Type(Kind.REAL, {name: 3, "i": 2}))
    moved = b.reindex(u, {name: 3, "i": 2}, {name: Index.axis(name) + 1}, (), 0)
    value = np.arange(6.0).reshape([2, 3] if name > "i" else [3, 2])
    axis = sorted([name, "i"]).index(name)
    got = evaluate([moved], {"u": value})[0]
    np.testing.assert_array_equal(np.moveaxis(got, axis, 0)[:2], np.moveaxis(value, axis, 0)[1:])
    total = b.contract([(u, {name: "k0"}), (u, {name: "k0"})], {"k0": Size.of(3), "i": Size.of(2)})
    np.testing.assert_array_equal(evaluate([total], {"u": value})[0], (value**2).sum())


def test_a_guard_is_dropped_only_for_all_sizes():
    assert pull_of(b.slice_at(real("u", x=N), "x", 2)).guards, "n may be 1 or 2"
    assert not pull_of(b.slice_at(real("u", x=Size.of(Dim("n", 3))), "x", 2)).guards
    with pytest.raises(TermError, match="fill"):
        b.reindex(real("u", x=N), {"x": N}, {"x": X + 1})
    with pytest.raises(TermError, match="not axes of its result"):
        b.reindex(real("u", x=N), {"y": N}, {"x": X}, (), 0)
    with pytest.raises(TermError):
        b.reindex(real("u", x=N), {"x": N}, {"z": X}, (), 0)


@pytest.mark.parametrize("fold", ["mod", "clamp", "mirror"])
def test_an_axis_that_may_be_empty_is_guarded(fold):
    empty = Size.of(Dim("m", 0))
    u = real("u", x=empty)
    wider = b.reindex(u, {"o": 3}, {"x": getattr(OUT, fold)(empty)}, (), 7)
    assert pull_of(wider).guards
    np.testing.assert_array_equal(evaluate([wider], {"u": np.zeros(0)}, {"m": 0})[0], [7, 7, 7])
    np.testing.assert_array_equal(evaluate([wider], {"u": np.ones(1)}, {"m": 1})[0], [1, 1, 1])
    same = b.reindex(u, {"x": empty}, {"x": getattr(X + 1, fold)(empty)})
    assert not pull_of(same).guards, "where a lane exists the axis is not empty"


def test_constants_broadcasts_and_index_values():
    assert b.reindex(b.const(3), {"x": N}, {}) is b.expand(b.const(3), {"x": N})
    assert b.reindex(b.const(0), {"x": N}, {}, [Guard(1, X, 2)], 0) is b.expand(b.const(0), {"x": N})
    three = b.reindex(b.const(3), {"x": N}, {}, [Guard(1, X, 2)], 0)
    assert three is b.scale(3, b.indicator({"x": N}, [Guard(1, X, 2)]))
    assert b.reindex(b.iota("x", N), {"x": N}, {"x": N - 1 - X}) is b.add(b.size_term(N), b.const(-1), b.neg(b.iota("x", N)))
    never = b.reindex(real("u", x=N), {"x": N}, {"x": X + N}, (), Fraction(1, 2))
    assert never is b.expand(b.const(Fraction(1, 2)), {"x": N})
    core, extra = split_expand(b.expand(b.shift(real("u", x=N), "x", 1, 0), {"y": 3}))
    assert core is b.shift(real("u", x=N), "x", 1, 0)
    assert extra == {"y": Size.of(3)}
    assert b.expand(b.scale(2, real("u", x=N)), {"y": 3}) is b.scale(2, b.expand(real("u", x=N), {"y": 3}))
    assert b.shift(b.scale(2, real("u", x=N)), "x", 1) is b.scale(2, b.shift(real("u", x=N), "x", 1))


def test_infinite_and_fractional_fills_and_truth_values():
    u = real("u", x=3)
    masked = b.reindex(u, {"x": 3}, {}, [Guard(0, X, 2)], -inf)
    np.testing.assert_array_equal(evaluate([masked], {"u": np.array([1.0, np.nan, np.nan])})[0], [1, np.nan, -np.inf])
    k = b.symbol("k", Type(Kind.INT, {"x": 3}))
    lifted = b.reindex(k, {"x": 3}, {"x": X + 1}, (), Fraction(1, 2))
    assert lifted.kind == Kind.REAL
    np.testing.assert_array_equal(evaluate([lifted], {"k": np.array([1, 2, 3])})[0], [2, 3, 0.5])
    kept = b.reindex(k, {"x": 3}, {"x": X + 1}, (), 7)
    assert evaluate([kept], {"k": np.array([1, 2, 3])})[0].dtype == np.int64
    flag = b.symbol("flag", Type(Kind.BOOL, {"x": 3}))
    np.testing.assert_array_equal(
        evaluate([b.reindex(flag, {"x": 3}, {"x": X + 1}, (), True)], {"flag": np.array([True, False, False])})[0], [False, False, True]
    )


def test_guards_on_one_index_map_have_no_unique_form_but_one_value():
    """w[|x<4] + w[|1<=x] = 2w - [x==0]w - [x==4]w: different terms, equal values."""
    w = real("w", x=5)
    left = b.add(b.reindex(w, {"x": 5}, {}, [Guard(0, X, 4)], 0), b.reindex(w, {"x": 5}, {}, [Guard(1, X, 5)], 0))
    at = [b.mul(b.indicator({"x": 5}, [Guard.equal(X, k)]), w) for k in (0, 4)]
    right = b.linear([(2, w), (-1, at[0]), (-1, at[1])])
    assert left is not right
    np.testing.assert_array_equal(*evaluate([left, right], {"w": np.arange(1.0, 6.0)}))


def test_shifts_and_slices_of_arrays_copy_nothing():
    u = real("u", x=6, y=4)
    value = np.arange(24.0).reshape(6, 4)
    views = [
        b.reindex(u, {"x": 3, "y": 4}, {"x": 2 * X + 1}),
        b.reindex(u, {"x": 6, "y": 4}, {"x": 5 - X}),
        b.rename(u, {"x": "y", "y": "x"}),
        b.expand(u, {"z": 3}),
        b.slice_at(u, "y", 2),
    ]
    wanted = [value[1::2], value[::-1], value.T, np.repeat(value[:, :, None], 3, 2), value[:, 2]]
    for view, exact in zip(views, wanted, strict=True):
        got = OPERATORS["reindex"].meaning(view, [value], Environment({}, {}))
        np.testing.assert_array_equal(got, exact)
        assert np.shares_memory(got, value)


# adjoint: the shapes of algebra.md, section 4


def adjoint(source, out, index, guards=()):
    t = b.symbol("t", Type(Kind.REAL, source))
    g = b.symbol("g", Type(Kind.REAL, out))
    (back,) = gradient([(b.reindex(t, out, index, guards, 0), g)], [t])
    return back


def only_map(term):
    """Index entries and guards of the single reindex of g in a term."""
    (found,) = [pull_of(t) for t in walk([term]) if t.op == "reindex" and t.args[0].op == "symbol"]
    return [f"{a}={e}" for a, e in found.entries], [str(g) for g in found.guards]


def test_adjoints_have_no_scatter():
    assert only_map(adjoint({"x": N}, {"x": N}, {"x": (X + 1).mod(N)})) == (["x=mod(x - 1, #n)"], [])
    assert only_map(adjoint({"x": N * 2}, {"o": N}, {"x": 2 * OUT})) == (["o=div(x, 2)"], ["mod(x, 2) == 0"])
    split = {"r": Index.axis("i").div(5), "s": Index.axis("i").mod(5)}
    assert only_map(adjoint({"r": N, "s": 5}, {"i": N * 5}, split)) == (["i=5*r + s"], [])
    merge = {"i": 5 * Index.axis("r") + Index.axis("s")}
    assert only_map(adjoint({"i": N * 5}, {"r": N, "s": 5}, merge)) == (["r=div(i, 5)", "s=mod(i, 5)"], [])
    diagonal = adjoint({"a": N, "b": N}, {"d": N}, {"a": Index.axis("d"), "b": Index.axis("d")})
    assert only_map(diagonal) == (["d=a"], ["a - b == 0"])


def test_adjoint_of_a_window_sums_the_small_axis():
    window = adjoint({"x": N}, {"m": 3, "o": N}, {"x": OUT + M - 1})
    (summed,) = [t for t in walk([window]) if t.op == "contract"]
    assert summed.attrs.bound == (Size.of(3),)


def test_adjoint_of_a_clamped_shift_puts_the_end_in_one_place():
    """u[min(x + 1, n - 1)]: the end value is read twice, so its cotangent has two terms, and no sum remains."""
    back = adjoint({"x": N}, {"x": N}, {"x": (X + 1).clamp(N)})
    assert not [t for t in walk([back]) if t.op == "contract" and t.attrs.bound]
    for n in (1, 2, 5):
        g = np.arange(1.0, n + 1)
        dense = np.zeros((n, n))
        dense[np.arange(n), np.minimum(np.arange(n) + 1, n - 1)] = 1
        np.testing.assert_array_equal(evaluate([back], {"g": g}, {"n": n})[0], dense.T @ g)


# pushing


def laplacian(u):
    return b.linear([(1, b.shift(u, "x", -1, 0)), (-2, u), (1, b.shift(u, "x", 1, 0))])


def test_zero_edge_laplacian_twice_is_the_square_of_the_matrix():
    u = real("u", x=N)
    twice = laplacian(laplacian(u))
    (flat,) = push_reindexes([twice])
    assert all(t.args[0] is u for t in walk([flat]) if t.op == "reindex")
    for n in (1, 2, 7):
        matrix = -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
        value = np.random.default_rng(0).normal(size=n)
        for got in evaluate([twice, flat], {"u": value}, {"n": n}):
            np.testing.assert_allclose(got, matrix @ matrix @ value, atol=1e-13)


def test_div_a_grad_is_its_own_adjoint():
    u, g, a = real("u", x=N), real("g", x=N), b.symbol("a", Type(Kind.REAL, {"x:f": N + 1}))
    face, faces = Index.axis("x:f"), {"x:f": N + 1}

    def operator(w):
        jump = b.sub(b.reindex(w, faces, {"x": face}, (), 0), b.reindex(w, faces, {"x": face - 1}, (), 0))
        flux = b.mul(a, jump)
        return b.sub(b.reindex(flux, {"x": N}, {"x:f": X + 1}), b.reindex(flux, {"x": N}, {"x:f": X}))

    (transposed,) = gradient([(operator(u), g)], [u])
    assert push_reindexes([transposed]) == push_reindexes([operator(g)])


def test_a_guard_goes_to_one_factor_or_becomes_an_indicator():
    a, u = real("a", x=N, y=N), real("u", x=N)
    product = b.contract([(a, {"x": "x", "y": "y"}), (u, {})], {})
    both = b.reindex(product, {"x": N, "y": N}, {"x": X + 1, "y": Y}, [Guard(0, X + Y, N)], 0)
    pushed = push_reindex(both)
    assert pushed.op == "contract"
    outer = b.contract([(u, {}), (real("v", y=N), {})], {})
    apart = push_reindex(b.reindex(outer, {"x": N, "y": N}, {}, [Guard(0, X + Y, N)], 0))
    assert [t for t in walk([apart]) if t.op == "const"], "no factor has x and y: the guard is an indicator"
    numbers = np.random.default_rng(1)
    values = {"a": numbers.normal(size=(4, 4)), "u": numbers.normal(size=4), "v": numbers.normal(size=4)}
    whole = b.reindex(outer, {"x": N, "y": N}, {}, [Guard(0, X + Y, N)], 0)
    for left, right in ((both, pushed), (whole, apart)):
        np.testing.assert_allclose(*evaluate([left, right], values, {"n": 4}))


def test_index_maps_pass_through_casts_and_functions_by_their_fill():
    k, m = (b.symbol(name, Type(Kind.INT, {"x": N})) for name in "km")
    u = real("u", x=N)
    whole = b.shift(b.cast(b.add(k, m), Kind.REAL), "x", 1, 0)
    assert push_reindex(whole) is b.cast(b.add(b.shift(k, "x", 1, 0), b.shift(m, "x", 1, 0)), Kind.REAL)
    half = b.shift(b.cast(b.add(k, m), Kind.REAL), "x", 1, Fraction(1, 2))
    assert push_reindex(half) is half, "no int is cast to 1/2"
    bell = b.shift(b.apply("exp", b.sub(u, b.mul(u, u))), "x", 1, 0)
    pushed = push_reindex(bell)
    values = {"u": np.array([0.5, 1.0, 2.0]), "k": np.array([1, 2, 3]), "m": np.array([4, 5, 6])}
    np.testing.assert_allclose(*evaluate([bell, pushed], values, {"n": 3}))
    np.testing.assert_array_equal(evaluate([whole], values, {"n": 3})[0], [7, 9, 0])
    cosine = b.shift(b.apply("cos", b.sub(u, b.mul(u, u))), "x", 1, 1)
    assert push_reindex(cosine).op == "map", "cos 0 = 1"
    np.testing.assert_allclose(*evaluate([cosine, push_reindex(cosine)], values, {"n": 3}))


def test_random_pushes_keep_values():
    for seed in range(150):
        rng = random.Random(seed)
        leaves = [real("u", x=N), real("v", x=N), real("w", x=N, y=3)]
        term = rng.choice(leaves)
        for _ in range(6):
            other = rng.choice(leaves)
            term = rng.choice(
                [
                    lambda t, o: b.shift(t, "x", rng.choice([-1, 1, 2]), rng.choice([0, 0, "wrap", "clamp"])),
                    lambda t, o: b.linear([(rng.choice([1, -2]), t), (3, o)]),
                    lambda t, o: b.mul(t, o),
                    lambda t, o: b.contract([(t, {"x": "k"}), (b.rename(o, {"x": "x2"}), {"x2": "x"})], {"k": N}),
                    lambda t, o: b.apply("sin", b.linear([(1, t), (1, o)])),
                    lambda t, o: b.apply("cos", b.mul(t, o)),
                    lambda t, o: b.reindex(t, {**t.axes, "x": N}, {"x": N - 1 - X}),
                ]
            )(term, other)
        (pushed,) = push_reindexes([term])
        once = push_reindex(term)
        assert pushed.type is term.type is once.type
        for n in (1, 4):
            numbers = np.random.default_rng(seed)
            values = {"u": numbers.normal(size=n), "v": numbers.normal(size=n), "w": numbers.normal(size=(n, 3))}
            with np.errstate(over="ignore", invalid="ignore"):
                wanted, *got = evaluate([term, pushed, once], values, {"n": n})
            for value in got:
                np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9 * max(1.0, float(np.abs(wanted).max())), err_msg=str(seed))
