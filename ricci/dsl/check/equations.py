"""Equations and reactions, and which equation determines which unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

from ricci.dsl import build, tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import agree_axes, numeric, plain_axes, rank_word, short, with_zeros
from ricci.dsl.check.context import Checker, Context, error
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.definitions import refuse_lone
from ricci.dsl.check.edits import either_unit
from ricci.dsl.check.expressions import scalar_of, value_of
from ricci.dsl.check.values import Value, paths, shape
from ricci.dsl.formulas import explicit_formulas, is_explicit
from ricci.dsl.model import Equation, Field
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term, substitute, walk
from ricci.dsl.types import Kind
from ricci.dsl.units import NUMBER, Powers, multiply, over, raised
from ricci.errors import Span

TIME = "t"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One scalar equation, not yet matched to an unknown."""

    name: str
    residual: Term
    family: tuple[str, ...]
    text: str
    span: Span
    summands: Callable[[], tuple[tuple[str, Term], ...]] = tuple


def real(term: Term) -> Term:
    return build.cast(term, Kind.REAL) if term.kind < Kind.REAL else term


def two_sides(
    left: Value, right: Value, statement: tree.Node, nodes: Sequence[tree.Expr], context: Context, what: str
) -> list[tuple[tuple[str, ...], Term]]:
    """left - right by component; units, ranks and axes agree."""
    words = context.checker.units.words
    if left.unit is not None and right.unit is not None and left.unit != right.unit:
        raise error(
            "E0401",
            f"the two sides of {what} have different units",
            nodes[1],
            label=f"{words(right.unit)}, but `{short(nodes[0])}` is {words(left.unit)}",
            edits=either_unit(nodes[1], right.unit, nodes[0], left.unit, context),
            notes=plain_axes(left, right, context),
        )
    left, right = with_zeros([left, right])
    if shape(left.data) != shape(right.data):
        mine = f"a {rank_word(right.rank)}" if left.rank != right.rank else f"{len(right.data)} components"
        other = f"a {rank_word(left.rank)}" if left.rank != right.rank else f"{len(left.data)} components"
        raise error("E0206", f"the two sides of {what} differ in rank", nodes[1], label=f"{mine}, but `{short(nodes[0])}` is {other}")
    agree_axes([left, right], nodes, context)
    labels = left.labels or right.labels
    pairs = zip(paths(left.data, labels), paths(right.data, labels), strict=True)
    return [(path, build.sub(real(a), real(b))) for (path, a), (_, b) in pairs]


def read_equation(statement: tree.Equation, declarer: Declarer) -> list[Candidate]:
    """Both sides are one set of terms; a vector equation is one for each component."""
    context = declarer.context(statement)
    sides = (statement.left, statement.right)
    if statement.items:
        family = set(declarer.indices_of(statement.items, context))
    else:
        family = set()
        for side in sides:
            scout = replace(context, sums={})
            indices.plan(side, scout, lambda index, where: family.add(index), coordinates=False)
    inner = replace(context, free=frozenset(family))
    for side in sides:
        indices.plan(side, inner, refuse_lone, coordinates=False)
    left, right = (numeric(value_of(side, inner), side) for side in sides)
    name = statement.name.id if statement.name else f"line {statement.span.line}"
    shown = f"`{name}`" if statement.name else "this equation"
    text = " ".join(statement.span.text.split())
    out: list[Candidate] = []
    for path, residual in two_sides(left, right, statement, sides, inner, shown):
        if any(c.residual is residual for c in out):  # the other half of a symmetric tensor
            continue
        family |= {a for a in residual.axes if not indices.is_coordinate(a, context)}
        declarer.checker.spans.setdefault(residual, set()).add(statement.span)
        summands = partial(_summands, sides, path, inner)
        out.append(Candidate(".".join((name, *path)), residual, tuple(sorted(family)), text, statement.span, summands))
    return out


