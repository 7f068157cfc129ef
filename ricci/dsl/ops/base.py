"""What an operator is: one object that holds its type rule, meaning, derivative and how to rebuild it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ricci.dsl.term import Term
from ricci.dsl.types import TupleType, Type


def exactly(term: Term, args: Sequence[Any], environment: Environment) -> Any:
    """The value of a term by the definition of its operator."""
    return OPERATORS[term.op].meaning(term, args, environment)


@dataclass(frozen=True)
class Environment:
    """Bindings of one evaluation: symbol name -> array in canonical axis order, dim name -> extent; how operators are applied."""

    values: Mapping[str, Any]
    dims: Mapping[str, int]
    apply: Callable[[Term, Sequence[Any], Environment], Any] = exactly


@dataclass(frozen=True)
class Operator:
    """One operator of the algebra.

    infer      (args, attrs) -> type; raises TermError
    meaning    (term, values of args, environment) -> numpy array in canonical axis order (a tuple for tuple types)
    rebuild    (term, new args) -> the same operator on other arguments, through its smart constructor
    tangent    (term, tangents of args or None where zero) -> tangent of the term or None
    cotangent  (term, cotangent g) -> one cotangent per argument (None where zero); g has the type of the term
    facts      algebra facts by name, data for the optimizer ("idempotent", "even", "positive", ...)
    """

    name: str
    infer: Callable[[tuple[Term, ...], Any], Type | TupleType]
    meaning: Callable[[Term, Sequence[Any], Environment], Any]
    rebuild: Callable[[Term, tuple[Term, ...]], Term]
    tangent: Callable[[Term, Sequence[Term | None]], Term | None]
    cotangent: Callable[[Term, Term], Sequence[Term | None]]
    facts: frozenset[str] = field(default_factory=frozenset)


OPERATORS: dict[str, Operator] = {}


def define(operator: Operator) -> Operator:
    """Enter an operator into the table; a second definition of a name is a defect."""
    if operator.name in OPERATORS:
        raise ValueError(f"operator {operator.name} is defined twice")
    OPERATORS[operator.name] = operator
    return operator


def node(op: str, args: tuple[Term, ...], attrs: Hashable = ()) -> Term:
    """Intern `op(args; attrs)` with the type that the operator infers. Smart constructors call this last."""
    from ricci.dsl.term import intern

    return intern(op, args, attrs, OPERATORS[op].infer(args, attrs))
