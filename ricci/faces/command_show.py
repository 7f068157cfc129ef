"""`ricci show` and `ricci explain`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ricci.errors import CannotRun, Source, WrongUsage

if TYPE_CHECKING:
    from ricci.driver import Settings


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
    from ricci.faces.explained import bound

    if not program.states:
        computed = {
            n for n, f in program.functions.items() if n.startswith(("output:", "plot:")) and any(t.op != "symbol" for t in f.roots)
        }
        return program, [n for n in program.functions if n.startswith("let:") or n in model.layers or n == "final" or n in computed]
    binding = bound(program, source, settings)
    method, _ = driver.choose(model, program, binding.values, binding.sizes)
    return driver.integrate(program, method), ["advance"]


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
    subject = arguments.subject
    if subject is None or (not subject.endswith(".model") and subject[:1].upper() in tuple("EWN") and subject[1:].isdigit()):
        if arguments.graph:
            raise WrongUsage(
                "E0104", "`--graph` draws what was made of a model", help=f"ricci explain FILE.model --graph {arguments.graph}"
            )
        code = (subject or "").upper()
        print(json.dumps(code_as_json(code)) if arguments.json else explain_code(code))
        return 0
    from ricci.driver import read
    from ricci.faces.command_run import ProgressLine, settings_of

    source, settings, line = read(subject), settings_of(arguments), ProgressLine()
    if not arguments.json and not arguments.graph:
        print(explain_source(source, settings))
        return 0
    from ricci.faces.explained import draw, explained

    found = explained(source, settings, line.enter)
    drawing = draw(found.report, arguments.graph) if arguments.graph else None
    if arguments.json:
        print(json.dumps({**found.to_json(), **({} if drawing is None else {"graph": drawing.to_json()})}))
    elif drawing is not None:
        print(drawing.to_text())
    return 0


def explain_code(code: str) -> str:
    """Meaning, reason, example and remedy of a diagnostic code; all codes for an empty text."""
    from ricci.dsl.codes import CODES, explain_code

    if not code:
        return "\n".join(f"{c}  {entry.title}" for c, entry in sorted(CODES.items()))
    if code not in CODES:
        raise CannotRun("E0104", f"there is no code `{code}`", help="ricci explain")
    return explain_code(code)


def code_as_json(code: str) -> dict[str, Any]:
    """A diagnostic code for programs; the titles of all codes for an empty text."""
    from ricci.dsl.codes import CODES

    if not code:
        return {"codes": {c: entry.title for c, entry in sorted(CODES.items())}}
    text = explain_code(code)
    return {"code": code, "title": CODES[code].title, "text": text}


def explanation(source: Source, settings: Settings) -> dict[str, Any]:
    """Choices, rewrites, kernels and costs of a model, for programs."""
    from ricci.faces.explained import explained

    return explained(source, settings).to_json()


def explain_source(source: Source, settings: Settings) -> str:
    """What was chosen for a model and why, for a person."""
    from ricci import driver
    from ricci.faces.command_check import describe, first_lines
    from ricci.faces.command_run import ProgressLine
    from ricci.faces.explained import explained

    model = driver.check_text(source, settings)
    if model.unsupported:
        lines = [describe(model), *(n.render() for n in model.notes)]
        return "\n".join([*lines, *(f"this version cannot run {what}{line}" for what, line in first_lines(model.unsupported).items())])
    return explained(source, settings, ProgressLine().enter).to_text()
