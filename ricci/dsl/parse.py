"""Text -> syntax tree.

`parse(source)` gives a `tree.File` or raises `ParseFailed` with every error found: after an error the parser goes on at the
next statement. The automaton is the LALR(1) table of grammar.lark; words become keywords where the grammar has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ricci.dsl import reductions, syntax_errors, table, tree
from ricci.dsl.lexer import CONTINUES, LARGEST, MANY, Token, Tokens, tokenize
from ricci.errors import Diagnostics, ParseFailed, Source, Span

TALLEST = 20 * tree.DEEPEST  # entries of the parser's stack: reached only by chains like `- - - x`, `a^b^c`, `if ... else if ...`


def parse(source: Source) -> tree.File:
    """The syntax tree of a source; `ParseFailed` (E00xx) with all errors in the order of the text."""
    source = _with_newlines(source)
    errors = Diagnostics()
    tokens = tokenize(source, errors)
    statements = _Parser(tokens, errors).run()
    syntax_errors.offer_edits(tokens, errors)
    errors.raise_if_any(ParseFailed)
    span = Span(source, 0, len(source.text))
    return tree.File(statements, tuple(tokens.comments), source, span=span)


def _with_newlines(source: Source) -> Source:
    """The source with a newline for every carriage return that stands alone (line ends of old systems)."""
    return Source(source.name, re.sub(r"\r(?!\n)", "\n", source.text)) if "\r" in source.text else source


def decode(name: str, data: bytes) -> Source:
    """The text of a file; bytes that are not UTF-8 are E0001 at their place."""
    if len(data) > LARGEST:
        data = data[: LARGEST + 1]  # parse will refuse it; no need to hold more
        return Source(name, data.decode("utf-8", "replace"))
    try:
        return Source(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        source = Source(name, data.decode("utf-8", "replace"))
        start = len(data[: error.start].decode("utf-8"))
        raise ParseFailed(
            "E0001",
            f"the byte 0x{data[error.start]:02X} is not UTF-8",
            Span(source, start, start + 1),
            label="a model is a UTF-8 text",
        ) from None


@dataclass(slots=True)
class Entry:
    """One symbol on the stack: a token, a node, or (rules that are only parts of others) a list of them."""

    value: Any
    start: int
    end: int
    depth: int


class _Parser:
    def __init__(self, tokens: Tokens, errors: Diagnostics) -> None:
        self.table = table.load()
        self.source = tokens.source
        self.tokens = tokens.tokens
        self.broken = tokens.broken
        self.errors = errors
        self.here = 0  # the token that is being read
        self.states: list[int] = [self.table.start]
        self.entries: list[Entry] = []
        # The stack as it was where the current statement (or option) began, for each depth of braces.
        self.marks: dict[int, tuple[int, list[int], list[Entry]]] = {}

    def run(self) -> tuple[tree.Statement, ...]:
        i, failed, previous = 0, -1, "_SEP"
        while i < len(self.tokens):
            token = self.tokens[i]
            self.here = i
            if token.kind == "_SEP" and previous in CONTINUES and token.text != ";":
                i += 1
                continue
            if previous in ("_SEP", "{") and token.kind != "}" and self.table.advance(self.states, "_SEP"):
                self.marks[token.braces] = (i, self.states[:], self.entries[:])
            kind = self.table.kind(self.states[-1], token)
            if self.feed(kind, token):
                i, previous = i + 1, kind
            else:
                after = self.recover(i)
                failed, i, previous = i, after + (after == i == failed), "_SEP"
                if len(self.errors.errors) >= MANY:
                    return ()
        end = Token("$END", "", len(self.source.text), len(self.source.text))
        if not self.feed("$END", end):
            if not self.broken:
                self.recover(len(self.tokens) - 1)
            return ()
        statements: tuple[tree.Statement, ...] = self.entries[-1].value
        return statements

    def feed(self, kind: str, token: Token) -> bool:
        """Reduces and shifts; False, with the stack reduced in part, when the token does not fit."""
        states, entries = self.states, self.entries
        actions, rules = self.table.actions, self.table.rules
        while True:
            action = actions[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                as_read = token if kind == token.kind else Token(kind, token.text, token.start, token.end)
                entries.append(Entry(as_read, token.start, token.end, 0))
                if len(states) > TALLEST:
                    self.too_deep()
                return True
            rule = rules[-1 - action]
            if rule.length == 1 and rule.single:
                states.pop()
            else:
                self.reduce(rule, token.start)
            state = self.table.gotos[states[-1]][rule.origin]
            states.append(state)
            if kind == "$END" and state == self.table.end:
                return True

    def reduce(self, rule: table.Rule, here: int) -> None:
        """Replaces the entries of a rule by the one of its node."""
        length = rule.length
        if length == 0:
            value: Any = [] if rule.inline else reductions.reduce(rule.name, [], self.source, here, here, self.errors)
            self.entries.append(Entry(value, here, here, 0))
            return
        parts = self.entries[-length:]
        del self.states[-length:]
        del self.entries[-length:]
        start, end = parts[0].start, parts[-1].end
        depth = max(part.depth for part in parts)
        first = parts[0].value
        if rule.inline and type(first) is list:
            items = first  # a repetition grows in place
            rest = parts[1:]
        else:
            items, rest = [], parts
        for part in rest:
            if type(part.value) is list:
                items.extend(part.value)
            else:
                items.append(part.value)
        if rule.inline:
            self.entries.append(Entry(items, start, end, depth))
            return
        if rule.name != "parentheses":
            depth += 1
        if depth > tree.DEEPEST:
            self.too_deep()
        value = items[0] if rule.single and len(items) == 1 else reductions.reduce(rule.name, items, self.source, start, end, self.errors)
        self.entries.append(Entry(value, start, end, depth))

    def too_deep(self) -> None:
        """Refuses the statement that is being read, and with it the text."""
        first = self.tokens[self.marks[self.depth_at(self.here)][0]]
        raise ParseFailed(
            "E0004",
            f"this statement is nested deeper than {tree.DEEPEST} levels",
            Span(self.source, first.start, first.end),
            label="name parts of it with `let`",
        )

    def depth_at(self, i: int) -> int:
        """The depth of braces of the statement that token i is part of."""
        inside = self.tokens[i - 1].braces if self.tokens[i].kind == "}" and i else self.tokens[i].braces
        return max(d for d in self.marks if d <= inside or d == 0)

    def recover(self, i: int) -> int:
        """Reports token i, goes back to where its statement began and skips to the next one; its place in the tokens."""
        depth = self.depth_at(i)
        first, states, entries = self.marks[depth]
        self.states, self.entries = states[:], entries[:]
        for d in [d for d in self.marks if d > depth]:
            del self.marks[d]
        situation = syntax_errors.Situation(self.source, self.tokens, first, i, states)
        start, end = situation.bounds
        if any(start <= place <= end for place in self.broken):
            self.offer_closing(situation)
            return situation.after
        diagnostic, after = syntax_errors.diagnose(situation)
        self.errors.errors.append(diagnostic)
        return after

    def offer_closing(self, situation: syntax_errors.Situation) -> None:
        """Adds the remedy to the message about a bracket of this statement that is not closed."""
        start, end = situation.bounds
        for i, diagnostic in enumerate(self.errors.errors):
            span = diagnostic.span
            if diagnostic.code == "E0002" and span and start <= span.start <= end:
                self.errors.errors[i] = replace(diagnostic, help=syntax_errors.close(situation, span.start))
