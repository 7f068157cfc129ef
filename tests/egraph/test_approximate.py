"""Approximations of weights: facts beside the e-graph, two figures kept apart, the exact program for tolerance 0."""

import numpy as np
import pytest

import ricci
from ricci import driver
from ricci.dsl import build, reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.structures import STRUCTURES, Matrix, structure
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Type
from ricci.egraph import optimize_function
from ricci.egraph.approximate import Problem, approximate, measure
from ricci.errors import RicciError, Source


def network(sizes, batch="b"):
    """A ReLU net over axes i and j in turn."""
    lines, before = [], f"x[{batch}, i]"
    for k in range(1, sizes + 1):
        o, i = ("j", "i") if k % 2 else ("i", "j")
        product = f"W{k}[{o}, {i}]*{before}"
        lines.append(f"  weight W{k}[{o}, {i}]")
        lines.append(f"  a{k}[{batch}, {o}] = relu({product})" if k < sizes else f"  y[{batch}, {o}] = {product}")
        before = f"a{k}[{batch}, {o}]"
    last = "j" if sizes % 2 else "i"
    return f"layer Net(x[{batch}, i]) -> y[{batch}, {last}] {{\n" + "\n".join(lines) + "\n}\n"


def trained(n, seed=0):
    """Six matrices of norm 1: decaying spectra, and noise on structured ones."""
    rng = np.random.default_rng(seed)
    k = np.arange(n)
    matrix = Matrix("h", n, "h'", n)

    def spectrum(s):
        left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
        return (left * s) @ right

    def near(name, **options):
        kind = structure(name, matrix, options)
        dense = kind.dense([rng.standard_normal(core.shape) for core in kind.arrays])
        return dense / np.linalg.norm(dense, 2) + 1e-5 * rng.standard_normal((n, n)) / np.sqrt(n)

    return [
        spectrum(np.exp(-k / 6)),
        near("kron", terms=2),
        spectrum(1 / (1 + k) ** 3),
        near("monarch", blocks=16),
        spectrum(np.exp(-k / 40)),
        near("lowrank", rank=16),
    ]


def problem(n, samples):
    model = driver.check_text(Source("<net>", f"dim b, i = {n}, j = {n}\n" + network(6)))
    net = model.layers["Net"]
    (x,) = [p for p in net.function.params if name_of(p) == "Net.x"]
    weights = {w.symbol: a if w.order[0] < w.order[1] else a.T for w, a in zip(net.weights, trained(n), strict=True)}
    return Problem(net.function, [x], weights, {w.symbol: w.order for w in net.weights}, {"b": len(samples)}, {x: samples})


def sixty(matrix):
    """Ten alternatives a weight, the weight itself among them."""
    ranks = [structure("lowrank", matrix, {"rank": r}) for r in (4, 8, 16, 32, 64)]
    return ranks + [structure("kron", matrix, {"terms": t}) for t in (1, 2, 4)] + [structure("monarch", matrix, {"blocks": 16})]


@pytest.fixture(scope="module")
def net():
    return problem(256, np.random.default_rng(1).standard_normal((1000, 256)))


def values(net, selection):
    arrays = {**{name_of(s): a for s, a in net.samples.items()}, **selection.weights}
    return reference.call(selection.function, [arrays[name_of(p)] for p in selection.function.params], net.sizes)[0]


@pytest.mark.parametrize(("tol", "fewer"), [(1e-3, 2.5), (1e-2, 3.0), (1e-1, 3.3)])
def test_the_bound_holds_on_a_thousand_inputs(net, tol, fewer):
    found = approximate(net, tol, "bound", sixty)
    assert found.measured == 60
    assert found.dense_flops / found.flops >= fewer
    assert found.bound <= tol
    (x,) = net.samples
    exact = approximate(net, 0, "bound", sixty)
    off = np.linalg.norm(values(net, found) - values(net, exact), axis=1)
    size = np.linalg.norm(net.samples[x], axis=1)
    assert len(off) == 1000
    assert np.all(off <= found.bound * (found.growth.gain * size + found.growth.offset))
    assert off.max() > 0


def test_the_figures_are_kept_apart(net):
    """A choice may keep its guaranteed bound and be far off relative to the result, and the other way round."""
    bound, calibrated = (approximate(net, 1e-2, by, sixty) for by in ("bound", "calibrated"))
    assert bound.bound <= 1e-2 < bound.calibrated
    assert calibrated.calibrated <= 1e-2
    assert calibrated.flops > bound.flops


def test_tolerance_0_is_the_exact_program(net):
    found = approximate(net, 0, "bound", sixty)
    assert found.function is net.function
    assert all(found.weights[name_of(s)] is a for s, a in net.weights.items())


def test_a_mixture_beats_every_single_structure(net):
    mixed = approximate(net, 1e-3, "bound", sixty).flops
    for kind in ("lowrank", "kron", "monarch"):

        def only(matrix, kind=kind):
            return [s for s in sixty(matrix) if type(s) is STRUCTURES[kind]]

        assert mixed < approximate(net, 1e-3, "bound", only).flops


