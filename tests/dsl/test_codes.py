"""The catalogue: every code that is raised is explained, and the examples do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ricci import driver
from ricci.dsl.codes import CODES, explain_code
from ricci.dsl.format import format_file
from ricci.dsl.parse import parse
from ricci.errors import ParseFailed, RicciError, Source

PACKAGE = Path(__file__).parents[2] / "ricci"
SYNTAX = sorted(c for c in CODES if c.startswith("E00"))
CHECKED = sorted(c for c, entry in CODES.items() if re.match("E0[1-4]", c) and entry.wrong)


def test_every_code_in_the_sources_is_explained():
    raised = {}
    for path in PACKAGE.rglob("*.py"):
        for code in re.findall(r'"([EWN]0\d{3})"', path.read_text(encoding="utf-8")):
            raised.setdefault(code, path.name)
    assert {code: name for code, name in raised.items() if code not in CODES} == {}
    assert len(raised) > 20


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_page_says_what_and_why(code):
    entry = CODES[code]
    assert re.fullmatch(r"[EWN]0\d{3}", code)
    assert entry.title
    assert not entry.title.endswith(".")
    assert len(entry.text) > 30
    assert entry.text.endswith((".", ")"))
    page = explain_code(code)
    assert page.startswith(f"{code}: {entry.title}")
    assert max(map(len, page.splitlines())) <= 210


@pytest.mark.parametrize("code", SYNTAX)
def test_syntax_examples(code):
    entry = CODES[code]
    with pytest.raises(ParseFailed) as caught:
        parse(Source("example", entry.wrong))
    assert [d.code for d in caught.value.diagnostics] == [code]
    parse(Source("example", entry.mended))


@pytest.mark.parametrize("code", CHECKED)
def test_examples_of_the_check_are_models(code):
    """Both parse, and are written as `ricci fmt` writes them."""
    for text in (CODES[code].wrong, CODES[code].mended):
        assert format_file(parse(Source("example", text))) == text


@pytest.mark.parametrize("code", CHECKED)
def test_examples_of_the_check(code):
    with pytest.raises(RicciError) as caught:
        driver.check_text(Source("example", CODES[code].wrong))
    assert caught.value.code == code, caught.value.render()
    driver.check_text(Source("example", CODES[code].mended))
