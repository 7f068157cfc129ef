"""Every kernel of every program at level 2 against the same at `--opt 0`: `python -m benchmarks kernels`.

Functions whose two levels have the same code are counted and not timed. The others are timed in turns on one core, so that a
disturbance meets both; a ratio is the median over the turns, and one that looks bad is looked at again.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ricci import driver
from ricci.backends import machine_record
from ricci.backends.measure import TURNS as REPEATED
from ricci.backends.measure import Timed, on_one_core, timed
from ricci.backends.numba_cpu import emit
from ricci.cost import place, typical_grids
from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Program
from ricci.dsl.term import Function
from ricci.dsl.types import Kind
from ricci.egraph.explain import shown_time
from ricci.egraph.verify import dims_of
from ricci.errors import Source
from ricci.lowering.schedule import schedule
from ricci.lowering.schedule.plan import Call, Launch, Place, Plan, steps_of

Sizes = Mapping[str, int]
Line = tuple[str, str, str, bool | None]
ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("examples/programs", "examples", "benchmarks/models")
TURNS = 5
FEWEST, ENOUGH = 3, 0.05  # turns, and seconds of single calls after which there are no more
SLOWER = 1.05
PATIENCE = 1.0  # seconds of runs of one program
ROUNDING = 1e-9  # of the largest value
CELLS = ({"s": 1_000}, {"s": 100_000})  # of programs that have the same formula everywhere
NETWORKS = {41: (8, 12), 140: (14, 35), 314: (25, 70), 573: (40, 120)}  # monomials: species, reactions
FORMULAS = {
    "(x + y)^4 written out": ("x^4 + 4*x^3*y + 6*x^2*y^2 + 4*x*y^3 + y^4",),
    "polynomial of degree 8": (" + ".join(f"{k + 1}*x^{k}" for k in range(9)),),
    "bivariate product": ("a*c*x^3 - a*c*x^2*y + a*d*x^2*y - a*d*x*y^2 + b*c*x^2*y - b*c*x*y^2 + b*d*x*y^2 - b*d*y^3",),
    "trigonometric": ("sin(x)^2 + cos(x)^2 + 2*sin(x)*cos(x)",),
    "exponentials": ("exp(x)*exp(2*x)*exp(-y) + exp(x + y)",),
    "rational": ("x/(a + b) + y/(a + b) + z/((a + b)*c)",),
    "Kepler": tuple(f"-{c}/(x^2 + y^2 + z^2)^1.5" for c in "xyz"),
    "quaternion to rotation": (
        "a^2 + b^2 - c^2 - d^2", "2*b*c - 2*a*d", "2*b*d + 2*a*c",
        "2*b*c + 2*a*d", "a^2 - b^2 + c^2 - d^2", "2*c*d - 2*a*b",
        "2*b*d - 2*a*c", "2*c*d + 2*a*b", "a^2 - b^2 - c^2 + d^2",
    ),
    "determinant 3": ("a*(e*i - f*h) - b*(d*i - f*g) + c*(d*h - e*g)", "a*e*i - a*f*h - b*d*i + b*f*g + c*d*h - c*e*g"),
}  # fmt: skip
TEXTS = {
    "8th-order Laplacian in 3-D": """domain D: x in 0..1 periodic, y in 0..1 periodic, z in 0..1 periodic
field u(D)
equation dt(u) = lap(u)
initial u = sin(2*pi*x)
solve { until: t=0.1; grid: x=40, y=40, z=40; space: fd(order=8) }
""",
    "Cahn-Hilliard": """domain D: x in 0..1 periodic, y in 0..1 periodic
field c(D)
param M = 1, eps = 0.02
let mu = c^3 - c - eps^2*lap(c)
equation dt(c) = M*lap(mu)
initial c = 0.1*sin(2*pi*x)*sin(2*pi*y)
solve { until: t=0.001; grid: x=64, y=64 }
""",
    "Allen-Cahn with values at the sides": """domain D: x in 0..1, y in 0..1
field c(D)
equation dt(c) = lap(c) + c - c^3
boundary c on x.lo, x.hi, y.lo, y.hi: c = 0
initial c = sin(pi*x)*sin(pi*y)
solve { until: t=0.001; grid: x=128, y=128 }
""",
    "attention": """dim b = 2, s = 128, d = 64, h = 8, e = 64
