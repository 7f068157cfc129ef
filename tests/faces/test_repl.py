"""The prompt: entries join the model or are refused; commands; what a terminal sends."""

import io
import subprocess
import sys

import pytest

from ricci.driver import Settings
from ricci.faces import repl as prompt
from ricci.faces.repl import Session, open_brackets, words

ROD = [
    "domain D: x in 0..1; field u(D); param k = 1",
    "equation dt(u) = k*dxx(u)",
    "boundary u on x.lo, x.hi: u = 0",
    "initial u = sin(pi*x)",
]


@pytest.fixture
def session():
    s = Session()
    for entry in ROD:
        s.feed(entry)
    return s


def test_open_points_are_said_until_there_are_none():
    s = Session()
    said = [s.feed(entry) for entry in ROD]
    assert all("still open" in line for line in said[:2])
    assert "`u`" in said[0]
    assert "conditions" in said[1]
    assert said[3].strip() == "ok"
    assert s.entries == ROD


def test_wrong_entries_are_refused_and_change_nothing(session):
    for entry, code in [
        ("equation dt(u) = q", "E0101"),
        ("initial u =", "E0001"),
        ("param k = 2", "E0102"),
        ("check u = 1", "E0003"),
        ("frobnicate", "E0101"),
        ("sum[i](u)", "E0201"),
        ("equation dt(u) = 0", "E0303"),
        ("run with q=1", "E0104"),
        ("run with k", "E0001"),
    ]:
        before = list(session.entries)
        said = session.feed(entry)
        assert f"error[{code}" in said, (entry, said)
        assert "Traceback" not in said
        assert session.entries == before


def test_solve_computes_and_run_with_other_values_computes_again(session):
    said = session.feed("solve { grid: x=11; until: t=0.1 }")
    assert "u[x: 11]" in said or "u" in said
    again = session.feed("run with k=2")
    assert again != said
    assert "u" in again
    session.feed("check max(u) < 1")
    assert "passed: max(u) < 1" in session.feed("run")


def test_solve_waits_for_a_complete_model():
    s = Session()
    for entry in ROD[:2]:
        s.feed(entry)
    assert "still open" in s.feed("solve { grid: x=11; until: t=0.1 }")
    assert s.entries == ROD[:2]


def test_tensors_at_the_prompt():
    s = Session()
    s.feed("dim i = 3")
    s.feed("tensor a[i] = i")
    assert s.feed("let b[i] = 2*a[i]").strip() == "ok"
    assert "b[i: 3]" in s.feed("run")


def test_commands(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert session.feed(":list").splitlines() == ROD
    assert "dropped: initial" in session.feed(":undo")
    session.feed(ROD[-1])
    assert "wrote" in session.feed(":save rod.model")
    assert (tmp_path / "rod.model").read_text().splitlines() == ROD
    assert "empty" in session.feed(":clear")
    assert session.feed(":undo").strip() == "nothing to drop"
    assert "ok" in session.feed(":load rod.model")
    assert session.feed(":list").splitlines() == ROD
    assert "error[E0805]" in session.feed(":load missing.model")
    assert "there is no `:frob`" in session.feed(":frob")
    assert ":undo" in session.feed(":help")
    assert "E0301" in session.feed("explain E0301")
    assert "error" in session.feed(":show nonsense")
    assert session.feed("") == session.feed("   ") == ""
    session.feed(":quit")
    assert session.done


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("solve {", 1), ("f(a[i", 2), ('"(((" ', 0), ("# ((", 0), ("a) # (", -1), ('x("a\n(', 2), ("{ a\n}", 0)],
)
def test_brackets_that_are_open(text, count):
    assert open_brackets(text) == count


