"""By which of its sources an equality can be derived: a smallest set of them, found by leaving parts of it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
RUNS = 40  # trials; what is not decided then counts as needed


def needed(items: Sequence[T], enough: Callable[[Sequence[T]], bool]) -> list[T]:
    """Items that are enough together and none of which can be left out, in their order; all of them where they are not enough.

    `enough` is monotone: what is enough stays so with more beside it. About k log2(n / k) trials for k of n (QuickXplain, U. Junker, AAAI 2004).
    """
    trials = 0

    def suffices(chosen: Sequence[int]) -> bool:
        nonlocal trials
        trials += 1
        return trials <= RUNS and enough([items[k] for k in sorted(chosen)])

    def among(base: list[int], parts: list[int], changed: bool) -> list[int]:
        if changed and suffices(base):
            return []
        if len(parts) == 1:
            return parts
        left, right = parts[: len(parts) // 2], parts[len(parts) // 2 :]
        of_right = among([*base, *left], right, True)
        of_left = among([*base, *of_right], left, bool(of_right))
        return [*of_left, *of_right]

    everything = list(range(len(items)))
    if not items or not suffices(everything):
        return list(items)
    return [items[k] for k in sorted(among([], everything, True))]