def symbols_of(kind, matrix, options, name):
    found = structure(kind, matrix, options)
    return found.expansion([build.symbol(f"{name}.{core.name}", core.type(Kind.REAL)) for core in found.arrays])


MATRIX = Matrix("h", 64, "k", 64)
W = build.symbol("W", Type(Kind.REAL, {"h": 64, "k": 64}))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (W, symbols_of("lowrank", MATRIX, {"rank": 4}, "a")),
        (symbols_of("lowrank", MATRIX, {"rank": 1}, "a"), symbols_of("lowrank", MATRIX, {"rank": 16}, "b")),
        (W, symbols_of("kron", MATRIX, {"terms": 1}, "a")),
        (symbols_of("monarch", MATRIX, {"blocks": 8}, "a"), W),
    ],
)
def test_a_weight_minus_its_approximation_is_not_0(left, right):
    """Nothing in a program says that they are near: the optimizer keeps the difference."""
    difference = build.sub(build.conform(left, W.type), build.conform(right, W.type))
    function = Function("f", tuple(p for p in (W,) if p in (left, right)) + tuple(dict.fromkeys(_cores(left, right))), (("r", difference),))
    (root,) = optimize_function(function)[0].roots
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal([s.constant for s in p.axes.values()]) for p in function.params]
    (value,) = reference.call(Function("f", function.params, (("r", root),)), arrays, {})
    assert np.abs(value).max() > 0.1


def _cores(*terms):
    from ricci.dsl.term import symbols

    return [s for s in symbols(terms) if s is not W]


def test_noise_has_no_structure():
    rows = measure(np.random.default_rng(0).standard_normal((32, 32)) / 8, Matrix("h", 32, "k", 32))
    assert min(r.error for r in rows if r.structure is not None) > 0.1


TEXT = "dim b, i = 24, j = 24\n" + network(2)


def given(n=24, seed=3):
    rng = np.random.default_rng(seed)
    low = rng.standard_normal((n, 2)) @ rng.standard_normal((2, n)) / n
    return {"W1": low, "W2": rng.standard_normal((n, n)) / n}


def test_from_python():
    weights = given()
    found = ricci.approximate(TEXT, weights, tol=1e-9)
    assert found.structures == {"Net.W1": "@lowrank(rank=2)"}
    assert "weight W1[j, i] @lowrank(rank=2)" in found.text
    x = np.random.default_rng(0).standard_normal((5, 24))
    exact = ricci.model(TEXT, weights=weights, **{"Net.x": x})
    near = ricci.model(found.text, weights=found.weights, **{"Net.x": x})
    np.testing.assert_allclose(near.Net.y.values, exact.Net.y.values, rtol=1e-8, atol=1e-12)
    assert "times fewer" in str(found)
    assert found.to_json()["structures"] == {"Net.W1": "@lowrank(rank=2)"}
    assert 0 <= found.bound <= 1e-9


def test_samples_from_python():
    x = np.random.default_rng(0).standard_normal((7, 24))
    found = ricci.approximate(TEXT, given(), tol=1e-6, by="calibrated", samples={"x": x})
    assert found.calibrated <= 1e-6
    assert "largest of the samples" in str(found)


def test_tolerance_0_changes_no_text():
    weights = given()
    found = ricci.approximate(TEXT, weights, tol=0)
    assert found.text == TEXT
    np.testing.assert_array_equal(found.weights["Net.W1"], weights["W1"])


BAD = [
    ({"W1": np.ones((24, 24))}, {}, "E0807"),
    ({**given(), "W3": np.ones(3)}, {}, "E0807"),
    ({**given(), "W1": np.ones((24, 23))}, {}, "E0801"),
    ({**given(), "W1": np.full((24, 24), np.nan)}, {}, "E0808"),
    (given(), {"tol": -1.0}, "E0104"),
    (given(), {"tol": np.nan}, "E0104"),
    (given(), {"by": "luck"}, "E0104"),
    (given(), {"by": "calibrated"}, "E0104"),
    (given(), {"layer": "Other"}, "E0104"),
    ({n: np.random.default_rng(5).standard_normal((24, 24)) for n in ("W1", "W2")}, {"tol": 1e-6}, "E0905"),
]


@pytest.mark.parametrize(("weights", "change", "code"), BAD)
def test_bad_input(weights, change, code):
    with pytest.raises(RicciError) as caught:
        ricci.approximate(TEXT, weights, **{"tol": 1e-3, **change})
    assert caught.value.code == code


def test_no_bound_is_known():
    text = "dim b, i = 24, j = 24\nlayer Net(x[b, i]) -> y[b, j] {\n  weight W1[j, i]\n  y[b, j] = exp(W1[j, i]*x[b, i])\n}\n"
    with pytest.raises(RicciError, match="exp") as caught:
        ricci.approximate(text, {"W1": given()["W1"]}, tol=1e-3)
    assert caught.value.code == "E0906"
    x = np.random.default_rng(0).standard_normal((7, 24))
    found = ricci.approximate(text, {"W1": given()["W1"]}, tol=1e-6, by="calibrated", samples={"x": x})
    assert found.bound is None
    assert found.structures