tensor x[b, s, d]
tensor Q[h, e, d], K[h, e, d], V[h, e, d], O[d, h, e]
let q[b, h, s, e] = Q[h, e, d]*x[b, s, d]
let k[b, h, s, e] = K[h, e, d]*x[b, s, d]
let v[b, h, s, e] = V[h, e, d]*x[b, s, d]
let p[b, h, s, s'] = softmax[s'](if s' <= s then q[b, h, s, e]*k[b, h, s', e]/sqrt(e.size) else -inf)
let y[b, s, d] = O[d, h, e]*p[b, h, s, s']*v[b, h, s', e]
""",
    "ten vectors through two matrices": "dim i, j, k = 64\ntensor A[i, j], B[j, k], "
    + ", ".join(f"x{n}[k]" for n in range(10))
    + "\n"
    + "\n".join(f"let y{n}[i] = A[i, j]*B[j, k]*x{n}[k]" for n in range(10)),
}


@dataclass(frozen=True)
class Case:
    """A function at both levels, and a grid on which it is timed."""

    name: str
    before: Function
    after: Function
    grid: Sizes


def network(species: int, reactions: int) -> str:
    """Mass action of a random network, every right-hand side multiplied out, as the acceptance of the optimizer draws it."""
    draw = random.Random(0)
    sides: list[list[str]] = [[] for _ in range(species)]
    for j in range(reactions):
        left = draw.sample(range(species), draw.choice([1, 2, 2]))
        right = draw.sample(range(species), draw.choice([1, 2]))
        rates = [("-", "+", "*".join([f"k{j}", *(f"x{i}" for i in left)]))]
        if draw.random() < 0.5:
            rates.append(("+", "-", "*".join([f"r{j}", *(f"x{i}" for i in right)])))
        for lost, made, rate in rates:
            for i in left:
                sides[i].append(f"{lost} {rate}")
            for i in right:
                sides[i].append(f"{made} {rate}")
    return cells([" ".join(parts) for parts in sides if parts])


def cells(formulas: list[str] | tuple[str, ...]) -> str:
    """A model that evaluates formulas at every cell of one axis."""
    words = {w for f in formulas for w in "".join(c if c.isalnum() else " " for c in f).split() if w[0].isalpha()}
    names = sorted(words - {"sin", "cos", "exp"})
    lines = ["dim s", *(f"tensor {n}[s]" for n in names)]
    return "\n".join([*lines, *(f"let out{i}[s] = {f.removeprefix('+ ')}" for i, f in enumerate(formulas))]) + "\n"


def texts() -> Iterator[tuple[str, Source]]:
    """Every program: files first."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.model")):
            yield f"{folder}/{path.stem}", driver.read(path)
    for name, formulas in FORMULAS.items():
        yield name, Source(f"<{name}>", cells(formulas))
    for count, (species, reactions) in NETWORKS.items():
        yield f"network of {count} monomials", Source(f"<network {count}>", network(species, reactions))
    for name, text in TEXTS.items():
        yield name, Source(f"<{name}>", text)


def cases() -> Iterator[Case]:
    """Functions of all programs that are run as kernels, then kernels that stand alone; each once."""
    from ricci.faces.kernels import run_often

    machine = machine_record.machine()
    seen = set()
    for name, source in texts():
        model = driver.check_text(source)
        if model.unsupported:
            continue
        program = driver.together(driver.derive(driver.discretize(model)))
        often = run_often(program, True)
        kept = replace(program, functions={n: f for n, f in program.functions.items() if n in often})
        for own, function, after, grid in optimized(kept, grids_of(program, machine)):
            if (function.digest, str(grid)) not in seen:
                seen.add((function.digest, str(grid)))
                yield Case(f"{name}: {own}", function, after, grid)
    for name, function, grids in alone():
        axes = {dim: build.const(0) for dim in dims_of(function.roots)}  # sizes of grids: one code for all levels of memory
        for _, _, after, grid in optimized(Program(name, {"f": function}, coordinates=axes), grids):
            yield Case(name, function, after, grid)


def optimized(program: Program, grids: Sequence[Sizes]) -> Iterator[tuple[str, Function, Function, Sizes]]:
    """(name, function as written, function at the default level, grid), for every function as it is optimized for every grid."""
    machine = machine_record.machine()
    known: dict[int, Program] = {}
    for grid in grids:
        axes = {name: n for name, n in grid.items() if name in program.coordinates}
        level = place(axes, machine) if axes else -1
        if level not in known:
            known[level], _ = driver.optimize(replace(program, sizes=dict(grid)), 2)
        for name, function in program.functions.items():
            yield name, function, known[level].functions[name], grid


