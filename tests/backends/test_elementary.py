"""Elementary functions of generated code against mpmath over all floats: scalars and vectors alike, special values, instructions."""

import math
import re
import subprocess
import sys

import mpmath
import numba
import numpy as np
import pytest
from running import assert_close, expected, symbol, values_for

from ricci.backends.elementary import compiled
from ricci.backends.elementary.catalogue import FUNCTIONS, arguments_of
from ricci.backends.elementary.circular import table
from ricci.backends.numba_cpu import compile_function, vector_lanes
from ricci.backends.vectors import load1, load8, load16, store1, store8, store16
from ricci.dsl import build
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Function

UNITS, UNITS_32 = 1.5, 0.75  # in the last place, of every function everywhere; the claim is 2
LIBRARY = {"exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "sin", "cos", "sincos", "tan", "asin", "acos", "atan", "atan2"}
LIBRARY |= {"sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt", "hypot", "erf", "erfc", "lgamma", "tgamma", "fma", "rint", "floor"}
LARGEST = float(np.finfo(float).max)
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 5e-324, -5e-324, 1e-310, 2.2250738585072014e-308]
SPECIAL += [LARGEST, -LARGEST, 1e22, 2.0**1023, 2.0**52 + 1, 2.0**53, -(2.0**53) - 2, 3.0, -3.0, math.pi, math.pi / 2, math.pi / 4]
SPECIAL += [
    1 - 2.0**-53,
    1 + 2.0**-52,
    -1 + 2.0**-53,
    709.782712893384,
    709.7827128933841,
    710.4758600739439,
    710.475860073944,
    -745.1332191019411,
]
SPECIAL += [-745.1332191019412, -708.4, 1e-8, -1e-17, 2.0**28, 2.0**30, -(2.0**30) - 0.5, 20.0, 27.0, -38.5, 6.0]


def _gelu_tanh(x):
    return x / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(44715) / 1000000 * x**3)))


EXACT = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "gelu_tanh": _gelu_tanh,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "erfc": lambda x: mpmath.erfc(min(x, 40)),
    "gelu": lambda x: x / 2 * mpmath.erfc(min(-x / mpmath.sqrt(2), 40)),
    "pow": mpmath.power,
}
# where the points lie that are not drawn from all floats
NEAR = {
    **{name: [(-750, 715), (-1.1, 1.1)] for name in ("exp", "expm1")},
    **{name: [(-712, 712), (-1.1, 1.1), (15, 20)] for name in ("sinh", "cosh")},
    **{name: [(-750, 40), (-1.1, 1.1)] for name in ("sigmoid", "softplus")},
    **{name: [(0.5, 3), (1, 1.01)] for name in ("log", "acosh")},
    "log1p": [(-1, 3), (-0.01, 0.01)],
    **{name: [(-1, 1), (0.98, 1)] for name in ("asin", "acos", "atanh")},
    "gelu_tanh": [(-23, 8), (-1.1, 1.1)],
    "gelu": [(-39, 9), (-1.1, 1.1)],
    "erfc": [(-6, 28), (-1.1, 1.1)],
    "erf": [(-6, 6), (-1.1, 1.1)],
    "tanh": [(-6, 6), (-1.1, 1.1), (15, 20)],
}


def exact(name, *arguments):
    """The correctly rounded value by mpmath, and mpmath's."""
    found = EXACT.get(name, getattr(mpmath, name, None))(*map(mpmath.mpf, arguments))
    return float(mpmath.re(found)), mpmath.re(found)


def compiled_loops(name, lanes):
    """Values by vectors of so many lanes and one by one, of arrays whose length is a multiple of 16."""
    function = getattr(compiled, name)
    load, store = (load8, store8) if lanes == 8 else (load16, store16)
    if arguments_of(name) == 1:

        @numba.njit(error_model="numpy")
        def loops(out, single, a):
            for i in range(0, len(a), lanes):
                store(out, i, function(load(a, i)))
            for i in range(len(a)):
                store1(single, i, function(load1(a, i)))

    else:

        @numba.njit(error_model="numpy")
        def loops(out, single, a, b):
            for i in range(0, len(a), lanes):
                store(out, i, function(load(a, i), load(b, i)))
            for i in range(len(a)):
                store1(single, i, function(load1(a, i), load1(b, i)))

    return loops


