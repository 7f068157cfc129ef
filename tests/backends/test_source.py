"""Generated text: hostile names, typed constants, long expressions, comments, equal kernels."""

import ast
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import assert_close, everywhere, expected, laplacian, symbol, values_for

from ricci.backends.numba_cpu import compile_function, emit
from ricci.backends.source import comment, safe_name
from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.schedule import schedule

HOSTILE = [
    "import os",
    '"""',
    "'); exit(",
    "a\nb",
    "lambda",
    "None",
    "print",
    "ü",
    "#",
    "1",
    "__class__",
    "F",
    "begin",
    "fma",
    "x" * 300,
    "",
    "\\",
    "a\0b",
    "%s",
    "{0}",
]


def test_hostile_names():
    """Names are data: any string may name a field, an axis, a dim, a result or the function."""
    results, params = [], []
    for k, name in enumerate(n for n in HOSTILE if n and n != "#"):
        axes = {name: Size.of(Dim(name)), f"y{name}": Size.of(Dim("y"))}
        u = build.symbol(f"{name}", Type(Kind.REAL, axes))
        params.append(u)
        results.append((name, build.scale(k + 2, u)))
    results.append(("together", build.add(*[build.reduce("max", u, list(u.axes)) for u in params])))
    sizes = dict.fromkeys(HOSTILE, 3) | {"y": 2}
    origins = {t: f"line\n{name}\n import os" for name, t in results}
    function = Function('"""\nimport os\n"""', tuple(params), tuple(results))
    source = emit(schedule(function, origins)).source
    tree = ast.parse(source)
    assert {n.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names} == {
        "cmath",
        "math",
        "numpy",
    }
    assert not [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("exit", "print", "eval", "exec")
    ]
    assert source.isascii() or all(line.lstrip().startswith(("#", '"""')) for line in source.splitlines() if not line.isascii())
    arguments = values_for(function, sizes)
    assert_close(compile_function(function, origins, use_cache=False)(arguments, sizes), expected(function, arguments, sizes))


@given(st.text(max_size=50))
def test_names_and_comments_are_inert(text):
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", safe_name(text))
    line = comment(text)
    assert len(line.splitlines()) <= 1
    assert ast.dump(ast.parse(line + "\n")) == ast.dump(ast.parse(""))


def test_long_expressions():
    """Sums of hundreds of products stay below the nesting that Python's parser takes."""
    rng = np.random.default_rng(3)
    u = [symbol(f"u{k}", x="x") for k in range(6)]
    terms = [(int(rng.integers(1, 40)), build.mul(*[u[i] for i in rng.integers(0, 6, int(rng.integers(1, 7)))])) for _ in range(400)]
    deep = u[0]
    for k in range(40):
        deep = build.apply("sin", build.add(deep, build.const(k)))
    everywhere(
        Function("long", tuple(u), (("sum", build.linear(terms)), ("deep", deep))),
        [{"x": 1}, {"x": 11}],
        tolerance=1e-11,
        interpreted=False,
    )


def test_model_lines_are_comments():
    u = symbol("u", x="x")
    du = laplacian(u)
    source = emit(schedule(Function("heat", (u,), (("du", du),)), {du: "equation dt(u) = dxx(u)"})).source
    assert "    # equation dt(u) = dxx(u)" in source.splitlines()


def test_equal_kernels_are_one_function():
    """Two fields with the same law share their kernel (when they cannot share a loop)."""
    u, v = symbol("u", x="x"), symbol("v", x="y")
    source = emit(schedule(Function("both", (u, v), (("du", build.scale(3, u)), ("dv", build.scale(3, build.rename(v, {"x": "z"})))))))
    assert source.source.count("def compute_") == 1
    assert len(source.nests) == 2


def test_same_text_in_every_process():
    """Nothing in a module depends on the order of sets or on addresses."""
    import subprocess
    import sys
    from pathlib import Path

    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from test_loops import adaptive_heun\nfrom ricci.backends.numba_cpu import emit\nfrom ricci.lowering.schedule import schedule\n"
        "import hashlib; print(hashlib.md5(emit(schedule(adaptive_heun())).source.encode()).hexdigest())"
    )
    here = Path(__file__).parent
    texts = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(here.parents[1]), str(here)],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            check=True,
        )
        texts.add(done.stdout)
    assert len(texts) == 1


@pytest.mark.parametrize("single", [False, True])
def test_precision(single):
    """Reals of 32 bits: arrays, constants and results."""
    u, k = symbol("u", x="x"), symbol("k")
    function = Function(
        "f",
        (u, k),
        (("r", build.mul(k, build.apply("exp", build.add(laplacian(u), build.const(1, Kind.REAL))))), ("s", build.sum_over(u, ["x"]))),
    )
    executable = compile_function(function, dtype="f32" if single else "f64", use_cache=False)
    arguments = values_for(function, {"x": 45})
    found = executable(arguments, {"x": 45})
    assert found["r"].dtype == (np.float32 if single else np.float64)
    assert_close(found, expected(function, arguments, {"x": 45}), 2e-5 if single else 1e-13)
    assert name_of(u) == "u"


def test_mathematical_constants():
    """`pi` and `im` have values of their own, unless a parameter has that name."""
    u, pi, im = symbol("u", x="x"), symbol("pi"), symbol("im", Kind.COMPLEX)
    k = symbol("k", Kind.INT)
    turned = build.mul(im, build.apply("cos", build.mul(pi, u)))
    body = Function(
        "b",
        (k, symbol("z", Kind.COMPLEX, x="x")),
        (("k", build.add(k, build.const(1))), ("z", build.mul(im, symbol("z", Kind.COMPLEX, x="x")))),
    )
    once = Function("c", body.params, (("on", build.apply("lt", k, build.const(1))),))
    loop = build.iterate(body, once, [build.const(0), turned])
    everywhere(Function("constants", (u,), (("turned", turned), ("scalar", pi), ("again", build.proj(loop, 1)))), [{"x": 9}])
    everywhere(Function("parameters", (u, pi), (("turned", turned), ("scalar", build.mul(pi, im)))), [{"x": 9}])


def test_chains_of_sums_begin_with_what_is_there_first():
    """x^8 is the last of a polynomial to be added: the chain of fused multiply-adds goes on while it is computed."""
    x = build.symbol("x", Type(Kind.REAL, {"i": 100}))
    terms = [build.scale(k + 2, build.power(x, k)) for k in range(1, 9)]
    for order in (terms, terms[::-1]):
        source = emit(schedule(Function("f", (x,), (("r", build.linear([(1, t) for t in order])),)))).source
        chain = max(re.findall(r"= (fma\(.*\))$", source, re.MULTILINE), key=len)
        coefficients = [float(c) for c in re.findall(r"fma\(([0-9.]+), ", chain)]  # the outermost is added last
        assert len(coefficients) >= 5
        assert coefficients[-1] <= 4.0  # x or x^2, of which the chain begins
        assert 10.0 not in coefficients or coefficients.index(10.0) < 3


def test_functions_without_vectors_are_priced_one_at_a_time():
    from ricci.backends.lanes import VECTOR_MAPS
    from ricci.cost import ALONE, CLASSES

    assert CLASSES.keys() - VECTOR_MAPS == ALONE
