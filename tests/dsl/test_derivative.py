"""Derivatives against differences, forward against reverse, and the pointwise linear part of a term."""

from __future__ import annotations

import random
from fractions import Fraction
from math import inf

import numpy as np
import pytest

from ricci.dsl import build as b
from ricci.dsl.derivative import depends, gradient, split_linear, tangent
from ricci.dsl.index import Guard, Index
from ricci.dsl.push import push_reindexes
from ricci.dsl.reference import evaluate
from ricci.dsl.term import Function, Term, TermError, substitute, walk
from ricci.dsl.types import Dim, Kind, Size, Type

N = Size.of(Dim("n"))
X = Index.axis("x")


def real(name: str, **axes: int | Size) -> Term:
    return b.symbol(name, Type(Kind.REAL, axes))


# programs: (scalar, symbols to differentiate by); dims n = 5


def periodic_energy():
    u = real("u", x=N)
    jump = b.sub(b.shift(u, "x", 1), u)
    return b.sum_over(b.add(b.mul(jump, jump), b.power(u, 4)), ["x"]), [u]


def boundary_values():
    """A field whose edge values are terms: the gradient with respect to boundary data comes for free."""
    u, al, be = real("u", x=N), real("al"), real("be")
    wide = {"x:e": N + 2}
    e = Index.axis("x:e")
    inside = b.reindex(u, wide, {"x": e - 1}, (), 0)
    lo = b.place(b.add(b.mul(al, b.slice_at(u, "x", 0)), be), "x:e", 0, N + 2)
    hi = b.place(b.mul(be, be), "x:e", N + 1, N + 2)
    ext = b.add(inside, lo, hi)
    read = [b.reindex(ext, {"x": N}, {"x:e": X + k}) for k in (0, 1, 2)]
    lap = b.linear([(1, read[0]), (-2, read[1]), (1, read[2])])
    return b.sum_over(b.apply("sin", lap), ["x"]), [u, al, be]


def strided_convolution():
    u, k = real("u", c=2, x=6), real("k", c=2, m=3)
    window = b.reindex(u, {"c": 2, "o": 3, "m": 3}, {"x": 2 * Index.axis("o") + Index.axis("m") - 1}, (), 0)
    y = b.contract([(window, {}), (k, {})], {"c": Size.of(2), "m": Size.of(3)})
    return b.sum_over(b.mul(y, y, y), ["o"]), [u, k]


def causal_attention():
    q, k, v = (real(name, s=4, e=3) for name in "qkv")
    scores = b.contract([(q, {}), (b.rename(k, {"s": "s'"}), {})], {"e": Size.of(3)})
    here = {"s": 4, "s'": 4}
    masked = b.reindex(scores, here, {}, [Guard(0, Index.axis("s") - Index.axis("s'"), 4)], -inf)
    top = b.reduce("max", masked, ["s'"])
    weights = b.apply("exp", b.sub(masked, top))
    mixed = b.contract([(weights, {}), (b.rename(v, {"s": "s'"}), {})], {"s'": Size.of(4)})
    y = b.divide(mixed, b.sum_over(weights, ["s'"]))
    return b.sum_over(b.mul(y, y), ["s", "e"]), [q, k, v]


def monarch():
    x, left, right = real("x", i=12), real("L", g=3, p=4, q=4), real("R", p=4, r=3, g=3)
    g, q, i = (Index.axis(a) for a in "gqi")
    blocks = b.reindex(x, {"g": 3, "q": 4}, {"i": 4 * g + q})
    first = b.contract([(left, {}), (blocks, {})], {"q": Size.of(4)})
    second = b.contract([(right, {}), (first, {})], {"g": Size.of(3)})
    y = b.reindex(second, {"i": 12}, {"r": i.div(4), "p": i.mod(4)})
    return b.sum_over(b.mul(y, y), ["i"]), [x, left, right]


