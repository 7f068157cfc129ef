"""`ricci fmt`: the printed text says the same, keeps comments and layout, and is a fixed point."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricci.dsl import tree
from ricci.dsl.format import LONGEST, WIDTH, canonical_text, format_file
from ricci.dsl.parse import parse
from ricci.dsl.text import expression, plain
from ricci.errors import ParseFailed, Source, Span

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples" / "programs").glob("*.model"))
EVERY = Path(__file__).with_name("every_statement.model")
NOWHERE = Span(Source("", ""), 0, 0)


def read(text: str) -> tree.File:
    return parse(Source("m.model", text))


def formatted(text: str) -> str:
    """The formatted text, after checking that it says the same and is a fixed point."""
    file = read(text)
    once = format_file(file)
    again = read(once)
    assert tree.same(file, again)
    assert format_file(again) == once
    assert [c.text for c in again.comments] == [c.text for c in file.comments]
    return once


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_programs_are_fixed_points(path):
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


@pytest.mark.parametrize("path", [*PROGRAMS, EVERY], ids=lambda p: p.stem)
def test_canonical_text(path):
    file = read(path.read_text(encoding="utf-8"))
    text = canonical_text(file)
    again = read(text)
    assert tree.same(file, again)
    assert canonical_text(again) == text
    assert not again.comments
    assert all(line == line.rstrip() for line in text.splitlines())


def test_every_statement():
    formatted(EVERY.read_text(encoding="utf-8"))


LAYOUT = [
    ("let a=1+2*x", "let a = 1 + 2*x\n"),
    ("eq a = b", "equation a = b\n"),
    ("let a = ((1))+(2*3)", "let a = 1 + 2*3\n"),
    ("let a = (1 + 2)*3 - (4 - 5)", "let a = (1 + 2)*3 - (4 - 5)\n"),
    ("let a = x**-2", "let a = x^-2\n"),
    ("let a = (-x)^2 - -x", "let a = (-x)^2 - -x\n"),
    ("let a = (2 [m])^2", "let a = (2 [m])^2\n"),
    ("let a = 2 [m]^2", "let a = (2 [m])^2\n"),
    ("let a = (1).x", "let a = (1).x\n"),
    ("let a = b[(to)] + b[(to + 1)]", "let a = b[(to)] + b[(to+1)]\n"),
    ("let a = (1.)..2", "let a = 1. ..2\n"),
    ("let a = z[s - 1, y + m - 1]", "let a = z[s-1, y + m - 1]\n"),
    ("let a = 1 [kg*m/(s^2*K)]", "let a = 1 [kg m/(s^2 K)]\n"),
    ("let a = 1 [J/kg K]", "let a = 1 [J/kg*K]\n"),
    ("let a = 1 [m^(1/2)]", "let a = 1 [m^(1/2)]\n"),
    ("\n\n\nlet a = 1\n\n\n\nlet b = 2\n\n", "let a = 1\n\nlet b = 2\n"),
    ("let a = 1;let b = 2", "let a = 1; let b = 2\n"),
    ("let a = 1 # one\n#two\n  # three\nlet b = 2    # four", "let a = 1  # one\n#two\n# three\nlet b = 2    # four\n"),
    ("# only", "# only\n"),
    ("", ""),
    ("solve{grid:x=4;until:t=1}", "solve { grid: x=4; until: t=1 }\n"),
    ("solve{ # how\n grid:x=4 # fine\n # end\n until:t=1}", "solve {  # how\n  grid: x=4 # fine\n  # end\n  until: t=1\n}\n"),
    ("@pml(3)\nboundary u on x.lo: u=0", "@pml(3)\nboundary u on x.lo: u = 0\n"),
    ("@pml(3)   boundary u on x.lo: u=0", "@pml(3) boundary u on x.lo: u = 0\n"),
    ("let a = 3 @tol(1)", "@tol(1) let a = 3\n"),
    ("layer L(x[b])->y[b]{y[b]=x[b]}", "layer L(x[b]) -> y[b] { y[b] = x[b] }\n"),
    ("layer L(x[b])->y[b]{\n\ny[b]=x[b]; z[b]=1\n\n}", "layer L(x[b]) -> y[b] {\n  y[b] = x[b]; z[b] = 1\n}\n"),
    ("let a = b + # why\n  c", "let a = b + # why\n  c\n"),
    ('let a = "{ # no comment }"', 'let a = "{ # no comment }"\n'),
    ("iterate a = 1 {\na = a/2 # halve\n} until a<0.1 max 9", "iterate a = 1 {\n  a = a/2 # halve\n} until a < 0.1 max 9\n"),
]


@pytest.mark.parametrize(("text", "expected"), LAYOUT, ids=[t[0][:30] for t in LAYOUT])
def test_layout(text, expected):
    once = formatted(text)
    assert once == expected or once.replace("  #", " #") == expected.replace("  #", " #")


def test_long_statements_are_broken_behind_operators():
    text = formatted("equation dt(u) = " + " + ".join(f"coefficient_{i}*d(u, x, {i})" for i in range(12)))
    lines = text.splitlines()
    assert len(lines) > 2
    assert all(len(line) <= WIDTH for line in lines)
    assert all(line.endswith(("+", "=")) for line in lines[:-1])
    assert all(line.startswith("    ") for line in lines[1:])


def test_a_statement_on_several_lines_is_filled():
    text = formatted("let a = f(x,\n   y,\n   z)\nlet b = 1")
    assert text == "let a = f(x, y, z)\nlet b = 1\n"


def test_nothing_to_break_stays_long():
    name = "x" * 300
    assert formatted(f"let {name} = {name}").count("x") == 600
    assert max(map(len, formatted(f"let a = f({', '.join(['argument'] * 60)})").splitlines())) <= LONGEST


def test_the_deepest_tree_prints():
    text = "let a = " + "f(" * 190 + "x" + ")" * 190
    assert "".join(formatted(text).split()) == text.replace(" ", "")
    formatted("let a = " + "(1 + " * 90 + "x" + ")" * 90)


# ---------------------------------------------------------------------------------------------------------------------
# Random trees

NAMES = ["a", "b", "x'", "ψ", "to", "in", "at", "then", "max", "field", "im"]


class Grower:
    """Random trees of at most some depth."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    def name(self, *without):
        return tree.Name(self.pick(*(n for n in NAMES if n not in without)), span=NOWHERE)

    def chain(self, kind, operators, depth, grow):
        count = self.random.randint(2, 4)
        return kind(tuple(grow(depth - 1) for _ in range(count)), tuple(self.pick(*operators) for _ in range(count - 1)), span=NOWHERE)

    def unit(self, depth):
        if depth <= 0 or self.random.random() < 0.4:
            text = self.pick("m", "kg", "uM", "1", "1000", "0.5")
            return tree.UnitName(text, span=NOWHERE) if text[0].isalpha() else tree.UnitNumber(Fraction(text), text, span=NOWHERE)
        if self.random.random() < 0.4:
            exponent = self.pick(Fraction(2), Fraction(-1), Fraction(1, 2), Fraction(-3, 2))
            return tree.UnitPower(self.unit(depth - 1), exponent, span=NOWHERE)
        return self.chain(tree.UnitProduct, "*/", depth, self.unit)

    def number(self):
        text = self.pick("0", "1.", ".5", "2i", "1e-3", "2.5e+3")
        unit = self.unit(2) if self.random.random() < 0.3 else None
        return tree.Number(Fraction(text.rstrip("i").rstrip(".")), text.endswith("i"), unit, text, span=NOWHERE)

    def item(self, depth):
        kinds = ["expression"] * 3 + ["named", "rename", "consume", "produce", "range"]
        match self.pick(*kinds):
            case "named":
                return tree.NamedItem(self.name("to"), self.grow(depth), span=NOWHERE)
            case "rename":
                return tree.Rename(self.name("to"), self.name(), span=NOWHERE)
            case "consume":
                return tree.Consume(self.name("to"), span=NOWHERE)
            case "produce":
                return tree.Produce(self.name(), span=NOWHERE)
            case "range":
                return tree.RangeItem(self.name("to"), self.grow(depth), self.grow(depth), span=NOWHERE)
        return self.grow(depth)

    def many(self, depth, least, most, of=None):
        return tuple((of or self.grow)(depth - 1) for _ in range(self.random.randint(least, most)))

    def argument(self, depth):
        return tree.Keyword(self.name(), self.grow(depth), span=NOWHERE) if self.random.random() < 0.3 else self.grow(depth)

    def grow(self, depth=4, without=()):
        while True:
            node = self.any(depth)
            if not isinstance(node, without):
                return node

    def any(self, depth):
        if depth <= 0 or self.random.random() < 0.2:
            text = tree.String(self.pick("", "a.npz", "# {"), span=NOWHERE)
            return self.pick(self.name(), self.name(), self.number(), self.number(), text)
        grow = self.grow
        literal = (tree.Number, tree.String)
        kind = self.pick(
            tree.Unary,
            tree.Sum,
            tree.Product,
            tree.Compare,
            tree.Logic,
            tree.Power,
            tree.Range,
            tree.Cond,
            tree.Call,
            tree.Index,
            tree.Attr,
            tree.Tuple,
            tree.List,
        )
        match kind.__name__:
            case "Unary":
                return kind(self.pick("-", "+", "not"), grow(depth - 1), span=NOWHERE)
            case "Sum" | "Product" | "Compare":
                operators = {"Sum": "+-", "Product": "*/", "Compare": ["<", "<=", "==", "~"]}[kind.__name__]
                return self.chain(kind, operators, depth, grow)
            case "Logic":
                return kind(self.pick("and", "or"), self.many(depth, 2, 3), span=NOWHERE)
            case "Power" | "Range":
                return kind(grow(depth - 1), grow(depth - 1), span=NOWHERE)
            case "Cond":
                return kind(grow(depth - 1), grow(depth - 1), grow(depth - 1), span=NOWHERE)
            case "Call":
                return kind(grow(depth - 1, (*literal, tree.Tuple, tree.List)), self.many(depth, 0, 2, self.argument), span=NOWHERE)
            case "Index":
                return kind(grow(depth - 1, literal), self.many(depth, 1, 2, self.item), span=NOWHERE)
            case "Attr":
                return kind(grow(depth - 1), self.name(), span=NOWHERE)
            case "Tuple":
                return kind(self.many(depth, 2, 3), span=NOWHERE)
        return tree.List(self.many(depth, 1, 3), span=NOWHERE)


