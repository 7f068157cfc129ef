"""Linear equations between terms, solved for a few unknowns by elimination: time derivatives, conditions of one side, formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.term import Term

LARGEST_COUPLED = 8  # unknowns that one elimination solves for at once


def groups(coefficients: Mapping[str, Mapping[str, Term]]) -> list[list[str]]:
    """Equations connected by shared unknowns."""
    parent = {name: name for name in coefficients}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for name, row in coefficients.items():
        for other in row:
            parent[root(name)] = root(other)
    found: dict[str, list[str]] = {}
    for name in coefficients:
        found.setdefault(root(name), []).append(name)
    return list(found.values())


def eliminate(
    group: Sequence[str],
    coefficients: Mapping[str, Mapping[str, Term]],
    rests: Mapping[str, Term],
    undetermined: Callable[[str], Exception],
) -> dict[str, Term]:
    """The unknowns x of sum_j coefficients[i][j] x_j + rests[i] = 0 for a group of equations, as terms without any of them.

    Gauss-Jordan elimination; a pivot is a coefficient that is not identically zero, constants first. `undetermined(j)`: the
    error where no equation is left for an unknown. Cost: n^3 constructions of terms.
    """
    rows = {name: dict(coefficients[name]) for name in group}
    right = {name: rests[name] for name in group}
    pivots: dict[str, str] = {}
    for unknown in group:
        candidates = [n for n in group if n not in pivots.values() and unknown in rows[n]]
        if not candidates:
            raise undetermined(unknown)
        pivot = min(candidates, key=lambda n: (n != unknown, rows[n][unknown].op != "const"))
        pivots[unknown] = pivot
        for name in group:
            if name == pivot or unknown not in rows[name]:
                continue
            factor = build.divide(rows[name].pop(unknown), rows[pivot][unknown])
            for other, c in rows[pivot].items():
                if other != unknown:
                    rows[name][other] = build.sub(rows[name].get(other, build.const(0)), build.mul(factor, c))
            rows[name] = {other: c for other, c in rows[name].items() if not _is_zero(c)}
            right[name] = build.sub(right[name], build.mul(factor, right[pivot]))
    return {unknown: negated_quotient(right[pivot], rows[pivot][unknown]) for unknown, pivot in pivots.items()}


def _is_zero(term: Term) -> bool:
    return term is build.zero(term.type)


def negated_quotient(rest: Term, coefficient: Term) -> Term:
    """-rest / coefficient: the solution of coefficient * u + rest = 0."""
    if coefficient.op == "const":
        value = coefficient.attrs[0]
        if isinstance(value, Fraction) and value:
            return build.scale(-1 / value, rest)
    return build.neg(build.divide(rest, coefficient))


def circles(below: list[set[int]]) -> list[list[int]]:
    """Groups of two and more of which each reaches every other one."""
    reached = []
    for k in range(len(below)):
        known: set[int] = set()
        stack = list(below[k])
        while stack:
            j = stack.pop()
            if j not in known:
                known.add(j)
                stack.extend(below[j])
        reached.append(known)
    groups = {tuple(j for j in range(len(below)) if j in reached[k] and k in reached[j]) for k in range(len(below)) if k in reached[k]}
    return [list(group) for group in sorted(groups)]
