"""The parser: what it accepts, the trees it makes, and what it says about a text that is not in the grammar."""

from __future__ import annotations

import json
import logging
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricci.dsl import lexer, table, tree
from ricci.dsl.parse import decode, parse
from ricci.errors import ParseFailed, Source

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples" / "programs").glob("*.model"))
EVERY = Path(__file__).with_name("every_statement.model")


def read(text: str) -> tree.File:
    return parse(Source("m.model", text))


def only(text: str) -> tree.Statement:
    statements = read(text).statements
    assert len(statements) == 1
    return statements[0]


def value(text: str) -> tree.Expr:
    statement = only(f"let a = {text}")
    assert isinstance(statement, tree.Let)
    return statement.value


def errors(text: str) -> ParseFailed:
    with pytest.raises(ParseFailed) as caught:
        read(text)
    return caught.value


# ---------------------------------------------------------------------------------------------------------------------
# Accepted


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_programs_parse(path):
    file = parse(decode(path.name, path.read_bytes()))
    assert file.statements
    assert [c.text for c in file.comments] == [line[line.index("#") :] for line in path.read_text().splitlines() if "#" in line]


def test_every_statement_parses_and_every_kind_of_node_is_made():
    file = parse(decode(EVERY.name, EVERY.read_bytes()))
    made = {type(n) for n in tree.walk(file)}
    abstract = {tree.Node, tree.Expr, tree.Statement, tree.UnitExpr}
    kinds = {k for k in vars(tree).values() if isinstance(k, type) and issubclass(k, tree.Node)}
    assert kinds - abstract - made == set()


def test_spans_are_the_text_of_the_node():
    for path in [*PROGRAMS, EVERY]:
        source = Source(path.name, path.read_text(encoding="utf-8"))
        for node in tree.walk(parse(source)):
            assert node.span.source is source
            if isinstance(node, tree.Name):
                assert node.span.text == node.id
            if isinstance(node, tree.Number):
                assert node.span.text.startswith(node.text)
            for child in tree.children(node):
                assert node.span.start <= child.span.start <= child.span.end <= node.span.end


def test_statements_on_one_line_and_on_several():
    assert len(read("field u(D); field v(D)\nfield w(D);;\n\n").statements) == 3
    assert len(read("let a = 1 +\n  2 *\n  3\nlet b = f(1,\n 2\n)\nlet c =\n  4").statements) == 3
    assert len(read("let a = [1\n+ 2]\r\nlet b = 3\r\n").statements) == 2
    assert len(read("# old\rlet a = 1\r\rlet b = 3 # end\rlet c = 4").statements) == 3
    assert len(read("@pml(3)\n\n# comment\nlet a = 1").statements) == 1
    assert read("").statements == ()
    assert read("\ufefflet a = 1").statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x^2", "-(x^2)"),
        ("a/b*c", "((a/b)*c)"),
        ("a - b - c", "((a - b) - c)"),
        ("2^-x", "(2^(-x))"),
        ("2^3^4", "(2^(3^4))"),
        ("x**2", "(x^2)"),
        ("-a*b", "((-a)*b)"),
        ("not a == b", "(not (a == b))"),
        ("a or b and c", "(a or (b and c))"),
        ("a < b + 1", "(a < (b + 1))"),
    ],
)
def test_precedence(text, expected):
    def show(e):
        match e:
            case tree.Name(id):
                return id
            case tree.Number():
                return e.text
            case tree.Unary(operator, operand):
                inner = show(operand)
                return (
                    f"(not {inner})"
                    if operator == "not"
                    else f"{operator}{inner}"
                    if isinstance(operand, tree.Power)
                    else f"({operator}{inner})"
                )
            case tree.Power(base, exponent):
                return f"({show(base)}^{show(exponent)})"
            case tree.Logic(operator, operands):
                return "(" + f" {operator} ".join(map(show, operands)) + ")"
            case tree.Sum() | tree.Product() | tree.Compare():
                gap = "" if isinstance(e, tree.Product) else " "
                text = show(e.operands[0])
                for operator, operand in zip(e.operators, e.operands[1:], strict=True):
                    text = f"({text}{gap}{operator}{gap}{show(operand)})"
                return text
        raise AssertionError(e)

    assert show(value(text)) == expected


def test_numbers_are_exact():
    assert value("0.1").value == Fraction(1, 10)
    assert value("1e-4").value == Fraction(1, 10000)
    assert value("2.5e3i").imaginary
    assert value("2.5e3i").value == 2500
    assert value("5.").value == 5
    assert value("1e-400").value == Fraction(1, 10**400)
    number = value("20 [km/s]")
    assert (number.text, number.unit.operators) == ("20", ("/",))
    assert isinstance(value("1..2"), tree.Range)


