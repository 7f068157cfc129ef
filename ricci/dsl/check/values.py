"""What an expression of a model is while it is checked: terms with a unit, a declared order of axes and a rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ricci.dsl.model import Load, Unit
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.dsl.units import NUMBER, Powers

if TYPE_CHECKING:
    from ricci.dsl import tree
    from ricci.dsl.check.context import Side
    from ricci.dsl.check.scope import Scope
    from ricci.errors import Span

Data = Any  # Term, or a tuple of Data: one entry per component


@dataclass(frozen=True)
class Value:
    """A quantity. `unit` None fits every unit (`0`, `inf`); `order` None has no declared order of axes.

    `labels` are the names of the components (`x`, `y`) of every rank; `edge` says what is read outside an axis
    (`fill`, `wrap`, `clamp`, `mirror`, or "" where that is an error); `shown` is the unit the user wrote.
    """

    data: Data
    unit: Powers | None = NUMBER
    order: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    edge: str = ""
    shown: Unit | None = None
    family: int = 0  # how many axes of `order` are family indices, before the coordinates
    points: Fraction = Fraction(0)  # how many temperatures on a scale with an offset were added up (degC)
    origin: Span | None = None  # the declaration

    @property
    def rank(self) -> int:
        return rank(self.data)

    @property
    def term(self) -> Term:
        assert isinstance(self.data, Term)
        return self.data

    @property
    def axes(self) -> dict[str, Size]:
        return {name: size for leaf in leaves(self.data) for name, size in leaf.axes.items()}

    @property
    def kind(self) -> Kind:
        return max((leaf.kind for leaf in leaves(self.data)), default=Kind.REAL)


@dataclass(frozen=True)
class Axis:
    """A named index range (`dim b`, or a coordinate): an index inside brackets, its value as a number elsewhere."""

    name: str
    size: Size
    span: Span | None
    coordinate: bool = False
    periodic: bool = False
    unit: Powers = NUMBER


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Layered:
    """A layer that can be called. `depth` > 1: composed with itself. `function` is None while only its signature is known.

    `plain` is the function of dense weights. `dense`: its operations are those of `plain` (`dense(L)`); its values are the same.
    """

    name: str
    inputs: tuple[tuple[str, tuple[str, ...]], ...]
    outputs: tuple[tuple[str, tuple[str, ...]], ...]
    sizes: tuple[tuple[str, Size], ...]
    function: Any = None
    plain: Any = None
    dense: bool = False
    depth: int = 1
    kind: Kind = Kind.REAL


@dataclass(frozen=True)
class DataSet:
    """A data set: arrays with named axes, by name; `rows` is the axis that a slice takes."""

    name: str
    members: tuple[tuple[str, tuple[str, ...]], ...]
    rows: str
    sizes: tuple[tuple[str, Size], ...]


@dataclass(frozen=True)
class Network:
    """A tensor network (`mps`, `mpo`) over the axis `site`."""

    name: str
    structure: str
    site: str


@dataclass(frozen=True)
class SiteOperator:
    """A named operator on one site of a network: `Sz[j]`."""

    name: str


@dataclass(frozen=True)
class Namespace:
    """Members by name: a module, a nested model, the result of a `solve`."""

    name: str
    word: str
    members: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A named thing with arguments that is no number: a shape, a receiver line, a covariance."""

    name: str
    word: str


@dataclass(frozen=True)
class Loaded:
    """`load(...)`: data that enters at run time."""

    load: Load
    members: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Sided:
    """`let q = -k*dn(T)`: a definition with the outward normal in it, read anew at every side; `example` is its value at one."""

    name: str
    example: Value
    at: Callable[[Side], Value]


@dataclass(frozen=True)
class Procedure:
    """`fn name(parameters) = body`, evaluated anew at every call. `levels`: how deep the body is nested."""

    name: str
    parameters: tuple[str, ...]
    body: tree.Expr
    scope: Scope
    levels: int = 1


def rank(data: Data) -> int:
    """0 for a scalar, 1 for a vector, 2 for a tensor."""
    return 0 if isinstance(data, Term) else 1 + rank(data[0])


def leaves(data: Data) -> list[Term]:
    """The scalar components in order."""
    return [data] if isinstance(data, Term) else [leaf for part in data for leaf in leaves(part)]


def shape(data: Data) -> tuple[int, ...]:
    return () if isinstance(data, Term) else (len(data), *shape(data[0]))


def mapped(function: Callable[..., Term], *data: Data) -> Data:
    """Apply a function of scalars to every component; all arguments have one shape."""
    if isinstance(data[0], Term):
        return function(*data)
    return tuple(mapped(function, *parts) for parts in zip(*data, strict=True))


def paths(data: Data, labels: tuple[str, ...]) -> list[tuple[tuple[str, ...], Term]]:
    """Components with the labels that lead to them: ((), t) for a scalar, (("x",), t) for a vector."""
    if isinstance(data, Term):
        return [((), data)]
    names = labels if len(labels) == len(data) else tuple(str(i + 1) for i in range(len(data)))
    return [((name, *rest), leaf) for name, part in zip(names, data, strict=True) for rest, leaf in paths(part, labels)]
