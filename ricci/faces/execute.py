"""One run of one model: from its text to results, checks, files and pictures."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ricci import driver
from ricci.backends.binding import Binding, bind
from ricci.backends.data import Reader
from ricci.backends.kept import find, keep
from ricci.backends.labelled import Labelled
from ricci.backends.restart import Start, load_start, remaining
from ricci.backends.simulation import (
    Interrupted,
    Progress,
    RunFailed,
    Simulation,
    Trajectory,
    end_time,
    parameter_names,
    stops_of,
    with_switches,
)
from ricci.backends.threads import blas_threads
from ricci.driver import Settings
from ricci.dsl import reference
from ricci.dsl.model import Model, Output, Plot, Unit
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.override import without_reaction
from ricci.dsl.program import Program
from ricci.dsl.remedies import time_unit, with_options
from ricci.dsl.term import Function, Term, symbols, walk
from ricci.errors import CannotRun, Diagnostic, RicciError, Source
from ricci.faces.checkpoint import adapted, trajectory_of
from ricci.faces.declared import as_declared, positions
from ricci.faces.failures import Failures
from ricci.faces.interruption import Interruption
from ricci.faces.keeping import Kept, described, with_series
from ricci.faces.outcome import CheckResult, Outcome

Array = np.ndarray[Any, Any]
SHORT_ROUNDING = 2.0**-24  # relative, of a number of 32 bits
MOST_ROUNDING = 0.01  # of all steps, if they round the same way


@dataclass
class Stopwatch:
    """Seconds by stage. `entered` is told the name of every stage that begins, and "" when it ends."""

    seconds: dict[str, float] = field(default_factory=dict)
    entered: Callable[[str], None] = lambda name: None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        self.entered(name)
        try:
            yield
        finally:
            self.entered("")
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


def execute(
    source: Source,
    settings: Settings,
    out: str | None = None,
    plot: bool = False,
    write: bool = True,
    listen: Callable[[Progress], None] | None = None,
    without: int | None = None,
    entered: Callable[[str], None] = lambda name: None,
    arrays: Mapping[str, Any] = MappingProxyType({}),
) -> Outcome:
    """Run the model of `source`. `out` is the folder of its files, `write=False` writes none; `without`: the line of an equation to leave out.

    `listen` hears how far the run is, `entered` which stage begins ("": it ends); `arrays` are data by the name of their argument.
    """
    watch = Stopwatch(entered=entered)
    with watch.stage("check"):
        file = driver.parse(source, settings)
        model = driver.check(file if without is None else without_reaction(file, without))
        if without is not None:
            model = driver.without_equation(model, without)
        if plot and write:
            model = with_series(model)
    with watch.stage("discretize"):
        program = driver.discretize(model)
    outcome = Outcome(seconds=watch.seconds, notes=[d.message for d in model.notes])
    with watch.stage("bind"):
        reader = Reader.for_model(_path_of(source), settings.allow_read)
        binding = bind(program, reader, dict(settings.input), settings.weights, settings.seed, arrays)
    if program.counts:
        with watch.stage("optimize"):
            counted, lacking = driver.operations(program, binding.sizes)
        binding.values |= counted
        binding.missing |= {name: f"--set {dim}=N" for name, dim in lacking.items()}
    if not program.functions:
        raise CannotRun("E0707", "the model has nothing to compute: no equations, no definitions, no layers")
    start = _start_of(model, program, binding, settings, outcome)
    kept = Kept(model, program, binding, Path(out) if out else Path(), settings, plot, start) if write else None
    if kept is not None:
        outcome.notes += kept.notes
    try:
        evaluate(model, program, binding, settings, watch, outcome)
        _all_given(model, program, binding)
        if program.states:
            Integration(model, program, binding, settings, watch, outcome, kept, start).run(listen)
        elif kept is not None:
            look(model, program, binding, settings, watch, outcome, kept)
    finally:
        if kept is not None:
            kept.abort()
    _checks(model, program, outcome, binding)
    return outcome


def _start_of(model: Model, program: Program, binding: Binding, settings: Settings, outcome: Outcome) -> Start | None:
    """The state to go on from; E0704 for a model without time."""
    if settings.start is None:
        return None
    if not program.states:
        raise CannotRun("E0704", f"`{settings.start}` is a state to go on from, and this model has no time")
    found = load_start(settings.start, model, program, binding)
    start, notes = adapted(found, model, described(model, program, binding, settings)["parameters_SI"])
    outcome.notes += notes
    return start


def _path_of(source: Source) -> str | None:
    return None if source.name.startswith("<") else source.name


def _missing(model: Model, binding: Binding) -> None:
    """E0707 for the first argument without a value; the inputs of layers are nobody's but their own."""
    own = {name for layer in model.layers.values() for name in (layer.name, *parameter_names(layer.function))}
    for name, remedy in binding.missing.items():
        if name not in own:
            raise CannotRun("E0707", f"`{name}` has no value", help=f"ricci run {remedy} ...")


