"""Tensor models and layers from text to numbers: generated code and interpreter against numpy."""

from math import erf, sqrt

import numpy as np
import pytest

import ricci.faces.execute as execution
from ricci.driver import Settings
from ricci.dsl.term import walk
from ricci.errors import RicciError, Source
from ricci.faces.execute import execute

BACKENDS = ["cpu", "reference"]


def run(folder, text, backend="cpu", **arrays):
    """Results of a model by name, axes in declared order; `arrays` are its tensors, layer inputs and weights (`_` for a dot)."""
    inputs = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        inputs.append((name.replace("_", "."), f"{name}.npy"))
    return execute(Source(str(folder / "tensors.model"), text), Settings(backend=backend, input=tuple(inputs)))


def values(outcome):
    return {name: labelled.values for name, labelled in outcome.results.items()}


def close(found, wanted):
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(erf, otypes=[float])(x / sqrt(2.0)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


CHAIN = """dim i = {}, j = {}, k = {}, l = {}, m = {}
tensor A[i, j, k], B[k, l], C[l, m, i]
let R[j, m] = A[i, j, k]*B[k, l]*C[l, m, i]
"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [(4, 3, 5, 6, 7), (1, 1, 1, 1, 1), (17, 1, 33, 3, 1), (31, 13, 9, 21, 11)])
def test_chain_of_contractions(tmp_path, backend, sizes):
    i, j, k, m_, l_ = sizes[0], sizes[1], sizes[2], sizes[4], sizes[3]
    draw = np.random.default_rng(1).standard_normal
    a, b, c = draw((i, j, k)), draw((k, l_)), draw((l_, m_, i))
    found = values(run(tmp_path, CHAIN.format(*sizes), backend, A=a, B=b, C=c))["R"]
    close(found, np.einsum("ijk,kl,lmi->jm", a, b, c))


def test_drawn_tensors_are_the_same_in_every_backend_and_differ_by_seed(tmp_path):
    source = Source(str(tmp_path / "chain.model"), CHAIN.format(4, 3, 5, 6, 7))
    first, again, other = (
        execute(source, Settings(backend=b, seed=s)).results["R"].values for b, s in (("cpu", 0), ("reference", 0), ("cpu", 1))
    )
    np.testing.assert_allclose(first, again, rtol=1e-11)
    assert abs(first - other).max() > 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_product_of_values_from_expressions(tmp_path, backend):
    text = "dim i = 3, j = 4, k = 5\ntensor A[i, j] = i + j, B[j, k] = j - k\nlet C[i, k] = A[i, j]*B[j, k]\ncheck max(abs(C)) > 1\n"
    outcome = run(tmp_path, text, backend)
    i, j, k = np.arange(3), np.arange(4), np.arange(5)
    close(outcome.results["C"].values, (i[:, None] + j) @ (j[:, None] - k).astype(float))
    assert outcome.checks[0].passed
    assert outcome.checks[0].value == 30


@pytest.mark.parametrize("backend", BACKENDS)
def test_open_sizes_come_from_data_and_axes_keep_their_order(tmp_path, backend):
    a, b = np.arange(12.0).reshape(3, 4), np.arange(20.0).reshape(4, 5)
    text = "dim p, q, a\ntensor M[q, p], N[p, a]\nlet R[q, a] = M[q, p]*N[p, a]\nlet S[a, q] = 2*M[q, p]*N[p, a]\n"
    found = values(run(tmp_path, text, backend, M=a, N=b))
    close(found["R"], a @ b)
    close(found["S"], 2 * (a @ b).T)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("batch", "height", "width", "c", "o"), [(2, 5, 4, 3, 6), (1, 1, 1, 1, 1), (3, 1, 7, 2, 5)])
def test_convolution(tmp_path, backend, batch, height, width, c, o):
    text = f"""dim b, y, x, c = {c}, o = {o}, m = 3, n = 3
layer Conv(u[b, y, x, c]) -> v[b, y, x, o] {{
  weight W[o, c, m, n]
  v[b, y, x, o] = W[o, c, m, n]*pad(u)[b, y + m - 1, x + n - 1, c]
}}
"""
    draw = np.random.default_rng(2).standard_normal
    u, w = draw((batch, height, width, c)), draw((o, c, 3, 3))
    found = values(run(tmp_path, text, backend, Conv_u=u, Conv_W=w))["Conv.v"]
    padded = np.pad(u, ((0, 0), (1, 1), (1, 1), (0, 0)))
    wanted = sum(np.einsum("oc,byxc->byxo", w[:, :, m, n], padded[:, m : m + height, n : n + width]) for m in range(3) for n in range(3))
    close(found, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("batch", "d", "h", "k"), [(5, 7, 6, 3), (1, 1, 1, 1), (33, 17, 31, 10)])
def test_perceptron(tmp_path, backend, batch, d, h, k):
    text = f"""dim b, d = {d}, h = {h}, k = {k}
layer MLP(x[b, d]) -> z[b, k] {{
  weight W1[h, d], W2[h, h'], W3[k, h]
  z[b, k] = W3[k, h]*gelu(W2[h, h']*gelu(W1[h', d]*x[b, d]))
}}
"""
    draw = np.random.default_rng(3).standard_normal
    x, w1, w2, w3 = draw((batch, d)), draw((h, d)), draw((h, h)), draw((k, h))
    found = values(run(tmp_path, text, backend, MLP_x=x, MLP_W1=w1, MLP_W2=w2, MLP_W3=w3))["MLP.z"]
    close(found, gelu(gelu(x @ w1.T) @ w2.T) @ w3.T)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("batch", "s", "d", "h", "e"), [(2, 5, 6, 2, 3), (1, 1, 1, 1, 1), (3, 9, 7, 1, 5)])
def test_causal_attention(tmp_path, backend, batch, s, d, h, e):
    text = f"""dim b, s, d = {d}, h = {h}, e = {e}
layer Attention(x[b, s, d]) -> y[b, s, d] {{
  weight Q[h, e, d], K[h, e, d], V[h, e, d], O[d, h, e]
  q[b, h, s, e] = Q[h, e, d]*x[b, s, d]; k[b, h, s, e] = K[h, e, d]*x[b, s, d]; v[b, h, s, e] = V[h, e, d]*x[b, s, d]
  p[b, h, s, s'] = softmax[s'](if s' <= s then q[b, h, s, e]*k[b, h, s', e]/sqrt(e.size) else -inf)
  y[b, s, d] = O[d, h, e]*p[b, h, s, s']*v[b, h, s', e]
}}
"""
    draw = np.random.default_rng(4).standard_normal
    x, q, k, v, o = draw((batch, s, d)), draw((h, e, d)), draw((h, e, d)), draw((h, e, d)), draw((d, h, e))
    given = {"Attention_x": x, "Attention_Q": q, "Attention_K": k, "Attention_V": v, "Attention_O": o}
    found = values(run(tmp_path, text, backend, **given))["Attention.y"]
    a, b, c = (np.einsum("hed,bsd->bhse", w, x) for w in (q, k, v))
    scores = np.einsum("bhse,bhte->bhst", a, b) / sqrt(e)
    p = softmax(np.where(np.tril(np.ones((s, s), bool)), scores, -np.inf))
    close(found, np.einsum("dhe,bhst,bhte->bsd", o, p, c))


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_of_layers_are_called_by_their_layer(tmp_path, backend):
    """Names inside of a layer are its own: `x` of `L` is not the tensor `x`, `a` of `M` is not the param, two may have the same."""
    text = """dim s = 4
