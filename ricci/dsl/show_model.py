"""A checked model as text: every name with its type and unit, every equation and condition as terms."""

from __future__ import annotations

from ricci.dsl.model import Load, Model, Unit
from ricci.dsl.show import show_function, show_term
from ricci.dsl.term import Term


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
    for e in model.equations:
        lines.append(f"  equation {e.name} determines {e.determines} (time order {e.time_order}): {show_term(e.residual)} = 0")
    lines += [f"  condition of {c.field} on {c.coordinate}.{c.side}: {show_term(c.residual)} = 0" for c in model.conditions]
    lines += [f"  initial {'dt ' * i.time_order}{i.field} = {_value(i.value)}" for i in model.initials]
    lines += [
        f"  event when {show_term(e.margin)} > 0: {', '.join(f'{n} = {show_term(t)}' for n, t in e.assignments)}" for e in model.events
    ]
    lines += [f"  let {q.label}[{', '.join(q.order)}] = {show_term(q.term)}" for q in model.lets.values()]
    for layer in model.layers.values():
        lines += ["  " + line for line in show_function(layer.function).splitlines()]
    lines += [f"  check {show_term(c.condition)}" for c in model.checks]
    lines += [f"  not run by this version: {u.what}" for u in model.unsupported]
    return "\n".join(lines)


def _unit(unit: Unit) -> str:
    return f" [{unit.text}]" if unit.text else ""


def _value(value: Term | Load) -> str:
    return f'load("{value.path}")' if isinstance(value, Load) else show_term(value)
