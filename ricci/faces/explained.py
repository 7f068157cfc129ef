"""`ricci explain` of a model: what was chosen, which rules made what of its functions, which kernels they are run as."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ricci import driver
from ricci.backends.binding import Binding, bind
from ricci.backends.data import Reader
from ricci.driver import Settings
from ricci.dsl.model import Model
from ricci.dsl.program import Choice, Program
from ricci.egraph.explain import Report
from ricci.errors import CannotRun, Source
from ricci.faces.command_run import PATIENCE, eta
from ricci.faces.kernels import STEP, Kernels, kernels, run_often


@dataclass(frozen=True)
class Explained:
    """All of it. `kernels`: by name of the function, and of the step of the time loop, whose method is `method` ("": no time).

    `seconds` is how long the optimizer took; nothing depends on it.
    """

    model: Model
    choices: list[Choice]
    report: Report
    kernels: dict[str, Kernels]
    method: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        report = self.report.to_json()
        for function in report["functions"]:
            own = self.kernels.get(function["function"])
            function["kernels"] = None if own is None else own.to_json()
        step = self.kernels.get(STEP)
        return {
            "choices": [{"what": c.what, "value": c.value, "reason": c.reason} for c in self.choices],
            "notes": [d.to_json() for d in self.model.notes],
            "optimizer": {**report, "seconds": self.seconds},
            "step": None if step is None else {"method": self.method, "kernels": step.to_json()},
        }

    def to_text(self) -> str:
        from ricci.faces.command_check import describe

        lines = [describe(self.model), *(n.render() for n in self.model.notes)]
        lines += [f"{c.what} {c.value}: {c.reason}" for c in self.choices]
        level = f"level {self.report.level}"
        if not self.report.functions:
            level += ": nothing rewritten"
        if self.seconds >= PATIENCE:
            level += f", {eta(self.seconds)} of optimizing"
        lines.append(level)
        for function in self.report.functions:
            lines.append(function.to_text())
            if function.name in self.kernels:
                lines.append(self.kernels[function.name].to_text())
        told = {f.name for f in self.report.functions}
        for name, own in self.kernels.items():
            if name not in told:
                lines += [f"one step of `{self.method}`:" if name == STEP else f"{name}:", own.to_text()]
        return "\n".join(lines)


def explained(source: Source, settings: Settings, entered: Callable[[str], None] = lambda _: None) -> Explained:
    """Everything about a model that can be said before it is compiled. `entered` hears of stages as they begin and end."""
    model = driver.check_text(source, settings)
    program = driver.together(driver.derive(driver.discretize(model)))
    entered("optimize")
    begin = time.perf_counter()
    try:
        better, report = driver.optimize(program, settings.opt)
        seconds = time.perf_counter() - begin
    finally:
        entered("")
    choices = list(program.choices)
    sizes, method, stepping = dict(program.sizes), "", None
    if program.states:
        binding = bound(program, source, settings)
        sizes |= binding.sizes
        integrator, reasons = driver.choose(model, better, binding.values, sizes)
        stepping = driver.integrate(better, integrator)
        choices += reasons
        if integrator.method.implicit:
            choices += driver.linear_solvers(stepping, sizes)
        choices += driver.overlap(stepping)
        method = integrator.method.name
        often = run_often(program, integrator.method.implicit)
    else:
        often = run_often(program, False)
    return Explained(model, choices, report, _kernels(program, better, stepping, often, sizes, settings), method, seconds)


def bound(program: Program, source: Source, settings: Settings) -> Binding:
    """Arguments of a program as `run` would bind them; E0707 names what is missing."""
    path = None if source.name.startswith("<") else source.name
    binding = bind(program, Reader.for_model(path, settings.allow_read), dict(settings.input), settings.weights, settings.seed)
    for name, remedy in binding.missing.items():
        raise CannotRun("E0707", f"`{name}` has no value", help=f"ricci run {remedy} ...")
    return binding


def _kernels(
    program: Program, better: Program, stepping: Program | None, often: set[str], sizes: dict[str, int], settings: Settings
) -> dict[str, Kernels]:
    """Kernels of the functions that are run often, and of the step that the time loop makes of them."""
    threads = driver.threads(settings)
    found = {name: kernels(program, better, name, sizes, threads, settings.time) for name in better.functions if name in often}
    if stepping is not None:
        found[STEP] = kernels(None, stepping, STEP, sizes, threads, settings.time)
    return {name: own for name, own in found.items() if own is not None}


@dataclass(frozen=True)
class Drawing:
    """A Graphviz file that was written: functions in it, and those that are too large for a picture, with their nodes."""

    path: str
    drawn: tuple[str, ...]
    too_large: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return {"file": self.path, "drawn": list(self.drawn), "too_large": self.too_large}

    def to_text(self) -> str:
        notes = [f"note: `{name}` is not drawn: {count} nodes" for name, count in self.too_large.items()]
        return "\n".join([f"wrote {self.path}: {', '.join(self.drawn)}", *notes])


def draw(report: Report, path: str) -> Drawing:
    """Write the forms of every function that were compared as one Graphviz file; E0602 where that is no picture any more."""
    from ricci.egraph.graph import MOST_DRAWN, to_dot
    from ricci.faces.command_check import write_text

    graphs = {f.name: f.graph for f in report.functions if f.graph is not None}
    counts = {name: graph.count() for name, graph in graphs.items()}
    drawn = {name: graph for name, graph in graphs.items() if counts[name] <= MOST_DRAWN}
    if not drawn and graphs:
        name = min(counts, key=lambda name: counts[name])
        raise CannotRun("E0602", f"the forms of `{name}` are {counts[name]} nodes, a drawing holds {MOST_DRAWN}")
    if not drawn:
        raise CannotRun("E0707", "nothing was optimized: there is nothing to draw")
    write_text(path, to_dot(drawn))
    return Drawing(path, tuple(drawn), {name: count for name, count in counts.items() if name not in drawn})