tensor x[s]
param a = 5
layer L(q[s]) -> x[s] { x[s] = 2*q[s] }
layer M(q[s]) -> a[s] { a[s] = 3*q[s] }
layer N(q[s]) -> a[s], x[s] { a[s] = 4*q[s]; x[s] = 5*q[s] }
let r = max(x)
check max(x) == 3
check r == 3
check a == 5
"""
    x = np.arange(4.0)
    outcome = run(tmp_path, text, backend, x=x, L_q=x, M_q=x, N_q=x)
    assert [c.passed for c in outcome.checks] == [True] * 3
    found = values(outcome)
    close(found.pop("r"), np.float64(3))
    assert found.keys() == {"L.x", "M.a", "N.a", "N.x"}
    for name, factor in (("L.x", 2), ("M.a", 3), ("N.a", 4), ("N.x", 5)):
        close(found[name], factor * x)
        assert outcome.results[name].name == name


@pytest.mark.parametrize("backend", BACKENDS)
def test_sums_are_separate_in_each_term_and_named_reductions_reduce(tmp_path, backend):
    text = """dim i, j
tensor A[i, j], u[i], v[j]
let r[i] = A[i, j]*v[j] + 2*u[i] - A[i, j]*A[i, j]
let s = sum[i](u[i])
let w[j] = max[i](A[i, j]) + sum[i](A[i, j]^2)
let c[i, j] = if A[i, j] > 0 then u[i] else v[j]
let n[i] = argmax[j](A[i, j])
let o[i, j] = u[i]*v[j]
check s < 1e9
"""
    draw = np.random.default_rng(5).standard_normal
    a, u, v = draw((7, 5)), draw(7), draw(5)
    found = values(run(tmp_path, text, backend, A=a, u=u, v=v))
    close(found["r"], a @ v + 2 * u - (a * a).sum(1))
    close(found["w"], a.max(0) + (a**2).sum(0))
    close(found["c"], np.where(a > 0, u[:, None], v))
    np.testing.assert_array_equal(found["n"], a.argmax(1))
    close(found["o"], np.outer(u, v))


@pytest.mark.parametrize("backend", BACKENDS)
def test_shifts_at_the_edges(tmp_path, backend):
    text = """dim i
