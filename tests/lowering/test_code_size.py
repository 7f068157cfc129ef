"""Generated code grows with the model, not with the regions between sides: 5^3 of them in a box at order 4."""

from ricci import driver
from ricci.backends.numba_cpu import emit
from ricci.errors import Source

BOX = """
domain D: x in 0..1, y in 0..1, z in 0..1
field u(D)
equation dt(u) = lap(u)
boundary u on x.lo, x.hi, y.lo, y.hi, z.lo, z.hi: dn(u) = 0
initial u = cos(pi*x)*cos(pi*y)*cos(pi*z)
solve { grid: x=20, y=21, z=22; until: t=0.01; time: euler(dt=1e-4); space: fd(order=4) }
"""


def lines_of(text: str, level: int) -> int:
    model = driver.check_text(Source("box.model", text))
    program = driver.derive(driver.discretize(model))
    method, _ = driver.choose(model, program, {}, program.sizes)
    better, _ = driver.optimize(driver.advancing(program, method), level)
    program = driver.integrate(program.with_functions(better.functions), method)
    return emit(driver.schedule(program, "advance")).source.count("\n")


def test_sides_of_a_box_at_order_four_do_not_multiply():
    plain = lines_of(BOX, 0)
    assert plain < 1200
    assert lines_of(BOX, 2) < 1.5 * plain