def message_passing():
    h, w = real("h", v=4, c=2), real("W", c=2, o=2)
    source, target = (b.symbol(name, Type(Kind.INT, {"e": 6})) for name in ("src", "dst"))
    sent = b.contract([(b.gather(h, "v", source), {}), (w, {})], {"c": Size.of(2)})
    got = b.scatter(b.apply("tanh", sent), target, "v", 4, ["e"])
    return b.sum_over(b.mul(got, got), ["v", "o"]), [h, w]


def recurrence():
    a, x, start = real("a"), real("x", s=5), real("z0")
    z, xs, p = real("z"), real("xs"), real("p")
    body = Function("step", (z, xs, p), (("z", b.add(b.mul(p, z), b.apply("sin", xs))),))
    y = b.proj(b.scan(body, "s", 5, [start], [x], [a]), 0)
    return b.sum_over(b.mul(y, y), ["s"]), [a, x, start]


def choices():
    u, v = real("u", x=N), real("v", x=N)
    low = b.apply("lt", u, v)
    return b.sum_over(b.where(low, b.mul(u, u), b.apply("exp", v)), ["x"]), [u, v]


def extremes():
    u = real("u", x=N, y=3)
    return b.sum_over(b.mul(b.reduce("max", u, ["y"]), b.reduce("min", u, ["x"])), ["x", "y"]), [u]


PROGRAMS = [
    periodic_energy, boundary_values, strided_convolution, causal_attention, monarch, message_passing, recurrence, choices, extremes,
]  # fmt: skip
DIMS = {"n": 5}


def draw(term: Term, numbers: np.random.Generator):
    shape = [size.evaluate(DIMS) for size in term.axes.values()]
    return numbers.integers(0, 4, shape) if term.kind == Kind.INT else numbers.normal(size=shape)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_gradients_and_tangents_agree_with_differences(program):
    scalar, wrt = program()
    numbers = np.random.default_rng(7)
    leaves = [t for t in walk([scalar]) if t.op == "symbol" and not t.attrs[0].startswith("#")]
    values = {t.attrs[0]: draw(t, numbers) for t in leaves}
    moves = {w: b.symbol("d:" + w.attrs[0], w.type) for w in wrt}
    directions = {"d:" + w.attrs[0]: draw(w, numbers) for w in wrt}
    backs = gradient(scalar, wrt)
    (moved,) = tangent([scalar], moves)
    pushed = push_reindexes([*backs, moved])
    for w, back in zip(wrt, backs, strict=True):
        assert back.type is w.type
    *behind, ahead = evaluate([*backs, moved], values | directions, DIMS)
    for got, exact in zip(evaluate(pushed, values | directions, DIMS), [*behind, ahead], strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-10, atol=1e-12)
    paired = sum(np.sum(value * directions["d:" + w.attrs[0]]) for w, value in zip(wrt, behind, strict=True))
    np.testing.assert_allclose(paired, ahead, rtol=1e-11)
    step = 1e-5
    ends = []
    for sign in (1, -1):
        moved_values = {k: v + sign * step * directions.get("d:" + k, 0) for k, v in values.items()}
        ends.append(evaluate([scalar], moved_values, DIMS)[0])
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), ahead, rtol=2e-6, atol=1e-8)


def test_second_derivatives():
    u = real("u", x=N)
    v = real("v", x=N)
    scalar, _ = periodic_energy()
    (g,) = gradient(scalar, [u])
    (hessian_times_v,) = tangent([g], {u: v})
    numbers = np.random.default_rng(0)
    values = {"u": numbers.normal(size=5), "v": numbers.normal(size=5)}
    step = 1e-6
    ends = [evaluate([g], {"u": values["u"] + s * step * values["v"]}, DIMS)[0] for s in (1, -1)]
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), evaluate([hessian_times_v], values, DIMS)[0], rtol=1e-6)


def test_a_mask_does_not_multiply():
    """where(x <= 0, 0, sqrt(x)) with the argument of sqrt made safe: the gradient at 0 is 0, not NaN."""
    u = real("u", x=3)
    closed = b.apply("le", u, b.const(0))
    safe = b.where(closed, b.const(1), u)
    (g,) = gradient(b.sum_over(b.where(closed, b.const(0), b.apply("sqrt", safe)), ["x"]), [u])
    np.testing.assert_allclose(evaluate([g], {"u": np.array([-1.0, 0.0, 4.0])})[0], [0, 0, 0.25])


