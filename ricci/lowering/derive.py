"""Derivatives of the right-hand side that implicit methods and the choice of a method need."""

from __future__ import annotations

from ricci.dsl import build
from ricci.dsl.derivative import tangent
from ricci.dsl.program import Program
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Kind
from ricci.lowering.integrate.system import TIME, direction_symbols


def derive(program: Program) -> Program:
    """The program with `rhs_tangent` (J d for one direction per state) and `rhs_time` (the partial derivative in t).

    Both are exact. Cost: one tangent of the right-hand side each; evaluating J d costs about twice a right-hand side.
    """
    if "rhs" not in program.functions:
        return program
    rhs = program.functions["rhs"]
    directions = direction_symbols(program)
    along = {s.symbol: d for s, d in zip(program.states, directions, strict=True)}
    names = [name for name, _ in rhs.results]
    jacobian = tangent(rhs.roots, along)
    in_time = tangent(rhs.roots, {TIME: build.const(1, Kind.REAL)})
    return program.with_functions(
        {
            "rhs_tangent": Function("rhs_tangent", (*rhs.params, *directions), _named(names, jacobian)),
            "rhs_time": Function("rhs_time", rhs.params, _named(names, in_time)),
        }
    )


def _named(names: list[str], terms: list[Term]) -> tuple[tuple[str, Term], ...]:
    return tuple(zip(names, terms, strict=True))
