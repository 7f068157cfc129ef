"""Arguments of a program get their arrays: defaults, files, drawn weights; sizes that were open are read off the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from ricci.backends import memory
from ricci.backends.data import Reader, Stored, in_memory, split_key
from ricci.dsl import reference, tree
from ricci.dsl.model import LAST, Load, Unit
from ricci.dsl.ops.const import DTYPES
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.program import Argument, Program
from ricci.dsl.remedies import instead, nodes, quantity, with_options
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind
from ricci.errors import CannotRun, Span

Array = np.ndarray[Any, Any]
SAME_POINT = 1e-6  # of the length of a coordinate
ROUNDING = 1e-12  # of a point, relative to the length of its coordinate


@dataclass
class Binding:
    """Values of all arguments in canonical axis order and SI units, and the extent of every dim."""

    values: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)  # weights that came from the seed
    missing: dict[str, str] = field(default_factory=dict)  # argument -> what to do about it
    stored: dict[str, tuple[Argument, Stored]] = field(default_factory=dict)  # data that came from files
    grid: frozenset[str] = frozenset()  # axes whose numbers of points `statement` says
    statement: Span | None = None


def bind(
    program: Program,
    reader: Reader,
    inputs: Mapping[str, str],
    weights: str | None,
    seed: int,
    arrays: Mapping[str, Any] = MappingProxyType({}),
) -> Binding:
    """Bind every argument: `arrays` in memory and `inputs` (name -> FILE[:KEY]) before the weights file, before the model's own
    value, before the seed."""
    binding = Binding(sizes=dict(program.sizes), grid=frozenset(program.coordinates), statement=program.statement)
    known = {a.called for a in program.arguments}
    unknown = [name for name in inputs if name not in known]
    if unknown:
        message = f"`--input {unknown[0]}`: the model has no such argument"
        raise CannotRun("E0104", message, notes=("it has " + (", ".join(sorted(known)) or "none"),))
    weight_arrays = dict(reader.arrays(weights)) if weights else {}
    _check_weight_names(program, weight_arrays, weights)
    pending: list[Argument] = []
    held = _by_argument(program, arrays)
    for argument in program.arguments:
        array = held.get(argument.name) or _from_file(argument, reader, inputs, weight_arrays, weights)
        if array is None:
            pending.append(argument)
        else:
            accept(argument, array, binding)
    memory.require(memory.data_bytes(program, binding.sizes), "the arrays of the model")
    _evaluate_defaults(pending, binding, seed)
    _inside_of_the_domain(program, binding)
    same_points(program, binding)
    return binding


def _inside_of_the_domain(program: Program, binding: Binding) -> None:
    """E0704 for a point outside of its coordinate's range, which may both depend on arguments."""
    for point in program.points:
        terms = [point.value, point.lo, point.hi]
        if binding.missing and not all(_inputs(t) <= set(binding.values) for t in terms):
            continue
        places, lo, hi = reference.evaluate(terms, binding.values, binding.sizes)
        slack = ROUNDING * abs(float(hi) - float(lo))
        outside = np.atleast_1d(places)[~((places >= lo - slack) & (places <= hi + slack)).reshape(np.atleast_1d(places).shape)]
        if outside.size:
            raise CannotRun(
                "E0704",
                f"`{point.text}` looks at {point.coordinate} = {quantity(float(outside[0]), program.units[point.coordinate])}, outside of the domain",
                point.span,
                label=f"`{point.coordinate}` goes from {quantity(float(lo), program.units[point.coordinate])} to {quantity(float(hi), program.units[point.coordinate])}",
            )


def bind_arrays(program: Program, arrays: Mapping[str, Any], seed: int) -> Binding:
    """Bind arrays held in memory (axes in declared order) by argument name, the rest as `bind` does without files."""
    held = _by_argument(program, arrays)
    binding = Binding(sizes=dict(program.sizes), grid=frozenset(program.coordinates), statement=program.statement)
    pending = []
    for argument in program.arguments:
        if argument.name in held:
            accept(argument, held[argument.name], binding)
        else:
            pending.append(argument)
    memory.require(memory.data_bytes(program, binding.sizes), "the arrays of the model")
    _evaluate_defaults(pending, binding, seed)
    return binding


