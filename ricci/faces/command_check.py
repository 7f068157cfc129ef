"""`ricci check` and `ricci fmt`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ricci.errors import CannotWrite, RicciError, Source


def check(files: Sequence[str], as_json: bool) -> int:
    """Check every file; say one line for each good one, all diagnostics for the others."""
    from ricci.driver import check_text, read

    code = 0
    reports: list[dict[str, Any]] = []
    for name in files:
        try:
            model = check_text(read(name))
        except RicciError as error:
            code = max(code, error.exit_code)
            reports.append({"file": name, "ok": False, **error.to_json()})
            if not as_json:
                print(error.render(), file=sys.stderr)
            continue
        notes = [d.to_json() for d in model.notes]
        later = [{"what": u.what, "span": u.span.to_json() if u.span else None} for u in model.unsupported]
        report = {"file": name, "ok": True, "errors": [], "notes": notes, "not_yet_run": later}
        reports.append(report | ({"layers": layers} if (layers := _layers(model)) else {}))
        if not as_json:
            for note in model.notes:
                print(note.render())
            print(f"{name}: {describe(model)}")
            for line in weights(model):
                print(f"  {line}")
            for what, line in first_lines(model.unsupported).items():
                print(f"  checked, but this version cannot run {what}{line}")
    if as_json:
        import json

        print(json.dumps(reports[0] if len(reports) == 1 else reports))
    return code


def first_lines(unsupported: Sequence[Any]) -> dict[str, str]:
    """Each thing that cannot be run once, with the line where it stands first."""
    found: dict[str, str] = {}
    for u in unsupported:
        found.setdefault(u.what, f" (line {u.span.line})" if u.span else "")
    return found


def describe(model: Any) -> str:
    """`ok: 2 unknowns, 2 equations, ...`, the counts that make a model well posed."""
    counts = [
        (len(model.fields), "unknown", "unknowns"),
        (len(model.equations), "equation", "equations"),
        (len(model.conditions), "boundary condition", "boundary conditions"),
        (len(model.initials), "initial condition", "initial conditions"),
        (len(model.layers), "layer", "layers"),
        (len(model.lets), "definition", "definitions"),
        (len(model.checks), "check", "checks"),
        (len(model.rules), "rule", "rules"),
    ]
    said = [f"{n} {one if n == 1 else many}" for n, one, many in counts if n]
    return "ok: " + ", ".join(said) if said else "ok: nothing is declared"


def weights(model: Any) -> list[str]:
    """The numbers that the weights of every layer hold, and how each structured one is made."""
    from ricci.dsl.show_model import counted, parameters

    lines = [counted(s) for s in model.structured.values()]
    for layer in model.layers.values():
        if not layer.weights:
            continue
        own, dense = parameters(layer)
        instead = f" instead of {_shown(dense)}" if layer.structured else ""
        lines.append(f"{layer.name}: {_shown(own)} numbers{instead}")
        lines += [f"  {counted(s)}" for s in layer.structured]
    return lines


def _layers(model: Any) -> dict[str, Any]:
    """The same for programs; sizes that are open are polynomials of their names."""
    from ricci.dsl.show_model import parameters

    found: dict[str, Any] = {}
    for layer in model.layers.values():
        if layer.weights:
            own, dense = (n if (n := size.constant) is not None else str(size) for size in parameters(layer))
            structures = {
                s.name: {"structure": str(s.structure), "parameters": s.structure.parameters, "flops": s.structure.flops}
                for s in layer.structured
            }
            found[layer.name] = {"parameters": own, "dense_parameters": dense, "structured": structures}
    return found


def _shown(size: Any) -> str:
    return str(size) if size.constant is None else f"{size.constant:,}"


def fmt(files: Sequence[str], only_check: bool, to_stdout: bool) -> int:
    """Write files in canonical form; with `only_check` leave with 4 if one is not."""
    from ricci.driver import read

    changed = []
    for name in files:
        source = Source("<stdin>", sys.stdin.read()) if name == "-" else read(name)
        text = canonical(source)
        if name == "-" or to_stdout:
            sys.stdout.write(text)
        elif text != source.text:
            changed.append(name)
            if not only_check:
                write_text(name, text)
    for name in changed:
        print(f"{name}: {'is not canonical' if only_check else 'rewritten'}")
    return 4 if only_check and changed else 0


def canonical(source: Source) -> str:
    """The canonical text, comments kept."""
    from ricci.driver import parse
    from ricci.dsl.format import format_file

    return format_file(parse(source))


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write beside, then rename: a file is whole or as it was."""
    target = Path(path)
    partial = ""
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        handle, partial = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.resolve().parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            out.write(text)
        os.chmod(partial, mode)
        os.replace(partial, target)
    except OSError as error:
        if partial and os.path.exists(partial):
            os.unlink(partial)
        raise CannotWrite("E0810", f"cannot write `{path}`: {error.strerror or error}") from None
