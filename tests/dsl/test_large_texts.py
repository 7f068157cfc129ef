"""Long chains of definitions in any order, long sums, deep brackets: nothing recurses over them, and what is too deep says so."""

from __future__ import annotations

import pytest
from checking import error_of, model_of

from ricci import driver
from ricci.dsl.format import canonical_text, format_file
from ricci.dsl.ops.const import value_of as constant
from ricci.dsl.parse import parse
from ricci.errors import RicciError, Source

LINE = "domain D: x in 0..1\nfield u(D)\nequation dt(u) = dxx(u)\ninitial u = 0\n"


def chain(count, first, other):
    return [first, *(other.format(i, i - 1) for i in range(1, count))]


# name -> (statements in the order of their dependencies, what stands behind them)
CHAINS = {
    "lets": (chain(3000, "let a0 = 1", "let a{} = a{} + 1"), "check a2999 == 3000\n"),
    "params": (chain(1000, "param a0 = 1", "param a{} = 2*a{}"), "check a999 > 0\n"),
    "dims": (chain(1000, "dim a0 = 1", "dim a{} = a{} + 1"), "tensor T[a999]\ncheck T.size == 1\n".replace("T.size", "a999.size")),
    "tensors": (chain(500, "tensor a0[k] = 1.0*k", "tensor a{}[k] = 2*a{}[k]"), "dim k = 2\ncheck sum(a499) > 0\n"),
    "definitions of tensors": (chain(500, "let a0[k] = T[k]", "let a{}[k] = 0.5*a{}[k] + T[k]"), "dim k = 2\ntensor T[k]\n"),
    "units": (chain(500, "unit a0 = m", "unit a{} = 2 a{}"), "param p = 1 [a499]\n"),
    "sides": (chain(1000, "side a0 = x.lo", "side a{} = a{}"), LINE + "boundary u on a999, x.hi: u = 0\n"),
    "normals": (chain(500, "let a0 = dn(u)", "let a{} = a{} + 1"), LINE + "boundary u on x.lo, x.hi: a499 = 0\n"),
    "functions": (chain(500, "fn a0(x) = x", "fn a{}(x) = a{}(x) + x"), "check a499(1) == 500\n"),
    "formulas": (chain(100, "field a0(t)\nequation a0 = v", "field a{0}(t)\nequation a{0} = a{1} + v"), "field v(t)\nequation dt(v) = a99\ninitial v = 1\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("order", [1, -1])
def test_chains_of_definitions_in_any_order(name, order):
    statements, rest = CHAINS[name]
    text = "\n".join(statements[::order]) + "\n" + rest
    model = model_of(text)
    if name in ("lets", "functions"):
        assert constant(model.checks[0].comparisons[0].left) == len(statements)


def test_two_uses_of_each_definition_cost_their_number():
    """Diamonds: 60 levels would be 2^60 readings if definitions at sides were read anew at each use."""
    text = LINE + "let a0 = dn(u)\n" + "".join(f"let a{i} = a{i - 1}/2 + a{i - 1}/2\n" for i in range(1, 60))
    model = model_of(text + "boundary u on x.lo: a59 = 1\nboundary u on x.hi: u = 0\n")
    assert (
        model.conditions[0].residual is model_of(LINE + "boundary u on x.lo: dn(u) = 1\nboundary u on x.hi: u = 0\n").conditions[0].residual
    )


LONG = {
    "a sum": "param p = 1\nlet s = " + " + ".join(f"{i}*p^{i % 7}" for i in range(1, 5001)) + "\ncheck s > 0\n",
    "a product": "param p = 1\nlet s = " + "*".join(f"(p + {i % 9})" for i in range(1, 1501)) + "\ncheck s > 0\n",
    "a conjunction": "param p = 1\ncheck " + " and ".join(f"p < {i}" for i in range(2, 1000)) + "\n",
    "comparisons": "check " + " < ".join(str(i) for i in range(1000)) + "\n",
    "an equation": LINE.replace("dxx(u)", " + ".join(f"{i}*u^{i % 5}" for i in range(1, 1000))),
}


@pytest.mark.parametrize("name", LONG)
def test_long_expressions(name):
    file = parse(Source("test.model", LONG[name]))
    model = driver.check(file)
    again = format_file(file)
    assert max(map(len, again.splitlines())) <= 170
    assert canonical_text(parse(Source("test.model", again))) == canonical_text(file) == model.text
    if not model.equations:
        driver.discretize(model)


DEEP = {
    "parentheses": "(" * 199 + "p" + ")" * 199,
    "sums in parentheses": "(" * 190 + "p" + " + 1)" * 190,
    "calls": "sin(" * 190 + "p" + ")" * 190,
    "powers": "p^(1 - " * 90 + "p" + ")" * 90,
    "signs": "-" * 190 + "p",
    "cases": "if p > 2 then 1 else " * 150 + "p",
    "calls of a function": "f(" * 90 + "p" + ")" * 90,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_expressions(name):
    text = f"fn f(x) = 1 - x\nparam p = 1\nlet s = {DEEP[name]}\ncheck s < 200\n"
    file = parse(Source("test.model", text))
    driver.discretize(driver.check(file))
    assert canonical_text(parse(Source("test.model", format_file(file)))) == canonical_text(file)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("let s = " + "(" * 201 + "1" + ")" * 201, "E0004"),
        ("\n".join(chain(800, "fn a0(x) = x", "fn a{}(x) = a{}(x) + x")) + "\nlet s = a799(1)", "E0004"),
        ("fn a0(x) = x\n" + "\n".join(f"fn a{i}(x) = {'(' * 190}a{i - 1}(x){' + 1)' * 190}" for i in range(1, 15)) + "\nlet s = a14(1)", "E0004"),
        ("let a = b\nlet b = c\nlet c = a", "E0106"),
        ("unit a1 = 2 b1\nunit b1 = 3 a1\nparam p = 1 [a1]", "E0106"),
        ("unit a1 = 2 a1", "E0106"),
        ("unit a1 = 2 nothing\nunit b1 = 3 a1\nparam p = 1 [b1]\nparam q = 2*p", "E0101"),
    ],
)  # fmt: skip
def test_what_is_too_deep_or_goes_in_a_circle_is_one_error(text, code):
    assert error_of(text + "\n").code == code
    with pytest.raises(RicciError) as caught:
        model_of(text + "\n")
    assert len(caught.value.diagnostics) == 1


def test_units_may_stand_in_any_order():
    model = model_of("param p = 1 [b1]\nunit b1 = 3 a1\nunit a1 = 2 m\n")
    assert (model.params["p"].unit.factor, dict(model.params["p"].unit.powers)) == (6, {"m": 1})
    assert error_of("unit a1 = m\nunit a1 = s\n").code == "E0102"