def _by_argument(program: Program, arrays: Mapping[str, Any]) -> dict[str, Stored]:
    """Arrays held in memory by the argument they are for: called as in the model, or by the last part of that name."""
    found: dict[str, Stored] = {}
    used: set[str] = set()
    for argument in program.arguments:
        for name in argument.names:
            if name in arrays:
                found.setdefault(argument.name, in_memory(arrays[name], argument.called))
                used.add(name)
    extra = sorted(set(arrays) - used)
    if extra:
        known = ", ".join(sorted({a.called for a in program.arguments})) or "none"
        raise CannotRun("E0807", f"`{extra[0]}` is no argument of this model", notes=(f"it has {known}",))
    return found


def _check_weight_names(program: Program, arrays: Mapping[str, Array], path: str | None) -> None:
    names = {name for a in program.arguments if a.role == "weight" for name in a.names}
    extra = sorted(set(arrays) - names)
    if path and extra:
        cores = sorted(n for n in names if n.startswith(f"{extra[0]}."))
        notes = [f"it is structured: its cores are {', '.join(cores)}"] if cores else []
        notes += ["its weights are " + ", ".join(sorted(names))]
        raise CannotRun("E0807", f"`{path}` holds `{extra[0]}`, which is no weight of this model", notes=tuple(notes))


def _from_file(
    argument: Argument, reader: Reader, inputs: Mapping[str, str], weights: Mapping[str, Array], weights_path: str | None
) -> Stored | None:
    called, names = argument.called, argument.names
    if called in inputs:
        path, named = split_key(inputs[called])
        return reader.array(path, named, None, names)
    for key in names:
        if argument.role == "weight" and key in weights:
            return Stored(weights[key], str(weights_path))
    if argument.role == "weight" and weights_path and argument.value is None:
        raise CannotRun("E0807", f"`{weights_path}` has no array for the weight `{called}`")
    if isinstance(argument.value, Load):
        load = argument.value
        key_of_text = dict(load.keys).get("key")
        return reader.array(load.path, key_of_text if isinstance(key_of_text, str) else None, load.span, names)
    return None


def accept(argument: Argument, stored: Stored, binding: Binding) -> None:
    """Check shape and kind of data against the declaration, learn open sizes, convert to SI and canonical order."""
    type_ = argument.symbol.type
    order = argument.order or tuple(type_.axes)
    stored = _at_one_time(argument, stored, order)
    array = stored.values
    if stored.axes is not None and set(stored.axes) == set(order):  # axes go by their names
        array = np.transpose(array, [stored.axes.index(a) for a in order])
    elif stored.axes is not None and set(stored.axes) & set(order):
        raise CannotRun(
            "E0801",
            f"`{argument.called}` has the axes {', '.join(order)}, `{stored.file}` has {', '.join(stored.axes)}",
            stored.span or argument.span,
        )
    if array.ndim != len(order):
        needs = f"the axes {', '.join(order)}" if len(order) > 1 else f"the axis {order[0]}" if order else "no axes"
        gives = f"{stored.shape} numbers" if array.ndim else "a single number"
        raise CannotRun("E0801", f"`{argument.called}` has {needs}, `{stored.file}` gives {gives}", stored.span or argument.span)
    if array.dtype.kind == "c" and type_.kind is not Kind.COMPLEX:
        raise CannotRun(
            "E0801",
            f"`{argument.called}` is {type_.kind.name.lower()}, `{stored.file}` gives complex numbers",
            stored.span or argument.span,
        )
    for axis, extent in zip(order, array.shape, strict=True):
        _learn(argument, axis, type_.axes[axis], extent, stored, binding)
    values = array.astype(DTYPES[type_.kind])
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        entry = ", ".join(f"{a}={int(i)}" for a, i in zip(order, np.argwhere(~np.isfinite(values))[0], strict=True))
        where = f"the first at entry {entry}, counted from 0" if entry else ""
        raise CannotRun(
            "E0808", f"`{argument.called}` has a value that is not finite in `{stored.file}`", stored.span or argument.span, label=where
        )
    unit = _unit_of_data(argument, stored)
    if unit.factor != 1 or unit.offset:
        values = values * float(unit.factor) + float(unit.offset)
    binding.values[argument.name] = np.asarray(np.transpose(values, [order.index(a) for a in type_.axes]), order="C")
    binding.stored[argument.name] = (argument, stored)


