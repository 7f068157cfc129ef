"""Functions that are other functions for complex numbers: sqrt(-1) of a real number is NaN, of the complex number -1 it is i.

Values do not say of which kind they are: a real number and the complex number that it is are one class. So where such a function takes a
complex number that may be a real one, the whole map is an operator that nothing looks into.
"""

from __future__ import annotations

from collections.abc import Sequence

from ricci.dsl.ops.functions import REALS, SCALARS
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Type

OTHERWISE_COMPLEX = frozenset(name for name, f in SCALARS.items() if f.domain != REALS and f.python_complex) | {"pow"}


def crosses(term: Term) -> bool:
    """Whether a map takes what may be a real number as a complex one, and gives another value there than for a real one."""
    return term.op == "map" and term.attrs[0] in OTHERWISE_COMPLEX and term.kind == Kind.COMPLEX and _may_be_real(term.args)


def _may_be_real(arguments: Sequence[Term]) -> bool:
    """Whether real values that are not known are among what the arguments follow from (re z and |z| are), or nothing unknown at all."""
    unknown: set[Term] = set()
    for term in walk(arguments):
        named = term.op == "symbol" and name_of(term) not in CONSTANTS and not name_of(term).startswith("#")
        if named or term.op in ("iota", "random") or any(a in unknown for a in term.args):
            unknown.add(term)
            if isinstance(term.type, Type) and term.kind < Kind.COMPLEX:
                return True
    return not unknown


__all__ = ["crosses"]
