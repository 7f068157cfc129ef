"""A checked model as text: every name with its type and unit, every equation and condition as terms."""

from __future__ import annotations

from ricci.dsl.model import Layer, Load, Model, Structured, Unit
from ricci.dsl.show import show_function, show_term
from ricci.dsl.term import Term
from ricci.dsl.types import Size


def show_model(model: Model) -> str:
    """Domains, fields, params, equations with what they determine, conditions, initial values, definitions, checks."""
    lines = [f"model {model.name}"]
    for domain in model.domains.values():
        axes = (f"{c.name} in {c.lo!r}..{c.hi!r}{' periodic' if c.periodic else ''}{_unit(c.unit)}" for c in domain.coordinates)
        lines.append(f"  domain {domain.name}: {', '.join(axes)}")
    lines += [f"  field {f.name}: {f.symbol.type}{_unit(f.unit)}" for f in model.fields.values()]
    for p in model.params.values():
        value = "" if p.value is None else f" = {_value(p.value)}"
        lines.append(f"  param {p.name}: {p.symbol.type}{_unit(p.unit)}{value}")
    lines += [f"  tensor {w.name}: {w.symbol.type}" for w in model.tensors.values()]
    lines += [f"  structured {counted(s)}" for s in model.structured.values()]
    for e in model.equations:
        lines.append(f"  equation {e.name} determines {e.determines} (time order {e.time_order}): {show_term(e.residual)} = 0")
    lines += [f"  condition of {c.field} on {c.coordinate}.{c.side}: {show_term(c.residual)} = 0" for c in model.conditions]
    lines += [f"  initial {'dt ' * i.time_order}{i.field} = {_value(i.value)}" for i in model.initials]
    lines += [
        f"  event when {show_term(e.margin)} > 0: {', '.join(f'{n} = {show_term(t)}' for n, t in e.assignments)}" for e in model.events
    ]
    lines += [f"  let {q.label}[{', '.join(q.order)}] = {show_term(q.term)}" for q in model.lets.values()]
    for layer in model.layers.values():
        lines += [f"  structured {counted(s)}" for s in layer.structured]
        lines += ["  " + line for line in show_function(layer.function).splitlines()]
    lines += [f"  check {show_term(c.condition)}" for c in model.checks]
    lines += [f"  not run by this version: {u.what}" for u in model.unsupported]
    return "\n".join(lines)


def counted(s: Structured) -> str:
    """A structured weight with its counts: `L.W[h, d] @lowrank(rank=2): 24 of 32 numbers, 48 of 64 operations on one vector`."""
    own, dense = s.structure, s.structure.matrix
    numbers = f"{own.parameters:,} of {dense.parameters:,} numbers, {own.flops:,} of {dense.flops:,} operations on one vector"
    return f"{s.name}[{', '.join(s.order)}] {own}: {numbers}"


def parameters(layer: Layer) -> tuple[Size, Size]:
    """How many numbers the weights of a layer have, and how many they would have as dense arrays."""
    cores = {core.name for s in layer.structured for core in s.cores}
    plain, structured = Size.of(0), Size.of(0)
    for weight in layer.weights:
        number = Size.of(1)
        for size in weight.symbol.axes.values():
            number = number * size
        structured += number
        plain += number if weight.name not in cores else 0
    return structured, plain + sum(s.structure.matrix.parameters for s in layer.structured)


def _unit(unit: Unit) -> str:
    return f" [{unit.text}]" if unit.text else ""


def _value(value: Term | Load) -> str:
    return f'load("{value.path}")' if isinstance(value, Load) else show_term(value)
