"""Tangents against differences, cotangents against tangents: Re <g, J t'> = Re <J* g, t'>, for every operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_terms import VALUES, Sample, terms

from ricci.dsl import build
from ricci.dsl.derivative import gradient, tangent
from ricci.dsl.ops.directional import RULES
from ricci.dsl.ops.functions import SCALARS, Scalar
from ricci.dsl.reference import evaluate
from ricci.dsl.term import Function, Term, symbols
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.errors import RicciError

N = Size.of(Dim("n"))
DIMS = {"n": 5, "k": 3}
RNG = np.random.default_rng(3)


def real(name: str, *axes: str) -> Term:
    sizes = {"x": N, "y": Size.of(3), "i": Size.of(4), "j": Size.of(4)}
    return build.symbol(name, Type(Kind.REAL, {a: sizes[a] for a in axes}))


def complex_(name: str, *axes: str) -> Term:
    return build.symbol(name, Type(Kind.COMPLEX, real(name, *axes).axes))


def shape(t: Term) -> tuple[int, ...]:
    return tuple(size.evaluate(DIMS) for size in t.axes.values())


def noise(t: Term) -> Any:
    value = RNG.uniform(-1, 1, shape(t))
    return value + 1j * RNG.uniform(-1, 1, shape(t)) if t.kind == Kind.COMPLEX else value


def pairing(g: Any, t: Any) -> float:
    return float(np.real(np.sum(np.conj(g) * t)))


def check(root: Term, values: Mapping[str, Any], wrt: Sequence[Term], reverse: bool = True, step: float = 1e-6) -> None:
    """Both derivatives of one root with respect to symbols."""
    directions = {w: build.symbol(f"d{w.attrs[0]}", w.type) for w in wrt}
    seed = build.symbol("seed", root.type)
    (forward,) = tangent([root], directions)
    assert forward.type is root.type
    moves = {w: noise(w) for w in wrt}
    given_values = {**values, **{directions[w].attrs[0]: moves[w] for w in wrt}, "seed": noise(root)}
    (moved,) = evaluate([forward], given_values, DIMS)
    plus, minus = (
        evaluate([root], {**values, **{w.attrs[0]: values[w.attrs[0]] + sign * step * moves[w] for w in wrt}}, DIMS)[0] for sign in (1, -1)
    )
    assert np.allclose(moved, (plus - minus) / (2 * step), rtol=2e-6, atol=2e-7)
    if not reverse:
        return
    grads = gradient([(root, seed)], list(wrt))
    assert [g.type for g in grads] == [w.type for w in wrt]
    found = evaluate(grads, given_values, DIMS)
    total = sum(pairing(value, moves[w]) for value, w in zip(found, wrt, strict=True))
    assert total == pytest.approx(pairing(given_values["seed"], moved), rel=1e-10, abs=1e-11)


def points(function: Scalar, count: int, complex_values: bool) -> list[Any]:
    """Arguments inside the domain, away from jumps."""
    lo, hi = max(function.domain.lo, -1.4), min(function.domain.hi, 2.6)
    grid = np.array([0.1317, 0.3071, 0.4713, 0.6907, 0.8359])
    out = []
    for k in range(count):
        value = lo + (hi - lo) * np.roll(grid, k)
        value = np.where(np.abs(value - np.round(value)) < 0.02, value + 0.05, value)
        out.append(value + 0.3j * np.roll(grid, k + 2) if complex_values else value)
    if function.name in ("pow", "gamma", "lgamma", "polygamma"):
        out = [np.abs(v.real) + 0.2 + (1j * v.imag if complex_values else 0) for v in out]
    return out


DIFFERENTIABLE = sorted(name for name, f in SCALARS.items() if "flat" not in f.facts)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivative_of_a_real_function(name: str) -> None:
    function = SCALARS[name]
    args = [real(f"a{k}", "x") for k in range(function.arity)]
    if name == "where":
        args[0] = build.apply("lt", real("a0", "x"), build.const(Fraction(1, 2)))
    if name == "polygamma":
        args[0] = build.const(1)
    values = {f"a{k}": v for k, v in enumerate(points(function, function.arity, False))}
    wrt = [a for a in args if a.op == "symbol" and a.kind == Kind.REAL]
    check(build.apply(name, *args), values, wrt)


REAL_ONLY = {"min2", "max2", "relu", "complex"}


@pytest.mark.parametrize("name", [n for n in DIFFERENTIABLE if "analytic" in SCALARS[n].facts or n in RULES.keys() - REAL_ONLY])
def test_derivative_of_a_complex_function(name: str) -> None:
    function = SCALARS[name]
    args = [complex_(f"a{k}", "x") for k in range(function.arity)]
    if name == "where":
        args[0] = build.apply("lt", build.apply("re", complex_("a0", "x")), build.const(Fraction(1, 2)))
    values = {f"a{k}": v for k, v in enumerate(points(function, function.arity, True))}
    check(build.apply(name, *args), values, [a for a in args if a.op == "symbol"])


@pytest.mark.parametrize("op", ["max", "min", "prod"])
def test_derivative_of_a_reduction(op: str) -> None:
    u = real("u", "x", "y")
    check(build.reduce(op, u, ["x"]), {"u": noise(u)}, [u])
    check(build.reduce(op, build.mul(u, u), ["x", "y"]), {"u": noise(u)}, [u])


def test_product_has_a_derivative_where_a_factor_is_zero() -> None:
    u = real("u", "x")
    check(build.reduce("prod", u, ["x"]), {"u": np.array([1.0, 0.0, 2.0, -1.0, 3.0])}, [u])
    check(build.reduce("prod", u, ["x"]), {"u": np.array([1.0, 0.0, 2.0, 0.0, 3.0])}, [u])


def test_ties_of_a_maximum_share_the_derivative() -> None:
    u = real("u", "x")
    (g,) = gradient(build.reduce("max", u, ["x"]), [u])
    assert evaluate([g], {"u": np.array([1.0, 3.0, 3.0, 0.0, 2.0])}, DIMS)[0].tolist() == [0, 0.5, 0.5, 0, 0]


def test_gather_and_scatter() -> None:
    u, v = real("u", "x", "y"), real("v", "i", "y")
    i = build.symbol("at", Type(Kind.INT, {"i": Size.of(4), "y": Size.of(3)}))
    values = {"u": noise(u), "v": noise(v), "at": RNG.integers(-1, 7, (4, 3))}
    check(build.gather(build.mul(u, u), "x", i), values, [u])
    check(build.scatter(build.mul(v, v), i, "x", N, ["i"]), values, [v])
    check(build.scatter(build.mul(v, v), i, "i", 4, ["i"]), values, [v])
    check(build.scatter(real("w", "x"), i, "i", 4, ["i", "y"]), {**values, "w": noise(real("w", "x"))}, [real("w", "x")])


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool) -> None:
    """Two carries (one an int counter), a sequence and two constants; the second output feeds on the first."""
    c, d, k = real("c", "y"), real("d"), build.symbol("count", Type(Kind.INT))
    x, a, b = real("s", "y"), real("a", "y"), real("b")
    body = Function(
        "step",
        (c, k, d, x, a, b),
        (
            ("c", build.add(build.mul(a, c), build.apply("sin", x), build.mul(b, d))),
            ("count", build.add(k, build.const(1))),
            ("d", build.add(build.mul(d, build.scale(Fraction(1, 3), k)), build.sum_over(build.mul(c, x), ["y"]))),
        ),
    )
    names = {"c0": real("c0", "y"), "d0": real("d0"), "xs": real("xs", "x", "y"), "a0": real("a0", "y"), "b0": real("b0")}
    whole = build.scan(body, "x", N, [names["c0"], build.const(0), names["d0"]], [names["xs"]], [names["a0"], names["b0"]], reverse)
    root = build.add(build.proj(whole, 0), build.proj(whole, 2))
    values = {name: noise(t) for name, t in names.items()}
    check(root, values, list(names.values()))
    last = build.slice_at(build.proj(whole, 2), "x", 0 if reverse else N - 1)
    check(last, values, list(names.values()))


def test_scan_without_steps_has_zero_derivative() -> None:
    m = Size.of(Dim("m", 0))
    c = real("c")
    xs = build.symbol("xs", Type(Kind.REAL, {"z": m}))
    body = Function("step", (c, real("s")), (("c", build.mul(c, real("s"))),))
    whole = build.proj(build.scan(body, "z", m, [real("c0")], [xs]), 0)
    grads = gradient(build.sum_over(whole, ["z"]), [real("c0"), xs])
    first, second = evaluate(grads, {"c0": 2.0, "xs": np.zeros(0)}, {"m": 0})
    assert first == 0
    assert second.shape == (0,)


def test_iterate_forward_and_its_count() -> None:
    """Newton's square root: y <- (y + a/y)/2 while |y^2 - a| > 1e-12; dy/da = 1/(2 sqrt a)."""
    y, a = real("y"), real("a")
    body = Function("newton", (y, a), (("y", build.scale(Fraction(1, 2), build.add(y, build.divide(a, y)))),))
    gap = build.apply("abs", build.sub(build.mul(y, y), a))
    cond = Function("go", (y, a), (("go", build.apply("lt", build.const(Fraction(1, 10**12)), gap)),))
    whole = build.iterate(body, cond, [build.const(1)], [a])
    value, count = evaluate([build.proj(whole, 0), build.proj(whole, 1)], {"a": 2.0})
    assert value == pytest.approx(2**0.5, rel=1e-12)
    assert count == 5
    (moved,) = tangent([build.proj(whole, 0)], {a: real("da")})
    assert evaluate([moved], {"a": 2.0, "da": 3.0})[0] == pytest.approx(3 / (2 * 2**0.5), rel=1e-9)
    with pytest.raises(RicciError, match="reverse") as error:
        gradient(build.proj(whole, 0), [a])
    assert error.value.code == "E0601"