def _summands(sides: Sequence[tree.Expr], path: tuple[str, ...], context: Context) -> tuple[tuple[str, Term], ...]:
    """What is added up on the sides of an equation, as (text, term of the component)."""
    out = []
    for side in sides:
        parts = side.operands if isinstance(side, tree.Sum) else (side,)
        signs = ("+", *side.operators) if isinstance(side, tree.Sum) else ("+",)
        for sign, part in zip(signs, parts, strict=True):
            value = value_of(part, context)
            term = next((t for p, t in paths(value.data, value.labels) if p == path), None)
            if term is not None:
                text = " ".join(part.span.text.split())
                out.append((text if sign == "+" else f"-{text}", real(term) if sign == "+" else build.neg(real(term))))
    return tuple(out)


# ---------------------------------------------------------------------------------------------------------------------
# reactions


def read_reactions(statements: Sequence[tree.Reaction], declarer: Declarer) -> list[Candidate]:
    """dt(species) = sum of stoichiometric number * speed, one equation for each species that reacts."""
    changes: dict[str, list[tuple[int, Term, str]]] = {}
    first: dict[str, tree.Reaction] = {}
    for statement in statements:
        with declarer.checker.attempt():
            for name, number, speed in _reaction(statement, declarer):
                changes.setdefault(name, []).append((number, speed, " ".join(statement.span.text.split())))
                first.setdefault(name, statement)
    out = []
    for name, parts in changes.items():
        symbol = declarer.model.fields[name].symbol
        residual = build.sub(build.partial(symbol, TIME, 1), real(build.linear([(number, speed) for number, speed, _ in parts])))
        statement = first[name]
        summands = tuple((text, real(build.scale(number, speed))) for number, speed, text in parts)
        text = " ".join(statement.span.text.split())
        out.append(Candidate(f"reactions of {name}", residual, (), text, statement.span, partial(tuple, summands)))
    return out


def _reaction(statement: tree.Reaction, declarer: Declarer) -> list[tuple[str, int, Term]]:
    context = declarer.context(statement)
    left, right = _species(statement.left, declarer), _species(statement.right, declarer)
    needed = 2 if statement.arrow == "<->" else 1
    if len(statement.rates) != needed:
        code = "E0301" if len(statement.rates) < needed else "E0302"
        label = "one forward and one backward" if needed == 2 else "write <-> for a reaction that goes both ways"
        raise error(
            code,
            f"`{statement.arrow}` takes {needed} rate{'s' if needed > 1 else ''}, {len(statement.rates)} given",
            statement.rates[-1],
            label=label,
        )
    speed = _speed(statement.rates[0], left, right, context)
    if needed == 2:
        speed = build.sub(speed, _speed(statement.rates[1], right, left, context))
    names = dict.fromkeys([*left, *right])
    return [(n, net, speed) for n in names if (net := right.get(n, 0) - left.get(n, 0))]


def _species(node: tree.Expr, declarer: Declarer) -> dict[str, int]:
    """`2*A + B` as stoichiometric numbers; `0` is nothing."""
    found: dict[str, int] = {}
    for sign, part in node.signed if isinstance(node, tree.Sum) else ((1, node),):
        count, name = Fraction(1), part
        if isinstance(part, tree.Product) and part.operators == ("*",) and isinstance(part.operands[0], tree.Number):
            count, name = part.operands[0].value, part.operands[1]
        if isinstance(part, tree.Number) and part.value == 0:
            continue
        if not isinstance(name, tree.Name) or sign < 0 or count.denominator != 1 or count < 1:
            raise error("E0203", f"`{short(part)}` is no species", part, label="a field, or a whole number times a field")
        declaration = declarer.scope.find(name.id)
        if declaration is not None:
            declaration.resolve()
        if name.id not in declarer.model.fields:
            guess = nearest(name.id, declarer.model.fields)
            label = f"did you mean `{guess}`?" if guess else "a species is a field"
            raise error("E0101" if declaration is None else "E0203", f"`{name.id}` is no species", name, label=label)
        found[name.id] = found.get(name.id, 0) + int(count)
    return found


