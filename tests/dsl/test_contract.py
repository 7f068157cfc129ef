"""contract: one node for equal sums, values against einsum, tangents and cotangents, growth of the canonical numbering."""

from __future__ import annotations

import random
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from ricci.dsl import build as b
from ricci.dsl.derivative import gradient, tangent
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.canonical import Search, canonical_labels
from ricci.dsl.ops.contract import bound_of, contraction_of, factors_of
from ricci.dsl.reference import evaluate
from ricci.dsl.term import Term, TermError, walk
from ricci.dsl.types import Dim, Kind, Size, Type

N = Size.of(Dim("n"))


def symbol(name: str, kind: Kind = Kind.REAL, **axes: int | Size) -> Term:
    return b.symbol(name, Type(kind, axes))


# one node


def random_network(rng: random.Random) -> tuple[list[tuple[Term, dict[str, str]]], dict[str, Size], list[str]]:
    """Factors from a small pool (so that equal ones occur) over labels; every label of size 2."""
    pool = [symbol(name, **dict.fromkeys(axes, 2)) for name, axes in (("A", "ij"), ("B", "ij"), ("C", "ijk"), ("v", "i"))]
    labels = [f"l{k}" for k in range(rng.randint(2, 7))]
    factors = []
    for _ in range(rng.randint(2, 7)):
        t = rng.choice(pool)
        factors.append((t, {axis: rng.choice(labels) for axis in t.axes}))
    used = sorted({label for _, access in factors for label in access.values()})
    free = [label for label in used if rng.random() < 0.25]
    return factors, {label: Size.of(2) for label in used if label not in free}, free


def shuffled(rng: random.Random, factors, bound):
    names = list(bound)
    fresh = [f"m{k}" for k in range(len(names))]
    rng.shuffle(fresh)
    new = dict(zip(names, fresh, strict=True))
    moved = [(t, {axis: new.get(label, label) for axis, label in access.items()}) for t, access in factors]
    rng.shuffle(moved)
    return moved, {new[label]: size for label, size in bound.items()}


def einsum(factors, free, values):
    labels = sorted({label for _, access in factors for label in access.values()})
    operands = []
    for t, access in factors:
        operands += [values[t.attrs[0]], [labels.index(access[axis]) for axis in sorted(t.axes)]]
    return np.einsum(*operands, [labels.index(label) for label in sorted(free)])


def test_permuted_and_renamed_networks_are_one_node_with_the_value_of_einsum():
    numbers = np.random.default_rng(0)
    values = {name: numbers.normal(size=(2,) * rank) for name, rank in (("A", 2), ("B", 2), ("C", 3), ("v", 1))}
    for seed in range(300):
        rng = random.Random(seed)
        factors, bound, free = random_network(rng)
        term = b.contract(factors, bound)
        assert sorted(term.axes) == sorted(free)
        for _ in range(3):
            assert b.contract(*shuffled(rng, factors, bound)) is term, seed
        np.testing.assert_allclose(evaluate([term], values)[0], einsum(factors, free, values), rtol=1e-9, atol=1e-9)


def test_renames_under_and_over_a_sum_are_absorbed():
    a, c = symbol("A", i=2, j=3), symbol("C", j=3, k=4)
    product = b.contract([(a, {}), (c, {})], {"j": Size.of(3)})
    renamed = b.contract([(b.rename(a, {"i": "p", "j": "q"}), {}), (b.rename(c, {"j": "q", "k": "r"}), {})], {"q": Size.of(3)})
    assert b.rename(renamed, {"p": "i", "r": "k"}) is product
    assert renamed is b.rename(product, {"i": "p", "k": "r"})
    assert b.rename(product, {"i": "k", "k": "i"}).op == "contract"


def test_a_name_may_be_free_and_bound_at_once():
    """x[a] * Sum_a W[a, b] x[a] keeps its two a apart, and x stays one node."""
    x, w = symbol("x", a=3), symbol("W", a=3, b=2)
    inner = b.contract([(w, {}), (x, {})], {"a": Size.of(3)})
    outer = b.mul(x, inner)
    assert outer is not b.contract([(x, {}), (w, {}), (x, {"a": "a"})], {})
    assert sum(1 for t in walk([outer]) if t is x) == 1
    values = {"x": np.array([1.0, 2.0, 3.0]), "W": np.arange(6.0).reshape(3, 2)}
    np.testing.assert_allclose(evaluate([outer], values)[0], values["x"][:, None] * (values["W"].T @ values["x"]))