seeds = st.integers(0, 2**32)


@settings(max_examples=500, deadline=None)
@given(seeds)
def test_random_expressions_print_and_parse_back_equal(seed):
    node = Grower(seed).grow()
    text = plain(expression(node))
    again = read(f"let a = {text}").statements[0]
    assert isinstance(again, tree.Let)
    assert tree.same(again.value, node), text


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_random_statements_keep_their_meaning_when_broken(seed):
    left, right = Grower(seed).grow(3), Grower(seed + 1).grow(3)
    formatted(f"equation {plain(expression(left))} = {plain(expression(right))} + " + "long_name*" * 20 + "x")


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_no_parenthesis_can_be_left_out(seed):
    """Every pair that is printed changes the tree when it goes."""
    node = Grower(seed).grow(3)
    text = plain(expression(node))
    for start in [i for i, c in enumerate(text) if c == "(" and (i == 0 or text[i - 1] in "(+-*/^ ,=.[") and '"' not in text]:
        depth, end = 0, start
        for end in range(start, len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if depth == 0:
                break
        if re.match(r"[0-9.]|if |to\b", text[start + 1 :]):  # `(5 [m])^2`, `(1).x`, `x[(to)]`, `if (if ...)`: for the reader's sake
            continue
        shorter = text[:start] + text[start + 1 : end] + text[end + 1 :]
        try:
            statement = read(f"let a = {shorter}").statements[0]
        except ParseFailed:
            continue
        assert isinstance(statement, tree.Let)
        assert not tree.same(statement.value, node), (text, shorter)


GAPS = ["\n", "\n\n", "  # note\n", "\n# alone\n", " ; ", "\n\n\n# a\n\n# b\n"]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_layouts_are_kept_stable(data):
    file = read(data.draw(st.sampled_from([p.read_text(encoding="utf-8") for p in [*PROGRAMS, EVERY]])))
    text = ""
    for statement in file.statements:
        written = statement.span.text
        if "#" not in written and data.draw(st.booleans()):
            written = written.replace(", ", data.draw(st.sampled_from([",\n    ", ",", ", # why\n "])))
        text += written + data.draw(st.sampled_from(GAPS))
    once = format_file(read(text))
    assert tree.same(read(once), read(text))
    assert format_file(read(once)) == once
    assert sorted(c.text for c in read(once).comments) == sorted(c.text for c in read(text).comments)
