"""Time loops and recurrences in generated code: rejection, swaps, scalars, nesting, zero turns; bits for any number of threads."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from running import assert_close, assert_same_bits, everywhere, expected, laplacian, shifted, symbol, values_for

from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build
from ricci.dsl.term import Function
from ricci.dsl.types import Kind
from ricci.errors import CannotLower
from ricci.lowering.interpret import run_plan
from ricci.lowering.schedule import schedule
from ricci.lowering.schedule.plan import Launch, While, steps_of


def less(a, b):
    return build.apply("lt", a, b)


def adaptive_heun():
    """A reaction-diffusion pair by Heun's method with an error norm, accepted or rejected steps."""
    u, v = symbol("u", x="x", y="y"), symbol("v", x="x", y="y")
    t, dt, stop, diffusion = symbol("t"), symbol("dt"), symbol("stop"), symbol("D")

    def rates(a, b):
        r = build.mul(a, b, b)
        first = build.linear([(1, build.mul(diffusion, laplacian(a))), (-1, r), (Fraction(1, 25), build.sub(build.const(1), a))])
        return first, build.linear([(Fraction(1, 2), build.mul(diffusion, laplacian(b))), (1, r), (Fraction(-1, 10), b)])

    k = rates(u, v)
    euler = [build.add(a, build.mul(dt, r)) for a, r in zip((u, v), k, strict=True)]
    m = rates(*euler)
    new = [build.add(a, build.mul(build.scale(Fraction(1, 2), dt), build.add(r, s))) for a, r, s in zip((u, v), k, m, strict=True)]
    error = build.apply(
        "sqrt", build.sum_over(build.add(*[build.power(build.sub(a, e), 2) for a, e in zip(new, euler, strict=True)]), ["x", "y"])
    )
    accept = less(error, build.const(Fraction(1, 1000)))
    factor = build.where(accept, build.const(Fraction(11, 10)), build.const(Fraction(1, 2)))
    params = (t, dt, u, v, stop, diffusion)
    results = [("t", build.where(accept, build.add(t, dt), t)), ("dt", build.mul(dt, factor))]
    results += [(name, build.where(accept, n, old)) for name, n, old in zip("uv", new, (u, v), strict=True)]
    loop = build.iterate(
        Function("step", params, tuple(results)), Function("on", params, (("on", less(t, stop)),)), [t, dt, u, v], [stop, diffusion]
    )
    return Function("heun", params, tuple((n, build.proj(loop, i)) for i, n in enumerate(("t", "dt", "u", "v", "steps"))))


@cache
def compiled_heun():
    executable = compile_function(adaptive_heun(), use_cache=False)
    executable.serial_points = 0
    return executable


def test_adaptive_steps_with_rejection():
    function, executable = adaptive_heun(), compiled_heun()
    for n, m in ((1, 1), (2, 3), (13, 9), (150, 67)):
        sizes = {"x": n, "y": m}
        arguments = {**values_for(function, sizes), "t": 0.0, "dt": 0.3, "stop": 1.1, "D": 0.2}
        wanted = expected(function, arguments, sizes)
        runs = [executable(arguments, sizes, t) for t in (1, 2, 3)]
        assert_close(runs[0], wanted, 1e-12)
        assert_same_bits(runs[0], runs[1])
        assert_same_bits(runs[0], runs[2])
        assert int(wanted["steps"]) > 3
    small = {"x": 4, "y": 3}
    arguments = {**values_for(function, small), "t": 0.0, "dt": 0.3, "stop": 1.0, "D": 0.2}
    assert_close(run_plan(schedule(function), arguments, small), expected(function, arguments, small), 1e-12)


def test_step_needs_few_nests_and_no_copies():
    """One nest a stage: bulk, ghosts and error norm together; accepted states are swapped in."""
    plan = schedule(adaptive_heun())
    (loop,) = [s for s in plan.steps if isinstance(s, While)]
    nests = [s.nest for s in steps_of(loop.body) if isinstance(s, Launch)]
    assert len(nests) == 3  # ghosts of the state, first stage, second stage with the norm
    assert not [m for nest in nests for p in nest.passes for m in p.members if m.how == "copy"]
    assert not [s for s in plan.steps if isinstance(s, Launch)]  # the input arrays themselves are the first state


def test_no_turn():
    function = adaptive_heun()
    sizes = {"x": 3, "y": 2}
    arguments = {**values_for(function, sizes), "t": 2.0, "stop": 1.0}
    found = compiled_heun()(arguments, sizes)
    assert found["steps"] == 0
    assert_same_bits({"u": found["u"]}, {"u": arguments["u"]})


def counted(params, results, turns=5):
    """Repeat `results` of the carries `params` a number of times."""
    k = symbol("k", Kind.INT)
    body = Function("body", (k, *params), (("k", build.add(k, build.const(1))), *[(str(i), r) for i, r in enumerate(results)]))
    cond = Function("on", (k, *params), (("on", less(k, build.const(turns))),))
    loop = build.iterate(body, cond, [build.const(0), *params])
    return [build.proj(loop, i + 1) for i in range(len(params))]


def test_carries_that_change_places():
    u, v, w = (symbol(n, x="x") for n in "uvw")
    s, c = symbol("s"), symbol("c", Kind.COMPLEX)
    turned = counted((u, v, w, s, c), [v, build.add(w, build.mul(s, u)), u, build.scale(Fraction(1, 2), s), build.mul(c, c)])
    function = Function("turn", (u, v, w, s, c), tuple((str(i), t) for i, t in enumerate(turned)))
    everywhere(function, [{"x": n} for n in (1, 7, 40)])


