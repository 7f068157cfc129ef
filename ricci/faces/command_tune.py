"""`ricci tune`: measure this machine and keep what predicted times are made of."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ricci.backends.tuning import Measure, Sample
    from ricci.machine import Machine

BUSY = 0.10  # median excess of median over least times above which the machine was busy


@dataclass(frozen=True)
class Tuned:
    """A fitted machine, and how well it explains what was measured."""

    machine: Machine
    samples: Sequence[Sample]
    seconds: float

    @property
    def noise(self) -> float:
        """How much longer than the least the usual repetition took, in the median of all probes."""
        return statistics.median(s.timing.noise for s in self.samples)

    def error(self, quantile: float) -> float:
        """A quantile of |predicted / measured - 1|."""
        import numpy as np

        from ricci.backends.tuning import errors

        return float(np.quantile(np.abs(np.exp(errors(self.machine, self.samples)) - 1), quantile))


def measured(measure: Measure | None = None, machine: Machine | None = None) -> Tuned:
    """Time all probes (by `measure`) and fit a machine to them, beginning with the one given (the shipped one for this processor)."""
    from ricci.backends.tuning import Stopwatch, fitted, sampled, this_processor

    begin = time.perf_counter()
    start = this_processor() if machine is None else machine
    samples = sampled(measure or Stopwatch(), start, show)
    return Tuned(fitted(start, samples), samples, time.perf_counter() - begin)


def show(done: int, total: int) -> None:
    """The progress line, on a terminal only."""
    if sys.stderr.isatty():
        text = f"\rmeasuring  {done} of {total} " if done < total else "\r" + " " * 40 + "\r"
        print(text, end="", file=sys.stderr, flush=True)


def tune(as_json: bool, measure: Measure | None = None) -> int:
    """Measure, keep the record, say what was found."""
    from ricci.backends.machine_record import processor, ready_to_save, save

    ready_to_save()
    found = measured(measure)
    where = save(found.machine)
    if as_json:
        print(json.dumps(facts(found, str(where), processor())))
        return 0
    print("\n".join(lines(found.machine)))
    print(
        f"predictions of the {len(found.samples)} measurements: {found.error(0.5):.0%} off in the median, {found.error(0.9):.0%} in nine of ten"
    )
    print(f"kept in {where} ({found.seconds:.0f} s)")
    if found.noise > BUSY:
        print(f"note: {busy(found)}", file=sys.stderr)
    return 0


def busy(found: Tuned) -> str:
    """What to think of figures that were taken beside other work."""
    return f"the machine was busy: repetitions of one measurement differ by {found.noise:.0%} in the median; tune again when it is idle"


def facts(found: Tuned, where: str, processor: str) -> dict[str, Any]:
    """The JSON of the command."""
    return {
        "path": where,
        "processor": processor,
        "machine": found.machine.to_json(),
        "measurements": len(found.samples),
        "seconds": found.seconds,
        "error": {"median": found.error(0.5), "p90": found.error(0.9)},
        "noise": found.noise,
        "busy": found.noise > BUSY,
    }


def lines(machine: Machine) -> list[str]:
    """The machine for people: operations in the first cache, memory, products."""
    names = {
        "add": "add, multiply",
        "div": "divide",
        "sqrt": "root",
        "transcendental": "exp",
        "log": "log",
        "sine": "sin",
        "power": "power",
    }
    rates = ", ".join(f"{label} {machine.operation(kind) * 1e9:.3g}" for kind, label in names.items())
    memory = ", ".join(f"{v.name} {v.bandwidth / 1e9:.0f} / {v.writing / 1e9:.0f}" for v in machine.levels[1:])
    return [
        f"{machine.cores} cores, vectors of {machine.lanes} reals",
        f"ns an element in the first cache: {rates}",
        f"GB/s of one core, read / write: {memory}",
        f"matrix products: {2 * machine.matmul / 1e9:.0f} Gflop/s; a call of a library {machine.library_call * 1e6:.0f} us",
    ]
