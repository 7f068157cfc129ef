"""`ricci test`: runs the checks that models carry; with --mutate, shows that they would notice a missing equation."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ricci.errors import CannotRun, RicciError


def test(arguments: argparse.Namespace) -> int:
    """Exit code 4 if a check fails or a mutation is not noticed, otherwise the worst code met."""
    from ricci.faces.command_run import settings_of

    settings = settings_of(arguments)
    code = 0
    reports = []
    for path in models(arguments.file):
        report = _one(path, settings, arguments.mutate)
        reports.append(report)
        code = max(code, report["exit"], key=lambda c: (c == 4, c))
        if not arguments.json:
            _print(report)
    passed = sum(r["exit"] == 0 for r in reports)
    if arguments.json:
        print(json.dumps({"models": reports, "passed": passed, "failed": len(reports) - passed}))
    else:
        print(f"{passed} of {len(reports)} models passed")
    return code


def models(names: list[str]) -> Iterator[Path]:
    """Files as given; of folders every `.model` directly inside."""
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = sorted(path.glob("*.model"))
            if not found:
                raise CannotRun("E0805", f"there is no .model file in `{name}`")
            yield from found
        else:
            yield path


def _one(path: Path, settings: Any, mutate: bool) -> dict[str, Any]:
    from ricci.driver import read
    from ricci.faces.execute import execute

    report: dict[str, Any] = {"file": str(path), "exit": 0, "checks": [], "mutations": []}
    try:
        source = read(path)
        outcome = execute(source, settings, write=False)
    except RicciError as error:
        return {**report, "exit": error.exit_code, **error.to_json(), "said": error.render()}
    report["checks"] = [c.to_json() for c in outcome.checks]
    report["warnings"] = [d.to_json() for d in outcome.warnings]
    if outcome.warnings:
        report["said"] = "\n".join(d.render() for d in outcome.warnings)
    if not outcome.checks:
        missing = "the model has no `check` that could be run"
        report |= {"exit": 4, "said": "\n".join(filter(None, [report.get("said"), missing]))}
    if not all(c.passed for c in outcome.checks):
        report["exit"] = 4
    if mutate and report["exit"] == 0:
        report["mutations"] = [_mutated(source, line, text, settings) for line, text in _equations(source)]
        if not all(m["noticed"] for m in report["mutations"]):
            report["exit"] = 4
    return report


def _equations(source: Any) -> list[tuple[int, str]]:
    """Line and text of everything that determines an unknown: equations and reactions."""
    from ricci.driver import parse
    from ricci.dsl import tree

    found = (s for s in parse(source).statements if isinstance(s, tree.Equation | tree.Reaction))
    return [(s.span.line, s.span.text) for s in found]


def _mutated(source: Any, line: int, text: str, settings: Any) -> dict[str, Any]:
    """Run with one equation taken out: its unknown stays as it started (`dt(u) = 0`), a reaction does not happen."""
    from ricci.faces.execute import execute

    try:
        outcome = execute(source, settings, write=False, without=line)
        noticed, by = not all(c.passed for c in outcome.checks), next((c.text for c in outcome.checks if not c.passed), "")
    except RicciError as error:
        noticed, by = True, error.code
    return {"line": line, "without": text, "noticed": noticed, "by": by}


def _print(report: dict[str, Any]) -> None:
    print(f"{report['file']}")
    if "said" in report:
        print("\n".join("  " + line for line in report["said"].splitlines()), file=sys.stderr)
    for c in report["checks"]:
        measured = f"   ({c['value']:.6g})" if isinstance(c["value"], float) else ""
        print(f"  {'passed' if c['passed'] else 'FAILED'}  {c['text']}" + ("   (it compares NaN)" if c.get("undefined") else measured))
    for m in report["mutations"]:
        word = f"noticed by {m['by']}" if m["noticed"] else "NOT NOTICED by any check"
        print(f"  without line {m['line']}, `{m['without']}`: {word}")