def test_sums_stay_nested_and_layers_grow_linearly():
    w = symbol("W", i=4, j=4)
    x = symbol("x", j=4)
    counts = []
    for _ in range(12):
        x = b.rename(b.contract([(w, {}), (x, {})], {"j": Size.of(4)}), {"i": "j"})
        counts.append(len(walk([x])))
    steps = {after - before for before, after in pairwise(counts[1:])}
    assert steps == {1}
    total = b.contract([(w, {}), (w, {"i": "j", "j": "k"}), (symbol("y", k=4), {})], {"j": Size.of(4), "k": Size.of(4)})
    nested = b.contract(
        [(w, {}), (b.contract([(w, {"i": "j", "j": "k"}), (symbol("y", k=4), {})], {"k": Size.of(4)}), {})], {"j": Size.of(4)}
    )
    assert total is not nested, "which of the two is cheaper is the planner's question"


def test_products_without_sums_are_flat_and_powers_are_repeated_factors():
    u, v = symbol("u", x=N), symbol("v", x=N)
    assert b.mul(u, b.mul(v, u)) is b.mul(b.mul(u, u), v)
    assert b.power(u, 3) is b.mul(u, u, u)
    assert factors_of(b.mul(u, v, u)).count((u, {"x": "x"})) == 2


def test_content_and_sign_stand_outside():
    a, u, v = symbol("a", x=N), symbol("u", x=N), symbol("v", x=N)
    left = b.mul(a, b.sub(u, v))
    right = b.neg(b.mul(a, b.sub(v, u)))
    assert left is right
    assert b.mul(b.linear([(4, u), (6, v)]), a) is b.scale(2, b.mul(b.linear([(2, u), (3, v)]), a))
    assert b.mul(b.scale(Fraction(1, 3), u), b.scale(3, v)) is b.mul(u, v)
    assert b.mul(b.const(2), b.const(Fraction(1, 4))) is b.const(Fraction(1, 2))


def test_zero_and_cancelled_products_keep_their_type():
    u, z = symbol("u", x=N, y=3), symbol("z", Kind.COMPLEX, x=N)
    nothing = b.mul(u, b.sub(z, z))
    assert nothing.type is Type(Kind.COMPLEX, {"x": N, "y": Size.of(3)})
    assert nothing is b.zero(nothing.type)
    summed = b.sum_over(b.mul(b.const(0), u), ["x"])
    assert summed is b.zero(Type(Kind.REAL, {"y": Size.of(3)}))


def test_a_sum_over_an_absent_axis_multiplies_by_its_size():
    u = symbol("u", x=N)
    wide = b.expand(u, {"y": N + 1, "z": 3})
    assert b.sum_over(wide, ["z"]) is b.scale(3, b.expand(u, {"y": N + 1}))
    assert b.sum_over(wide, ["y", "z"]) is b.scale(3, b.mul(u, b.size_term(N + 1)))
    assert evaluate([b.sum_over(b.expand(b.const(2), {"y": N}), ["y"])], {}, {"n": 5}) == [10]
    assert b.sum_over(b.expand(u, {"e": 0}), ["e"]) is b.zero(u.type)
    masked = b.contract([(u, {}), (wide, {})], {"y": N + 1})
    assert masked.axes.keys() == {"x", "z"}


def test_broadcasts_are_dropped_where_another_factor_has_the_axis():
    u, w = symbol("u", x=N), symbol("w", x=N, y=3)
    assert b.mul(b.expand(u, {"y": 3}), w) is b.mul(u, w)
    assert b.mul(b.expand(u, {"y": 3}), u) is b.expand(b.mul(u, u), {"y": 3})


def test_badly_typed_contractions_stop():
    u = symbol("u", x=N)
    with pytest.raises(TermError, match="sizes"):
        b.mul(u, symbol("v", x=3))
    with pytest.raises(TermError, match="no axis"):
        b.contract([(u, {"y": "x"})], {})
    with pytest.raises(TermError, match="truth value"):
        b.mul(u, symbol("f", Kind.BOOL))
    with pytest.raises(TermError, match="not axes"):
        b.sum_over(u, ["y"])
    with pytest.raises(TermError, match="sizes"):
        b.contract([(u, {"x": "k"})], {"k": Size.of(3)})


def test_infinite_constants_are_factors_that_stay():
    u = symbol("u", x=2)
    term = b.mul(u, b.const(inf))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(evaluate([term], {"u": np.array([0.0, -1.0])})[0], [np.nan, -np.inf])


# growth of the numbering: branches are counted, not seconds


def symmetric(edges):
    """A graph as a sum: one label per vertex, the same matrix both ways on every edge."""
    return [(b"M", (("i", str(p)), ("j", str(q)))) for u, v in edges for p, q in ((u, v), (v, u))], {str(v): "2" for e in edges for v in e}


