"""Models through the optimizer: the values of the reference interpreter, whatever cancels, and no failure that reaches a user."""

import numpy as np
import pytest

from ricci import driver
from ricci.dsl import reference
from ricci.dsl.ops.symbol import name_of
from ricci.egraph import optimize
from ricci.errors import Source


def functions(text, level=2):
    """Every function of a model: (as written, optimized, sizes)."""
    program = driver.discretize(driver.check_text(Source("<test>", text)))
    better, report = optimize(program, level)
    assert not report.diagnostics, report.to_text()
    for name, function in program.functions.items():
        yield function, better.functions[name], program.sizes


def assert_same_values(text, level=2):
    """Equal values at a random point; returns the optimized results by name."""
    found = {}
    generator = np.random.default_rng(1)
    for before, after, sizes in functions(text, level):
        arguments = []
        for p in before.params:
            shape = [s.evaluate(sizes) for s in p.axes.values()]
            arguments.append(np.array(sizes[name_of(p)[1:]]) if name_of(p)[0] == "#" else generator.uniform(-2, 2, shape))
        with np.errstate(all="ignore"):
            expected = reference.call(before, arguments, sizes)
            values = reference.call(after, arguments, sizes)
        for a, b in zip(expected, values, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)
        found |= dict(after.results)
    return found


@pytest.mark.parametrize(
    "expression",
    [
        "exp(x[s])*exp(-x[s])",
        "exp(x[s])/exp(x[s])",
        "exp(x[s])*exp(-x[s])*x[s]",
        "exp(x[s])*exp(-x[s])*exp(x[s])",
        "exp(x[s] - x[s]^2)*exp(x[s]^2 - x[s])",
        "1/exp(x[s])*exp(x[s])",
        "sin(log(exp(x[s])*exp(-x[s]))) + x[s]",
        "cosh(log(exp(x[s])) - x[s])*x[s]",
        "exp(2*x[s])*exp(-x[s])*exp(-x[s]) + exp(x[s])*exp(-2*x[s])*exp(x[s])",
    ],
)
def test_what_cancels_to_zero_is_no_contradiction(expression):
    assert_same_values(f"dim s = 4\ntensor x[s]\nlet y[s] = {expression}\n")


def test_exponents_that_cancel_leave_nothing_to_compute():
    results = assert_same_values("dim s = 4\ntensor x[s]\nlet y[s] = exp(x[s])*exp(-x[s])\n")
    (root,) = results.values()
    assert root.op == "reindex"
    assert root.args[0].op == "const"


@pytest.mark.parametrize(
    "definition",
    [
        "S[i, k] = log_softmax[k](C[i] + D[k])",
        "S[i, k] = log_softmax[k](D[k] - 2*C[i])",
        "S[i, k] = softmax[k](C[i] + D[k])*C[i]",
        "S[i, k] = log_softmax[k](if D[k] >= C[i] then C[i] + D[k] else -inf)",
        "S[i] = softmax[i](log_softmax[i](C[i] + max[k](D[k])))",
        "S[i] = log(sum[k](exp(C[i] + D[k])))",
        "S[i, k] = max[k](C[i] + D[k]) - C[i] + D[k]",
    ],
)
def test_shifts_along_other_axes(definition):
    assert_same_values(f"dim i = 3, k = 4\ntensor C[i], D[k]\nlet {definition}\n")
