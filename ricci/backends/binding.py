"""Arguments of a program get their arrays: defaults, files, drawn weights; sizes that were open are read off the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ricci.backends.data import Reader, split_key
from ricci.dsl import reference
from ricci.dsl.model import Load
from ricci.dsl.ops.const import DTYPES
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.program import Argument, Program
from ricci.dsl.remedies import quantity
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind
from ricci.errors import CannotRun

Array = np.ndarray[Any, Any]
ROUNDING = 1e-12  # of a point, relative to the length of its coordinate


@dataclass
class Binding:
    """Values of all arguments in canonical axis order and SI units, and the extent of every dim."""

    values: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)  # weights that came from the seed
    missing: dict[str, str] = field(default_factory=dict)  # argument -> what to do about it
    coordinates: frozenset[str] = frozenset()  # axes that have a grid


def bind(program: Program, reader: Reader, inputs: Mapping[str, str], weights: str | None, seed: int) -> Binding:
    """Bind every argument: `inputs` (name -> FILE[:KEY]) before the weights file, before the model's own value, before the seed."""
    binding = Binding(sizes=dict(program.sizes), coordinates=frozenset(program.coordinates))
    known = {a.called for a in program.arguments}
    unknown = [name for name in inputs if name not in known]
    if unknown:
        message = f"`--input {unknown[0]}`: the model has no such argument"
        raise CannotRun("E0104", message, notes=("it has " + (", ".join(sorted(known)) or "none"),))
    weight_arrays = dict(reader.arrays(weights)) if weights else {}
    _check_weight_names(program, weight_arrays, weights)
    pending: list[Argument] = []
    for argument in program.arguments:
        array = _from_file(argument, reader, inputs, weight_arrays, weights)
        if array is None:
            pending.append(argument)
        else:
            _accept(argument, array, binding)
    _evaluate_defaults(pending, binding, seed)
    _inside_of_the_domain(program, binding)
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
                f"`{point.text}` looks at {point.coordinate} = {quantity(float(outside[0]), point.unit)}, outside of the domain",
                point.span,
                label=f"`{point.coordinate}` goes from {quantity(float(lo), point.unit)} to {quantity(float(hi), point.unit)}",
            )


def bind_arrays(program: Program, arrays: Mapping[str, Any], seed: int) -> Binding:
    """Bind arrays held in memory (axes in declared order) by argument name, the rest as `bind` does without files."""
    known = {name for a in program.arguments for name in (a.name, a.name.rpartition(".")[2])}
    extra = sorted(set(arrays) - known)
    if extra:
        raise CannotRun("E0807", f"`{extra[0]}` is no argument of this model", notes=("it has " + ", ".join(sorted(known)),))
    binding = Binding(sizes=dict(program.sizes), coordinates=frozenset(program.coordinates))
    pending = []
    for argument in program.arguments:
        given = arrays.get(argument.name, arrays.get(argument.name.rpartition(".")[2]))
        if given is None:
            pending.append(argument)
        else:
            _accept(argument, np.asarray(given), binding)
    _evaluate_defaults(pending, binding, seed)
    return binding


def _check_weight_names(program: Program, arrays: Mapping[str, Array], path: str | None) -> None:
    names = {a.name for a in program.arguments if a.role == "weight"} | {
        a.name.rpartition(".")[2] for a in program.arguments if a.role == "weight"
    }
    extra = sorted(set(arrays) - names)
    if path and extra:
        raise CannotRun(
            "E0807",
            f"`{path}` holds `{extra[0]}`, which is no weight of this model",
            notes=("its weights are " + ", ".join(sorted(names)),),
        )


def _from_file(
    argument: Argument, reader: Reader, inputs: Mapping[str, str], weights: Mapping[str, Array], weights_path: str | None
) -> Array | None:
    called = argument.called
    if called in inputs:
        path, named = split_key(inputs[called])
        return reader.array(path, _key(argument, named, reader.arrays(path)), None, lambda key: f"--input {called}={path}:{key}")
    for key in (called, called.rpartition(".")[2]):
        if argument.role == "weight" and key in weights:
            return weights[key]
    if argument.role == "weight" and weights_path and argument.value is None:
        raise CannotRun("E0807", f"`{weights_path}` has no array for the weight `{called}`")
    if isinstance(argument.value, Load):
        load = argument.value
        key_of_text = dict(load.keys).get("key")
        wanted = _key(argument, key_of_text if isinstance(key_of_text, str) else None, reader.arrays(load.path, load.span))
        return reader.array(load.path, wanted, load.span, lambda key: f'load("{load.path}", key="{key}")')
    return None


