"""`make bench`: each line is one case, its figure, the bar it is held to, and whether it reaches it. Nothing here is a test."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODELS = Path(__file__).parent / "models"
REPEATS = 5
Line = tuple[str, str, str, bool | None]


def command(*arguments: str, environment: dict[str, str] | None = None) -> tuple[float, str]:
    """Seconds of one `ricci` process and what it printed."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "ricci", *arguments], capture_output=True, text=True, env={**os.environ, **(environment or {})}, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, 4):
        raise RuntimeError(f"ricci {' '.join(arguments)}: {done.stderr or done.stdout}")
    return seconds, done.stdout


def startup() -> Iterator[Line]:
    """Whole processes, median of five."""
    help_ = statistics.median(command("--help")[0] for _ in range(REPEATS))
    yield "ricci --help", f"{help_ * 1e3:.0f} ms", "< 150 ms", help_ < 0.150
    slowest, name = 0.0, ""
    for path in sorted((ROOT / "examples" / "programs").glob("*.model")):
        seconds = statistics.median(command("check", str(path))[0] for _ in range(3))
        slowest, name = max((slowest, name), (seconds, path.name))
    yield f"ricci check, slowest of the programs ({name})", f"{slowest:.2f} s", "< 0.7 s", slowest < 0.7


def warm() -> Iterator[Line]:
    """A second process that runs a cached model: everything outside its numerical work."""
    path = str(ROOT / "examples" / "programs" / "02_gray_scott.model")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("run", path, "--set", "until=200", "--json", "--out", folder)
        command(*arguments)
        outside = []
        for _ in range(3):
            seconds, text = command(*arguments)
            outside.append(seconds - json.loads(text)["seconds"]["run"])
    median = statistics.median(outside)
    yield "second process, cached Gray-Scott, outside its numerical work", f"{median:.2f} s", "< 2.5 s", median < 2.5


def _ratio(
    model: str, fields: tuple[str, ...], hand: Callable[[int], tuple[float, dict[str, Any]]], bar: float, points: int, steps: int
) -> Iterator[Line]:
    import numpy as np

    for threads in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs, difference = [], [], 0.0
            for _ in range(REPEATS):
                seconds, values = hand(threads)
                theirs.append(seconds)
                report = json.loads(command("run", str(MODELS / f"{model}.model"), "--threads", str(threads), "--json", "--out", folder)[1])
                ours.append(report["seconds"]["run"])
            with np.load(Path(folder) / "state.npz") as state:
                for name in fields:
                    got = state[name][-1]
                    margin = (got.shape[0] - values[name].shape[0]) // 2
                    inner = got[margin : got.shape[0] - margin, margin : got.shape[1] - margin]
                    difference = max(difference, float(np.abs(inner - values[name]).max()))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        speed = points * steps / statistics.median(ours) / 1e6
        figure = f"{ratio:.2f}x by hand, {speed:.0f} Mpt/s, differs by {difference:.0e}"
        yield (
            f"{model.replace('_', ' ')}, {threads} thread{'s' if threads > 1 else ''}",
            figure,
            f"<= {bar}x",
            ratio <= bar and difference < 1e-9,
        )


def by_hand() -> Iterator[Line]:
    """Generated steps against fused steps written by hand, the same run, outputs compared."""
    from benchmarks import hand_written

    yield from _ratio("gray_scott", ("u", "v"), lambda threads: hand_written.gray_scott(1024, 200, threads), 1.3, 1024**2, 200)
    yield from _ratio("heat", ("u",), lambda threads: hand_written.heat(512, 1000, threads), 1.2, 512**2, 1000)


def kernels() -> Iterator[Line]:
    """Every kernel of every program at the default level against the same at `--opt 0`."""
    from benchmarks import levels

    yield from levels.lines()


