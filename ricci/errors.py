"""Diagnostics: one code, one primary span, facts in the user's words, at most one remedy that can be pasted."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

SHOWN_AT_ONCE = 5
LONGEST_LINE = 160  # characters of a source line in a message


@dataclass(frozen=True)
class Source:
    """A text that spans point into; `name` is what the user calls it (a path, `<prompt>`)."""

    name: str
    text: str

    @cached_property
    def line_starts(self) -> list[int]:
        return [0] + [i + 1 for i, c in enumerate(self.text) if c == "\n"]

    def line_column(self, offset: int) -> tuple[int, int]:
        """1-based line and column of a character offset."""
        line = bisect.bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        starts = self.line_starts
        if not 0 < number <= len(starts):
            return ""
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].removesuffix("\r")


@dataclass(frozen=True)
class Span:
    """Half-open character range of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_column(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.line_column(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to_json(self) -> dict[str, Any]:
        line, column = self.source.line_column(self.start)
        end_line, end_column = self.source.line_column(max(self.start, self.end))
        return {
            "file": self.source.name,
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
        }


@dataclass(frozen=True)
class Diagnostic:
    """What one message says. `label` stands behind the carets; `help` parses when pasted."""

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    help: str = ""
    notes: tuple[str, ...] = ()
    edits: tuple[tuple[Span, str], ...] = ()  # what could mend it: parts of the text and what would stand there; becomes `help` if it does

    @property
    def severity(self) -> str:
        return {"W": "warning", "N": "note"}.get(self.code[0], "error")

    def render(self) -> str:
        out = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.span is not None:
            out += self._excerpt(self.span)
        out += [f"  note: {note}" for note in self.notes]
        if self.help:
            first, *rest = self.help.splitlines()
            out += [f"  help: {first}", *(f"        {line}" for line in rest)]
        if self.severity == "error":
            out.append(f"  more: ricci explain {self.code}")
        return "\n".join(out)

    def _excerpt(self, span: Span) -> list[str]:
        line, column = span.source.line_column(span.start)
        text = "".join(c if c.isprintable() else " " for c in span.source.line(line))
        width = max(1, min(span.end, span.start + len(text) - column + 1) - span.start)
        gutter = max(3, len(str(line)) + 1)
        first = max(0, column - LONGEST_LINE // 2) if len(text) > LONGEST_LINE else 0
        if first or len(text) > LONGEST_LINE:  # a long line is shown around the place
            text = ("..." if first else "") + text[first : first + LONGEST_LINE] + ("..." if first + LONGEST_LINE < len(text) else "")
            width = min(width, max(1, first + LONGEST_LINE - column + 1))
        carets = " " * (column - 1 - first + (3 if first else 0)) + "^" * width
        return [
            f"  --> {span.source.name}:{line}:{column}",
            f" {line:>{gutter - 1}} | {text}",
            f" {'':>{gutter - 1}} | {carets} {self.label}".rstrip(),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "spans": [] if self.span is None else [{**self.span.to_json(), "label": self.label}],
            "notes": list(self.notes),
            "help": self.help,
        }


class RicciError(Exception):
    """An error for the user. `exit_code` is the process status of language.md: 2 model, 3 run or data, 5 output."""

    exit_code = 2

    def __init__(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        help: str = "",
        notes: tuple[str, ...] = (),
        edits: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = (Diagnostic(code, message, span, label, help, notes, edits),)
        super().__init__(message)

    @property
    def code(self) -> str:
        return self.diagnostics[0].code

    def render(self) -> str:
        shown = [d.render() for d in self.diagnostics[:SHOWN_AT_ONCE]]
        hidden = len(self.diagnostics) - len(shown)
        if hidden > 0:
            shown.append(f"... and {hidden} more error{'s' if hidden > 1 else ''}")
        return "\n".join(shown)

    def __str__(self) -> str:
        return self.render()

    def to_json(self) -> dict[str, Any]:
        return {"errors": [d.to_json() for d in self.diagnostics]}


class ParseFailed(RicciError):
    """The text is not in the grammar (E00xx)."""


class CheckFailed(RicciError):
    """Names, axes, units or conditions do not fit (E01xx-E05xx)."""


class CannotLower(RicciError):
    """The model is right and this version cannot compute it yet, or the numerics cannot work (E05xx, E06xx)."""

    exit_code = 3


class CannotRun(RicciError):
    """Run-time failure: NaN, no convergence, data that does not fit (E07xx, E08xx)."""

    exit_code = 3


class CannotWrite(RicciError):
    """An output could not be written; nothing half-written stands under its final name (E0810-E0819)."""

    exit_code = 5


class WrongUsage(RicciError):
    """A flag of the command line has a value that it cannot have (E0104)."""

    exit_code = 64


class UnsoundRule(RicciError):
    """A rewrite changed a value, axes or kind (E0901-E0909)."""

    exit_code = 1


@dataclass
class Diagnostics:
    """Collects diagnostics of a stage that goes on after an error."""

    errors: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        help: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        diagnostic = Diagnostic(code, message, span, label, help, notes)
        (self.errors if diagnostic.severity == "error" else self.notes).append(diagnostic)

    def absorb(self, error: RicciError) -> None:
        self.errors.extend(error.diagnostics)

    def raise_if_any(self, error: type[RicciError] = CheckFailed) -> None:
        """Raise one error with all collected diagnostics, in the order of the source."""
        if not self.errors:
            return
        ordered = sorted(self.errors, key=lambda d: d.span.start if d.span else -1)
        raised = error(ordered[0].code, ordered[0].message, ordered[0].span)
        raised.diagnostics = tuple(dict.fromkeys(ordered))
        raise raised
