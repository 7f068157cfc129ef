"""`rule NAME: left -> right when x > 0`: an equality of the user for the optimizer, checked on numbers before it is believed.

Names that nothing declares are variables: they stand for any real value, over any axes. Both sides are arithmetic and functions of one
value at a time. A rule that some point contradicts is refused with the point, and with the condition that would make it right if one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ricci.dsl import build, tree
from ricci.dsl.check.agreement import agree_units
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.trials import allowed, tried
from ricci.dsl.check.values import Value
from ricci.dsl.model import Equality
from ricci.dsl.ops import contract
from ricci.dsl.ops.const import value_of as constant_of
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, symbols, walk
from ricci.dsl.types import Kind, Type

FACTS = {">": "positive", ">=": "nonnegative", "<": "negative", "<=": "nonpositive", "~=": "nonzero", "!=": "nonzero"}
TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "~=": "~=", "!=": "!="}
CONDITIONS = {"nonzero": "~= 0", "nonnegative": ">= 0", "nonpositive": "<= 0", "positive": "> 0", "negative": "< 0"}  # the weaker first
LOOSE = 2  # variables that stand alone among the members of one sum or product: more match in too many ways

ONLY = "this version has rules of arithmetic and functions only"


def read_rule(statement: tree.RewriteRule, declarer: Declarer) -> Equality:
    """The rule as terms; E0102, E0907 or E0908 where it is none."""
    name = statement.name.id
    earlier = next((r for r in declarer.model.rules if r.name == name), None)
    if earlier is not None:
        raise error("E0102", f"there are two rules `{name}`", statement.name, label=f"the first is in line {earlier.line}")
    names = [n for n in _names(statement.left) if declarer.scope.find(n.id) is None]
    context = _with_variables(names, declarer.context(statement))
    known = {n.id for n in names}
    for n in (n for part in (statement.right, *statement.guards) for n in _names(part)):
        if n.id not in known and declarer.scope.find(n.id) is None:
            raise error("E0908", f"`{n.id}` does not occur on the left of `{name}`", n, label="nothing says what it stands for")
    for side in (statement.left, statement.right):
        bracket = next((n for n in tree.walk(side) if isinstance(n, tree.Index)), None)
        if bracket is not None:
            raise error("E0601", ONLY, bracket, label="this has axes")
    left, right = (scalar_of(side, context) for side in (statement.left, statement.right))
    agree_units((left, right), (statement.left, statement.right), context, "the two sides of a rule")
    given = tuple(fact for guard in statement.guards for fact in _facts(guard, context, known))
    sides = (_side(left, statement.left, known), _side(right, statement.right, known))
    text = " ".join(statement.span.text.split())
    rule = Equality(name, *sides, statement.arrow == "<->", given, declarer.checker.source.name, statement.span.line, text, statement.span)
    nodes = statement.left, statement.right
    for term, other, node, place in zip(sides, sides[::-1], nodes, nodes[::-1], strict=True):
        if term is sides[0] or rule.both:
            _pattern(term, node, name)
            _refuse_unbound(term, [other, *(s for _, s in given)], place, name)
    _refuse_wrong(rule, statement)
    return rule


def _names(node: tree.Node) -> Iterator[tree.Name]:
    """Names of values: not those of functions that are called."""
    heads = {id(n.function) for n in tree.walk(node) if isinstance(n, tree.Call)}
    seen = set()
    for n in tree.walk(node):
        if isinstance(n, tree.Name) and id(n) not in heads and n.id not in seen:
            seen.add(n.id)
            yield n


def _with_variables(names: Sequence[tree.Name], context: Context) -> Context:
    """The surroundings in which names without a meaning are numbers of any unit."""
    scope = Scope(context.scope)
    for n in names:
        scope.define(n.id, "variable", n.span, Value(build.symbol(n.id, Type(Kind.REAL, {})), None))
    return replace(context, scope=scope)


def _facts(guard: tree.Expr, context: Context, known: set[str]) -> Iterator[tuple[str, Term]]:
    """What a condition says of a variable; E0908 where that cannot be decided."""
    if isinstance(guard, tree.Logic) and guard.operator == "and":
        for part in guard.operands:
            yield from _facts(part, context, known)
        return
    if isinstance(guard, tree.Compare) and len(guard.operands) == 2:
        (operator,) = guard.operators
        sides = [scalar_of(side, context).term for side in guard.operands]
        if sides[0].op == "const":
            sides, operator = [sides[1], sides[0]], TURNED.get(operator, operator)
        if operator in FACTS and sides[0].op == "symbol" and name_of(sides[0]) in known and constant_of(sides[1]) == 0:
            yield FACTS[operator], sides[0]
            return
    shown = " ".join(guard.span.text.split())
    variable = next(iter(sorted(known)), "x")
    raise error(
        "E0908",
        f"whether `{shown}` holds cannot be decided where the rule is used",
        guard,
        label=f"conditions compare one variable with 0: {variable} > 0, {variable} >= 0, {variable} ~= 0",
    )


def _side(value: Value, node: tree.Expr, known: set[str]) -> Term:
    """One side: variables, numbers, arithmetic, functions; E0601 for anything else."""
    for term in walk([value.term]):
        allowed = term.op in ("symbol", "const", "linear", "map", "cast") or (term.op == "contract" and not contract.bound_of(term))
        if not allowed or term.axes:
            raise error("E0601", ONLY, node, label="this sums, moves or varies along axes")
        if term.op == "symbol" and name_of(term) not in known:
            raise error("E0601", "this version has rules of variables and numbers only", node, label=f"`{name_of(term)}` is neither")
        if term.op == "const" and not isinstance(constant_of(term), (int, bool)) and not _finite(term):
            raise error("E0908", "a number in a rule is not finite", node)
    return value.term


def _finite(term: Term) -> bool:
    value = constant_of(term)
    return value is not None and abs(complex(value)) < float("inf")


def _pattern(term: Term, node: tree.Expr, name: str) -> None:
    """E0908 for a side that matches everything, or nothing in particular."""
    if term.op == "symbol":
        raise error("E0908", f"`{name}` begins with a variable alone", node, label="it would match every value")
    if not symbols([term]):
        raise error("E0908", f"`{name}` begins with a number", node, label="a pattern has a variable")
    for part in walk([term]):
        loose = len({a for a in part.args if a.op == "symbol"})
        if part.op in ("linear", "contract") and loose > LOOSE:
            raise error("E0908", f"`{name}` joins {loose} variables alone", node, label=f"at most {LOOSE}: it would match in too many ways")


def _refuse_unbound(term: Term, others: Sequence[Term], node: tree.Expr, name: str) -> None:
    """E0908 for a variable of the other side or a condition that the pattern does not need: nothing says what it stands for."""
    known = symbols([term])
    new = next((name_of(s) for s in symbols(others) if s not in known), None)
    if new is not None:
        raise error("E0908", f"`{new}` does not occur in the pattern of `{name}`", node, label="nothing says what it stands for")


# trials


def _refuse_wrong(rule: Equality, statement: tree.RewriteRule) -> None:
    """E0907 where the sides differ somewhere; E0908 where nothing can show that they do not."""
    if rule.left is rule.right:
        raise error("E0908", f"both sides of `{rule.name}` are the same to the optimizer", statement, label="it would change nothing")
    empty = next((name for name, values in allowed(rule).items() if not values), None)
    if empty is not None:
        raise error("E0908", f"the conditions of `{rule.name}` contradict each other", statement, label=f"no `{empty}` meets them all")
    trial = tried(rule)
    if trial.against is None:
        if not trial.agreeing:
            label = "at no point that was tried do both sides have a value"
            raise error("E0908", f"nothing shows that `{rule.name}` is an equality", statement, label=label)
        return
    point, left, right = trial.against
    where = ", ".join(f"{n} = {float(v):.6g}" for n, v in sorted(point.items()))
    condition = _missing(rule)
    help = ""
    if condition is not None:
        joined = ", " if statement.guards else " when "
        help = f"{rule.text}{joined}{condition}"
    raise error(
        "E0907",
        f"`{rule.name}` is no equality",
        statement,
        label=f"at {where} the left side is {left}, the right side {right}",
        help=help,
    )


def _missing(rule: Equality) -> str | None:
    """The weakest condition on one variable under which the sides agree, and not at zero alone."""
    for fact, text in CONDITIONS.items():
        for symbol in symbols([rule.left]):
            narrower = replace(rule, given=(*rule.given, (fact, symbol)))
            if any(allowed(narrower)[name_of(symbol)]):
                trial = tried(narrower)
                if trial.against is None and trial.agreeing:
                    return f"{name_of(symbol)} {text}"
    return None
