"""Nanoseconds a value of elementary functions in generated code, beside the best of numpy, SciPy and torch: the same points, one core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Line = tuple[str, str, str, bool | None]
POINTS = 4096  # arguments and values lie in the caches
BAR = 0.8  # of the speed of the best other
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("log", "log1p", "pow", "hypot"), (0.1, 10.0)),
    **dict.fromkeys(("asin", "acos", "atanh"), (-0.99, 0.99)),
    "acosh": (1.0, 10.0),
}
OTHER = (-5.0, 5.0)


def numpy_calls(name: str, x: Any, y: Any) -> Iterator[Callable[[], Any]]:
    """How users of numpy and SciPy write it: the fastest way with arrays for results that exist."""
    import numpy as np
    from scipy import special

    out, half = np.empty_like(x), x.dtype.type(0.5)
    one = x.dtype.type(1)
    names = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
    if name in ("atan2", "pow", "hypot"):
        two = {"atan2": np.arctan2, "pow": np.power, "hypot": np.hypot}[name]
        yield lambda: two(x, y, out=out)
    elif name in ("erf", "erfc"):
        yield lambda: getattr(special, name)(x, out=out)
    elif name == "sigmoid":
        yield lambda: special.expit(x, out=out)
        yield lambda: np.divide(one, np.add(np.exp(np.negative(x, out=out), out=out), one, out=out), out=out)
    elif name == "softplus":
        yield lambda: np.add(np.log1p(np.exp(-np.abs(x))), np.maximum(x, 0), out=out)
    elif name == "gelu":
        yield lambda: np.multiply(special.erfc(x * x.dtype.type(-(0.5**0.5))), half * x, out=out)
    elif name == "gelu_tanh":
        c, d = x.dtype.type((2 / np.pi) ** 0.5), x.dtype.type(0.044715)
        yield lambda: np.multiply(half * x, one + np.tanh(c * (x + d * x * x * x)), out=out)
    else:
        one_argument = getattr(np, names.get(name, name))
        yield lambda: one_argument(x, out=out)


def torch_calls(name: str, x: Any, y: Any) -> Iterator[Callable[[], Any]]:
    """The same in torch, where it is installed."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    if name in ("gelu", "gelu_tanh"):
        kind = "none" if name == "gelu" else "tanh"
        yield lambda: torch.nn.functional.gelu(a, approximate=kind)
    elif name == "softplus":
        yield lambda: torch.nn.functional.softplus(a)
    elif hasattr(torch, name):
        function, arguments = getattr(torch, name), (a, b)[: 2 if name in ("atan2", "pow", "hypot") else 1]
        yield lambda: function(*arguments, out=torch.empty_like(a))


def least(call: Callable[[], Any]) -> float:
    """Seconds of a call, the least of many."""
    call()
    found = []
    for _ in range(300):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)


def lines() -> Iterator[Line]:
    """Every function with reals of 64 and of 32 bits."""
    import numpy as np

    from ricci.backends.elementary.catalogue import FUNCTIONS, arguments_of
    from ricci.backends.measure import Timed, repeating
    from ricci.backends.numba_cpu import compile_plan
    from ricci.dsl import build
    from ricci.dsl.term import Function
    from ricci.dsl.types import Dim, Kind, Size, Type
    from ricci.lowering.schedule import schedule

    generator = np.random.default_rng(1)
    for name in FUNCTIONS:
        symbols = [build.symbol(v, Type(Kind.REAL, {"n": Size.of(Dim("n"))})) for v in "xy"[: arguments_of(name)]]
        plan = schedule(Function("f", tuple(symbols), (("r", build.apply(name, *symbols)),)))
        for dtype in ("f64", "f32"):
            compiled = Timed(plan, compile_plan(repeating(plan), dtype == "f32"))
            x, y = (generator.uniform(*RANGES.get(name, OTHER), POINTS).astype(dtype.replace("f", "float")) for _ in "xy")
            ours = compiled.seconds(dict(zip("xy"[: len(symbols)], (x, y), strict=False)), {"n": POINTS}).least
            with np.errstate(all="ignore"):
                others = {
                    label: min((least(call) for call in calls(name, x, y)), default=float("inf"))
                    for label, calls in (("numpy", numpy_calls), ("torch", torch_calls))
                }
            known = {label: seconds for label, seconds in others.items() if seconds < float("inf")}
            text = ", ".join(f"{label} {seconds / POINTS * 1e9:.2f}" for label, seconds in known.items())
            best = min(known.values())
            yield f"{name} {dtype}", f"{ours / POINTS * 1e9:.2f} ns ({text}): {best / ours:.2f}x", f">= {BAR}x", best >= BAR * ours
