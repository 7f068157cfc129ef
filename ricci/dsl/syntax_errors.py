"""What is wrong with a statement that does not parse, in the user's words, and how it may have been meant."""

from __future__ import annotations

from dataclasses import dataclass

from ricci.dsl.lexer import Token
from ricci.errors import Diagnostic, Source, Span


@dataclass(frozen=True)
class Situation:
    """Token `at` does not fit into the statement that begins with token `first`; `states` is the stack there."""

    source: Source
    tokens: list[Token]
    first: int
    at: int
    states: list[int]

    @property
    def after(self) -> int:
        """The first token behind the statement."""
        depth = self.tokens[self.first].braces
        for i in range(self.at, len(self.tokens)):
            token = self.tokens[i]
            if token.braces == depth and token.kind == "_SEP":
                return i + 1
            if token.kind == "}" and token.braces < depth:
                return i
        return len(self.tokens)


def diagnose(situation: Situation) -> Diagnostic:
    token = situation.tokens[situation.at]
    return Diagnostic("E0001", f"unexpected `{token.text}`", Span(situation.source, token.start, token.end))