def optimizer() -> Iterator[Line]:
    """The program after optimization against the one before it: same text, same run, one thread, pairs of runs."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        values = np.random.default_rng(1)
        shapes = {"A": (8, 500), "B": (500, 700), "C": (700, 600), "D": (600, 500)}
        np.savez(Path(folder) / "chain.npz", **{name: values.standard_normal(shape) for name, shape in shapes.items()})
        chain = ("--input", *(f"{name}={folder}/chain.npz:{name}" for name in shapes), "--allow-read", folder)
        small = ("--set", "grid.x=128", "grid.y=128", "until=2000", "--out", folder)
        for name, arguments in (("gray_scott", small), ("chain", chain)):
            yield _optimized(name, arguments)


def _optimized(model: str, arguments: tuple[str, ...]) -> Line:
    pairs: list[dict[str, float]] = []
    for _ in range(3 * REPEATS):
        pair = {}
        for level in ("0", "2"):
            text = command("run", str(MODELS / f"{model}.model"), "--threads", "1", "--opt", level, "--json", *arguments)[1]
            pair[level] = json.loads(text)["seconds"]["run"]
        pairs.append(pair)
    ratio = statistics.median(p["2"] / p["0"] for p in pairs)
    before, after = (min(p[level] for p in pairs) for level in ("0", "2"))
    name = f"{model.replace('_', ' ')} after optimization"
    return name, f"{ratio:.3f} of the time before it ({before * 1e3:.3g} ms, {after * 1e3:.3g} ms)", "< 1", ratio < 1


def memory() -> Iterator[Line]:
    """Peak of a large run minus the same model at grid 8, against the planned bytes."""
    path = str(MODELS / "gray_scott.model")
    with tempfile.TemporaryDirectory() as folder:
        large = json.loads(command("run", path, "--json", "--out", folder, "--set", "until=1")[1])
        small = json.loads(command("run", path, "--json", "--out", folder, "--set", "until=1", "grid.x=8", "grid.y=8")[1])
    extra = large["peak_bytes"] - small["peak_bytes"]
    bound = 1.05 * large["planned_bytes"] + (16 << 20)
    yield (
        "peak memory over grid 8, Gray-Scott 1024^2",
        f"{extra / 2**20:.1f} MiB (planned {large['planned_bytes'] / 2**20:.1f})",
        f"<= {bound / 2**20:.1f} MiB",
        extra <= bound,
    )


def stencils() -> Iterator[Line]:
    """Forms of stencils that the optimizer compares, measured over sizes from the first cache to memory."""
    from benchmarks import stencils as cases
    from ricci.backends.machine_record import machine

    yield from cases.lines(machine())


def predictions() -> Iterator[Line]:
    """Predicted against measured time of kernels that `ricci tune` has not seen."""
    from benchmarks import unseen
    from ricci.backends.machine_record import machine
    from ricci.backends.measure import on_one_core

    with on_one_core():
        yield from unseen.lines(machine(), 1)
    yield from unseen.lines(machine(), len(os.sched_getaffinity(0)))


def elementary() -> Iterator[Line]:
    """Elementary functions in generated code beside those of numpy and torch."""
    from benchmarks import elementary as functions
    from ricci.backends.measure import on_one_core

    with on_one_core():
        yield from functions.lines()


def encoding() -> Iterator[Line]:
    """What the parts of the e-graph cost."""
    from benchmarks import encoding as functions

    yield from functions.lines()


def overlap() -> Iterator[Line]:
    """Time loops whose launches overlap beside the same loops one launch after the other."""
    from benchmarks import overlap as loops

    for threads in (1, len(os.sched_getaffinity(0))):
        yield from loops.lines(threads)


def peers() -> Iterator[Line]:
    """Time loops beside those of other tools."""
    from benchmarks import peers as others

    yield from others.lines()


def networks() -> Iterator[Line]:
    """Right-hand sides and Jacobians of reaction networks at many points."""
    from benchmarks import networks as cases

    yield from cases.lines()


def chains() -> Iterator[Line]:
    """Small chains of maps and reductions over a batch."""
    from benchmarks import chains as cases

    yield from cases.lines()


def stiff() -> Iterator[Line]:
    """An implicit method beside scipy's."""
    from benchmarks import stiff as cases

    yield from cases.lines()


def maps() -> Iterator[Line]:
    """Chains of maps over large arrays, and STREAM."""
    from benchmarks import maps as cases

    yield from cases.lines()


CASES = {
    "startup": startup,
    "warm": warm,
    "by_hand": by_hand,
    "kernels": kernels,
    "optimizer": optimizer,
    "stencils": stencils,
    "cost": predictions,
    "elementary": elementary,
    "memory": memory,
    "overlap": overlap,
    "peers": peers,
    "maps": maps,
    "networks": networks,
    "stiff": stiff,
    "chains": chains,
    "encoding": encoding,
}


def main(names: list[str]) -> int:
    """Print the table of the named cases, or of all."""
    unknown = [n for n in names if n not in CASES]
    if unknown:
        print(f"no case {unknown[0]}; there are {', '.join(CASES)}", file=sys.stderr)
        return 64
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}\n"
    )
    print("| case | measured | bar | |\n|---|---|---|---|")
    for name in names or CASES:
        for case, figure, bar, reached in CASES[name]():
            print(f"| {case} | {figure} | {bar} | {'reached' if reached else 'RED' if reached is not None else ''} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
