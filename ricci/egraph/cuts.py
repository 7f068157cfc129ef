"""Functions that are other functions for complex numbers: sqrt(-1) of a real number is NaN, of the complex number -1 it is i.

Values do not say of which kind they are: a real number and the complex number that it is are one class. So where such a function takes a
complex number that may be a real one, the whole map is an operator that nothing looks into.
"""

from __future__ import annotations

from collections.abc import Sequence

from ricci.dsl.ops.functions import REALS, SCALARS
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Term, symbols
from ricci.dsl.types import Kind

CUT = frozenset(name for name, f in SCALARS.items() if f.domain != REALS and f.python_complex) | {"pow"}


def crosses(term: Term) -> bool:
    """Whether a map takes what may be a real number as a complex one, and gives another value there than for a real one."""
    return term.op == "map" and term.attrs[0] in CUT and term.kind == Kind.COMPLEX and _may_be_real(term.args)


def _may_be_real(arguments: Sequence[Term]) -> bool:
    """Whether real unknowns are among what the values follow from, or no unknowns at all."""
    unknown = [s.kind == Kind.COMPLEX for s in symbols(arguments) if name_of(s) not in CONSTANTS and not name_of(s).startswith("#")]
    return not all(unknown) or not unknown


__all__ = ["CUT", "crosses"]
