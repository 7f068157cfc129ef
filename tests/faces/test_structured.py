"""Structured weights from text to numbers: the annotation defines the weight, its cores are what is given, drawn and counted."""

import json

import numpy as np
import pytest

import ricci
from ricci import driver
from ricci.driver import Settings
from ricci.dsl.structures import STRUCTURES
from ricci.errors import RicciError, Source
from ricci.faces import command_check
from ricci.faces.command_show import show_source
from ricci.faces.execute import execute

NOTES = {
    "lowrank": "lowrank(rank=3)",
    "kron": "kron(2)",
    "monarch": "monarch(blocks=4)",
    "blockdiag": "blockdiag(4)",
    "btt": "btt(cores=2, rank=2)",
    "tt": "tt(rank=2)",
    "circulant": "circulant",
    "diaglowrank": "diaglowrank(rank=2)",
}
LAYER = """dim b, o = {o}, i = {i}
layer L(x[b, i]) -> y[b, o] {{
  weight W[o, i] @{note}, c[o]
  y[b, o] = tanh(W[o, i]*x[b, i] + c[o])
}}
"""


def layer_of(text, name="L"):
    return driver.check_text(Source("<text>", text)).layers[name]


def cores_for(layer, seed=0):
    """Arrays for all weights of a layer by their full names, axes in declared order."""
    draw = np.random.default_rng(seed).standard_normal
    return {w.name: draw([w.symbol.axes[a].constant for a in w.order]) for w in layer.weights}


def matrix(structured, weights):
    return structured.structure.dense([weights[core.name] for core in structured.cores])


def run(folder, text, arrays, **settings):
    return execute(Source(str(folder / "layers.model"), text), Settings(**settings), write=False, arrays=arrays)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_every_structure_runs_as_its_dense_matrix(tmp_path, name, backend):
    sizes = {"o": 12, "i": 12} if name in ("circulant", "diaglowrank") else {"o": 8, "i": 20}
    text = LAYER.format(note=NOTES[name], **sizes)
    layer = layer_of(text)
    weights = cores_for(layer)
    x = np.random.default_rng(1).standard_normal((5, sizes["i"]))
    found = run(tmp_path, text, {"L.x": x, **weights}, backend=backend).results["L.y"].values
    dense = matrix(layer.structured[0], weights)
    np.testing.assert_allclose(found, np.tanh(x @ dense.T + weights["L.c"]), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("opt", [0, 2, 3])
def test_two_structured_layers_one_into_the_other(tmp_path, opt):
    """The forward part of a multilayer perceptron with a block tensor train, a Monarch matrix and a dense one."""
    text = """dim b, d = 16, h = 36, k = 5
layer MLP(x[b, d]) -> z[b, k] {
  weight W1[h, d] @btt(cores=2, rank=2), W2[h, h'] @monarch(blocks=6), W3[k, h]
  z[b, k] = W3[k, h]*gelu(W2[h, h']*gelu(W1[h', d]*x[b, d]))
}
"""
    layer = layer_of(text, "MLP")
    weights = cores_for(layer)
    x = np.random.default_rng(1).standard_normal((7, 16))
    w1, w2 = (matrix(s, weights) for s in layer.structured)
    wanted = gelu(gelu(x @ w1.T) @ w2.T) @ weights["MLP.W3"].T
    found = run(tmp_path, text, {"MLP.x": x, **weights}, opt=opt).results["MLP.z"].values
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-11)


def gelu(x):
    from math import erf

    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def test_a_layer_with_itself_in_a_definition(tmp_path):
    """Calls put the expansion into the definition: L(L(x)) of a square low-rank layer."""
    text = """dim b = 3, c = 6
layer L(x[b, c]) -> y[b, c] {
  weight W[c, c'] @lowrank(rank=2)
  y[b, c] = W[c, c']*x[b, c']
}
tensor u[b, c]
let r = L(L(u))
"""
    layer = layer_of(text)
    weights = cores_for(layer)
    u = np.random.default_rng(2).standard_normal((3, 6))
    w = matrix(layer.structured[0], weights)
    found = run(tmp_path, text, {"u": u, **weights}).results["r"].values
    np.testing.assert_allclose(found, u @ w.T @ w.T, rtol=1e-11)


def test_structured_tensors_outside_of_layers(tmp_path):
    text = (
        "dim i = 6, j = 4\ntensor A[i, j] @kron, B[j, i] @lowrank(rank=1), v[j]\nlet r[i] = A[i, j]*v[j]\nlet s[i, i'] = A[i, j]*B[j, i']\n"
    )
    model = driver.check_text(Source("<text>", text))
    draw = np.random.default_rng(3).standard_normal
    given = {w.name: draw([w.symbol.axes[a].constant for a in w.order]) for w in model.tensors.values()}
    assert set(given) == {"A.first", "A.second", "B.left", "B.right", "v"}
    a, b = (matrix(model.structured[n], given) for n in "AB")
    np.testing.assert_allclose(a, np.kron(given["A.first"][0], given["A.second"][0]), rtol=1e-14)
    found = run(tmp_path, text, given).results
    np.testing.assert_allclose(found["r"].values, a @ given["v"], rtol=1e-12)
    np.testing.assert_allclose(found["s"].values, a @ b, rtol=1e-12)


