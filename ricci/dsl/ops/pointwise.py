"""What linear, scalar functions and casts share: axes by name, and which broadcasts, renames and casts float outwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ricci.dsl.ops import cast, reindex
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Size, TupleType


def union(terms: Iterable[Term]) -> dict[str, Size]:
    """All axes of the terms; TermError when one name has two sizes."""
    axes: dict[str, Size] = {}
    for term in terms:
        if isinstance(term.type, TupleType):
            raise TermError(f"{term.op} is a tuple; take a component first")
        for name, size in term.axes.items():
            if axes.setdefault(name, size) is not size:
                raise TermError(f"axis {name} has two sizes, {axes[name]} and {size}")
    return axes


def unexpanded(term: Term) -> Term:
    """The term without the axes that it only repeats along (it varies along none of them)."""
    return reindex.split_expand(term)[0] if term.op == "reindex" else term


def uncast(term: Term, largest: Kind = Kind.COMPLEX) -> Term:
    """The term without a cast, to `largest` at most, that embeds its values; of a bool cast to a number, the int."""
    if term.op != "cast" or term.kind > largest:
        return term
    (inner,) = term.args
    if inner.kind == Kind.BOOL:
        return cast.make_cast(inner, Kind.INT) if term.kind > Kind.INT else term
    return inner if inner.kind < term.kind else term


def common_rename(terms: Sequence[Term]) -> tuple[list[Term], dict[str, str]] | None:
    """(t_i before, names) with every term = t_i renamed by one injective map of names; None if there is no rename."""
    if all(t.op != "reindex" for t in terms):
        return None
    names: dict[str, str] = {}
    before: dict[str, str] = {}
    inner: list[Term] = []
    for term in terms:
        own = rename_of(term)
        inner.append(term if own is None else term.args[0])
        for old, new in own.items() if own is not None else [(axis, axis) for axis in term.axes]:
            if names.setdefault(old, new) != new or before.setdefault(new, old) != old:
                return None
    changed = {old: new for old, new in names.items() if old != new}
    return (inner, changed) if changed else None


def rename_of(term: Term) -> dict[str, str] | None:
    """Old name -> new name of every axis, if the term is a reindex that only changes names; else None."""
    if term.op != "reindex":
        return None
    pull = reindex.pull_of(term)
    source = term.args[0].axes
    if pull.guards or len(source) != len(term.axes):
        return None
    names: dict[str, str] = {}
    for old, index in pull.entries:
        new = index.single_axis
        if new is None or term.axes[new] is not source[old]:
            return None
        names[old] = new
    return names if len(set(names.values())) == len(term.axes) else None


def renamed(term: Term, names: Mapping[str, str]) -> Term:
    """The term with those of its axes renamed that occur in `names`."""
    own = {old: new for old, new in names.items() if old in term.axes}
    return reindex.rename(term, own) if own else term
