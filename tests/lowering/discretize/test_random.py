"""Random initial data and coefficients: one draw a node of the grid, whatever is prescribed at the sides."""

import numpy as np
import pytest

from ricci import driver
from ricci.driver import Settings
from ricci.dsl import build, reference
from ricci.dsl.ops import random
from ricci.dsl.term import walk
from ricci.errors import Source
from ricci.faces.execute import execute

TEXT = """
domain D: {domain}
field c(D)
param k(D) = 1 + 0.1*uniform(seed=2)
equation dt(c) = 1e-9*dx(k*dx(c))
{conditions}
initial c = 2 + normal(seed=1)
solve {{ grid: {grid}; until: t=1e-9; time: euler(dt=1e-9) }}
"""


def run(domain, conditions, grid, backend="cpu"):
    text = TEXT.format(domain=domain, conditions=conditions, grid=grid)
    return execute(Source("noise.model", text), Settings(backend=backend), write=False).results["c"].values


def draws(domain, grid):
    """Stream and axes of the initial draws as the model has them."""
    model = driver.check_text(Source("noise.model", TEXT.format(domain=domain, conditions="", grid=grid)))
    (term,) = [t for t in walk([model.initials[0].value]) if t.op == "random"]
    return term.attrs[:2]


def test_the_numbers_are_draws():
    found = run("x in 0..1 periodic, y in 0..1 periodic", "", "x=40, y=50") - 2
    assert abs(found.mean()) < 0.1
    assert abs(found.std() - 1) < 0.1
    assert len(np.unique(found)) == found.size


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_periodic_field_has_the_draws_of_an_array(backend):
    found = run("x in 0..1 periodic, y in 0..1 periodic", "", "x=5, y=7", backend)
    stream, axes = draws("x in 0..1 periodic, y in 0..1 periodic", "x=5, y=7")
    assert [name for name, _ in axes] == ["x", "y"]
    expected = reference.evaluate([random.make_random(stream, build.const(0), {"x": 5, "y": 7}, "normal")], {}, {})[0]
    np.testing.assert_allclose(found, 2 + expected, rtol=1e-8)


def test_prescribed_sides_change_no_other_draw():
    free = run("x in 0..1", "boundary c on x.lo, x.hi: dn(c) = 0", "x=9")
    held = run("x in 0..1", "boundary c on x.lo: c = 2\nboundary c on x.hi: dn(c) = 0", "x=9")
    assert held[0] == 2
    np.testing.assert_array_equal(held[1:], free[1:])
    assert np.std(free) > 0.3