def test_weights_of_two_layers_with_one_name_are_two(tmp_path):
    text = "dim i = 4\n" + "".join(
        f"layer {n}(x[i]) -> y[i] {{\n  weight W[i, i'] @lowrank(rank=1)\n  y[i] = W[i, i']*x[i']\n}}\n" for n in "AB"
    )
    model = driver.check_text(Source("<text>", text))
    weights = {**cores_for(model.layers["A"], 1), **cores_for(model.layers["B"], 2)}
    np.savez(tmp_path / "w.npz", **weights)
    x = np.arange(4.0)
    found = run(tmp_path, text, {"A.x": x, "B.x": x}, weights="w.npz").results
    for name in "AB":
        w = matrix(model.layers[name].structured[0], weights)
        np.testing.assert_allclose(found[f"{name}.y"].values, w @ x, rtol=1e-12)


def test_cores_by_their_short_names(tmp_path):
    text = LAYER.format(note="lowrank(rank=3)", o=8, i=20)
    weights = {name.removeprefix("L."): array for name, array in cores_for(layer_of(text)).items()}
    assert set(weights) == {"W.left", "W.right", "c"}
    np.savez(tmp_path / "w.npz", **weights)
    x = np.random.default_rng(1).standard_normal((2, 20))
    from_file = run(tmp_path, text, {"L.x": x}, weights="w.npz").results["L.y"].values
    in_memory = ricci.model(text, weights=weights, **{"L.x": x}).L.y.values
    np.testing.assert_array_equal(from_file, in_memory)


def test_a_dense_array_for_a_structured_weight_is_told_apart(tmp_path):
    text = LAYER.format(note="lowrank(rank=3)", o=8, i=20)
    np.savez(tmp_path / "w.npz", W=np.zeros((8, 20)), c=np.zeros(8))
    with pytest.raises(RicciError) as failed:
        run(tmp_path, text, {"L.x": np.zeros((2, 20))}, weights="w.npz")
    assert failed.value.code == "E0807"
    assert "its cores are W.left, W.right" in failed.value.render()


def test_drawn_cores_give_outputs_of_the_size_of_the_input(tmp_path):
    for name, note in NOTES.items():
        text = f"dim b = 50, o = 64, i = 64\nlayer L(x[b, i]) -> y[b, o] {{\n  weight W[o, i] @{note}\n  y[b, o] = W[o, i]*x[b, i]\n}}\n"
        x = np.random.default_rng(1).standard_normal((50, 64))
        values = [run(tmp_path, text, {"L.x": x}, backend="reference", seed=s).results["L.y"].values for s in range(6)]
        assert 0.6 < np.mean(np.square(values)) < 1.6, name


def test_the_embedded_layer_takes_structures():
    b, d, h = ricci.dims("b", d=6, h=8)

    @ricci.layer(out="b h", x="b d")
    def Net(x):
        w = ricci.weight(h, d, btt={"cores": 2, "rank": 1})
        v = ricci.weight(h, h.p, monarch=2)
        return ricci.out[b, h] << v[h, h.p] * ricci.tanh(w[h.p, d] * x[b, d])

    layer = layer_of(str(Net), "Net")
    weights = cores_for(layer)
    x = np.random.default_rng(1).standard_normal((3, 6))
    w, v = (matrix(s, weights) for s in layer.structured)
    np.testing.assert_allclose(Net(x, weights=weights), np.tanh(x @ w.T) @ v.T, rtol=1e-11)


