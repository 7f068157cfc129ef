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


SEVERAL = "param L = 2 [mm], n: real = 3\nparam z: int = 4, f = 2.5\nlet y = L + 1 [mm]\nlet w = n*z*f\n"


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("L", "1/3", True), ("L", "2*pi", True), ("L", "-3", True), ("L", "inf", True), ("L", "2 [m]", True), ("L", "2 [s]", False),
        ("L", "3*im", False), ("z", "1e3", True), ("z", "6/2", True), ("z", "5.5", False), ("z", "inf", False), ("n", "im", False),
        ("f", "2 + im", False), ("f", "7", True),
    ],
)  # fmt: skip
def test_values_of_the_right_kind_and_unit(name, value, good):
    """An expression of numbers is in the unit of the param, as a number is."""
    source, settings = Source("<model>", SEVERAL), Settings(set=((name, value),))
    if good:
        driver.check(driver.parse(source, settings))
        return
    with pytest.raises(CheckFailed) as caught:
        driver.check(driver.parse(source, settings))
    error = caught.value.diagnostics[0]
    assert error.code in ("E0203", "E0401")
    assert error.span.source.name == "--set"


def test_a_whole_number_is_one():
    with pytest.raises(CheckFailed) as caught:
        driver.check_text(Source("<model>", "param z: int = 4.5\n"))
    assert caught.value.diagnostics[0].code == "E0203"
