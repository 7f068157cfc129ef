"""`Report`: what the optimizer did to a function and why. Plain data; `to_text` for people, `to_json` for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ricci.cost import Price, cost
from ricci.dsl.show import show_term
from ricci.dsl.term import Term, walk
from ricci.egraph.graph import Graph
from ricci.errors import Diagnostic

SHOWN = 400  # characters of a term in a report
MOST_SHOWN = 2_000  # terms of what is shown at all


@dataclass(frozen=True)
class Step:
    """One source of alternatives: a rule of a phase, or a planner; how many equal forms it added, and how many of its nodes were chosen.

    `where`: file and line of a rule's text. What rules of one run add is not told apart: those that the chosen form can be derived
    by, a smallest set of them, share the number; it is 1 where no node but the equality is theirs.
    """

    phase: str
    name: str
    count: int
    chosen: int = 0
    where: str = ""


@dataclass(frozen=True)
class Considered:
    """A complete alternative and its predicted cost relative to the source's."""

    name: str
    cost: float


@dataclass
class FunctionReport:
    """One function. Costs in seconds of the machine model for one evaluation; operations are scalar operations."""

    name: str
    names: tuple[str, ...]
    source: tuple[Term, ...]
    result: tuple[Term, ...]
    price: Price
    sizes: Mapping[str, int]
    derived: Callable[[], list[Step]] = list
    considered: list[Considered] = field(default_factory=list)
    chosen: str = "source"
    budget: dict[str, int] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    diagnostics: list[Diagnostic] = field(default_factory=list)
    graph: Graph | None = None

    @cached_property
    def steps(self) -> list[Step]:
        """Sources of alternatives in the order in which they acted. Whose nodes were chosen is found out when this is asked for."""
        return self.derived()

    def _cost(self, terms: Sequence[Term], kind: str) -> float:
        return cost(terms, kind, self.price.machine, self.sizes)

    @cached_property
    def before(self) -> float:
        return self._cost(self.source, self.price.kind)

    @cached_property
    def after(self) -> float:
        return self._cost(self.result, self.price.kind)

    @cached_property
    def operations_before(self) -> float:
        return self._cost(self.source, "ops")

    @cached_property
    def operations_after(self) -> float:
        return self._cost(self.result, "ops")

    @cached_property
    def outputs(self) -> dict[str, tuple[float, float]]:
        """Cost of every output on its own, before and after."""
        kind = self.price.kind
        pairs = zip(self.names, self.source, self.result, strict=True)
        return {n: (self._cost([a], kind), self._cost([b], kind)) for n, a, b in pairs}

    def unproved(self) -> list[tuple[str, str]]:
        """Forms with equal values at all points looked at that no rule proved equal: equalities that may be missing."""
        return [] if self.graph is None else self.graph.unproved()

    def texts(self, terms: Sequence[Term]) -> dict[str, str]:
        """What the outputs are, in the language; long ones cut."""
        return {n: _shortened(t) for n, t in zip(self.names, terms, strict=True)}

    @property
    def changed(self) -> bool:
        return self.source != self.result

    def to_json(self) -> dict[str, Any]:
        return {
            "function": self.name,
            "cost": {"before": self.before, "after": self.after, "unit": "s"},
            "operations": {"before": self.operations_before, "after": self.operations_after},
            "outputs": {name: {"before": b, "after": a} for name, (b, a) in self.outputs.items()},
            "rules": [{"phase": s.phase, "name": s.name, "count": s.count, "chosen": s.chosen, "where": s.where} for s in self.steps],
            "considered": [{"form": c.name, "cost": c.cost} for c in self.considered],
            "chosen": self.chosen,
            "budget": self.budget,
            "unproved": self.unproved(),
            "source": list(self.origins),
            "before": self.texts(self.source),
            "after": self.texts(self.result),
            "diagnostics": [d.to_json() for d in self.diagnostics],
        }

    def to_text(self) -> str:
        """Costs, the forms that were compared, the rules in the order in which they acted, and the result."""
        lines = [
            f"{self.name}: predicted {shown_time(self.before)} -> {shown_time(self.after)}, "
            f"operations {self.operations_before:.0f} -> {self.operations_after:.0f}"
        ]
        lines += [f"  from {line}" for line in self.origins]
        if not self.changed:
            lines.append("  kept as written" + (f"; nothing cheaper among {len(self.considered)} forms" if self.considered else ""))
        for name, (before, after) in self.outputs.items():
            lines.append(f"  output {name}: {shown_time(before)} -> {shown_time(after)} on its own")
        if self.steps:
            lines.append("  alternatives from, in order (*: in the chosen form):")
            lines += [
                f"    {'*' if s.chosen else ' '} {s.phase:12s} {s.name} ({s.count})" + (f"  {s.where}" if s.where else "")
                for s in self.steps
            ]
        if self.considered:
            lines.append(f"  compared, cost relative to the source (chosen: search from `{self.chosen}`):")
            lines += [f"    {c.name:12s} {c.cost:8.4f}" for c in self.considered]
        if self.budget:
            lines.append("  used: " + ", ".join(f"{value} {name}" for name, value in self.budget.items()))
        if self.changed:
            for name, text in self.texts(self.result).items():
                lines += [f"  {name} = {text}"]
        lines += [d.render() for d in self.diagnostics]
        return "\n".join(lines)


@dataclass
class Report:
    """All functions of a program, in its order."""

    level: int
    functions: list[FunctionReport] = field(default_factory=list)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return [d for f in self.functions for d in f.diagnostics]

    def to_text(self) -> str:
        if not self.functions:
            return f"level {self.level}: nothing rewritten"
        return "\n".join([f"level {self.level}", *(f.to_text() for f in self.functions)])

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "functions": [f.to_json() for f in self.functions]}


def _shortened(term: Term) -> str:
    if len(walk([term])) > MOST_SHOWN:
        return f"({len(walk([term]))} terms)"
    text = show_term(term)
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + " ..."


def shown_time(seconds: float) -> str:
    """A time in the unit in which it has few digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