def matrix_solve(b: Term, a: Term) -> Term:
    x, given_matrix = build.symbol("x", Type(b.kind, {"j": Size.of(4)})), build.symbol("m", a.type)
    apply = Function("apply", (x, given_matrix), (("b", build.contract([(given_matrix, {}), (x, {})], {"j": Size.of(4)})),))
    return build.proj(build.library("solve", (b, a), (apply,)), 0)


@pytest.mark.parametrize("make", [real, complex_])
def test_solve(make: Any) -> None:
    a, b = make("a", "i", "j"), make("b", "i")
    values = {"a": noise(a) + 3 * np.eye(4), "b": noise(b)}
    x = matrix_solve(b, a)
    assert np.allclose(evaluate([x], values)[0], np.linalg.solve(values["a"], values["b"]), rtol=1e-12)
    check(x, values, [a, b])


def test_solve_of_two_coupled_blocks() -> None:
    u, v = real("u", "x"), real("v")
    p, q, c = real("p", "x"), real("q"), real("c", "x")
    apply = Function(
        "block",
        (p, q, c),
        (
            ("first", build.add(build.scale(3, p), build.mul(build.shift(p, "x", 1), c), build.mul(c, q))),
            ("second", build.add(q, build.sum_over(build.mul(c, p), ["x"]))),
        ),
    )
    k = real("k", "x")
    whole = build.library("solve", (u, v, k), (apply,))
    values = {"u": noise(u), "v": noise(v), "k": noise(k) / 4}
    check(build.add(build.proj(whole, 0), build.proj(whole, 1)), values, [u, v, k])