def alone() -> Iterator[tuple[str, Function, tuple[Sizes, ...]]]:
    """Kernels of the other benchmarks."""
    from benchmarks import stencils, unseen

    for kernel in unseen.kernels():
        yield kernel.name, kernel.function, tuple(kernel.sizes)
    for name, rank in stencils.CASES:
        axes, sizes = stencils.AXES[:rank], stencils.SIZES[rank]
        yield f"{name} in {rank}-D", stencils.case(name, rank), tuple(dict.fromkeys(axes, sizes[k]) for k in (1, 5, 9))


def grids_of(program: Program, machine: Any) -> tuple[Sizes, ...]:
    """The program's own grid, one that the first cache holds and one that none holds; fixed sizes as they are."""
    axes = sorted(program.coordinates)
    if not axes:
        return tuple({**program.sizes, **more} for more in CELLS) if "s" in program.dims and "s" not in program.sizes else (program.sizes,)
    levels = typical_grids(axes, machine)
    return tuple({**program.sizes, **grid} for grid in ({}, levels[0], levels[-1]))


@dataclass(frozen=True)
class Figure:
    """Median seconds at `--opt 0` and at level 2, their ratio; the largest difference of the results relative to the largest value, and
    the largest that is allowed."""

    name: str
    before: float
    after: float
    ratio: float
    difference: float
    allowed: float = ROUNDING

    def line(self) -> Line:
        good = self.ratio <= SLOWER and self.difference <= self.allowed
        text = f"{self.ratio:.3f} of the time ({shown_time(self.before)}, {shown_time(self.after)}), differs by {self.difference:.0e}"
        return self.name, text, f"<= {SLOWER}", good


def figures(case: Case, compiled: dict[str, Timed]) -> Iterator[Figure | None]:
    """One figure; None where both levels have the same code, nothing for functions of numbers, which the time loops have.

    `compiled`: what has been compiled before, by its text.
    """
    grid = dict(case.grid)
    plans = [schedule(f, sizes=grid) for f in (case.before, case.after)]
    if not any(isinstance(step, Launch | Call) for step in steps_of(plans[0].steps)):
        return
    sources = [code_of(plan) for plan in plans]
    if sources[0] == sources[1]:
        yield None
        return
    for source, function in zip(sources, (case.before, case.after), strict=True):
        if source not in compiled:
            compiled[source] = timed(function, sizes=grid)
    nominal = machine_record.machine().nominal_size
    sizes = {name: max(grid.get(name, nominal), dim.lower) for name, dim in dims_of(case.before.roots).items()}
    yield figure(
        f"{case.name}{', ' * bool(sizes)}{' x '.join(map(str, sizes.values()))}", [compiled[s] for s in sources], case.before, sizes
    )


def code_of(plan: Plan) -> str:
    """Everything that a plan is run as: generated text, and calls of libraries between its parts."""
    program = emit(plan)
    places = [[r.slot.name if isinstance(r, Place) else str(r) for r in (*c.arguments, *c.results)] for c in program.calls]
    calls = [f"{c.routine} {c.term.digest.hex()} {found}" for c, found in zip(program.calls, places, strict=True)]
    return "\n".join([program.source, *calls])


def figure(name: str, both: Sequence[Timed], function: Function, sizes: dict[str, int]) -> Figure:
    """Times in turns, results compared. Where one level seems slower, twice as many turns and the least of all decide."""
    arguments = arguments_of(function, sizes)
    with np.errstate(all="ignore"):  # calls of libraries are timed on what the call before has left
        results = [one.executable(arguments, {**sizes, REPEATED: 1}) for one in both]
        seconds = in_turns(both, arguments, sizes, TURNS)
        if ratio_of(seconds) > SLOWER:
            seconds += in_turns(both, arguments, sizes, 2 * TURNS)
    return figure_of(name, seconds, difference(*results))


