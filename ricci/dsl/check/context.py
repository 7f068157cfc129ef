"""State of one check: what is collected, and the surroundings of the expression that is being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ricci.dsl import build, tree
from ricci.dsl.check.scope import Failed, Scope
from ricci.dsl.check.values import Axis, Procedure, Value, leaves
from ricci.dsl.model import Domain, Model, Quantity, Structured, Unsupported, Weight
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, Type, equal
from ricci.dsl.units import NUMBER, Powers, Units
from ricci.errors import CheckFailed, Diagnostics, Source, Span

if TYPE_CHECKING:
    from ricci.dsl.check.applied import Applied, Rule
    from ricci.dsl.check.recurrence import Recurrence


ANNOTATIONS = frozenset(
    [
        "tol",
        "dtype",
        "implicit",
        "explicit",
        "at",
        "pml",
        "memory",
        "mesh",
        "shard",
        "layout",
        "lowrank",
        "kron",
        "tucker",
        "tt",
        "btt",
        "monarch",
        "blockdiag",
        "circulant",
        "diaglowrank",
        "sparse",
        "noopt",
        "exact",
    ]
)


class Restart(Exception):
    """Two sizes were found equal: the check begins anew knowing it, so that every term carries one size."""


@dataclass(eq=False)
class Checker:
    """What one check of a text collects. `equalities`: dims that are known to be another size."""

    source: Source
    model: Model
    diagnostics: Diagnostics
    equalities: dict[str, Size]
    units: Units = field(default_factory=Units)
    spans: dict[Term, set[Span]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    unsupported: dict[tuple[str, int], Unsupported] = field(default_factory=dict)
    operators: Mapping[str, Rule] = field(default_factory=dict)
    derivative: Callable[[str, Context], Rule | None] = lambda name, context: None
    folder: str = ""
    tolerance: Fraction = Fraction(1, 10**4)
    time_unit: Powers = NUMBER
    numbers: dict[str, Quantity] = field(default_factory=dict)  # definitions made of numbers and params alone
    started: frozenset[str] = frozenset()  # fields with an initial value
    draws: dict[tree.Node, int] = field(default_factory=dict)
    called: Mapping[str, Span] = field(default_factory=dict)  # names that stand before parentheses
    holes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # named sides of a domain that are no ends of a coordinate
    weights: list[Weight] = field(default_factory=list)  # of the layer being read
    structured: list[Structured] = field(default_factory=list)  # of them, what is made of others
    modules: dict[str, object] = field(default_factory=dict)
    traits: dict[Term, int] = field(default_factory=dict)  # what occurs in a term (quantities.py)
    silent: int = 0  # statements that were not read because of what is wrong elsewhere
    physics_broken: bool = False  # an equation, condition or what they need is wrong: nothing is known of unknowns and time
    lost_domains: set[str] = field(default_factory=set)  # named, but not declared: their coordinates are not known

    def operator(self, name: str, context: Context) -> Rule | None:
        """The operator of this name; `dxx` and the like exist for every coordinate of the model."""
        return self.operators.get(name) or self.derivative(name, context)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One statement: its error is recorded, and the next statement is read. One that needs what is wrong elsewhere is silent."""
        try:
            yield
        except CheckFailed as failure:
            self.diagnostics.absorb(failure)
        except Failed:
            self.silent += 1

    def annotation(self, note: tree.Annotation) -> None:
        """An annotation beside a statement: E0104 for an unknown one; those that have no effect yet are noted."""
        if note.name.id not in ANNOTATIONS:
            guess = nearest(note.name.id, ANNOTATIONS)
            label = f"did you mean `@{guess}`?" if guess else f"there are {', '.join(sorted(ANNOTATIONS))}"
            raise error("E0104", f"there is no annotation `@{note.name.id}`", note.name, label=label)
        if note.name.id != "noopt":
            self.lacking(f"the annotation `@{note.name.id}`", note.span)

    def lacking(self, what: str, span: Span | None) -> None:
        """Note that the statement at `span` is understood but cannot be run yet."""
        key = (what, span.start if span else -1)
        self.unsupported.setdefault(key, Unsupported(what, span))

    def place_of_draw(self, node: tree.Node) -> int:
        """The number of a random draw in the order of the text: two draws give different numbers, spaces change none."""
        return self.draws.setdefault(node, len(self.draws))

    def fresh(self, stem: str) -> str:
        """A name that no user can write."""
        self.counters[stem] = self.counters.get(stem, 0) + 1
        return f"{stem}:{self.counters[stem]}"

    def mark(self, value: Value, span: Span) -> Value:
        """Remember where the terms of a value come from."""
        for leaf in leaves(value.data):
            self.spans.setdefault(leaf, set()).add(span)
        return value

    def same_size(self, a: Size, b: Size) -> bool:
        """Whether two sizes are equal; a free dim is made equal to the other size, and the check begins anew."""
        known = equal(a, b)
        if known is not None:
            return known
        grids = {c.name for d in self.model.domains.values() for c in d.coordinates}
        for one, other in ((a, b), (b, a)):
            dims = list(one.dims)
            free = len(dims) == 1 and one is Size.of(dims[0]) and dims[0] not in other.dims and dims[0].name not in grids
            if free and not any(d.name in grids for d in other.dims):
                self.equalities[dims[0].name] = other
                raise Restart
        return False

    def equation_for(self, name: str) -> str:
        """A remedy for an unknown without an equation: it stays as it starts, or is nothing."""
        return f"equation dt({name}) = 0" if name in self.started else f"equation {name} = 0"

    def placeholder(self, stem: str, kind: Kind, axes: dict[str, Size]) -> Term:
        """A typed symbol that stands for what cannot be computed yet."""
        return build.symbol(self.fresh(stem), Type(kind, axes))


