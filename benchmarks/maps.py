"""Maps over large arrays: chains in one pass beside numpy, numexpr and torch.compile; STREAM beside C. `python -m benchmarks maps`."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Line = tuple[str, str, str, bool | None]
LENGTH = 1 << 24
CHAINS = (2, 8, 32, 64)
STREAM_LENGTH = 20_000_000
REPEATS = 7
LINKS = ("{}*1.1 - 0.2", "abs({}) + 0.1", "sqrt({})", "exp(-{})")
STREAM = {"copy": "a[i]", "scale": "3*a[i]", "add": "a[i] + b[i]", "triad": "a[i] + 3*b[i]"}
MOVED = {"copy": 2, "scale": 2, "add": 3, "triad": 3}
SOURCE = """
#include <stddef.h>
void copy(double *restrict c, const double *restrict a, const double *restrict b, size_t n) {
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++) c[i] = a[i]; }
void scale(double *restrict c, const double *restrict a, const double *restrict b, size_t n) {
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++) c[i] = 3.0 * a[i]; }
void add(double *restrict c, const double *restrict a, const double *restrict b, size_t n) {
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++) c[i] = a[i] + b[i]; }
void triad(double *restrict c, const double *restrict a, const double *restrict b, size_t n) {
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++) c[i] = a[i] + 3.0 * b[i]; }
"""


def optimized(text: str, sizes: dict[str, int]) -> Any:
    """All definitions of a model as one function, at the default level."""
    from ricci import driver
    from ricci.errors import Source

    program = driver.together(driver.derive(driver.discretize(driver.check_text(Source("<maps>", text)))))
    (name,) = [n for n in program.functions if n.startswith("let:")]
    better, _ = driver.optimize(driver.only(program, name, sizes), 2)
    return better


def compiled(text: str, sizes: dict[str, int], arguments: dict[str, Any]) -> Any:
    """The same, compiled, with its arguments in place."""
    from ricci import driver

    better = optimized(text, sizes)
    (name,) = better.functions
    return driver.compiled(better, name, driver.Settings()).ready(arguments, sizes)


def least(block: Callable[[], Any]) -> float:
    block()
    found = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        block()
        found.append(time.perf_counter() - begin)
    return min(found)


def chain(count: int, name: str) -> str:
    text = name
    for k in range(count):
        text = LINKS[k % len(LINKS)].format(f"({text})" if k else text)
    return text


def chains(threads: int) -> Iterator[Line]:
    """K maps over 2^24 numbers of 32 bits in one pass."""
    import numexpr
    import torch

    x = np.random.default_rng(0).standard_normal(LENGTH).astype(np.float32)
    names = {"sqrt": np.sqrt, "exp": np.exp, "abs": np.abs}
    numexpr.set_num_threads(threads)
    torch.set_num_threads(threads)
    for count in CHAINS:
        ready = compiled(f"dim i\ntensor x[i]\nlet y[i] = {chain(count, 'x[i]')}\nsolve {{ dtype: f32 }}\n", {"i": LENGTH}, {"x": x})
        text = chain(count, "x")
        for constant in ("1.1", "0.2", "0.1"):
            text = text.replace(constant, f"c{constant[0]}{constant[2]}")
        constants = {"c11": np.float32(1.1), "c02": np.float32(0.2), "c01": np.float32(0.1)}
        code = compile(text, "<chain>", "eval")
        tensor = torch.from_numpy(x)
        inside = {"sqrt": torch.sqrt, "exp": torch.exp, "abs": torch.abs, "c11": 1.1, "c02": 0.2, "c01": 0.1}
        exec(f"def mapped(x): return {text}", inside)  # our own text, built above
        ran = torch.compile(inside["mapped"])
        tensor = torch.from_numpy(x)
        out = np.empty_like(x)
        seconds = {
            "numpy": least(lambda code=code, constants=constants: eval(code, {**names, **constants}, {"x": x})),
            "numexpr": least(lambda text=text, constants=constants, out=out: numexpr.evaluate(text, {"x": x, **constants}, out=out)),
            "torch.compile": least(lambda ran=ran, tensor=tensor: ran(tensor)),
        }
        ours = least(lambda ready=ready: ready.run(threads))
        found = ready.results()["y"]
        apart = float(np.abs(found - out).max() / np.abs(out).max())
        ratios = {tool: value / ours for tool, value in seconds.items()}
        figure = ", ".join(f"{ratio:.2f}x {tool}" for tool, ratio in ratios.items())
        figure += f" ({ours * 1e3:.3g} ms, {8 * LENGTH / ours / 1e9:.1f} GB/s), outputs differ by {apart:.0e}"
        reached = min(ratios["numexpr"], ratios["torch.compile"]) >= 1.0 and apart < 1e-5 and len(ready.executable.kernels) == 1
        yield f"chain of {count} maps over 2^24 f32, {threads} thread{'s' * (threads > 1)}", figure, ">= 1x numexpr, torch.compile", reached


def stream(threads: int) -> Iterator[Line]:
    """Copy, scale, add, triad written as models beside C (gcc -O3 -march=native, OpenMP)."""
    values = np.random.default_rng(0)
    a, b, c = (values.standard_normal(STREAM_LENGTH) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stream.c").write_text(SOURCE)
        library = Path(folder) / "stream.so"
        subprocess.run(
            ["gcc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", f"{folder}/stream.c", "-o", str(library)], check=True
        )
        loaded = ctypes.CDLL(str(library))
        loaded.omp_set_num_threads(threads)
        for name, text in STREAM.items():
            if name == "copy":
                yield (
                    f"STREAM copy, {threads} thread{'s' * (threads > 1)}",
                    "no kernel: a definition that is its argument is not copied",
                    "",
                    None,
                )
                continue
            used = [n for n in "ab" if f"{n}[i]" in text]
            declared = "".join(f"tensor {n}[i]\n" for n in used)
            ready = compiled(f"dim i\n{declared}let c[i] = {text}\n", {"i": STREAM_LENGTH}, {n: {"a": a, "b": b}[n] for n in used})
            function = getattr(loaded, name)
            pointers = [ctypes.c_void_p(array.ctypes.data) for array in (c, a, b)]
            theirs = least(lambda function=function, pointers=pointers: function(*pointers, ctypes.c_size_t(STREAM_LENGTH)))
            ours = least(lambda ready=ready: ready.run(threads))
            same = bool(np.array_equal(ready.results()["c"], c))
            ratio, rate = theirs / ours, 8 * MOVED[name] * STREAM_LENGTH / ours / 1e9
            figure = f"{ratio:.2f}x of C ({rate:.1f} GB/s){'' if same else ', OTHER VALUES'}"
            yield f"STREAM {name}, {threads} thread{'s' * (threads > 1)}", figure, ">= 0.97x", ratio >= 0.97 and same


def lines() -> Iterator[Line]:
    for threads in (1, 2):
        yield from stream(threads)
        yield from chains(threads)
