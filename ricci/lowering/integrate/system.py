"""The right-hand side of a program as Python functions of terms, and what a method must offer to the time loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ricci.dsl import build
from ricci.dsl.derivative import tangent
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.program import Program
from ricci.dsl.term import Term, substitute, symbols, walk
from ricci.dsl.types import Kind, Type
from ricci.errors import Span

TIME = build.symbol("t", Type(Kind.REAL))
LARGEST = build.const(2**1000, Kind.REAL)  # anything beyond is as good as infinite

Terms = tuple[Term, ...]


def real(name: str) -> Term:
    return build.symbol(name, Type(Kind.REAL))


def integer(name: str) -> Term:
    return build.symbol(name, Type(Kind.INT))


def number(value: int | Fraction | str) -> Term:
    """A real constant."""
    return build.const(Fraction(value), Kind.REAL)


def both(*conditions: Term) -> Term:
    """Conjunction of bool terms."""
    result = conditions[0]
    for condition in conditions[1:]:
        result = build.apply("and", result, condition)
    return result


def largest(terms: Sequence[Term]) -> Term:
    result = terms[0]
    for term in terms[1:]:
        result = build.apply("max2", result, term)
    return result


def norm(term: Term) -> Term:
    """max |term| over all its axes; inf as soon as one value is not finite (NaN included); 0 over no points."""
    size = build.apply("abs", term)
    safe = build.where(build.apply("le", size, LARGEST), size, build.const(float("inf")))
    if not term.axes:
        return safe
    return build.apply("max2", build.reduce("max", safe, tuple(term.axes)), number(0))


@dataclass(frozen=True)
class System:
    """y' = f(t, y): the functions `rhs`, `rhs_tangent`, `rhs_time` of a program applied to terms.

    Results are `group`ed: a derivative is computed once, however many later stages use it.
    """

    program: Program

    @property
    def symbols(self) -> Terms:
        return tuple(s.symbol for s in self.program.states)

    def _apply(self, name: str, values: Mapping[Term, Term]) -> Terms:
        function = self.program.functions[name]
        return tuple(substitute(function.roots, values))

    def _at(self, t: Term, states: Sequence[Term]) -> dict[Term, Term]:
        return {TIME: t, **dict(zip(self.symbols, states, strict=True))}

    def rates(self, t: Term, states: Sequence[Term]) -> Terms:
        """f(t, y), one term per state."""
        return tuple(_shared(r) for r in self._apply("rhs", self._at(t, states)))

    def time_slopes(self, t: Term, states: Sequence[Term]) -> Terms:
        """Partial derivative of f with respect to t at fixed y."""
        return tuple(_shared(r) for r in self._apply("rhs_time", self._at(t, states)))

    def tangent(self, t: Term, states: Sequence[Term], directions: Sequence[Term]) -> Terms:
        """J(t, y) directions."""
        function = self.program.functions["rhs_tangent"]
        own = dict(zip(direction_symbols(self.program), directions, strict=True))
        return tuple(substitute(function.roots, {**self._at(t, states), **own}))

    @property
    def is_linear(self) -> bool:
        """Whether f(t, y) = J(t) y + c(t), as far as the normal form of terms or their operators show it."""
        if _is_affine(self.program.functions["rhs"].roots, set(self.symbols)):
            return True
        products = self.tangent(TIME, self.symbols, self.symbols)
        rest = [build.sub(f, p) for f, p in zip(self.program.functions["rhs"].roots, products, strict=True)]
        known = symbols([*rest, *self.program.functions["rhs_tangent"].roots])
        return set(self.symbols).isdisjoint(known)

    def margin(self, event: int, t: Term, states: Sequence[Term]) -> Term:
        return self._apply(f"event:{event}", self._at(t, states))[0]

    def margin_slope(self, event: int, t: Term, states: Sequence[Term]) -> Term:
        """d/dt of the margin along the solution, a real."""
        rates = dict(zip(self.symbols, self.program.functions["rhs"].roots, strict=True))
        return self._margin_tangent(event, t, states, {TIME: number(1), **rates})

    def margin_rounding(self, event: int, t: Term, states: Sequence[Term]) -> Term:
        """sum_i |dg/dy_i y_i| 2^-50, what roundings of the states leave unknown of a margin g; 0 where that is not finite."""
        used = set(symbols(self.program.functions[f"event:{event}"].roots))
        parts = [self._margin_tangent(event, t, states, {s: s}) for s in self.symbols if s in used]
        total = build.scale(Fraction(1, 2**50), build.add(number(0), *(build.apply("abs", p) for p in parts)))
        return build.where(build.apply("lt", total, LARGEST), total, number(0))

    def _margin_tangent(self, event: int, t: Term, states: Sequence[Term], directions: Mapping[Term, Term]) -> Term:
        root = self.program.functions[f"event:{event}"].roots[0]
        if root.kind < Kind.REAL:
            return number(0)
        return substitute(tangent([root], directions), self._at(t, states))[0]

    @property
    def events(self) -> int:
        return sum(1 for name in self.program.functions if name.startswith("event:"))

    def constants(self, roots: Sequence[Term], bound: Sequence[Term]) -> Terms:
        """Symbols of the roots that are neither `bound` nor sizes, in the order of the program's arguments."""
        free = [s for s in symbols(roots) if s not in set(bound) and not name_of(s).startswith("#") and name_of(s) not in CONSTANTS]
        order = {a.symbol: k for k, a in enumerate(self.program.arguments)}
        return tuple(sorted(free, key=lambda s: (order.get(s, len(order)), name_of(s))))


