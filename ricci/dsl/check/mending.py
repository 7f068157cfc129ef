"""Remedies that are tried before they are offered: an edit of the text is a remedy if the text then has one mistake less.

Whoever finds a mistake may name edits that could mend it (`Diagnostic.edits`), the likeliest first; a spelling that is suggested is one
by itself. Only what is shown is tried, and only in texts of moderate length: every trial is a whole check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from ricci.dsl.remedies import around, with_part
from ricci.errors import SHOWN_AT_ONCE, CheckFailed, Diagnostic, RicciError, Source, Span

MOST = 100_000  # characters that are checked in all, to try remedies for one failure
TRIALS = 16  # checks for one failure
SPELLED = re.compile(r"did you mean `@?([^`]*)`\?")
REVEALED = frozenset(["E0301", "E0303", "E0305"])  # what a text lacks shows only when the rest is right

Edit = tuple[Span, str]


def with_remedies(failure: CheckFailed, source: Source, check: Callable[[Source], object]) -> CheckFailed:
    """The failure with a remedy for every shown message that has one. `check` raises what is wrong with a text."""
    left = min(TRIALS, MOST // (len(source.text) + 1))
    if not left or all(d.help or not _edits(d) for d in failure.diagnostics[:SHOWN_AT_ONCE]):
        return failure
    found = list(failure.diagnostics)
    before = {(d.code, d.message) for d in found}
    for i, diagnostic in enumerate(found[:SHOWN_AT_ONCE]):
        for span, text in () if diagnostic.help else _edits(diagnostic):
            statement = around(span) if span.source == source else None
            mended = with_part(statement, span, text) if statement is not None else ""
            if not mended or statement is None or left == 0:
                continue
            left -= 1
            if _mends(diagnostic, before, _pasted(source, statement, mended), check):
                found[i] = replace(diagnostic, help=mended)
                break
    failure.diagnostics = tuple(found)
    return failure


def _edits(diagnostic: Diagnostic) -> Sequence[Edit]:
    spelled = SPELLED.search(diagnostic.label)
    if not diagnostic.edits and spelled and diagnostic.span is not None:
        return [(diagnostic.span, spelled[1])]
    return diagnostic.edits


def _pasted(source: Source, statement: Span, text: str) -> Source:
    return Source(source.name, source.text[: statement.start] + text + source.text[statement.end :])


def _mends(diagnostic: Diagnostic, before: set[tuple[str, str]], source: Source, check: Callable[[Source], object]) -> bool:
    """Whether the mistake is gone from a text and no other came."""
    try:
        check(source)
    except RicciError as failure:
        after = {(d.code, d.message) for d in failure.diagnostics if d.code not in REVEALED}
        return (diagnostic.code, diagnostic.message) not in after and after <= before
    return True
