"""The corpus of wrong models: each file says in its first line what is wrong with it, `# expect: CODE LINE:COLUMN`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ricci import driver
from ricci.dsl import tree
from ricci.errors import Diagnostic, RicciError, Source, Span

FILES = sorted((Path(__file__).parents[1] / "models" / "wrong").glob("*.model"))
MISSING = ("E0301", "E0303", "E0305", "E0601", "E0707")  # the remedy may be a further statement
ELSEWHERE = ("E0301", "E0303", "E0305", "E0601")  # about what a text lacks, wherever the place is that shows it
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


def errors_of(source: Source) -> tuple[Diagnostic, ...]:
    try:
        driver.discretize(driver.check_text(source))
    except RicciError as error:
        return error.diagnostics
    return ()


def statement_at(source: Source, span: Span) -> tuple[int, int]:
    """The innermost statement around a place; where the text does not parse, its lines, of a `solve` up to its brace."""
    try:
        statements = driver.parse(source).statements
    except RicciError:
        first, after = source.text.rfind("\n", 0, span.start) + 1, source.text.find("\n", span.end)
        solve = re.search(r"^solve[^}]*\}?", source.text, re.M)
        if solve and solve.start() <= span.start <= solve.end():
            return solve.span()
        return first, after if after >= 0 else len(source.text)
    spans = [n.span for s in statements for n in tree.walk(s) if isinstance(n, tree.Statement)]
    inside = [s for s in spans if s.start <= span.start and span.end <= s.end]
    innermost = min(inside, key=lambda s: s.end - s.start)
    return innermost.start, innermost.end


def pasted(source: Source, message: Diagnostic) -> Iterator[tuple[str, int]]:
    """The text with the remedy in place of the statement and, for what is missing, behind it; and where the remedy begins."""
    start, end = statement_at(source, message.span)
    yield source.text[:start] + message.help + source.text[end:], start
    if message.code in MISSING:
        yield source.text.rstrip("\n") + "\n" + message.help + "\n", len(source.text.rstrip("\n")) + 1


def is_mended(message: Diagnostic, text: str, start: int, name: str) -> bool:
    """Whether the message is gone and the pasted statement has no error of its own. What a text lacks elsewhere, it still lacks."""
    after = errors_of(Source(name, text))
    own = [e for e in after if e.span and start <= e.span.start < start + len(message.help) and e.code not in ELSEWHERE]
    return not own and all((e.code, e.message) != (message.code, message.message) for e in after)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_its_remedy_can_be_pasted(path):
    """Every remedy is a statement on its own, and in place of the wrong one (or added, where one is missing) it checks."""
    source = Source(path.name, path.read_text(encoding="utf-8"))
    for message in errors_of(source)[:1]:
        if message.help:
            driver.parse(Source("remedy", message.help))
            assert any(is_mended(message, text, start, path.name) for text, start in pasted(source, message)), message.render()


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