def _is_affine(roots: Sequence[Term], states: set[Term]) -> bool:
    """Whether states pass through linear operators only; what else is added may be anything."""
    depends: set[Term] = set()
    for term in walk(roots):
        inner = [a for a in term.args if a in depends]
        if term in states:
            depends.add(term)
        elif inner:
            depends.add(term)
            chosen = term.op == "map" and term.attrs[0] == "where" and term.args[0] not in depends
            passed = term.op in ("linear", "reindex", "cast") or (term.op == "map" and term.attrs[0] == "group") or chosen
            if not (passed or (term.op == "contract" and len(inner) == 1)):
                return False
    return True


def _shared(term: Term) -> Term:
    return build.group(term) if term.op in ("linear", "contract", "map") else term


def decays(eigenvalue: complex) -> bool:
    """Whether a mode dies out without oscillation: a transient, which takes a number of steps per decade of time."""
    return eigenvalue.real < 0 and abs(eigenvalue.imag) <= abs(eigenvalue.real)


def direction_symbols(program: Program) -> Terms:
    """One symbol per state for a direction of differentiation."""
    return tuple(build.symbol(f"d:{s.name}", s.symbol.type) for s in program.states)


@dataclass(frozen=True)
class Attempt:
    """What one step attempt gives: new states, the error estimate (None: fixed step), new memory.

    `failed`: bool term, an inner iteration did not converge.
    """

    states: Terms
    error: Terms | None = None
    memory: Terms = ()
    failed: Term | None = None


class Method(Protocol):
    """A one-step method. `memory` are further carries of the loop (the last stage of the step before)."""

    @property
    def name(self) -> str: ...

    @property
    def order(self) -> int: ...

    @property
    def error_order(self) -> int:
        """Power of dt in the error estimate of one step."""

    @property
    def adaptive(self) -> bool:
        """It estimates its error, so that dt can follow from `tol`."""

    @property
    def implicit(self) -> bool:
        """It solves linear systems and stays stable for stiff terms."""

    @property
    def rounds_states(self) -> bool:
        """What the loop carries follows from the states but for a rounding: a run in two parts differs in last bits from one in three."""
        return False

    def memory(self, system: System) -> dict[str, Term]:
        """Carries beside the states: name -> symbol."""

    def start(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        """Their values at the start; dt: the step of a fixed one."""

    def enter(self, system: System, t: Term, dt: Term | None, states: Terms) -> Terms:
        """What the loop carries in the places of the states."""
        return states

    def leave(self, system: System, t: Term, states: Terms, memory: Terms) -> Terms:
        """The states, from what the loop carried."""
        return states

    def attempt(self, system: System, t: Term, dt: Term, states: Terms, memory: Terms) -> Attempt:
        """One step of length dt from (t, states)."""

    def amplification(self, eigenvalue: complex, dt: float) -> float | None:
        """Largest factor by which a step of length dt multiplies a mode of y' = eigenvalue y; None: its steps are stable for any mode."""
        return None

    def require(self, program: Program, span: Span | None) -> None:
        """E0601 for a program that the method cannot integrate."""


def combination(start: Term, dt: Term, weights: Sequence[Fraction], rates: Sequence[Term]) -> Term:
    """start + dt * sum weights_i rates_i, computed once."""
    total = [(w, r) for w, r in zip(weights, rates, strict=False) if w]
    return build.group(build.add(start, build.mul(dt, build.linear(total)))) if total else start
