"""The index rules: what is free, what is summed and where, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from checking import error_of, model_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = {"i": 2, "j": 3, "k": 4, "l": 1}
DIMS = "dim " + ", ".join(f"{n} = {s}" for n, s in SIZES.items()) + "\n"


def arrays(seed, **shapes):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal([SIZES[n.rstrip("'")] for n in order]) for name, order in shapes.items()}


@st.composite
def products(draw):
    """Factors with their indices, and the indices of the left side: those that stand once, and some that stand twice."""
    factors = [tuple(draw(st.permutations("ijkl"))[: draw(st.integers(1, 3))]) for _ in range(draw(st.integers(1, 4)))]
    counts = {n: sum(n in f for f in factors) for n in "ijkl"}
    left = [n for n in "ijkl" if counts[n] == 1 or (counts[n] > 1 and draw(st.booleans()))]
    return factors, tuple(draw(st.permutations(left)))


@settings(max_examples=60, deadline=None)
@given(products(), st.integers(0, 2**32))
def test_a_product_is_einsum(case, seed):
    factors, left = case
    names = [f"T{k}" for k in range(len(factors))]
    text = DIMS + "tensor " + ", ".join(f"{n}[{', '.join(f)}]" for n, f in zip(names, factors, strict=True)) + "\n"
    target = f"R[{', '.join(left)}]" if left else "R"
    text += f"let {target} = " + "*".join(f"{n}[{', '.join(f)}]" for n, f in zip(names, factors, strict=True)) + "\n"
    values = arrays(seed, **dict(zip(names, factors, strict=True)))
    expected = np.einsum(",".join("".join(f) for f in factors) + "->" + "".join(left), *values.values())
    np.testing.assert_allclose(value_of(text, "R", values), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.permutations("ijk"), st.permutations("ijk"), st.integers(0, 2**32))
def test_names_bind_by_declared_order_then_only_names_count(declared, used, seed):
    text = f"dim i = 3, j = 3, k = 3\ntensor A[{', '.join(declared)}]\nlet R[i, j, k] = A[{', '.join(used)}]\n"
    a = np.random.default_rng(seed).standard_normal((3, 3, 3))
    np.testing.assert_array_equal(value_of(text, "R", {"A": a}), np.einsum(f"{''.join(used)}->ijk", a))


CASES = {
    "sums are separate in each term": ("A[i, j]*B[j] + C[i]", lambda a, b, c: a @ b + c),
    "an outer product sums over all of it": ("A[i, j]*(B[j] + D[j])", lambda a, b, d: a @ (b + d)),
    "a difference": ("C[i] - A[i, j]*B[j]", lambda c, a, b: c - a @ b),
    "a function of a sum": ("exp(A[i, j]*B[j])", lambda a, b: np.exp(a @ b)),
    "a factor outside of a function": ("C[i]*exp(A[i, j]*B[j])", lambda c, a, b: c * np.exp(a @ b)),
    "a quotient": ("A[i, j]*B[j]/C[i]", lambda a, b, c: a @ b / c),
    "a sum named": ("sum[j](A[i, j])", lambda a: a.sum(1)),
    "a mean": ("mean[j](A[i, j]^2)", lambda a: (a**2).mean(1)),
    "a maximum": ("max[j](A[i, j]*B[j])", lambda a, b: (a * b).max(1)),
    "a softmax": ("softmax[j](A[i, j])*B[j]", lambda a, b: softmax(a) @ b),
    "an index as a number does not count": ("sum[j](A[i, j]*j)", lambda a: a @ np.arange(3)),
    "a size": ("A[i, j]*B[j]/j.size", lambda a, b: a @ b / 3),
    "a condition": ("sum[j](if j <= i then A[i, j] else 0)", lambda a: np.tril(a).sum(1)),
    "parentheses are part of a product": ("A[i, j]*(B[j]*D[j])", lambda a, b, d: a @ (b * d)),
    "a power inside": ("(A[i, j]*B[j])^2", lambda a, b: (a @ b) ** 2),
    "a shift with zeros outside": ("sum[j](pad(A)[i, j+1]*B[j])", lambda a, b: np.roll(np.pad(a, ((0, 0), (0, 1))), -1, 1)[:, :3] @ b),
    "a shift that wraps": ("wrap(A)[i, j+1]*B[j]", lambda a, b: np.roll(a, -1, 1) @ b),
    "a shift that stays": ("clamp(A)[i, j+1]*B[j]", lambda a, b: a[:, [1, 2, 2]] @ b),
    "a reversed axis": ("A[i, 2-j]*B[j]", lambda a, b: a[:, ::-1] @ b),
    "an entry": ("A[i, 1]", lambda a: a[:, 1]),
    "indices by name": ("A[j=2, i]", lambda a: a[:, 2]),
    "a repeated value": ("repeat[i](B[1])", lambda b: np.repeat(b[1], 2)),
    "a second index over a range": ("A[i, j]*A[i', j]*C[i']", lambda a, c: a @ a.T @ c),
    "a bare tensor beside a written index": ("A[i, j]*B", lambda a, b: a @ b),
}


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", CASES)
def test_a_definition(name):
    expression, meaning = CASES[name]
    values = arrays(7, A="ij", B="j", C="i", D="j")
    used = meaning.__code__.co_varnames[: meaning.__code__.co_argcount]
    text = DIMS + "tensor A[i, j], B[j], C[i], D[j]\n" + f"let R[i] = {expression}\n"
    expected = meaning(*[values[n.upper()] for n in used])
    np.testing.assert_allclose(value_of(text, "R", values), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("A[i, j]", "E0204"),
        ("A[i, j] + B[j]*D[j]", "E0204"),
        ("exp(A[i, j])*C[i]", "E0204"),
        ("B[j]*D[j]", "E0205"),
        ("C[i]*(B[j]*D[j])*(B[j]*D[j])", "E0211"),
        ("C[i]*exp(B[j]*D[j])*B[j]", "E0211"),
        ("(A[i, j]*B[j])*(A[i, j]*D[j])", "E0211"),
        ("A[i, j]*(B[j]*D[j] + B[j])", "E0211"),
        ("sum[j](A[i, j, k])", "E0210"),
        ("A[i]", "E0210"),
        ("sum[j](A[i, j, j])", "E0210"),
        ("sum[j](A[j, i])", "E0202"),
        ("A[i, m]*B[m]", "E0201"),
        ("A[i, j+1]*B[j]", "E0208"),
        ("sum[k](A[i, j]*B[j])", "E0201"),
        ("i", None),
        ("B[i]", "E0202"),
    ],
)
def test_what_an_index_may_not_do(expression, code):
    text = DIMS + "tensor A[i, j], B[j], C[i], D[j]\n" + f"let R[i] = {expression}\n"
    if code is None:
        model_of(text)
    else:
        assert error_of(text).code == code


def test_free_dims_are_made_equal():
    model = model_of("dim a, b\ntensor A[a], B[b]\nlet r = A[a]*B[a]\n")
    assert model.sizes["a"] is model.sizes["b"]
    assert list(model.dims) == ["b"] or list(model.dims) == ["a"]
    text = "dim a, b\ntensor A[a], B[b]\nlet r = A[a]*B[a]\n"
    np.testing.assert_allclose(value_of(text, "r", {"A": np.arange(3.0), "B": np.ones(3)}, dict.fromkeys(model.dims, 3)), 3.0)


def test_a_free_dim_takes_the_size_of_a_fixed_one():
    text = "dim a, b = 5\ntensor A[a], B[b]\nlet r = A[a]*B[a]\n"
    assert model_of(text).sizes["a"].constant == 5


def test_gathered_rows():
    text = "dim b = 3, s = 4, v = 5, d = 2\ntensor tok[b, s]: int, E[v, d], T[v, s], M[b, d], y[b]: int\n"
    text += "let x[b, s, d] = E[tok[b, s], d]\nlet z[b, s] = T[tok[b, s], s]\nlet q[b, d] = M[y[b], d]\n"
    rng = np.random.default_rng(0)
    tok, y = rng.integers(0, 5, (3, 4)), rng.integers(0, 3, 3)
    values = {"tok": tok, "E": rng.random((5, 2)), "T": rng.random((5, 4)), "M": rng.random((3, 2)), "y": y}
    np.testing.assert_array_equal(value_of(text, "x", values), values["E"][tok])
    np.testing.assert_array_equal(value_of(text, "z", values), values["T"][tok, np.arange(4)])
    np.testing.assert_array_equal(value_of(text, "q", values), values["M"][y])


# ---------------------------------------------------------------------------------------------------------------------
# recurrences


def test_a_recurrence_is_a_loop():
    text = "dim s = 6, d = 2\ntensor a[s, d], x[s], w[d]\nlet z[s, d] = a[s, d]*exp(w[d])*z[s-1, d] + x[s]*s\n"
    rng = np.random.default_rng(1)
    values = {"a": rng.random((6, 2)), "x": rng.random(6), "w": rng.random(2)}
    z, expected = np.zeros(2), []
    for s in range(6):
        z = values["a"][s] * np.exp(values["w"]) * z + values["x"][s] * s
        expected.append(z)
    np.testing.assert_allclose(value_of(text, "z", values), expected, rtol=1e-12)


def test_a_recurrence_backwards_two_steps_and_mixing():
    text = "dim s = 5, d = 3\ntensor M[d, d'], x[s, d]\nlet z[s, d] = M[d, d']*z[s+1, d'] - z[s+2, d]/2 + x[s, d]\n"
    rng = np.random.default_rng(2)
    m, x = rng.random((3, 3)), rng.random((5, 3))
    z = np.zeros((7, 3))
    for s in reversed(range(5)):
        z[s] = m @ z[s + 1] - z[s + 2] / 2 + x[s]
    np.testing.assert_allclose(value_of(text, "z", {"M": m, "x": x}), z[:5], rtol=1e-12)


def test_a_recurrence_takes_the_kind_of_its_terms():
    text = "dim s = 4\ntensor a[s]: complex\nlet z[s] = a[s]*z[s-1] + 1\n"
    a = np.array([1j, 2, 1 + 1j, -1j])
    z, expected = 0, []
    for s in range(4):
        z = a[s] * z + 1
        expected.append(z)
    np.testing.assert_allclose(value_of(text, "z", {"a": a}), expected)


@pytest.mark.parametrize(
    ("definition", "start", "code"),
    [
        ("let z[s] = a[s]*z[s-1] + 1, ", "z[-1] = 2", "E0001"),
        ("let z[s] = a[s]*z[s-1] + 1, ", "z[s=-1] = 2", "E0001"),
        ("let z[s] = a[s]*z[s-1] + 1\n", "z[-1] = 2", "E0203"),
        ("let z[s] = a[s]*z[s-1] + 1\n", "let z[-1] = 2", "E0203"),
        ("let z[s] = a[s]*z[s-1] + 1\n", "let z[- 1] = 1 + 1", "E0203"),
    ],
)
def test_a_start_that_is_written_as_an_entry_has_a_remedy(definition, start, code):
    text = f"dim s = 3\ntensor a[s]\n{definition}"
    found = error_of(text + start)
    assert found.code == code
    kept = text.rpartition("let")[0] if code == "E0001" else text
    np.testing.assert_allclose(value_of(kept + found.help, "z", {"a": np.array([1.0, 2.0, 0.5])}), [3, 7, 4.5])


def test_starts_along_one_of_several_axes_and_of_several_steps():
    text = "dim s = 3, k = 2\ntensor c[k]\n"
    wrong = "let y[k, s] = c[k]*y[k, s-1] + y[k, s-2], y[k, -1] = c[k], y[k, -2] = 0"
    found = error_of(text + wrong)
    assert found.code == "E0001"
    np.testing.assert_allclose(value_of(text + found.help, "y", {"c": np.array([1.0, 2.0])}), [[1, 2, 3], [4, 10, 24]])
    in_layer = "dim s = 4\nlayer L(x[s]) -> z[s] {\n  z[s] = z[s-1]/2 + x[s]\n  z[-1] = 3\n}\n"
    found = error_of(in_layer)
    assert found.code == "E0203"
    assert model_of(in_layer.replace("z[-1] = 3", found.help)).layers["L"]
    assert error_of("dim s = 3\ntensor x[s]\nlet z[s] = z[s-1] + x[s]\ninitial z[-1] = 1\n").code == "E0203"


def test_layers_start_recurrences_where_they_say():
    from ricci.dsl.reference import call

    text = "dim s = 4\nlayer L(x[s]) -> z[s] {\n  initial z[s=-1] = 3\n  z[s] = z[s-1]/2 + x[s]\n}\n"
    function = model_of(text).layers["L"].function
    z, expected = 3.0, []
    for x in (1.0, 2.0, 0.0, 5.0):
        z = z / 2 + x
        expected.append(z)
    np.testing.assert_allclose(call(function, [np.array([1.0, 2.0, 0.0, 5.0])], {})[0], expected)


def test_definitions_start_recurrences_where_they_say():
    text = "dim s = 4\ntensor x[s]\nlet z[s] = z[s-1] + z[s-2] + 0*x[s]\ninitial z[s=-1] = 1\ninitial z[s=-2] = 0\n"
    np.testing.assert_allclose(value_of(text, "z", {"x": np.ones(4)}), [1, 2, 3, 5])
    assert error_of(text + "initial z[s=-3] = 0\n").code == "E0105"
    assert error_of(text + "initial z[s=-2] = 1\n").code == "E0302"
    assert error_of("dim s = 4\ntensor x[s]\nlet z[s] = x[s]\ninitial z[s=-1] = 1\n").code == "E0105"
    assert error_of("initial z[s=-1] = 1\n").code == "E0101"


@pytest.mark.parametrize(
    "right",
    ["a[s]*(z[s-1] + z[s+1])", "a[s]*z[s]", "z[s-1]*z[s]", "z[2*s]", "z[0] + a[s]", "z[s-40]"],
)
def test_recurrences_that_are_none(right):
    assert error_of(f"dim s = 8\ntensor a[s]\nlet z[s] = {right}\n").code == "E0207"


# ---------------------------------------------------------------------------------------------------------------------
# equations


def test_moving_a_term_changes_nothing():
    left = (
        "dim i = 40\nfield X[i](t)\nparam F = 8\nequation dt(X[i]) = (wrap(X)[i+1] - wrap(X)[i-2])*wrap(X)[i-1] - X[i] + F\ninitial X = F\n"
    )
    moved = left.replace("dt(X[i]) = ", "dt(X[i]) + X[i] = ").replace(" - X[i] + F\n", " + F\n", 1)
    (a,), (b,) = model_of(left).equations, model_of(moved).equations
    assert a.residual is b.residual
    assert a.family == ("i",)


def test_the_indices_of_an_equation():
    text = "dim i = 3\nfield u[i](t)\ntensor A[i, i']\nequation dt(u[i]) = tanh(A[i, i']*u[i']) - u[i]\ninitial u = 0\n"
    (equation,) = model_of(text).equations
    assert equation.family == ("i",)
    assert set(equation.residual.axes) == {"i"}
    explicit = text.replace("equation dt", "equation network[i]: dt")
    assert model_of(explicit).equations[0].residual is equation.residual
    assert error_of(text.replace("equation dt", "equation network[i']: dt")).code in ("E0204", "E0202")


def test_lorenz_96_of_reference():
    from ricci.dsl.reference import evaluate

    text = "dim i = 7\nfield X[i](t)\nequation dt(X[i]) = (wrap(X)[i+1] - wrap(X)[i-2])*wrap(X)[i-1] - X[i] + 8\ninitial X[i] = i\n"
    model = model_of(text)
    rate = model.equations[0].residual
    from ricci.dsl.build import partial, zero
    from ricci.dsl.term import substitute

    x = model.fields["X"].symbol
    (right,) = substitute([rate], {partial(x, "t", 1): zero(x.type)})
    values = np.random.default_rng(3).random(7)
    expected = (np.roll(values, -1) - np.roll(values, 2)) * np.roll(values, 1) - values + 8
    np.testing.assert_allclose(evaluate([right], {"X": values}, {})[0], -expected, rtol=1e-12)