def _all_given(model: Model, program: Program, binding: Binding) -> None:
    """E0707 for an `output` or `plot` of what has no value."""
    known = {*binding.values, "t", *(s.name for s in program.states)}
    looks: list[tuple[str, Output | Plot]] = [(f"output:{k}", output) for k, output in enumerate(model.outputs)]
    looks += [(f"plot:{k}", plot) for k, plot in enumerate(model.plots)]
    for name, statement in looks:
        lacking = [p for p in parameter_names(program.functions[name]) if p not in known]
        if lacking:
            shown = lacking[0] if lacking[0] in binding.missing else lacking[0].partition(".")[0]
            raise CannotRun(
                "E0707",
                f"`{name.partition(':')[0]}` needs `{shown}`, which has no value",
                statement.span,
                help=f"ricci run {binding.missing[shown]} ..." if binding.missing.get(shown) else "",
            )


@dataclass
class Integration:
    """A program with states, run to its end."""

    model: Model
    program: Program
    binding: Binding
    settings: Settings
    watch: Stopwatch
    outcome: Outcome
    kept: Kept | None
    start: Start | None = None

    def run(self, listen: Callable[[Progress], None] | None) -> None:
        _missing(self.model, self.binding)
        values, sizes = self.binding.values, self.binding.sizes
        end = end_time(self.program, values, sizes)
        stops = stops_of(self.program, end, values, sizes)
        self._compile()
        stops = with_switches(stops, self.switches, end, values, sizes)
        begin = None
        if self.start is not None:
            stops = remaining(stops, self.start, self.program, values, sizes)
            begin = trajectory_of(self.start)
            if self.start.run.get("method") == self.method.method.name:
                self.controls |= {n: v for n, v in self.start.run["controls"].items() if n in self.controls}
        kept = self.kept
        wanted = frozenset(i.function for i in self.program.instants if i.function.startswith("snapshot:"))
        record = kept.take if kept is not None else lambda name, moment, arrays: None
        simulation = Simulation(
            self.program, values, end, self._call, self.controls, self.program.tolerance, listen or (lambda _: None), record, wanted
        )
        simulation.even = self.method.method.rounds_states
        simulation.statements = {k: event.span for k, event in enumerate(self.model.events)}
        if kept is not None:
            simulation.at_events = tuple(f"plot:{k}" for k, plot in enumerate(self.model.plots) if plot.over_time)
        try:
            with self.watch.stage("compile"):
                simulation.prepare(begin)
            with self.watch.stage("simulate"), Interruption() as interruption:
                simulation.asked = interruption.asked
                trajectory = simulation.run(stops)
            self._finish(trajectory)
            if kept is not None:
                _write(kept, self.watch, self.outcome)
        except RunFailed as failure:
            longest = simulation.trajectory.dt_max
            raise Failures(self.model, self.program, self.binding, self.method, longest).explain(failure) from None
        except Interrupted:
            if kept is not None:
                print(kept.save_state(simulation.trajectory, simulation.controls, self.method.method.name), file=sys.stderr)
            raise KeyboardInterrupt from None

    def _compile(self) -> None:
        """Choose the method, optimize, add the time loop, generate code for it."""
        program = self.program
        with self.watch.stage("derive"):
            program = driver.derive(program)
        with self.watch.stage("choose"), blas_threads(1):  # its threads go on spinning for a while, on the cores of the time loop
            self.outcome.warnings += driver.ill_posed(self.model, program, self.binding.values, self.binding.sizes)
            self.method, choices = driver.choose(self.model, program, self.binding.values, self.binding.sizes)
            self.outcome.choices += choices
            self.switches = driver.switches(program, self.method)
        self.threads = driver.threads(self.settings)
        self.advance: Any = None
        name, known = "", None
        if self.settings.backend == "cpu":
            with self.watch.stage("load"):
                name = driver.key(driver.advancing(program, self.method), "advance", self.method, self.settings.opt)
                known = find(name)
        if known is not None:
            self.program, self.advance = program.with_functions({"advance": known.function}), known.executable
            self.outcome.choices += known.choices
        else:
            self.program = self._compile_anew(program, name)
        if self.advance is not None:
            self.outcome.kernels += driver.kernel_names(self.advance)
        self.controls = driver.controls(self.program, self.method, self.binding.values, self.binding.sizes)

    def _compile_anew(self, program: Program, name: str) -> Program:
        """The program with its time loop, optimized; compiled code is kept."""
        with self.watch.stage("optimize"):
            better, report = driver.optimize(driver.advancing(program, self.method), self.settings.opt)
            self.outcome.warnings += report.diagnostics
            program = program.with_functions(better.functions)
        with self.watch.stage("integrate"):
            program = driver.integrate(program, self.method)
            choices = driver.linear_solvers(program, self.binding.sizes)
            self.outcome.choices += choices
        if self.settings.backend == "cpu":
            with self.watch.stage("compile"):
                self.advance = driver.compiled(program, "advance", self.settings)
                if not report.diagnostics:
                    keep(name, program.functions["advance"], self.advance, choices)
        return program

    def _call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Generated code for the time loop, the interpreter for what is evaluated a few times."""
        if name == "advance" and self.advance is not None:
            result: dict[str, Any] = self.advance(dict(arguments), self.binding.sizes, self.threads)
            return result
        function = self.program.functions[name]
        listed = [arguments[p] for p in parameter_names(function)]
        with np.errstate(all="ignore"):  # what is not finite is found in the results
            results = [_stored(r, self.program.bits) for r in reference.call(function, listed, self.binding.sizes)]
        return dict(zip((n for n, _ in function.results), results, strict=True))

    def _finish(self, trajectory: Trajectory) -> None:
        outcome = self.outcome
        outcome.steps, outcome.rejected = trajectory.steps, trajectory.rejected
        if trajectory.steps:
            outcome.dt_min, outcome.dt_max = trajectory.dt_min, trajectory.dt_max
            outcome.time_unit = time_unit(self.program.statement, self.program.time_unit)
        outcome.seconds["run"] = outcome.seconds.get("run", 0.0) + trajectory.seconds
        outcome.points = max((int(np.size(a)) for a in trajectory.states.values()), default=0)
        if self.program.bits == 32 and trajectory.steps * SHORT_ROUNDING > MOST_ROUNDING:
            outcome.warnings.append(self._rounded(trajectory.steps))
        if self.advance is not None:
            outcome.planned_bytes += int(self.advance.planned_bytes(self.binding.sizes))
        known = {**self.binding.values, **trajectory.states, "t": trajectory.time}
        final = self._call("final", known)
        for name, array in final.items():
            outcome.results[name] = _labelled(self.model, self.program, self.binding, "final", name, array, name)
        for snapshots in trajectory.snapshots.values():
            for _, taken in snapshots:
                known.update(taken)
        self.binding.values.update(known)
        main = driver.main_solve(self.model)
        if main is not None and main.name:
            self.binding.values.update({f"{main.name}.steps": trajectory.steps, f"{main.name}.seconds": trajectory.seconds})

    def _rounded(self, steps: int) -> Diagnostic:
        """W0505: what a step changes is of the size of its rounding where steps are many and small."""
        digits = f"numbers of 32 bits are rounded in each of {steps} steps, together by up to {steps * SHORT_ROUNDING:.1g} of their size"
        statement = self.program.statement
        return Diagnostic("W0505", digits, statement, help=with_options(statement, [("dtype", "f64")]))


def _stored(array: Array, bits: int) -> Array:
    """Values of arrays as long as the program's numbers."""
    if bits == 64 or not np.ndim(array) or array.dtype.kind not in "fc":
        return array
    return array.astype(np.float32 if array.dtype.kind == "f" else np.complex64)