@pytest.mark.parametrize("n", [1, 4, 5])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_fourier(name: str, n: int) -> None:
    half = n // 2 + 1
    before, after = {"fft": (n, n), "ifft": (n, n), "rfft": (n, half), "irfft": (half, n)}[name]
    u = build.symbol("u", Type(Kind.REAL if name == "rfft" else Kind.COMPLEX, {"i": Size.of(before), "y": Size.of(3)}))
    root = build.proj(build.library(name, (u,), ("i", "k", after)), 0)
    values = {"u": noise(u)}
    expected = np.fft.irfft(values["u"], n=n, axis=0) if name == "irfft" else getattr(np.fft, name)(values["u"], axis=0)
    assert np.allclose(evaluate([root], values)[0], expected, atol=1e-14)
    check(root, values, [u])


def test_sort() -> None:
    u = real("u", "x", "y")
    whole = build.library("sort", (u,), ("x",))
    values = {"u": noise(u)}
    first, order = evaluate([build.proj(whole, 0), build.proj(whole, 1)], values, DIMS)
    assert np.array_equal(first, np.sort(values["u"], axis=0))
    assert np.array_equal(np.take_along_axis(values["u"], order, axis=0), first)
    check(build.proj(whole, 0), values, [u])


def positive(a: Term) -> Any:
    value = noise(a)
    return value @ np.conj(value.T) + np.eye(4)


@pytest.mark.parametrize("make", [real, complex_])
def test_cholesky(make: Any) -> None:
    a = make("a", "i", "j")
    values = {"a": positive(a)}
    root = build.proj(build.library("cholesky", (a,), ("i", "j")), 0)
    assert np.allclose(evaluate([root], values)[0], np.linalg.cholesky(values["a"]))
    check(root, values, [a])


