"""Models through the optimizer: the values of the reference interpreter, whatever cancels, and no failure that reaches a user."""

import json
import subprocess
import sys
from fractions import Fraction
from importlib import import_module

import numpy as np
import pytest

import ricci
from ricci import driver
from ricci.dsl import build, reference
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Type
from ricci.egraph import optimize, optimize_function
from ricci.egraph.space import ContradictionError
from ricci.egraph.verify import mismatch
from ricci.errors import Source
from ricci.faces.execute import execute

OPTIMIZER = import_module("ricci.egraph.optimize")  # its name in the package is the function


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


@pytest.mark.parametrize("function", ["exp", "sinh", "cosh", "expm1"])
def test_functions_that_may_overflow_stay_when_their_argument_gets_simpler(function):
    assert_same_values(
        f"dim k = 3\ntensor D[k]\nlet y = {function}(abs(sum[k](D[k])*sum[k](D[k])))\nlet z[k] = {function}(log(exp(D[k])))\n"
    )


@pytest.mark.parametrize("function", ["log(x)", "sqrt(x)", "asin(2*x)", "acosh(x)", "atanh(x)", "log(1 + x)", "x^0.5"])
@pytest.mark.parametrize("reduction", ["max", "min"])
def test_what_is_not_a_number_stays(function, reduction):
    """The maximum of values of which one is NaN is NaN."""
    program = driver.discretize(driver.check_text(Source("<test>", f"dim i = 3\ntensor x[i] = i - 2\nlet a = {reduction}({function})\n")))
    better, _ = optimize(program)
    (found,) = reference.evaluate(better.functions["let:a"].roots, {"x": np.arange(3.0) - 2}, {})
    assert np.isnan(found)


def test_results_that_are_nothing_but_rounding_agree():
    """log(exp(x)) - x is 0 and some 1e-16: that is no difference."""
    for noise in (
        "log(exp(x[s])) - x[s]",
        "tanh(log(exp(x[s])) - x[s])",
        "(x[s] + 1e8) - 1e8 - exp(log(1 + x[s]^2)) + (1 + x[s]^2) - x[s]",
    ):
        assert_same_values(f"dim s = 4\ntensor x[s]\nlet y[s] = {noise}\n")


def test_a_wrong_form_is_found_however_small_its_values_are():
    x = build.symbol("x", Type(Kind.REAL))
    tiny = build.scale(Fraction(1, 10**20), x)
    assert mismatch([tiny], [build.scale(Fraction(1000001, 1000000), tiny)], {}) is not None
    assert mismatch([tiny], [build.const(0, Kind.REAL)], {}) is not None


@pytest.fixture
def broken(monkeypatch):
    """An optimizer whose engine fails."""

    def fail(*arguments):
        raise ContradictionError("1 equals 0")

    monkeypatch.setattr(OPTIMIZER, "saturate", fail)


MODEL = "dim s = 4\ntensor x[s]\nlet y[s] = exp(x[s])*exp(2*x[s])\ncheck max(y) > 0\n"


def test_a_failure_leaves_the_program_as_it_is(broken, defects):
    program = driver.discretize(driver.check_text(Source("<test>", MODEL)))
    better, report = optimize(program)
    assert better.functions == program.functions
    warning, _ = report.diagnostics  # of the definition and of the check
    assert (warning.code, warning.severity) == ("W0902", "warning")
    assert "ContradictionError: 1 equals 0" in warning.notes
    written = defects[0]
    assert "exp(x[s])" in written
    assert "Traceback" in written
    assert json.dumps(report.to_json())


def test_a_form_with_other_values_is_not_taken(monkeypatch, defects):
    monkeypatch.setattr(OPTIMIZER, "mismatch", lambda *arguments: "result 0 differs")
    program = driver.discretize(driver.check_text(Source("<test>", MODEL)))
    better, report = optimize(program)
    assert better.functions["let:y"].roots == program.functions["let:y"].roots
    assert {d.code for d in report.diagnostics} == {"W0901"}
    assert "result 0 differs" in defects[0]


