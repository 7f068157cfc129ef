"""Exponentials that are normalized by their sum, and logarithms of such sums: what is the same at all places comes out.

    exp(r + d)/Sum_k exp(r + d)   = exp(d)/Sum_k exp(d)                    r without k: softmax(x + c) = softmax(x)
    log Sum_k exp(r + d)          = r + log Sum_k exp(d)                   logsumexp(x + c) = c + logsumexp(x)

In floating point the two sides differ: what was shifted by its maximum neither overflows nor vanishes altogether. So the right sides
are proposed as they are only where d is known to be bounded, above and below. Where the source shifts by the maximum of what it
sums, the sum of the rest is proposed with a shift by its own maximum, and vouched for. Nothing is shifted that the source did not
shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.ops import contract, linear
from ricci.dsl.term import Term
from ricci.egraph.analyses import LARGEST_EXPONENT, Given, Range, Ranges
from ricci.egraph.terms import Loader

Summand = tuple[Fraction, Term]


@dataclass(frozen=True)
class SumOfExponentials:
    """Sum over `axes` of exp(common + varying): what has none of the axes, and the rest."""

    axes: tuple[str, ...]
    common: tuple[Summand, ...]
    varying: tuple[Summand, ...]

    @property
    def exponent(self) -> Term:
        return build.linear(self.varying)

    def shifts(self) -> list[Summand]:
        """Common parts by which the source keeps the exponent below zero: minus the maximum of what is left without them."""
        found = []
        for k, (q, part) in enumerate(self.common):
            largest = _largest(part)
            rest = build.linear([*self.common[:k], *self.common[k + 1 :], *self.varying])
            if q == -1 and largest is not None and largest.args[0] is rest and set(largest.attrs[1]) == set(self.axes):
                found.append((q, part))
        return found


@dataclass(frozen=True)
class Form:
    """An equal term. `exponent` must be bounded, or `stable` names the parts that are as stable as the source."""

    term: Term
    exponent: Term | None = None
    stable: tuple[Term, ...] = ()


def normalize(loader: Loader, given: Given, limit: int) -> int:
    """Propose normalized exponentials and logarithms of sums without their common parts; how many were found."""
    space = loader.space
    found = [(term, form) for term in list(loader.known) for form in forms(term)][:limit]
    if not found:
        return 0
    exponents = {form.exponent: loader.load([form.exponent])[0] for _, form in found if form.exponent is not None}
    ranges = Ranges(space, given)
    made = 0
    for term, form in found:
        if form.exponent is not None and not _bounded(ranges.of(exponents[form.exponent])):
            continue
        space.union(*loader.load([form.term, term]))
        space.vouched.update(space.find(r) >> 1 for r in loader.load(form.stable))
        made += 1
    return made


def _bounded(r: Range) -> bool:
    return r.lo >= -LARGEST_EXPONENT and r.hi <= LARGEST_EXPONENT


def forms(term: Term) -> list[Form]:
    """Equal terms without what the exponents have in common."""
    if term.op == "contract":
        form = without_shift(term)
        return [] if form is None else [form]
    return logarithms(term) if term.op == "linear" or _is_map(term, "log") else []


def sum_of_exponentials(t: Term) -> SumOfExponentials | None:
    """A sum over axes of one exponential, under its own names."""
    if t.op != "contract" or len(t.args) != 1 or not _is_map(t.args[0], "exp"):
        return None
    ((factor, access),) = contract.factors_of(t)
    axes = tuple(sorted(a for a, label in access.items() if isinstance(label, int)))
    if not axes or any(label != a for a, label in access.items() if not isinstance(label, int)):
        return None
    if len(axes) != len(contract.bound_of(t)):
        return None
    parts = linear.terms_of(factor.args[0])
    common = tuple((q, part) for q, part in parts if part.axes.keys().isdisjoint(axes))
    varying = tuple((q, part) for q, part in parts if not part.axes.keys().isdisjoint(axes))
    return SumOfExponentials(axes, common, varying) if varying else None


def _summed(exponent: Term, axes: Sequence[str]) -> Term:
    return build.sum_over(build.apply("exp", exponent), [a for a in axes if a in exponent.axes])


def without_shift(term: Term) -> Form | None:
    """A product with exp(x) and 1/sum exp(x) without what the exponents have in common over the axes of the sum."""
    factors = contract.factors_of(term)
    for k, (factor, _) in enumerate(factors):
        found = sum_of_exponentials(factor.args[0]) if _is_map(factor, "recip") else None
        if found is None or not found.common or any(a not in found.exponent.axes for a in found.axes):
            continue
        raised = factor.args[0].args[0]
        place = next((i for i, (f, _) in enumerate(factors) if f is raised), None)
        if place is None or not _same_labels(factors[k][1], factors[place][1]):
            continue
        exponent = found.exponent
        new = list(factors)
        for i, value in ((place, build.apply("exp", exponent)), (k, build.apply("recip", _summed(exponent, found.axes)))):
            new[i] = value, {a: factors[i][1][a] for a in value.axes}
        return Form(build.conform(build.contract(new, contract.bound_of(term)), term.type), exponent)
    return None


def _same_labels(a: dict[str, contract.Label], b: dict[str, contract.Label]) -> bool:
    """Whether two factors stand at the same place of the axes that both have."""
    return all(b[axis] == label for axis, label in a.items())


def logarithms(term: Term) -> list[Form]:
    """Sums with logarithms of sums of exponentials, the common part of the exponents outside of the logarithm."""
    parts = linear.terms_of(term)
    out: list[Form] = []
    for k, (q, part) in enumerate(parts):
        found = sum_of_exponentials(part.args[0]) if _is_map(part, "log") else None
        if found is None or not found.common:
            continue
        others = [*parts[:k], *parts[k + 1 :], *((q * p, c) for p, c in found.common)]
        bare = build.apply("log", _summed(found.exponent, found.axes))
        out.append(Form(build.conform(build.linear([*others, (q, bare)]), term.type), found.exponent))
        shifts = found.shifts()
        if shifts and len(shifts) < len(found.common):
            inner, stable = shifted(found.exponent, found.axes)
            out.append(Form(build.conform(build.linear([*others, (q, inner)]), term.type), stable=stable))
    return out


def shifted(exponent: Term, axes: Sequence[str]) -> tuple[Term, tuple[Term, ...]]:
    """(log of the sum of exponentials, shifted by the largest where that is finite, its stable parts)."""
    largest = build.reduce("max", exponent, [a for a in axes if a in exponent.axes])
    shift = build.where(build.apply("isfinite", largest), largest, build.const(0))
    below = build.sub(exponent, shift)
    raised = build.apply("exp", below)
    logarithm = build.apply("log", build.sum_over(raised, [a for a in axes if a in exponent.axes]))
    return build.add(logarithm, shift), (raised, logarithm)


def _largest(t: Term) -> Term | None:
    """The maximum that a shift is, where it is finite."""
    if _is_map(t, "where") and _is_map(t.args[0], "isfinite") and t.args[0].args[0] is t.args[1]:
        t = t.args[1]
    return t if t.op == "reduce" and t.attrs[0] == "max" else None


def _is_map(t: Term, name: str) -> bool:
    return t.op == "map" and t.attrs[0] == name
