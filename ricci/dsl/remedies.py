"""Remedies: a whole statement of the user's text with one part put right, so that it can be pasted in place of the old one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

from ricci.dsl import tree
from ricci.dsl.model import Unit
from ricci.errors import RicciError, Source, Span

Kind = TypeVar("Kind", bound=tree.Node)
LONGEST = 300  # characters of a remedy


def with_part(statement: Span, part: Span, text: str) -> str:
    """The statement, on one line, with a part of it replaced; "" where the part is not in it, or the result is no statement or long."""
    source = statement.source
    if part.source != source or not statement.start <= part.start <= part.end <= statement.end:
        return ""
    return one_line(source.text[statement.start : part.start] + text + source.text[part.end : statement.end])


def instead(part: Span, text: str) -> str:
    """The innermost statement around a part of a source with the part replaced; "" where there is none, or it parses no more."""
    statement = around(part)
    return with_part(statement, part, text) if statement is not None else ""


def around(part: Span) -> Span | None:
    """The innermost statement around a part of a source; None where there is none, or the source does not parse."""
    found = [n.span for n in nodes(part.source, tree.Statement) if n.span.start <= part.start and part.end <= n.span.end]
    return min(found, key=lambda s: s.end - s.start) if found else None


def entry_around(part: Span) -> Span | None:
    """The option of a `solve` around a part of it."""
    found = [n.span for n in nodes(part.source, tree.Entry) if n.span.start <= part.start and part.end <= n.span.end]
    return found[0] if found else None


@lru_cache(maxsize=4)
def _all_nodes(source: Source) -> tuple[tree.Node, ...]:
    """Every node of a source; none where it does not parse."""
    from ricci.dsl.parse import parse

    try:
        return tuple(n for s in parse(source).statements for n in tree.walk(s))
    except RicciError:
        return ()


def nodes(source: Source, kind: type[Kind]) -> list[Kind]:
    """The nodes of a kind in a source."""
    return [n for n in _all_nodes(source) if isinstance(n, kind)]


def one_line(text: str) -> str:
    """A statement on one line, in its own spelling if it stands on one; "" where it does not parse or is long."""
    from ricci.dsl.format import canonical_text

    parsed = _parsed(text)
    if len(parsed) != 1:
        return ""
    line = text.strip()
    if "\n" in line or "#" in line:
        line = canonical_text(tree.File(parsed, (), parsed[0].span.source, span=parsed[0].span)).strip()
    return line if len(line) <= LONGEST and "\n" not in line else ""


def _parsed(text: str) -> tuple[tree.Statement, ...]:
    """The statements of a text; none where it does not parse."""
    from ricci.dsl.parse import parse

    try:
        return parse(Source("", text)).statements
    except RicciError:
        return ()


def quantity(value: Fraction | float, unit: Unit, digits: int = 15) -> str:
    """A number in SI units as text in a unit: `0.5`, `20 [s]`."""
    shown = (value - unit.offset) / unit.factor if unit.factor else value
    number = f"{float(shown):.{digits}g}"
    return f"{number} [{unit.text}]" if unit.text else number


def with_options(statement: Span | None, options: Iterable[tuple[str, str]]) -> str:
    """`solve { ... }` with these options set (name, text of the value), on one line; the user's other settings stay.

    A `grid` is given for some coordinates only: the others keep their numbers of points.
    """
    from ricci.dsl.format import canonical_text

    solve = _solve("solve { }" if statement is None else statement.text)
    for name, value in options:
        found = _solve(f"solve {{ {name}: {value} }}")
        if solve is None or found is None:
            return ""
        solve = _with_entry(solve, found.entries[0])
    if solve is None:
        return ""
    line = canonical_text(tree.File((solve,), (), solve.span.source, span=solve.span)).strip()
    return line if len(line) <= LONGEST else ""


def _solve(text: str) -> tree.Solve | None:
    parsed = _parsed(text)
    return parsed[0] if len(parsed) == 1 and isinstance(parsed[0], tree.Solve) else None


def _with_entry(solve: tree.Solve, entry: tree.Entry) -> tree.Solve:
    before = next((e for e in solve.entries if e.name.id == entry.name.id), None)
    if before is None:
        return replace(solve, entries=(*solve.entries, entry))
    if entry.name.id == "grid":
        new = {k.name.id: k for k in entry.keywords}
        kept = [new.pop(a.name.id, a) if isinstance(a, tree.Keyword) else a for a in before.arguments]
        entry = replace(entry, arguments=(*kept, *new.values()))
    return replace(solve, entries=tuple(entry if e is before else e for e in solve.entries))


def time_unit(statement: Span | None, default: Unit, option: str = "until") -> Unit:
    """The unit in which a `solve` says its times, those of one option first, or else the default."""
    from ricci.dsl.units import Units

    if statement is None or not default.text:
        return default
    for _, number in sorted(_times(_parsed(statement.text)), key=lambda found: found[0] != option):
        try:
            unit = Units().resolve(number.unit) if number.unit is not None else default
        except RicciError:  # a unit of the model's own
            continue
        if unit.powers == default.powers:
            return unit
    return default


def _times(statements: Sequence[tree.Statement]) -> list[tuple[str, tree.Number]]:
    """Numbers in the options that hold times, with the names of the options."""
    entries = [e for s in statements if isinstance(s, tree.Solve) for e in s.entries if e.name.id in ("until", "time")]
    return [(e.name.id, n) for e in entries for n in tree.walk(e) if isinstance(n, tree.Number)]