def _unit_of_data(argument: Argument, stored: Stored) -> Unit:
    """The unit in which the numbers are: what the file says, or else the declared one. E0802 where the file says another quantity."""
    if stored.unit is None:
        return argument.unit
    if stored.unit.powers != argument.unit.powers:
        mine, its = (f"[{u.text or 1}]" for u in (argument.unit, stored.unit))
        raise CannotRun(
            "E0802", f"`{argument.called}` is {mine}, `{stored.file}` says that its numbers are {its}", stored.span or argument.span
        )
    return stored.unit


def _at_one_time(argument: Argument, stored: Stored, order: tuple[str, ...]) -> Stored:
    """Of a file with several times the one that `load(..., t=...)` names; it must say so unless there is only one."""
    chosen = dict(argument.value.keys).get("t") if isinstance(argument.value, Load) else None
    if stored.axes is None or stored.axes[0] != "t" or "t" in order:
        if isinstance(chosen, Fraction | float) or chosen == LAST:
            raise CannotRun(
                "E0801",
                f"`{stored.file}` does not say at which times its numbers are",
                stored.span or argument.span,
                label="leave `t=` out",
            )
        return stored
    times, unit = stored.points.get("t", (np.arange(stored.values.shape[0]), None))
    unit = unit or Unit()
    shown = [quantity(float(t) * unit.factor, unit) for t in times]
    if not shown:
        raise CannotRun("E0801", f"`{stored.file}` holds no time at all", stored.span or argument.span)
    if chosen is None and len(shown) > 1:
        help = instead(Span(stored.span.source, stored.span.end - 1, stored.span.end), f", t={LAST})") if stored.span else ""
        held = f"from {shown[0]} to {shown[-1]}"
        raise CannotRun("E0801", f"`{stored.file}` holds {len(shown)} times {held}: say which", stored.span or argument.span, help=help)
    k = len(shown) - 1
    if chosen is not None and chosen != LAST:
        found = np.flatnonzero(np.abs(np.asarray(times) * float(unit.factor) - float(chosen)) <= 1e-9 * max(abs(float(chosen)), 1e-300))
        if not found.size:
            held = ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]])
            message = f"`{stored.file}` holds nothing at t = {quantity(chosen, unit)}"
            raise CannotRun("E0801", message, stored.span or argument.span, label=f"its times are {held}")
        k = int(found[0])
    return replace(stored, values=stored.values[k], axes=stored.axes[1:])


def same_points(program: Program, binding: Binding) -> None:
    """E0801 for data whose file says that they are at other points than those of the model's grid."""
    units = program.units
    for argument, stored in binding.stored.values():
        for axis, (points, unit) in stored.points.items():
            if axis not in program.coordinates or stored.axes is None or axis not in stored.axes:
                continue
            mine = reference.evaluate([program.coordinates[axis]], binding.values, binding.sizes)[0]
            theirs = points * float((unit or units[axis]).factor)
            if unit is not None and unit.powers != units[axis].powers:
                raise CannotRun(
                    "E0802",
                    f"`{axis}` is [{units[axis].text or 1}], in `{stored.file}` it is [{unit.text or 1}]",
                    stored.span or argument.span,
                )
            size = max(float(np.ptp(mine)), float(np.ptp(theirs)), 1e-300) if mine.size else 1.0
            if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=0, atol=SAME_POINT * size):
                at, its = (f"{quantity(float(p[0]), units[axis])} to {quantity(float(p[-1]), units[axis])}" for p in (mine, theirs))
                message = f"`{argument.called}` is at {axis} = {its} in `{stored.file}`, the grid of the model at {at}"
                raise CannotRun("E0801", message, stored.span or argument.span)


def _empty(name: str, span: Span | None) -> str:
    """The declaration of a dim with size 0."""
    declared = [d for d in nodes(span.source, tree.DimDef) if d.name.id == name] if span is not None else []
    return instead(declared[0].span, f"{name} = 0") if declared else ""


