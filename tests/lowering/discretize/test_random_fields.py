"""Random numbers on a grid: the same for every scheme that removes or needs nodes, for params and for initial values."""

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces.execute import execute

TEXT = """domain D: x in 0..1 {periodic}, y in 0..1 periodic
field c(D)
param k(D) = 1 + 0.1*uniform(seed=2)
equation dt(c) = 1e-12*({rate})
{sides}
initial c = k + normal(seed=1)
solve {{ grid: x=9, y=8; until: t=1e-6; tol: 1e-3 }}
"""
SIDES = "boundary c on x.lo, x.hi: {}"


def field(rate, *conditions):
    sides = "\n".join(SIDES.format(c) for c in conditions)
    text = TEXT.format(periodic="" if sides else "periodic", rate=rate, sides=sides)
    return execute(Source("random.model", text), Settings(backend="reference"), write=False).results["c"].values


def test_a_scheme_changes_no_number():
    whole = field("lap(c)")
    assert whole.shape == (9, 8)
    assert np.ptp(whole) > 1
    np.testing.assert_allclose(field("lap(k*c)", "dn(c) = 0"), whole, rtol=1e-9)
    np.testing.assert_allclose(field("lap(c)", "c = 0")[1:-1], whole[1:-1], rtol=1e-9)
    np.testing.assert_allclose(field("lap(lap(c))"), whole, rtol=1e-9)


@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_a_random_field_is_computed_by_generated_code_too(name):
    text = f"domain D: x in 0..1 periodic\nfield c(D)\nequation dt(c) = dxx(c)\ninitial c = {name}(seed=3)\nsolve {{ grid: x=16; until: t=1e-4 }}"
    compiled, interpreted = (
        execute(Source("r.model", text), Settings(backend=b), write=False).results["c"].values for b in ("cpu", "reference")
    )
    np.testing.assert_allclose(compiled, interpreted, rtol=1e-9)
