"""Numbers that must be known before the run: times, steps, counts, and points inside of a domain."""

from __future__ import annotations

from fractions import Fraction

from ricci.dsl import build, tree
from ricci.dsl.check.agreement import demand_unit, rational, short
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.values import Value
from ricci.dsl.model import Coordinate
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.remedies import instead, quantity
from ricci.dsl.term import Term, symbols, walk
from ricci.dsl.types import Kind, Type

ROUNDING = 1e-12  # of a number that is no fraction, relative to the range that it should lie in
MODEL_ONLY = frozenset(["partial", "at", "integral"])


def unknown_before(term: Term, context: Context) -> str:
    """What a term needs that is only known in the run: the name of a field, a coordinate, the time; "" if there is nothing."""
    model = context.checker.model
    fields = {f.symbol: f.of or f.name for f in model.fields.values()}
    coordinates = {c.name for d in model.domains.values() for c in d.coordinates}
    for symbol in symbols([term]):
        if symbol in fields:
            return fields[symbol]
        if symbol is time():
            return "t"
        found = next((a for a in symbol.axes if a in coordinates), "")
        if found:
            return found
    return ""


def time() -> Term:
    return build.symbol("t", Type(Kind.REAL))


def demand_known(value: Value, node: tree.Expr, context: Context, what: str) -> None:
    """E0203 for a number that depends on what is only known in the run; E0206 where it is more than one number."""
    needs = unknown_before(value.term, context)
    if needs or any(t.op in MODEL_ONLY for t in walk([value.term])):
        label = f"it needs `{needs}`" if needs else "it needs values on a grid"
        raise error("E0203", f"{what} is known before the run, `{short(node)}` is not", node, label=label)
    if value.axes:
        raise error("E0206", f"{what} is one number", node, label=f"this varies along `{next(iter(value.axes))}`")


def known_number(term: Term) -> Fraction | float | None:
    """The number of a term without params: exact where it is a fraction."""
    number = rational(term)
    if number is not None:
        return number
    if term.axes or term.kind > Kind.REAL or any(name_of(s) not in CONSTANTS for s in symbols([term])):
        return None
    from ricci.dsl.reference import evaluate
    from ricci.dsl.term import TermError

    try:
        return float(evaluate([term])[0])
    except (TermError, OverflowError):
        return None


def demand_moment(value: Value, node: tree.Expr, context: Context, what: str = "a time") -> Term:
    """A time of the run: a number known before, not before the start, finite."""
    demand_unit(value, context.checker.time_unit, node, context, what)
    demand_known(value, node, context, what)
    number = known_number(value.term)
    if number is not None and not 0 <= number < float("inf"):
        message = f"`{short(node)}` lies before the start of the run" if number < 0 else f"the run never reaches `{short(node)}`"
        help = instead(node.span, node.operand.span.text) if isinstance(node, tree.Unary) else ""
        raise error("E0704", message, node, label="a run starts at t = 0 and ends", help=help)
    return value.term


def demand_inside(value: Value, keyword: tree.Keyword, c: Coordinate, context: Context) -> None:
    """E0704 for a point that is known to lie outside of a coordinate's range; of a periodic coordinate every point exists."""
    number, lo, hi = known_number(value.term), known_number(c.lo), known_number(c.hi)
    if c.periodic or number is None or lo is None or hi is None:
        return
    exact = all(isinstance(n, Fraction) for n in (number, lo, hi))
    slack = 0 if exact else ROUNDING * float(hi - lo)
    if lo - slack <= number <= hi + slack:
        return
    where = f" (line {c.span.line})" if c.span else ""
    end = "lo" if number < lo else "hi"
    raise error(
        "E0704",
        f"`{short(keyword)}` lies outside of the domain",
        keyword,
        f"`{c.name}` goes from {quantity(lo, c.unit)} to {quantity(hi, c.unit)}{where}",
        instead(keyword.value.span, f"{c.name}.{end}"),
    )