def test_names_are_normalized_and_may_end_in_primes():
    assert value("ﬁ'").id == "fi'"
    assert value("Δψ").id == "Δψ"


def test_keywords_are_names_inside_expressions():
    assert value("grid + output*check").operands[0].id == "grid"
    assert value("f(at, on, max)").arguments[2].id == "max"
    solve = only("solve { grid: x=41; until: t=1 }")
    assert [e.name.id for e in solve.entries] == ["grid", "until"]


def test_chains_are_flat_and_long():
    total = value("+".join(["b*c"] * 5000))
    assert len(total.operands) == 5000


def test_same_compares_what_is_said():
    assert tree.same(read("let a = (1+2)*3 # c"), read("let  a=(1 + 2) * 3"))
    assert not tree.same(read("let a = 1 + 2*3"), read("let a = (1 + 2)*3"))


# ---------------------------------------------------------------------------------------------------------------------
# The table


def test_the_shipped_table_belongs_to_the_grammar():
    assert json.loads(table.STORED.read_bytes()) == table.build(table.GRAMMAR.read_text(encoding="utf-8"))


def test_the_grammar_is_ambiguous_only_where_it_says_so(caplog):
    """`5 [m]` is a number with a unit, and `weight W[h] @btt` annotates W; both are decided by reading on."""
    lark = pytest.importorskip("lark")
    level = lark.logger.level
    lark.logger.setLevel(logging.DEBUG)
    lark.logger.propagate = True
    try:
        lark.Lark(table.GRAMMAR.read_text(encoding="utf-8"), parser="lalr", maybe_placeholders=False, debug=True)
    finally:
        lark.logger.setLevel(level)
    rules = [line.split("<")[1].split(" :")[0] for record in caplog.records for line in record.message.splitlines() if " * <" in line]
    assert set(rules) == {"tensor", "number"}


def test_a_damaged_or_foreign_table_is_built_anew(monkeypatch, tmp_path):
    for content in (b"", b"{}", b'{"grammar": "0"}', b"\xff"):
        stored = tmp_path / "grammar.json"
        stored.write_bytes(content)
        monkeypatch.setattr(table, "STORED", stored)
        assert table.load.__wrapped__() == table.load()


def test_lark_reads_the_programs_alike():
    lark = pytest.importorskip("lark")

    class DropNewlines:
        always_accept = ("_SEP",)

        def process(self, stream):
            depth, last = 0, ""
            for token in stream:
                depth += (token.value in "([") - (token.value in ")]") if token.type != "STRING" else 0
                if token.type == "_SEP" and (depth or last in lexer.CONTINUES or last == "_SEP"):
                    continue
                last = token.type if token.type in ("CMP", "_SEP", "NAME") else str(token.value)
                yield token

    grammar = table.GRAMMAR.read_text(encoding="utf-8") + "\n%ignore /[ \\t]+/\n%ignore /#[^\\n]*/\n"
    parser = lark.Lark(grammar, parser="lalr", maybe_placeholders=False, postlex=DropNewlines())
    for path in [*PROGRAMS, EVERY]:
        text = path.read_text(encoding="utf-8") + "\n"
        statements = [t for t in parser.parse(text).children if getattr(t, "data", "") == "statement"]
        assert len(statements) == len(read(text).statements)


# ---------------------------------------------------------------------------------------------------------------------
# Refused: (text, code, line, column, message, help)

