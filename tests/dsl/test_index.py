"""Index expressions and guards: every normal form has the value of the expression as written, on every lane."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from ricci.dsl.division import divide, floor_quotient
from ricci.dsl.index import Guard, Index, Ranges, offset_of
from ricci.dsl.normal import make_guards
from ricci.dsl.types import Dim, Size

N, Q, P = (Size.of(Dim(name)) for name in ("n", "q", "p"))
X, J, R, S = (Index.axis(name) for name in ("x", "i", "r", "s"))


def value(tree, axes, dims):
    """Meaning of an expression tree, independent of the normal forms."""
    head = tree[0]
    if head == "axis":
        return axes[tree[1]]
    if head == "size":
        return tree[1].evaluate(dims)
    if head == "sum":
        return sum(k.evaluate(dims) * value(t, axes, dims) for k, t in tree[1])
    e, n = value(tree[1], axes, dims), tree[2].evaluate(dims)
    if head == "mod":
        return e % n
    if head == "div":
        return e // n
    if head == "clamp":
        return min(max(e, 0), n - 1)
    return e % (2 * n) if e % (2 * n) < n else 2 * n - 1 - e % (2 * n)


def build(tree):
    head = tree[0]
    if head == "axis":
        return Index.axis(tree[1])
    if head == "size":
        return Index.of(tree[1])
    if head == "sum":
        total = Index.of(0)
        for k, t in tree[1]:
            total = total + build(t) * k
        return total
    return getattr(build(tree[1]), head)(tree[2])


def random_size(rng, least=1):
    choices = [Size.of(rng.randint(least, 6)), N, Q, N * Q, N + rng.randint(0, 2), Q * rng.randint(1, 3)]
    return rng.choice(choices[:1] * 5 + choices[1:])


def random_tree(rng, names, depth=3):
    if depth == 0 or rng.random() < 0.25:
        return ("axis", rng.choice(names)) if rng.random() < 0.75 else ("size", random_size(rng, -3))
    if rng.random() < 0.45:
        return (rng.choice(["mod", "div", "clamp", "mirror"]), random_tree(rng, names, depth - 1), random_size(rng))
    return (
        "sum",
        [
            (Size.of(rng.choice([1, 1, -1, 2, 3, -2, 5])) if rng.random() < 0.8 else random_size(rng), random_tree(rng, names, depth - 1))
            for _ in range(2)
        ],
    )


@pytest.mark.parametrize("block", range(4))
def test_normal_forms_keep_the_value_on_every_lane(block):
    for seed in range(block * 250, block * 250 + 250):
        rng = random.Random(seed)
        names = ["x", "y"]
        sizes = {name: random_size(rng) for name in names}
        tree = random_tree(rng, names)
        index = build(tree)
        normal = index.within(sizes)
        low, high = normal.bounds(Ranges.of(sizes))
        for dims in ({"n": 1, "q": 1}, {"n": 5, "q": 2}, {"n": 3, "q": 7}):
            shape = [sizes[name].evaluate(dims) for name in names]
            for lane in itertools.product(*[range(min(n, 9)) for n in shape]):
                axes = dict(zip(names, lane, strict=True))
                wanted = value(tree, axes, dims)
                assert index.evaluate(axes, dims) == wanted, (seed, str(index))
                assert normal.evaluate(axes, dims) == wanted, (seed, str(index), str(normal))
                assert low is None or low.evaluate(dims) <= wanted, (seed, str(normal), low)
                assert high is None or wanted <= high.evaluate(dims), (seed, str(normal), high)


def test_guards_keep_their_truth():
    for seed in range(400):
        rng = random.Random(seed)
        names = ["x", "y"]
        sizes = {name: random_size(rng) for name in names}
        written = []
        for _ in range(rng.randint(1, 3)):
            lo = random_size(rng, -2)
            written.append(Guard(lo, build(random_tree(rng, names, 2)), lo + random_size(rng)))
        normal = make_guards(written, Ranges.of(sizes))
        for dims in ({"n": 1, "q": 1}, {"n": 5, "q": 2}, {"n": 3, "q": 7}):
            shape = [sizes[name].evaluate(dims) for name in names]
            for lane in itertools.product(*[range(min(n, 7)) for n in shape]):
                axes = dict(zip(names, lane, strict=True))
                wanted = all(g.evaluate(axes, dims) for g in written)
                assert (normal is not None and all(g.evaluate(axes, dims) for g in normal)) == wanted, (seed, written, normal)


def test_wrapped_shifts_compose_and_cancel():
    forward, back = (X + 1).mod(N), (X - 1).mod(N)
    assert forward.substitute({"x": back}).within({"x": N}) == X
    assert forward.substitute({"x": forward}) == (X + 2).mod(N)
    assert (X + N + 1).mod(N) == forward
    assert (X + 3 * N - 2).mod(N) == (X - 2).mod(N)


def test_merge_of_split_and_split_of_merge_are_identities():
    assert (J.div(Q) * Q + J.mod(Q)).within({"i": N}) == J
    assert (R * Q + S).div(Q).within({"r": P, "s": Q}) == R
    assert (R * Q + S).mod(Q).within({"r": P, "s": Q}) == S
    three = 6 * J.div(6) + 2 * J.div(2).mod(3) + J.mod(2)
    assert three.within({"i": N}) == J
    assert (J - Q * J.div(Q)).within({"i": N}) == J.mod(Q)
    assert J.div(2).div(3) == J.div(6)
    assert J.mod(6).div(2) == J.div(2).mod(3)


def test_shift_of_a_split_axis_reads_the_neighbour_block():
    sizes = {"r": Size.of(4), "s": Size.of(5)}
    shifted = (5 * R + S + 19).mod(20)
    assert shifted.div(5).within(sizes) == (R + (S + 4).div(5) + 3).mod(4).within(sizes)
    assert shifted.mod(5).within(sizes) == (S + 4).mod(5)
    assert (5 * R + S + 5).mod(20).within(sizes) == 5 * (R + 1).mod(4) + S


def test_atoms_vanish_by_bounds_only_when_true_for_all_sizes():
    assert X.mod(N).within({"x": N}) == X
    assert X.div(N).within({"x": N}) == Index.of(0)
    assert (N - 1 - X).clamp(N).within({"x": N}) == N - 1 - X
    assert X.mod(N).within({"x": N + 1}) != X
    assert X.mod(Q).within({"x": N}) != X
    assert (X - 1).mirror(N).substitute({"x": -X}) == X.mirror(N)
    assert (X + 4).mod(3) == (X + 1).mod(3)
    assert X.mod(1) == Index.of(0)
    assert X.div(1) == X


def test_guards_have_one_form():
    at = Ranges.of({"x": N})
    assert make_guards([Guard(0, X - 1, N)], at) == make_guards([Guard(-N + 1, -X, 0)], at) == make_guards([Guard(1, X, N + 5)], at)
    assert make_guards([Guard(0, X, N)], at) == ()
    assert make_guards([Guard(0, X, 4), Guard(2, X, 9)], at) == make_guards([Guard(2, X, 4)], at)
    assert make_guards([Guard(0, X, 2), Guard(2, X, 9)], at) is None
    assert make_guards([Guard(0, X - N, 3)], at) is None
    assert make_guards([Guard(0, 2 * X, 5)], at) == make_guards([Guard(0, X, 3)], at)
    kept = make_guards([Guard(0, X, 5)], at)
    assert kept is not None
    assert len(kept) == 1, "N is not known: the guard stays although N could be 3"
    assert make_guards([Guard(0, X, 5)], Ranges.of({"x": Size.of(5)})) == ()
    assert make_guards([Guard(1, X, 2), Guard(1, X, 2)], at) == make_guards([Guard.equal(X, 1)], at)


def test_a_fact_of_the_lower_bound_of_a_dim_is_used_and_no_other():
    three = Size.of(Dim("n", 3))
    assert make_guards([Guard(0, Index.of(2), three)], Ranges.of({})) == ()
    assert make_guards([Guard(0, Index.of(2), N)], Ranges.of({})) != ()


def test_offsets():
    assert offset_of(X + 3, "x") == 3
    assert offset_of(X - N, "x") == -N
    assert offset_of(2 * X, "x") is None
    assert offset_of((X + 1).mod(N), "x") is None
    assert offset_of(J, "x") is None


def test_printing_and_canonical_text_tell_axis_from_dim():
    x_dim = Size.of(Dim("x"))
    assert str((X + 1).mod(x_dim)) == "mod(x + 1, #x)"
    assert str(x_dim - 1 - X) == "-x + #x - 1"
    assert str(Guard(1, X, x_dim)) == "1 <= x < #x"
    assert str(Guard.equal(X, 3)) == "x - 3 == 0"
    texts = {e.canonical_text() for e in (X, J, X + 1, X * 2, Index.of(x_dim), X.mod(2), X.div(2), Index.axis("x+1"))}
    assert len(texts) == 8
    assert Index.of(Size.of(Dim("n", 2))) != Index.of(N)


def test_values_on_arrays_and_on_lanes_outside():
    lanes = np.arange(-9, 9)
    for n in (1, 4):
        wanted = [value(("mirror", ("axis", "x"), Size.of(n)), {"x": k}, {}) for k in lanes]
        assert (np.zeros(18, int) + X.mirror(n).evaluate({"x": lanes}, {}) == wanted).all()
    assert (X.mod(N).evaluate({"x": lanes}, {"n": 0}) == 0).all(), "an empty axis: total, no division by zero"
    assert (X.clamp(N).evaluate({"x": lanes}, {"n": 0}) == 0).all()


def test_division_of_sizes():
    assert divide(P * Q - 1, Q) == (P, Size.of(-1))
    assert floor_quotient(P * Q - 1, Q) == P - 1
    assert floor_quotient(N * 2 + 1, Size.of(2)) == N
    assert floor_quotient(N, Size.of(2)) is None
    assert floor_quotient(N, Q) is None
    for seed in range(200):
        rng = random.Random(seed)
        size, by = random_size(rng, -5) * random_size(rng, -3) + random_size(rng, -4), random_size(rng)
        q, r = divide(size, by)
        assert q * by + r == size
        floor = floor_quotient(size, by)
        for dims in ({"n": 1, "q": 1}, {"n": 4, "q": 9}, {"n": 8, "q": 3}):
            assert floor is None or floor.evaluate(dims) == size.evaluate(dims) // by.evaluate(dims)


def test_an_index_is_immutable():
    with pytest.raises(AttributeError):
        X.constant = Size.of(1)
