"""`Program`: what `discretize` promises and every later stage keeps. Named closed functions of terms, no derivative in space left.

Functions of a PDE or ODE program (all take `params` and coordinates' bounds as symbols; `t` is the symbol `t`):
- `initial`: params -> states
- `rhs`: (t, states, params) -> one time derivative per state, result names = state names
- `rhs_tangent`: (t, states, params, one direction symbol `d:NAME` per state) -> directional derivative of rhs (derive)
- `rhs_time`: (t, states, params) -> partial derivative of rhs with respect to t (derive)
- `advance`: (t, ctl:*, scale:*, states, params) -> the same ones anew, and counters (lowering/integrate documents the names)
- `final`: (t, states, params) -> every field of the model on its full axes, result names = field names
- `output:I`, `plot:I`: (t, states, params) -> the quantities of the I-th output or plot, result names = their labels
- `snapshot:K`: (t, states, params) -> values that checks need of one instant, result names = the symbols that stand for them (`@K:J`)
- `check:I`: (t, states at the end, snapshot symbols, params) -> `left:J`, `right:J` of its J-th comparison, `holds`, and
  `possible`: true where only a NaN in a comparison keeps it from holding
- `event:K`: (t, states, params) -> margin; `apply:K`: (t, states, params) -> states
Definitions that are computed on their own (`let:NAME`; `driver.together` makes one function `let:*` of them) and layers have functions, too; `output:I`, `plot:I` and `check:I` take what came out
as symbols `NAME` and `LAYER.OUTPUT`. A program without states has no instants, and its functions take no t and no states.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ricci.dsl.model import Equality, Load, Unit
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Dim
from ricci.errors import Span


@dataclass(frozen=True)
class State:
    """One array that is integrated in time. `field` is the model's field, `time_order` 1 for the velocity of dtt.

    States of one `unit` share a scale when the initial data of one of them vanish. `shown` is the unit that users see.
    """

    name: str
    symbol: Term
    field: str
    time_order: int = 0
    unit: Unit = Unit()
    shown: Unit = Unit()


@dataclass(frozen=True)
class Argument:
    """An input besides states: role param | bound | weight | data; `value`: default Term (closed), number, Load or None.

    `known_as` is what users call it where that is another name: `u` for the data of `initial u`, which are `initial:u`.
    `layer` is the layer that it belongs to; `fan` the number of products that an entry of a drawn weight is summed over (0: not said).
    """

    name: str
    symbol: Term
    role: str
    value: Any = None
    order: tuple[str, ...] = ()
    unit: Unit = Unit()
    known_as: str = ""
    span: Span | None = None
    layer: str = ""
    fan: int = 0

    @property
    def called(self) -> str:
        """Its name in messages, in files and for `--input`."""
        return self.known_as or self.name

    @property
    def names(self) -> tuple[str, str]:
        """The names that its data may have: in full, or without the layer or model that it belongs to."""
        if self.role == "weight":
            return self.called, self.called.removeprefix(f"{self.layer}.")
        return self.called, self.called.rpartition(".")[2]


@dataclass(frozen=True)
class Point:
    """A place that `text` looks at along a coordinate: `value` lies in lo..hi, all terms of arguments. Periodic coordinates have every place."""

    coordinate: str
    value: Term
    lo: Term
    hi: Term
    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Instant:
    """`function` (`snapshot:K`, `output:I`, `plot:I`) is evaluated when t reaches `time` (a term of params; None: the end;
    "start": before the first step) or, if `every` is given, at 0, every, 2*every, ... `check:I` and `final` are evaluated at the end."""

    function: str
    time: Term | str | None
    every: Term | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Choice:
    """A numerical decision and its reason, printed by `explain`: ("time", "rodas4p", "the equation of `T` is stiff ...")."""

    what: str
    value: str
    reason: str


@dataclass(frozen=True)
class Program:
    name: str
    functions: dict[str, Function]
    states: tuple[State, ...] = ()
    arguments: tuple[Argument, ...] = ()
    instants: tuple[Instant, ...] = ()
    dims: dict[str, Dim] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # sizes fixed by the model or its grid
    end: Term | None = None  # the time to run to (a term of params); None for a program without time
    tolerance: float = 1e-4  # `tol`
    coordinates: dict[str, Term] = field(default_factory=dict)  # axis of the full grid -> positions of its points (term over that axis)
    choices: tuple[Choice, ...] = ()
    origins: dict[Term, str] = field(default_factory=dict)  # term -> source line, for comments in generated code
    units: dict[str, Unit] = field(default_factory=dict)  # of the coordinates
    points: tuple[Point, ...] = ()  # places that must lie inside of the domain, looked at when the arguments are known
    statement: Span | None = None  # the `solve` that is run, for remedies
    time_unit: Unit = Unit()
    counts: dict[str, Function] = field(default_factory=dict)  # `flops(L)`, a symbol of functions here -> what is counted
    rules: tuple[Equality, ...] = ()  # of the model, for the optimizer
    bits: int = 64  # of the reals in arrays of generated code

    def with_functions(self, new: dict[str, Function]) -> Program:
        return replace(self, functions={**self.functions, **new})


__all__ = ["Argument", "Choice", "Instant", "Load", "Point", "Program", "State"]
