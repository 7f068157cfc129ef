"""`Model`: what `check` promises. Names resolved, axes and units right, conditions counted; all terms typed, in SI units.

Terms here may use the model-level operators `partial`, `at`, `integral` (dsl/build.py). A field on a domain is a symbol
whose axes are its coordinates (sizes are the dims of the grid: axis `x` has size `Dim("x")`) and its family indices.
Vector and tensor fields are scalar fields, one per component, named `u.x`, `u.y` (`u.x.x` for rank 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ricci.dsl.term import Function, Term
from ricci.dsl.types import Dim, Size
from ricci.errors import Diagnostic, Span

if TYPE_CHECKING:
    from ricci.dsl.structures.base import Structure


@dataclass(frozen=True)
class Unit:
    """Exact SI meaning of a unit: value_SI = factor*value + offset; `powers` over SI base units; `text` as the user wrote it."""

    factor: Fraction | float = Fraction(1)
    powers: tuple[tuple[str, Fraction], ...] = ()
    text: str = ""
    offset: Fraction = Fraction(0)  # not zero for temperature scales (degC) only


@dataclass(frozen=True)
class Coordinate:
    """`name in lo..hi`; bounds are terms without axes (numbers, params)."""

    name: str
    lo: Term
    hi: Term
    periodic: bool
    unit: Unit
    span: Span | None = None


@dataclass(frozen=True)
class Domain:
    name: str
    coordinates: tuple[Coordinate, ...]


@dataclass(frozen=True)
class Field:
    """One scalar unknown (a component of a vector field is a Field of its own). `symbol` has coordinates and family axes."""

    name: str
    symbol: Term
    domain: str | None
    order: tuple[str, ...]  # declared order of axes: family indices, then coordinates
    unit: Unit
    of: str = ""  # the vector field this is a component of
    span: Span | None = None


LAST = "last"  # of the times of a file


@dataclass(frozen=True)
class Load:
    """Data that enters at run time: `load("file.npz", key="T", t=last)`, of a data set `load("file.npz", x=[b, d])`.

    `keys`: an axis list, a text, or for `t` the time in SI units or `LAST`.
    """

    path: str
    keys: tuple[tuple[str, Any], ...] = ()
    span: Span | None = None


@dataclass(frozen=True)
class Param:
    """A run-time argument. `value` is its default as a term (over coordinates if it is a field), a Load, or None (must be given)."""

    name: str
    symbol: Term
    order: tuple[str, ...]
    value: Term | Load | None
    bounds: tuple[Term, Term] | None
    unit: Unit
    constant: bool = False  # declared with `const`
    span: Span | None = None


@dataclass(frozen=True)
class Equation:
    """`residual == 0` determines field `determines`, whose time derivative of order `time_order` (0: algebraic) occurs in it.

    `family` are the free indices the equation holds for. `text` is the source line, for comments and messages. `summands()` are
    what is added up on its sides, as (text, term), read when a run fails and has to say what has become too large.
    """

    name: str
    residual: Term
    determines: str
    time_order: int
    family: tuple[str, ...]
    text: str
    span: Span | None = None
    summands: Callable[[], tuple[tuple[str, Term], ...]] = field(default=tuple, compare=False, repr=False)


@dataclass(frozen=True)
class Condition:
    """A boundary condition `residual == 0` of one scalar field on one side; `dn` is already the signed partial derivative."""

    field: str
    coordinate: str
    side: str  # "lo" | "hi"
    residual: Term
    text: str
    rank: int = 0  # order of the statement in the source: at corners the later wins
    span: Span | None = None


@dataclass(frozen=True)
class Initial:
    """Value of a field (or of its time derivative of order `time_order`) at the start; a term over its axes or a Load."""

    field: str
    time_order: int
    value: Term | Load
    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Event:
    """When `margin` crosses zero upwards (the condition becomes true), assign in order, all at the same instant."""

    condition: Term  # bool, no axes
    margin: Term  # real, no axes: > 0 when the condition holds
    assignments: tuple[tuple[str, Term], ...]  # field name -> new value
    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Comparison:
    """`left op right` inside a check; `op` one of < <= > >= == != ~."""

    left: Term
    op: str
    right: Term
    unit: Unit
    text: str


@dataclass(frozen=True)
class Equality:
    """`rule name: left -> right when ...`: left = right wherever the facts of `given` hold; `both`: read from right to left too.

    Symbols without axes are variables: they stand for any value. `source` and `line` are where it stands.
    """

    name: str
    left: Term
    right: Term
    both: bool
    given: tuple[tuple[str, Term], ...]
    source: str
    line: int
    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Check:
    """Conjunction of comparisons (`condition` is the whole bool term when the check is not a plain conjunction)."""

    text: str
    comparisons: tuple[Comparison, ...]
    condition: Term
    span: Span | None = None


@dataclass(frozen=True)
class Option:
    """One entry of `solve { name: arguments }`: positional arguments and keyword arguments as checked values."""

    name: str
    arguments: tuple[Any, ...] = ()  # Term | Call | str
    keywords: tuple[tuple[str, Any], ...] = ()
    span: Span | None = None


@dataclass(frozen=True)
class Call:
    """A named choice with arguments inside an option: `rk4(dt=0.1)`, `fd(order=4)`, `steady(1e-8)`."""

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()
    span: Span | None = None


@dataclass(frozen=True)
class Solve:
    name: str
    goal: str  # "" (integrate or solve the equations) | minimize | maximize | find | eigen
    options: tuple[Option, ...]
    span: Span | None = None

    def option(self, name: str) -> Option | None:
        return next((o for o in self.options if o.name == name), None)


@dataclass(frozen=True)
class Quantity:
    """A named value to observe: label as written, term, unit, declared order of its axes; of a definition its source line."""

    label: str
    term: Term
    unit: Unit
    order: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True)
class Output:
    """`output ... every dt to "path"` or `at t1, t2`; both None: at the end."""

    quantities: tuple[Quantity, ...]
    every: Term | None
    at: tuple[Term, ...]
    path: str
    span: Span | None = None


@dataclass(frozen=True)
class Plot:
    """One picture. Several quantities have no axes; `over_time`: they are drawn over the whole run, and one with an index, too."""

    quantities: tuple[Quantity, ...]
    at: tuple[Term, ...]
    path: str | None
    span: Span | None = None
    over_time: bool = False


@dataclass(frozen=True)
class Weight:
    """A tensor of a layer (or a top-level tensor), or a core of a structured one.

    `value` is a Load or a closed term; without one the weight is given from outside or drawn from the seed: with variance
    1/`fan`, 0 being the product of all extents but the first.
    """

    name: str
    symbol: Term
    order: tuple[str, ...]
    span: Span | None = None
    value: Load | Term | None = None
    unit: Unit = Unit()
    fan: int = 0


@dataclass(frozen=True)
class Structured:
    """A tensor that an annotation defines: `expansion` is what `symbol` stands for, a term of the cores' symbols."""

    name: str
    symbol: Term
    order: tuple[str, ...]
    structure: Structure
    cores: tuple[Weight, ...]
    expansion: Term
    span: Span | None = None


