"""Values that can only be one number are that number: x in [2, 2], max(x, 0) of x in [-1, 0]."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite

from ricci.dsl.types import Kind
from ricci.egraph.analyses import Ranges
from ricci.egraph.kinds import Kinds
from ricci.egraph.rational import tidy
from ricci.egraph.terms import Loader


def settle(loader: Loader, ranges: Ranges) -> int:
    """State what intervals of one point say; returns how many values became numbers."""
    space, kinds = loader.space, Kinds(loader.space)
    made = 0
    for c in space.classes():
        known = ranges.of(2 * c)
        if known.lo == known.hi and isfinite(known.lo) and c not in space.constants and kinds.known(2 * c) in (Kind.INT, Kind.REAL):
            made += 1
            space.union(space.expand(space.number(tidy(Fraction(known.lo))), space.axes[c]), 2 * c)
    return made
