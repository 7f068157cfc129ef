"""Scalar functions: spelling in generated code, exact values and facts against their numpy meaning."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction
from math import inf

import numpy as np
import pytest
from test_derivatives import points

from ricci.dsl import build as b
from ricci.dsl.ops.functions import SCALARS, Scalar
from ricci.dsl.reference import evaluate
from ricci.dsl.types import Kind, Size, Type

NAMES = sorted(SCALARS)
WANTED = """exp expm1 log log1p sqrt cbrt sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh pow recip abs sign floor
ceil round mod floordiv min2 max2 hypot erf erfc gamma lgamma sigmoid relu gelu softplus heaviside eq ne lt le gt ge and or not xor
where re im conj arg abs2 complex isfinite"""
SCOPE = {"math": math, "cmath": cmath, "np": np}
SIZE = Size.of(5)


def arguments(function: Scalar, complex_values: bool = False) -> list[np.ndarray]:
    out = points(function, function.arity, complex_values)
    if function.name in ("and", "or", "xor", "not"):
        return [v > 0.6 for v in out]
    if function.name == "where":
        out[0] = out[0].real > 0.6
    if function.name == "polygamma":
        out[0] = np.ones(5)
    return out


def spelled(template: str, values: list[np.ndarray]) -> np.ndarray:
    names = [f"a{k}" for k in range(len(values))]
    f = eval(f"lambda {', '.join(names)}: {template.format(*names)}", SCOPE)
    return np.array([f(*[v[k].item() for v in values]) for k in range(5)])


def test_all_wanted_functions_are_there() -> None:
    assert set(WANTED.split()) <= SCALARS.keys()


@pytest.mark.parametrize("name", [n for n in NAMES if SCALARS[n].python])
def test_spelling_means_the_same(name: str) -> None:
    function = SCALARS[name]
    values = arguments(function)
    assert np.allclose(spelled(function.python, values), function.numpy(*values), rtol=1e-14, atol=1e-15)


# those of `complexes` are compared in generated code, tests/backends/test_complex_functions.py
@pytest.mark.parametrize("name", [n for n in NAMES if SCALARS[n].python_complex and "complexes." not in SCALARS[n].python_complex])
def test_complex_spelling_means_the_same(name: str) -> None:
    function = SCALARS[name]
    values = arguments(function, complex_values=True)
    assert np.allclose(spelled(function.python_complex, values), function.numpy(*values), rtol=1e-13, atol=1e-14)


def test_spellings_compile() -> None:
    numba = pytest.importorskip("numba")
    lines = ["def all_of(x, y, c, d, out):"]
    chosen = [n for n in NAMES if SCALARS[n].python]
    for k, name in enumerate(chosen):
        function = SCALARS[name]
        args = ["c", "d"] if name in ("and", "or", "xor", "not") else ["c", "x", "y"] if name == "where" else ["x", "y"]
        text = function.python.format(*args[: function.arity])
        lines.append(f"    out[{k}] = ({text})" + (".real" if name == "complex" else ""))
    scope = dict(SCOPE)
    exec("\n".join(lines), scope)
    out = np.zeros(len(chosen))
    numba.njit(error_model="numpy")(scope["all_of"])(0.4, 0.7, True, False, out)
    for k, name in enumerate(chosen):
        function = SCALARS[name]
        logical = name in ("and", "or", "xor", "not")
        args = [np.array(True), np.array(False)] if logical else [np.array(0.4), np.array(0.7)]
        if name == "where":
            args = [np.array(True), *args]
        with np.errstate(invalid="ignore"):
            value = function.numpy(*args[: function.arity])
        assert out[k] == pytest.approx(float(np.real(value)), rel=1e-14, nan_ok=True), name


@pytest.mark.parametrize("name", [n for n in NAMES if SCALARS[n].exact])
def test_exact_values_are_the_numpy_values(name: str) -> None:
    function = SCALARS[name]
    assert function.exact is not None
    logical = name in ("and", "or", "xor", "not")
    some = [Fraction(0), Fraction(1)] if logical else [Fraction(k, 2) for k in (-4, -2, -1, 0, 1, 2, 3, 8, 16, 54)] + [inf, -inf]
    found = 0
    for first in some:
        for second in some if function.arity == 2 else [Fraction(0)]:
            values = (first, second)[: function.arity]
            exact = function.exact(*values)
            if exact is None:
                continue
            found += 1
            arrays = [np.array(bool(v)) if logical else np.array(float(v)) for v in values]
            with np.errstate(all="ignore"):
                assert float(exact) == pytest.approx(float(function.numpy(*arrays)), rel=1e-15, abs=0), (name, values)
    assert found


@pytest.mark.parametrize("name", NAMES)
def test_facts_hold_on_samples(name: str) -> None:
    function = SCALARS[name]
    facts = function.facts
    if function.arity == 1 and name != "not":
        lo, hi = max(function.domain.lo, -6.0), min(function.domain.hi, 6.0)
        x = np.linspace(lo, hi, 241)[1:-1]
        with np.errstate(all="ignore"):
            y = function.numpy(x)
            mirrored = function.numpy(-x) if lo == -hi else None
        assert np.all(y[np.isfinite(y)] >= function.range.lo)
        assert np.all(y[np.isfinite(y)] <= function.range.hi)
        for fact, holds in (("increasing", np.diff(y) >= 0), ("decreasing", np.diff(y) <= 0)):
            assert fact not in facts or holds.all()
        assert "positive" not in facts or (y > 0).all()
        assert "finite" not in facts or np.isfinite(y).all()
        assert "even" not in facts or (mirrored is not None and np.allclose(y, mirrored))
        assert "odd" not in facts or (mirrored is not None and np.allclose(y, -mirrored))
        if "idempotent" in facts:
            assert np.array_equal(function.numpy(y), y)
    if "commutative" in facts:
        left, right = arguments(function)
        assert np.array_equal(function.numpy(left, right), function.numpy(right, left))


def test_maximum_keeps_nan_in_either_place() -> None:
    x = b.symbol("x", Type(Kind.REAL, {"i": SIZE}))
    values = {"x": np.array([np.nan, 1.0, -1.0, np.nan, 2.0])}
    for name in ("min2", "max2", "relu"):
        args = [x] if name == "relu" else [x, b.const(0)]
        assert np.isnan(evaluate([b.apply(name, *args)], values)[0]).tolist() == [True, False, False, True, False]
        spelling = SCALARS[name].python
        assert math.isnan(eval(spelling.format("a", "c"), SCOPE, {"a": math.nan, "c": 0.0}))


def test_special_functions_at_known_points() -> None:
    def value(name: str, *args: Fraction | int) -> float:
        return float(evaluate([b.apply(name, *[b.const(Fraction(a)) for a in args])])[0])

    assert value("erf", Fraction(1, 2)) == pytest.approx(0.5204998778130465, rel=1e-15)
    assert value("gamma", 5) == pytest.approx(24, rel=1e-15)
    assert value("lgamma", 10) == pytest.approx(math.log(362880), rel=1e-15)
    assert value("polygamma", 0, 1) == pytest.approx(-0.5772156649015329, rel=1e-15)
    assert value("gelu", 1) == pytest.approx(0.8413447460685429, rel=1e-15)
    assert value("sigmoid", -40) == pytest.approx(math.exp(-40), rel=1e-14)
    assert value("heaviside", 0) == 0.5
    assert value("mod", Fraction(-1, 2), 3) == 2.5


def test_int_functions_stay_exact() -> None:
    big = 2**53 + 1
    i = b.symbol("i", Type(Kind.INT))
    for name, expected in (("abs", big), ("sign", -1), ("relu", 0), ("floor", -big)):
        assert int(evaluate([b.apply(name, i)], {"i": -big})[0]) == expected
    assert int(evaluate([b.apply("mod", i, b.const(10))], {"i": -big})[0]) == -big % 10
    assert int(evaluate([b.mul(i, i)], {"i": 3})[0]) == 9