@dataclass(frozen=True)
class Layer:
    """A pure function. `function.params` = inputs then weights; orders are the declared orders of inputs and outputs.

    `weights` are all arrays that it needs, cores of `structured` weights among them; `plain` is the function of the dense weights.
    """

    name: str
    function: Function
    inputs: tuple[tuple[str, tuple[str, ...]], ...]
    outputs: tuple[tuple[str, tuple[str, ...]], ...]
    weights: tuple[Weight, ...]
    plain: Function
    structured: tuple[Structured, ...] = ()
    span: Span | None = None


@dataclass(frozen=True)
class Unsupported:
    """A statement that is understood and typed, and that this version cannot run: `run` stops with E0601 and names it."""

    what: str  # in the user's words: "the spectral space `fourier`"
    span: Span | None = None


@dataclass
class Model:
    name: str
    text: str  # canonical text
    source: Any  # errors.Source
    dims: dict[str, Dim] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)  # axis name -> size (fixed or symbolic)
    domains: dict[str, Domain] = field(default_factory=dict)
    fields: dict[str, Field] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    initials: list[Initial] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lets: dict[str, Quantity] = field(default_factory=dict)  # let R[...] = ... of tensors: computed by `run`
    tensors: dict[str, Weight] = field(default_factory=dict)
    structured: dict[str, Structured] = field(default_factory=dict)  # top-level tensors; their cores are among `tensors`
    layers: dict[str, Layer] = field(default_factory=dict)
    counts: dict[str, Function] = field(default_factory=dict)  # `flops(L)` -> what is counted; a symbol of this name is the number
    solves: list[Solve] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    rules: list[Equality] = field(default_factory=list)
    unsupported: list[Unsupported] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    spans: Mapping[Term, frozenset[Span]] = field(default_factory=dict)  # origins of terms
    uses_units: bool = False
    time_unit: Unit = Unit()


__all__ = [name for name in dir() if name[0].isupper() and name not in {"Any", "Mapping", "Kind"}]
