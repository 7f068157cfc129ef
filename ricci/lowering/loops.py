"""A nest becomes a `Kernel`: regions between cuts become loops whose bodies have their guards decided by the loop bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ricci.dsl import build
from ricci.dsl.index import Guard, Index, Ranges
from ricci.dsl.term import Term
from ricci.dsl.types import Size, Type
from ricci.lowering import kernel
from ricci.lowering.kernel import Array, Kernel, Leaf, Load, Statement
from ricci.lowering.schedule.alias import segments
from ricci.lowering.schedule.decide import body_points
from ricci.lowering.schedule.plan import Launch, Member, Nest, Pass, Plan, Slot, steps_of
from ricci.lowering.schedule.pull import Point, Scalars, combine


@dataclass
class _Body:
    """What the statements of a nest collect."""

    builder: Callable[[Ranges, dict[str, Size]], Scalars]
    leaves: dict[Term, Leaf] = field(default_factory=dict)
    computed: dict[str, Term] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    regions: int = 0


def lower_nest(nest: Nest, builder: Callable[[Ranges, dict[str, Size]], Scalars], slots: dict[str, Slot]) -> Kernel:
    """The kernel of a nest. `builder` makes scalar expressions over loops with given ranges; `slots` by name."""
    body = _Body(builder)
    totals = tuple((m.target, m.operation) for one in nest.passes for m in one.members if m.how == "total")
    statements: list[Statement] = [kernel.Begin(total, operation) for total, operation in totals]
    if nest.common:
        statements += _common(nest, body, 0, {}, {})
    else:
        for one in nest.passes:
            statements += _loops(nest, one, body, 0, {}, {})
    statements += [kernel.End(total) for total, _ in totals]
    return _assemble(nest, statements, totals, body, slots)


def _common(nest: Nest, body: _Body, depth: int, at: dict[str, Index], ranges: dict[str, tuple[Size, Size]]) -> list[Statement]:
    """Loops that all passes share, then each pass inside."""
    if depth == len(nest.common):
        return [s for one in nest.passes for s in _loops(nest, one, body, depth, at, ranges)]
    axis = nest.common[depth]
    size = nest.passes[0].sizes[axis]
    out: list[Statement] = []
    for lo, hi in segments(nest.cuts.get(axis, ()), size):
        inside = _common(nest, body, depth + 1, {**at, axis: _index(axis, lo, hi)}, {**ranges, axis: (lo, hi - 1)})
        if inside:
            out.append(kernel.Loop(axis, lo, hi, tuple(inside)))
    return out


def _index(axis: str, lo: Size, hi: Size) -> Index:
    """The index value in a region: a constant in a region of one point."""
    return Index.of(lo) if (hi - lo) == 1 else Index.axis(axis)


def _loops(nest: Nest, one: Pass, body: _Body, depth: int, at: dict[str, Index], ranges: dict[str, tuple[Size, Size]]) -> list[Statement]:
    """Loops of one pass from `depth` inwards; accumulators of partial sums around the loops over their bound axes."""
    if depth == len(one.order):
        return _turn(one, body, at, ranges)
    axis = one.order[depth]
    starting = [m for m in one.members if m.how == "partial" and axis in m.bound and not any(a in m.bound for a in one.order[:depth])]
    out: list[Statement] = [kernel.Begin(_accumulator(m), m.operation) for m in starting]
    for lo, hi in segments(nest.cuts.get(axis, ()), one.sizes[axis]):
        inside = _loops(nest, one, body, depth + 1, {**at, axis: _index(axis, lo, hi)}, {**ranges, axis: (lo, hi - 1)})
        if inside:
            out.append(kernel.Loop(axis, lo, hi, tuple(inside), vector=axis == one.vector))
    for m in starting:
        assert m.place is not None
        out.append(kernel.End(_accumulator(m)))
        index = m.place.index({a: at[a] for a in m.term.axes})
        out.append(kernel.Store(m.place.slot.name, index, _accumulator(m)))
        body.slots[m.place.slot.name] = m.place.slot
    return out


def _accumulator(member: Member) -> Term:
    """The accumulator of a partial sum."""
    assert member.place is not None
    return build.symbol(f"total {member.place.slot.name}", _scalar_type(member.term))


def _scalar_type(term: Term) -> Type:
    return Type(term.kind)


def _turn(one: Pass, body: _Body, at: dict[str, Index], ranges: dict[str, tuple[Size, Size]]) -> list[Statement]:
    """Statements of one turn of the innermost loop of a pass in one region."""
    out: list[Statement] = []
    scalars = body.builder(Ranges(ranges.items()), dict(one.sizes))
    scalars.puller.tag = body.regions = body.regions + 1
    for member in one.members:
        points = [Point(p.term, tuple(e.substitute(at) for e in p.index), p.guards) for p in body_points(member.term)]
        if member.how in ("store", "copy"):
            out += _store(member, Point(member.term, tuple(at[a] for a in member.term.axes)), scalars, body, at)
        elif member.how == "zero":
            assert member.place is not None
            index = member.place.index({a: at[a] for a in member.term.axes})
            out.append(kernel.Store(member.place.slot.name, index, build.const(0, member.term.kind)))
        elif member.how == "add":
            out += _add(member, points, scalars, body, at)
        else:
            args = [scalars.value(p) for p in points]
            value = args[0] if member.term.op == "reduce" else build.cast(combine(member.term, args), member.term.kind)
            total = member.target if member.how == "total" else _accumulator(member)
            out.append(kernel.Fold(total, value))
    body.leaves.update(scalars.leaves)
    body.computed.update(scalars.computed)
    return out


def _store(member: Member, root: Point, scalars: Scalars, body: _Body, at: dict[str, Index]) -> list[Statement]:
    """Compute, name and store one value; nothing where the place already holds it."""
    place = member.place
    assert place is not None
    index = place.index({a: at[a] for a in member.term.axes})
    value = scalars.value(root) if member.how == "copy" else scalars.own_value(root)
    leaf = scalars.leaves.get(value)
    if isinstance(leaf, Load) and leaf.array == place.slot.name and leaf.index == index and not leaf.guards:
        return []
    body.slots[place.slot.name] = place.slot
    name = build.symbol(f"new {place.slot.name}[{', '.join(map(str, index))}]", _scalar_type(member.term))
    scalars.forward(place.slot.name, index, name)
    return [kernel.Let(name, value), kernel.Store(place.slot.name, index, name)]


def _add(member: Member, points: Sequence[Point], scalars: Scalars, body: _Body, at: dict[str, Index]) -> list[Statement]:
    """place[.., position, ..] += value."""
    place = member.place
    assert place is not None
    value, position = (scalars.value(p) for p in points)
    name = f"@{place.slot.name}.{body.regions}"
    scalars.computed[name] = position
    index = place.index({**at, member.axis: Index.axis(name)})
    body.slots[place.slot.name] = place.slot
    inside = Guard(0, Index.axis(name), member.term.axes[member.axis])
    return [kernel.Add(place.slot.name, index, value, (inside,))]


def _assemble(nest: Nest, statements: list[Statement], totals: tuple[tuple[Term, str], ...], body: _Body, slots: dict[str, Slot]) -> Kernel:
    """Arrays, scalars and leaves that the statements really use."""
    roots = [*kernel.values(statements), *body.computed.values()]
    used = kernel.symbols(roots)
    leaves = {s: body.leaves[s] for s in used if s in body.leaves}
    named = {s.name for s in kernel.statements(statements) if isinstance(s, kernel.Let)}
    named |= {s.total for s in kernel.statements(statements) if isinstance(s, kernel.Begin)}
    scalars = tuple(s for s in used if s not in leaves and s not in named)
    written = [s.array for s in kernel.statements(statements) if isinstance(s, (kernel.Store, kernel.Add))]
    read = [leaf.array for leaf in leaves.values() if isinstance(leaf, Load)]
    arrays = tuple(Array(name, slots[name].kind, slots[name].rank) for name in dict.fromkeys([*read, *written]))
    lo, extent = _shared_range(nest, statements)
    return Kernel(nest.name, arrays, scalars, tuple(statements), leaves, dict(body.computed), totals, nest.shared, extent, lo, nest.notes)


def _shared_range(nest: Nest, statements: Sequence[Statement]) -> tuple[Size, Size]:
    """Start and extent of the shared axis (its whole size: slabs of one axis agree between nests)."""
    if nest.shared is None:
        return Size.of(0), Size.of(1)
    return Size.of(0), next(one.sizes[nest.shared] for one in nest.passes if nest.shared in one.sizes)


def lower(plan: Plan) -> list[Kernel]:
    """The kernels of a plan, in the order of its launches."""
    return [lower_launch(plan, step) for step in steps_of(plan.steps) if isinstance(step, Launch)]


def lower_launch(plan: Plan, launch: Launch) -> Kernel:
    """The kernel of one launch."""
    block = plan.makers[id(launch.nest)]
    return lower_nest(launch.nest, block.scalars_for, {slot.name: slot for slot in plan.slots})
