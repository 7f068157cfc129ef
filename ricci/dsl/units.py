"""Units: a free abelian group over the SI base units, with exact factors.

A unit is `model.Unit`: value_SI = factor*value + offset, and `powers` of the base units m kg s A K mol cd bit. A radian is the
number 1, as in the SI. The offset is not zero for `degC` and `degF` alone.

For the check:

* `Units()` knows the SI with its prefixes and the usual units beside it; `declare(statement)` adds one of the user's.
* `resolve(expression)` is the meaning of `[m^2/s]`; `si(number)` the value of `20 [km]` in SI units, exact where that is possible.
* `words(powers)` shows a dimension in the units that the text uses.
* `multiply`, `over`, `raised` are the group; `None` is the unit of `0` and `inf`, which fits every other, and `common` is the
  one unit of several that have to agree.
* `points(coefficients)` decides sums of temperatures in degC: their coefficients may add to 0 (a difference, in K) or 1 (a
  temperature again); anything else is E0404, and so is degC in a product.

Errors raised here: E0101 unknown unit, E0102 declared twice, E0404 affine unit in a product.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from ricci.dsl import tree
from ricci.dsl.model import Unit
from ricci.dsl.spelling import nearest
from ricci.errors import CheckFailed

Powers = tuple[tuple[str, Fraction], ...]  # powers of base units: sorted by name, no zeros
NUMBER: Powers = ()

LARGEST_FACTOR = 300  # decimal digits of a factor, and of a value in SI units

PREFIXES = {
    "Q": 30, "R": 27, "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "μ": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24, "r": -27, "q": -30,
}  # fmt: skip
BINARY_PREFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}  # for bit and B

# name: (factor to SI, dimension). Names of the first table take prefixes.
PREFIXED = {
    "m": ("1", "m"), "g": ("1e-3", "kg"), "s": ("1", "s"), "A": ("1", "A"), "K": ("1", "K"), "mol": ("1", "mol"), "cd": ("1", "cd"),
    "rad": ("1", ""), "sr": ("1", ""), "bit": ("1", "bit"), "B": ("8", "bit"),
    "Hz": ("1", "s-1"), "N": ("1", "kg m s-2"), "Pa": ("1", "kg m-1 s-2"), "J": ("1", "kg m2 s-2"), "W": ("1", "kg m2 s-3"),
    "C": ("1", "A s"), "V": ("1", "kg m2 s-3 A-1"), "F": ("1", "kg-1 m-2 s4 A2"), "Ohm": ("1", "kg m2 s-3 A-2"), "ohm": ("1", "kg m2 s-3 A-2"),
    "Ω": ("1", "kg m2 s-3 A-2"), "S": ("1", "kg-1 m-2 s3 A2"), "Wb": ("1", "kg m2 s-2 A-1"), "T": ("1", "kg s-2 A-1"),
    "H": ("1", "kg m2 s-2 A-2"), "lm": ("1", "cd"), "lx": ("1", "cd m-2"), "Bq": ("1", "s-1"), "Gy": ("1", "m2 s-2"),
    "Sv": ("1", "m2 s-2"), "kat": ("1", "mol s-1"), "L": ("1e-3", "m3"), "l": ("1e-3", "m3"), "M": ("1e3", "mol m-3"),
    "eV": ("1.602176634e-19", "kg m2 s-2"), "Da": ("1.66053906892e-27", "kg"), "bar": ("1e5", "kg m-1 s-2"), "t": ("1e3", "kg"),
    "cal": ("4.184", "kg m2 s-2"), "pc": ("3.0856775814913673e16", "m"), "P": ("0.1", "kg m-1 s-1"), "St": ("1e-4", "m2 s-1"),
    "G": ("1e-4", "kg s-2 A-1"),
}  # fmt: skip
PLAIN = {
    "min": ("60", "s"), "h": ("3600", "s"), "d": ("86400", "s"), "day": ("86400", "s"), "week": ("604800", "s"),
    "yr": ("31557600", "s"), "year": ("31557600", "s"), "atm": ("101325", "kg m-1 s-2"), "Torr": ("101325/760", "kg m-1 s-2"),
    "mmHg": ("133.322387415", "kg m-1 s-2"), "psi": ("4.4482216152605/0.00064516", "kg m-1 s-2"), "inch": ("0.0254", "m"),
    "ft": ("0.3048", "m"), "yd": ("0.9144", "m"), "mile": ("1609.344", "m"), "lb": ("0.45359237", "kg"),
    "lbf": ("4.4482216152605", "kg m s-2"),
    "oz": ("0.028349523125", "kg"), "ha": ("1e4", "m2"), "angstrom": ("1e-10", "m"), "Å": ("1e-10", "m"), "au": ("149597870700", "m"),
    "ly": ("9460730472580800", "m"), "dyn": ("1e-5", "kg m s-2"), "erg": ("1e-7", "kg m2 s-2"), "hp": ("745.69987158227022", "kg m2 s-3"),
    "kWh": ("3.6e6", "kg m2 s-2"), "Wh": ("3600", "kg m2 s-2"), "Ah": ("3600", "A s"), "ppm": ("1e-6", ""), "percent": ("1e-2", ""),
}  # fmt: skip
TURNS = {"deg": 180, "arcmin": 180 * 60, "arcsec": 180 * 3600}  # parts of pi
AFFINE = {"degC": (Fraction(1), Fraction("273.15")), "degF": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9))}


# ---------------------------------------------------------------------------------------------------------------------
# The group


def multiply(*units: Powers | None) -> Powers | None:
    """Unit of a product; a factor that fits every unit makes the product fit every unit."""
    total: dict[str, Fraction] = {}
    for unit in units:
        if unit is None:
            return None
        for name, power in unit:
            total[name] = total.get(name, Fraction(0)) + power
    return tuple(sorted((n, p) for n, p in total.items() if p))


def raised(unit: Powers | None, exponent: Fraction | int) -> Powers | None:
    """Unit of a power."""
    return None if unit is None else tuple((n, p * exponent) for n, p in unit if p * exponent)


def over(a: Powers | None, b: Powers | None) -> Powers | None:
    """Unit of a quotient."""
    return multiply(a, raised(b, -1))


def common(units: Iterable[Powers | None]) -> tuple[Powers | None, int | None]:
    """The unit of things that are added or compared, and the place of the first that does not fit (None if all do)."""
    found: Powers | None = None
    for i, unit in enumerate(units):
        if found is None:
            found = unit
        elif unit is not None and unit != found:
            return found, i
    return found, None


def points(coefficients: Sequence[Fraction | int | None]) -> bool | None:
    """Whether a sum of temperatures on a scale with an offset is such a temperature again (True), a difference (False), or
    without meaning (None). One coefficient for each such term; None is a coefficient that is not known."""
    if any(c is None for c in coefficients):
        return None
    total = sum(c for c in coefficients if c is not None)
    return bool(total) if total in (0, 1) else None


# ---------------------------------------------------------------------------------------------------------------------
# Names and expressions


def _number(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or "1")


def _powers(text: str) -> Powers:
    powers = []
    for part in text.split():
        name = part.rstrip("-0123456789")
        powers.append((name, Fraction(part[len(name) :] or "1")))
    return tuple(sorted(powers))


def _standard(name: str) -> Unit | None:
    """A unit by its name, with a prefix or without."""
    for entries in (PREFIXED, PLAIN):
        if name in entries:
            factor, dimension = entries[name]
            return Unit(_number(factor), _powers(dimension), name)
    if name in TURNS:
        return Unit(math.pi / TURNS[name], NUMBER, name)
    if name in AFFINE:
        return Unit(*AFFINE[name][:1], _powers("K"), name, AFFINE[name][1])
    for table, base in ((BINARY_PREFIXES, 2), (PREFIXES, 10)):
        for prefix, exponent in table.items():
            rest = name[len(prefix) :]
            if not name.startswith(prefix) or rest not in PREFIXED or (base == 2 and rest not in ("bit", "B")):
                continue
            factor, dimension = PREFIXED[rest]
            return Unit(_number(factor) * Fraction(base) ** exponent, _powers(dimension), name)
    return None


def show(unit: tree.UnitExpr) -> str:
    """A unit as it is written between brackets: `kg m^2/s`, `1/uM/s`; a product behind a division has its `*`."""
    match unit:
        case tree.UnitName(id):
            return id
        case tree.UnitNumber(_, text):
            return text
        case tree.UnitPower(base, exponent):
            inner = show(base)
            inner = f"({inner})" if isinstance(base, tree.UnitProduct | tree.UnitPower) else inner
            return f"{inner}^{_exponent(exponent)}"
        case tree.UnitProduct(factors, operators):
            shown = [f"({show(f)})" if isinstance(f, tree.UnitProduct) else show(f) for f in factors]
            text, divided = shown[0], False
            for operator, factor in zip(operators, shown[1:], strict=True):
                divided = divided or operator == "/"
                text += ("/" if operator == "/" else "*" if divided or factor[0].isdigit() else " ") + factor
            return text
    raise TypeError(type(unit).__name__)


def _exponent(exponent: Fraction) -> str:
    return str(exponent) if exponent.denominator == 1 else f"({exponent})"


def power_of(factor: Fraction | float, exponent: Fraction) -> Fraction | float:
    """factor^exponent, exact if the root is."""
    if isinstance(factor, float):
        return float(factor**exponent)
    if exponent.denominator == 1:
        return factor**exponent.numerator
    root = [round(n ** (1 / exponent.denominator)) if n < 1 << 1000 else 0 for n in (factor.numerator, factor.denominator)]
    if root[1] and Fraction(*root) ** exponent.denominator == factor:
        return Fraction(*root) ** exponent.numerator
    return float(float(factor) ** float(exponent))


def _digits(factor: Fraction | float) -> float:
    """About |log10 factor|."""
    if isinstance(factor, float):
        return abs(math.log10(factor))
    return abs(factor.numerator.bit_length() - factor.denominator.bit_length()) * math.log10(2)


class Failed(Exception):
    """A declaration that is needed here was wrong; its own message has been given."""


class Units:
    """The units that a text may use: the standard ones and those it declares."""

    def __init__(self) -> None:
        self.declared: dict[str, Unit] = {}
        self.waiting: set[str] = set()  # declarations that are being read or come later: those they need stand before them
        self.failed: set[str] = set()
        self.used: dict[str, Unit] = {}  # names and whole units as the text writes them, to speak its language

    def get(self, name: str) -> Unit | None:
        """The unit of this name."""
        return self.declared.get(name) or _standard(name)

    def declare(self, statement: tree.UnitDeclaration) -> Unit:
        """`unit cell = 1e-12 L`."""
        name = statement.name
        try:
            return self._declared(statement)
        except (CheckFailed, Failed):
            if name.id not in self.declared:
                self.failed.add(name.id)
            raise
        finally:
            self.waiting.discard(name.id)

    def _declared(self, statement: tree.UnitDeclaration) -> Unit:
        name = statement.name
        if self.get(name.id):
            whose = "declared already" if name.id in self.declared else "a standard unit"
            raise CheckFailed("E0102", f"the unit `{name.id}` is {whose}", name.span, label="take another name")
        meaning = self.resolve(statement.unit)
        if meaning.offset:
            raise CheckFailed("E0404", f"`{meaning.text}` has an offset and makes no new unit", statement.unit.span, label="`K` has none")
        unit = Unit(meaning.factor, meaning.powers, name.id)
        self.declared[name.id] = unit
        return unit

    def resolve(self, expression: tree.UnitExpr) -> Unit:
        """The meaning of a unit; its text is what the user wrote."""
        if isinstance(expression, tree.UnitName):
            unit = self._named(expression)
        else:
            factor, powers = self._product(expression)
            unit = Unit(factor, powers, show(expression))
        if unit.powers:
            self.used.setdefault(unit.text, unit)
        return unit

    def _named(self, name: tree.UnitName) -> Unit:
        unit = self.get(name.id)
        if unit is None and name.id in self.failed:
            raise Failed(name.id)
        if unit is None and name.id in self.waiting:
            raise CheckFailed("E0106", f"the unit `{name.id}` is defined by itself", name.span, label="needs its own value")
        if unit is None:
            guess = nearest(name.id, [*self.declared, *PREFIXED, *PLAIN, *TURNS, *AFFINE])
            label = f"did you mean `{guess}`?" if guess else "declare it: `unit NAME = ...`"
            raise CheckFailed("E0101", f"there is no unit `{name.id}`", name.span, label=label)
        return unit

    def _product(self, expression: tree.UnitExpr) -> tuple[Fraction | float, Powers]:
        """Factor and powers of a part of a unit."""
        match expression:
            case tree.UnitNumber(value):
                return value, NUMBER
            case tree.UnitName():
                unit = self._named(expression)
                if unit.offset:
                    message = f"`{unit.text}` is a scale with an offset and cannot be multiplied"
                    raise CheckFailed("E0404", message, expression.span, label="differences are in `K`")
                if unit.powers:
                    self.used.setdefault(unit.text, unit)
                return unit.factor, unit.powers
            case tree.UnitPower(base, exponent):
                factor, powers = self._product(base)
                if _digits(factor) * abs(exponent) > LARGEST_FACTOR:
                    raise CheckFailed("E0403", "the exponent of this unit is too large", expression.span)
                return power_of(factor, exponent), raised(powers, exponent) or NUMBER
            case tree.UnitProduct(factors, operators):
                total: Fraction | float = Fraction(1)
                dimension: Powers = NUMBER
                for operator, part in zip(("*", *operators), factors, strict=True):
                    exponent = Fraction(1 if operator == "*" else -1)
                    factor, powers = self._product(part)
                    total = total * power_of(factor, exponent)
                    if _digits(total) > LARGEST_FACTOR:
                        raise CheckFailed("E0403", "the factor of this unit is too large", expression.span)
                    dimension = multiply(dimension, raised(powers, exponent)) or NUMBER
                return total, dimension
        raise TypeError(type(expression).__name__)

    def si(self, number: tree.Number) -> Fraction | float:
        """The value of a literal in SI units."""
        if number.unit is None:
            return number.value
        unit = self.resolve(number.unit)
        if _digits(unit.factor) + _digits(number.value) > LARGEST_FACTOR:
            raise CheckFailed("E0001", f"`{number.span.text}` is out of range in SI units", number.span)
        return number.value * unit.factor + unit.offset

    def words(self, powers: Powers | None) -> str:
        """`[K/s]`: a dimension in the units of the text, as few of them as possible."""
        if not powers:
            return "[1]"
        for unit in self.used.values():
            if unit.powers == powers:
                return f"[{unit.text}]"
        named = {u.text: u.powers for u in self.used.values() if u.text in self.declared or _standard(u.text)}
        return f"[{_spell(powers, named)}]"


def _spell(powers: Powers, named: dict[str, Powers]) -> str:
    """Base units, with known units put in as long as that makes the text simpler."""
    chosen: list[tuple[str, Fraction]] = []
    left = powers
    while True:
        best = (_complexity(left), "", Fraction(0), left)
        for name in sorted(named):
            for exponent in (Fraction(1), Fraction(-1), Fraction(2), Fraction(-2)):
                rest = over(left, raised(named[name], exponent)) or NUMBER
                cost = _complexity(rest) + abs(exponent) + 1
                if cost < best[0]:
                    best = (cost, name, exponent, rest)
        if not best[1]:
            break
        chosen.append((best[1], best[2]))
        left = best[3]
    factors = chosen + list(left)
    above = [_factor(n, p) for n, p in factors if p > 0]
    below = [_factor(n, -p) for n, p in factors if p < 0]
    return (" ".join(above) or "1") + "".join(f"/{b}" for b in below)


def _complexity(powers: Powers) -> Fraction:
    return sum((1 + abs(p) for _, p in powers), Fraction(0))


def _factor(name: str, power: Fraction) -> str:
    return name if power == 1 else f"{name}^{_exponent(power)}"
