"""Static condensation: unknowns that are coupled at their own point only are eliminated there, before a system is solved.

Of (M_kk M_kl; M_lk M_ll) (x_k, x_l) = (b_k, b_l), where all blocks with an l are diagonal in space (fields that react and do not move),

    (M_kk - M_kl M_ll^-1 M_lk) x_k = b_k - M_kl M_ll^-1 b_l,    x_l = M_ll^-1 (b_l - M_lk x_k):

every field less makes a band narrower by its share, and the work of its factors smaller by the third power of it. Fields leave one after the
other, those with few couplings first; a pivot that is 10^8 times smaller than what it is to eliminate makes the solution infinite, which a time
loop answers with a shorter step.

Source: Guyan, AIAA J. 3 (1965); the order is that of minimum degree (Tinney, Walker, Proc. IEEE 55, 1967).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.term import Function, Term, substitute
from ricci.dsl.types import Kind
from ricci.lowering.windows import Stencil

MOST_FIELDS = 8  # eliminated at one point: the work grows with the third power
GROWTH = Fraction(1, 10**8)
Terms = tuple[Term, ...]
Places = dict[tuple[int, int], Term]  # coefficient of unknown m in equation k, at its own point


@dataclass(frozen=True)
class Condensed:
    """A system without its local unknowns.

    `apply` is that of the fields `kept`; its last params, `added`, stand for what elimination adds to their own points. `local`: in the order in
    which they leave.
    """

    kept: tuple[int, ...]
    local: tuple[int, ...]
    apply: Function
    added: Mapping[tuple[int, int], Term]
    places: Places

    def eliminated(self, places: Mapping[tuple[int, int], Term]) -> Elimination:
        """With the coefficients at points in place."""
        return _eliminated(dict(places), self.local, self.kept)


@dataclass(frozen=True)
class Elimination:
    """Rows of the upper triangle of the local fields, factors of all rows, what is added to the fields that stay."""

    rows: Mapping[int, Mapping[int, Term]]
    inverses: Mapping[int, Term]
    factors: Mapping[tuple[int, int], Term]
    added: Places

    def forward(self, right: Sequence[Term]) -> list[Term]:
        """Right-hand sides after the local fields have left."""
        out = list(right)
        for (row, pivot), factor in self.factors.items():
            out[row] = build.group(build.sub(out[row], build.mul(factor, out[pivot])))
        return out

    def back(self, right: Sequence[Term], known: Mapping[int, Term]) -> dict[int, Term]:
        """All unknowns, from those of the fields that stayed."""
        found = dict(known)
        for pivot in reversed(list(self.rows)):
            rest = [build.mul(c, found[m]) for m, c in self.rows[pivot].items()]
            found[pivot] = build.group(build.mul(self.inverses[pivot], build.sub(right[pivot], build.add(*rest)) if rest else right[pivot]))
        return found


def condensed(apply: Function, found: Stencil) -> Condensed | None:
    """The system without its local unknowns; None where there are none, or nothing else."""
    count = len(apply.results)
    unknowns, constants = apply.params[:count], apply.params[count:]
    local = [k for k in range(count) if unknowns[k].axes and _is_local(k, found, unknowns)]
    kept = tuple(k for k in range(count) if k not in local)
    if not local or not kept or len(local) > MOST_FIELDS:
        return None
    pairs = {pair for pair, entry in found.entries.items() if entry}
    local.sort(key=lambda k: (sum(k in pair for pair in pairs), k))
    places = {(k, m): _at_point(found, k, m) for k, m in sorted(pairs) if k in local or m in local}
    filled = _filled(set(places), local, kept)
    added = {(k, m): build.symbol(f"condensed:{k}:{m}", unknowns[k].type) for k, m in sorted(filled)}
    nothing = {unknowns[k]: build.zero(unknowns[k].type) for k in local}
    roots = substitute([apply.roots[k] for k in kept], nothing)
    names = [apply.results[k][0] for k in kept]
    whole = []
    for k, root in zip(kept, roots, strict=True):
        more = [build.mul(symbol, unknowns[m]) for (row, m), symbol in added.items() if row == k]
        whole.append(build.conform(build.add(root, *more), unknowns[k].type))
    params = (*(unknowns[k] for k in kept), *constants, *added.values())
    return Condensed(kept, tuple(local), Function(apply.name, params, tuple(zip(names, whole, strict=True))), added, places)


def _is_local(k: int, found: Stencil, unknowns: Sequence[Term]) -> bool:
    """Whether an unknown is read at its own point only, and its equation reads nothing elsewhere."""
    for pair, entry in found.entries.items():
        if k in pair and entry:
            alike = all(unknowns[m].axes == unknowns[k].axes and unknowns[m].kind == Kind.REAL for m in pair)
            if not alike or any(step for offset in entry for _, step in offset.steps):
                return False
    return bool(found.entries.get((k, k)))


def _at_point(found: Stencil, k: int, m: int) -> Term:
    (coefficient,) = found.entries[k, m].values()
    core = unexpanded(coefficient)
    return build.cast(core if not core.axes else coefficient, Kind.REAL)


def _filled(places: set[tuple[int, int]], local: Sequence[int], kept: Sequence[int]) -> set[tuple[int, int]]:
    """Pairs of the fields that stay between which elimination puts coefficients."""
    pairs = set(places)
    for pivot in local:
        rows, columns = [k for k, m in pairs if m == pivot and k != pivot], [m for k, m in pairs if k == pivot and m != pivot]
        pairs = {(k, m) for k, m in pairs if pivot not in (k, m)} | {(k, m) for k in rows for m in columns}
    return {(k, m) for k, m in pairs if k in kept and m in kept}


def _eliminated(matrix: Places, local: Sequence[int], kept: Sequence[int]) -> Elimination:
    rows: dict[int, dict[int, Term]] = {}
    inverses: dict[int, Term] = {}
    factors: dict[tuple[int, int], Term] = {}
    for pivot in local:
        column = {k: c for (k, m), c in matrix.items() if m == pivot and k != pivot}
        row = {m: c for (k, m), c in matrix.items() if k == pivot and m != pivot}
        inverse = _inverse(matrix[pivot, pivot], list(column.values()))
        for k, c in column.items():
            factors[k, pivot] = build.group(build.mul(c, inverse))
            for m, other in row.items():
                change = build.mul(factors[k, pivot], other)
                matrix[k, m] = build.group(build.sub(matrix[k, m], change) if (k, m) in matrix else build.neg(change))
        rows[pivot], inverses[pivot] = row, inverse
        matrix = {(k, m): c for (k, m), c in matrix.items() if pivot not in (k, m)}
    return Elimination(rows, inverses, factors, {pair: c for pair, c in matrix.items() if pair[0] in kept and pair[1] in kept})


def _inverse(pivot: Term, column: Sequence[Term]) -> Term:
    """1/pivot; infinite where something in its column is 10^8 times larger, or a value is not finite."""
    size = build.apply("abs", pivot)
    safe = [build.apply("le", build.scale(GROWTH, build.apply("abs", c)), size) for c in column]
    inverse = build.apply("recip", pivot)
    if not safe:
        return build.group(inverse)
    condition = safe[0]
    for other in safe[1:]:
        condition = build.apply("and", condition, other)
    return build.group(build.where(condition, inverse, build.const(float("inf"), Kind.REAL)))


__all__ = ["Condensed", "Elimination", "condensed"]
