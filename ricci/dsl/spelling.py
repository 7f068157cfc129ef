"""Spelling: the known name that is nearest to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable

LARGEST_DISTANCE = 2


def distance(a: str, b: str, limit: int = LARGEST_DISTANCE) -> int:
    """Number of insertions, deletions, replacements and swaps of neighbours from `a` to `b`; `limit + 1` if there are more."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        row = [i]
        for j, cb in enumerate(b, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (ca != cb))
            if i > 1 and j > 1 and ca == b[j - 2] and a[i - 2] == cb:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return min(last[-1], limit + 1)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name within two edits (one for names of three letters or fewer), the nearest and then the first in order.

    A name of one letter is like its other case only: any two of them are one edit apart.
    """
    limit = LARGEST_DISTANCE if len(name) > 3 else min(1, len(name) - 1)
    found = [(distance(name.lower(), k.lower(), limit), k) for k in sorted(set(known)) if k != name]
    found = [(d, k) for d, k in found if d <= limit]
    return min(found)[1] if found else None
