"""One code for all sizes of a grid: the same source text, whatever the number of points and the shape of the grid."""

import numpy as np
import pytest

from ricci import driver
from ricci.backends.binding import bind
from ricci.backends.data import Reader
from ricci.backends.numba_cpu import compile_plan, emit
from ricci.driver import Settings
from ricci.dsl import reference
from ricci.dsl.ops.symbol import name_of
from ricci.errors import Source

PLANE = """domain D: x in 0..1 periodic, y in 0..2
field u(D), v(D): complex
equation dt(u) = 1e-3*lap(u) - u*abs(v)^2 + 0.04*(1 - u)
equation dt(v) = 1e-3*im*lap(v) + u*v - 0.1*v
boundary u on y.lo: dn(u) = 0
boundary u on y.hi: u = 1 + 0.1*sin(t)
boundary v on y.lo, y.hi: v = 0
initial u = exp(-x^2); initial v = exp(-20*y^2)
solve { grid: x=20, y=31; until: t=1; time: rk4(dt=0.001) }
"""
SQUARE = """domain D: x in 0..1, y in 0..1
field u(D), v(D)
equation dt(u) = 1e-3*lap(u) - u*v
equation dt(v) = 1e-3*lap(v) + u
boundary u on x.lo, x.hi, y.lo: u = 0
boundary u on y.hi: dn(u) = 0
boundary v on x.lo, x.hi, y.lo, y.hi: dn(v) = 0
initial u = x*y; initial v = 1 - x
solve {{ grid: x=8, y=8; until: t=0.1; time: {} }}
"""
BOX = """domain D: x in 0..1, y in 0..1, z in 0..1 periodic
field u(D)
equation dt(u) = 1e-3*lap(u) - u^3
boundary u on x.lo, x.hi, y.lo: u = 0
boundary u on y.hi: dn(u) = 0
initial u = x*y*sin(2*pi*z)
solve {{ grid: x=6, y=6, z=6; until: t=0.1; time: {} }}
"""
TWO = [(8, 8), (5, 50), (50, 5)]
THREE = [(6, 6, 6), (40, 4, 4), (4, 40, 4), (4, 4, 40)]
CASES = {
    "explicit in the plane": (PLANE, TWO),
    "explicit in a square": (SQUARE.format("dp54"), TWO),
    "implicit in a square": (SQUARE.format("rodas3"), TWO),
    "by Newton's iteration": (SQUARE.format("crank_nicolson(dt=0.05)"), TWO),
    "explicit in a box": (BOX.format("dp54"), THREE),
    "implicit in a box": (BOX.format("rodas3"), THREE),
}


def planned(text, sizes):
    """(program with `advance`, plan, binding) of a model on a grid."""
    settings = Settings(set=tuple((f"grid.{axis}", str(n)) for axis, n in zip("xyz", sizes, strict=False)))
    model = driver.check_text(Source("test", text), settings)
    program = driver.derive(driver.discretize(model))
    binding = bind(program, Reader.for_model(None, ()), {}, None, 0)
    integrator, _ = driver.choose(model, program, binding.values, binding.sizes)
    better, _ = driver.optimize(driver.advancing(program, integrator), 2)
    program = driver.integrate(program.with_functions(better.functions), integrator)
    return program, driver.schedule(program, "advance"), binding, integrator


@pytest.mark.parametrize("name", CASES)
def test_a_changed_grid_changes_no_code(name):
    text, grids = CASES[name]
    sources = {sizes: emit(planned(text, sizes)[1]).source for sizes in grids}
    assert len(set(sources.values())) == 1, {sizes: hash(source) for sizes, source in sources.items()}


def test_one_code_orders_unknowns_by_the_longest_axis():
    """Code of one grid runs on grids of other shapes, and does what the function means there."""
    text = SQUARE.replace(" - u*v", " - v").format("crank_nicolson(dt=0.05)")
    executable = None
    for sizes in ((6, 6), (4, 9), (9, 4)):
        program, plan, binding, integrator = planned(text, sizes)
        executable = executable or compile_plan(plan)
        function = program.functions["advance"]
        initial = program.functions["initial"]
        arguments = [binding.values[name_of(p)] for p in initial.params]
        values = dict(zip((n for n, _ in initial.results), reference.call(initial, arguments, binding.sizes), strict=True))
        values |= {"t": 0.0, "ctl:t_stop": 0.1, "ctl:tol": 1e-4, "ctl:max_steps": 10}
        values |= binding.values | driver.controls(program, integrator, binding.values, binding.sizes)
        named = {name_of(p): np.asarray(values[name_of(p)]) for p in function.params}
        found = executable(named, binding.sizes)
        right = reference.call(function, list(named.values()), binding.sizes)
        for (name, _), value in zip(function.results, right, strict=True):
            assert np.allclose(found[name], value, rtol=1e-9, atol=1e-12), (sizes, name)
        (ordering,) = plan.orderings
        strides = ordering.strides(binding.sizes)
        long, short = ("y", "x") if sizes[1] > sizes[0] else ("x", "y")
        assert strides[ordering.stride(short).name] == 2 or sizes[0] == sizes[1]
        assert strides[ordering.stride(long).name] in (2, 2 * min(sizes))