@dataclass(frozen=True)
class Side:
    """One end of one coordinate."""

    coordinate: str
    end: str  # lo | hi

    @property
    def text(self) -> str:
        return f"{self.coordinate}.{self.end}"


@dataclass(frozen=True)
class Context:
    """Surroundings of an expression. `free`: indices that are not summed (on the left, or bound by an operator around).

    `side`: the side a boundary statement is about, which `dn` and `n` need. `sums`: products over which an index is summed.
    `indices`: the meaning of index names that are neither dims nor coordinates (`j in 0..n`).
    """

    checker: Checker
    scope: Scope
    free: frozenset[str] = frozenset()
    side: Side | None = None
    domain: Domain | None = None
    sums: dict[tree.Node, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[tree.Node, frozenset[str]] = field(default_factory=dict)
    calls: dict[tree.Node, Applied] = field(default_factory=dict)
    indices: tuple[tuple[str, Axis], ...] = ()
    recurrence: Recurrence | None = None
    statement: Span | None = None
    draws: tuple[tuple[str, Size], ...] | None = None  # axes of random numbers, where they may stand
    procedures: tuple[Procedure, ...] = ()  # the functions that are being called, the outermost first
    guarded: bool = False  # inside of a case of `if`: what has no value may never be taken

    def binding(self, *names: str) -> Context:
        """The same surroundings where `names` are bound."""
        return replace(self, free=self.free | set(names))

    def calling(self, procedure: Procedure, scope: Scope) -> Context:
        """For the body of a function, which is read anew at every call."""
        return replace(self, scope=scope, sums={}, seen={}, calls={}, procedures=(*self.procedures, procedure))

    def lacking(self, what: str, span: Span) -> None:
        self.checker.lacking(what, self.statement or span)


def error(
    code: str,
    message: str,
    at: tree.Node | Span | None,
    label: str = "",
    help: str = "",
    notes: tuple[str, ...] = (),
    edits: tuple[tuple[Span, str], ...] = (),
) -> CheckFailed:
    """A message about one place of the text. `edits` that could mend it are tried (mending.py), `help` is shown as it is."""
    span = at.span if isinstance(at, tree.Node) else at
    return CheckFailed(code, message, span, label=label, help=help, notes=notes, edits=edits)


def settled(context: Context, *names: str, space: bool = False) -> None:
    """To be called before a name is said to be unknown: raises `Failed` where another mistake, which has its message, is the cause.

    That is a wrong declaration of one of the names or, where coordinates or sides are at issue (`space`), of a domain.
    """
    for name in names:
        declaration = context.scope.find(name) or context.scope.side(name)
        if declaration is not None:
            declaration.resolve()
    if space and (context.checker.lost_domains or any(d.word == "domain" and d.state == "failed" for d in context.scope.all())):
        raise Failed("domain")


def lookup_axis(context: Context, name: str) -> Axis | None:
    """The index range that `name` means, primes included: `h'` ranges over `h`."""
    for known, axis in reversed(context.indices):
        if known == name:
            return axis
    stem = name
    while True:
        declaration = context.scope.find(stem)
        if declaration is not None:
            entity = declaration.resolve()
            if isinstance(entity, Axis):
                return entity if stem == name else replace(entity, name=name)
            return None
        if not stem.endswith("'"):
            return None
        stem = stem[:-1]
