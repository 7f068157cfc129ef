"""Right-hand sides and Jacobians of reaction networks at many points in cache, beside numba without vectors and SymPy's lambdify.

`python -m benchmarks networks`: mass action of random networks; the outputs are all rates and all entries of the Jacobian that are not zero.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.maps import Line, least, optimized
from ricci.backends.measure import TURNS, timed

POINTS = 256  # in the second cache with all outputs
CALLS = 200  # in one measurement
SIZES = ((6, 33), (10, 101))  # species, outputs


def rates(species: int, reactions: int, seed: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Concentrations, constants, rates: every reaction turns one or two of the species into one or two others."""
    import sympy

    draw = random.Random(seed)
    x = list(sympy.symbols(f"x0:{species}", real=True))
    k = list(sympy.symbols(f"k0:{reactions}", real=True))
    found = [sympy.Integer(0)] * species
    for constant in k:
        left, right = draw.sample(range(species), draw.choice([1, 2, 2])), draw.sample(range(species), draw.choice([1, 2]))
        speed = constant * sympy.Mul(*(x[i] for i in left))
        for i in left:
            found[i] -= speed
        for i in right:
            found[i] += speed
    return x, k, found


def outputs_of(species: int, wanted: int) -> tuple[list[Any], list[Any], list[Any]]:
    """The first random network with so many outputs: rates and the entries of the Jacobian."""
    import sympy

    for reactions in range(species, 8 * species):
        for seed in range(20):
            x, k, found = rates(species, reactions, seed)
            entries = [entry for f in found for y in x if (entry := sympy.diff(f, y)) != 0]
            if species + len(entries) == wanted:
                return x, k, [*found, *entries]
    raise ValueError(f"no network of {species} species has {wanted} outputs")


def by_numba(x: list[Any], k: list[Any], outputs: list[Any]) -> list[Callable[[Any, Any, Any], None]]:
    """One function that takes a point at a time, after common subexpressions: points along the last axis of the arrays, or along the first."""
    import numba
    import sympy

    parts, ends = sympy.cse(outputs, optimizations="basic")
    lines = [f"            {name} = {value}" for name, value in parts]
    made = []
    for place in ("{}, p", "p, {}"):
        read = [f"            {s} = x[{place.format(i)}]" for i, s in enumerate(x)]
        written = [f"            out[{place.format(i)}] = {value}" for i, value in enumerate(ends)]
        constants = [f"    {s} = k[{i}]" for i, s in enumerate(k)]
        count = "x.shape[1]" if place == "{}, p" else "x.shape[0]"
        head = ["def many(x, k, out, turns):", *constants, "    for _ in range(turns):", f"        for p in range({count}):"]
        text = "\n".join([*head, *read, *lines, *written])
        space: dict[str, Any] = {}
        exec(text, space)  # our own text, printed by SymPy
        made.append(numba.njit(error_model="numpy")(space["many"]))
    return made


def model_of(x: list[Any], k: list[Any], outputs: list[Any]) -> str:
    lines = ["dim s", *(f"tensor {v}[s]" for v in x), *(f"param {c} = 1" for c in k)]
    for i, value in enumerate(outputs):
        text = str(value).replace("**", "^")
        lines.append(f"let out{i}[s] = {text}" if value.free_symbols & set(x) else f"let out{i}[s] = {text} + 0*x0")
    return "\n".join(lines) + "\n"


def one(species: int, wanted: int) -> Iterator[Line]:
    import sympy

    x, k, outputs = outputs_of(species, wanted)
    values = np.random.default_rng(0)
    points, constants = values.random((species, POINTS)), values.random(len(k))
    arguments = {str(s): points[i] for i, s in enumerate(x)} | {str(c): float(constants[i]) for i, c in enumerate(k)}
    (function,) = optimized(model_of(x, k, outputs), {"s": POINTS}).functions.values()
    many = timed(function)
    ours = many.seconds(arguments, {"s": POINTS}).least / POINTS * 1e9
    found = many.executable(arguments, {"s": POINTS, TURNS: 1})
    numpy_form = sympy.lambdify([*x, *k], outputs, modules="numpy", cse=True)
    along, across = by_numba(x, k, outputs)
    out, turned, back = np.empty((wanted, POINTS)), np.ascontiguousarray(points.T), np.empty((POINTS, wanted))
    scalar = min(least(lambda: along(points, constants, out, CALLS)), least(lambda: across(turned, constants, back, CALLS)))
    scalar *= 1e9 / CALLS / POINTS
    lambdified = least(lambda: [numpy_form(*points, *constants) for _ in range(CALLS)]) * 1e9 / CALLS / POINTS
    apart = max(float(np.abs(found[f"out{i}"] - out[i]).max() / (np.abs(out[i]).max() or 1)) for i in range(wanted))
    name = f"{species} species, {wanted} outputs, {POINTS} points"
    compared = f"({ours:.3g} ns a point), outputs differ by {apart:.0e}"
    yield f"{name}, against scalar numba", f"{scalar / ours:.2f}x {compared}", ">= 2.5x", scalar / ours >= 2.5 and apart < 1e-12
    yield f"{name}, against lambdify(cse=True)", f"{lambdified / ours:.1f}x {compared}", ">= 20x", lambdified / ours >= 20 and apart < 1e-12


def lines() -> Iterator[Line]:
    for species, wanted in SIZES:
        yield from one(species, wanted)
