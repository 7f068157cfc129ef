"""The pipeline, one stage after another. Each function has one input and one output and can be printed with `ricci show`."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ricci.errors import CannotLower, CannotRun, ParseFailed, Source, WrongUsage

if TYPE_CHECKING:
    from ricci.dsl import tree
    from ricci.dsl.model import Model, Solve
    from ricci.dsl.program import Program
    from ricci.dsl.term import Function
    from ricci.machine import Machine

LARGEST_SOURCE = 1 << 20
BACKENDS = ("cpu", "reference")
LEVELS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Settings:
    """What a user decides beside the text of a model. `set` and `input` are (name, text) pairs in the order given."""

    set: tuple[tuple[str, str], ...] = ()
    input: tuple[tuple[str, str], ...] = ()
    weights: str | None = None
    seed: int = 0
    backend: str = "cpu"
    threads: int | None = None
    opt: int = 2
    allow_read: tuple[str, ...] = ()
    start: str | None = None  # a file with the state to go on from
    time: bool = False  # `explain` measures kernels

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise WrongUsage(
                "E0104",
                f"there is no backend `{self.backend}`",
                help=f"backend={BACKENDS[0]!r}",
                notes=(f"there are {', '.join(BACKENDS)}",),
            )
        if self.opt not in LEVELS:
            raise WrongUsage("E0104", f"there is no level `{self.opt}` of optimization", help="opt=2", notes=("there are 0, 1, 2, 3",))


def read(path: str | os.PathLike[str]) -> Source:
    """A file as a source; E0805 when it cannot be read, E0004 when it is too large, E0001 when it is no text."""
    from ricci.dsl.parse import decode

    try:
        if os.path.getsize(path) > LARGEST_SOURCE:
            raise ParseFailed("E0004", f"`{path}` is larger than 1 MiB: a model is a text, data belong into files that it loads")
        return decode(str(path), Path(path).read_bytes())
    except OSError as error:
        raise CannotRun("E0805", f"cannot read `{path}`: {error.strerror}") from None


def parse(source: Source, settings: Settings = Settings()) -> tree.File:
    """Text -> syntax tree, with the values of `settings.set` in place."""
    from ricci.dsl.override import override
    from ricci.dsl.parse import parse as parse_source

    return override(parse_source(source), settings.set, parse_source)


def check(file: tree.File) -> Model:
    """Tree -> model: names, axes, units and conditions are right, or CheckFailed says what is not."""
    from ricci.dsl.check import check as check_file

    return check_file(file)


def check_text(source: Source, settings: Settings = Settings()) -> Model:
    """Text -> model."""
    return check(parse(source, settings))


def supported(model: Model) -> Model:
    """E0601 for the first statement that is understood and cannot be run yet."""
    if model.unsupported:
        first, *rest = model.unsupported
        notes = tuple(f"also: {u.what}" for u in rest[:3])
        raise CannotLower("E0601", f"this version cannot run {first.what}", first.span, notes=notes)
    return model


def discretize(model: Model) -> Program:
    """Model -> program: no derivative in space left."""
    from ricci.lowering.discretize import discretize as lower

    return lower(supported(model))


def summands(model: Model, program: Program, state: str) -> Any:
    """What is added up in the equation of a state, as one function of the program's time, states and arguments."""
    from ricci.lowering.discretize import summands as lower

    return lower(model, program, state)


def whole_states(model: Model, program: Program) -> Any:
    """Every state on all points of its field, as one function of the program's time, states and arguments."""
    from ricci.lowering.discretize import whole_states as lower

    return lower(model, program)


def derive(program: Program) -> Program:
    """Program -> program: with the Jacobian-vector product and the time derivative of the right-hand side."""
    from ricci.lowering.derive import derive as lower

    return lower(program) if "rhs" in program.functions else program


def this_machine(program: Program) -> Machine:
    """The machine that times are predicted for: the one that `ricci tune` has measured, else a usual one; with reals as long as the program's."""
    from ricci.backends.machine_record import machine

    return machine().with_reals(program.bits)


def optimize(program: Program, level: int) -> tuple[Program, Any]:
    """Program -> program, cheaper and equal; and the report that `explain` prints.

    Code is made once for all sizes of a grid: forms are found for grids of nominal size, and which of them is taken is predicted over all
    levels of memory that may hold it; another one is taken at the level of the present grid only if it is much faster there.
    """
    from ricci import cost
    from ricci.egraph import optimize as improve

    machine = this_machine(program)
    others = {name: n for name, n in program.sizes.items() if name not in program.coordinates}
    grid = {name: n for name, n in program.sizes.items() if name in program.coordinates}
    grids = [{**others, **typical} for typical in cost.typical_grids(sorted(program.coordinates), machine)]
    here = cost.place(grid, machine) if grid else None
    better, report = improve(replace(program, sizes=others), level, machine, partial(predicted, grids, here, machine))
    return replace(better, sizes=program.sizes), report