def _speed(node: tree.Expr, side: Mapping[str, int], other: Mapping[str, int], context: Context) -> Term:
    """Speed of a reaction: a constant rate times the species of its side (mass action), or a law that names a species as it is."""
    fields = context.checker.model.fields
    value = numeric(scalar_of(node, context), node)
    amounts = [fields[n] for n in (*side, *other)]
    target: Powers | None = over(amounts[0].unit.powers, context.checker.time_unit) if amounts else None
    symbols = {f.symbol for f in fields.values()}
    is_law = any(t in symbols for t in walk([value.term]))
    if is_law:
        unit, term, what = value.unit, value.term, "a law of a reaction"
    else:
        term = build.mul(value.term, *[build.power(fields[n].symbol, k) for n, k in side.items()])
        unit = multiply(value.unit, *[raised(fields[n].unit.powers, k) for n, k in side.items()])
        what = "this rate times its species"
    if unit is not None and target is not None and unit != target:
        words = context.checker.units.words
        needed = words(over(target, over(unit, value.unit)))
        raise error(
            "E0401",
            f"{what} is {words(unit)}, a concentration per time is {words(target)}",
            node,
            label=f"{words(value.unit)}, it needs {needed}",
        )
    return term


# ---------------------------------------------------------------------------------------------------------------------
# matching


def time_orders(residual: Term, fields: Mapping[str, Field]) -> dict[str, int]:
    """Fields with a time derivative in the equation, and its highest order."""
    symbols = {f.symbol: name for name, f in fields.items()}
    found: dict[str, int] = {}
    below: dict[Term, dict[str, int]] = {}
    for term in walk([residual]):
        orders: dict[str, int] = {symbols[term]: 0} if term in symbols else {}
        for argument in term.args:
            for name, order in below[argument].items():
                orders[name] = max(orders.get(name, 0), order)
        if term.op == "partial" and term.attrs[0] == TIME:
            orders = {name: order + term.attrs[1] for name, order in orders.items()}
        below[term] = orders
    for name, order in below[residual].items():
        if order:
            found[name] = order
    return found


def space_orders(residual: Term, symbol: Term) -> dict[str, int]:
    """Highest order of derivative along each coordinate that is applied to a field, nested ones added up."""
    below: dict[Term, dict[str, int] | None] = {}
    for term in walk([residual]):
        orders: dict[str, int] | None = {} if term is symbol else None
        for argument in term.args:
            inner = below[argument]
            if inner is not None:
                orders = orders or {}
                for name, n in inner.items():
                    orders[name] = max(orders.get(name, 0), n)
        if orders is not None and term.op == "partial" and term.attrs[0] != TIME:
            coordinate, n = term.attrs
            orders = {**orders, coordinate: orders.get(coordinate, 0) + n}
        below[term] = orders
    return below[residual] or {}


def present(residual: Term, fields: Mapping[str, Field]) -> set[str]:
    """Fields that occur in the equation."""
    symbols = {f.symbol: name for name, f in fields.items()}
    return {symbols[t] for t in walk([residual]) if t in symbols}


@dataclass(frozen=True)
class Formulas:
    """Unknowns that are formulas of others: name -> its equation, and the values by symbol."""

    equations: Mapping[str, Equation]
    values: Mapping[Term, Term]

    def resolved(self, term: Term) -> Term:
        """The term without unknowns that are formulas."""
        return substitute([term], self.values)[0] if self.values else term


def formulas_of(checker: Checker) -> Formulas:
    model = checker.model
    values = explicit_formulas(model.equations, {name: f.symbol for name, f in model.fields.items()})
    return Formulas({e.determines: e for e in model.equations if model.fields[e.determines].symbol in values}, values)


