"""exp, log, sin, cos and tanh of generated code against numpy in extended precision: scalars and vectors alike."""

import numba
import numpy as np
import pytest

from ricci.backends import elementary
from ricci.backends.vectors import load4, store4

SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1.0,
    709.0,
    709.79,
    710.5,
    -708.0,
    -745.0,
    -745.2,
    1e-320,
    5e-324,
    1e308,
    -3e9,
    0.625,
    -0.625,
    1e-300,
    2.0,
]
CASES = {
    "exponential": (np.exp, [(-745, 710), (-1, 1), (-1e-3, 1e-3)], 1.5),
    "logarithm": (np.log, [(0, 2), (0.5, 1.5), (0, 1e300), (0, 1e-305)], 1.5),
    "sine": (np.sin, [(-10, 10), (-1e-3, 1e-3), (-1e6, 1e6), (-1e7, 1e7)], 2.5),
    "cosine": (np.cos, [(-10, 10), (-1e6, 1e6), (-1e7, 1e7)], 2.5),
    "hyperbolic_tangent": (np.tanh, [(-1, 1), (-20, 20), (-1e-4, 1e-4)], 2.5),
}


@pytest.mark.parametrize("name", CASES)
def test_function(name):
    exact, ranges, units = CASES[name]
    function = getattr(elementary, name)

    @numba.njit
    def lanes(a, out):
        for i in range(0, len(a), 4):
            store4(out, i, function(load4(a, i)))

    @numba.njit
    def one(a, out):
        for i in range(len(a)):
            out[i] = function(a[i])

    rng = np.random.default_rng(0)
    for values in (np.array(SPECIAL), *[rng.uniform(lo, hi, 20_000) for lo, hi in ranges]):
        found, single = np.zeros_like(values), np.zeros_like(values)
        lanes(values, found)
        one(values, single)
        with np.errstate(all="ignore"):
            wanted, rounded = exact(values.astype(np.longdouble)), exact(values)
        assert np.array_equal(np.isnan(found), np.isnan(rounded))
        number = ~np.isnan(rounded)
        assert found[number].tobytes() == single[number].tobytes()
        assert np.array_equal(np.signbit(found[number]), np.signbit(rounded[number]))
        finite = np.isfinite(rounded)
        assert np.array_equal(found[number & ~finite], rounded[number & ~finite])
        distance = np.abs((found[finite] - wanted[finite]) / np.spacing(np.abs(rounded[finite])))
        assert float(np.max(distance)) < units
