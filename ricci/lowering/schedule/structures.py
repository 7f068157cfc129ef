"""How loops and calls become steps: one function per operator, and the table of them.

Arrays that a loop carries live in two slots that are swapped, so a step that is rejected costs nothing: a carry that becomes
`where(accepted, candidate, carry)` is a swap under the condition `accepted`. Scalars are variables. A recurrence over an axis
writes into slices of the stacked result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ricci.dsl import build
from ricci.dsl.index import Index
from ricci.dsl.ops import contract
from ricci.dsl.term import Function, Term, walk
from ricci.dsl.types import Kind, Size, TupleType, Type
from ricci.errors import CannotLower
from ricci.lowering.kernel import Load
from ricci.lowering.schedule import decide
from ricci.lowering.schedule.block import Block
from ricci.lowering.schedule.dense import lower_factor_dense, lower_solve_dense
from ricci.lowering.schedule.diagonal import lower_diagonalize, lower_solve_diagonal
from ricci.lowering.schedule.plan import Assign, Call, Launch, Place, Put, Rebind, Repeat, Slot, Step, Swap, While, Window
from ricci.lowering.schedule.solve import lower_factor, lower_solve_factored

ZERO = Size.of(0)


def lower_iterate(block: Block, term: Term) -> list[Step]:
    """c := body(c, constants) while cond(c, constants)."""
    body, cond, count = term.attrs
    inits, consts = term.args[:count], term.args[count:]
    loop = _Carries(block, term, body.params[:count])
    steps = loop.start(inits)
    counter = block.shop.scalar("steps", Kind.INT)
    steps.append(Rebind((counter,), (build.const(0),)))
    constants = _bindings(block, body.params[count:], consts)
    head = loop.inner({p: constants[q] for p, q in zip(cond.params[count:], body.params[count:], strict=True)}, cond.params)
    head_steps = head.schedule([cond.roots[0]])
    condition = _variable(head, cond.roots[0], head_steps)
    inside = loop.inner(constants, body.params)
    body_steps = loop.advance(inside, body)
    body_steps.append(Rebind((counter,), (build.add(counter, build.const(1)),)))
    steps.append(While(head_steps, condition, body_steps))
    loop.finish(term)
    block.known[build.proj(term, count)] = counter
    return steps


def _variable(block: Block, root: Term, steps: list[Step]) -> Term:
    """The variable of a scalar result; a constant gets one."""
    value = block.known.get(root, root)
    if value.op == "symbol":
        return value
    target = block.shop.scalar("condition", root.kind)
    steps.append(Assign(target, value))
    return target


Binding = Place | Term


def _bindings(block: Block, params: Sequence[Term], args: Sequence[Term]) -> dict[Term, Binding]:
    """Places of array arguments and variables of scalar ones, by parameter."""
    return {p: block.places[a] if p.axes else block.known.get(a, a) for p, a in zip(params, args, strict=True)}


@dataclass
class _Carries:
    """What an iteration carries: per parameter a variable, or a slot with a second one for the next value."""

    block: Block
    term: Term
    params: Sequence[Term]
    variables: dict[int, Term] = field(default_factory=dict)
    slots: dict[int, Slot] = field(default_factory=dict)

    def start(self, inits: Sequence[Term]) -> list[Step]:
        """Give every carry its first value."""
        shop = self.block.shop
        steps: list[Step] = []
        targets: list[Term] = []
        values: list[Term] = []
        for k, (param, init) in enumerate(zip(self.params, inits, strict=True)):
            title = self.block.title_of_component(self.term, k, init)
            if not param.axes:
                self.variables[k] = shop.scalar(title, param.kind)
                targets.append(self.variables[k])
                values.append(self.block.known.get(init, init))
                continue
            own = self.block.take(init, self.term)
            if own is not None:
                self.slots[k] = own
                shop.aliases.release(own)
                continue
            self.slots[k] = shop.slot(title, param.kind, param.axes.values(), role="carry")
            steps.append(Launch(self.block.copy_nest(init, shop.place(init, self.slots[k]))))
        if targets:
            steps.append(Rebind(tuple(targets), tuple(values)))
        return steps

    def inner(self, constants: dict[Term, Binding], params: Sequence[Term]) -> Block:
        """A block over the carries and constants, under the names of `params`."""
        shop = self.block.shop
        places = {p: shop.place(p, self.slots[k]) for k, p in enumerate(params) if k in self.slots}
        known: dict[Term, Term] = {p: self.variables[k] for k, p in enumerate(params) if k in self.variables}
        for p, value in constants.items():
            if isinstance(value, Place):
                places[p] = value
            else:
                known[p] = value
        return Block(shop, places, known, self.block.structures, inside_loop=True)

    def advance(self, inside: Block, body: Function) -> list[Step]:
        """Steps of one turn: next values, then swaps and new scalars.

        A carry that becomes what another one was (the time level before) takes over its array.
        """
        params = body.params[: len(self.params)]
        moves = {k: _candidate(body.roots[k], param) for k, param in enumerate(params) if k in self.slots and body.roots[k] is not param}
        moves = {k: (candidate, condition) for k, (candidate, condition) in moves.items() if candidate is not params[k]}
        taken = self._taken_over(params, moves)
        over = {j: k for k, j in taken.items() if moves[k][1] is None and _only_pointwise(params[k], moves[j][0], body)}
        copies: list[tuple[Term, Slot]] = []
        roots: list[Term] = []
        partner: dict[int, Slot] = {}
        for k, (candidate, condition) in moves.items():
            if k not in taken:
                candidate = build.conform(candidate, params[k].type)
                partner[k] = self.slots[over[k]] if k in over else self._second(k, params[k], inside)
                if decide.is_leaf(candidate) or candidate in inside.targets:
                    copies.append((candidate, partner[k]))
                else:
                    inside.targets[candidate] = partner[k]
                roots.append(candidate)
            roots += [] if condition is None else [condition]
        roots += [body.roots[k] for k in self.variables if body.roots[k] is not params[k]]
        steps = inside.schedule(list(dict.fromkeys(roots)))
        steps += [Launch(inside.copy_nest(t, inside.shop.place(t, slot))) for t, slot in copies]
        for k, owner in taken.items():
            partner[k] = partner[owner]
            self.block.shop.join(self.slots[k], self.slots[owner])
        for k in (*(k for k in moves if k not in taken), *(k for k in taken if k not in over.values())):
            condition = moves[k][1]
            chosen = None if condition is None else _variable(inside, condition, steps)
            steps.append(Swap(self.slots[k], partner[k], chosen))
        moved = [k for k in self.variables if body.roots[k] is not params[k]]
        if moved:
            values = tuple(inside.known.get(body.roots[k], body.roots[k]) for k in moved)
            steps.append(Rebind(tuple(self.variables[k] for k in moved), values))
        return steps

    def _second(self, k: int, param: Term, inside: Block) -> Slot:
        """A second array of a carry, for its next values."""
        return inside.shop.slot(f"{self.slots[k].name}_next", param.kind, param.axes.values(), "carry", self.slots[k])

    def _taken_over(self, params: Sequence[Term], moves: Mapping[int, tuple[Term, Term | None]]) -> dict[int, int]:
        """Carries that become what others were, each with the one whose second array then holds that; in the order of the exchanges."""
        holder = {j: j for j, (candidate, _) in moves.items() if candidate not in params}
        taken: dict[int, int] = {}
        while True:
            found = next(
                (
                    (k, j)
                    for k, (candidate, condition) in moves.items()
                    for j in holder
                    if k not in taken and candidate is params[j] and condition is moves[holder[j]][1] and self._alike(k, j)
                ),
                None,
            )
            if found is None:
                return taken
            k, j = found
            taken[k] = holder[k] = holder.pop(j)

    def _alike(self, k: int, j: int) -> bool:
        """Whether two carries may exchange their arrays."""
        one, other = self.slots[k], self.slots[j]
        return one.kind == other.kind and one.extents == other.extents and one.dense == other.dense

    def finish(self, term: Term) -> None:
        """The last carries are the components of the loop."""
        for k, param in enumerate(self.params):
            component = build.proj(term, k)
            if k in self.variables:
                self.block.known[component] = self.variables[k]
            else:
                self.block.places[component] = self.block.shop.place(param, self.slots[k])
                self.block.shop.aliases.release(self.slots[k])


def _only_pointwise(param: Term, value: Term, body: Function) -> bool:
    """Whether a carry is read for one value only, each element for the element at its place: that value may overwrite it."""
    depends: dict[Term, bool] = {}
    for term in walk([value]):
        depends[term] = term is param or any(depends[a] for a in term.args)
        local = term.op in ("linear", "map") or (term.op == "contract" and _in_place_product(term))
        if depends[term] and term is not param and (not local or term.axes != param.axes):
            return False
    if not depends[value] or value.axes != param.axes:
        return False
    seen = {value}
    waiting = list(body.roots)
    while waiting:
        term = waiting.pop()
        if term not in seen:
            seen.add(term)
            waiting += term.args
    return param not in seen


def _in_place_product(term: Term) -> bool:
    """Whether a product takes every factor at the element that it gives."""
    straight = all(axis == label for _, access in contract.factors_of(term) for axis, label in access.items())
    return straight and not contract.bound_of(term)


def _candidate(root: Term, carry: Term) -> tuple[Term, Term | None]:
    """(candidate, condition) with root = where(condition, candidate, carry), the condition a scalar (None: always)."""
    conditions: list[Term] = []
    while root.op == "map" and root.attrs[0] == "where" and not root.args[0].axes:
        condition, yes, no = root.args
        if no is carry:
            conditions.append(condition)
            root = yes
        elif yes is carry:
            conditions.append(build.apply("not", condition))
            root = no
        else:
            break
    if not conditions:
        return root, None
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = build.apply("and", whole, condition)
    return root, whole


def lower_scan(block: Block, term: Term) -> list[Step]:
    """c_s = body(c_{s-1}, x_s, constants); the stacked results hold the first carry in front (behind, if reverse)."""
    body, axis, size, count, sequences, reverse = term.attrs
    shop = block.shop
    counter = shop.scalar(axis, Kind.INT)
    before, now = (Size.of(1), ZERO) if reverse else (ZERO, Size.of(1))
    first = size if reverse else ZERO
    steps: list[Step] = []
    inside_steps: list[Step] = []
    places: dict[Term, Place] = {}
    known: dict[Term, Term] = {}
    stacks: list[Slot] = []
    variables: dict[int, Term] = {}
    for k in range(count):
        param, init = body.params[k], term.args[k]
        title = block.title_of_component(term, k, init)
        stack = shop.slot(title, param.kind, [size + 1, *param.axes.values()])
        stacks.append(stack)
        component = build.proj(term, k)
        block.places[component] = Place(stack, (axis, *param.axes), (now, *[ZERO] * len(param.axes)))
        if not param.axes:
            variables[k] = shop.scalar(f"{title}_now", param.kind)
            known[param] = variables[k]
            steps.append(Rebind((variables[k],), (block.known.get(init, init),)))
            continue
        old = _window(block, stack, f"{title}_before", param)
        steps += [Window(old, first), Launch(block.copy_nest(init, shop.place(init, old)))]
        inside_steps.append(Window(old, before, counter))
        places[param] = shop.place(param, old)
    for p, a in zip(body.params[count : count + sequences], term.args[count : count + sequences], strict=True):
        inside_steps += _slice(block, p, a, axis, counter, places, known, steps)
    for p, value in _bindings(block, body.params[count + sequences :], term.args[count + sequences :]).items():
        if isinstance(value, Place):
            places[p] = value
        else:
            known[p] = value
    inside = Block(shop, places, known, block.structures, inside_loop=True)
    inside_steps += _turn(inside, body, count, stacks, variables, counter, now)
    steps.append(Repeat(counter, size, reverse, inside_steps))
    return steps


def _window(block: Block, whole: Slot, title: str, term: Term) -> Slot:
    slot = block.shop.slot(title, term.kind, term.axes.values(), "window")
    slot.within = whole
    return slot


def _slice(
    block: Block,
    param: Term,
    sequence: Term,
    axis: str,
    counter: Term,
    places: dict[Term, Place],
    known: dict[Term, Term],
    steps: list[Step],
) -> list[Step]:
    """The slice of a sequence at the counter: a window, or a scalar that is loaded."""
    shop = block.shop
    place = block.places[sequence]
    if (
        place.axes[0] != axis
        or any(o != 0 for o in place.offsets)
        or place.slot.rank != len(place.axes)
        or place.axes[1:] != tuple(param.axes)
    ):
        order = (axis, *param.axes)
        slot = shop.slot(f"{place.slot.name}_by_{axis}", sequence.kind, [sequence.axes[a] for a in order])
        target = Place(slot, order, (ZERO,) * len(order))
        steps.append(Launch(block.copy_nest(sequence, target)))
        place = target
    if param.axes:
        window = _window(block, place.slot, f"{place.slot.name}_now", param)
        places[param] = shop.place(param, window)
        return [Window(window, ZERO, counter)]
    variable = shop.scalar(f"{place.slot.name}_now", param.kind)
    known[param] = variable
    element = build.symbol(f"{place.slot.name}[{axis}]", Type(param.kind))
    return [Assign(variable, element, {element: Load(place.slot.name, (Index.axis("@0"),))}, {"@0": counter})]


def _turn(
    inside: Block, body: Function, count: int, stacks: Sequence[Slot], variables: dict[int, Term], counter: Term, now: Size
) -> list[Step]:
    """Steps of one position of a recurrence: new carries into their slices."""
    shop = inside.shop
    windows: list[Step] = []
    copies: list[tuple[Term, Place]] = []
    for k in range(count):
        root, param = body.roots[k], body.params[k]
        if k in variables:
            continue
        new = _window(inside, stacks[k], f"{stacks[k].name}_after", param)
        windows.append(Window(new, now, counter))
        if decide.is_leaf(root) or root in inside.targets:
            copies.append((root, shop.place(param, new)))
        else:
            inside.targets[root] = new
    steps: list[Step] = [*windows, *inside.schedule(list(dict.fromkeys(body.roots[:count])))]
    steps += [Launch(inside.copy_nest(t, place)) for t, place in copies]
    if variables:
        steps.append(Rebind(tuple(variables.values()), tuple(inside.known.get(body.roots[k], body.roots[k]) for k in variables)))
        steps += [Put(stacks[k], now, counter, variables[k]) for k in variables]
    return steps


def lower_call(block: Block, term: Term) -> list[Step]:
    """An operator that numpy or a library computes, between compiled parts."""
    name = str(term.attrs[0]) if term.op in ("library", "reduce") else term.op
    if block.inside_loop:
        raise CannotLower("E0601", f"`{name}` inside a compiled loop is not available", notes=("outside of loops it is",))
    arguments: list[Place | Term] = [block.places[a] if a.axes else block.known.get(a, a) for a in term.args]
    parts = [build.proj(term, k) for k in range(len(term.type))] if isinstance(term.type, TupleType) else [term]
    results: list[Place | Term] = []
    for part in parts:
        if part.axes:
            slot = block.shop.slot(block.shop.titles.get(part, name), part.kind, part.axes.values())
            block.places[part] = block.shop.place(part, slot)
            results.append(block.places[part])
        else:
            block.known[part] = block.shop.scalar(block.shop.titles.get(part, name), part.kind)
            results.append(block.known[part])
    return [Call(term, name, tuple(arguments), tuple(results))]


def lower_library(block: Block, term: Term) -> list[Step]:
    """A factored linear system is solved in compiled code, the rest between compiled parts."""
    if term.attrs[0] == "factor":
        return lower_factor(block, term)
    if term.attrs[0] == "solve_factored":
        return lower_solve_factored(block, term)
    if term.attrs[0] == "factor_dense":
        return lower_factor_dense(block, term)
    if term.attrs[0] == "solve_dense":
        return lower_solve_dense(block, term)
    if term.attrs[0] == "diagonalize":
        return lower_diagonalize(block, term)
    if term.attrs[0] == "solve_diagonal":
        return lower_solve_diagonal(block, term)
    return lower_call(block, term)


STRUCTURES: dict[str, Callable[[Block, Term], list[Step]]] = {
    "iterate": lower_iterate,
    "scan": lower_scan,
    "library": lower_library,
    "random": lower_call,
    "product": lower_call,
    "reduce": lower_call,
}
