"""Kernels in `ricci explain`: what each function is run as, and what that is predicted to cost, before and after optimization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ricci import driver
from ricci.backends.forecast import Forecast, seconds_of
from ricci.egraph.explain import shown_time
from ricci.errors import RicciError

if TYPE_CHECKING:
    from ricci.dsl.program import Program

MOST_ROWS = 12  # kernels of a table; the others are summed up
STEP = "advance"


@dataclass(frozen=True)
class Kernels:
    """The kernels of a function as it was written and as it is run, for sizes of which some are assumed."""

    sizes: dict[str, int]
    assumed: frozenset[str]
    threads: int
    machine: str
    before: list[Forecast] | None  # None: not looked at
    after: list[Forecast]

    def to_json(self) -> dict[str, Any]:
        """Times in seconds, sizes in bytes, operations of one element."""
        before = None if self.before is None else {"seconds": seconds_of(self.before), "kernels": [f.to_json() for f in self.before]}
        return {
            "units": {"seconds": "s", "bytes": "B", "operations": "1"},
            "sizes": self.sizes,
            "assumed_sizes": sorted(self.assumed),
            "threads": self.threads,
            "machine": self.machine,
            "before": before,
            "after": {"seconds": seconds_of(self.after), "kernels": [f.to_json() for f in self.after]},
        }

    def to_text(self) -> str:
        """A line on the whole, then a table of the kernels; one for both forms where they are the same."""
        if not self.after and not self.before:
            return "  no kernels: numbers only, computed one by one"
        where = " ".join(f"{name}={n}{'?' if name in self.assumed else ''}" for name, n in sorted(self.sizes.items()))
        times = " -> ".join(shown_time(seconds_of(found)) for found in (self.before, self.after) if found is not None)
        on = f"{'up to ' * (self.threads > 1)}{self.threads} thread{'s' * (self.threads > 1)} of `{self.machine}`"
        lines = [f"  kernels{' at ' + where if where else ''} on {on}: predicted {times}"]
        if self.assumed:
            lines.append("    (?: a size that the model does not fix)")
        if self.before is not None and self.before != self.after:
            lines += ["    as written:", *table(self.before), "    as it is run:"]
        return "\n".join([*lines, *table(self.after)])


def table(found: Sequence[Forecast]) -> list[str]:
    """Rows for the longest kernels in their order, columns aligned."""
    if not found:
        return ["      none: nothing but numbers and what was given"]
    longest = sorted(range(len(found)), key=lambda k: (-found[k].total, k))[:MOST_ROWS]
    rows = [("kernel", "computes", "points", "time", "op/point", "B/point", "limited by"), *(row(found[k]) for k in sorted(longest))]
    if any(f.measured is not None for f in found):
        rows[0] += ("measured", "of the limit")
        rows[1:] = [r + _measured(found[k]) for r, k in zip(rows[1:], sorted(longest), strict=True)]
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    lines = ["      " + "  ".join(text.ljust(width) for text, width in zip(r, widths, strict=True)).rstrip() for r in rows]
    rest = [f for k, f in enumerate(found) if k not in longest]
    if rest:
        lines.append(f"      {len(rest)} more: {shown_time(seconds_of(rest))}")
    return lines


def row(one: Forecast) -> tuple[str, ...]:
    """Figures of one kernel; a dash where there is none."""
    time = "-" if one.seconds is None else (f"{one.times} x " if one.times != 1 else "") + shown_time(one.seconds)
    points = " x ".join(str(n) for _, n in one.loops) or "-"
    each = [sum(one.operations.values()), one.touched]
    per_point = [f"{n / one.points:.4g}" if one.loops and one.points else "-" for n in each]
    results = ", ".join(one.results)
    return one.kernel, results if len(results) <= 40 else results[:37] + "...", points, time, *per_point, one.limit or "-"


def _measured(one: Forecast) -> tuple[str, str]:
    """What a call took, and how much of that its busiest resource needs at least."""
    if not one.measured:
        return "-", "-"
    return shown_time(one.measured), f"{100 * one.bound / one.measured:.0f} %" if one.bound else "-"


def run_often(program: Program, implicit: bool) -> set[str]:
    """Functions of a program that are run as kernels: the others are evaluated a few times, by the interpreter."""
    if program.states:
        return {"rhs", "rhs_tangent", "rhs_time"} if implicit else {"rhs"}
    looks = {name for name in program.functions if name.startswith(("output:", "plot:"))}
    return {name for name in program.functions if not name.startswith("check:")} - looks


def kernels(before: Program | None, after: Program, name: str, known: dict[str, int], threads: int, timed: bool = False) -> Kernels | None:
    """The kernels of a function, `timed` as they are run; None where it cannot be scheduled on its own."""
    machine = driver.this_machine(after)
    function = after.functions[name]
    dims = sorted({d.name for term in (*function.params, *function.roots) for size in _sizes(term) for d in size.dims})
    least = {d: max(machine.nominal_size, after.dims[d].lower if d in after.dims else 0) for d in dims}
    sizes = {d: known.get(d, least[d]) for d in dims}
    try:
        found = [
            None if p is None else driver.forecasts(p, name, {**known, **sizes}, threads, timed and p is after) for p in (before, after)
        ]
    except RicciError:
        return None
    assert found[1] is not None
    return Kernels(sizes, frozenset(d for d in dims if d not in known), threads, machine.name, found[0], found[1])


def _sizes(term: Any) -> Sequence[Any]:
    parts = getattr(term.type, "components", (term.type,))
    return [size for part in parts for size in part.axes.values()]
