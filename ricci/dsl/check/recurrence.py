"""`z[s] = a[s]*z[s-1] + b[s]`: a tensor that is defined from its own earlier (or later) entries becomes a scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ricci.dsl import build, tree
from ricci.dsl.check.context import Context, error
from ricci.dsl.check.values import Value
from ricci.dsl.ops import OPERATORS
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Function, Term, rewrite, substitute, walk
from ricci.dsl.types import Kind, Size, Type
from ricci.dsl.units import NUMBER, Powers

LEAVES = frozenset({"symbol", "const"})
DEEPEST = 8  # steps that a recurrence looks back


@dataclass(eq=False)
class Recurrence:
    """The tensor being defined while its right side is read at one step of `axis`.

    `order`: its indices; `sizes`: their extents. Entries of other steps are carries; whatever else varies along the axis
    enters as a sequence, and the rest as a constant.
    """

    name: str
    axis: str
    order: tuple[str, ...]
    sizes: Mapping[str, Size]
    kind: Kind
    unit: Powers | None
    direction: int = 0
    depth: int = 0
    sequences: dict[Term, Term] = field(default_factory=dict)
    constants: dict[Term, Term] = field(default_factory=dict)

    def carry(self, distance: int) -> Term:
        """The entry `distance` steps back."""
        axes = {n: s for n, s in self.sizes.items() if n != self.axis}
        return build.symbol(f"%carry:{distance}", Type(self.kind, axes))

    def bare(self, node: tree.Name) -> Exception:
        return error("E0207", f"`{node.id}` is being defined and needs its indices here", node, label=f"as in {node.id}[{self.axis}-1]")

    def take(self, term: Term) -> Term:
        """A value of the surroundings at the current step."""
        if self.axis in term.axes:
            if term not in self.sequences:
                axes = {n: s for n, s in term.axes.items() if n != self.axis}
                self.sequences[term] = build.symbol(f"%x:{len(self.sequences)}", Type(term.kind, axes))
            return self.sequences[term]
        if term.op == "const" or (term.op == "symbol" and (name_of(term) in CONSTANTS or name_of(term)[0] in "#%")):
            return term
        if term not in self.constants:
            self.constants[term] = build.symbol(f"%k:{len(self.constants)}", term.type)
        return self.constants[term]

    def read(self, node: tree.Index, context: Context) -> Value:
        """`z[b, s-1, d]` on the right side."""
        from ricci.dsl.check.indexing import as_index, indexed

        items = [i for i in node.items if isinstance(i, tree.Expr)]
        if len(items) != len(self.order) or len(items) < len(node.items):
            raise error("E0210", f"`{self.name}` has {len(self.order)} indices", node, label=f"declared with [{', '.join(self.order)}]")
        place = self.order.index(self.axis)
        index = as_index(items[place], context)
        step = None
        if index is not None and index.axes == {self.axis} and index.coefficient(self.axis) == 1 and index.is_affine:
            step = index.constant.constant
        if step is None:
            raise error(
                "E0207", f"`{self.name}` is read at a step that is not a fixed distance away", items[place], label=f"as in {self.axis}-1"
            )
        self._direct(step, items[place])
        others = [item for k, item in enumerate(items) if k != place]
        order = tuple(n for n in self.order if n != self.axis)
        value = Value(self.carry(abs(step)), self.unit, order)
        if not others:
            return value
        bare = replace(node, items=tuple(others))
        return indexed(value, bare, replace(context, recurrence=None))

    def _direct(self, step: int, item: tree.Node) -> None:
        if step == 0:
            raise error(
                "E0207", f"`{self.name}` at a step needs itself at the same step", item, label=f"write {self.axis}-1 for the step before"
            )
        direction = 1 if step < 0 else -1
        if self.direction and direction != self.direction:
            raise error("E0207", f"`{self.name}` needs both earlier and later steps", item, label="a recurrence goes in one direction")
        self.direction = direction
        if abs(step) > DEEPEST:
            raise error("E0207", f"`{self.name}` looks {abs(step)} steps back", item, label=f"at most {DEEPEST}")
        self.depth = max(self.depth, abs(step))

    def scan(self, body: Term, inits: Mapping[int, Term]) -> Term:
        """The tensor for all steps. `inits[k]`: the entry k steps before the first; zero where it is not given."""
        type_ = self.carry(1).type
        body = build.conform(body, type_)
        body, constants = _hoisted(body, self.constants)
        carries = [self.carry(k + 1) for k in range(self.depth)]
        results = [("0", body), *[(str(k), carries[k - 1]) for k in range(1, self.depth)]]
        function = Function(self.name, (*carries, *self.sequences.values(), *constants.values()), tuple(results))
        first = [build.conform(inits[k + 1], type_) if k + 1 in inits else build.zero(type_) for k in range(self.depth)]
        size = self.sizes[self.axis]
        whole = build.scan(function, self.axis, size, first, list(self.sequences), list(constants), reverse=self.direction < 0)
        return build.proj(whole, 0)


def _hoisted(body: Term, constants: Mapping[Term, Term]) -> tuple[Term, dict[Term, Term]]:
    """The body with what depends on constants alone computed before the loop; outer term -> parameter."""
    params = {p: outer for outer, p in constants.items()}
    moving: dict[Term, bool] = {}
    for term in walk([body]):
        own = term.op == "symbol" and name_of(term)[0] == "%" and term not in params
        moving[term] = own or any(moving[a] for a in term.args)
    if not moving[body]:
        return body, dict(constants)
    new: dict[Term, Term] = {}

    def replaced(term: Term) -> Term:
        if moving[term] or term.op in LEAVES:
            return term
        outer = substitute([term], params)[0]
        return new.setdefault(outer, build.symbol(f"%h:{len(new)}", term.type))

    def visit(term: Term, args: tuple[Term, ...]) -> Term:
        if not moving[term]:
            return term
        fresh = tuple(replaced(old) if not moving[old] else a for old, a in zip(term.args, args, strict=True))
        return term if fresh == term.args else OPERATORS[term.op].rebuild(term, fresh)

    body = rewrite([body], visit)[0]
    used = set(walk([body]))
    kept = {outer: p for outer, p in constants.items() if p in used}
    return body, {**kept, **new}


def defined(
    name: str,
    order: tuple[str, ...],
    sizes: Mapping[str, Size],
    axis: str,
    inits: Mapping[int, Value],
    context: Context,
    read: Callable[[Context], Value],
) -> Value:
    """Read the right side as often as it takes to know the kind and the unit of the tensor, then build the scan."""
    kind, unit = Kind.REAL, next((v.unit for v in inits.values() if v.unit is not None), None)
    for value in inits.values():
        kind = max(kind, value.kind)
    for _ in range(3):
        recurrence = Recurrence(name, axis, order, sizes, kind, unit)
        value = read(replace(context, recurrence=recurrence, sums={}, seen={}, calls={}))
        if value.kind <= kind and (value.unit == unit or value.unit is None):
            break
        kind, unit = max(kind, value.kind), value.unit
    for distance, start in inits.items():
        if distance > recurrence.depth:
            label = f"`{name}` looks {recurrence.depth} step{'s' if recurrence.depth > 1 else ''} back"
            raise error("E0105", "this start is not used", start.origin, label=label)
        extra = [a for a in start.axes if a not in sizes or a == axis]
        if extra:
            raise error("E0201", f"the start of `{name}` varies along `{extra[0]}`", start.origin)
    term = recurrence.scan(value.term, {k: v.term for k, v in inits.items()})
    return Value(term, unit if unit is not None else NUMBER, order)


def self_reference(name: str, body: tree.Expr) -> tree.Index | None:
    """The first place where the right side reads the tensor that it defines."""
    return next((n for n in tree.walk(body) if isinstance(n, tree.Index) and isinstance(n.base, tree.Name) and n.base.id == name), None)


def scanned_axis(node: tree.Index, order: tuple[str, ...], context: Context) -> str:
    """The index that is shifted where a tensor reads itself."""
    from ricci.dsl.check.indexing import as_index

    outer = replace(context, recurrence=None)
    for name, item in zip(order, node.items, strict=False):
        if isinstance(item, tree.Expr) and not (isinstance(item, tree.Name)):
            index = as_index(item, outer)
            if index is not None and name in index.axes:
                return name
    raise error("E0207", f"`{node.base.span.text}` is defined by itself at the same place", node, label="no index is shifted, as in s-1")
