"""Functions of complex numbers in generated code, beside the reference, at zeros, infinities, NaN and along the axes."""

import numpy as np
import pytest
from running import symbol

from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build, reference
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Size

INF, NAN = np.inf, np.nan
POINTS = np.array([
    0, 1, -1, 1j, -1j, 0.5, -0.5, 2, -2, 2j, -2j, 1 + 1j, -3 + 2j, 1e300, 1e300j, 1e-310, 1e-310j, 1e-20 + 1e-20j, 800, -800, 800j, 710 + 1j,
    complex(INF, 0), complex(-INF, 0), complex(0, INF), complex(NAN, 0), complex(-0.0, 0.0), complex(-0.0, -0.0), complex(-1, -0.0),
    complex(2, -0.0),
])  # fmt: skip
FUNCTIONS = [name for name, f in SCALARS.items() if f.python_complex and name not in ("where", "complex")]


def same(got, wanted, tolerance=1e-13):
    """Equal parts, to rounding of the modulus; a NaN in either part is NaN; beyond the largest number anything is infinite."""
    if np.isnan(wanted) or np.isinf(wanted):
        return not np.isfinite(got)
    parts = zip((got.real, got.imag), (wanted.real, wanted.imag), strict=True)
    return all(a == b or abs(a - b) <= tolerance * abs(wanted) for a, b in parts)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name):
    many = {"i": Size.of(len(POINTS))}
    z, w = symbol("z", Kind.COMPLEX, **many), symbol("w", Kind.COMPLEX, **many)
    two = SCALARS[name].arity == 2
    function = Function("f", (z, w) if two else (z,), (("y", build.apply(name, z, w) if two else build.apply(name, z)),))
    arguments = {"z": POINTS, "w": np.roll(POINTS, 1)} if two else {"z": POINTS}
    with np.errstate(all="ignore"):
        wanted = reference.call(function, list(arguments.values()), {})[0]
    found = compile_function(function)(arguments, {})["y"]
    beyond = name == "pow"  # of infinite numbers: NaN here, and 0 or infinity in numpy
    bad = [
        (p, g, r)
        for p, g, r in zip(POINTS, found, wanted, strict=True)
        if not same(complex(g), complex(r)) and not (beyond and np.isinf(p)) and not (name == "expm1" and abs(p) < 1e-10)
    ]
    assert bad == []


def test_small_arguments_of_expm1():
    z = symbol("z", Kind.COMPLEX, i=Size.of(3))
    values = np.array([1e-20 + 1e-20j, 1e-9 - 2e-9j, 1e-310])
    found = compile_function(Function("f", (z,), (("y", build.apply("expm1", z)),)))({"z": values}, {})["y"]
    assert np.abs(found - (values + values * values / 2)).max() < 1e-24
    assert found[2] == values[2]


def test_division_by_zero_leaves_the_rest_of_a_kernel_alone():
    """numba's division of complex numbers raises, and everything after that place would stay undone."""
    x, w = symbol("x", i=Size.of(4)), symbol("w", Kind.COMPLEX, i=Size.of(4))
    roots = (("root", build.apply("sqrt", x)), ("quotient", build.divide(build.mul(x, w), build.mul(w, w))))
    arguments = {"x": np.array([1.0, 4, 9, 16]), "w": np.array([0, 1j, 0, 2])}
    found = compile_function(Function("f", (x, w), roots))(arguments, {})
    assert list(found["root"]) == [1, 2, 3, 4]
    assert list(found["quotient"][[1, 3]]) == [-4j, 8]
    assert not np.isfinite(found["quotient"][[0, 2]]).any()