def test_counts_are_shown(tmp_path, capsys):
    path = tmp_path / "mlp.model"
    path.write_text(LAYER.format(note="lowrank(rank=3)", o=8, i=20))
    assert command_check.check([str(path)], False) == 0
    said = capsys.readouterr().out
    assert "L: 92 numbers instead of 168" in said
    assert "L.W[o, i] @lowrank(rank=3): 84 of 160 numbers, 168 of 320 operations on one vector" in said
    assert command_check.check([str(path)], True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["layers"]["L"] == {
        "parameters": 92,
        "dense_parameters": 168,
        "structured": {"L.W": {"structure": "@lowrank(rank=3)", "parameters": 84, "flops": 168}},
    }
    assert "structured L.W[o, i] @lowrank(rank=3): 84 of 160 numbers" in show_source("check", driver.read(path), Settings())


COUNTED = LAYER + "check flops(L) < {bound}*flops(dense(L))\ncheck flops(dense(L)) == b.size*(2*o.size*i.size + 2*o.size)\n"


def test_flops_are_those_of_the_structure(tmp_path):
    """Of W x by the inner axis of 3: 2*3*(8 + 20) for every row of the batch, beside one addition and one function for each entry."""
    x = np.zeros((5, 20))
    text = COUNTED.format(note="lowrank(rank=3)", o=8, i=20, bound=1) + "check flops(L) == b.size*(2*3*(o.size + i.size) + 2*o.size)\n"
    weights = cores_for(layer_of(LAYER.format(note="lowrank(rank=3)", o=8, i=20)))
    checks = run(tmp_path, text, {"L.x": x, **weights}).checks
    assert [c.passed for c in checks] == [True, True, True]
    failing = run(tmp_path, COUNTED.format(note="lowrank(rank=3)", o=8, i=20, bound="0.1"), {"L.x": x, **weights}).checks
    assert [c.passed for c in failing] == [False, True]


def test_flops_of_open_sizes_are_asked_for(tmp_path):
    text = COUNTED.format(note="lowrank(rank=3)", o=8, i=20, bound=1)
    with pytest.raises(RicciError) as failed:
        run(tmp_path, text, {})
    assert failed.value.code == "E0707"
    assert "flops(L)" in failed.value.render()


def test_dense_of_a_layer_has_its_values(tmp_path):
    text = """dim b = 3, o = 8, i = 20
layer L(x[b, i]) -> y[b, o] {
  weight W[o, i] @lowrank(rank=3)
  y[b, o] = W[o, i]*x[b, i]
}
tensor u[b, i]
let r[b, o] = L(u)[b, o] - dense(L)(u)[b, o]
"""
    weights = cores_for(layer_of(text))
    found = run(tmp_path, text, {"u": np.ones((3, 20)), **weights}).results["r"].values
    assert not found.any()


WRONG = [
    ("W[o, i] @monarch(blocks=5)", "`o` of size 8 has no 5 equal blocks", "o = 5 or 10, or blocks=2 or 4"),
    ("W[o, i] @btt(cores=4)", "`o` of size 8 is no product of 4 numbers", "o = 16"),
    ("W[o, i] @lowrank(rank=9)", "rank=9 is above the full rank 8", "rank=8"),
    ("W[o, i] @lowrank(rank=1.5)", "`rank` is a whole number", ""),
    ("W[o, i] @lowrank", "`@lowrank` needs `rank`", ""),
    ("W[o, i] @lowrank(2, rank=2)", "`rank` is given twice", ""),
    ("W[o, i] @lowrank(2, 3)", "`@lowrank` has too many options", "it takes rank"),
    ("W[o, i] @lowrank(rang=2)", "`@lowrank` has no option `rang`", "it has rank"),
    ("W[o, i] @circulant", "a circulant matrix is square, this is 8 x 20", "i = 8"),
    ("W[o, i] @lowrank(rank=2) @kron", "`W` has two structures", "it is `@lowrank` already"),
    ("W[o, i] = normal() @kron", "the structured weight `W` has a value of its own", ""),
    ("W[o, i]: bool @kron", "the structured weight `W` holds no plain numbers", ""),
    ("W[o, b] @lowrank(rank=2)", "the size of `b` is open, `@lowrank` depends on it", "dim b = 64"),
    ("W[o] @lowrank(rank=2)", "`@lowrank` is a structure of matrices, `W` has 1 indices", ""),
]


@pytest.mark.parametrize(("weight", "message", "label"), WRONG)
def test_what_does_not_fit_is_an_error_with_what_would(weight, message, label):
    text = f"dim b, o = 8, i = 20\nlayer L(x[b, i]) -> y[b, o] {{\n  weight {weight}\n  y[b, o] = W*x[b, i]\n}}\n"
    with pytest.raises(RicciError) as failed:
        driver.check_text(Source("<text>", text))
    first = failed.value.diagnostics[0]
    assert (first.code, first.message) == ("E0212", message)
    assert label in failed.value.render()


def test_what_trains_is_not_run_and_the_forward_part_is(tmp_path):
    """`solve minimize` stays E0601; the structures beside it are no longer named."""
    text = (
        LAYER.format(note="monarch(blocks=4)", o=8, i=20) + "tensor a[b, i]\nsolve minimize mean(L(a)^2) over L { method: adam(lr=1e-3) }\n"
    )
    model = driver.check_text(Source("<text>", text))
    assert model.unsupported
    assert not any("structure" in u.what for u in model.unsupported)
    with pytest.raises(RicciError) as failed:
        driver.discretize(model)
    assert failed.value.code == "E0601"