def match(candidates: Sequence[Candidate], checker: Checker) -> list[Equation]:
    """One equation for each unknown: first by time derivatives, then by occurrence, constraints last; E0303 for what is left."""
    fields = checker.model.fields
    moving = [time_orders(c.residual, fields) for c in candidates]
    inside = [present(c.residual, fields) for c in candidates]
    taken: dict[str, int] = {}
    _assign([i for i, m in enumerate(moving) if m], lambda i: list(moving[i]), taken)
    left = [i for i in range(len(candidates)) if i not in taken.values()]

    def choices(i: int) -> list[str]:
        """Unknowns without a time derivative, first those that the equation gives explicitly."""
        names = [n for n in fields if n in inside[i] and not (n in taken and moving[taken[n]])]
        return sorted(names, key=lambda n: not is_explicit(candidates[i].residual, fields[n].symbol))

    _assign(left, choices, taken)
    left = [i for i in range(len(candidates)) if i not in taken.values()]
    open_fields = [n for n in fields if n not in taken]
    multipliers = [n for n in open_fields if any(n in inside[i] for i in taken.values())]
    for i, name in zip([i for i in left if not moving[i]], multipliers, strict=False):
        taken[name] = i

    def given(i: int) -> list[str]:
        """What an equation moves, or gives explicitly: `q = dt(u)` determines q where another equation moves u."""
        explicit = [n for n in fields if n in inside[i] and n not in moving[i] and is_explicit(candidates[i].residual, fields[n].symbol)]
        return [*moving[i], *explicit]

    rows = range(len(candidates))
    for i in [i for i in rows if i not in taken.values()]:
        _assign(rows, given, taken, [i])
    _report(candidates, taken, moving, checker)
    out = []
    for name, i in sorted(taken.items(), key=lambda item: item[1]):
        c = candidates[i]
        _same_axes(c, fields[name], checker)
        out.append(Equation(c.name, c.residual, name, moving[i].get(name, 0), c.family, c.text, c.span, c.summands))
    return out


def _assign(rows: Sequence[int], options: Callable[[int], list[str]], taken: dict[str, int], new: Sequence[int] | None = None) -> None:
    """Augmenting paths (Kuhn): as many of the `new` rows as possible get a field of their own; choices of `rows` may move."""

    def augment(i: int, seen: set[str]) -> bool:
        for name in options(i):
            if name in seen:
                continue
            seen.add(name)
            if name not in taken or (taken[name] in rows and augment(taken[name], seen)):
                taken[name] = i
                return True
        return False

    for i in rows if new is None else new:
        augment(i, set())


def _report(candidates: Sequence[Candidate], taken: Mapping[str, int], moving: Sequence[Mapping[str, int]], checker: Checker) -> None:
    fields = checker.model.fields
    for i, candidate in enumerate(candidates):
        if i in taken.values():
            continue
        rival = next((n for n in moving[i] if n in taken), None)
        if rival is not None:
            other = candidates[taken[rival]]
            message, label = (
                f"`{short_name(rival, fields)}` is determined twice",
                f"`{other.text}` (line {other.span.line}) determines it already",
            )
        else:
            message, label = "this equation determines no unknown", "every field has an equation of its own already"
        checker.diagnostics.add("E0303", message, candidate.span, label=label)
    reported: set[str] = set()
    for name, f in fields.items():
        owner = short_name(name, fields)
        if name in taken or owner in reported:
            continue
        reported.add(owner)
        checker.diagnostics.add(
            "E0303", f"no equation determines `{owner}`", f.span, label="an unknown needs an equation", help=checker.equation_for(owner)
        )


def short_name(name: str, fields: Mapping[str, Field]) -> str:
    """The name of the field as it was declared: `u` for its component `u.x`."""
    return fields[name].of or name


def _same_axes(candidate: Candidate, f: Field, checker: Checker) -> None:
    """E0202 where the equation varies along what its unknown does not."""
    extra = [a for a in candidate.residual.axes if a not in f.symbol.axes]
    if extra:
        where = "a domain" if f.domain is None else f"[{', '.join(f.order)}]"
        label = f"`{f.name}` is declared over {where if f.domain else 't alone'}"
        checker.diagnostics.add(
            "E0202", f"this equation varies along `{extra[0]}`, its unknown `{f.name}` does not", candidate.span, label=label
        )


__all__ = ["NUMBER", "Candidate", "Formulas", "formulas_of", "match", "read_equation", "read_reactions"]