def _learn(argument: Argument, axis: str, size: Any, extent: int, stored: Stored, binding: Binding) -> None:
    """Compare an extent with the declared size; an open dim takes it."""
    open_dims = [d for d in size.dims if d.name not in binding.sizes]
    if len(open_dims) == 1 and str(size) == open_dims[0].name:
        if not extent and open_dims[0].lower == 1:
            name = open_dims[0].name
            raise CannotRun("E0801", f"`{argument.called}` has no entry along `{axis}`", argument.span, help=_empty(name, argument.span))
        if extent < open_dims[0].lower:
            needed = f"the scheme needs {open_dims[0].lower}"
            raise CannotRun("E0506", f"`{argument.called}` gives {extent} points along `{axis}`: {needed}", stored.span or argument.span)
        binding.sizes[open_dims[0].name] = extent
        return
    if open_dims:
        message = f"the size of `{axis}` of `{argument.called}` is not known; `{stored.file}` gives {stored.shape} numbers"
        raise CannotRun("E0801", message, stored.span or argument.span)
    expected = size.evaluate(binding.sizes)
    if expected != extent:
        on_grid = extent > 1 and str(size) == axis and axis in binding.grid
        help = with_options(binding.statement, [("grid", f"{axis}={extent}")]) if on_grid else ""
        message = f"`{argument.called}` has {expected} along `{axis}`, `{stored.file}` gives {extent}"
        raise CannotRun("E0801", message, stored.span or argument.span, help=help)


def _evaluate_defaults(pending: Iterable[Argument], binding: Binding, seed: int) -> None:
    """Defaults may name other arguments: bound in dependence order; weights without data are drawn."""
    waiting = list(pending)
    while waiting:
        ready = [a for a in waiting if not isinstance(a.value, Term) or _inputs(a.value) <= set(binding.values)]
        if not ready:
            for argument in waiting:
                binding.missing[argument.name] = "depends on a value that is not given"
            return
        for argument in ready:
            waiting.remove(argument)
            _default(argument, binding, seed)


def _inputs(term: Term) -> set[str]:
    names = {name_of(t) for t in walk([term]) if t.op == "symbol"}
    return {name for name in names if not name.startswith("#")} - set(CONSTANTS)


def _default(argument: Argument, binding: Binding, seed: int) -> None:
    dims = {d.name for size in argument.symbol.axes.values() for d in size.dims}
    unknown = dims - set(binding.sizes)
    if isinstance(argument.value, Term):
        binding.values[argument.name] = reference.evaluate([argument.value], binding.values, binding.sizes)[0]
    elif argument.value is not None and not isinstance(argument.value, Load):
        binding.values[argument.name] = np.asarray(argument.value, DTYPES[argument.symbol.kind])
    elif argument.role == "weight" and not unknown:
        binding.values[argument.name] = draw(argument, binding.sizes, seed)
        binding.drawn.append(argument.name)
    elif unknown and argument.role == "weight":
        binding.missing[argument.name] = f"--set {sorted(unknown)[0]}=N"
    else:
        flag = "--input" if argument.symbol.axes else "--set"
        binding.missing[argument.name] = f"{flag} {argument.name}=..."


def draw(argument: Argument, sizes: Mapping[str, int], seed: int) -> Array:
    """Normal numbers with variance 1/fan, which is said or the product of all extents but the first declared.

    The same for a name and a seed everywhere.
    """
    order = argument.order or tuple(argument.symbol.axes)
    shape = [argument.symbol.axes[a].evaluate(dict(sizes)) for a in order]
    digest = np.frombuffer(argument.symbol.digest[:8], np.uint32)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *(int(d) for d in digest)])))
    scale = 1.0 / math.sqrt(argument.fan or max(1, math.prod(shape[1:])))
    values: Array = generator.standard_normal(shape) * scale
    if argument.symbol.kind is Kind.COMPLEX:
        values = (values + 1j * generator.standard_normal(shape) * scale) / math.sqrt(2.0)
    return np.asarray(np.transpose(values, [order.index(a) for a in argument.symbol.axes]), order="C")
