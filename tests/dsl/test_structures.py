"""Structured matrices: definition, published counts, projection. Every test runs over all structures."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from ricci.dsl import build
from ricci.dsl.structures import STRUCTURES, Matrix, StructureError, structure
from ricci.dsl.structures.base import digits
from ricci.dsl.types import Kind

SQUARE = Matrix("o", 12, "i", 12)
WIDE = Matrix("o", 12, "i", 18)
TALL = Matrix("z", 30, "a", 8)  # the canonical order of the axes is that of their names: a, z

CASES = [
    ("lowrank", {"rank": 3}, [SQUARE, WIDE, TALL]),
    ("kron", {"terms": 2}, [SQUARE, WIDE, TALL]),
    ("monarch", {"blocks": 2}, [SQUARE, WIDE, TALL]),
    ("monarch", {"blocks": 6}, [SQUARE, WIDE]),
    ("blockdiag", {"blocks": 2}, [SQUARE, WIDE, TALL]),
    ("btt", {"cores": 2, "rank": 2}, [SQUARE, WIDE, TALL]),
    ("btt", {"cores": 3, "rank": 2}, [SQUARE, WIDE, TALL]),
    ("tt", {"cores": 2, "rank": 2}, [SQUARE, WIDE, TALL]),
    ("tt", {"cores": 3, "rank": 3}, [SQUARE, WIDE, TALL]),
    ("circulant", {}, [SQUARE]),
    ("diaglowrank", {"rank": 2}, [SQUARE]),
]
ALL = [structure(name, matrix, options) for name, options, matrices in CASES for matrix in matrices]


def names(s):
    return f"{s}-{s.matrix.rows}x{s.matrix.columns}"


every = pytest.mark.parametrize("s", ALL, ids=names)


def random_cores(s, seed=0, kind=float):
    random = np.random.default_rng(seed)
    cores = [random.standard_normal(core.shape) for core in s.arrays]
    return [c + 1j * random.standard_normal(c.shape) for c in cores] if kind is complex else cores


def by_hand(s, cores):
    """The definition entry by entry, with digits of row and column and loops over bonds."""
    m = s.matrix
    out = np.zeros((m.rows, m.columns), np.result_type(*cores))

    def split(index, sizes):
        return np.unravel_index(index, sizes)

    for o, i in product(range(m.rows), range(m.columns)):
        if s.name == "lowrank":
            out[o, i] = cores[0][o] @ cores[1][:, i]
        elif s.name == "diaglowrank":
            out[o, i] = cores[1][o] @ cores[2][:, i] + (cores[0][o] if o == i else 0)
        elif s.name == "circulant":
            out[o, i] = cores[0][(o - i) % m.rows]
        elif s.name == "kron":
            continue
        elif s.name == "blockdiag":
            (g, p), (h, q) = split(o, (s.blocks, m.rows // s.blocks)), split(i, (s.blocks, m.columns // s.blocks))
            out[o, i] = cores[0][g, p, q] if g == h else 0
        elif s.name == "monarch":
            (a, b), (k, p) = split(o, (m.rows // s.blocks, s.blocks)), split(i, (s.blocks, m.columns // s.blocks))
            out[o, i] = cores[0][b, a, k] * cores[1][k, b, p]
        else:
            os, js = split(o, digits(m.rows, s.cores)), split(i, digits(m.columns, s.cores))
            value = np.ones(1)
            for t in range(s.cores):
                at = (*os[: t + 1], *js[t:]) if s.name == "btt" else (os[t], js[t])
                core = cores[t] if t else cores[t][None]
                core = core if t < s.cores - 1 else core[..., None]
                value = value @ core[(slice(None), *at)]
            out[o, i] = value[0]
    if s.name == "kron":
        out = sum(np.kron(a, b) for a, b in zip(*cores, strict=True))
    return out


@every
def test_the_expansion_is_the_definition(s):
    for kind in (float, complex):
        cores = random_cores(s, 1, kind)
        np.testing.assert_allclose(s.dense(cores), by_hand(s, cores), rtol=1e-13, atol=1e-13)


@every
def test_projection_is_exact_on_its_own_class(s):
    for kind in (float, complex):
        array = s.dense(random_cores(s, 2, kind))
        found = s.project(array)
        assert [c.shape for c in found] == [core.shape for core in s.arrays]
        assert np.linalg.norm(s.dense(found) - array, 2) <= 1e-12 * np.linalg.norm(array, 2)


@every
def test_no_member_is_nearer_than_the_projection(s):
    """Against small moves of every core: a condition of first and second order for the nearest member."""
    random = np.random.default_rng(3)
    array = random.standard_normal((s.matrix.rows, s.matrix.columns))
    cores = s.project(array)
    distance = np.linalg.norm(array - s.dense(cores))
    slack = 1e-9 if s.theorem == "optimal" or (s.name in ("btt", "tt") and s.cores == 2) else 0.05
    for _ in range(60):
        moved = [c + 10.0 ** random.uniform(-6, -1) * random.standard_normal(c.shape) for c in cores]
        assert np.linalg.norm(array - s.dense(moved)) >= distance * (1 - slack)
    assert distance < np.linalg.norm(array)


def tail(array, rank):
    return np.sum(np.linalg.svd(array, compute_uv=False)[..., rank:] ** 2)


def test_distances_are_the_singular_values_cut_off():
    """The theorems: Eckart-Young for each rearrangement of the matrix into (stacks of) matrices."""
    w = np.random.default_rng(4).standard_normal((12, 18))
    expected = {
        ("lowrank", 4): tail(w, 4),
        ("kron", 2): tail(w.reshape(3, 4, 3, 6).transpose(0, 2, 1, 3).reshape(9, 24), 2),
        ("monarch", 6): tail(w.reshape(2, 6, 6, 3).transpose(1, 2, 0, 3), 1),
        ("btt", 2): tail(w.reshape(3, 4, 3, 6).transpose(0, 3, 1, 2), 2),
        ("tt", 2): tail(w.reshape(3, 4, 3, 6).transpose(0, 2, 1, 3).reshape(9, 24), 2),
    }
    for (name, number), squared in expected.items():
        option = {"lowrank": "rank", "kron": "terms", "monarch": "blocks", "btt": "rank", "tt": "rank"}[name]
        s = structure(name, WIDE, {option: number})
        assert np.linalg.norm(w - s.dense(s.project(w))) ** 2 == pytest.approx(squared, rel=1e-12), name


@pytest.mark.parametrize("name", ["btt", "tt"])
def test_truncations_one_after_another_keep_their_bound(name):
    """Three cores: the squared distance is at most the sum of what each step cuts off, and not above 2x a lower bound."""
    matrix = Matrix("o", 27, "i", 27)
    w = np.random.default_rng(5).standard_normal((27, 27))
    s = structure(name, matrix, {"cores": 3, "rank": 2})
    t = w.reshape(3, 3, 3, 3, 3, 3)
    if name == "tt":
        t = t.transpose(0, 3, 1, 4, 2, 5)
        cut = [tail(t.reshape(9, 81), 2), tail(t.reshape(81, 9), 2)]
    else:
        first = t.transpose(0, 4, 5, 3, 1, 2).reshape(3, 9, 3, 9)
        second = t.transpose(0, 1, 5, 3, 4, 2).reshape(9, 3, 9, 3)
        cut = [tail(first, 2), tail(second, 2)]
    squared = np.linalg.norm(w - s.dense(s.project(w))) ** 2
    assert max(cut) <= squared * (1 + 1e-12)
    assert squared <= sum(cut) * (1 + 1e-12)


def test_counts_are_the_published_ones():
    d, r, b, c = 4096, 5, 64, 64
    square = Matrix("o", d, "i", d)
    table = {
        "lowrank": (structure("lowrank", square, {"rank": r}), 2 * r * d, 4 * r * d),
        "kron": (structure("kron", square, {"terms": 3}), 3 * 2 * d, 3 * 4 * d * 64),
        "monarch": (structure("monarch", square, {"blocks": b}), 2 * d**1.5, 4 * d**1.5),
        "blockdiag": (structure("blockdiag", square, {"blocks": b}), d * d / b, 2 * d * d / b),
        "btt": (structure("btt", square, {"cores": 2, "rank": 2}), 2 * 2 * d**1.5, 2 * 2 * 2 * d**1.5),
        "btt3": (structure("btt", square, {"cores": 3, "rank": 2}), (2 + 4 + 2) * d * 16, 2 * (2 + 4 + 2) * d * 16),
        "tt": (structure("tt", square, {"cores": 2, "rank": r}), 2 * r * c * c, 4 * r * d * 64),
        "circulant": (structure("circulant", square, {}), d, 2 * d * d),
        "diaglowrank": (structure("diaglowrank", square, {"rank": r}), d * (2 * r + 1), d * (4 * r + 2)),
    }
    assert {s.name for s, _, _ in table.values()} == set(STRUCTURES)
    for name, (s, parameters, flops) in table.items():
        assert (s.parameters, s.flops) == (parameters, flops), name


@every
def test_drawn_cores_keep_the_variance(s):
    """Entries of variance 1/fan: |W x|^2 is |x|^2 rows/columns in the mean."""
    random = np.random.default_rng(6)
    total = []
    for _ in range(400):
        cores = [random.standard_normal(core.shape) / np.sqrt(core.fan) for core in s.arrays]
        x = random.standard_normal(s.matrix.columns)
        total.append(np.sum((s.dense(cores) @ x) ** 2) / s.matrix.rows)
    assert np.mean(total) == pytest.approx(1.0, rel=0.25)


def test_a_permuted_fourier_matrix_is_monarch():
    b = 8
    n = b * b
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    columns = np.arange(n).reshape(b, b).T.ravel()  # digits of the column reversed
    s = structure("monarch", Matrix("o", n, "i", n), {"blocks": b})
    array = fourier[:, columns]
    assert np.linalg.norm(array - s.dense(s.project(array)), 2) < 1e-12 * n
    assert np.linalg.norm(fourier - s.dense(s.project(fourier)), 2) > 1.0


def test_hard_inputs():
    for s in ALL:
        zero = np.zeros((s.matrix.rows, s.matrix.columns))
        assert not s.dense(s.project(zero)).any()
        large = 1e150 * np.random.default_rng(7).standard_normal(zero.shape)
        assert np.isfinite(s.dense(s.project(large))).all()


@every
def test_candidates_fit_and_pay(s):
    found = list(type(s).candidates(s.matrix))
    assert all(c.matrix == s.matrix and type(c) is type(s) for c in found)
    assert len(set(found)) == len(found)
    if s.name != "circulant":
        assert all(c.flops < s.matrix.flops for c in found)
    prime = replace(s.matrix, rows=13, columns=13)
    for c in type(s).candidates(prime):
        assert c.name in ("lowrank", "circulant", "diaglowrank", "blockdiag", "monarch")


def test_axes_of_cores_are_no_names_that_a_user_can_write():
    for s in ALL:
        for core in s.arrays:
            assert len({a for a, _ in core.axes}) == len(core.axes)
            assert all(a in (s.matrix.row, s.matrix.column) or "." in a for a, _ in core.axes)
    clash = structure("kron", Matrix("rank", 12, "term", 12), {"terms": 2})
    cores = random_cores(clash)
    np.testing.assert_allclose(clash.dense(cores), by_hand(clash, cores), rtol=1e-13, atol=1e-13)
    term = clash.expansion([build.symbol(c.name, c.type(Kind.REAL)) for c in clash.arrays])
    assert set(term.axes) == {"rank", "term"}


@pytest.mark.parametrize(
    ("name", "options", "matrix", "message", "remedy"),
    [
        ("lowrank", {"rank": 13}, SQUARE, "rank=13 is above the full rank 12", "rank=12"),
        ("lowrank", {"rank": 0}, SQUARE, "rank=0: at least one", "rank=1"),
        ("lowrank", {}, SQUARE, "`@lowrank` needs `rank`", "@lowrank(rank=...)"),
        ("lowrank", {"rang": 2}, SQUARE, "`@lowrank` has no option `rang`", "it has rank"),
        ("circulant", {"rank": 2}, SQUARE, "`@circulant` has no option `rank`", "it has none"),
        ("monarch", {"blocks": 5}, SQUARE, "`o` of size 12 has no 5 equal blocks", "o = 10 or 15, or blocks=4 or 6"),
        ("monarch", {"blocks": 0}, SQUARE, "`o` of size 12 has no 0 equal blocks", "blocks=2 or 3"),
        ("blockdiag", {"blocks": 4}, WIDE, "`i` of size 18 has no 4 equal blocks", "i = 16 or 20, or blocks=2 or 3"),
        ("btt", {}, Matrix("o", 13, "i", 12), "`o` of size 13 is no product of 2 numbers", "o = 12 or 14"),
        ("tt", {"rank": 1, "cores": 3}, Matrix("o", 12, "i", 10), "`i` of size 10 is no product of 3 numbers", "i = 8 or 12"),
        ("kron", {"terms": 10}, SQUARE, "terms=10 is above the full rank 9", "terms=9"),
        ("btt", {"rank": 4}, SQUARE, "rank=4 is above the full rank 3", "rank=3"),
        ("circulant", {}, WIDE, "a circulant matrix is square, this is 12 x 18", "i = 12"),
        ("diaglowrank", {"rank": 1}, WIDE, "a diagonal needs a square matrix, this is 12 x 18", "i = 12"),
        ("kron", {}, Matrix("o", 1, "i", 4), "`o` of size 1 is no product of 2 numbers", "o = 4"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(name, options, matrix, message, remedy):
    with pytest.raises(StructureError) as failed:
        structure(name, matrix, options)
    assert (failed.value.message, failed.value.remedy) == (message, remedy)
