"""`Report`: what the optimizer did to a function and why. Plain data; `to_text` for people, `to_json` for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ricci.errors import Diagnostic


@dataclass(frozen=True)
class Step:
    """One source of alternatives: a rule of a phase, or a planner; how many equal forms it added."""

    phase: str
    name: str
    count: int


@dataclass(frozen=True)
class Considered:
    """A complete alternative and its predicted cost relative to the source's."""

    name: str
    cost: float


@dataclass
class FunctionReport:
    """One function. Costs in seconds of the machine model for one evaluation; operations are scalar operations."""

    name: str
    before: float
    after: float
    operations_before: float
    operations_after: float
    outputs: dict[str, tuple[float, float]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    considered: list[Considered] = field(default_factory=list)
    chosen: str = "source"
    budget: dict[str, int] = field(default_factory=dict)
    before_text: dict[str, str] = field(default_factory=dict)
    after_text: dict[str, str] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.before_text != self.after_text

    def to_json(self) -> dict[str, Any]:
        return {
            "function": self.name,
            "cost": {"before": self.before, "after": self.after, "unit": "s"},
            "operations": {"before": self.operations_before, "after": self.operations_after},
            "outputs": {name: {"before": b, "after": a} for name, (b, a) in self.outputs.items()},
            "rules": [{"phase": s.phase, "name": s.name, "count": s.count} for s in self.steps],
            "considered": [{"form": c.name, "cost": c.cost} for c in self.considered],
            "chosen": self.chosen,
            "budget": self.budget,
            "source": list(self.origins),
            "before": self.before_text,
            "after": self.after_text,
            "diagnostics": [d.to_json() for d in self.diagnostics],
        }

    def to_text(self) -> str:
        """Costs, the forms that were compared, the rules in the order in which they acted, and the result."""
        lines = [
            f"{self.name}: predicted {_time(self.before)} -> {_time(self.after)}, "
            f"operations {self.operations_before:.0f} -> {self.operations_after:.0f}"
        ]
        lines += [f"  from {line}" for line in self.origins]
        if not self.changed:
            lines.append("  kept as written" + (f"; nothing cheaper among {len(self.considered)} forms" if self.considered else ""))
        for name, (before, after) in self.outputs.items():
            lines.append(f"  output {name}: {_time(before)} -> {_time(after)} on its own")
        if self.steps:
            lines.append("  alternatives from, in order:")
            lines += [f"    {s.phase:10s} {s.name} ({s.count})" for s in self.steps]
        if self.considered:
            lines.append(f"  compared, cost relative to the source (chosen: search from `{self.chosen}`):")
            lines += [f"    {c.name:12s} {c.cost:8.4f}" for c in self.considered]
        if self.budget:
            lines.append("  used: " + ", ".join(f"{value} {name}" for name, value in self.budget.items()))
        if self.changed:
            for name, text in self.after_text.items():
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


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
