"""The corpus of wrong models: each file says in its first line what is wrong with it, `# expect: CODE LINE:COLUMN`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ricci import driver
from ricci.errors import RicciError, Source

FILES = sorted((Path(__file__).parents[1] / "models" / "wrong").glob("*.model"))
HEADER = re.compile(r"# expect: ([EWN]0\d{3}) (\d+):(\d+)")


def expectation(path: Path) -> tuple[str, int, int]:
    match = HEADER.fullmatch(path.read_text(encoding="utf-8").splitlines()[0])
    assert match, f"{path.name} starts with `# expect: CODE LINE:COLUMN`"
    return match[1], int(match[2]), int(match[3])


def messages(source: Source):
    """The diagnostics of a text: of the earliest stage that stops, or of the check's notes."""
    try:
        model = driver.check_text(source)
        if model.notes:
            return model.notes
        driver.discretize(model)
    except RicciError as error:
        return error.diagnostics
    raise AssertionError(f"{source.name} passes")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_wrong_model(path):
    code, line, column = expectation(path)
    found, *more = messages(Source(path.name, path.read_text(encoding="utf-8")))
    assert found.span is not None, found
    assert not more, "one mistake gives one message"
    assert (found.code, found.span.line, found.span.column) == (code, line, column), found.render()


def lines_with_errors(source: Source) -> list[int]:
    try:
        driver.parse(source)
    except RicciError as error:
        return [d.span.line for d in error.diagnostics if d.span]
    return []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_its_remedy_can_be_pasted(path):
    """A remedy of one line, put in the place of the statement it is about, is not refused by the parser for what it replaces."""
    code, line, _ = expectation(path)
    source = Source(path.name, path.read_text(encoding="utf-8"))
    if not code.startswith("E00"):
        return
    found = messages(source)[0]
    if not found.help:
        return
    lines = source.text.split("\n")
    lines[line - 1] = (
        found.help if not lines[line - 1].startswith("solve {") or found.help.startswith("solve") else f"solve {{ {found.help} }}"
    )
    assert line not in lines_with_errors(Source(path.name, "\n".join(lines)))


@pytest.mark.parametrize("path", [p for p in FILES if not expectation(p)[0].startswith("E00")], ids=lambda p: p.stem)
def test_a_remedy_is_a_statement_and_messages_speak_of_the_model(path):
    source = Source(path.name, path.read_text(encoding="utf-8"))
    try:
        model = driver.check_text(source)
        found = tuple(model.notes)
        driver.discretize(model)
    except RicciError as error:
        found = error.diagnostics
    for message in found:
        if message.help:
            driver.parse(Source("remedy", message.help))
        assert len(message.render().splitlines()) <= 6, message.render()
        words = " ".join((message.message, message.label, message.help, *message.notes))
        assert not re.search(r"\bricci\.|\b_\w|\w__|\bNone\b|\bTerm\b|\bKind\.|frozenset|<\w+ object|Fraction\(", words), words


def test_the_corpus_is_large_enough():
    assert len(FILES) >= 260
    assert len({expectation(path)[0] for path in FILES}) >= 35