REFUSED = [
    ("boundary u x.lo: u = 0", "E0001", 1, 12, "expected `on`, found `x`", "boundary u on x.lo: u = 0"),
    ("boundary u at x.lo: u = 0", "E0001", 1, 12, "expected `on`, found `at`", "boundary u on x.lo: u = 0"),
    ("domain D: x in 0,1", "E0001", 1, 17, "expected `..`, found `,`", "domain D: x in 0..1"),
    ("domain D: x in [0, 1]", "E0001", 1, 16, "a range is written with `..`", "domain D: x in 0..1"),
    ("domain D: x im 0..1", "E0001", 1, 13, "expected `in`, found `im`", "domain D: x in 0..1"),
    ("domain D: x in 0..1 perodic", "E0001", 1, 21, "expected `periodic`, found `perodic`", "domain D: x in 0..1 periodic"),
    ("param k = 1e-4 m^2/s", "E0001", 1, 16, "a unit stands in brackets behind its number", "param k = 1e-4 [m^2/s]"),
    ("param k = 2x", "E0001", 1, 12, "expected an operator, found `x`", "param k = 2*x"),
    ("let a = 2(x + 1)", "E0001", 1, 9, "a number cannot be called", ""),
    ("let a = 5 [m] [s]", "E0001", 1, 14, "a number has one unit and no index", ""),
    ("equation a == b", "E0003", 1, 12, "`==` compares two values; `equation` takes `=`", "equation a = b"),
    ("initial u == 0", "E0003", 1, 11, "`==` compares two values; `initial` takes `=`", "initial u = 0"),
    ("check a = b", "E0003", 1, 9, "`=` states an equation or gives a value; `==` compares", "check a == b"),
    (
        "let a = if x = 0 then 1 else 2",
        "E0003",
        1,
        14,
        "`=` states an equation or gives a value; `==` compares",
        "let a = if x == 0 then 1 else 2",
    ),
    ("equation a = b = c", "E0001", 1, 16, "there is a second `=` in this statement", ""),
    (
        "output[b] = W[b]",
        "E0001",
        1,
        1,
        "`output` is a keyword at the start of a statement and cannot be a name there",
        "output_[b] = W[b]",
    ),
    ("grid = 3", "E0001", 1, 1, "`grid` is a keyword at the start of a statement and cannot be a name there", "grid_ = 3"),
    ("boundry u on x.lo: u = 0", "E0001", 1, 1, "no statement starts with `boundry`", "boundary u on x.lo: u = 0"),
    ("for i in 1..3: x", "E0001", 1, 1, "no statement starts with `for`", ""),
    ("x + 1", "E0001", 1, 3, "expected `=`, found `+`", ""),
    ("equation dt(u) = sin(x", "E0002", 1, 21, "`(` is never closed", "equation dt(u) = sin(x)"),
    ("boundary u on x.lo: u + 3*dn(u = exp(-t)", "E0002", 1, 29, "`(` is never closed", "boundary u on x.lo: u + 3*dn(u) = exp(-t)"),
    ('let a = "abc', "E0002", 1, 9, "this string is not closed on its line", 'let a = "abc"'),
    ("let y = a)", "E0001", 1, 10, "`)` closes nothing", "let y = a"),
    ("solve { grid = 41 }", "E0001", 1, 14, "expected `:`, found `=`", "solve { grid: 41 }"),
    ("solve { grid: x=41, until: t=1 }", "E0001", 1, 19, "`,` separates values of one option", "solve { grid: x=41; until: t=1 }"),
    ("solve minimise f over W { }", "E0001", 1, 7, "expected `minimize`, found `minimise`", "solve minimize f over W { }"),
    ("field u\n", "E0001", 1, 7, "`u` is a field on nothing", "field u(t)"),
    ("domain D: x in 0..1\nfield u", "E0001", 2, 7, "`u` is a field on nothing", "field u(D)"),
    ("field u(D) v(D)", "E0001", 1, 12, "expected `:` or the end of the statement, found `v`", "field u(D), v(D)"),
    ("equation dt(u) =", "E0001", 1, 17, "expected an expression, found the end of the text", ""),
    ("equation dt(u) =\nboundary u on x.lo: u = 0", "E0001", 1, 16, "nothing stands behind `=`", ""),
    ("layer L(x[b]) -> y[b]\n{\n y[b] = x[b]\n}", "E0001", 1, 22, "expected `{`, found the end of the line", ""),
    ("equation a < b: x = y", "E0001", 1, 10, "`a < b` is not the name of an equation", ""),
    ("let y = x²", "E0001", 1, 10, "`²` cannot stand in a name", "let y = x^2"),
    ("let y = x ≤ 3", "E0001", 1, 11, "the character `≤` has no meaning here", "let y = x <= 3"),
    ("let y = a && b", "E0001", 1, 11, "the character `&` has no meaning here", "let y = a and b"),
    ("let y = f(a;b)", "E0001", 1, 12, "expected `)`, found `;`", "let y = f(a, b)"),
    ("output u every 5 to u.npz", "E0001", 1, 21, "a file name stands in double quotes", 'output u every 5 to "u.npz"'),
    ("let a := 3", "E0001", 1, 8, "expected a name or `[`, found `=`", "let a = 3"),
    ("let a = 1e999", "E0001", 1, 9, "the number `1e999` is out of range", ""),
    ("let a = 1 [m^1e9]", "E0001", 1, 12, "the exponent of a unit is a small rational number", ""),
    ("let a = 1 [0 m]", "E0001", 1, 12, "`0` cannot stand in a unit", ""),
    ("let a\x00 = 1", "E0001", 1, 6, "the character U+0000 has no meaning here", ""),
    ("let a = ٣", "E0001", 1, 9, "the character `٣` has no meaning here", ""),
    ("iterate x = 0 { x = x + 1 } untl x > 3", "E0001", 1, 29, "expected `until`, found `untl`", "iterate x = 0 { x = x + 1 } until x > 3"),
]