def predicted(grids: Sequence[dict[str, int]], here: int | None, machine: Any, function: Function) -> Any:
    """Predicted seconds of one evaluation of a function, by what its loops do: the geometric mean over grids, and for that in place `here`.

    By the mean, a form that is slower by some factor in one cache and faster by the same in another is worth the same. Sizes that
    are not known are nominal.
    """
    from ricci.backends.workload import predicted as predict
    from ricci.egraph.alternatives import Seconds
    from ricci.egraph.verify import dims_of
    from ricci.lowering.schedule import schedule as lower

    plan = lower(function, sizes=grids[0])
    lowest = {name: dim.lower for name, dim in dims_of(function.roots).items()}
    known = [{**sizes, **{name: max(sizes.get(name, machine.nominal_size), n) for name, n in lowest.items()}} for sizes in grids]
    times = [predict(plan, sizes, machine) for sizes in known]
    mean = prod(time ** (1 / len(times)) for time in times)
    return Seconds(mean, mean if here is None else times[here])


def forecasts(program: Program, name: str, sizes: dict[str, int], threads: int, timed: bool = False) -> list[Any]:
    """What every kernel of a function is predicted to cost on this machine, for these sizes, and what it costs if they are `timed`."""
    from ricci.backends.forecast import forecasts as foresee

    plan = schedule(program, name)
    measured: dict[int, float] = {}
    if timed:
        from ricci.backends.measure import kernel_seconds

        measured = kernel_seconds(plan, sizes, threads, program.bits == 32)
    return foresee(plan, sizes, this_machine(program), threads, measured)


def operations(program: Program, sizes: dict[str, int]) -> tuple[dict[str, float], dict[str, str]]:
    """Values of `flops(L)` by name; for those that depend on sizes which are not known, the first of these."""
    from ricci.egraph.counting import fewest_operations

    found: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, function in program.counts.items():
        dims = {d.name for t in (*function.params, *function.roots) for size in t.axes.values() for d in size.dims}
        lacking = sorted(dims - set(sizes))
        if lacking:
            missing[name] = lacking[0]
        else:
            found[name] = fewest_operations(function, sizes)
    return found, missing


def integrate(program: Program, method: Any) -> Program:
    """Program -> program: with `advance`, the time loop."""
    from ricci.lowering.integrate import integrate as lower

    return lower(program, method)


def linear_solvers(program: Program, sizes: dict[str, int]) -> list[Any]:
    """How the linear systems of the time loop are solved, and why."""
    from ricci.dsl.program import Choice
    from ricci.lowering.solvers import ways_of

    fields = ", ".join(dict.fromkeys(f"`{s.field}`" for s in program.states))
    ways = ways_of(program.functions["advance"], sizes) if "advance" in program.functions else []
    return [Choice(f"linear systems of {fields}", f"by {way.name}", way.reason) for way in ways]


def without_equation(model: Model, line: int) -> Model:
    """The model with the equation on a source line replaced by `dt(unknown) = 0`: what `ricci test --mutate` runs."""
    from ricci.dsl.build import partial

    def quiet(equation: Any) -> Any:
        if equation.span is None or equation.span.line != line:
            return equation
        symbol = model.fields[equation.determines].symbol
        return replace(equation, residual=partial(symbol, "t", equation.time_order) if equation.time_order else symbol)

    return replace(model, equations=[quiet(e) for e in model.equations])


def choose(model: Model, program: Program, values: dict[str, Any], sizes: dict[str, int]) -> tuple[Any, list[Any]]:
    """The time integrator, named by the model or chosen from `tol` and the values at the start, and the reasons."""
    from ricci.lowering.integrate.choose import choose as pick

    return pick(model, program, values, sizes)


def ill_posed(model: Model, program: Program, values: dict[str, Any], sizes: dict[str, int]) -> list[Any]:
    """E0502 for linear equations with waves that grow without bound on finer grids; warnings for others that do at the start."""
    from ricci.lowering.integrate.wellposed import ill_posed as look

    return look(model, program, values, sizes)


