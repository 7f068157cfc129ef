"""Three truth values: a comparison with NaN is neither true nor false, and neither is what follows from it alone.

Kleene's strong logic. Every bool term b becomes a pair of terms of two values, `certain` (b is true) and `possible` (b is not
false); they are equal where no NaN is compared. A real that is chosen by a condition which is neither is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ricci.dsl import build
from ricci.dsl.ops import OPERATORS
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, TupleType

ORDERED = ("eq", "ne", "lt", "le", "gt", "ge")


class Truth(NamedTuple):
    certain: Term
    possible: Term


def certainty(condition: Term) -> Truth:
    """(certain, possible) of a bool term. Cost: a few constructions per subterm; bodies of loops stay as they are."""
    truths: dict[Term, Truth] = {}
    values: dict[Term, Term] = {}
    for term in walk([condition]):
        if _is_truth(term):
            truths[term] = _truth(term, truths, values)
            values[term] = truths[term].certain
        else:
            values[term] = _value(term, truths, values)
    return truths[condition]


def _is_truth(term: Term) -> bool:
    return not isinstance(term.type, TupleType) and term.kind == Kind.BOOL


def _function(term: Term) -> str:
    return str(term.attrs[0]) if term.op == "map" else ""


def _truth(term: Term, truths: dict[Term, Truth], values: dict[Term, Term]) -> Truth:
    name = _function(term)
    inside = [truths.get(a) for a in term.args]
    known = [t for t in inside if t is not None]
    if name in ORDERED and not known:
        return _comparison(name, [values[a] for a in term.args])
    if name == "not":
        return _denied(known[0])
    if name in ("eq", "ne", "xor") and len(known) == 2:
        return _alike(*known) if name == "eq" else _denied(_alike(*known))
    if name == "where" and len(known) == 3:
        return _chosen(*known)
    if not known:
        return Truth(*(2 * [_rebuilt(term, [values[a] for a in term.args])]))
    # what remains is monotone in its truths: and, or, all, any, and everything that only moves entries
    pairs = [Truth(values[a], values[a]) if t is None else t for a, t in zip(term.args, inside, strict=True)]
    return Truth(_rebuilt(term, [p.certain for p in pairs]), _rebuilt(term, [p.possible for p in pairs]))


def _comparison(name: str, args: Sequence[Term]) -> Truth:
    holds = build.apply(name, *args)
    known = [_is_number(part) for a in args if a.kind >= Kind.REAL for part in _real_parts(a)]
    if not known:
        return Truth(holds, holds)
    both = _all(known)
    return Truth(build.apply("and", both, holds), _either(_not(both), holds))


def _real_parts(term: Term) -> list[Term]:
    return [build.apply("re", term), build.apply("im", term)] if term.kind == Kind.COMPLEX else [term]


def _is_number(term: Term) -> Term:
    """x <= 0 or 0 < x: false for NaN alone."""
    zero = build.const(0, Kind.REAL)
    return _either(build.apply("le", term, zero), build.apply("lt", zero, term))


def _all(conditions: Sequence[Term]) -> Term:
    result = conditions[0]
    for condition in conditions[1:]:
        result = build.apply("and", result, condition)
    return result


def _alike(a: Truth, b: Truth) -> Truth:
    """Equality of two truth values."""
    same = _either(build.apply("and", a.certain, b.certain), build.apply("and", _not(a.possible), _not(b.possible)))
    other = _either(build.apply("and", a.certain, _not(b.possible)), build.apply("and", _not(a.possible), b.certain))
    return Truth(same, _not(other))


def _denied(t: Truth) -> Truth:
    return Truth(_not(t.possible), _not(t.certain))


def _chosen(condition: Truth, yes: Truth, no: Truth) -> Truth:
    certain = _either(build.apply("and", condition.certain, yes.certain), build.apply("and", _not(condition.possible), no.certain))
    possible = _either(build.apply("and", condition.possible, yes.possible), build.apply("and", _not(condition.certain), no.possible))
    return Truth(certain, possible)


def _not(term: Term) -> Term:
    return build.apply("not", term)


def _either(a: Term, b: Term) -> Term:
    return build.apply("or", a, b)


def _value(term: Term, truths: dict[Term, Truth], values: dict[Term, Term]) -> Term:
    """A number: the same one, or NaN where an undecided condition chooses it."""
    args = [values[a] for a in term.args]
    if _function(term) == "where" and not isinstance(term.type, TupleType) and term.kind >= Kind.REAL:
        condition = truths[term.args[0]]
        if condition.certain is not condition.possible:
            otherwise = build.where(_not(condition.possible), args[2], build.cast(_nan(), term.kind))
            return build.conform(build.where(condition.certain, args[1], otherwise), term.type)
    return _rebuilt(term, args)


def _nan() -> Term:
    return build.apply("sqrt", build.const(-1, Kind.REAL))


def _rebuilt(term: Term, args: Sequence[Term]) -> Term:
    return term if tuple(args) == term.args else OPERATORS[term.op].rebuild(term, tuple(args))