@pytest.mark.parametrize(("text", "code", "line", "column", "message", "help"), REFUSED, ids=[r[0][:30] for r in REFUSED])
def test_refused(text, code, line, column, message, help):
    first = errors(text).diagnostics[0]
    assert (first.code, first.span.line, first.span.column, first.message, first.help) == (code, line, column, message, help)


@pytest.mark.parametrize("text", [r[0] for r in REFUSED if r[5] and "\n" not in r[0]], ids=lambda t: t[:30])
def test_the_remedy_parses_when_pasted(text):
    help = errors(text).diagnostics[0].help
    read(help)


def test_no_message_names_what_users_cannot_write():
    inside = {"_SEP", "CMP", "NAME", "NUMBER", "STRING", "$END", "_BLOCK", "expr", "or_", "sum_", "postfix"}
    for text, *_ in REFUSED:
        words = errors(text).render().replace("`", " ").replace(",", " ").split()
        assert not inside & set(words)


def test_goes_on_at_the_next_statement():
    text = "let a 1\nlet b = 2\nboundary u x.lo: u = 0\nsolve {\n  grid = 41\n  until t=1\n}\n"
    text += "field v\nlayer L(x[b]) -> y[b] {\n  y[b] = +\n}\nlet c ="
    found = [(d.span.line, d.code) for d in errors(text).diagnostics]
    assert found == [(1, "E0001"), (3, "E0001"), (5, "E0001"), (6, "E0001"), (8, "E0001"), (10, "E0001"), (12, "E0001")]
    shown = errors(text).render()
    assert shown.count("-->") == 5
    assert "and 2 more errors" in shown


def test_an_open_bracket_does_not_swallow_the_rest():
    found = errors("let a = (1 + 2\nlet b = 3\nlet c = [4\nboundary u x.lo: u = 0").diagnostics
    assert [(d.code, d.span.line) for d in found] == [("E0002", 1), ("E0002", 3), ("E0001", 4)]
    assert found[0].help == "let a = (1 + 2)"
    assert [(d.code, d.span.line) for d in errors("let b = 3\nlayer L(x[b]) -> y[b] {\n y[b] = 2").diagnostics] == [("E0002", 2)]


def test_bytes_that_are_no_text():
    with pytest.raises(ParseFailed) as caught:
        decode("m.model", b"let a = 1\nlet b = \xff2")
    assert (caught.value.code, caught.value.diagnostics[0].span.line, caught.value.diagnostics[0].span.column) == ("E0001", 2, 9)
    assert decode("m.model", "let ψ = 1".encode()).text == "let ψ = 1"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10**6,
        "let a = " + "[" * 10**6,
        "{" * 10**6,
        "let a = " + "(" * 201 + "x" + ")" * 201,
        "let a = " + "-" * 5000 + "x",
        "let a = " + "not " * 5000 + "x",
        "let a = " + "x^" * 5000 + "x",
        "let a = " + "if a then b else " * 5000 + "x",
        "let a = f" + "()" * 5000,
        "let a = b" + ".c" * 5000,
        "let a = b\n" * (lexer.LARGEST // 10 + 1),
    ],
    ids=["parentheses", "brackets", "braces", "201", "minus", "not", "power", "if", "call", "attr", "size"],
)
def test_too_large_or_too_deep(text):
    assert [d.code for d in errors(text).diagnostics] == ["E0004"]


def test_the_deepest_that_is_allowed():
    read("let a = " + "(" * 199 + "x" + ")" * 199)
    read("let a = " + "f(" * 190 + "x" + ")" * 190)


def test_a_million_closing_brackets():
    assert len(errors(")" * 10**6).diagnostics) <= lexer.MANY + 1


WORDS = [
    *sorted(table.load().literals),
    "u",
    "x",
    "D",
    "1",
    "0.5",
    '"a"',
    "\n",
    ";",
    "#",
    "'",
    '"',
    "²",
    "\x00",
    "..",
    "==",
    "<",
    "~",
    "2i",
    "1e9",
    "é",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_any_text_parses_or_fails_in_words(text):
    try:
        read(text)
    except ParseFailed as error:
        error.render()
        for diagnostic in error.diagnostics:
            assert diagnostic.code in ("E0001", "E0002", "E0003", "E0004")
            assert 0 <= diagnostic.span.start <= len(text)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data):
    try:
        parse(decode("m", data))
    except ParseFailed as error:
        error.render()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_programs(data):
    text = data.draw(st.sampled_from([p.read_text(encoding="utf-8") for p in [*PROGRAMS, EVERY]]))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 6))
        text = text[:start] + data.draw(st.sampled_from(["", *WORDS])) + text[end:]
    try:
        read(text)
    except ParseFailed as error:
        error.render()
        for d in error.diagnostics:
            if d.help and d.span and "\n" not in d.help:
                assert d.help.strip()
