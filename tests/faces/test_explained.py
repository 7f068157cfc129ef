"""Kernels in `ricci explain`: figures against counts by hand, one prediction for the parts and the whole, and what flags do together."""

import argparse
import json
import math

import pytest

from ricci import driver
from ricci.backends.forecast import forecasts, seconds_of
from ricci.backends.workload import predicted
from ricci.driver import Settings
from ricci.errors import Source, WrongUsage
from ricci.faces import command_run
from ricci.faces.cli import build_parser
from ricci.faces.command_show import explain, explain_source, explanation
from ricci.lowering.schedule import schedule
from ricci.machine import DEFAULT

ONE = Settings(threads=1)
CHAIN = """dim i = 60, j = 70, k = 80
tensor A[i, j] = i + j, B[j, k] = j - k, x[k] = sin(k)
let y[i] = A[i, j]*B[j, k]*x[k]
"""
HEAT = """domain D: x in 0..1 periodic, y in 0..1 periodic
field u(D)
param k = 1
equation dt(u) = k*lap(u) + u - u^3
initial u = sin(2*pi*x)*sin(2*pi*y)
solve { until: t=0.001; grid: x=48, y=40 }
"""


@pytest.fixture(autouse=True)
def shipped_rates(monkeypatch):
    monkeypatch.setenv("RICCI_MACHINE", "default")


def functions(text, settings=ONE):
    return {f["function"]: f for f in explanation(Source("<test>", text), settings)["optimizer"]["functions"]}


def plan_of(text, name):
    program = driver.discretize(driver.check_text(Source("<test>", text)))
    return schedule(program.functions[name], sizes=program.sizes), program.sizes


def test_a_map_is_what_one_counts_by_hand():
    plan, sizes = plan_of("dim s = 1000\ntensor a[s] = s, b[s] = s, c[s] = s\nlet y[s] = a*b*sin(a) + c/b\n", "let:y")
    (kernel,) = forecasts(plan, sizes, DEFAULT)
    assert kernel.results == ("y",)
    assert kernel.loops == (("s", 1000),)
    assert kernel.operations == {"mul": 2000, "sine": 1000, "div": 1000, "add": 1000}
    assert kernel.touched == 4 * 8 * 1000  # a, b, c are read, y is written
    assert kernel.limit == "arithmetic"


@pytest.mark.parametrize(
    ("size", "formula", "limit"),
    [
        (24, "a + b", "launch"),
        (2000, "exp(a)", "arithmetic"),
        (20_000, "a + b", "L2"),
        (500_000, "a + b", "L3"),
        (50_000_000, "a + b", "memory"),
    ],
)
def test_what_limits_a_kernel(size, formula, limit):
    plan, sizes = plan_of(f"dim s = {size}\ntensor a[s] = s, b[s] = s\nlet y[s] = {formula}\n", "let:y")
    (kernel,) = forecasts(plan, sizes, DEFAULT)
    assert kernel.limit == limit


def test_bytes_that_move_are_those_of_the_arrays():
    plan, sizes = plan_of("dim s = 50000000\ntensor a[s] = s, b[s] = s\nlet y[s] = a + b\n", "let:y")
    (kernel,) = forecasts(plan, sizes, DEFAULT)
    assert kernel.moved == {"memory": pytest.approx(3 * 8 * 50_000_000)}


@pytest.mark.parametrize(("text", "name"), [(CHAIN, "let:y"), (HEAT, "rhs")])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_parts_are_the_whole(text, name, threads):
    plan, sizes = plan_of(text, name)
    found = forecasts(plan, sizes, DEFAULT, threads)
    assert seconds_of(found) == pytest.approx(predicted(plan, sizes, DEFAULT, threads), rel=1e-12)
    for kernel in found:
        assert max(kernel.parts.values()) <= kernel.seconds * (1 + 1e-12)
        assert sum(kernel.parts.values()) >= kernel.seconds * (1 - 1e-12)


