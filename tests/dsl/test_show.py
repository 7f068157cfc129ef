"""Printed terms: readable, deterministic, short for shared graphs."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import pytest

from ricci.dsl import build as b
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import OPERATORS
from ricci.dsl.program import Argument, Choice, Instant, Program, State
from ricci.dsl.show import SHOW, number, show_function, show_program, show_term
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Dim, Kind, Size, Type

N = Size.of(Dim("n"))
U = b.symbol("u", Type(Kind.REAL, {"x": N}))
W = b.symbol("w", Type(Kind.REAL, {"h": Size.of(4), "x": N}))
A, C = b.symbol("a", Type(Kind.REAL)), b.symbol("c", Type(Kind.REAL))
I = b.symbol("i", Type(Kind.INT, {"k": Size.of(3)}))  # noqa: E741
BODY = Function("f", (A, C), (("a", b.add(b.mul(A, C), b.const(1))),))
COND = Function("g", (A, C), (("more", b.apply("lt", A, C)),))

CASES: list[tuple[Term, str]] = [
    (b.const(Fraction(-1, 3)), "-1/3"),
    (b.const(-inf), "-inf"),
    (b.const(True), "true"),
    (U, "u[x]"),
    (b.iota("x", N), "iota[x]"),
    (b.linear([(2, A), (-1, C), (Fraction(1, 2), b.const(1))]), "2*a - c + 1/2"),
    (b.linear([(-1, A), (-2, b.const(1))]), "-a - 2"),
    (b.scale(Fraction(-2, 3), A), "-2/3*a"),
    (b.mul(A, A, C), "a^2*c"),
    (b.mul(A, b.sub(C, b.const(1))), "(c - 1)*a"),
    (b.divide(A, b.mul(C, C)), "a/c^2"),
    (b.divide(b.const(1), C), "recip(c)"),
    (b.contract([(W, {}), (U, {})], {"x": N}), "sum[i: n](u[i]*w[h, i])"),
    (b.apply("exp", b.neg(A)), "exp(-a)"),
    (b.where(b.apply("lt", A, C), A, b.const(0)), "where(a < c, a, 0)"),
    (b.reduce("max", W, ["h"]), "max[h](w[h, x])"),
    (b.shift(U, "x", 1), "u[x = mod(x + 1, #n)]"),
    (b.shift(U, "x", 1, 0), "u[x = x + 1 | 0 <= x < #n - 1]"),
    (b.reindex(U, U.axes, {}, [Guard(0, Index.axis("x"), 3)], -inf), "u[| 0 <= x < 3 else -inf]"),
    (b.expand(b.apply("exp", U), {"y": 2}), "exp(u[x])[+y]"),
    (b.indicator({"x": N}, [Guard.equal(Index.axis("x"), 0)]), "[x == 0]"),
    (b.place(U, "y", 1, 3), "[y == 1]*u[x]"),
    (b.gather(U, "x", I), "u[x := i[k]]"),
    (b.scatter(A, I, "x", N, ["k"]), "scatter[x: n := i[k] over k](a)"),
    (b.cast(I, Kind.REAL), "real(i[k])"),
    (b.random("s", b.const(1), {"x": N}), "uniform[x: n]('s', 1)"),
    (b.proj(b.scan(BODY, "x", N, [A], [U]), 0), "scan[x: n](a; u[x]; ){%0, %1 -> %0*%1 + 1}.0"),
    (b.proj(b.iterate(BODY, COND, [A], [C]), 1), "iterate(a; c){%0, %1 -> %0*%1 + 1} while {%0, %1 -> %0 < %1}.1"),
    (b.proj(b.library("fft", (b.cast(U, Kind.COMPLEX),), ("x", "k", N)), 0), "fft[x, k, n](complex(u[x])).0"),
    (b.partial(W, "x", 2), "d[x^2](w[h, x])"),
    (b.at(U, {"x": A}), "at[x = a](u[x])"),
    (b.integral(U, ["x"]), "integral[x](u[x])"),
]


@pytest.mark.parametrize(("term", "text"), CASES, ids=[text for _, text in CASES])
def test_text_of_a_term(term: Term, text: str) -> None:
    assert show_term(term) == text
    assert repr(term) == text


def test_every_operator_is_printed() -> None:
    assert SHOW.keys() == OPERATORS.keys()


def test_shared_subterms_get_names() -> None:
    t = A
    for k in range(40):
        t = b.add(b.mul(t, b.apply("sin", t)), b.symbol(f"c{k}", Type(Kind.REAL)))
    text = show_term(t, None)
    assert len(text) < 2000
    assert text.count("let") > 30
    assert len(show_term(t, 10).splitlines()) == 10
    assert text == show_term(t, None)


def test_functions_and_programs() -> None:
    f = Function("rhs", (A, U), (("u", b.mul(A, U)),))
    assert show_function(f) == "function rhs(a: real, u: real[x: n])\n  u = a*u[x]"
    program = Program(
        "heat",
        {"rhs": f},
        states=(State("u", U, "u"),),
        arguments=(Argument("a", A, "param"),),
        instants=(Instant("snapshot:0", None),),
        sizes={"x": 41},
        choices=(Choice("time", "rk4", "asked for"),),
    )
    assert show_program(program).splitlines() == [
        "program heat",
        "  size x = 41",
        "  choice time: rk4 (asked for)",
        "  state u: real[x: n]",
        "  argument a: real (param)",
        "  instant the end: snapshot:0",
        "",
        "function rhs(a: real, u: real[x: n])",
        "  u = a*u[x]",
    ]


def test_long_numbers_are_shown_as_the_machine_numbers_that_they_are():
    assert number(Fraction(2) ** 1000) == "1.0715086071862673e+301"
    assert number(Fraction(1, 10**300)) == "1e-300"
    assert number(Fraction(10**50 + 1)) == str(10**50 + 1)
    assert number(Fraction(2) ** 1024) == str(2**1024)
    assert number(Fraction(-7, 3)) == "-7/3"
