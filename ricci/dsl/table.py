"""The LALR(1) table of grammar.lark as plain data.

Building it with lark takes longer than a whole `ricci check` may, so the table is shipped as grammar.json, which names
the hash of the grammar that it was made from; a table that is missing or of another grammar is built anew in memory.
`python -m ricci.dsl.table` writes the file. lark is imported only to build.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ricci.dsl.lexer import Token

GRAMMAR = Path(__file__).with_name("grammar.lark")
STORED = Path(__file__).with_name("grammar.json")


@dataclass(frozen=True)
class Rule:
    """`origin: ...` with `length` symbols; `name` is the alias or the origin. `single` rules of one symbol leave no trace,
    `inline` ones give their parts to the rule above."""

    origin: str
    name: str
    length: int
    single: bool
    inline: bool


@dataclass(frozen=True)
class Table:
    """`actions[state][terminal]`: a state to shift to (>= 0) or -1 - rule to reduce. Terminals are `NAME`, `NUMBER`, `STRING`,
    `CMP`, `_SEP`, `$END`, and the texts of keywords and symbols; `patterns` has the regular expressions of the named ones."""

    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]
    rules: list[Rule]
    start: int
    end: int
    patterns: dict[str, str]

    def advance(self, states: list[int], terminal: str) -> list[int] | None:
        """The stack of states after a terminal, or None if it does not fit; the given stack is left as it is."""
        stack = states[:]
        while True:
            action = self.actions[stack[-1]].get(terminal)
            if action is None:
                return None
            if action >= 0:
                return [*stack, action]
            rule = self.rules[-1 - action]
            if rule.length:
                del stack[-rule.length :]
            stack.append(self.gotos[stack[-1]][rule.origin])
            if terminal == "$END" and stack[-1] == self.end:
                return stack

    def kind(self, state: int, token: Token) -> str:
        """A word is a keyword where the grammar has that keyword, and a name elsewhere."""
        return token.text if token.kind == "NAME" and token.text in self.actions[state] else token.kind

    @property
    def literals(self) -> frozenset[str]:
        return frozenset(t for row in self.actions for t in row) - set(self.patterns) - {"$END"}


def build(grammar: str) -> dict[str, Any]:
    """The table of a grammar as JSON data."""
    import lark

    parser = lark.Lark(grammar, parser="lalr", maybe_placeholders=False)
    spelling = {t.name: t.pattern.value for t in parser.terminals if t.pattern.type == "str"}
    patterns = {t.name: t.pattern.to_regexp() for t in parser.terminals if t.pattern.type == "re"}
    lalr = parser.parser.parser._parse_table
    rules = {rule: i for i, rule in enumerate(sorted(parser.rules, key=_rule_key))}
    order = _state_order(lalr)
    number = {state: i for i, state in enumerate(order)}
    rows: list[list[dict[str, int]]] = []
    for state in order:
        actions: dict[str, int] = {}
        gotos: dict[str, int] = {}
        for symbol, (action, argument) in sorted(lalr.states[state].items()):
            if action.name == "Reduce":
                actions[spelling.get(symbol, symbol)] = -1 - rules[argument]
            elif symbol.isupper() or symbol in spelling or symbol.startswith("$"):
                actions[spelling.get(symbol, symbol)] = number[argument]
            else:
                gotos[symbol] = number[argument]
        rows.append([actions, gotos])
    return {
        "grammar": _digest(grammar),
        "patterns": patterns,
        "start": number[lalr.start_states["start"]],
        "end": number[lalr.end_states["start"]],
        "rules": [_rule(rule) for rule in rules],
        "states": rows,
    }


def _rule(rule: Any) -> list[Any]:
    """The fields of `Rule`."""
    origin = rule.origin.name
    return [origin, rule.alias or origin, len(rule.expansion), bool(rule.options.expand1) and not rule.alias, origin.startswith("_")]


def _rule_key(rule: Any) -> tuple[str, list[str], str]:
    return rule.origin.name, [symbol.name for symbol in rule.expansion], rule.alias or ""


def _state_order(lalr: Any) -> list[int]:
    """States numbered breadth first, symbols in alphabetical order: the same for every run of lark."""
    order = [lalr.start_states["start"]]
    seen = set(order)
    for state in order:
        for _, (action, argument) in sorted(lalr.states[state].items(), key=lambda item: str(item[0])):
            if action.name == "Shift" and argument not in seen:
                seen.add(argument)
                order.append(argument)
    return order


def _digest(grammar: str) -> str:
    return hashlib.blake2b(grammar.encode(), digest_size=16).hexdigest()


@cache
def load() -> Table:
    """The table of grammar.lark; from grammar.json if that belongs to it."""
    grammar = GRAMMAR.read_text(encoding="utf-8")
    try:
        data = json.loads(STORED.read_bytes())
        fits = data["grammar"] == _digest(grammar)
    except (OSError, ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        data = build(grammar)
    return Table(
        actions=[row[0] for row in data["states"]],
        gotos=[row[1] for row in data["states"]],
        rules=[Rule(*rule) for rule in data["rules"]],
        start=data["start"],
        end=data["end"],
        patterns=data["patterns"],
    )


if __name__ == "__main__":
    STORED.write_text(json.dumps(build(GRAMMAR.read_text(encoding="utf-8")), separators=(",", ":")) + "\n", encoding="utf-8")