def test_eigh() -> None:
    a = real("a", "i", "j")
    values = {"a": positive(a)}
    whole = build.library("eigh", (a,), ("i", "j", "k"))
    w, v = build.proj(whole, 0), build.proj(whole, 1)
    found = evaluate([w, v], values)
    assert np.allclose(found[1] @ np.diag(found[0]) @ found[1].T, values["a"])
    check(w, values, [a])
    check(build.mul(v, v), values, [a])
    hermitian = complex_("h", "i", "j")
    check(build.proj(build.library("eigh", (hermitian,), ("i", "j", "k")), 0), {"h": positive(hermitian)}, [hermitian])


def test_where_keeps_an_unused_branch_out_of_the_forward_derivative() -> None:
    u = real("u", "x")
    root = build.where(build.apply("le", u, build.const(0)), build.const(0), build.apply("sqrt", u))
    (moved,) = tangent([root], {u: real("du", "x")})
    values = {"u": np.array([-1.0, 0.0, 1.0, 4.0, 9.0]), "du": np.ones(5)}
    assert evaluate([moved], values, DIMS)[0].tolist() == [0, 0, 0.5, 0.25, 1 / 6]


def test_where_keeps_an_unused_branch_out_of_the_reverse_derivative() -> None:
    u, a = real("u", "x"), real("a")
    zero = build.const(0)
    low = build.apply("le", u, zero)
    inner = build.mul(a, build.apply("sqrt", u), build.apply("log", build.apply("sqrt", u)))
    root = build.where(low, zero, build.add(inner, build.divide(a, u)))
    values = {"u": np.array([-1.0, 0.0, 1.0, 4.0, 9.0]), "a": 2.0}
    du, da = evaluate(gradient(build.sum_over(root, ["x"]), [u, a]), values, DIMS)
    x = values["u"][2:]
    assert np.allclose(du, [0, 0, *(2 * (0.5 * np.log(x) + 1) / (2 * np.sqrt(x)) - 2 / x**2)], rtol=1e-14)
    assert da == pytest.approx(float(np.sum(np.sqrt(x) * np.log(x) / 2 + 1 / x)), rel=1e-14)


def test_where_with_a_coarser_condition_is_guarded_too() -> None:
    u, v = real("u", "x", "y"), real("v", "x")
    root = build.where(build.apply("lt", v, build.const(0)), build.const(1), build.apply("sqrt", u))
    values = {"u": np.array([[0.0, 1.0, 4.0]] * 5), "v": np.array([-1.0, 1.0, -1.0, 1.0, 1.0])}
    values["u"][1] += 1
    values["u"][3:] += 2
    (du,) = evaluate(gradient(build.sum_over(root, ["x", "y"]), [u]), values, DIMS)
    expected = np.where(values["v"][:, None] < 0, 0, 0.5 / np.sqrt(np.maximum(values["u"], 1e-9)))
    assert np.allclose(du, expected, rtol=1e-14)


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(terms(depth=4))
def test_cotangent_is_the_transpose_of_the_tangent(sample: Sample) -> None:
    root = sample.term
    wrt = [s for s in symbols([root]) if s.kind >= Kind.REAL]
    if root.kind < Kind.REAL or not wrt:
        return
    rng = np.random.default_rng(1)

    def draw(t: Term) -> Any:
        size = [n.evaluate(sample.dims) for n in t.axes.values()]
        return rng.uniform(-1, 1, size) + (1j * rng.uniform(-1, 1, size) if t.kind == Kind.COMPLEX else 0)

    directions = {w: build.symbol(f"d{w.attrs[0]}", w.type) for w in wrt}
    moves = {w: draw(w) for w in wrt}
    values = {**VALUES, **{directions[w].attrs[0]: moves[w] for w in wrt}, "seed": draw(root)}
    forward = tangent([root], directions)
    (moved,) = evaluate(forward, values, sample.dims)
    grads = gradient([(root, build.symbol("seed", root.type))], wrt)
    assert [g.type for g in grads] == [w.type for w in wrt]
    found = evaluate(grads, values, sample.dims)
    left = pairing(values["seed"], moved)
    parts = [np.real(np.conj(value) * moves[w]) for value, w in zip(found, wrt, strict=True)]
    size = sum(float(np.sum(np.abs(p))) for p in parts) + float(np.sum(np.abs(values["seed"] * moved)))
    if np.isfinite(size):
        assert abs(sum(float(np.sum(p)) for p in parts) - left) <= 1e-9 * size + 1e-9
