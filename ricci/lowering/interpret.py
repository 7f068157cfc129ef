"""The meaning of a `Plan`: its steps one after another on one thread, kernels by their own interpreter. Slow, for tests and bisecting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ricci.dsl import reference
from ricci.dsl.ops import OPERATORS
from ricci.dsl.ops.base import Environment
from ricci.dsl.ops.const import DTYPES
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.errors import CannotLower
from ricci.lowering.kernel import Interpreter, Kernel, Load, Memory, check, interpret
from ricci.lowering.loops import lower_launch
from ricci.lowering.schedule import products
from ricci.lowering.schedule.plan import (
    Assign,
    Call,
    Launch,
    Place,
    Plan,
    Put,
    Rebind,
    Repeat,
    Step,
    Swap,
    While,
    Window,
    steps_of,
)
from ricci.lowering.schedule.storage import Storage, allocate, needs_of

# What memory holds before anything is written to it: a plan that reads it gives no number that looks right.
UNWRITTEN = {Kind.BOOL: True, Kind.INT: -(2**40) - 1, Kind.REAL: np.nan, Kind.COMPLEX: complex(np.nan, np.nan)}


def run_plan(plan: Plan, arguments: Mapping[str, Any], dims: Mapping[str, int]) -> dict[str, Any]:
    """Results by name, arrays in canonical axis order."""
    kernels = {id(step): lower_launch(plan, step) for step in steps_of(plan.steps) if isinstance(step, Launch)}
    for kernel in kernels.values():
        check(kernel)
    dims = plan.complete(dims)
    machine = _Machine(plan, kernels, dims, allocate(needs_of(plan, touched(plan, kernels)), dims))
    for name, target in plan.inputs.items():
        machine.put(target, np.asarray(arguments[name]))
    machine.block(plan.steps)
    return {name: machine.get(target, dict(plan.function.results)[name]) for name, target in plan.results.items()}


def touched(plan: Plan, kernels: Mapping[int, Kernel]) -> dict[int, list[str]]:
    """Names of the slots that launches and assignments touch, by identity of the step."""
    found = {k: [a.name for a in kernel.arrays] for k, kernel in kernels.items()}
    for step in steps_of(plan.steps):
        if isinstance(step, Assign):
            found[id(step)] = [leaf.array for leaf in step.leaves.values() if isinstance(leaf, Load)]
    return found


@dataclass
class _Machine:
    plan: Plan
    kernels: Mapping[int, Kernel]
    dims: Mapping[str, int]
    storage: Storage
    scalars: dict[Term, Any] = field(default_factory=dict)
    arenas: dict[Any, Any] = field(default_factory=dict)
    address: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.arenas = {kind: np.full(n, UNWRITTEN[kind], DTYPES[kind]) for kind, n in self.storage.lengths.items()}
        self.address = dict(self.storage.address)

    def view(self, place: Place, term: Term | None) -> Any:
        slot = place.slot
        strides = self.storage.layouts[slot.name].strides
        extents = dict(term.axes) if term is not None else dict(zip(place.axes, slot.extents, strict=True))
        arena = self.arenas[slot.kind]
        start = self.address[slot.name] + sum(o.evaluate(self.dims) * s for o, s in zip(place.offsets, strides, strict=True))
        order = sorted(range(len(place.axes)), key=lambda d: place.axes[d])
        shape = [extents[place.axes[d]].evaluate(self.dims) for d in order]
        return np.lib.stride_tricks.as_strided(arena[start:], shape, [strides[d] * arena.itemsize for d in order])

    def put(self, target: Place | Term, value: Any) -> None:
        if isinstance(target, Place):
            if target.slot.name in self.storage.used:
                self.view(target, None)[...] = value
        else:
            self.scalars[target] = value[()] if hasattr(value, "shape") else value

    def get(self, target: Place | Term, term: Term | None) -> Any:
        if isinstance(target, Place):
            return np.array(self.view(target, term))
        return self.scalars[target] if target in self.scalars else self.value(target)

    def value(self, term: Term, found: Mapping[str, Any] | None = None) -> Any:
        known = {name_of(s): v for s, v in self.scalars.items()}
        return reference.evaluate([term], {**known, **(found or {})}, self.dims)[0][()]

    # steps

    def block(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        if isinstance(step, Launch):
            self.launch(step)
        elif isinstance(step, Assign):
            self.scalars[step.target] = self.value(step.value, self.elements(step))
        elif isinstance(step, Rebind):
            values = [self.value(v) for v in step.values]
            self.scalars.update(zip(step.targets, values, strict=True))
        elif isinstance(step, Swap):
            if step.condition is None or self.value(step.condition):
                a, b = step.left.name, step.right.name
                self.address[a], self.address[b] = self.address[b], self.address[a]
        elif isinstance(step, Put):
            self.arenas[step.slot.kind][self.address[step.slot.name] + self.position(step)] = self.value(step.value)
        elif isinstance(step, Window):
            assert step.slot.within is not None
            whole = step.slot.within.name
            self.address[step.slot.name] = self.address[whole] + self.position(step) * self.storage.layouts[whole].strides[0]
        elif isinstance(step, Call):
            self.call(step)
        elif isinstance(step, (While, Repeat)):
            self.loop(step)
        else:
            raise CannotLower("E0601", f"`{step.function}` is not interpreted")

    def loop(self, step: While | Repeat) -> None:
        if isinstance(step, Repeat):
            count = step.count.evaluate(self.dims)
            for k in reversed(range(count)) if step.reverse else range(count):
                self.scalars[step.counter] = k
                self.block(step.body)
            return
        while True:
            self.block(step.head)
            if not self.value(step.condition):
                return
            self.block(step.body)

    def launch(self, step: Launch) -> None:
        kernel = self.kernels[id(step)]
        arrays = {}
        for a in kernel.arrays:
            arrays[a.name] = Memory(self.arenas[a.kind], self.address[a.name], self.storage.layouts[a.name].strides)
        scalars = {name_of(s): self.value(s) for s in kernel.scalars}
        end = kernel.extent.evaluate(self.dims)
        for (total, _), value in zip(kernel.totals, interpret(kernel, arrays, scalars, self.dims, 0, end), strict=True):
            self.scalars[total] = value

    def elements(self, step: Assign) -> dict[str, Any]:
        """Elements of arrays that a scalar value reads, and its index values and conditions."""
        pseudo = Kernel("", (), (), (), step.leaves, step.computed)
        slots = {s.name: s for s in self.plan.slots}
        memory = {}
        for leaf in step.leaves.values():
            if isinstance(leaf, Load):
                slot = slots[leaf.array]
                memory[leaf.array] = Memory(self.arenas[slot.kind], self.address[leaf.array], self.storage.layouts[leaf.array].strides)
        known = {name_of(s): v for s, v in self.scalars.items()}
        inner = Interpreter(pseudo, memory, known, self.dims, 0, 0)
        return {name_of(s): inner.symbol(s) for s in step.leaves}

    def position(self, step: Window | Put) -> int:
        shift = step.shift.evaluate(self.dims)
        return shift + (0 if step.counter is None else int(self.scalars[step.counter]))

    def call(self, step: Call) -> None:
        values = [np.asarray(self.get(a, t)) for a, t in zip(step.arguments, step.term.args, strict=True)]
        if step.term.op == "product":
            self.put(step.results[0], products.evaluate(step.term, values))
            return
        result = OPERATORS[step.term.op].meaning(step.term, values, Environment({}, self.dims))
        for target, value in zip(step.results, result if isinstance(result, tuple) else (result,), strict=True):
            self.put(target, np.asarray(value))
