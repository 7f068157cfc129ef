"""Syntax tree -> `Model`: names, indices, types, units and conditions are right; terms in SI values, ready to be discretized.

`check(file)` reads declarations on first use, then equations and conditions, then what is solved and looked at. What is
understood and cannot be run yet becomes an entry of `Model.unsupported`; everything that is wrong is in one `CheckFailed`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from ricci.dsl import tree
from ricci.dsl.check.calculus import derivative_rule
from ricci.dsl.check.context import Checker, Restart
from ricci.dsl.check.declarations import Declarer
from ricci.dsl.check.mending import with_remedies
from ricci.dsl.check.modules import names_called
from ricci.dsl.check.operators import OPERATORS
from ricci.dsl.check.scope import Scope
from ricci.dsl.check.statements import check_block
from ricci.dsl.model import Model, Unit
from ricci.dsl.types import Size
from ricci.dsl.units import NUMBER
from ricci.errors import CheckFailed, Diagnostic, Diagnostics

SECOND = Unit(Fraction(1), (("s", Fraction(1)),), "s")
MOST_EQUALITIES = 100


def check(file: tree.File) -> Model:
    """The model that a text means. Raises CheckFailed with all that is wrong, in the order of the text."""
    from ricci.dsl.parse import parse

    try:
        return _with_equal_sizes(file)
    except CheckFailed as failure:
        raise with_remedies(failure, file.source, lambda source: _with_equal_sizes(parse(source))) from None


def _with_equal_sizes(file: tree.File) -> Model:
    equalities: dict[str, Size] = {}
    with tree.recursion():
        for _ in range(MOST_EQUALITIES):
            try:
                return _checked(file, equalities)
            except Restart:
                continue
            except RecursionError:  # what is counted in levels (brackets, calls of functions) is refused before
                message = "definitions of this text are put into each other too deeply"
                raise CheckFailed("E0004", message, file.span, label="give parts a `let`") from None
    raise CheckFailed("E0202", "the sizes of this model cannot be made equal", file.span)


def _checked(file: tree.File, equalities: dict[str, Size]) -> Model:
    from ricci.dsl.format import canonical_text

    model = Model(Path(file.source.name).stem.strip("<>") or "model", canonical_text(file), file.source)
    model.uses_units = any(isinstance(n, tree.UnitExpr) for s in file.statements for n in tree.walk(s))
    model.time_unit = SECOND if model.uses_units else Unit()
    checker = Checker(file.source, model, Diagnostics(), equalities)
    checker.operators = OPERATORS
    checker.derivative = derivative_rule
    checker.time_unit = model.time_unit.powers if model.uses_units else NUMBER
    checker.called = names_called(file.statements)
    checker.folder = str(Path(file.source.name).parent)
    outer = Declarer(checker, Scope())
    outer.predefined()
    declarer = Declarer(checker, Scope(outer.scope))
    check_block(declarer, file.statements)
    checker.diagnostics.errors = first_of_each(checker.diagnostics.errors)
    assert checker.diagnostics.errors or not checker.silent, "a statement was left out without a message"
    checker.diagnostics.raise_if_any(CheckFailed)
    if not model.fields and not model.layers:  # elsewhere they only name parts of something else
        model.lets = {**checker.numbers, **model.lets}
    model.notes = list(checker.diagnostics.notes)
    model.spans = {term: frozenset(spans) for term, spans in checker.spans.items()}
    model.unsupported = sorted(checker.unsupported.values(), key=lambda u: u.span.start if u.span else 0)
    return model


def first_of_each(errors: list[Diagnostic]) -> list[Diagnostic]:
    """Without later places of a name, side or index that was said to be unknown: it is one mistake."""
    said: set[tuple[str, ...]] = set()
    out = []
    for found in sorted(errors, key=lambda d: d.span.start if d.span else -1):
        names = tuple(re.findall(r"`([^`]*)`", found.message))
        unknown = found.code in ("E0101", "E0201") or found.message.startswith("there is no ")
        if not unknown or names not in said:
            out.append(found)
        if unknown:
            said.add(names)
    return out


__all__ = ["check"]