tensor u[i]
let a[i] = pad(u)[i - 1]
let b[i] = wrap(u)[i + 2]
let c[i] = clamp(u)[i + 1]
let d[i] = mirror(u)[i - 2]
let e[i] = wrap(u)[-i]
"""
    u = np.arange(1.0, 8.0)
    found = values(run(tmp_path, text, backend, u=u))
    close(found["a"], np.r_[0, u[:-1]])
    close(found["b"], np.roll(u, -2))
    close(found["c"], np.r_[u[1:], u[-1]])
    close(found["d"], np.pad(u, (2, 0), "symmetric")[:7])
    close(found["e"], np.roll(u[::-1], 1))


def test_complex_tensors(tmp_path):
    draw = np.random.default_rng(6).standard_normal
    a, b = draw((3, 4)) + 1j * draw((3, 4)), draw((4, 2)) + 1j * draw((4, 2))
    text = (
        "dim i, j, k\ntensor A[i, j]: complex, B[j, k]: complex\nlet C[i, k] = conj(A[i, j])*B[j, k]\nlet D[i, k] = re(A[i, j]*B[j, k])\n"
    )
    for backend in BACKENDS:
        found = values(run(tmp_path, text, backend, A=a, B=b))
        close(found["C"], a.conj() @ b)
        close(found["D"], (a @ b).real)


def test_matrix_products_go_to_the_library(tmp_path):
    outcome = run(
        tmp_path, "dim i, j, k\ntensor A[i, j], B[j, k]\nlet C[i, k] = A[i, j]*B[j, k]\n", A=np.ones((64, 64)), B=np.ones((64, 64))
    )
    assert (outcome.results["C"].values == 64).all()
    assert outcome.kernels == []


def test_checks_look_at_what_generated_code_computed(tmp_path, monkeypatch):
    compute = execution._evaluate_function
    monkeypatch.setattr(execution, "_evaluate_function", lambda *a: {n: v + 1 for n, v in compute(*a).items()})
    text = "dim i = 3\ntensor u[i] = i\nlet r[i] = 2*u[i]\ncheck max(r) == 4\n"
    assert not run(tmp_path, text).checks[0].passed


def test_definitions_are_computed_together(tmp_path, monkeypatch):
    """What a definition computed is not computed again for the next one; those that lack a value keep nobody waiting."""
    asked = []
    compute = execution._evaluate_function

    def watched(program, name, *rest):
        asked.append(program.functions[name])
        return compute(program, name, *rest)

    monkeypatch.setattr(execution, "_evaluate_function", watched)
    chain = "".join(f"let a{k}[i, j] = tanh(a{k - 1}[i, j']*B[j', j])\n" for k in range(1, 9))
    text = f"dim i = 5, j = 4, k\ntensor a0[i, j], B[j, j'], C[k]\n{chain}let c[k] = 2*C[k]\nlet r = max(a8)\n"
    a, b = np.random.default_rng(8).standard_normal((2, 5, 4))
    outcome = run(tmp_path, text, a0=a, B=b[:4])
    (function,) = asked
    assert [label for label, _ in function.results] == [*(f"a{k}" for k in range(1, 9)), "r"]
    assert len(walk(function.roots)) < 40
    assert ["`c` is not evaluated" in note for note in outcome.notes] == [True]
    found = values(outcome)
    for k in range(1, 9):
        a = np.tanh(a @ b[:4])
        close(found[f"a{k}"], a)
    close(found["r"], a.max())


def test_weights_from_files(tmp_path):
    np.savez(tmp_path / "w.npz", W=np.full((2, 3), 2.0), b=np.ones(2))
    text = """dim s, d = 3, k = 2