def test_a_product_of_matrices():
    plan, sizes = plan_of("dim i = 600, j = 700, k = 800\ntensor A[i, j], B[j, k]\nlet C[i, k] = A[i, j]*B[j, k]\n", "let:C")
    (kernel,) = forecasts(plan, sizes, DEFAULT)
    assert kernel.kernel == "product"
    assert kernel.results == ("C",)
    assert kernel.operations == {"fma": 600 * 700 * 800}
    assert kernel.touched == 8 * (600 * 700 + 700 * 800 + 600 * 800)
    assert kernel.limit == "library"


def test_before_and_after():
    text = "dim s = 4000\ntensor x[s] = sin(s)\nlet y[s] = exp(x)*exp(2*x) + sin(x)^2 + cos(x)^2\n"
    own = functions(text)["let:y"]["kernels"]
    assert own["sizes"] == {}  # all are numbers of the text
    assert own["assumed_sizes"] == []
    assert own["units"] == {"seconds": "s", "bytes": "B", "operations": "1"}
    (before,), (after,) = own["before"]["kernels"], own["after"]["kernels"]
    assert (before["operations"]["transcendental"], before["operations"]["sine"]) == (8000, 8000)
    assert after["operations"]["transcendental"] == 4000
    assert "sine" not in after["operations"]
    assert before["bytes_touched"] == after["bytes_touched"] == 2 * 8 * 4000
    assert own["after"]["seconds"] == after["seconds"] < 0.5 * own["before"]["seconds"]
    unoptimized = explanation(Source("<test>", CHAIN), Settings(threads=1, opt=0))["optimizer"]
    assert unoptimized["functions"] == []


def test_functions_that_are_evaluated_once_have_no_kernels():
    found = functions(HEAT + "check max(abs(u)) < 2\n")
    assert {"initial", "rhs", "check:0"} <= found.keys()
    assert [name for name, f in found.items() if f["kernels"] is not None] == ["rhs"]
    assert {r for k in found["rhs"]["kernels"]["after"]["kernels"] for r in k["results"]} == {"sides of u", "u"}
    assert found["rhs"]["kernels"]["sizes"] == {"x": 48, "y": 40}


def test_the_step_of_a_time_loop():
    whole = explanation(Source("<test>", HEAT), ONE)
    assert whole["step"]["method"] in {c["value"] for c in whole["choices"]}
    step = whole["step"]["kernels"]
    assert step["before"] is None
    assert len(step["after"]["kernels"]) > 3
    assert all(math.isfinite(k["seconds"]) and k["seconds"] > 0 for k in step["after"]["kernels"])
    text = explain_source(Source("<test>", HEAT), ONE)
    assert f"one step of `{whole['step']['method']}`:" in text
    assert "kernels at x=48 y=40 on 1 thread of `default`" in text


def test_what_implicit_steps_call_is_listed():
    stiff = HEAT.replace("until: t=0.001;", "until: t=0.001; time: rodas4p;")
    rows = explanation(Source("<test>", stiff), ONE)["step"]["kernels"]["after"]["kernels"]
    assert any(row["seconds"] is None and row["limited_by"] is None and row["results"] for row in rows)


def test_sizes_that_nothing_says_are_marked():
    text = "dim s\ntensor a[s], b[s]\nlet y[s] = a*b + exp(a)\n"
    own = functions(text)["let:y"]["kernels"]
    assert own["assumed_sizes"] == ["s"]
    assert f"s={DEFAULT.nominal_size}?" in explain_source(Source("<test>", text), ONE)


def test_numbers_have_no_kernels():
    text = "field u(t)\nequation dt(u) = -u*(1 + u)\ninitial u = 1\nsolve { until: t=1 }\n"
    assert functions(text)["rhs"]["kernels"]["after"]["kernels"] == []
    assert "no kernels: numbers only" in explain_source(Source("<test>", text), ONE)


@pytest.mark.parametrize("opt", [0, 1])
def test_kernels_without_the_optimizer(opt):
    text = explain_source(Source("<test>", HEAT), Settings(threads=1, opt=opt))
    assert f"level {opt}: nothing rewritten" in text
    assert "rhs:\n  kernels at x=48 y=40" in text


