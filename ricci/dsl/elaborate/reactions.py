"""Reactions: mass action with constant rates, or a full law where the rate names a species."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from ricci.dsl import build, tree
from ricci.dsl.elaborate.checker import Checker
from ricci.dsl.elaborate.conditions import Candidate
from ricci.dsl.elaborate.values import Value
from ricci.dsl.term import Term, walk
from ricci.dsl.units import Powers, multiply, over, raised
from ricci.errors import CheckFailed, Span

Side = dict[str, int]


def reactions(check: Checker, statements: list[tree.Reaction]) -> None:
    """Equations `dt(species) = sum of stoichiometric coefficient * rate` of all species that react."""
    changes: dict[str, list[tuple[int, Term]]] = {}
    spans: dict[str, tuple[str, Span]] = {}
    for statement in statements:
        check.attempt(partial(_one, check, statement, changes, spans))
    for name, terms in changes.items():
        symbol = check.model.fields[name].symbol
        rate = build.linear([(c, t) for c, t in terms])
        text, span = spans[name]
        check.equations.append(Candidate(f"reactions of {name}", build.sub(build.partial(symbol, "t", 1), rate), text, span))


def _one(check: Checker, statement: tree.Reaction, changes: dict[str, list[tuple[int, Term]]], spans: dict[str, tuple[str, Span]]) -> None:
    left, right = _species(check, statement.left), _species(check, statement.right)
    expected = 2 if statement.arrow == "<->" else 1
    if len(statement.rates) != expected:
        said = f"`{statement.arrow}` takes {expected} rate{'s' if expected > 1 else ''}, {len(statement.rates)} given"
        raise CheckFailed("E0302" if len(statement.rates) > expected else "E0301", said, statement.rates[-1].span)
    speed = _rate(check, statement.rates[0], left)
    if expected == 2:
        speed = build.sub(speed, _rate(check, statement.rates[1], right))
    for name in dict.fromkeys([*left, *right]):
        net = right.get(name, 0) - left.get(name, 0)
        spans.setdefault(name, (statement.span.text, statement.span))
        changes.setdefault(name, []).append((net, speed))


def _species(check: Checker, node: tree.Expr) -> Side:
    """`2*A + B` as stoichiometric coefficients; `0` is nothing."""
    found: Side = {}
    for sign, part in node.signed if isinstance(node, tree.Sum) else ((1, node),):
        count, name = 1, part
        if isinstance(part, tree.Product) and part.operators == ("*",) and isinstance(part.operands[0], tree.Number):
            value = part.operands[0].value
            count, name = int(value) if value.denominator == 1 else 0, part.operands[1]
        if isinstance(name, tree.Number) and name.value == 0:
            continue
        if not isinstance(name, tree.Name) or name.id not in check.model.fields or sign < 0 or count < 1:
            raise CheckFailed("E0101", f"`{part.span.text}` is no species", part.span, label="a field, or a whole number times a field")
        found[name.id] = found.get(name.id, 0) + count
    return found


def _rate(check: Checker, node: tree.Expr, side: Side) -> Term:
    """Rate of a reaction per time and volume: constant times the species, or the law as written."""
    reader = check.reader()
    value = reader.scalar(node)
    symbols = {f.symbol for f in check.model.fields.values()}
    unit = _concentration(check, side)
    target: Powers | None = over(unit, check.time_powers) if unit is not None else None
    if any(t in symbols for t in walk([value.term])):
        _same(check, target, value, node, "this law")
        return value.term
    powers = [build.power(check.model.fields[n].symbol, c) for n, c in side.items()]
    total = multiply(value.unit, *(raised(check.model.fields[n].unit.powers, Fraction(c)) for n, c in side.items()))
    _same(check, target, Value(value.term, total), node, "rate times species")
    return build.mul(value.term, *powers)


def _concentration(check: Checker, side: Side) -> Powers | None:
    name = next(iter(side), None)
    return check.model.fields[name].unit.powers if name else next((f.unit.powers for f in check.model.fields.values()), None)


def _same(check: Checker, target: Powers | None, value: Value, node: tree.Expr, what: str) -> None:
    if target is not None and value.unit is not None and value.unit != target:
        say = check.units.words
        raise CheckFailed("E0401", f"{what} is {say(value.unit)}, a concentration per time is {say(target)}", node.span)
