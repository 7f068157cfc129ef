"""Coefficients of the one-step methods, exact where they are rational. Data only: explicit.py, dirk.py and rosenbrock.py use them.

The tests derive every stated property from the numbers (order conditions by rooted trees, stability function at infinity,
measured order), so that a wrong digit fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Row = tuple[Fraction, ...]


def _rows(text: str) -> tuple[Row, ...]:
    """Rows of numbers: `1/2 0.25; 3` -> exact fractions; an empty row is a stage that uses none before it."""
    return tuple(tuple(Fraction(word) for word in row.split()) for row in text.split(";"))


def _row(text: str) -> Row:
    return _rows(text)[0]


def _square_root(number: int) -> Fraction:
    """sqrt(number) to 40 digits, so that coefficients derived from it are right to the last bit of a double."""
    digits = 10**40
    low, high = 0, number * digits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle * middle <= number * digits * digits else (low, middle)
    return Fraction(low, digits)


@dataclass(frozen=True)
class Tableau:
    """Runge-Kutta: stage i is f at y + dt * sum_j a[i][j] k_j, time t + c_i dt (c_i: row sum); y' = y + dt * sum b_i k_i.

    Row i of `a` has i entries (explicit) or i + 1 (diagonally implicit: the last one is the diagonal).
    `error`: weights e_i of the error estimate dt * sum e_i k_i, of order `error_order` in dt. `stability`: length of the interval
    of dt*|lambda| on the negative real axis, and on the imaginary axis, where the method is stable (None: unlimited).
    """

    name: str
    order: int
    a: tuple[Row, ...]
    b: Row
    source: str
    error: Row | None = None
    error_order: int = 0
    stability: tuple[float, float] | None = None

    @property
    def stages(self) -> int:
        return len(self.b)

    @property
    def c(self) -> Row:
        return tuple(sum(row, Fraction(0)) for row in self.a)

    @property
    def first_same_as_last(self) -> bool:
        """The last stage is the derivative at the new value: it serves as first stage of the next step."""
        last = self.a[-1]
        return len(last) == self.stages - 1 and last == self.b[:-1] and self.b[-1] == 0 and self.stages > 1


def _difference(b: Sequence[Fraction], other: Sequence[Fraction]) -> Row:
    return tuple(x - y for x, y in zip(b, other, strict=True))


EULER = Tableau("euler", 1, _rows(""), _row("1"), "Euler 1768", stability=(2.0, 0.0))
MIDPOINT = Tableau("midpoint", 2, _rows("; 1/2"), _row("0 1"), "Runge 1895", stability=(2.0, 0.0))
HEUN = Tableau("heun", 2, _rows("; 1"), _row("1/2 1/2"), "Heun 1900", stability=(2.0, 0.0))
RK3 = Tableau(
    "rk3", 3, _rows("; 1; 1/4 1/4"), _row("1/6 1/6 2/3"), "Shu, Osher 1988, eq. 2.18 (strong stability preserving)", stability=(2.51, 1.73)
)
RK4 = Tableau("rk4", 4, _rows("; 1/2; 0 1/2; 0 0 1"), _row("1/6 1/3 1/3 1/6"), "Kutta 1901", stability=(2.78, 2.82))
BS32 = Tableau(
    "bs32",
    3,
    _rows("; 1/2; 0 3/4; 2/9 1/3 4/9"),
    _row("2/9 1/3 4/9 0"),
    "Bogacki, Shampine, Appl. Math. Lett. 2 (1989)",
    error=_difference(_row("2/9 1/3 4/9 0"), _row("7/24 1/4 1/3 1/8")),
    error_order=3,
    stability=(2.51, 1.73),
)
_DP_B = _row("35/384 0 500/1113 125/192 -2187/6784 11/84 0")
DP54 = Tableau(
    "dp54",
    5,
    _rows(
        "; 1/5; 3/40 9/40; 44/45 -56/15 32/9; 19372/6561 -25360/2187 64448/6561 -212/729;"
        "9017/3168 -355/33 46732/5247 49/176 -5103/18656; 35/384 0 500/1113 125/192 -2187/6784 11/84"
    ),
    _DP_B,
    "Dormand, Prince, J. Comput. Appl. Math. 6 (1980), table 2",
    error=_difference(_DP_B, _row("5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40")),
    error_order=5,
    stability=(3.30, 0.99),
)
EXPLICIT = (EULER, MIDPOINT, HEUN, RK3, RK4, BS32, DP54)


BACKWARD_EULER = Tableau("backward_euler", 1, _rows("1"), _row("1"), "Cauchy 1824")
CRANK_NICOLSON = Tableau("crank_nicolson", 2, _rows("0; 1/2 1/2"), _row("1/2 1/2"), "Crank, Nicolson 1947")


def _trbdf2() -> Tableau:
    root = _square_root(2)
    gamma, w = 2 - root, root / 4
    d = gamma / 2
    b = (w, w, d)
    third = ((1 - w) / 3, (3 * w + 1) / 3, d / 3)
    a: tuple[Row, ...] = ((Fraction(0),), (d, d), b)
    source = "Bank et al. 1985; Hosea, Shampine, Appl. Numer. Math. 20 (1996)"
    return Tableau("trbdf2", 2, a, b, source, error=_difference(b, third), error_order=3)


TRBDF2 = _trbdf2()
DIAGONALLY_IMPLICIT = (BACKWARD_EULER, CRANK_NICOLSON, TRBDF2)


@dataclass(frozen=True)
class RosenbrockTableau:
    """Rosenbrock-Wanner method in the form without products by the Jacobian J:

    (1 - gamma dt J) U_i = gamma (dt f(t + alpha_i dt, y + sum_j a_ij U_j) + sum_j c_ij U_j + g_i dt^2 f_t), y' = y + sum_i m_i U_i.
    The error estimate is sum_i e_i U_i, of order `error_order` in dt. All four methods here are L-stable.
    """

    name: str
    order: int
    gamma: Fraction
    a: tuple[Row, ...]
    c: tuple[Row, ...]
    alpha: Row
    g: Row
    m: Row
    error: Row
    error_order: int
    source: str

    @property
    def stages(self) -> int:
        return len(self.m)


RODAS3 = RosenbrockTableau(
    "rodas3",
    3,
    Fraction(1, 2),
    _rows("; 0; 2 0; 2 0 1"),
    _rows("; 4; 1 -1; 1 -1 -8/3"),
    _row("0 0 1 1"),
    _row("1/2 3/2 0 0"),
    _row("2 0 1 1"),
    _row("0 0 0 1"),
    3,
    "Sandu et al., Atmos. Environ. 31 (1997)",
)
_RODAS4P2_LAST = "7.089566927282776 4.573591406461604 -8.423496976860259 -0.959280113459775"
RODAS4P = RosenbrockTableau(
    "rodas4p",
    4,
    Fraction(1, 4),
    _rows(
        "; 3; 0.906377755268814 -0.189707390391685; 3.758617027739064 1.161741776019525 -0.849258085312803;"
        f"{_RODAS4P2_LAST}; {_RODAS4P2_LAST} 1"
    ),
    _rows(
        "; -12; -6.354581592719008 0.338972550544623; -8.575016317114033 -7.606483992117508 12.22499765012482;"
        "-5.888975457523102 -8.157396617841821 24.805546872612922 12.790401512796979;"
        "-4.408651676063871 -6.692003137674639 24.625568527593117 16.627521966636085 -5.714285714285718"
    ),
    _row("0 0.75 0.321448134013046 0.519745732277726 1 1"),
    _row("0.25 -0.5 -0.189532918363016 0.085612108792769 0 0"),
    _row(f"{_RODAS4P2_LAST} 1 1"),
    _row("0 0 0 0 0 1"),
    4,
    "Steinebach, Improvement of Rosenbrock-Wanner method RODASP, 2020 (RODASP2)",
)
_RODAS5P_LAST = "-7.502846399306121 2.561846144803919 -11.627539656261098 -0.18268767659942256 0.030198172008377946"
RODAS5P = RosenbrockTableau(
    "rodas5p",
    5,
    Fraction("0.21193756319429014"),
    _rows(
        "; 3; 2.849394379747939 0.45842242204463923; -6.954028509809101 2.489845061869568 -10.358996098473584;"
        "2.8029986275628964 0.5072464736228206 -0.3988312541770524 -0.04721187230404641;"
        f"{_RODAS5P_LAST}; {_RODAS5P_LAST} 1; {_RODAS5P_LAST} 1 1"
    ),
    _rows(
        "; -14.155112264123755; -17.97296035885952 -2.859693295451294; 147.12150275711716 -1.41221402718213 71.68940251302358;"
        "165.43517024871676 -0.4592823456491126 42.90938336958603 -5.961986721573306;"
        "24.854864614690072 -3.0009227002832186 47.4931110020768 5.5814197821558125 -0.6610691825249471;"
        "30.91273214028599 -3.1208243349937974 77.79954646070892 34.28646028294783 -19.097331116725623 -28.087943162872662;"
        "37.80277123390563 -3.2571969029072276 112.26918849496327 66.9347231244047 -40.06618937091002 -54.66780262877968 -9.48861652309627"
    ),
    _row("0 0.6358126895828704 0.4095798393397535 0.9769306725060716 0.4288403609558664 1 1 1"),
    _row("0.21193756319429014 -0.42387512638858027 -0.3384627126235924 1.8046452872882734 2.325825639765069 0 0 0"),
    _row(f"{_RODAS5P_LAST} 1 1 1"),
    _row("0 0 0 0 0 0 0 1"),
    5,
    "Steinebach, BIT 63 (2023), Construction of Rosenbrock-Wanner method Rodas5P",
)
ROSENBROCK = (RODAS3, RODAS4P, RODAS5P)