def _labelled(model: Model, program: Program, binding: Binding, function: str, label: str, array: Array, shown: str) -> Labelled:
    """A result of a function as the user declared it: order of axes, unit, positions."""
    order, unit = _described(model, function, label)
    where = {a: (c.values, c.unit) for a, c in positions(program, model, binding, order).items()}
    return Labelled(shown, as_declared(array, order, unit), order, unit.text, where)


def _described(model: Model, function: str, label: str) -> tuple[tuple[str, ...], Unit]:
    """Declared order of the axes, and unit, of a result of `let:NAME`, `final` or a layer."""
    if function in model.layers:
        return tuple(dict(model.layers[function].outputs)[label]), Unit()
    declared = model.fields[label] if function == "final" else model.lets[label]
    return tuple(declared.order), declared.unit


def _write(kept: Kept, watch: Stopwatch, outcome: Outcome) -> None:
    """Everything that was kept becomes files."""
    with watch.stage("write"):
        outcome.outputs += kept.close(outcome.results)


def evaluate(model: Model, program: Program, binding: Binding, settings: Settings, watch: Stopwatch, outcome: Outcome) -> None:
    """Definitions, layers and unknowns without equations in time, whose inputs are all given; the others are named in a note."""
    program = driver.together(program, binding.values)
    lets = [n for n in program.functions if n.startswith("let:")]
    formulas = ["final"] if "final" in program.functions and not program.states else []
    for name in [*lets, *model.layers, *formulas]:
        function = program.functions[name]
        lacking = [p for p in parameter_names(function) if p not in binding.values]
        hint = binding.missing.get(lacking[0], "") if lacking else ""
        if lacking and lets and name in model.layers:
            binding.missing[name] = hint
            continue  # a function that definitions call; its own inputs need no values
        if lacking:
            shown = "`, `".join(model.fields) if name == "final" else name.removeprefix("let:")
            outcome.notes.append(f"`{shown}` is not evaluated: `{lacking[0]}` has no value ({hint})")
            binding.missing[shown] = hint
            continue
        arguments = {p: binding.values[p] for p in parameter_names(function)}
        results = _evaluate_function(program, name, arguments, binding, settings, watch, outcome)
        for label, array in results.items():
            shown = f"{name}.{label}" if name in model.layers else label
            binding.values[shown] = array
            outcome.results[shown] = _labelled(model, program, binding, name, label, array, shown)
    if binding.drawn and outcome.results:
        outcome.notes.append(f"weights drawn from seed {settings.seed}: {', '.join(binding.drawn)}")