def controls(program: Program, method: Any, values: dict[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    """Initial values of the integrator's own carries."""
    from ricci.lowering.integrate import controls as initial

    return initial(program, method, values, sizes)


def together(program: Program, values: Container[str] | None = None) -> Program:
    """The program with one function for all definitions (whose parameters are among `values`): what they share is computed once."""
    from ricci.dsl.ops.symbol import name_of
    from ricci.dsl.term import Function

    lets = {n: f for n, f in program.functions.items() if n.startswith("let:")}
    joined = {n: f for n, f in lets.items() if values is None or all(name_of(p) in values for p in f.params)}
    if len(joined) < 2:
        return program
    parameters = dict.fromkeys(p for f in joined.values() for p in f.params)
    whole = Function("let:*", tuple(parameters), tuple(result for f in joined.values() for result in f.results))
    others = {n: f for n, f in program.functions.items() if n not in joined}
    return replace(program, functions={whole.name: whole, **others})


def switches(program: Program, integrator: Any) -> list[Any]:
    """Times at which the right-hand side jumps, for an integrator that chooses its steps: fixed ones stay where the model puts them."""
    from ricci.lowering.integrate.system import TIME
    from ricci.lowering.jumps import jumps

    if not integrator.adaptive or "rhs" not in program.functions:
        return []
    return jumps(program.functions["rhs"].roots, TIME, [a.symbol for a in program.arguments])


def only(program: Program, name: str, sizes: dict[str, int]) -> Program:
    """The program with one function and known sizes."""
    return replace(program, functions={name: program.functions[name]}, sizes={**program.sizes, **sizes})


def advancing(program: Program, integrator: Any) -> Program:
    """The program with the functions that the time loop repeats: all others are evaluated a few times and not worth optimizing."""
    repeated = {"rhs", "rhs_tangent", "rhs_time"} if integrator.method.implicit else {"rhs"}
    return replace(program, functions={n: f for n, f in program.functions.items() if n in repeated or n.startswith("event:")})


def schedule(program: Program, name: str) -> Any:
    """One function -> plan: loop nests, buffers, order."""
    from ricci.lowering.schedule import schedule as lower

    return lower(program.functions[name], program.origins, program.sizes)


def loops(program: Program, name: str) -> list[Any]:
    """One function -> kernels of the loop IR."""
    from ricci.lowering.loops import lower_launch
    from ricci.lowering.schedule.plan import Launch, steps_of

    plan = schedule(program, name)
    return [lower_launch(plan, step) for step in steps_of(plan.steps) if isinstance(step, Launch)]


def overlap(program: Program) -> list[Any]:
    """Whether steps of the time loop overlap, and how far, or why they do not."""
    from ricci.dsl.program import Choice
    from ricci.lowering.loops import lower_launch
    from ricci.lowering.schedule.plan import Launch, While, steps_of
    from ricci.lowering.tiling import Tiling, tiling_of

    plan = schedule(program, "advance")
    kernels = {id(step): lower_launch(plan, step) for step in steps_of(plan.steps) if isinstance(step, Launch)}
    found = next((tiling_of(step, kernels) for step in plan.steps if isinstance(step, While)), None)
    if not isinstance(found, Tiling):
        return [] if found is None else [Choice("steps", "one by one", found)]
    if found.alone:
        return [Choice("stages", "overlap", f"the last stays {_rows(found.right.most)} behind the first; steps do not: {found.alone}")]
    return [Choice("steps", "overlap", f"each stays {_rows(found.right.step)} behind the one before, where fields leave the second cache")]


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def kernel_names(executable: Any) -> list[str]:
    """Generated kernels by module (a content hash) and name: equal names are equal code."""
    names: list[str] = executable.kernels
    return names


def threads(settings: Settings) -> int:
    """Threads for generated code: as asked, or one per core that this process may use; more than that is E0602."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if settings.threads is None:
        return cores
    if settings.threads < 1:
        raise WrongUsage("E0104", f"`--threads {settings.threads}`: at least one thread computes", help=f"--threads {cores}")
    if settings.threads > cores:
        raise CannotRun("E0602", f"{settings.threads} threads on {cores} cores", help=f"--threads {cores}")
    return settings.threads


def compiled(program: Program, name: str, settings: Settings) -> Any:
    """One function -> executable of generated code."""
    from ricci.backends.numba_cpu import compile_plan

    return compile_plan(schedule(program, name), program.bits == 32)


def key(program: Program, name: str, integrator: Any, opt: int) -> str:
    """The name under which code for a function is kept: equal names are equal in all that decides it. `integrator`: of a time loop."""
    from ricci.backends import kept
    from ricci.cost import place
    from ricci.dsl.term import walk

    functions = [(n, f.digest.hex()) for n, f in program.functions.items()]
    states = [(s.name, s.symbol.digest.hex(), s.field, s.time_order, str(s.unit)) for s in program.states]
    arguments = [(a.name, a.symbol.digest.hex(), a.role) for a in program.arguments]
    origins = sorted((term.digest.hex(), text) for term, text in program.origins.items())
    method, sizes = None, dict(program.sizes)
    if integrator is not None:
        method = (integrator.method.name, None if integrator.dt is None else integrator.dt.digest.hex())
        solves = integrator.method.implicit or any(t.op == "library" for f in program.functions.values() for t in walk(f.roots))
        if not solves:  # how a linear system is solved depends on the grid, nothing else on more than what holds it
            grid = {name: sizes.pop(name) for name in program.coordinates if name in sizes}
            sizes["level of memory"] = place(grid, this_machine(program))
    numbers = (sorted(sizes.items()), sorted(program.coordinates), sorted((d.name, d.lower) for d in program.dims.values()))
    machine = sorted(this_machine(program).to_json().items())
    rules = [
        (r.name, r.left.digest.hex(), r.right.digest.hex(), r.both, [(fact, s.digest.hex()) for fact, s in r.given]) for r in program.rules
    ]
    return kept.key(
        [repr(part) for part in (name, opt, program.bits, functions, states, arguments, origins, method, numbers, machine, rules)]
    )


def main_solve(model: Model) -> Solve | None:
    """The statement that integrates the equations, if there is one."""
    return next((s for s in model.solves if not s.goal), None)
