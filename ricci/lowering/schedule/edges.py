"""Reads past the ends of an array as reads of the array with ghosts around it.

A term that several shifted reads share, where a guard with a fill, a `clamp` or a `mirror` decides what lies outside, is
extended once along each such axis: the extended term is stored (around the slot of the term, so that only its ghosts cost
anything), and the reads become plain shifts of it. The extended terms are *definitions*: symbols, so that the normal form of
index maps does not compose the shift back into the guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.index import Guard, Index, Ranges
from ricci.dsl.normal import make_guards
from ricci.dsl.ops.reindex import Fill, pull_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import TupleType
from ricci.lowering.schedule.products import rebuilt
from ricci.lowering.schedule.pull import unit_axis

WIDEST = 8
Edge = tuple[str, Fill]  # ("fill", value), ("clamp", None) or ("mirror", None)


@dataclass(frozen=True)
class Read:
    """A reindex seen as a shift: per axis of the argument (out axis, shift, what lies outside); None for an axis it leaves alone."""

    shifts: tuple[tuple[str, str, int, Edge], ...]  # (axis of argument, out axis, shift, edge)


@dataclass
class _Family:
    """Reads of one term: the edge and the width along each axis, and the reads that agree with them."""

    edges: dict[str, Edge] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    reads: dict[Term, Read] = field(default_factory=dict)

    def take(self, term: Term, read: Read) -> None:
        if any(self.edges.get(axis, edge) != edge for axis, _, _, edge in read.shifts):
            return
        for axis, _, shift, edge in read.shifts:
            self.edges[axis] = edge
            self.widths[axis] = max(self.widths.get(axis, 0), abs(shift))
        self.reads[term] = read


def read_of(term: Term) -> Read | None:
    """The shifted read that a reindex is, if every guard of it says that a shifted axis is in range."""
    pull = pull_of(term)
    (source,) = term.args
    if source.op in ("const", "iota") or isinstance(source.type, TupleType) or not source.axes:
        return None
    shifts: list[tuple[str, str, int, Edge]] = []
    expected: list[Guard] = []
    for axis, e in pull.index.items():
        size = source.axes[axis]
        atom = e.terms[0][0] if len(e.terms) == 1 and not e.constant.terms and e.terms[0][1] == 1 else None
        folded = atom is not None and atom.kind in ("clamp", "mirror") and atom.size == size
        unit = unit_axis(atom.inner if folded and atom is not None else e)
        if unit is None or unit[1] != 1 or term.axes.get(unit[0]) != size:
            if e.single_axis is None and not (atom is not None and atom.kind == "mod") and e.terms:
                return None
            continue
        shift = unit[2].constant
        if shift is None or abs(shift) > WIDEST:
            return None
        if folded and atom is not None:
            shifts.append((axis, unit[0], shift, (atom.kind, None)))
        elif shift:
            expected.append(Guard(0, e, size))
            shifts.append((axis, unit[0], shift, ("fill", pull.fill)))
    if len({out for _, out, _, _ in shifts}) != len(shifts) or not shifts:
        return None
    return Read(tuple(shifts)) if make_guards(expected, Ranges.of(term.axes)) == pull.guards else None


def with_ghosts(roots: Sequence[Term]) -> tuple[list[Term], dict[Term, Term]]:
    """Roots whose edge reads are shifts of extended terms, and the definition of every extended term by its symbol."""
    order = walk(roots)
    families: dict[Term, _Family] = {}
    for term in order:
        if term.op == "reindex":
            read = read_of(term)
            if read is not None:
                families.setdefault(term.args[0], _Family()).take(term, read)
    families = {t: f for t, f in families.items() if len(f.reads) > 1}
    if not families:
        return list(roots), {}
    definitions: dict[Term, Term] = {}
    wide: dict[Term, Term] = {}
    done: dict[Term, Term] = {}
    for term in order:
        args = tuple(done[a] for a in term.args)
        family = families.get(term.args[0]) if term.args else None
        if family is not None and term in family.reads:
            done[term] = _shifted(wide[term.args[0]], term, family)
        else:
            done[term] = term if args == term.args else rebuilt(term, args)
        if term in families:
            wide[term] = _extended(done[term], families[term], definitions)
    return [done[r] for r in roots], definitions


def _name(axis: str, family: _Family) -> str:
    return f"{axis}:g{family.widths[axis]}"


def _extended(term: Term, family: _Family, definitions: dict[Term, Term]) -> Term:
    """The symbol of the term extended along every axis of the family, the innermost axis first."""
    inner = term
    for axis in sorted(family.edges, reverse=True):
        width, (kind, fill), wide = family.widths[axis], family.edges[axis], _name(axis, family)
        size = inner.axes[axis]
        axes = {(wide if a == axis else a): (n + 2 * width if a == axis else n) for a, n in inner.axes.items()}
        e = Index.axis(wide) - width
        e = e.clamp(size) if kind == "clamp" else e.mirror(size) if kind == "mirror" else e
        definition = build.reindex(inner, axes, {axis: e}, (), Fraction(0) if fill is None else fill)
        name = build.symbol(f"extended:{definition.digest.hex()[:16]}", definition.type)
        definitions[name] = definition
        inner = name
    return inner


def _shifted(wide: Term, term: Term, family: _Family) -> Term:
    """The read as a plain shift of the extended term."""
    pull = pull_of(term)
    shifts = {axis: (out, shift) for axis, out, shift, _ in family.reads[term].shifts}
    index: dict[str, Index] = {}
    for axis, e in pull.index.items():
        if axis in shifts:
            out, shift = shifts[axis]
            index[_name(axis, family)] = Index.axis(out) + shift + family.widths[axis]
        elif axis in family.edges:
            index[_name(axis, family)] = e + family.widths[axis]
        else:
            index[axis] = e
    return build.reindex(wide, dict(pull.axes), index)


def ordered(roots: Sequence[Term], definitions: dict[Term, Term]) -> list[Term]:
    """As `walk`, with the definition of a symbol before the symbol."""
    seen: set[Term] = set()
    order: list[Term] = []
    for root in roots:
        stack: list[tuple[Term, bool]] = [(root, False)]
        while stack:
            term, ready = stack.pop()
            if ready:
                order.append(term)
                continue
            if term in seen:
                continue
            seen.add(term)
            stack.append((term, True))
            below = (definitions[term],) if term in definitions else term.args
            stack.extend((a, False) for a in reversed(below) if a not in seen)
    return order