tensor x[s, d]
layer Dense(x[s, d]) -> z[s, k] {
  weight W[k, d] = load("w.npz"), c[k] = load("w.npz", key="b")
  z[s, k] = W[k, d]*x[s, d] + repeat[s](c[k])
}
let z[s, k] = Dense(x)
"""
    x = np.arange(12.0).reshape(4, 3)
    outcome = run(tmp_path, text, x=x)
    close(outcome.results["z"].values, 2 * x.sum(1)[:, None] + np.ones(2))
    assert not any("drawn" in note for note in outcome.notes)
    np.savez(tmp_path / "other.npz", W=np.zeros((2, 3)))
    source = Source(str(tmp_path / "tensors.model"), text)
    outcome = execute(source, Settings(input=(("x", "x.npy"),), weights="other.npz"))
    close(outcome.results["z"].values, np.ones((4, 2)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("dim i = 3, j = 4\ntensor A[i, j], B[i]\nlet R[i] = A[i, j]\n", "E0204"),
        ("dim i = 3, j = 4\ntensor B[i]\nlet R[i] = j*B[i]\n", "E0204"),
        ("dim i = 3, j = 4\ntensor B[i]\nlet R[i, j] = B[i]\n", "E0205"),
        ("dim i = 3, j = 4\ntensor A[i] = j\n", "E0204"),
        ("dim i = 3, j = 4\ntensor A[i], B[j]\nlet R[i] = A[j]*B[j]\n", "E0202"),
        ("dim i = 3\ntensor A[i]\nlet R[i] = A[i + 1]\n", "E0208"),
        ("dim i = 3\ntensor A[i], B[i], C[i]\nlet r = A[i]*exp(B[i]*C[i])\n", "E0211"),
        ("dim i = 3\ntensor A[i] = im*i\n", "E0203"),
        ("dim i = 3\ntensor A[i]: [m] = 3 [s]\n", "E0401"),
        ("dim i = 3\ntensor A[i]\nlet R[i] = A[i, i]\n", "E0210"),
    ],
)
def test_wrong_models(tmp_path, text, code):
    with pytest.raises(RicciError) as caught:
        run(tmp_path, text)
    assert caught.value.diagnostics[0].code == code, caught.value.render()


def test_data_of_a_wrong_shape(tmp_path):
    text = "dim i, j\ntensor A[i, j], u[j]\nlet r[i] = A[i, j]*u[j]\n"
    with pytest.raises(RicciError, match=r"`u` has 3 along `j`, `u\.npy` gives 4"):
        run(tmp_path, text, A=np.ones((2, 3)), u=np.ones(4))
    with pytest.raises(RicciError, match=r"`A` has the axes i, j, `A\.npy` gives 3 numbers"):
        run(tmp_path, text, A=np.ones(3), u=np.ones(3))


@pytest.mark.parametrize(
    ("product", "two"),
    [
        ("A[i]*exp(B[i]*C[i])", True),
        ("A[i]*(B[i]*C[i] + C[i])", True),
        ("(A[i]*B[i])*C[i]", False),
        ("A[i]*(B[i] + C[i])", False),
        ("A[i]*sum[i](B[i]*C[i])*C[i]", False),
        ("sum[i](A[i]*exp(B[i]*C[i]))", False),
        ("A[i]*exp(2*B[i])", False),
    ],
)
def test_two_readings_of_a_sum(tmp_path, product, two):
    text = f"dim i = 3\ntensor A[i], B[i], C[i]\nlet r = {product}\nlet R[i] = r*A[i]\n"
    if two:
        with pytest.raises(RicciError, match="two readings"):
            run(tmp_path, text)
        return
    a, b, c = np.random.default_rng(7).standard_normal((3, 3))
    wanted = {
        "(A[i]*B[i])*C[i]": (a * b * c).sum(),
        "A[i]*(B[i] + C[i])": (a * (b + c)).sum(),
        "A[i]*sum[i](B[i]*C[i])*C[i]": (a * c).sum() * (b * c).sum(),
        "sum[i](A[i]*exp(B[i]*C[i]))": (a * np.exp(b * c)).sum(),
        "A[i]*exp(2*B[i])": (a * np.exp(2 * b)).sum(),
    }[product]
    close(values(run(tmp_path, text, A=a, B=b, C=c))["R"], wanted * a)