def test_cancelled_and_missing_dependence_keep_the_type():
    u, w = real("u", x=N, y=3), real("w", x=N)
    nothing = b.sum_over(b.sub(b.mul(u, w), b.mul(w, u)), ["x", "y"])
    assert gradient(nothing, [u, w]) == [b.zero(u.type), b.zero(w.type)]
    assert tangent([b.mul(w, w)], {u: u}) == [b.zero(w.type)]
    only_broadcast = b.sum_over(b.sub(b.add(u, w), u), ["x", "y"])
    assert gradient(only_broadcast, [w]) == [b.expand(b.const(3, Kind.REAL), {"x": N})]


def test_integers_and_truth_values_do_not_move():
    k = b.symbol("k", Type(Kind.INT, {"x": N}))
    u = real("u", x=N)
    total = b.sum_over(b.mul(u, k), ["x"])
    assert gradient(total, [k]) == [b.zero(k.type)]
    assert gradient(total, [u])[0] is b.cast(k, Kind.REAL)
    chosen = b.sum_over(b.where(b.apply("lt", u, b.const(0)), k, b.const(0)), ["x"])
    assert gradient([(b.cast(chosen, Kind.REAL), real("g"))], [u]) == [b.zero(u.type)]


def test_derivatives_with_respect_to_inner_terms():
    u = real("u", x=N)
    inner = b.apply("sin", u)
    total = b.sum_over(b.mul(inner, inner, u), ["x"])
    (g,) = gradient(total, [inner])
    assert g is b.linear([(2, b.mul(inner, u))])
    (moved,) = tangent([total], {inner: b.expand(b.const(1, Kind.REAL), {"x": N})})
    assert moved is b.scale(2, b.sum_over(b.mul(inner, u), ["x"]))


def test_wrong_types_stop():
    u = real("u", x=N)
    with pytest.raises(TermError, match="without axes"):
        gradient(u, [u])
    with pytest.raises(TermError, match="cotangent"):
        gradient([(u, real("g", y=N))], [u])
    with pytest.raises(TermError, match="tangent"):
        tangent([u], {u: real("d")})
    with pytest.raises(TermError, match="without axes"):
        gradient(b.const(3), [u])


def test_terms_of_great_depth():
    u = real("u", x=N)
    term = u
    for _ in range(1500):
        term = b.apply("sin", b.add(term, u))
    (moved,) = tangent([term], {u: real("d", x=N)})
    (g,) = gradient([(term, real("g", x=N))], [u])
    assert g.type is moved.type is u.type
    assert not depends(term, real("v", x=N))
    (swapped,) = substitute([term], {u: real("v", x=N)})
    assert not depends(swapped, u)
    assert push_reindexes([b.shift(term, "x", 1)])[0].type is u.type


def test_the_cost_of_a_gradient_is_a_multiple_of_the_term():
    u = real("u", x=N)
    counts = []
    for depth in (20, 40, 80):
        term = u
        for _ in range(depth):
            term = b.apply("tanh", b.linear([(1, b.shift(term, "x", 1)), (-1, b.shift(term, "x", -1, 0)), (2, u)]))
        counts.append(len(walk(gradient([(term, u)], [u]))))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])


# the linear part