def test_carry_that_others_read_too():
    u = symbol("u", x="x")
    (last,) = counted((u,), [build.add(u, shifted(u, "x", 1))])
    function = Function("read", (u,), (("last", last), ("first", build.scale(3, u)), ("difference", build.sub(last, u))))
    everywhere(function, [{"x": n} for n in (1, 5)])


def test_condition_on_an_array():
    """Newton's square root of every element until the largest change is small."""
    a, x = symbol("a", x="x"), symbol("y", x="x")
    new = build.scale(Fraction(1, 2), build.add(x, build.divide(a, x)))
    change = build.reduce("max", build.apply("abs", build.sub(build.mul(x, x), a)), ["x"])
    loop = build.iterate(
        Function("b", (x, a), (("x", new),)), Function("c", (x, a), (("on", less(build.const(Fraction(1, 10**9)), change)),)), [x], [a]
    )
    function = Function("root", (a, x), (("root", build.proj(loop, 0)), ("steps", build.proj(loop, 1))))
    executable = compile_function(function, use_cache=False)
    arguments = {"a": np.linspace(1, 9, 30), "y": np.ones(30)}
    found = executable(arguments, {"x": 30})
    assert_close(found, expected(function, arguments, {"x": 30}))
    assert np.allclose(found["root"], np.sqrt(arguments["a"]), atol=1e-9)


def test_nested_loops():
    u, s = symbol("u", x="x"), symbol("s")
    inner = counted((u, s), [build.add(u, build.mul(s, laplacian(u))), build.scale(Fraction(9, 10), s)], 3)
    outer = counted((u, s), inner, 2)
    everywhere(Function("nested", (u, s), (("u", outer[0]), ("s", outer[1]))), [{"x": n} for n in (1, 2, 9)], tolerance=1e-12)


def test_scalars_alone():
    """A system of ordinary equations is a loop over variables."""
    x, y, z = (symbol(n) for n in "xyz")
    dt = build.const(Fraction(1, 100))
    rates = [
        build.scale(10, build.sub(y, x)),
        build.sub(build.mul(x, build.sub(build.const(28), z)), y),
        build.sub(build.mul(x, y), build.scale(Fraction(8, 3), z)),
    ]
    new = [build.add(a, build.mul(dt, r)) for a, r in zip((x, y, z), rates, strict=True)]
    found = counted((x, y, z), new, 50)
    executable = everywhere(Function("lorenz", (x, y, z), tuple(zip("xyz", found, strict=True))), [{}], tolerance=1e-9)
    assert "load" not in executable.source.split("def run_0")[1]


def recurrences(reverse):
    """Carries with and without axes; the scanned axis first, in the middle and alone."""
    x, y, gain = symbol("x", s="s"), symbol("y", a="a", s="s", z="z"), symbol("g")
    c, e, f, g, k = symbol("c"), symbol("e", a="a", z="z"), symbol("f", a="a", z="z"), symbol("h"), symbol("k")
    size = x.axes["s"]
    first = build.scan(Function("f", (c, g, k), (("c", build.add(build.mul(k, c), g)),)), "s", size, [build.const(1)], [x], [gain], reverse)
    body = Function("g", (e, f, k), (("e", build.linear([(Fraction(1, 2), shifted(e, "z", 1)), (1, build.mul(k, f))])),))
    second = build.scan(body, "s", size, [build.const(2)], [y], [gain], reverse)
    stacked = build.proj(second, 0)
    return (x, y, gain), [build.proj(first, 0), stacked, build.sum_over(build.mul(stacked, x), ["s"])]


def test_recurrences():
    params, forwards = recurrences(False)
    results = tuple((str(k), t) for k, t in enumerate([*forwards, *recurrences(True)[1]]))
    everywhere(Function("scans", params, results), [{"s": s, "a": 2, "z": z} for s, z in ((1, 1), (4, 3), (6, 21))])


def test_library_calls():
    """Outside of loops numpy does what has no loops of its own; inside that is refused by name."""
    u = symbol("u", x="x", y="y")
    ranked, places = (build.proj(build.library("sort", (build.scale(2, u),), ("y",)), k) for k in (0, 1))
    results = (("sorted", build.add(ranked, u)), ("places", places), ("largest", build.reduce("argmax", u, ["x"])))
    everywhere(Function("sort", (u,), results), [{"x": 3, "y": 4}, {"x": 1, "y": 1}])
    with pytest.raises(CannotLower) as error:
        schedule(Function("inside", (u,), (("u", counted((u,), [build.proj(build.library("sort", (u,), ("y",)), 0)])[0]),)))
    assert error.value.code == "E0601"
    assert "sort" in str(error.value)


def test_allocates_nothing():
    """The compiled loop never asks for memory."""
    assembly = compiled_heun().asm()
    assert "vfmadd" in assembly or "mulpd" in assembly
    assert "NRT_Allocate" not in assembly
    assert "NRT_MemInfo_alloc" not in assembly


def test_vector_instructions():
    """Kernels use the widest registers this processor has, whatever LLVM's own vectorizer thinks."""
    from ricci.backends.numba_cpu import vector_lanes

    register = {8: "%zmm", 4: "%ymm", 2: "%xmm"}[vector_lanes()]
    lines = [line for line in compiled_heun().asm().splitlines() if register in line]
    for operation in ("vfmadd", "vmulpd") if vector_lanes() > 2 else ("mulpd",):
        assert sum(operation in line for line in lines) > 4
