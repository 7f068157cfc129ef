"""Arithmetic of constants that has no value, or one that the numbers of a run do not hold."""

import numpy as np
import pytest

from ricci import driver
from ricci.driver import Settings
from ricci.errors import CheckFailed, Source
from ricci.faces.execute import execute

MODEL = "dim i = 1000\ntensor p[i] = i*1e17\nfn safe(x) = if x > 0 then x*log(x) else 0\nlet y = VALUE\n"


@pytest.mark.parametrize(
    "value",
    [
        "0/0", "1/0", "0*p/0", "p/(p - p)", "sum[i](p[i])/0", "0^(-1)", "inf - inf", "p + inf - inf", "(inf + p) - inf", "inf/inf", "0*inf",
        "p*inf", "max[i](p*inf - p*inf)", "sqrt(-1)*0", "log(0)*0", "log(-2)", "(-2)^0.5", "asin(2)", "acosh(0.5)", "atanh(1)",
        "2^1024", "3^700", "10^-400", "1e-400", "(1e200*p)^2", "p*1e-200*1e-200", "-p*1e200*1e200",
    ],
)  # fmt: skip
def test_refused(value):
    with pytest.raises(CheckFailed) as caught:
        driver.check_text(Source("m.model", MODEL.replace("VALUE", value)))
    error = caught.value.diagnostics[0]
    assert (error.code, error.span.line) == ("E0203", 4)
    if error.help:
        driver.check_text(Source("m.model", MODEL.splitlines()[0] + "\n" + error.help + "\n"))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("if max(p) > 0 then 2 else 1/0", 2),
        ("safe(0)", 0),
        ("2*inf", np.inf),
        ("1/inf", 0),
        ("max(max(p), -inf)", 999e17),
        ("max(-inf + p)", -np.inf),
        ("sqrt(0) + asin(1) + acosh(1) - pi/2", 0),
        ("0^0", 1),
    ],
)
def test_kept(value, wanted):
    assert value_of(value) == pytest.approx(wanted)


def value_of(value, level=2):
    return float(execute(Source("m.model", MODEL.replace("VALUE", value)), Settings(opt=level), write=False).results["y"].values)


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("max(p)", 9.99e19),
        ("max[i](i*1e19)", 9.99e21),
        ("max[i](10^20*i)", 9.99e22),
        ("max[i](2147483648*2147483648*i)", 999 * 2.0**62),
        ("6*10^23 + 1", 6e23),
        ("max[i](mod(1103515245*i + 12345, 2147483648))", max((1103515245 * i + 12345) % 2147483648 for i in range(1000))),
    ],
)
def test_whole_numbers_do_not_overflow(value, wanted, level):
    assert value_of(value, level) == pytest.approx(wanted, rel=1e-15)