def test_split_linear():
    u, v = real("u", x=N), real("v", x=N)
    k, w = real("k"), real("w", x=N, y=3)
    cases = [
        (b.add(b.mul(k, u), v), k, v),
        (u, b.const(1), b.zero(u.type)),
        (b.linear([(3, u), (Fraction(1, 2), b.mul(v, b.sub(u, k)))]), b.add(b.const(3), b.scale(Fraction(1, 2), v)), None),
        (b.where(b.apply("lt", v, k), u, v), None, None),
        (b.sum_over(b.mul(w, b.add(u, w)), ["y"]), b.sum_over(w, ["y"]), b.sum_over(b.mul(w, w), ["y"])),
        (b.sum_over(b.add(w, u), ["y"]), None, None),
        (b.expand(b.mul(u, k), {"y": 3}), k, None),
        (b.mul(v, v), b.const(0), b.mul(v, v)),
        (b.mul(b.apply("exp", v), b.divide(u, k)), b.mul(b.apply("exp", v), b.apply("recip", k)), None),
    ]
    numbers = np.random.default_rng(3)
    values = {"u": numbers.normal(size=5), "v": numbers.normal(size=5), "k": np.array(1.7), "w": numbers.normal(size=(5, 3))}
    for term, coefficient, rest in cases:
        found = split_linear(term, u)
        assert found is not None, term
        assert not depends(found[0], u)
        assert not depends(found[1], u)
        assert coefficient is None or found[0] is b.cast(coefficient, found[0].kind), (term, found)
        assert rest is None or found[1] is rest, (term, found)
        whole = b.add(b.mul(found[0], u), found[1])
        wanted, got = evaluate([term, whole], values, DIMS)
        np.testing.assert_allclose(
            got.reshape(-1) if got.ndim == wanted.ndim else np.repeat(got[:, None], 3, 1).reshape(-1), wanted.reshape(-1)
        )


def test_what_is_not_linear_at_the_point():
    u, v = real("u", x=N), real("v", x=N)
    not_linear = [
        b.mul(u, u),
        b.apply("exp", u),
        b.shift(u, "x", 1),
        b.sum_over(u, ["x"]),
        b.mul(u, b.sum_over(u, ["x"])),
        b.where(b.apply("lt", u, v), u, v),
        b.reindex(u, {"x": 2}, {"x": X}, (), 0),
        b.apply("abs", u),
        b.add(u, b.shift(u, "x", -1, 0)),
    ]
    for term in not_linear:
        assert split_linear(term, u) is None, term


def test_split_linear_in_a_time_derivative():
    """What the checker asks: dt(u) in a residual with a varying mass."""
    u, m = real("u", x=N), real("m", x=N)
    rate = b.partial(u, "t", 1)
    residual = b.sub(b.mul(m, rate), b.mul(u, u))
    found = split_linear(residual, rate)
    assert found == (m, b.neg(b.mul(u, u)))
    assert split_linear(b.mul(rate, rate), rate) is None


def test_random_linear_forms_are_recognized():
    u, v = real("u", x=N), real("v", x=N)
    for seed in range(60):
        rng = random.Random(seed)
        term = u
        for _ in range(rng.randint(1, 6)):
            kind = rng.randrange(4)
            if kind == 0:
                term = b.linear([(rng.choice([2, -1, Fraction(1, 3)]), term), (rng.randint(-2, 2), v)])
            elif kind == 1:
                term = b.mul(term, b.apply("cos", v))
            elif kind == 2:
                term = b.where(b.apply("lt", v, b.const(0)), term, v)
            else:
                term = b.add(term, b.mul(v, u))
        found = split_linear(term, u)
        assert found is not None, seed
        numbers = np.random.default_rng(seed)
        values = {"u": numbers.normal(size=5), "v": numbers.normal(size=5)}
        np.testing.assert_allclose(*evaluate([b.add(b.mul(found[0], u), found[1]), term], values, DIMS), rtol=1e-12, atol=1e-12)


def test_substitution_leaves_bodies_alone():
    scalar, (a, x, start) = recurrence()
    p = real("p")
    (changed,) = substitute([scalar], {a: b.const(2, Kind.REAL), p: b.const(5, Kind.REAL)})
    (scan,) = [t for t in walk([changed]) if t.op == "scan"]
    (before,) = [t for t in walk([scalar]) if t.op == "scan"]
    assert scan.attrs == before.attrs
    values = {"a": np.array(2.0), "x": np.arange(5.0), "z0": np.array(0.5)}
    np.testing.assert_allclose(*evaluate([scalar, changed], values))
    (shifted,) = substitute([b.shift(x, "s", 1)], {b.shift(x, "s", 1): x})
    assert shifted is x
    assert start is substitute([start], {})[0]
