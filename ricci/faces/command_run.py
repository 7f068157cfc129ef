"""`ricci run`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from ricci.errors import WrongUsage

if TYPE_CHECKING:
    from ricci.driver import Settings

PATIENCE = 2.0  # seconds before a progress line appears


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that flags say; E0104 for `--set x` without a value."""
    from ricci.driver import Settings

    return Settings(
        set=_pairs(arguments.set, "--set"),
        input=_pairs(arguments.input, "--input"),
        weights=arguments.weights,
        seed=arguments.seed,
        backend=arguments.backend,
        threads=arguments.threads,
        opt=arguments.opt,
        allow_read=tuple(arguments.allow_read),
        start=getattr(arguments, "start", None),
        time=getattr(arguments, "time", False),
    )


def _pairs(items: list[str], flag: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise WrongUsage("E0104", f"`{flag} {item}` is not NAME=VALUE", help=f"{flag} {name.strip() or 'NAME'}=VALUE")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


STAGES = {
    "check": "checking the model",
    "discretize": "making differences",
    "bind": "reading data",
    "choose": "choosing the steps",
    "optimize": "optimizing",
    "compile": "compiling (kept for later runs)",
    "write": "writing",
}


class ProgressLine:
    """One line that is rewritten, on a terminal only, for anything longer than two seconds: the stage, or how far the run is.

    How long the optimizer took stays to be read, wherever it goes: a level is chosen by what it costs.
    """

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.shown = 0.0
        self.over = threading.Event()
        self.thread: threading.Thread | None = None
        self.stage = ""
        self.entered = self.begin

    def enter(self, stage: str) -> None:
        """A stage begins; with "", it ends."""
        self.over.set()
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        self.close()
        now = time.perf_counter()
        if self.stage == "optimize" and now - self.entered >= PATIENCE:
            print(f"note: optimized for {eta(now - self.entered)}", file=sys.stderr)
        self.stage, self.entered = stage, now
        if stage in STAGES and sys.stderr.isatty():
            self.over.clear()
            self.thread = threading.Thread(target=self._waiting, args=(STAGES[stage],), daemon=True)
            self.thread.start()

    def _waiting(self, what: str) -> None:
        """Until the stage is over: its name, after two seconds, and for how long it has been going on."""
        begin = time.perf_counter()
        over = self.over.wait(PATIENCE)
        while not over:
            self.shown = time.perf_counter()
            print(f"\r{what}  {self.shown - begin:.0f} s ", end="", file=sys.stderr, flush=True)
            over = self.over.wait(0.5)

    def __call__(self, progress: Any) -> None:
        now = time.perf_counter()
        if now - self.begin < PATIENCE or now - self.shown < 0.2 or not sys.stderr.isatty():
            return
        self.shown = now
        part = min(progress.time / progress.end, 1.0) if progress.end > 0 else 1.0
        left = (now - self.begin) * (1 - part) / part if part > 0 else float("inf")
        bar = "█" * int(30 * part) + "·" * (30 - int(30 * part))
        print(
            f"\r{bar} {100 * part:5.1f} %  t={progress.time:.6g}  step {progress.steps}  {eta(left)} left ",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        if self.shown:
            print("\r" + " " * 100 + "\r", end="", file=sys.stderr, flush=True)
            self.shown = 0.0


def eta(seconds: float) -> str:
    """`35 s`, `4 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < float("inf") else "?"


def run(arguments: argparse.Namespace) -> int:
    """Run a model: results to --out, a summary or one JSON object to the terminal; 4 if a check failed."""
    from ricci.driver import read
    from ricci.faces.execute import execute

    source = read(arguments.file)
    line = ProgressLine()
    try:
        outcome = execute(source, settings_of(arguments), out=arguments.out, plot=arguments.plot, listen=line, entered=line.enter)
    finally:
        line.enter("")
    for warning in outcome.warnings:
        print(warning.render(), file=sys.stderr)
    if arguments.json:
        print(json.dumps(outcome.to_json()))
    else:
        print(outcome.summary())
    return 0 if all(c.passed for c in outcome.checks) else 4