def look(model: Model, program: Program, binding: Binding, settings: Settings, watch: Stopwatch, outcome: Outcome, kept: Kept) -> None:
    """Evaluate and write what `output` and `plot` say of a model without time; what is a result already is not computed anew."""
    known: dict[Term, Array] = {}
    for name in [n for n in program.functions if n.startswith(("output:", "plot:"))]:
        function = program.functions[name]
        known.update({t: binding.values[name_of(t)] for t in function.roots if t.op == "symbol" and name_of(t) in binding.values})
        new = tuple((label, term) for label, term in function.results if term not in known)
        if new:
            needed = set(symbols([term for _, term in new]))
            smaller = Function(name, tuple(p for p in function.params if p in needed), new)
            arguments = {p: binding.values[p] for p in parameter_names(smaller)}
            found = _evaluate_function(program.with_functions({name: smaller}), name, arguments, binding, settings, watch, outcome)
            known.update({term: found[label] for label, term in new})
        kept.take(name, 0.0, {label: known[term] for label, term in function.results})
    _write(kept, watch, outcome)


def _evaluate_function(
    program: Program, name: str, arguments: dict[str, Any], binding: Binding, settings: Settings, watch: Stopwatch, outcome: Outcome
) -> dict[str, Any]:
    function = program.functions[name]
    numbers = all(not getattr(t.type, "axes", ()) for t in walk(function.roots))  # no code is worth generating for them
    if settings.backend == "reference" or numbers:
        with watch.stage("run"):
            results = reference.call(function, list(arguments.values()), binding.sizes)
        return dict(zip((n for n, _ in function.results), results, strict=True))
    alone = driver.only(program, name, binding.sizes)
    kept_as = driver.key(alone, name, None, settings.opt)
    with watch.stage("load"):
        known = find(kept_as)
    if known is not None:
        executable = known.executable
    else:
        with watch.stage("optimize"):
            better, report = driver.optimize(alone, settings.opt)
            outcome.warnings += report.diagnostics
        with watch.stage("compile"):
            executable = driver.compiled(better, name, settings)
            if not report.diagnostics:
                keep(kept_as, function, executable)
    outcome.kernels += driver.kernel_names(executable)
    outcome.planned_bytes += int(executable.planned_bytes(binding.sizes))
    with watch.stage("run"):
        found: dict[str, Any] = executable(arguments, binding.sizes, driver.threads(settings))
    return found


