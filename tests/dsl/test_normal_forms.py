"""Identities that hold as one node, and those that must not."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any

import pytest

from ricci.dsl import build as b
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import linear
from ricci.dsl.term import Function, Term, TermError, substitute, walk
from ricci.dsl.types import Dim, Kind, Size, Type

N = Size.of(Dim("n"))
SIZES = {"x": N, "y": Size.of(Dim("m")), "z": Size.of(Dim("k", 0)), "s": N}


def real(name: str, *axes: str) -> Term:
    return b.symbol(name, Type(Kind.REAL, {a: SIZES[a] for a in axes}))


U, V, W = real("u", "x"), real("v", "x"), real("w", "x", "y")
A, C = real("a"), real("c")
I = b.symbol("i", Type(Kind.INT))  # noqa: E741
Z = b.symbol("z", Type(Kind.COMPLEX, {"x": N}))


def f(name: str, *args: Term) -> Term:
    return b.apply(name, *args)


def test_sums_collect_like_terms() -> None:
    assert b.add(U, V, U) is b.linear([(2, U), (1, V)])
    assert b.add(U, b.add(V, b.scale(3, A))) is b.add(b.scale(3, A), V, U)
    assert b.scale(Fraction(1, 2), b.scale(2, U)) is U
    assert b.add(U, b.const(1), b.const(2)) is b.add(b.const(3), U)
    assert b.sub(b.add(U, b.const(Fraction(1, 10))), b.const(Fraction(1, 10))) is U
    tenths = [b.const(Fraction(k, 10)) for k in (1, 2, -3)]
    assert b.add(*tenths) is b.const(0, Kind.REAL)


def test_types_survive_cancellation() -> None:
    difference = b.sub(W, W)
    assert difference is b.zero(W.type)
    assert difference.type is W.type
    assert b.sub(Z, Z).kind == Kind.COMPLEX
    assert b.sub(b.scale(Fraction(1, 2), I), b.scale(Fraction(1, 2), I)) is b.const(0, Kind.REAL)
    half = b.scale(Fraction(1, 2), I)
    assert b.add(half, half) is b.cast(I, Kind.REAL)


def test_broadcasts_float_to_the_root() -> None:
    wide = b.expand(U, {"y": SIZES["y"]})
    assert b.add(wide, W) is b.add(U, W)
    assert f("exp", wide) is b.expand(f("exp", U), {"y": SIZES["y"]})
    assert b.mul(wide, V) is b.expand(b.mul(U, V), {"y": SIZES["y"]})
    assert b.add(wide, V).type is wide.type


def test_casts_that_embed_float_to_the_root() -> None:
    r = b.cast(I, Kind.REAL)
    assert b.add(r, U) is b.add(I, U)
    assert b.mul(r, U) is b.mul(I, U)
    assert b.add(r, b.const(1)) is b.cast(b.add(I, b.const(1)), Kind.REAL)
    assert f("exp", r) is f("exp", I)
    assert f("abs", r) is b.cast(f("abs", I), Kind.REAL)
    assert f("lt", r, U) is f("lt", I, U)
    assert f("sqrt", b.cast(U, Kind.COMPLEX)) is not f("sqrt", U)


def test_casts_of_casts() -> None:
    assert b.cast(b.cast(I, Kind.COMPLEX), Kind.INT) is I
    assert b.cast(b.cast(U, Kind.COMPLEX), Kind.INT) is b.cast(U, Kind.INT)
    assert b.cast(U, Kind.REAL) is U
    assert b.cast(b.const(Fraction(-7, 2)), Kind.INT) is b.const(-3)
    truth = f("lt", U, V)
    assert b.cast(b.cast(truth, Kind.INT), Kind.REAL) is b.cast(truth, Kind.REAL)
    assert b.cast(b.cast(truth, Kind.REAL), Kind.BOOL) is truth
    assert b.cast(b.cast(U, Kind.INT), Kind.REAL) is not U


def test_common_renames_float_outwards() -> None:
    def to_s(t: Term) -> Term:
        return b.rename(t, {"x": "s"})

    assert f("exp", to_s(U)) is to_s(f("exp", U))
    assert b.add(to_s(U), to_s(V)) is to_s(b.add(U, V))
    assert f("max2", to_s(U), A) is to_s(f("max2", U, A))
    assert b.cast(to_s(U), Kind.COMPLEX) is to_s(b.cast(U, Kind.COMPLEX))
    mixed = b.add(to_s(U), real("v", "s"))
    assert mixed.op == "linear"


def test_function_of_a_masked_argument() -> None:
    guards = [Guard(0, Index.axis("x"), 4)]
    masked = b.reindex(U, U.axes, {}, guards, -inf)
    assert f("exp", masked) is b.reindex(f("exp", U), U.axes, {}, guards, 0)
    zero = b.reindex(U, U.axes, {}, guards, 0)
    assert f("cos", zero) is b.reindex(f("cos", U), U.axes, {}, guards, 1)
    one = b.reindex(U, U.axes, {}, guards, 1)
    assert f("sin", one).op == "map"  # sin 1 is not rational
    assert f("recip", zero).op == "map"


def test_constants_fold_where_the_value_is_rational() -> None:
    third = b.const(Fraction(1, 3))
    assert f("exp", b.const(0)) is b.const(1, Kind.REAL)
    assert f("exp", b.const(1)).op == "map"
    assert f("sqrt", b.const(Fraction(4, 9))) is b.const(Fraction(2, 3))
    assert f("sqrt", b.const(2)).op == "map"
    assert f("cbrt", b.const(-27)) is b.const(-3, Kind.REAL)
    assert f("recip", b.const(3)) is third
    assert f("recip", b.const(0)).op == "map"
    assert f("mod", b.const(-7), b.const(3)) is b.const(2)
    assert f("floordiv", b.const(7), b.const(0)).op == "map"
    assert f("floor", b.const(Fraction(-1, 2))) is b.const(-1, Kind.REAL)
    assert f("round", b.const(Fraction(5, 2))) is b.const(2, Kind.REAL)
    assert f("lt", b.const(1), third) is b.const(False)
    assert f("max2", b.const(-inf), third) is third
    assert f("where", b.const(True), U, V) is U
    assert b.power(b.const(2), 10) is b.const(1024)


def test_signs_and_content_leave_functions() -> None:
    d, e = b.sub(U, V), b.sub(V, U)
    assert f("sin", d) is b.neg(f("sin", e))
    assert f("cos", d) is f("cos", e)
    assert f("abs", b.scale(-3, d)) is b.scale(3, f("abs", e))
    assert f("recip", b.scale(-3, U)) is b.scale(Fraction(-1, 3), f("recip", U))
    assert b.mul(A, d) is b.neg(b.mul(A, e))
    assert b.mul(b.scale(2, U), b.scale(3, V)) is b.scale(6, b.mul(U, V))
    assert linear.primitive(b.linear([(4, U), (-6, V)]))[0] in (2, -2)


def test_simplifications_of_single_functions() -> None:
    p, q = f("lt", U, V), f("le", V, U)
    assert f("gt", V, U) is p
    assert f("ge", U, V) is q
    assert f("not", f("not", p)) is p
    assert f("and", p, q) is f("and", q, p)
    assert f("and", p, b.const(True)) is p
    assert f("or", p, p) is p
    assert f("max2", U, V) is f("max2", V, U)
    assert f("min2", U, U) is U
    assert f("recip", f("recip", U)) is U
    assert b.where(f("not", p), U, V) is b.where(p, V, U)
    assert b.where(p, U, U) is U
    assert f("floor", I) is I
    assert f("abs2", U) is b.mul(U, U)
    assert f("re", U) is U
    assert f("im", U) is b.zero(U.type)
    assert f("re", f("complex", U, V)) is U


def test_powers() -> None:
    assert b.power(U, 3) is b.mul(U, U, U)
    assert b.power(U, 0) is b.expand(b.const(1, Kind.REAL), U.axes)
    assert b.power(I, 2).kind == Kind.INT
    assert b.power(U, -2) is b.mul(f("recip", U), f("recip", U))
    assert b.power(U, Fraction(1, 2)) is f("sqrt", U)
    assert b.power(U, Fraction(-3, 2)) is f("recip", b.mul(U, f("sqrt", U)))
    assert f("pow", U, b.const(2)) is b.mul(U, U)
    assert b.power(U, 65).op == "map"
    assert b.power(U, A).op == "map"
    assert b.divide(U, b.const(4)) is b.scale(Fraction(1, 4), U)


def test_conjugation_moves_inwards() -> None:
    y = b.symbol("y", Type(Kind.COMPLEX))
    conj_z = f("conj", Z)
    assert f("conj", b.linear([(2, Z), (1, U)])) is b.linear([(2, conj_z), (1, U)])
    assert f("conj", b.mul(Z, y, U)) is b.mul(conj_z, f("conj", y), U)
    assert f("conj", f("exp", Z)) is f("exp", conj_z)
    assert f("conj", b.im()) is b.neg(b.im())
    assert f("conj", conj_z) is Z
    assert f("conj", f("complex", U, V)) is f("complex", U, b.neg(V))


def test_reductions() -> None:
    assert b.reduce("max", b.rename(W, {"x": "s"}), ["s"]) is b.reduce("max", W, ["x"])
    assert b.reduce("max", b.reduce("max", W, ["x"]), ["y"]) is b.reduce("max", W, ["x", "y"])
    assert b.reduce("max", b.expand(U, {"y": SIZES["y"]}), ["y"]) is U
    assert b.reduce("max", b.expand(U, {"z": SIZES["z"]}), ["z"]).op == "reduce"  # z can be empty: -inf
    assert b.reduce("prod", b.expand(U, {"c": 3}), ["c"]) is b.mul(U, U, U)
    assert b.reduce("argmax", b.expand(U, {"y": SIZES["y"]}), ["y"]) is b.zero(Type(Kind.INT, U.axes))
    wide = b.expand(W, {"c": 2})
    assert b.reduce("max", wide, ["x"]) is b.expand(b.reduce("max", W, ["x"]), {"c": 2})


def test_gather_at_an_affine_index_is_an_index_map() -> None:
    at = b.add(b.scale(2, b.iota("s", N)), b.const(1))
    assert b.gather(U, "x", at) is b.reindex(U, {"s": N}, {"x": Index.axis("s") * 2 + 1}, (), 0)
    assert b.gather(U, "x", b.sub(b.size_term(N), b.const(1))) is b.slice_at(U, "x", N - 1)
    idx = b.symbol("j", Type(Kind.INT, {"s": N}))
    assert b.gather(b.scale(2, U), "x", idx) is b.scale(2, b.gather(U, "x", idx))
    assert b.gather(b.expand(U, {"y": SIZES["y"]}), "x", idx) is b.expand(b.gather(U, "x", idx), {"y": SIZES["y"]})


def test_bodies_have_no_names() -> None:
    def summing(carry: str, item: str, name: str) -> Term:
        c, s = real(carry), real(item)
        return b.scan(Function(name, (c, s), ((f"{name}.out", b.add(c, s)),)), "x", N, [b.const(0)], [U])

    assert summing("c", "s", "f") is summing("p", "q", "g")


def test_model_operators() -> None:
    assert b.partial(b.partial(W, "x"), "y") is b.partial(b.partial(W, "y"), "x")
    assert b.partial(b.partial(W, "x"), "x") is b.partial(W, "x", 2)
    assert b.partial(b.scale(3, W), "x") is b.scale(3, b.partial(W, "x"))
    assert b.partial(U, "y") is b.zero(U.type)
    assert b.partial(b.expand(U, {"y": SIZES["y"]}), "x") is b.expand(b.partial(U, "x"), {"y": SIZES["y"]})
    assert b.partial(U, "t").op == "partial"
    assert b.partial(b.const(2), "t") is b.const(0, Kind.REAL)
    assert b.at(W, {"x": A}).axes == {"y": SIZES["y"]}
    assert b.integral(b.scale(2, W), ["x"]) is b.scale(2, b.integral(W, ["x"]))


def test_substitution_rebuilds_normal_forms() -> None:
    t = b.add(f("exp", U), b.mul(U, V))
    (zero,) = substitute([b.sub(t, f("exp", U))], {U: b.zero(U.type)})
    assert zero is b.zero(U.type)
    (same,) = substitute([t], {})
    assert same is t
    (wide,) = substitute([b.reduce("max", U, ["x"])], {U: W})
    assert wide.axes == {"y": SIZES["y"]}


PAIR = b.library("sort", [U], ["x"])
ILL_TYPED: list[Any] = [
    lambda: b.const(0.1),
    lambda: b.const(inf, Kind.INT),
    lambda: b.const(Fraction(1, 2), Kind.INT),
    lambda: b.const(2, Kind.BOOL),
    lambda: b.add(U, f("lt", U, V)),
    lambda: b.add(U, b.symbol("v", Type(Kind.REAL, {"x": 3}))),
    lambda: f("exp", f("lt", U, V)),
    lambda: f("exp", U, V),
    lambda: f("nothing", U),
    lambda: f("lt", Z, U),
    lambda: f("floor", Z),
    lambda: f("and", U, V),
    lambda: b.where(U, U, V),
    lambda: b.where(f("lt", U, V), U, f("lt", U, V)),
    lambda: b.reduce("max", U, ["y"]),
    lambda: b.reduce("max", Z, ["x"]),
    lambda: b.reduce("any", U, ["x"]),
    lambda: b.reduce("argmax", W, ["x", "y"]),
    lambda: b.reduce("median", U, ["x"]),
    lambda: b.gather(U, "x", A),
    lambda: b.gather(U, "q", I),
    lambda: b.gather(U, "x", b.iota("x", N)),
    lambda: b.scatter(U, b.iota("x", N), "x", N, []),
    lambda: b.scan(Function("f", (A,), (("a", C),)), "x", N, [A], []),
    lambda: b.scan(Function("f", (A, C), (("a", A),)), "x", N, [A], []),
    lambda: b.scan(Function("f", (A,), (("a", U),)), "x", N, [A], []),
    lambda: b.scan(Function("f", (U,), (("a", U),)), "x", N, [U], []),
    lambda: b.iterate(Function("f", (A,), (("a", A),)), Function("g", (A,), (("a", A),)), [A]),
    lambda: b.proj(U, 0),
    lambda: b.mul(PAIR, U),
    lambda: b.expand(PAIR, {"y": 2}),
    lambda: b.add(U, PAIR),
    lambda: f("exp", PAIR),
    lambda: b.reduce("max", PAIR, []),
    lambda: b.cast(PAIR, Kind.REAL),
    lambda: b.library("invert", [U], []),
    lambda: b.library("fft", [Z], ["x", "k", 3]),
    lambda: b.library("sort", [Z], ["x"]),
    lambda: b.library("cholesky", [W], ["x", "y"]),
    lambda: b.random("s", U, {"x": 3}),
    lambda: b.random("s", I, {"x": 3}, "cauchy"),
    lambda: b.symbol("#n", Type(Kind.REAL)),
    lambda: b.shift(U, "x", 1, "reflect"),
    lambda: b.place(U, "x", 0, 3),
    lambda: b.conform(U, Type(Kind.INT, U.axes)),
    lambda: b.partial(U, "x", -1),
]


@pytest.mark.parametrize("make", ILL_TYPED)
def test_ill_typed_terms_cannot_be_made(make: Any) -> None:
    with pytest.raises(TermError):
        make()


def test_large_sums_and_deep_terms() -> None:
    """Sums of thousands of terms and chains far beyond the limit of recursion."""
    parts = [b.symbol(f"p{k}", Type(Kind.REAL)) for k in range(20000)]
    total = b.linear([(k % 5 + 1, p) for k, p in enumerate(parts)])
    assert len(total.args) == 20000
    assert b.sub(total, total) is b.const(0, Kind.REAL)
    deep = A
    for _ in range(15000):
        deep = f("sin", deep)
    assert len(walk([deep])) == 15001
    (moved,) = substitute([deep], {A: C})
    assert walk([moved])[0] is C
    assert "let" in repr(deep)
