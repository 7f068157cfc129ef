"""The rules as data: name, statement, side conditions and egglog text, read from `rules/*.egg`.

A rule is a block of a file: `; rule NAME: LEFT = RIGHT` states it in prefix form, `; given: FACT TERM, ..` what must be known,
`; for F in increasing everywhere` makes one rule for every such function that is defined for all reals, `somewhere` for those that are
not (the fact `domain_F` is known of what lies in the domain of F); the egglog text follows. The statement is what the tests
instantiate on random terms; its functions decide for which programs a rule is loaded at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ricci.dsl.ops.functions import REALS, SCALARS
from ricci.errors import UnsoundRule

FOLDER = Path(__file__).parent / "rules"
PHASES = ("structure", "exponential", "rational", "trigonometric", "reduction")
PART = " / "  # between the name of a rule and the number of a further part of its text
DOMAIN = "domain_"  # begins the names of facts: a value lies where the function is defined
VARYING = "uvw"  # first letters of variables that have the axes of reductions
Expression = str | tuple["Expression", ...]  # a name, or a tuple of head and arguments


@dataclass(frozen=True)
class Rule:
    """left = right where the facts hold; `text` is what the engine runs."""

    name: str
    phase: str
    left: Expression
    right: Expression
    given: tuple[tuple[str, Expression], ...]
    text: str
    where: str = ""  # file and line of the statement

    @property
    def needs(self) -> frozenset[str]:
        """Functions and reductions that must occur for the left side to match."""
        return heads(self.left)

    @property
    def domains(self) -> frozenset[str]:
        """Functions whose domains its condition names."""
        return frozenset(fact.removeprefix(DOMAIN) for fact, _ in self.given if fact.startswith(DOMAIN))

    @property
    def makes(self) -> frozenset[str]:
        return heads(self.right)

    def __str__(self) -> str:
        return self.name


def heads(expression: Expression) -> frozenset[str]:
    """Names of functions and reductions in an expression; arithmetic is not among them."""
    if not isinstance(expression, tuple):
        return frozenset()
    own = str(expression[0]).partition("[")[0]
    return frozenset({own} - {"+", "-", "*"}).union(*(heads(a) for a in expression[1:]))


def parse_expression(text: str) -> Expression:
    """Prefix text to nested tuples."""
    tokens = re.findall(r"[()]|[^\s()]+", text)
    stack: list[list[Expression]] = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) < 2:
                raise ValueError(f"a parenthesis too many in `{text}`")
            done = tuple(stack.pop())
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError(f"not one expression: `{text}`")
    return stack[0][0]


def parse_rules(text: str, phase: str) -> list[Rule]:
    """The rules of a file; E0902 for a block that is none."""
    rules = []
    begin = 0
    for block in re.split(r"(\n\s*\n)", text):
        line = text.count("\n", 0, begin) + 1
        begin += len(block)
        match = re.search(r"^; rule (\w+): (.+?) = (.+)$", block, re.MULTILINE)
        if match is None:
            if re.search(r"^\(", block, re.MULTILINE):
                raise UnsoundRule("E0902", f"a rule in {phase}.egg has no statement `; rule NAME: LEFT = RIGHT`")
            continue
        family = re.search(r"^; for F in (\w+ \w+)$", block, re.MULTILINE)
        for function in _family(family.group(1)) if family else [None]:
            rule = _rule(block, match, phase, function)
            rules.append(replace(rule, where=f"rules/{phase}.egg:{line + block.count(chr(10), 0, match.start())}"))
    return rules


def _family(name: str) -> list[str]:
    """Scalar functions of one real argument that have a fact, defined everywhere or only somewhere."""
    fact, _, where = name.partition(" ")
    return [
        f
        for f, s in SCALARS.items()
        if fact in s.facts and s.arity == 1 and f != "group" and (s.domain == REALS) == (where == "everywhere")
    ]


def _rule(block: str, match: re.Match[str], phase: str, function: str | None) -> Rule:
    def filled(text: str) -> str:
        return text if function is None else re.sub(r"\bF\b|(?<=f_)F\b|(?<=of_)F\b|(?<=domain_)F\b", function, text)

    name = filled(match.group(1))
    given = []
    found = re.search(r"^; given: (.+)$", block, re.MULTILINE)
    for condition in found.group(1).split(",") if found else []:
        fact, _, term = filled(condition.strip()).partition(" ")
        given.append((fact, parse_expression(term)))
    body = filled("\n".join(line for line in block.splitlines() if not line.startswith(";")).strip())
    if not body.endswith(")") or not body.startswith("(rule"):
        raise UnsoundRule("E0902", f"rule `{name}` has no text of the form (rule ..)")
    parts = re.split(r"\n(?=\(rule)", body)
    names = [name, *(f"{name}{PART}{k}" for k in range(2, len(parts) + 1))]
    text = "\n".join(f'{part[:-1]} :ruleset rw :name "{own}")' for part, own in zip(parts, names, strict=True))
    return Rule(name, phase, parse_expression(filled(match.group(2))), parse_expression(filled(match.group(3))), tuple(given), text)


@cache
def prelude() -> str:
    return (FOLDER / "prelude.egg").read_text(encoding="utf-8")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every shipped rule, in the order of phases."""
    return tuple(rule for phase in PHASES for rule in parse_rules((FOLDER / f"{phase}.egg").read_text(encoding="utf-8"), phase))


def relevant(rules: Iterable[Rule], present: frozenset[str]) -> list[Rule]:
    """Rules that can fire on terms with these functions, or on what other such rules make."""
    waiting, chosen = list(rules), []
    while True:
        ready = [r for r in waiting if r.needs <= present]
        if not ready:
            return [r for r in rules if r in chosen]
        chosen += ready
        waiting = [r for r in waiting if r not in ready]
        present |= frozenset().union(*(r.makes for r in ready))