def _checks(model: Model, program: Program, outcome: Outcome, binding: Binding) -> None:
    """Every check that can be evaluated; one whose values are not there fails loudly."""
    for k, check in enumerate(model.checks):
        function = program.functions.get(f"check:{k}")
        if function is None:
            raise CannotRun("E0707", f"`check {check.text}` cannot be evaluated", check.span)
        lacking = [p for p in parameter_names(function) if p not in binding.values]
        if lacking:
            raise CannotRun(
                "E0707",
                f"`check {check.text}` needs `{lacking[0]}`, which has no value",
                check.span,
                help=f"ricci run {binding.missing[lacking[0]]} ..." if binding.missing.get(lacking[0]) else "",
            )
        with np.errstate(all="ignore"):
            values = reference.call(function, [binding.values[p] for p in parameter_names(function)], binding.sizes)
        found = dict(zip((n for n, _ in function.results), values, strict=True))
        outcome.checks.append(_check_result(check, found))


def _check_result(check: Any, found: Mapping[str, Any]) -> CheckResult:
    passed = bool(np.all(found["holds"]))
    shown = None
    for j, comparison in enumerate(check.comparisons):
        left, right = np.asarray(found[f"left:{j}"]), np.asarray(found[f"right:{j}"])
        if left.ndim or right.ndim or left.dtype.kind == "c":
            continue
        factor, offset = float(comparison.unit.factor) or 1.0, float(comparison.unit.offset)
        candidate = ((float(left) - offset) / factor, (float(right) - offset) / factor, comparison.op)
        if shown is None or (not passed and not _holds(left, comparison.op, right)):
            shown = candidate
    value, bound, op = shown if shown else (None, None, "")
    undefined = not passed and bool(np.all(found["possible"]))
    return CheckResult(check.text, passed, value, bound, op, undefined)


def _holds(left: Any, op: str, right: Any) -> bool:
    table = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal}
    return bool(table[op](left, right)) if op in table else True


def announce(diagnostics: Iterable[Diagnostic]) -> None:
    """Warnings to a caller in Python."""
    for diagnostic in diagnostics:
        warnings.warn(diagnostic.render(), stacklevel=3)


def call_layer(source: Source, name: str, inputs: Mapping[str, Any], weights: Mapping[str, Any] | None, seed: int) -> Any:
    """Evaluate one layer on numpy arrays (axes in declared order); weights given by name or drawn from `seed`."""
    model = driver.check_text(source)
    program = driver.discretize(model)
    from ricci.backends.binding import bind_arrays

    binding = bind_arrays(program, {**{f"{name}.{k}": v for k, v in inputs.items()}, **(weights or {})}, seed)
    drawn = [w for w in binding.drawn if weights is not None]
    if drawn:
        raise CannotRun("E0807", f"`weights` has no array for `{drawn[0]}`", notes=("without `weights=` all are drawn from `seed`",))
    outcome = Outcome()
    evaluate(model, program, binding, Settings(), Stopwatch(), outcome)
    announce(outcome.warnings)
    if not outcome.results:
        raise RicciError("E0707", outcome.notes[0] if outcome.notes else f"`{name}` cannot be evaluated")
    results = list(outcome.results.values())
    return results[0].values if len(results) == 1 else tuple(r.values for r in results)
