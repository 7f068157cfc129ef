"""softmax and log-sum-exp: what may leave the exponent, what must stay for floating point, and what is explained."""

import numpy as np
import pytest

from ricci import driver
from ricci.dsl import reference
from ricci.dsl.term import walk
from ricci.egraph.optimize import optimize_function
from ricci.errors import Source
from tests.egraph.explained import assert_golden, explanation

TENSORS = "tensor A[q,k], C[q], D[k], V[k,e], T[q,k]\n"
LARGE = "dim q=300, k=400, e=64\n" + TENSORS
SMALL = ["dim q=3, k=5, e=2\n" + TENSORS, "dim q=1, k=1, e=1\n" + TENSORS, "dim q=2, k=7, e=3\n" + TENSORS]
OUT = "common parts of exponents taken out"


def definition(text):
    program = driver.discretize(driver.check_text(Source("test", text)))
    return [f for n, f in program.functions.items() if n.startswith("let:")][-1], program.sizes


def optimized(text):
    function, sizes = definition(text)
    found, report = optimize_function(function, sizes=sizes)
    assert not report.diagnostics, report.to_text()
    return function, found, report, sizes


def called(function, sizes, magnitude=1.0, seed=0):
    generator = np.random.default_rng(seed)
    arguments = [magnitude * generator.uniform(-1, 1, [n.evaluate(sizes) for n in p.axes.values()]) for p in function.params]
    with np.errstate(all="ignore"):
        return reference.call(function, arguments, sizes)


def names(function):
    """Functions and reductions in a result, with the axes of their arguments."""
    return {(str(t.attrs[0]), tuple(t.args[0].axes)) for t in walk(function.roots) if t.op in ("map", "reduce")}


def applied_rules(report):
    return {step.name for step in report.steps}


FOUND = {
    "softmax(x + c) = softmax(x)": "let S[q,k] = softmax[k](A[q,k] + C[q])\n",
    "softmax of what varies along one axis": "let S[q,k] = softmax[k](C[q] + D[k])\n",
    "log softmax(x + c)": "let S[q,k] = log_softmax[k](C[q] + D[k])\n",
    "log of a softmax": "let S[q,k] = log(softmax[k](A[q,k]))\n",
    "logsumexp(x + c) = c + logsumexp(x)": "let S[q] = logsumexp[k](C[q] + D[k])\n",
    "logsumexp(x + c), twice": "let S[q] = 2*logsumexp[k](C[q] + D[k]) - C[q]\n",
    "normalization after the weighted sum": "let S[q,e] = softmax[k](A[q,k])*V[k,e]\n",
    "cross entropy from logits": "let S = -sum[q,k](T[q,k]*log(softmax[k](A[q,k])))\n",
    "no shift of bounded logits": "let S[q,k] = softmax[k](5*tanh(A[q,k]))\n",
    "log of a sum of bounded exponentials": "let S[q] = log(sum[k](exp(tanh(D[k]) + C[q])))\n",
}


@pytest.mark.parametrize("name", FOUND)
def test_found_and_equal(name):
    _, found, report, _ = optimized(LARGE + FOUND[name])
    assert report.after < report.before or name == "softmax(x + c) = softmax(x)"
    for head in SMALL:
        function, found, _, sizes = optimized(head + FOUND[name])
        for a, b in zip(called(function, sizes), called(found, sizes), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name", [n for n in FOUND if n not in ("log of a sum of bounded exponentials", "log of a softmax", "cross entropy from logits")]
)
def test_large_values_stay_finite(name):
    """Logits of 10^4 overflow without their shift: what is found is as finite as what was written."""
    function, found, _, sizes = optimized(LARGE + FOUND[name])
    for a, b in zip(called(function, sizes, 1e4), called(found, sizes, 1e4), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-300)


def test_a_logarithm_of_a_softmax_becomes_finite():
    """log(exp(x - m)/s) of far smaller logits is log 0; x - m - log s is not."""
    function, found, _, sizes = optimized(LARGE + FOUND["log of a softmax"])
    assert np.isneginf(called(function, sizes, 1e4)[0]).any()
    assert np.isfinite(called(found, sizes, 1e4)[0]).all()


def test_masked_rows():
    """A mask of -inf, whole rows of it too."""
    text = "dim q=6, k=6\ntensor C[q], D[k]\nlet S[q] = logsumexp[k](C[q] + (if D[k] >= 0 then D[k] else -inf))\n"
    function, found, _, sizes = optimized(text)
    for seed in range(3):
        a, b = called(function, sizes, seed=seed), called(found, sizes, seed=seed)
        np.testing.assert_allclose(b, a)
    all_masked = [np.ones(6), -np.ones(6)]
    with np.errstate(all="ignore"):
        a, b = reference.call(function, all_masked, sizes)[0], reference.call(found, all_masked, sizes)[0]
    np.testing.assert_array_equal(a, b)
    assert np.isneginf(a).all()


# side conditions


def test_a_shift_that_was_written_stays_where_nothing_bounds_the_exponent():
    for text in ("let S[q,k] = softmax[k](A[q,k])\n", "let S[q] = logsumexp[k](A[q,k])\n", "let S[q,k] = softmax[k](A[q,k]^2)\n"):
        _, found, report, _ = optimized(LARGE + text)
        assert OUT not in applied_rules(report)
        assert any(name == "max" for name, _ in names(found))


def test_an_exponent_that_is_bounded_on_one_side_keeps_its_shift():
    """Below, the sum of all could vanish; above, one of them could overflow."""
    for bounded in ("-softplus(A[q,k])", "softplus(A[q,k])", "-A[q,k]^2"):
        _, found, report, _ = optimized(LARGE + f"let S[q,k] = softmax[k]({bounded})\n")
        assert OUT not in applied_rules(report)
        assert any(name in ("max", "min") for name, _ in names(found))


def test_a_shift_is_not_added_for_speed():
    """Written without one: it may overflow as it stands, and no other exponential takes its place."""
    for text in ("let S[q] = log(sum[k](exp(C[q] + D[k])))\n", "let S[q,k] = exp(A[q,k] + C[q])/sum[k](exp(A[q,k] + C[q]))\n"):
        function, found, report, _ = optimized(LARGE + text)
        assert OUT not in applied_rules(report)
        raised = [{t.args[0] for t in walk(f.roots) if t.op == "map" and t.attrs == ("exp",)} for f in (function, found)]
        assert raised[1] <= raised[0]
        assert not any(name == "max" for name, _ in names(found))


def test_what_varies_along_the_axis_stays():
    _, _, report, _ = optimized(LARGE + "let S[q] = logsumexp[k](A[q,k] + D[k])\n")
    assert OUT not in applied_rules(report)


def test_the_shift_of_something_else_is_none():
    """The maximum of other values in the exponent does not make it safe."""
    text = "let S[q] = log(sum[k](exp(C[q] + D[k] - max[k](A[q,k])))) + max[k](A[q,k])\n"
    _, _, report, _ = optimized(LARGE + text)
    assert OUT not in applied_rules(report)


def test_the_logarithm_of_a_product_that_may_be_negative_stays():
    _, _, report, _ = optimized(LARGE + "let S[q,k] = log(exp(A[q,k])*T[q,k])\n")
    assert "log_of_exp_product" not in applied_rules(report)


def test_explanations():
    golden = []
    for name, text in FOUND.items():
        _, _, report, _ = optimized(LARGE + text)
        golden.append(explanation(name, report))
    assert_golden("exponentials", golden)
