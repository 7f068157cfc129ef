"""Complex numbers: nothing that holds for real values only is used, and a real number is no complex one for functions with a cut."""

import numpy as np
import pytest
import sympy

import ricci
from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces.execute import execute

MODEL = """
dim i = 4
tensor z[i]: complex = 3*i*im
tensor x[i] = i - 2
tensor w[i]: complex = 1 + 0*i
let r = VALUE
"""


@pytest.mark.parametrize(
    "value",
    [
        "abs(1 - abs(sin(z/3)))",
        "abs(2 - abs(cos(z)))",
        "abs(1.6 - abs(atan(z/5)))",
        "abs(3 - abs(cosh(z)))",
        "abs(abs(sin(z)) - 1)",
        "abs(1 + z^2/9)/abs(1 + z^2/9)",
        "abs(re(z^2) - 1)",
        "max(re(z*z), -1)",
        "sqrt(x + z - z)",
        "sqrt(x + 0*z)",
        "sqrt(2*x + z - z) + sqrt(x)",
        "log(x + 0.5 + z - z)",
        "(x + z - z)^0.5",
        "asin(2*x + z - z)",
        "sqrt(x*(sin(z/9)^2 + cos(z/9)^2)) + sqrt(x)",
        "log((x + 2.5)*exp(z)*exp(-z))",
        "(z + 1)*sqrt(1 - abs2(z) + 0*im) + 2*z*sqrt(1 - abs2(z) + 0*im)",
        "z*log(re(z) - 1 + 0*im) + (z + 1)*log(re(z) - 1 + 0*im)",
        "z*sqrt(complex(4 - abs(z), 0)) + (z - 2)*sqrt(complex(4 - abs(z), 0))",
        "z*sqrt(1 - max(abs(z)) + 0*im)*2 + sqrt(1 - max(abs(z)) + 0*im)",
        "sqrt(-4*w) + sqrt(-w) + log(-2*w) - log(w) + acosh(-w)",
        "arg(-w) + arg(-2*w)",
        "acosh(x/5 + z - z) + acosh(2 + x/9)",
        "abs(sqrt(x + z - z))^2 + exp(log(x + 0.5 + z - z))",
    ],
)
def test_values_are_those_of_the_source(value):
    source = Source("m.model", MODEL.replace("VALUE", value))
    before, after = (execute(source, Settings(opt=level), write=False) for level in (0, 2))
    wanted, found = (np.asarray(o.results["r"].values) for o in (before, after))
    defined = execute(source, Settings(backend="reference"), write=False)
    np.testing.assert_allclose(wanted, np.asarray(defined.results["r"].values), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    assert [w.code for w in after.warnings] == []


def test_symbols_of_sympy_are_complex():
    x, y = sympy.symbols("x y")
    real = sympy.symbols("a", real=True)
    for s, wanted in ((x, 19), (real, 1)):
        form = ricci.simplify(sympy.Abs(sympy.Abs(sympy.sin(s / 100)) - 1) + sympy.Abs(sympy.sin(s / 100)))
        assert abs(complex(form.subs(s, 300j if s is x else 300))) == pytest.approx(wanted, abs=0.1)
    assert ricci.simplify(sympy.sqrt(x) ** 2 + y) == x + y
