"""A plan as text: slots with their memory, then the steps in order."""

from __future__ import annotations

from collections.abc import Sequence

from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term
from ricci.dsl.types import Size
from ricci.lowering.schedule.plan import (
    Assign,
    Call,
    Launch,
    Nest,
    Place,
    Plan,
    Put,
    Rebind,
    Repeat,
    Routine,
    Slot,
    Step,
    Swap,
    Table,
    While,
    Window,
)


def show_plan(plan: Plan) -> str:
    """Slots, inputs, steps and results, one a line."""
    out = [f"plan of {plan.function.name}"]
    out += [f"  {_slot(slot)}" for slot in plan.slots]
    out += [f"  input {name}: {_target(target)}" for name, target in plan.inputs.items() if isinstance(target, Place)]
    out += _steps(plan.steps, 1)
    out += [f"  result {name}: {_target(target)}" for name, target in plan.results.items()]
    return "\n".join(out)


def _slot(slot: Slot) -> str:
    parts = []
    for n, before, after in zip(slot.extents, slot.before, slot.after, strict=True):
        ghosts = f" (+{before} before, +{after} after)" if before != 0 or after != 0 else ""
        parts.append(f"{n}{ghosts}")
    where = f", slice of {slot.within.name}" if slot.within else ", dense" if slot.dense else ""
    return f"{slot.role} {slot.name}: {slot.kind}[{', '.join(parts)}]{where}"


def _target(target: Place | Term) -> str:
    if not isinstance(target, Place):
        return str(target)
    shifts = [axis + ("" if o == 0 else f" + {o}") if axis else str(o) for axis, o in zip(target.axes, target.offsets, strict=True)]
    return f"{target.slot.name}[{', '.join(shifts)}]"


def _steps(steps: Sequence[Step], depth: int) -> list[str]:
    out: list[str] = []
    space = "  " * depth
    for step in steps:
        if isinstance(step, Launch):
            out += [space + line for line in _nest(step.nest)]
        elif isinstance(step, While):
            out.append(f"{space}while:")
            out += _steps(step.head, depth + 1)
            out.append(f"{space}  stop unless {name_of(step.condition)}")
            out += _steps(step.body, depth + 1)
        elif isinstance(step, Repeat):
            order = " downwards" if step.reverse else ""
            out.append(f"{space}for {name_of(step.counter)} in 0..{step.count}{order}:")
            out += _steps(step.body, depth + 1)
        else:
            out.append(space + _simple(step))
    return out


def _simple(step: Assign | Swap | Rebind | Window | Put | Routine | Call) -> str:
    if isinstance(step, Assign):
        return f"{name_of(step.target)} = {step.value}"
    if isinstance(step, Rebind):
        return f"{', '.join(map(name_of, step.targets))} = {', '.join(map(str, step.values))}"
    if isinstance(step, Swap):
        condition = "" if step.condition is None else f" if {name_of(step.condition)}"
        return f"swap {step.left.name}, {step.right.name}{condition}"
    if isinstance(step, Window):
        return f"{step.slot.name} := slice {_position(step.counter, step.shift)} of {step.slot.within.name if step.slot.within else ''}"
    if isinstance(step, Put):
        return f"{step.slot.name}[{_position(step.counter, step.shift)}] = {step.value}"
    if isinstance(step, Routine):
        texts = [a.slot.name if isinstance(a, Table) else str(a) for a in step.arguments]
        return f"{step.function}({', '.join(texts)})"
    results = ", ".join(map(_target, step.results))
    return f"{results} = {step.routine}({', '.join(map(_target, step.arguments))}) in a library"


def _position(counter: Term | None, shift: Size) -> str:
    return str(shift) if counter is None else name_of(counter) if shift == 0 else f"{name_of(counter)} + {shift}"


def _nest(nest: Nest) -> list[str]:
    shared = f", {nest.shared} shared by threads" if nest.shared else ""
    cuts = "".join(f", {axis} cut at {', '.join(map(str, found))}" for axis, found in nest.cuts.items() if found)
    out = [f"nest {nest.name}{shared}{cuts}:"]
    for one in nest.passes:
        loops = ", ".join(f"{a} < {one.sizes[a]}" + (" in vectors" if a == one.vector else "") for a in one.order)
        out.append(f"  loops {loops}:")
        for m in one.members:
            target = _target(m.place) if m.place else name_of(m.target)
            what = {"store": "=", "copy": "= copy of", "zero": "= 0, for", "add": "+="}.get(
                m.how, f"= {m.operation} over {', '.join(m.bound)} of"
            )
            out.append(f"    {target} {what} {m.term}")
    return out