LOOPS = {np.dtype(f"f{bytes_}"): {name: compiled_loops(name, 64 // bytes_) for name in FUNCTIONS} for bytes_ in (4, 8)}


def values(name, *arguments):
    """Values of vectors; those of scalars have the same bits."""
    count = len(arguments[0])
    padded = [np.concatenate([a, np.ones(-count % 16, a.dtype)]) for a in arguments]
    found, single = np.zeros_like(padded[0]), np.zeros_like(padded[0])
    LOOPS[arguments[0].dtype][name](found, single, *padded)
    number = ~np.isnan(found)
    assert np.array_equal(number, ~np.isnan(single))
    assert found[number].tobytes() == single[number].tobytes()
    return found[:count]


def reference(name, *arguments):
    """What the interpreter of terms gives."""
    with np.errstate(all="ignore"):
        return SCALARS[name].numpy(*arguments)


def points(name, count, seed=0):
    """Arguments of a function: all floats, the powers of two around 1, and its own ranges."""
    rng = np.random.default_rng(seed)
    if arguments_of(name) == 1:
        everything = rng.integers(0, 0x7FF0000000000000, count).view(np.float64) * rng.choice([-1, 1], count)
        middle = np.exp2(rng.uniform(-60, 40, count)) * rng.choice([-1, 1], count)
        return [np.concatenate([everything, middle, *(rng.uniform(lo, hi, count) for lo, hi in NEAR.get(name, [(-10, 10), (-1, 1)]))])]
    x, y = (np.exp2(rng.uniform(-1074, 1024, 4 * count)) * rng.choice([-1, 1], 4 * count) for _ in "xy")
    half = 2 * count
    x[half:] = rng.uniform(-3, 3, half)
    y[half:] = rng.uniform(-3, 3, half)
    if name == "pow":
        x = np.abs(x)
        y = np.where(
            np.arange(4 * count) % 4 == 0, np.round(rng.uniform(-20, 20, 4 * count)), rng.uniform(-750, 715, 4 * count) / np.log(x)
        )
    else:
        with np.errstate(over="ignore"):
            y[:count] = x[:count] * np.exp2(rng.uniform(-40, 40, count))
    return [x, np.where(np.isfinite(y), y, 1.0)]


def largest_error(name, arguments):
    """In units in the last place of the rounded value."""
    found = values(name, *arguments)
    dtype = found.dtype
    largest = float(np.finfo(dtype).max)
    with mpmath.workprec(1250 if name in ("sin", "cos", "tan") else 240), np.errstate(all="ignore"):
        missing = np.isnan(reference(name, *arguments))
        assert np.array_equal(missing, np.isnan(found))
        worst = 0.0
        for value, *at in zip(found[~missing], *(a[~missing] for a in arguments), strict=True):
            rounded, real = exact(name, *(float(v) for v in at))
            rounded = dtype.type(rounded)
            if np.isinf(rounded) or np.isinf(value):
                beyond = abs(real) < mpmath.mpf(largest) * (1 + mpmath.mpf(2) ** -22)
                assert value == rounded or (beyond and abs(value) >= largest), (name, at)
                continue
            error = float(abs(mpmath.mpf(float(value)) - real) / mpmath.mpf(float(np.spacing(abs(rounded)))))
            assert error < (UNITS if dtype == np.float64 else UNITS_32), (name, at, value, rounded)
            worst = max(worst, error)
    return worst


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors(name):
    assert largest_error(name, points(name, 200)) > 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_of_32_bits(name):
    assert largest_error(name, in_32_bits(points(name, 150))) > 0


def in_32_bits(arguments):
    """Exponents of 64 bits fold into those of 32."""
    small = []
    for a in arguments:
        mantissa, exponent = np.frexp(a)
        with np.errstate(over="ignore", under="ignore"):
            folded = np.where(np.abs(exponent) < 120, a, np.ldexp(mantissa, exponent % 250 - 125)).astype("f4")
        small.append(np.where(np.isfinite(folded), folded, np.float32(1)))
    return small


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_at_many_points(name):
    for seed in range(1, 9):
        arguments = points(name, 2000, seed)
        largest_error(name, arguments)
        largest_error(name, in_32_bits(arguments))


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    """No number, infinities, zeros with signs, the smallest and largest floats, ends of domains: as the interpreter has them."""
    with np.errstate(over="ignore"):
        special = np.array(SPECIAL).astype(dtype)
    arguments = [special]
    if arguments_of(name) == 2:
        arguments = [a.ravel() for a in np.meshgrid(special, special)]
    near, tiny = (1e-12, 1e-305) if dtype == "f8" else (1e-6, 1e-36)
    with np.errstate(over="ignore"):
        found, wanted = values(name, *arguments), reference(name, *(a.astype("f8") for a in arguments)).astype(dtype)
    for value, right, *at in zip(found, wanted, *arguments, strict=True):
        if np.isfinite(right):
            assert math.isclose(value, right, rel_tol=near, abs_tol=tiny), (at, value, right)
            assert math.copysign(1, value) == math.copysign(1, right), (at, value, right)
        else:
            assert value == right or (np.isnan(value) and np.isnan(right)), (at, value, right)


def test_angles_near_multiples_of_a_right_angle():
    """Floats next to multiples of pi/2, from convergents of 2^(e+1)/pi: what is left of them loses most digits."""
    hard = []
    with mpmath.workprec(1250):
        for e in range(0, 971, 7):
            rest, (k0, k1) = mpmath.mpf(2) ** (e + 1) / mpmath.pi, (1, 0)
            while k1 < 2**53:
                whole = int(mpmath.floor(rest))
                k0, k1 = k1, whole * k1 + k0
                rest = 1 / (rest - whole)
            hard.append(math.ldexp(k0, e))
    hard = np.array([x for x in hard if x < LARGEST])
    assert np.min(np.abs(values("cos", hard))) < 1e-16
    for name in ("sin", "cos", "tan"):
        largest_error(name, [np.concatenate([hard, -hard])])


def test_bits_of_two_over_pi():
    """A row of the table with any exponent of its 16 gives 2/pi modulo 4 multiples of what a float counts in."""
    rows = np.array(table()).reshape(-1, 4)
    with mpmath.workprec(1400):
        for j, row in enumerate(rows):
            scale = mpmath.mpf(2) ** (16 * j)
            whole = mpmath.fsum(mpmath.mpf(float(v)) for v in row)
            assert abs(mpmath.fmod(2 / mpmath.pi * scale, mpmath.mpf(2) ** 54) - whole) < mpmath.mpf(2) ** -150


def called(assembly):
    """Functions of the mathematical library that code takes the address of or calls."""
    return {m.removesuffix("f") for m in re.findall(r"(?:\$|call\w*\s+)(\w+)", assembly)} & LIBRARY


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_is_vectors(name, dtype):
    """Most arithmetic is of whole vectors, and nothing is called."""
    values(name, *[np.ones(8, dtype)] * arguments_of(name))
    (assembly,) = LOOPS[np.dtype(dtype)][name].inspect_asm().values()
    register = {8: "%zmm", 4: "%ymm", 2: "%xmm"}[vector_lanes()]
    assert len(re.findall(rf"(?:add|mul|fn?m(?:add|sub)\w*)pd\s.*{register}", assembly)) > 10
    assert called(assembly) == set()


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_kernels_have_no_scalar_functions(dtype):
    """A kernel of several functions of fields calls nothing."""
    x, y = symbol("x", a="n"), symbol("y", a="n")
    total = build.add(build.apply("erf", x), build.apply("pow", build.apply("exp", x), y), build.apply("atan2", build.apply("sin", x), y))
    function = Function("f", (x, y), (("r", total),))
    executable = compile_function(function, dtype=dtype, use_cache=False)
    assert called(executable.asm()) == set()
    inputs = values_for(function, {"n": 37})
    cast = {k: v.astype(dtype.replace("f", "float")) for k, v in inputs.items()}
    wanted = expected(function, {k: v.astype(float) for k, v in cast.items()}, {"n": 37})
    assert_close(executable(cast, {"n": 37}, 1), wanted, 1e-14 if dtype == "f64" else 1e-6)


def test_a_function_without_vectors_is_called():
    """What the tests above look for is there where a function is not written here."""
    x = symbol("x", a="n")
    function = Function("f", (x,), (("r", build.apply("lgamma", x)),))
    assert called(compile_function(function, use_cache=False).asm()) == {"lgamma"}


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_steps_are_vectors(dtype):
    """sign, heaviside and isfinite of no numbers, infinities and zeros, in a kernel that keeps its vectors."""
    x = symbol("x", a="n")
    results = [
        build.apply("sign", x),
        build.apply("heaviside", x),
        build.where(build.apply("isfinite", x), build.scale(2, x), build.const(7)),
    ]
    function = Function("f", (x,), tuple((str(k), r) for k, r in enumerate(results)))
    executable = compile_function(function, dtype=dtype, use_cache=False)
    assert executable.source.count(f" store{vector_lanes() * (2 if dtype == 'f32' else 1)}(") == 3
    values_ = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -3.0, 2.5] * 3, dtype.replace("f", "float"))
    found, wanted = executable({"x": values_}, {"n": 24}, 1), expected(function, {"x": values_}, {"n": 24})
    for name in "012":
        assert np.array_equal(found[name], wanted[name].astype(values_.dtype), equal_nan=True)
        assert name == "2" or np.array_equal(np.signbit(found[name][3:]), np.signbit(wanted[name][3:])), name


def test_functions_that_a_process_meets_later():
    """numba looks for new intrinsics before it compiles: one that a driver alone calls was unknown in a process that had compiled before."""
    program = (
        "import ricci as r\n"
        "for f, wanted in (('exp(0.5)', 1.6487212707), ('asin(0.3)', 0.3046926540), ('acosh(2)', 1.3169578969), ('erf(0.3)', 0.3286267595)):\n"
        "    found = r.model(f'dim i = 3\\ntensor x[i] = i\\nlet y[i] = x*{f}\\n').y.values\n"
        "    assert abs(found[2] - 2*wanted) < 1e-9, (f, found)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
