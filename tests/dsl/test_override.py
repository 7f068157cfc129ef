"""Values given beside the text are checked as what they are."""

import pytest

from ricci import driver
from ricci.driver import Settings
from ricci.errors import CheckFailed, Source

PLAIN = """field u(t)
param F = 2
equation dt(u) = -F*u
initial u = 0
solve { until: t=1 }
"""


@pytest.mark.parametrize(("name", "value", "help"), [("F", "1 [m]", "F=1"), ("until", "3 [s]", "until=3"), ("F", "2*(1 [m])", None)])
def test_a_unit_for_a_model_without_units_is_one_error_where_it_is_given(name, value, help):
    with pytest.raises(CheckFailed) as caught:
        driver.parse(Source("<model>", PLAIN), Settings(set=((name, value),)))
    (error,) = caught.value.diagnostics
    assert (error.code, error.span.source.name) == ("E0401", "--set")
    assert error.help == (f"--set {help}" if help else "")
    driver.check(driver.parse(Source("<model>", PLAIN), Settings(set=((name, "7"),))))
    united = PLAIN.replace("u(t)", "u(t): [m]").replace("F = 2", "F = 2 [1/s]").replace("t=1", "t=1 [s]")
    driver.check(driver.parse(Source("<model>", united), Settings(set=(("F", "7 [1/min]"),))))


UNITED = """param w = OWN
let y = w
"""


@pytest.mark.parametrize(
    ("own", "value", "help"),
    [
        ("2 [1/s]", "3 [m]", None),
        ("2*pi/(1 [s])", "3", "w=3 [1/s]"),
        ("2*pi/(1 [s])", "3 [s]", None),
        ("2*pi/(1 [s])", "3*pi", None),
        ("1 [m]/(1 [m])", "3 [s]", None),
    ],
)
def test_a_value_of_another_unit_than_the_own_one_is_refused(own, value, help):
    text = UNITED.replace("OWN", own)
    with pytest.raises(CheckFailed) as caught:
        driver.check(driver.parse(Source("<model>", text), Settings(set=(("w", value),))))
    (error,) = caught.value.diagnostics
    assert (error.code, error.span.source.name, error.help) == ("E0401", "--set", f"--set '{help}'" if help else "")
    for good in (own, own.replace("2", "7"), "0", *([help[2:]] if help else [])):
        driver.check(driver.parse(Source("<model>", text), Settings(set=(("w", good),))))
