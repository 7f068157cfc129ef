"""The command line: arguments in, exit code out. Every command is one function below `COMMANDS`; work is imported when it starts.

Exit codes: 0 ok, 1 internal error, 2 model wrong, 3 cannot compile, solve or read data, 4 a check failed,
5 output could not be written, 64 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

USAGE = 64
INTERNAL = 1
INTERRUPTED = 130
NOT_WRITTEN = 5

STAGES = (
    "parse",
    "check",
    "discretize",
    "derive",
    "optimize",
    "integrate",
    "partition",
    "schedule",
    "loops",
    "emit",
    "load",
    "source",
    "asm",
)


class _Parser(argparse.ArgumentParser):
    """argparse that leaves with the usage code of language.md."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(USAGE)


def _add_model(parser: argparse.ArgumentParser, several: str | None = None) -> None:
    parser.add_argument("file", nargs=several, metavar="FILE", help="a .model file")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="a param, `until`, `tol` or `grid.AXIS`; a value may carry a unit",
    )
    add(
        "--input",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=FILE[:KEY]",
        help="an array for a param, tensor or layer input (npy, npz)",
    )
    add("--weights", metavar="FILE", help="npz file with the weights of layers")
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and inputs that are drawn (default 0)")
    add("--backend", choices=("cpu", "reference"), default="cpu", help="generated code, or the interpreter that defines the language")
    add("--threads", type=int, default=None, metavar="N", help="threads of generated code (default: the cores this process may use)")
    add("--opt", type=int, choices=(0, 1, 2, 3), default=2, metavar="0..3", help="0 no rewriting, 1 normal form, 2 default, 3 longer")
    add("--allow-read", action="append", default=[], metavar="DIR", help="also read data from this folder")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar of the command line."""
    parser = _Parser(prog="ricci", description="A language and compiler for numerical models.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    check = commands.add_parser("check", help="names, axes, units and conditions of models")
    _add_model(check, "+")
    _add_json(check)

    run = commands.add_parser("run", help="solve a model, evaluate its tensors and layers")
    _add_model(run)
    _add_settings(run)
    _add_json(run)
    run.add_argument(
        "--from",
        dest="start",
        metavar="FILE",
        help="go on from a state: the one that an interrupted run has saved, or an npz with all fields",
    )
    run.add_argument("--out", metavar="DIR", help="folder for outputs and pictures (default: the current one)")
    run.add_argument("--plot", action="store_true", help="leave a picture of every field, whether the model asks or not")

    test = commands.add_parser("test", help="run the checks that models carry")
    test.add_argument("file", nargs="+", metavar="FILE|DIR", help="models, or folders of models")
    _add_settings(test)
    _add_json(test)
    test.add_argument("--mutate", action="store_true", help="also delete each equation in turn; a check must then fail")

    show = commands.add_parser("show", help="print what a stage produced")
    show.add_argument("stage", choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    _add_model(show)
    _add_settings(show)

    explain = commands.add_parser("explain", help="what a code means, or what was chosen for a model and why")
    explain.add_argument("subject", nargs="?", metavar="CODE|FILE", help="a diagnostic code or a .model file")
    explain.add_argument("--time", action="store_true", help="run every kernel by itself: measured beside predicted time")
    explain.add_argument("--graph", metavar="OUT.dot", help="write the forms that the optimizer compared as a Graphviz file")
    _add_settings(explain)
    _add_json(explain)

    fmt = commands.add_parser("fmt", help="write models in canonical form")
    fmt.add_argument("file", nargs="+", metavar="FILE", help="models; - reads standard input and prints")
    fmt.add_argument("--check", action="store_true", help="change nothing; leave with 4 if a file is not canonical")
    fmt.add_argument("--stdout", action="store_true", help="print instead of writing")

    commands.add_parser("repl", help="a prompt that checks and runs as you type")

    tune = commands.add_parser("tune", help="measure this machine, so that predicted times are those of its processor")
    _add_json(tune)

    cache = commands.add_parser("cache", help="the disk cache of generated code")
    cache.add_argument("action", nargs="?", choices=("list", "path", "clear"), default="list")
    _add_json(cache)
    return parser


def _check(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_check import check

    return check(arguments.file, arguments.json)


def _run(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_run import run

    return run(arguments)


def _test(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_test import test

    return test(arguments)


def _show(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_show import show

    return show(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_show import explain

    return explain(arguments)


def _fmt(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_check import fmt

    return fmt(arguments.file, arguments.check, arguments.stdout)


def _repl(arguments: argparse.Namespace) -> int:
    from ricci.faces.repl import repl

    return repl()


def _tune(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_tune import tune

    return tune(arguments.json)


def _cache(arguments: argparse.Namespace) -> int:
    from ricci.faces.command_cache import cache

    return cache(arguments.action, arguments.json)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "run": _run,
    "test": _test,
    "show": _show,
    "explain": _explain,
    "fmt": _fmt,
    "repl": _repl,
    "tune": _tune,
    "cache": _cache,
}


def command(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing a user can cause leaves as a traceback."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        from ricci import __version__

        print(f"ricci {__version__}")
        return 0
    if arguments.command is None:
        parser.print_help()
        return USAGE
    from ricci.errors import RicciError

    try:
        code = COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
        return code
    except RicciError as error:
        return report_error(error, getattr(arguments, "json", False))
    except MemoryError as error:
        return report_error(too_large(error), getattr(arguments, "json", False))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        return report_internal(error, arguments) if error.filename is not None else report_output(error)
    except Exception as error:
        return report_internal(error, arguments)


def report_error(error: Exception, as_json: bool) -> int:
    """Print a diagnostic where it belongs and return its exit code."""
    from ricci.errors import RicciError

    assert isinstance(error, RicciError)
    if as_json:
        import json

        print(json.dumps(error.to_json()))
    else:
        print(error.render(), file=sys.stderr)
    return error.exit_code


def too_large(error: MemoryError) -> Exception:
    """An allocation that failed, as the diagnostic that it is for a user."""
    from ricci.errors import CannotRun

    notes = [text for text in (str(error), "a smaller grid needs less") if text]
    return CannotRun("E0602", "there is not enough memory", notes=tuple(notes))


def report_output(error: OSError) -> int:
    """Standard output cannot be written: a full disk behind it, as a rule."""
    import os

    print(f"error[E0810]: cannot write standard output: {error.strerror or error}", file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered must not fail again at the end
    return NOT_WRITTEN


def report_internal(error: Exception, arguments: argparse.Namespace) -> int:
    """A defect of ours: write a report to attach, name it, and leave with 1."""
    from pathlib import Path

    from ricci import defects

    files = getattr(arguments, "file", None)
    named = [Path(name) for name in ([files] if isinstance(files, str) else files or [])]
    models = {str(path): path.read_text(encoding="utf-8", errors="replace") for path in named if path.is_file()}
    print(f"internal error: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"  {defects.write(error, {'arguments': str(vars(arguments)), **models})}", file=sys.stderr)
    return INTERNAL


def main() -> None:
    """Entry point of the `ricci` command."""
    sys.exit(command())
