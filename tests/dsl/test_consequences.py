"""One mistake gives one message: what depends on a wrong declaration is silent, and two mistakes give two messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checking import errors_of, model_of

from ricci.dsl import tree
from ricci.dsl.parse import parse
from ricci.errors import Source

RIGHT = """unit parcel = 3 kg
dim c = 4
domain D: x in 0..1 [m], y in 0..2 [m] periodic
side ends = x.lo, x.hi
param k = 2 [m^2/s], q = 1 [K]
field T(D): [K], S[c](D): [K]
fn twice(a) = 2*a
let f = twice(k)*dxx(T)
tensor A[c] = c + 1.0
layer L(v[c]) -> w[c] {
  w[c] = 2*v[c]
}
let z[c] = L(A[c])
equation heat: dt(T) = k*lap(T) + 0*f
equation dt(S) = k*lap(S)
boundary T, S on ends: dn(T) = 0
initial T = 1 [K]*sin(x/1 [m]); initial S = 0
event when t > 0.5 [s]: T = T + q
solve forward: { grid: x=11, y=stretched; space: fd(order=2); until: t=1 [s] }
run forward with k = 1 [m^2/s]
sweep k in [1 [m^2/s], 2 [m^2/s]] run forward
output T, integral[ends](dn(T)) to "a.npz"
plot dx(T) at t=1 [s]
check max(T) < 2 [K] and z[0] == 2 and A[1] == 2
check dn(T)(x=x.hi, y=1 [m]) == 0
""".replace("y=stretched", "y=12")

MISTAKES = {
    "a unit": ("3 kg", "3 kgg"),
    "a dim": ("c = 4", "c = missing"),
    "a bound": ("0..1 [m]", "0..missing"),
    "an empty domain": ("0..1 [m]", "2..1 [m]"),
    "a bound of another unit": ("0..2 [m]", "0 [s]..2 [m]"),
    "a coordinate twice": ("y in", "x in"),
    "a side": ("ends = x.lo", "ends = x.low"),
    "a param": ("k = 2 [m^2/s]", "k = 2 [m^2/s]*missing"),
    "a param of unknown unit": ("q = 1 [K]", "q = 1 [Kelvins]"),
    "a field of unknown type": ("T(D): [K]", "T(D): vectr [K]"),
    "a field on no domain": ("T(D): [K]", "T(Domain): [K]"),
    "a field with no unit": ("T(D): [K]", "T(D)"),
    "an unknown index of a field": ("S[c](D)", "S[r](D)"),
    "a function": ("twice(a) = 2*a", "twice(a) = 2*b"),
    "a let": ("let f = twice(k)", "let f = twic(k)"),
    "a tensor": ("c + 1.0", "c + missing"),
    "a layer": ("w[c] = 2*v[c]", "w[c] = 2*vv[c]"),
    "an equation": ("k*lap(T) + 0*f", "k*lap(TT) + 0*f"),
    "an equation of other units": ("dt(S) = k*lap(S)", "dt(S) = k*S"),
    "a condition": ("dn(T) = 0", "dn(T) = missing"),
    "an option": ("until: t=1 [s]", "untill: t=1 [s]"),
    "a scheme": ("fd(order=2)", "fdd(order=2)"),
    "a name twice": ("q = 1 [K]", "q = 1 [K], k = 1 [K]"),
    "a coordinate as a param": ("q = 1 [K]", "x = 1 [K]"),
    "a param called pi": ("fn twice", "param pi = 3; fn twice"),
    "a function called as an operator": ("fn twice(a)", "fn lap(a) = a\nfn twice(a)"),
    "a param called as an operator": ("q = 1 [K]", "q = 1 [K], dn = 2"),
    "a domain that stands twice": ("side ends", "domain D: x in 0..1 [m], y in 0..2 [m] periodic\nside ends"),
    "no domain": ("domain D: x in 0..1 [m], y in 0..2 [m] periodic\n", ""),
    "no side": ("side ends = x.lo, x.hi\n", ""),
    "no function": ("fn twice(a) = 2*a\n", ""),
    "no layer": ("layer L(v[c]) -> w[c] {\n  w[c] = 2*v[c]\n}\n", ""),
    "no tensor": ("tensor A[c] = c + 1.0\n", ""),
    "no dim": ("dim c = 4\n", ""),
    "no solve": ("solve forward: {", "solve backward: {"),
}


def test_the_model_is_right():
    assert model_of(RIGHT).conditions


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_gives_one_message(name):
    old, new = MISTAKES[name]
    assert old in RIGHT
    assert len(errors_of(RIGHT.replace(old, new, 1))) == 1


PAIRS = [
    ("a param", "an option"),
    ("a side", "a function"),
    ("a bound", "a layer"),
    ("an empty domain", "a let"),
    ("a unit", "a field on no domain"),
    ("an equation", "a condition"),
    ("an equation of other units", "a layer"),
    ("a name twice", "a tensor"),
    ("a param called pi", "a side"),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_mistakes_give_two_messages(first, second):
    text = RIGHT
    for name in (first, second):
        text = text.replace(*MISTAKES[name], 1)
    assert len(errors_of(text)) == 2


PROGRAMS = sorted((Path(__file__).parents[2] / "examples" / "programs").glob("*.model"))
DECLARATIONS = (tree.DomainDeclaration, tree.FieldDeclaration, tree.ParamDeclaration, tree.Let, tree.DimDeclaration, tree.TensorDeclaration)


def wrong_texts(path):
    """The program with its last number in each statement replaced by an unknown name, and with each declaration written twice."""
    text = path.read_text(encoding="utf-8")
    for statement in parse(Source(str(path), text)).statements:
        start, end = statement.span.start, statement.span.end
        numbers = list(re.finditer(r"(?<![\w.])\d[\d.]*(e-?\d+)?(?![\w.])(?!\.\.)", text[start:end]))
        if numbers and not isinstance(statement, tree.Version):
            first, last = numbers[-1].span()
            yield text[: start + first] + "missing" + text[start + last :]
        if isinstance(statement, DECLARATIONS):
            yield f"{text[:end]}\n{text[start:end]}\n{text[end:]}"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_one_mistake_in_a_program_gives_one_message(path):
    texts = list(wrong_texts(path))
    assert texts
    for text in texts:
        assert len(errors_of(text, str(path))) <= 1, text