def test_what_bodies_of_recurrences_report_is_kept(monkeypatch, defects):
    text = "dim s = 4\ntensor a[s], x[s]\nlet z[s] = exp(a[s])*exp(2*a[s])*z[s-1] + exp(z[s-1])*exp(2*z[s-1]) + x[s]\n"
    monkeypatch.setattr(OPTIMIZER, "mismatch", lambda *arguments: "result 0 differs")
    _, report = optimize(driver.discretize(driver.check_text(Source("<test>", text))))
    assert len(report.diagnostics) == len(defects) >= 1


def test_a_user_sees_a_warning_and_the_result(broken, defects, tmp_path, capsys):
    from ricci.faces.cli import command

    np.savez(tmp_path / "x.npz", x=np.arange(4.0))
    (tmp_path / "m.model").write_text(MODEL)
    arguments = ["run", str(tmp_path / "m.model"), "--input", f"x={tmp_path / 'x.npz'}"]
    assert command(arguments) == 0
    shown = capsys.readouterr()
    assert "warning[W0902]" in shown.err
    assert "a report to attach is in" in shown.err
    assert command([*arguments, "--json"]) == 0
    assert [w["code"] for w in json.loads(capsys.readouterr().out)["warnings"]] == ["W0902"]
    with pytest.warns(UserWarning, match="W0902"):
        ricci.model(MODEL.replace("tensor x[s]", "let x[s] = repeat[s](1)"))


def test_a_side_value_that_is_constant_along_an_axis_is_shifted_along_another(tmp_path):
    text = """
domain D: x in 0..1, y in 0..1
field u(D)
equation dt(u) = lap(u)
boundary u on x.lo, x.hi, y.lo: u = 0
boundary u on y.hi: u = 1
initial u = 0
solve { grid: x=7, y=6; until: t=0.01; time: rk4(dt=1e-3) }
"""
    results = {}
    for level in (0, 2, 3):
        outcome = execute(Source("heat.model", text), driver.Settings(opt=level, backend="reference"), write=False)
        assert not outcome.warnings
        results[level] = outcome.results["u"].values
    assert results[0].max() == 1
    np.testing.assert_allclose(results[2], results[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(results[3], results[0], rtol=1e-13, atol=1e-15)


def test_optimizing_loads_what_it_needs():
    """SymPy belongs to `simplify`, and the engine's package brings a formatter and a user interface of its own."""
    text = "dim s = 4\\ntensor x[s]\\nlet y[s] = exp(x[s])*exp(2*x[s]) + sin(x[s])^2 + cos(x[s])^2\\n"
    code = (
        "import sys; from ricci import driver; from ricci.errors import Source;"
        f"_, report = driver.optimize(driver.discretize(driver.check_text(Source('<test>', '{text}'))), 2);"
        "print(report.functions[0].budget['e-graph rows'] > 0, [m for m in ('sympy', 'numba', 'scipy', 'egglog', 'black') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


def test_a_length_stays_a_root():
    """hypot takes care of squares that overflow, which a root of a sum of squares does not: it is slower."""
    from ricci.backends.workload import predicted
    from ricci.lowering.schedule import schedule
    from ricci.machine import DEFAULT

    u, v = (build.symbol(name, Type(Kind.REAL, {"s": 1000})) for name in "uv")
    source = Function("f", (u, v), (("r", build.apply("sqrt", build.add(build.mul(u, u), build.mul(v, v)))),))
    better, _ = optimize_function(source)
    assert better.roots == source.roots
    written = Function("g", (u, v), (("r", build.apply("hypot", u, v)),))
    assert optimize_function(written)[0].roots == written.roots  # what cannot overflow stays so
    assert predicted(schedule(written), {}, DEFAULT) > predicted(schedule(source), {}, DEFAULT)
