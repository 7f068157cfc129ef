"""What a terminal shows while a stage lasts."""

import io
import sys
import time

import pytest

from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces import command_run
from ricci.faces.execute import execute


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_long_stage_says_what_it_is(monkeypatch):
    monkeypatch.setattr(command_run, "PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    line = command_run.ProgressLine()
    line.enter("compile")
    limit = time.monotonic() + 20
    while "compiling" not in sys.stderr.getvalue() and time.monotonic() < limit:
        time.sleep(0.01)
    line.enter("")
    shown = sys.stderr.getvalue()
    assert shown.startswith("\rcompiling (kept for later runs)  0 s ")
    assert shown.endswith("\r" + " " * 100 + "\r")  # and the line is empty again
    assert line.thread is None


@pytest.mark.parametrize("terminal", [True, False])
def test_a_short_stage_says_nothing(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    if not terminal:
        monkeypatch.setattr(command_run, "PATIENCE", 0.0)
    line = command_run.ProgressLine()
    for stage in ("choose", "", "compile", ""):
        line.enter(stage)
    assert sys.stderr.getvalue() == ""


def test_stages_are_told_in_order():
    heard = []
    text = "field u(t)\nequation dt(u) = -u\ninitial u = 1\nsolve { until: t=1 }\n"
    execute(Source("<text>", text), Settings(backend="reference"), write=False, entered=heard.append)
    assert heard[:2] == ["check", ""]
    assert heard[1::2] == [""] * (len(heard) // 2)
    assert [s for s in heard if s in command_run.STAGES] == ["check", "discretize", "bind", "choose", "optimize", "compile"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(("patience", "said"), [(0.0, True), (60.0, False)])
def test_a_long_optimization_says_how_long_it_was(monkeypatch, terminal, patience, said):
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr(command_run, "PATIENCE", patience)
    line = command_run.ProgressLine()
    for stage in ("optimize", "", "choose", ""):
        line.enter(stage)
    shown = sys.stderr.getvalue()
    assert shown.count("note: optimized for 0 s\n") == said
    assert terminal or shown == "note: optimized for 0 s\n" * said
