"""`ricci show` and `ricci explain`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ricci.errors import CannotRun, Source

if TYPE_CHECKING:
    from ricci.driver import Settings
    from ricci.dsl.model import Model
    from ricci.dsl.program import Choice, Program


def show(arguments: argparse.Namespace) -> int:
    """Print what a stage made of a model."""
    from ricci.driver import read
    from ricci.faces.command_run import settings_of

    print(show_source(arguments.stage, read(arguments.file), settings_of(arguments)))
    return 0


def show_source(stage: str, source: Source, settings: Settings) -> str:
    """The text of one stage; stages after `check` need values (sizes, data) only where a choice depends on them."""
    from ricci import driver
    from ricci.dsl import show as printer
    from ricci.dsl.format import format_file

    if stage == "parse":
        return format_file(driver.parse(source, settings)).rstrip()
    model = driver.check_text(source, settings)
    if stage == "check":
        from ricci.dsl.show_model import show_model

        return show_model(model)
    program = driver.discretize(model)
    if stage == "discretize":
        return printer.show_program(program)
    program = driver.derive(program)
    if stage == "derive":
        return printer.show_program(program)
    program, report = driver.optimize(driver.together(program), settings.opt)
    if stage == "optimize":
        return f"{printer.show_program(program)}\n\n{report.to_text()}"
    program, name = _with_time(model, program, source, settings)
    if stage == "integrate":
        return printer.show_program(program)
    if stage == "partition":
        return "one rank: nothing is partitioned\n" + printer.show_program(program)
    return _show_generated(stage, program, name, settings)


def _with_time(model: Any, program: Any, source: Source, settings: Settings) -> tuple[Any, list[str]]:
    """The program with its time loop, and the functions that are compiled."""
    from ricci import driver

    if not program.states:
        computed = {
            n for n, f in program.functions.items() if n.startswith(("output:", "plot:")) and any(t.op != "symbol" for t in f.roots)
        }
        return program, [n for n in program.functions if n.startswith("let:") or n in model.layers or n == "final" or n in computed]
    binding = bound(program, source, settings)
    method, _ = driver.choose(model, program, binding.values, binding.sizes)
    return driver.integrate(program, method), ["advance"]


def bound(program: Any, source: Source, settings: Settings) -> Any:
    """Arguments of a program as `run` would bind them; E0707 names what is missing."""
    from ricci.backends.binding import bind
    from ricci.backends.data import Reader

    path = None if source.name.startswith("<") else source.name
    binding = bind(program, Reader.for_model(path, settings.allow_read), dict(settings.input), settings.weights, settings.seed)
    for name, remedy in binding.missing.items():
        raise CannotRun("E0707", f"`{name}` has no value", help=f"ricci run {remedy} ...")
    return binding


def _show_generated(stage: str, program: Any, names: list[str], settings: Settings) -> str:
    from ricci import driver
    from ricci.lowering.kernel import show as show_kernel
    from ricci.lowering.schedule.show import show_plan

    parts = []
    for name in names:
        plan = driver.schedule(program, name)
        if stage == "schedule":
            parts.append(show_plan(plan))
            continue
        if stage == "loops":
            parts.append("\n\n".join(show_kernel(kernel) for kernel in driver.loops(program, name)))
            continue
        executable = driver.compiled(program, name, settings)
        if stage == "asm":
            parts.append(executable.asm())
        elif stage == "load":
            parts.append("\n".join(driver.kernel_names(executable)))
        else:
            parts.append(executable.source)
    return "\n\n".join(filter(None, parts)) or "nothing is compiled into loops for this model"


def explain(arguments: argparse.Namespace) -> int:
    """A code, or a model; without a subject, the list of codes."""
    from ricci.faces.command_run import settings_of

    subject = arguments.subject
    if subject is None or (not subject.endswith(".model") and subject[:1].upper() in tuple("EWN") and subject[1:].isdigit()):
        print(explain_code((subject or "").upper()))
        return 0
    from ricci.driver import read

    settings = settings_of(arguments)
    if arguments.graph:
        draw(read(subject), settings, arguments.graph)
    elif arguments.json:
        print(json.dumps(explanation(read(subject), settings)))
    else:
        print(explain_source(read(subject), settings))
    return 0


def draw(source: Source, settings: Settings, path: str) -> None:
    """Write the forms of every function of a model that were compared as one Graphviz file; E0602 where that is no picture any more."""
    from ricci import driver
    from ricci.egraph.graph import MOST_DRAWN, to_dot
    from ricci.faces.command_check import write_text

    program = driver.together(driver.derive(driver.discretize(driver.check_text(source, settings))))
    _, report = driver.optimize(program, settings.opt)
    graphs = {f.name: f.graph for f in report.functions if f.graph is not None}
    drawn = {name: graph for name, graph in graphs.items() if graph.count() <= MOST_DRAWN}
    if not drawn and graphs:
        name, graph = min(graphs.items(), key=lambda item: item[1].count())
        raise CannotRun("E0602", f"the forms of `{name}` are {graph.count()} nodes, a drawing holds {MOST_DRAWN}")
    if not drawn:
        raise CannotRun("E0707", "nothing was optimized: there is nothing to draw")
    write_text(path, to_dot(drawn))
    print(f"wrote {path}: {', '.join(drawn)}")
    for name in graphs.keys() - drawn.keys():
        print(f"note: `{name}` is not drawn: {graphs[name].count()} nodes")


def explain_code(code: str) -> str:
    """Meaning, reason, example and remedy of a diagnostic code; all codes for an empty text."""
    from ricci.dsl.codes import CODES, explain_code

    if not code:
        return "\n".join(f"{c}  {entry.title}" for c, entry in sorted(CODES.items()))
    if code not in CODES:
        raise CannotRun("E0104", f"there is no code `{code}`", help="ricci explain")
    return explain_code(code)


def explanation(source: Source, settings: Settings) -> dict[str, Any]:
    """Choices, rewrites and costs of a model, for programs."""
    from ricci import driver

    model = driver.check_text(source, settings)
    program = driver.together(driver.derive(driver.discretize(model)))
    better, report = driver.optimize(program, settings.opt)
    choices = choices_of(model, better, source, settings)
    return {
        "choices": [{"what": c.what, "value": c.value, "reason": c.reason} for c in choices],
        "notes": [d.to_json() for d in model.notes],
        "optimizer": report.to_json(),
    }


def choices_of(model: Model, program: Program, source: Source, settings: Settings) -> list[Choice]:
    """Numerical choices for a model, the time integrator and the solvers of its linear systems among them."""
    from ricci import driver

    choices = list(program.choices)
    if program.states:
        binding = bound(program, source, settings)
        method, reasons = driver.choose(model, program, binding.values, binding.sizes)
        choices += reasons
        if method.method.implicit:
            choices += driver.linear_solvers(driver.integrate(program, method), binding.sizes)
    return choices


def explain_source(source: Source, settings: Settings) -> str:
    """What was chosen for a model and why, for a person."""
    from ricci import driver
    from ricci.faces.command_check import describe, first_lines

    model = driver.check_text(source, settings)
    lines = [describe(model), *(n.render() for n in model.notes)]
    lines += [f"this version cannot run {what}{line}" for what, line in first_lines(model.unsupported).items()]
    if model.unsupported:
        return "\n".join(lines)
    program = driver.together(driver.derive(driver.discretize(model)))
    better, report = driver.optimize(program, settings.opt)
    lines += [f"{c.what} {c.value}: {c.reason}" for c in choices_of(model, better, source, settings)]
    return "\n".join([*lines, report.to_text()])