PETERSEN = [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)] + [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
TORUS = [((i, j), p) for i in range(5) for j in range(5) for p in (((i + 1) % 5, j), (i, (j + 1) % 5))]
K6 = [(i, j) for i in range(6) for j in range(i)]
RING = [(i, (i + 1) % 40) for i in range(40)]
CHAIN = [(i, i + 1) for i in range(12)]
POWER = ([(b"M", (("c", "c"), ("i", f"i{k}"))) for k in range(8)], {"c": "3", **{f"i{k}": "2" for k in range(8)}})
CASES = {
    "petersen": (symmetric(PETERSEN), 40),
    "torus": (symmetric(TORUS), 60),
    "complete": (symmetric(K6), 40),
    "ring": (symmetric(RING), 20),
    "chain": (symmetric(CHAIN), 10),
    "power": (POWER, 100),
    "many powers": (([(b"M", (("c", "c"), ("i", f"i{k}"))) for k in range(40)], {"c": "3", **{f"i{k}": "2" for k in range(40)}}), 1000),
    "separate components": (
        ([(b"M", (("c", f"c{k}"), ("i", f"i{k}"))) for k in range(60)], {f"{x}{k}": "2" for k in range(60) for x in "ci"}),
        0,
    ),
}


def serial(factors, order):
    number = {label: i for i, label in enumerate(order)}
    return sorted((digest, tuple((axis, number.get(label, label)) for axis, label in access)) for digest, access in factors)


@pytest.mark.parametrize("name", CASES)
def test_symmetric_sums_need_few_branches(name):
    (factors, bound), most = CASES[name]
    search = Search()
    wanted = serial(factors, canonical_labels(factors, bound, search))
    assert search.branches <= most
    for seed in range(3):
        rng = random.Random(seed)
        labels = list(bound)
        names = [f"z{label}" for label in labels]
        rng.shuffle(names)
        new = dict(zip(labels, names, strict=True))
        moved = [(digest, tuple((axis, new[label]) for axis, label in access)) for digest, access in factors]
        rng.shuffle(moved)
        assert serial(moved, canonical_labels(moved, {new[label]: bound[label] for label in labels})) == wanted


def test_graphs_that_colour_refinement_cannot_tell_apart_are_different_nodes():
    """Two triangles and a hexagon: all degrees are equal, the sums are not."""
    m = symbol("M", i=2, j=2)

    def total(edges):
        factors, bound = symmetric(edges)
        return b.contract([(m, dict(access)) for _, access in factors], {label: Size.of(2) for label in bound})

    triangles = total([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)])
    hexagon = total([(i, (i + 1) % 6) for i in range(6)])
    prism = total([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)])
    bipartite = total([(i, j) for i in range(3) for j in range(3, 6)])
    assert len({triangles, hexagon, prism, bipartite}) == 4