def asked(*arguments):
    return build_parser().parse_args(["explain", *map(str, arguments)])


def test_json_and_a_drawing_together(tmp_path, capsys):
    model, out = tmp_path / "m.model", tmp_path / "m.dot"
    model.write_text(CHAIN)
    assert explain(asked(model, "--json", "--graph", out)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["graph"] == {"file": str(out), "drawn": ["let:y"], "too_large": {}}
    assert found["optimizer"]["functions"][0]["kernels"]
    assert out.read_text().startswith("digraph")


def test_what_is_too_large_is_told_in_the_order_of_the_program(tmp_path, monkeypatch, capsys):
    from ricci.egraph import graph

    model = tmp_path / "m.model"
    model.write_text(HEAT + "check max(abs(u)) < 2\n")
    order = list(functions(model.read_text()))
    monkeypatch.setattr(graph, "MOST_DRAWN", 30)
    assert explain(asked(model, "--graph", tmp_path / "m.dot")) == 0
    told = [line.split("`")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert len(told) >= 2
    assert told == [name for name in order if name in told]


@pytest.mark.parametrize("subject", [["E0204"], []])
def test_a_code_has_no_drawing(subject, tmp_path):
    with pytest.raises(WrongUsage) as refused:
        explain(asked(*subject, "--graph", tmp_path / "m.dot"))
    assert refused.value.diagnostics[0].code == "E0104"
    assert not (tmp_path / "m.dot").exists()


def test_a_code_as_json(capsys):
    assert explain(asked("e0204", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == "E0204"
    assert found["title"] in found["text"]
    assert explain(asked("--json")) == 0
    assert json.loads(capsys.readouterr().out)["codes"]["E0204"] == found["title"]


@pytest.mark.parametrize("level", [2, 3])
def test_how_long_the_optimizer_took_is_said_when_it_was_long(level, monkeypatch, capsys):
    from ricci.faces import explained

    settings = argparse.Namespace(threads=1, opt=level)
    text = Source("<test>", CHAIN)
    short = explain_source(text, Settings(threads=settings.threads, opt=settings.opt))
    assert "of optimizing" not in short
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(command_run, "PATIENCE", 0.0)
    monkeypatch.setattr(explained, "PATIENCE", 0.0)
    long = explain_source(text, Settings(threads=settings.threads, opt=settings.opt))
    assert f"level {level}, " in long
    assert capsys.readouterr().err.startswith("note: optimized for ")
    assert [line for line in long.splitlines() if not line.startswith("level")] == [
        line for line in short.splitlines() if not line.startswith("level")
    ]
    assert explanation(text, Settings(threads=1, opt=level))["optimizer"]["seconds"] > 0


def test_kernels_are_timed_when_asked(capsys, tmp_path):
    path = tmp_path / "heat.model"
    path.write_text(HEAT.replace("until: t=0.001;", "until: t=0.001; dtype: f32;"))
    assert explain(build_parser().parse_args(["explain", str(path), "--time", "--json", "--threads", "1"])) == 0
    shown = json.loads(capsys.readouterr().out)["optimizer"]
    step = next(f for f in shown["functions"] if f["function"] == "rhs")["kernels"]["after"]["kernels"]
    assert all(k["measured_seconds"] > 0 and k["fraction_of_limit"] >= 0 for k in step)
    assert explain(build_parser().parse_args(["explain", str(path), "--time", "--threads", "2"])) == 0
    assert "measured  of the limit" in capsys.readouterr().out


@pytest.mark.parametrize("text", [CHAIN, "dim i = 5, j = 6\ntensor A[i, j] = i + j\nlet q[i] = sum[j](A[i, j]^2)\nlet s = sum[i](q[i])\n"])
def test_library_calls_and_small_kernels_when_timed(text):
    """Calls of libraries are left out; what follows from numbers alone needs no kernel."""
    assert "kernel" in explain_source(Source("<test>", text), Settings(threads=1, time=True))
