"""Units: exact factors, the group, names with prefixes, declarations, temperature scales, and how dimensions are shown."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ricci.dsl import tree
from ricci.dsl.parse import parse
from ricci.dsl.units import NUMBER, PLAIN, PREFIXED, Units, common, multiply, over, points, raised, show
from ricci.errors import RicciError, Source


def literal(text: str) -> tree.Number:
    statement = parse(Source("m.model", f"let a = {text}")).statements[0]
    assert isinstance(statement, tree.Let)
    assert isinstance(statement.value, tree.Number)
    return statement.value


def unit(text: str, units: Units | None = None):
    expression = literal(f"1 [{text}]").unit
    assert expression is not None
    return (units or Units()).resolve(expression)


def powers(**named) -> tuple:
    return tuple(sorted((n, Fraction(p)) for n, p in named.items()))


@pytest.mark.parametrize(
    ("text", "factor", "dimension"),
    [
        ("1", 1, {}),
        ("m", 1, {"m": 1}),
        ("km", 1000, {"m": 1}),
        ("mm^2", Fraction(1, 10**6), {"m": 2}),
        ("g", Fraction(1, 1000), {"kg": 1}),
        ("mg", Fraction(1, 10**6), {"kg": 1}),
        ("kDa", Fraction("1.66053906892e-24"), {"kg": 1}),
        ("min", 60, {"s": 1}),
        ("h", 3600, {"s": 1}),
        ("d", 86400, {"s": 1}),
        ("uM", Fraction(1, 1000), {"mol": 1, "m": -3}),
        ("μM", Fraction(1, 1000), {"mol": 1, "m": -3}),
        ("µM", Fraction(1, 1000), {"mol": 1, "m": -3}),
        ("nM", Fraction(1, 10**6), {"mol": 1, "m": -3}),
        ("1/uM/s", 1000, {"mol": -1, "m": 3, "s": -1}),
        ("mL", Fraction(1, 10**6), {"m": 3}),
        ("N", 1, {"kg": 1, "m": 1, "s": -2}),
        ("kPa", 1000, {"kg": 1, "m": -1, "s": -2}),
        ("mbar", 100, {"kg": 1, "m": -1, "s": -2}),
        ("atm", 101325, {"kg": 1, "m": -1, "s": -2}),
        ("Torr", Fraction(101325, 760), {"kg": 1, "m": -1, "s": -2}),
        ("kWh", 3600000, {"kg": 1, "m": 2, "s": -2}),
        ("eV", Fraction("1.602176634e-19"), {"kg": 1, "m": 2, "s": -2}),
        ("MeV", Fraction("1.602176634e-13"), {"kg": 1, "m": 2, "s": -2}),
        ("V/Ohm", 1, {"A": 1}),
        ("Wb/T", 1, {"m": 2}),
        ("C/F", 1, {"kg": 1, "m": 2, "s": -3, "A": -1}),
        ("GHz", 10**9, {"s": -1}),
        ("inch", Fraction("0.0254"), {"m": 1}),
        ("GB", 8 * 10**9, {"bit": 1}),
        ("KiB", 8 * 1024, {"bit": 1}),
        ("rad/s", 1, {"s": -1}),
        ("percent", Fraction(1, 100), {}),
        ("J/(kg K)", 1, {"m": 2, "s": -2, "K": -1}),
        ("kg m/s^2", 1, {"kg": 1, "m": 1, "s": -2}),
        ("K m/s", 1, {"K": 1, "m": 1, "s": -1}),
        ("m^(1/2)", 1, {"m": Fraction(1, 2)}),
        ("m^0.5/s^-1", 1, {"m": Fraction(1, 2), "s": 1}),
        ("cm^(1/2)", Fraction(1, 10), {"m": Fraction(1, 2)}),
        ("(km/h)^2", Fraction(25, 324), {"m": 2, "s": -2}),
        ("1000 kg", 1000, {"kg": 1}),
        ("dam", 10, {"m": 1}),
        ("cd", 1, {"cd": 1}),
        ("Qm", 10**30, {"m": 1}),
    ],
)
def test_meaning(text, factor, dimension):
    found = unit(text)
    assert found.factor == factor
    assert isinstance(found.factor, Fraction)
    assert found.powers == powers(**dimension)
    assert found.offset == 0


def test_meaning_that_is_not_rational():
    assert unit("deg").factor == pytest.approx(math.pi / 180, rel=1e-15)
    assert unit("arcmin").factor * 60 == pytest.approx(math.pi / 180, rel=1e-15)
    assert unit("m^(1/2)/mm^(1/2)").factor == pytest.approx(math.sqrt(1000), rel=1e-15)


def test_every_unit_is_a_product_of_base_units():
    for name in {**PREFIXED, **PLAIN}:
        found = unit(name)
        assert found.factor > 0
        assert {n for n, _ in found.powers} <= {"m", "kg", "s", "A", "K", "mol", "cd", "bit"}


def test_literals_in_si():
    units = Units()
    assert units.si(literal("20 [km]")) == 20000
    assert units.si(literal("0.1")) == Fraction(1, 10)
    assert units.si(literal("20 [degC]")) == Fraction("293.15")
    assert float(units.si(literal("212 [degF]"))) == pytest.approx(373.15, rel=1e-15)
    assert units.si(literal("5 [uM]")) == Fraction(5, 1000)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1 [meter]", "E0101"),
        ("1 [kkg]", "E0101"),
        ("1 [KiHz]", "E0101"),
        ("1 [mmin]", "E0101"),
        ("1 [m/degC]", "E0404"),
        ("1 [degC^2]", "E0404"),
        ("1 [(km^100)^100]", "E0403"),
        ("1 [km^90 km^90]", "E0403"),
        ("1e300 [Qm]", "E0001"),
    ],
)
def test_refused(text, code):
    with pytest.raises(RicciError) as caught:
        Units().si(literal(text))
    assert caught.value.code == code
    assert caught.value.diagnostics[0].span.source.name == "m.model"


def test_a_misspelt_unit_gets_a_suggestion():
    with pytest.raises(RicciError) as caught:
        unit("Ohms")
    assert "`Ohm`" in caught.value.render()


def declare(units: Units, text: str):
    statement = parse(Source("m.model", text)).statements[0]
    assert isinstance(statement, tree.UnitDeclaration)
    return units.declare(statement)


def test_declared_units():
    units = Units()
    declare(units, "unit cell = 1e-12 L")
    declare(units, "unit density = 1/cell")
    assert unit("density", units).powers == powers(m=-3)
    assert unit("density", units).factor == 10**15
    for text, code in [("unit cell = m", "E0102"), ("unit m = s", "E0102"), ("unit x = degC", "E0404"), ("unit y = z", "E0101")]:
        with pytest.raises(RicciError) as caught:
            declare(units, text)
        assert caught.value.code == code


def test_words():
    units = Units()
    for text in ["uM", "s", "m^2/s", "K"]:
        unit(text, units)
    assert units.words(powers(K=1, s=-1)) == "[K/s]"
    assert units.words(powers(mol=1, m=-3, s=-1)) == "[uM/s]"
    assert units.words(powers(m=2, s=-1)) == "[m^2/s]"
    assert units.words(powers(m=Fraction(1, 2))) == "[m^(1/2)]"
    assert units.words(powers(s=-1)) == "[1/s]"
    assert units.words(NUMBER) == "[1]"
    assert units.words(None) == "[1]"


@pytest.mark.parametrize(
    "text", ["m", "1/uM/s", "kg m/s^2", "J/(kg K)", "m^(1/2)", "m^-1", "(m/s)^2", "1000 kg", "m*2 s", "a/b*c", "m^(-3/2)"]
)
def test_shown_as_it_is_read(text):
    first = literal(f"1 [{text}]").unit
    again = literal(f"1 [{show(first)}]").unit
    assert tree.same(first, again)
    assert show(again) == show(first)


dimensions = st.dictionaries(st.sampled_from(["m", "kg", "s", "K"]), st.fractions(-3, 3, max_denominator=4).filter(bool)).map(
    lambda d: tuple(sorted(d.items()))
)
exponents = st.fractions(-3, 3, max_denominator=4)


@given(dimensions, dimensions, dimensions, exponents, exponents)
def test_dimensions_are_a_vector_space_over_the_rationals(a, b, c, p, q):
    assert multiply(a, b) == multiply(b, a)
    assert multiply(a, multiply(b, c)) == multiply(a, b, c)
    assert over(multiply(a, b), b) == a
    assert multiply(a, NUMBER) == a
    assert raised(multiply(a, b), p) == multiply(raised(a, p), raised(b, p))
    assert multiply(raised(a, p), raised(a, q)) == raised(a, p + q)
    assert multiply(a, None) is None
    assert raised(None, p) is None


@given(dimensions)
def test_words_mean_the_same(dimension):
    units = Units()
    for text in ["km/h", "J", "uM"]:
        unit(text, units)
    assert unit(units.words(dimension)[1:-1], Units()).powers == dimension


def test_common():
    m, s = powers(m=1), powers(s=1)
    assert common([m, m]) == (m, None)
    assert common([None, m, None, m]) == (m, None)
    assert common([None]) == (None, None)
    assert common([]) == (None, None)
    assert common([m, None, s]) == (m, 2)


def test_temperatures_with_an_offset():
    assert points([1, -1]) is False
    assert points([1]) is True
    assert points([Fraction(1, 2), Fraction(1, 2)]) is True
    assert points([]) is False
    assert points([1, 1]) is None
    assert points([2]) is None
    assert points([None]) is None