def test_digests_are_the_same_in_another_process():
    code = (
        "from ricci.dsl import build as b\nfrom ricci.dsl.types import *\n"
        "m = b.symbol('M', Type(Kind.REAL, {'i': 2, 'j': 2}))\n"
        "ring = [(m, {'i': p, 'j': q}) for p, q in ('pq', 'qr', 'rp')]\n"
        "t = b.contract(ring, {k: Size.of(2) for k in 'pqr'})\n"
        "print(b.shift(b.add(t, m), 'i', 1).digest.hex())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(runs.pop().strip()) == 32


# meaning


def test_kinds_are_exact():
    k = symbol("k", Kind.INT, x=3)
    big = np.array([2**40, 3, -(2**41)])
    (square,) = evaluate([b.sum_over(b.mul(k, k), ["x"])], {"k": np.array([2**31, 3, 5])})
    assert square.dtype == np.int64
    assert square == 2**62 + 34
    assert evaluate([b.sum_over(k, ["x"])], {"k": big})[0] == 3 - 2**40
    z = symbol("z", Kind.COMPLEX, x=3)
    value = np.array([1 + 2j, 3j, -1])
    np.testing.assert_allclose(evaluate([b.sum_over(b.mul(z, k), ["x"])], {"z": value, "k": np.array([1, 2, 3])})[0], value @ [1, 2, 3])


def test_more_labels_than_letters():
    """A ring of 70 matrices: the trace of a power."""
    m = symbol("M", i=2, j=2)
    factors = [(m, {"i": f"l{k}", "j": f"l{(k + 1) % 70}"}) for k in range(70)]
    term = b.contract(factors, {f"l{k}": Size.of(2) for k in range(70)})
    value = np.array([[0.5, 0.3], [0.1, 0.8]])
    np.testing.assert_allclose(evaluate([term], {"M": value})[0], np.trace(np.linalg.matrix_power(value, 70)), rtol=1e-12)


def test_empty_and_single_axes():
    a, c = symbol("A", i=0, j=3), symbol("C", j=3, k=1)
    values = {"A": np.zeros((0, 3)), "C": np.ones((3, 1))}
    assert evaluate([b.contract([(a, {}), (c, {})], {"j": Size.of(3)})], values)[0].shape == (0, 1)
    assert evaluate([b.sum_over(a, ["i", "j"])], values) == [0.0]


def test_large_plain_sums_keep_their_digits():
    u = symbol("u", x=N)
    value = np.full(10**6, 0.1)
    np.testing.assert_allclose(evaluate([b.sum_over(u, ["x"])], {"u": value}, {"n": 10**6})[0], 1e5, rtol=1e-14)


# derivatives


def dot(left, right):
    return np.real(np.sum(np.conj(left) * right))


@pytest.mark.parametrize("kind", [Kind.REAL, Kind.COMPLEX])
def test_tangents_and_cotangents_agree_and_have_the_right_type(kind):
    """Re<g, t'> = sum over factors of Re<g_k, t_k'>, with diagonals, powers, own axes and conjugates."""
    for seed in range(120):
        rng = random.Random(seed)
        numbers = np.random.default_rng(seed)

        def draw(term, numbers=numbers):
            shape = [2] * len(term.axes)
            return numbers.normal(size=shape) + (1j * numbers.normal(size=shape) if term.kind == Kind.COMPLEX else 0)

        pool = [symbol("A", kind, i=2, j=2), symbol("r", Kind.REAL, i=2), symbol("C", kind, i=2, j=2, k=2)]
        factors, bound, _ = random_network(rng)
        labels = sorted({label for _, access in factors for label in access.values()})
        factors = []
        for _ in range(rng.randint(1, 4)):
            t = rng.choice(pool)
            factors.append((t, {axis: rng.choice(labels) for axis in t.axes}))
        used = {label for _, access in factors for label in access.values()}
        term = b.contract(factors, {label: size for label, size in bound.items() if label in used})
        leaves = [t for t in pool if any(t is f for f, _ in factors)]
        values = {t.attrs[0]: draw(t) for t in leaves}
        moves = {t: b.symbol("d" + t.attrs[0], t.type) for t in leaves}
        values |= {"d" + t.attrs[0]: draw(t) for t in leaves}
        g = b.symbol("g", term.type)
        values["g"] = draw(g)
        (moved,) = tangent([term], moves)
        backs = gradient([(term, g)], leaves)
        assert moved.type is term.type
        for leaf, back in zip(leaves, backs, strict=True):
            assert back.type is leaf.type, (seed, back.type, leaf.type)
        ahead, *behind = evaluate([moved, *backs], values)
        pairing = sum(dot(value, values["d" + leaf.attrs[0]]) for leaf, value in zip(leaves, behind, strict=True))
        np.testing.assert_allclose(pairing, dot(values["g"], ahead), rtol=1e-9, atol=1e-9, err_msg=str(seed))
        step = 1e-6
        plus, minus = (evaluate([term], {k: v + s * values.get("d" + k, 0) for k, v in values.items()})[0] for s in (step, -step))
        np.testing.assert_allclose((plus - minus) / (2 * step), ahead, rtol=1e-5, atol=1e-6, err_msg=str(seed))


def test_the_cotangent_of_a_trace_is_a_diagonal_and_of_a_cancelled_broadcast_keeps_the_factor():
    a = symbol("A", i=N, j=N)
    trace = b.contract([(a, {"i": "k", "j": "k"})], {"k": N})
    (back,) = gradient(trace, [a])
    assert back is b.cast(b.indicator({"i": N, "j": N}, [Guard.equal(Index.axis("i"), Index.axis("j"))]), Kind.REAL)
    w, u = symbol("w", x=N), symbol("u")
    total = b.sum_over(b.mul(u, b.expand(b.const(1), {"x": N}), w), ["x"])
    (back,) = gradient(total, [u])
    assert back is b.sum_over(w, ["x"])
    (back,) = gradient(b.sum_over(b.expand(u, {"x": N}), ["x"]), [u])
    assert back is b.cast(b.size_term(N), Kind.REAL)


def test_attributes_say_what_was_built():
    a = symbol("A", i=2, j=3)
    term = b.contract([(a, {"i": "p", "j": "q"}), (a, {"i": "p", "j": "q"})], {"q": Size.of(3)})
    assert contraction_of(term).bound == (Size.of(3),)
    assert bound_of(term) == {0: Size.of(3)}
    assert factors_of(term) == [(a, {"i": "p", "j": 0})] * 2