def in_turns(both: Sequence[Timed], arguments: Mapping[str, Any], sizes: dict[str, int], turns: int) -> list[tuple[float, float]]:
    """Seconds of both, the one first and then the other; fewer turns for what takes long."""
    found: list[tuple[float, float]] = []
    for turn in range(turns):
        if turn >= FEWEST and sum(map(sum, found)) > ENOUGH:
            break
        times = {k: both[k].seconds(arguments, sizes).least for k in ((0, 1) if turn % 2 == 0 else (1, 0))}
        found.append((times[0], times[1]))
    return found


def ratio_of(seconds: Sequence[tuple[float, float]]) -> float:
    """The median ratio; of so many turns that the first must have looked bad, the ratio of the least."""
    before, after = zip(*seconds, strict=True)
    return min(after) / min(before) if len(seconds) > TURNS else statistics.median(b / a for a, b in seconds)


def figure_of(name: str, seconds: Sequence[tuple[float, float]], apart: float, allowed: float = ROUNDING) -> Figure:
    before, after = (statistics.median(column) for column in zip(*seconds, strict=True))
    return Figure(name, before, after, ratio_of(seconds), apart, allowed)


def arguments_of(function: Function, sizes: Sizes) -> dict[str, Any]:
    """Values between 1/2 and 3/2, the same in every run."""
    draw = np.random.default_rng(1)
    arguments: dict[str, Any] = {}
    for p in function.params:
        shape = [n.evaluate(dict(sizes)) for n in p.axes.values()]
        value = draw.uniform(0.5, 1.5, shape)
        arguments[name_of(p)] = {Kind.INT: lambda v: np.rint(v).astype(np.int64), Kind.BOOL: lambda v: v > 1}.get(p.kind, lambda v: v)(
            value
        )
    return arguments


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """The largest difference of results relative to the largest value of each; infinite where one is NaN and the other is not."""
    worst = 0.0
    for name, left in a.items():
        x, y = np.asarray(left, complex), np.asarray(b[name], complex)
        if not np.array_equal(np.isnan(x), np.isnan(y)):
            return float("inf")
        largest = float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0))
        apart = np.abs(np.where(x == y, 0, x - y))
        worst = max(worst, float(np.nanmax(apart, initial=0.0)) / (largest or 1.0))
    return worst


def loops() -> Iterator[Figure]:
    """Whole time loops: seconds of a step in the run that the program describes, on one thread.

    Rounding decides how long some steps are, so that results agree as far as the tolerance says.
    """
    from ricci.driver import Settings
    from ricci.faces.execute import execute

    for name, source in texts():
        model = driver.check_text(source)
        if model.unsupported or not model.equations:
            continue
        seconds: list[tuple[float, float]] = []
        results: list[Any] = []
        spent = 0.0
        while len(seconds) < TURNS or ((spent < PATIENCE or ratio_of(seconds) > SLOWER) and len(seconds) < 3 * TURNS):
            pair = {}
            for level in (0, 2) if len(seconds) % 2 == 0 else (2, 0):
                outcome = execute(source, Settings(opt=level, threads=1), write=False)
                pair[level] = outcome.seconds["run"] / max(outcome.steps + outcome.rejected, 1)
                spent += outcome.seconds["run"]
                results.append({n: r.values for n, r in outcome.results.items()})
            seconds.append((pair[0], pair[2]))
        yield figure_of(f"{name}: a step of the time loop", seconds, difference(results[0], results[1]), driver.discretize(model).tolerance)


def lines() -> Iterator[Line]:
    """Every figure, then the geometric mean of all."""
    found: list[Figure | None] = []
    compiled: dict[str, Timed] = {}
    with on_one_core():
        for case in cases():
            for one in figures(case, compiled):
                found.append(one)
                if one is not None:
                    yield one.line()
        for one in loops():
            found.append(one)
            yield one.line()
    timed_ones = [one for one in found if one is not None]
    ratios = [one.ratio for one in timed_ones]
    mean = statistics.geometric_mean(ratios)
    every = statistics.geometric_mean([*ratios, *[1.0] * (len(found) - len(ratios))])
    text = f"geometric mean {mean:.3f}; {every:.3f} with the {len(found) - len(ratios)} others, whose code is the same"
    yield f"{len(ratios)} kernels at level 2 against `--opt 0`", text, "< 1", mean < 1
    slower = [one for one in timed_ones if one.ratio > SLOWER]
    worst = max(timed_ones, key=lambda one: one.ratio)
    yield "kernels slower by more than 5 %", f"{len(slower)} (worst {worst.ratio:.3f}, {worst.name})", "0", not slower
