"""A box whose coefficient, sides and time all differ: classes that are computed from multiples of themselves alone."""

from ricci import driver
from ricci.errors import Source

TEXT = """
domain D: x in 0..1, y in 0..2
field u(D)
equation dt(u) = div((1 + 0.5*sin(x)*y)*grad(u))
boundary u on x.lo: u = exp(-t)*cos(2*y)
boundary u on x.hi: dn(u) = -exp(-t)*sin(1 + 2*y)
boundary u on y.lo: dn(u) = 0
boundary u on y.hi: dn(u) = -2*exp(-t)*sin(x + 4)
initial u = cos(x + 2*y)
solve { grid: x=11, y=22; space: fd(order=4); until: t=0.2; tol: 1e-8 }
"""


def test_every_class_keeps_a_node():
    program = driver.derive(driver.discretize(driver.check(driver.parse(Source("m.model", TEXT)))))
    better, report = driver.optimize(driver.only(program, "rhs_time", {}), 2)
    assert report.diagnostics == []
    assert better.functions["rhs_time"].roots != program.functions["rhs_time"].roots
