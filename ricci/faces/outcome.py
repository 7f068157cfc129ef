"""What a run leaves in the hands of a user: results with axes and units, checks, figures about the run."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from typing import Any

from ricci.backends.labelled import Labelled
from ricci.dsl.model import Unit
from ricci.errors import Diagnostic


@dataclass(frozen=True)
class CheckResult:
    """One `check`: `value` is the measured left side of its first comparison that failed (else of the first), in the unit written.

    `undefined`: it neither holds nor fails, because it compares something with NaN; it has not passed.
    """

    text: str
    passed: bool
    value: float | None
    bound: float | None
    op: str = ""
    undefined: bool = False

    @property
    def remark(self) -> str:
        """What was measured, for a person."""
        if self.undefined:
            return "it compares what is not a number (NaN)"
        return f"left side {self.value:.6g}" if self.value is not None else ""

    def to_json(self) -> dict[str, Any]:
        shown = {"text": self.text, "passed": self.passed, "value": _plain(self.value), "bound": _plain(self.bound)}
        return {**shown, "undefined": True} if self.undefined else shown


def _plain(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinities: they become text."""
    if value is None or (value == value and abs(value) != float("inf")):
        return value
    return str(value)


@dataclass
class Outcome:
    results: dict[str, Labelled] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    choices: list[Any] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    rejected: int = 0
    time_unit: Unit = Unit()  # in which steps are shown
    dt_min: float | None = None
    dt_max: float | None = None
    kernels: list[str] = field(default_factory=list)
    points: int = 0
    planned_bytes: int = 0

    @property
    def points_per_second(self) -> float | None:
        run = self.seconds.get("run", 0.0)
        return self.points * self.steps / run if self.points and self.steps and run > 0 else None

    def to_json(self) -> dict[str, Any]:
        """The object that `ricci run --json` prints."""
        return {
            "checks": [c.to_json() for c in self.checks],
            "steps": self.steps,
            "rejected": self.rejected,
            "dt": {"min": self.dt_min, "max": self.dt_max},
            "kernels": self.kernels,
            "seconds": {k: round(v, 6) for k, v in self.seconds.items()},
            "points_per_second": self.points_per_second,
            "planned_bytes": self.planned_bytes,
            "peak_bytes": peak_bytes(),
            "outputs": self.outputs,
            "notes": self.notes,
            "warnings": [d.to_json() for d in self.warnings],
            "choices": [{"what": c.what, "value": c.value, "reason": c.reason} for c in self.choices],
        }

    def summary(self) -> str:
        """What `ricci run` says to a person."""
        lines = [f"  {c.what} {c.value}: {c.reason}" for c in self.choices]
        lines += [f"  {sketch(r)}" for r in self.results.values()]
        lines += [f"  note: {n}" for n in self.notes]
        if self.steps:
            spread = ""
            if self.dt_min is not None and self.dt_max is not None:
                shortest, longest = (f"{dt / float(self.time_unit.factor):.3g}" for dt in (self.dt_min, self.dt_max))
                spread = f"dt {shortest} .. {longest}" + (f" [{self.time_unit.text}]" if self.time_unit.text else "")
            rate = f"  {self.points_per_second / 1e6:.3g} million points/s" if self.points_per_second and self.points > 1 else ""
            rejected = f" ({self.rejected} rejected)" if self.rejected else ""
            lines.append(f"  {self.steps} steps{rejected}  {spread}{rate}")
        times = "  ".join(f"{k} {v:.2f} s" for k, v in self.seconds.items() if v >= 0.005)
        if times:
            lines.append(f"  {times}")
        for c in self.checks:
            value = f"   ({c.remark})" if c.remark else ""
            lines.append(f"  check {'passed' if c.passed else 'FAILED'}: {c.text}{value}")
        lines += [f"  wrote {name}" for name in self.outputs]
        return "\n".join(lines)


def sketch(result: Labelled) -> str:
    """A line about one result, with a sparkline where it has one axis."""
    from ricci.faces.sparkline import sparkline

    text = repr(result)
    if len(result.axes) == 1 and result.values.dtype.kind in "iuf" and result.values.size > 1:
        text += "   " + sparkline(list(result.values))
    return text


def peak_bytes() -> int:
    """Largest resident size of this process so far (on Linux of this program: getrusage counts the process that started it, too)."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)