def test_completion_offers_the_language_and_nothing_heavy():
    offered = words()
    assert {"domain", "equation", "softmax", "lap", "run", ":undo"} <= set(offered)
    code = "import sys; from ricci.faces.repl import words; words(); print([m for m in sys.modules if m.split('.')[0] in ('numba', 'sympy', 'scipy')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lines_that_open_a_bracket_go_on(monkeypatch):
    lines = iter(["dim i = 2", "let a[i] = (i", "+ 1)", "run", ":quit"])
    asked = []

    def answer(text):
        asked.append(text)
        return next(lines)

    monkeypatch.setattr(prompt, "_reader", lambda: answer)
    out = io.StringIO()
    assert prompt.repl(out) == 0
    assert asked == [prompt.PROMPT, prompt.PROMPT, prompt.CONTINUED, prompt.PROMPT, prompt.PROMPT]
    assert "a[i: 2]: 1 .. 2" in out.getvalue()


def test_interrupt_clears_a_line_and_end_of_input_leaves(monkeypatch):
    events = iter(["let a = (1", KeyboardInterrupt(), "param k = 1", EOFError()])

    def answer(_):
        event = next(events)
        if isinstance(event, BaseException):
            raise event
        return event

    monkeypatch.setattr(prompt, "_reader", lambda: answer)
    out = io.StringIO()
    assert prompt.repl(out) == 0
    assert "error" not in out.getvalue()


def test_terminal_edits_lines(monkeypatch):
    toolkit = pytest.importorskip("prompt_toolkit")
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.output import DummyOutput

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    from prompt_toolkit.input import create_pipe_input

    assert toolkit
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("dim i = 3\r" + "tensorx\x7f a[i] = i\r" + "im j\x01d\x05 = 3\r" + ":quit\r")
        ask = prompt._reader()
        assert ask("") == "dim i = 3"
        assert ask("") == "tensor a[i] = i"
        assert ask("") == "dim j = 3"
        assert ask("") == ":quit"


@pytest.mark.parametrize(("typed", "wanted"), [("let a = soft", "softmax"), ("lap(ma", "max"), (":un", ":undo"), ("2*sin(si", "sin")])
def test_completion(typed, wanted):
    document = pytest.importorskip("prompt_toolkit.document").Document(typed)
    found = {c.text: c.start_position for c in prompt.completer().get_completions(document, None)}
    start = found[wanted]
    assert wanted.startswith(typed[start:])


def test_an_expression_shows_its_value_and_leaves_nothing(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session.settings = Settings(backend="reference")
    session.feed("solve { grid: x=11; until: t=1e-3; time: rk4(dt=1e-4) }")
    before = list(session.entries)
    assert "u[x: 11]: 0 .. 0.99" in session.feed("u")
    assert session.feed("max(u)").strip().startswith("max(u) = 0.99")
    assert session.feed("u(x=0)").strip() == "u(x=0) = 0"
    assert session.feed("2*k").strip() == "2*k = 2"
    assert session.entries == before
    assert not list(tmp_path.iterdir())
    wrong = session.feed("max(v)")
    assert "error[E0101]: `v` is not declared" in wrong
    assert "| max(v)\n" in wrong
    assert "output" not in wrong


def test_values_without_a_model():
    session = Session()
    assert session.feed("2^10 + 1").strip() == "2^10 + 1 = 1025"
    session.feed("dim i = 3; tensor a[i] = i")
    assert session.feed("sum[i](a)").strip() == "sum[i](a) = 3"


def test_plain_words_for_commands_unless_they_are_names(session):
    assert session.feed("help") == session.feed(":help")
    session.settings = Settings(backend="reference")
    session.feed("param q = 7; solve { grid: x=11; until: t=1e-4 }")
    assert session.feed("q").strip() == "q = 7"
    assert not session.done
    session.feed("exit")
    assert session.done


def test_notes_are_said_once():
    session = Session()
    for entry in ROD[:3]:
        session.feed(entry)
    assert "note: initial and boundary values" in session.feed("initial u = 1")
    assert "note" not in session.feed("check max(u) < 2")