def _key(argument: Argument, named: str | None, arrays: Mapping[str, Array]) -> str | None:
    """Which array of a file is meant: the one that is named, else the one that has the argument's name."""
    candidates = (argument.called, argument.called.rpartition(".")[2])
    return named if named is not None else next((key for key in candidates if key in arrays), None)


def _accept(argument: Argument, array: Array, binding: Binding) -> None:
    """Check shape and kind of data against the declaration, learn open sizes, convert to SI and canonical order."""
    type_ = argument.symbol.type
    order = argument.order or tuple(type_.axes)
    if array.ndim != len(order):
        needs = f"needs {len(order)} axes [{', '.join(order)}]"
        raise CannotRun("E0801", f"`{argument.called}` {needs}, the file gives an array of shape {array.shape}", argument.span)
    if array.dtype.kind == "c" and type_.kind is not Kind.COMPLEX:
        raise CannotRun("E0801", f"`{argument.called}` is {type_.kind.name.lower()}, the file gives complex numbers", argument.span)
    for axis, extent in zip(order, array.shape, strict=True):
        _learn(argument, axis, type_.axes[axis], extent, array.shape, binding)
    values = array.astype(DTYPES[type_.kind])
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        where = f"the first is entry [{', '.join(map(str, first))}] of [{', '.join(order)}], counted from 0"
        message = f"`{argument.called}` has a value that is not finite"
        raise CannotRun("E0808", message, argument.span, notes=(where,) if first else ())
    if argument.unit.factor != 1 or argument.unit.offset:
        values = values * float(argument.unit.factor) + float(argument.unit.offset)
    binding.values[argument.name] = np.asarray(np.transpose(values, [order.index(a) for a in type_.axes]), order="C")


def _learn(argument: Argument, axis: str, size: Any, extent: int, shape: tuple[int, ...], binding: Binding) -> None:
    """Compare an extent with the declared size; an open dim takes it."""
    open_dims = [d for d in size.dims if d.name not in binding.sizes]
    if len(open_dims) == 1 and str(size) == open_dims[0].name:
        if not extent and open_dims[0].lower == 1:
            name = open_dims[0].name
            raise CannotRun("E0801", f"`{argument.called}` has no entry along `{axis}`", argument.span, help=f"dim {name} = 0")
        if extent < open_dims[0].lower:
            needed = f"the scheme needs {open_dims[0].lower}"
            raise CannotRun("E0506", f"`{argument.called}` gives {extent} points along `{axis}`: {needed}", argument.span)
        binding.sizes[open_dims[0].name] = extent
        return
    if open_dims:
        given = (f"the file gives shape {shape}",)
        raise CannotRun("E0801", f"the size of `{axis}` of `{argument.called}` is not known", argument.span, notes=given)
    expected = size.evaluate(binding.sizes)
    if expected != extent:
        raise CannotRun(
            "E0801",
            f"`{argument.called}` has {extent} along `{axis}`, the model has {expected}",
            argument.span,
            notes=(f"the file gives shape {shape}",),
            help=f"ricci run --set grid.{axis}={extent} ..." if axis in binding.coordinates else "",
        )


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
    """Normal numbers with variance 1/fan_in, fan_in = product of all extents but the first declared.

    The same for a name and a seed everywhere.
    """
    order = argument.order or tuple(argument.symbol.axes)
    shape = [argument.symbol.axes[a].evaluate(dict(sizes)) for a in order]
    digest = np.frombuffer(argument.symbol.digest[:8], np.uint32)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *(int(d) for d in digest)])))
    scale = 1.0 / math.sqrt(max(1, math.prod(shape[1:])))
    values: Array = generator.standard_normal(shape) * scale
    if argument.symbol.kind is Kind.COMPLEX:
        values = (values + 1j * generator.standard_normal(shape) * scale) / math.sqrt(2.0)
    return np.asarray(np.transpose(values, [order.index(a) for a in argument.symbol.axes]), order="C")
