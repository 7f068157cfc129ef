"""Axes of size 0: reductions have their neutral values, what needs an entry is an error, and generated code agrees."""

from __future__ import annotations

import numpy as np
import pytest
from checking import error_of, model_of, value_of

from ricci import driver
from ricci.dsl import reference
from ricci.errors import CannotRun

HEAD = "dim i = 0, j = 3, k = 2, m = 2*i\ntensor A[i], B[j, i], C[i, k], D[j]\n"
GIVEN = {"A": np.zeros(0), "B": np.zeros((3, 0)), "C": np.zeros((0, 2)), "D": np.arange(3.0)}
VALUES = [
    ("sum[i](A)", "", 0.0),
    ("prod[i](A)", "", 1.0),
    ("any[i](A > 0)", "", False),
    ("all[i](A > 0)", "", True),
    ("norm(A)", "", 0.0),
    ("B[j, i]*C[i, k]", "[j, k]", np.zeros((3, 2))),
    ("D[j] + sum[i](B[j, i])", "[j]", np.arange(3.0)),
    ("prod[i](B[j, i])", "[j]", np.ones(3)),
    ("sum[i](repeat[i](D[j]))", "[j]", np.zeros(3)),
    ("sum[n in 0..0](n + 1)", "", 0),
    ("softmax[i](A[i])", "[i]", np.zeros(0)),
    ("0.5*r[i-1] + A[i]", "[i]", np.zeros(0)),
    ("sum(exp(B) + 1)", "", 0.0),
    ("i.size + m.size", "", 0),
]


@pytest.mark.parametrize(("value", "indices", "expected"), VALUES)
def test_reductions_of_nothing_are_neutral(value, indices, expected):
    text = f"{HEAD}let r{indices} = {value}\n"
    model = model_of(text)
    if "r" in model.lets:
        found = value_of(text, "r", GIVEN)
    else:  # a number: it is put in where it stands
        (found,) = reference.evaluate([model_of(f"{text}check r == 0\n").checks[0].comparisons[0].left], {}, {})
    np.testing.assert_array_equal(found, expected)
    assert np.shape(found) == np.shape(expected)


def test_generated_code_agrees():
    text = f"{HEAD}let r[j, k] = B[j, i]*C[i, k] + D[j]*prod[i](C[i, k])\n"
    program = driver.discretize(model_of(text))
    compiled = driver.compiled(program, "let:r", driver.Settings())
    given = {"B": np.zeros((0, 3)), "C": GIVEN["C"], "D": GIVEN["D"]}  # axes in the order of their names
    found = compiled(given, {}, 1)["r"]
    np.testing.assert_array_equal(found, np.repeat(np.arange(3.0)[:, None], 2, axis=1))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("let r = max(A)", "`max` of nothing: `i` has size 0"),
        ("let r[j] = min[i](B[j, i])", "`min` of nothing: `i` has size 0"),
        ("let r = mean[i](A)", "`mean` of nothing: `i` has size 0"),
        ("let r = argmax[i](A)", "`argmax` of nothing: `i` has size 0"),
        ("let r = logsumexp(A)", "`logsumexp` of nothing: `i` has size 0"),
        ("let r = max(repeat[m](A[i]))", "`max` of nothing"),
        ("let r = sum[n in 0..k-3](n)", "the range of `n` ends at -1"),
        ("dim q = k - 3", "the size `k - 3` is -1"),
    ],
)
def test_what_needs_an_entry_is_an_error(definition, message):
    found = error_of(f"{HEAD}{definition}\n")
    assert found.code == "E0203"
    assert found.message.startswith(message)


def test_a_size_that_data_give_is_at_least_one():
    """An axis is empty because the model says so: terms of open sizes count on an entry (a maximum has a value)."""
    from ricci.backends.binding import bind_arrays

    program = driver.discretize(model_of("dim n\ntensor A[n]\nlet r = sum[n](A)\n"))
    assert bind_arrays(program, {"A": np.ones(2)}, 0).sizes == {"n": 2}
    with pytest.raises(CannotRun) as caught:
        bind_arrays(program, {"A": np.ones(0)}, 0)
    assert (caught.value.code, caught.value.diagnostics[0].help) == ("E0801", "dim n = 0")
