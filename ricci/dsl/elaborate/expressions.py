"""Expressions -> values: names resolved, indices bound, units inferred, terms built."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ricci.dsl import build, tree
from ricci.dsl.elaborate.values import Axis, LayerValue, Loaded, Names, Procedure, Skip, Value, mapped, real, shape
from ricci.dsl.index import Index
from ricci.dsl.model import Unit
from ricci.dsl.ops.const import value_of
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Type, equal
from ricci.dsl.units import NUMBER, Powers, multiply, over, raised
from ricci.errors import CheckFailed, Span

if TYPE_CHECKING:
    from ricci.dsl.elaborate.checker import Checker

NONE: frozenset[str] = frozenset()
COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne", "~": "eq", "~=": "ne"}
EDGES = {"pad": "fill", "wrap": "wrap", "clamp": "clamp", "mirror": "mirror"}


@dataclass(frozen=True)
class Reader:
    """Reads expressions in a scope. `free` are indices that stay as axes; others are summed in the product that shares them."""

    check: Checker
    scope: Names
    side: tuple[str, str] | None = None  # coordinate and end, inside a boundary condition

    def value(self, node: tree.Expr, free: frozenset[str] = NONE) -> Value:
        """The value of an expression that is a quantity."""
        found = self.any(node, free)
        if not isinstance(found, Value):
            raise CheckFailed("E0206", f"`{node.span.text}` is no quantity", node.span)
        return found

    def scalar(self, node: tree.Expr, free: frozenset[str] = NONE) -> Value:
        """The value of an expression that must be a scalar."""
        found = self.value(node, free)
        if found.rank:
            raise CheckFailed("E0206", f"`{node.span.text}` is a vector where a scalar is needed", node.span, label=f"rank {found.rank}")
        return found

    def number(self, node: tree.Expr, free: frozenset[str] = NONE, what: str = "this") -> Term:
        """A scalar without unit."""
        found = self.scalar(node, free)
        self.same_unit(NUMBER, found.unit, node.span, f"{what} is a number, `{node.span.text}` has the unit")
        return found.term

    def same_unit(self, a: Powers | None, b: Powers | None, span: Span, words: str) -> Powers | None:
        """The common unit of two values that must agree (E0401)."""
        if a is None:
            return b
        if b is None or a == b:
            return a
        say = self.check.units.words
        raise CheckFailed("E0401", f"{words}: {say(a)} and {say(b)}", span, label=f"{say(b)} here, {say(a)} elsewhere")

    def any(self, node: tree.Expr, free: frozenset[str] = NONE) -> Any:
        """The value of any expression."""
        read = READERS.get(type(node))
        if read is None:
            raise CheckFailed("E0206", f"`{node.span.text}` has no value here", node.span)
        try:
            return read(self, node, free)
        except TermError as error:
            raise CheckFailed("E0203", f"`{node.span.text}`: {error}", node.span) from None

    def _call(self, node: tree.Call, free: frozenset[str]) -> Any:
        from ricci.dsl.elaborate.calls import call

        return call(self, node, free)

    # leaves

    def _name(self, node: tree.Name, free: frozenset[str]) -> Any:
        if node.id == "pi":
            return Value(build.pi())
        if node.id == "im":
            return Value(build.im())
        if node.id == "inf":
            return Value(build.const(float("inf")), None)
        if node.id == "t":
            return Value(real("t"), self.check.time_powers)
        found = self.scope.find(node.id)
        if found is None and node.id == "n" and self.side is not None:
            return self._normal(*self.side)
        if found is None:
            raise self.unknown(node)
        entity = found.get()
        if isinstance(entity, Axis):
            if entity.coordinate:
                term = build.symbol(entity.name, Type(Kind.REAL, {entity.name: entity.size}))
                return Value(term, entity.unit, (entity.name,))
            return Value(build.iota(entity.name, entity.size), NUMBER, (entity.name,))
        if isinstance(entity, Value):
            self._used(entity, node, free)
        return entity

    def _normal(self, coordinate: str, end: str) -> Value:
        """`n`: the outward normal of the side of this condition."""
        names = tuple(axis.name for axis in self.check.coordinates())
        sign = 1 if end == "hi" else -1
        return Value(tuple(build.const(sign if n == coordinate else 0) for n in names), names=names)

    def _used(self, value: Value, node: tree.Node, free: frozenset[str]) -> None:
        if isinstance(value.data, Term):
            self.check.mark(value.data, node.span)

    def unknown(self, node: tree.Name) -> CheckFailed:
        """E0101 with the nearest name."""
        from ricci.dsl.elaborate.calls import operator_names

        guess = nearest(node.id, [*self.scope.all(), "pi", "im", "inf", "t"])
        if guess is None and node.id in operator_names():
            return CheckFailed("E0101", f"`{node.id}` is an operator and needs an argument", node.span, label=f"write {node.id}(...)")
        label = f"did you mean `{guess}`?" if guess else "not declared"
        return CheckFailed("E0101", f"`{node.id}` is not declared", node.span, label=label)

    def _number(self, node: tree.Number, free: frozenset[str] = NONE) -> Value:
        si = self.check.units.si(node)
        shown = self.check.units.resolve(node.unit) if node.unit is not None else None
        unit: Powers | None = shown.powers if shown else NUMBER
        if node.value == 0 and node.unit is None:
            unit = None
        if isinstance(si, float):
            turns = Fraction(node.value) / 180  # only parts of pi have factors that are not rational
            term = build.mul(build.const(turns), build.pi())
        else:
            whole = si.denominator == 1 and node.unit is None and "." not in node.text and "e" not in node.text.lower()
            term = build.const(int(si)) if whole else build.const(si)
        if node.imaginary:
            term = build.mul(term, build.im())
        return Value(term, unit, shown=shown)

    # arithmetic

    def _unary(self, node: tree.Unary, free: frozenset[str]) -> Value:
        if node.operator == "not":
            return Value(build.apply("not", self._truth(node.operand, free)))
        inner = self.value(node.operand, free)
        return inner if node.operator == "+" else replace(inner, data=mapped(build.neg, inner.data))

    def _truth(self, node: tree.Expr, free: frozenset[str]) -> Term:
        term = self.scalar(node, free).term
        if term.kind != Kind.BOOL:
            raise CheckFailed("E0206", f"`{node.span.text}` is a number where a condition is needed", node.span)
        return term

    def _sum(self, node: tree.Sum, free: frozenset[str]) -> Value:
        signed = [(sign, part, self.value(part, free)) for sign, part in node.signed]
        unit = signed[0][2].unit
        for _, part, v in signed[1:]:
            unit = self.same_unit(unit, v.unit, part.span, "the terms of this sum differ in unit")
            self.same_rank(signed[0][2], v, part.span)
        self.same_sizes([(part, v) for _, part, v in signed])
        data = mapped(
            lambda *ts: build.linear([(s, _arithmetic(t)) for (s, _, _), t in zip(signed, ts, strict=True)]),
            *[v.data for _, _, v in signed],
        )
        return Value(data, unit, _union(v.order for _, _, v in signed), signed[0][2].names, shown=self._scale(signed))

    def _scale(self, signed: list[tuple[int, tree.Expr, Value]]) -> Unit | None:
        """The unit in which a sum is shown; temperatures in degC may be subtracted, and a difference added (E0404)."""
        scales = [(sign, part, v.shown) for sign, part, v in signed if v.shown is not None and v.shown.offset]
        if not scales:
            return next((v.shown for _, _, v in signed if v.shown is not None), None)
        total = sum(sign for sign, _, _ in scales)
        if total not in (0, 1):
            _, part, shown = scales[-1]
            said = f"two temperatures in {shown.text} have a difference and no sum"
            raise CheckFailed("E0404", said, part.span, label="a difference of temperatures is in [K]")
        return scales[0][2] if total else Unit(Fraction(1), scales[0][2].powers, "K")

    def _no_scale(self, value: Value, node: tree.Expr) -> None:
        """E0404 for a temperature with an offset in a product or power."""
        if value.shown is not None and value.shown.offset:
            said = f"a temperature in {value.shown.text} has a zero that is not the absolute one: it stands in no product"
            raise CheckFailed("E0404", said, node.span, label="write it in [K], or take a difference")

    def same_rank(self, a: Value, b: Value, span: Span) -> None:
        kinds = ("a scalar", "a vector", "a tensor")
        if a.rank != b.rank:
            raise CheckFailed("E0206", f"{kinds[a.rank]} and {kinds[b.rank]} do not add", span, label=f"{kinds[b.rank]}")
        if shape(a.data) != shape(b.data):
            here, before = (" x ".join(map(str, shape(v.data))) for v in (b, a))
            raise CheckFailed("E0206", f"{kinds[a.rank]} of {before} components and one of {here}", span, label=f"{here} components here")

    def same_sizes(self, values: Iterable[tuple[tree.Node, Value]]) -> None:
        """E0202 where one axis has two sizes."""
        seen: dict[str, Any] = {}
        for node, v in values:
            if not isinstance(v.data, Term):
                continue
            for axis, size in v.data.axes.items():
                if axis in seen and equal(seen[axis], size) is not True:
                    raise CheckFailed("E0202", f"the axis `{axis}` has two sizes", node.span, label=f"{size} here, {seen[axis]} before")
                seen[axis] = size

    def _product(self, node: tree.Product, free: frozenset[str]) -> Value:
        counts: dict[str, int] = {}
        for _, part in node.factors:
            for name in self.indices(part):
                counts[name] = counts.get(name, 0) + 1
        bound = frozenset(n for n, count in counts.items() if count > 1 and n not in free)
        for name in sorted(bound):
            self._summed(node, name)
        values = [(e, part, self.value(part, free | bound)) for e, part in node.factors]
        if sum(v.rank > 0 for _, _, v in values) > 1:
            raise CheckFailed("E0206", "a product of two vectors is `dot(a, b)` or `outer(a, b)`", node.span)
        self.same_sizes([(part, v) for _, part, v in values])
        for _, part, v in values:
            self._no_scale(v, part)
        unit = multiply(*(raised(v.unit, e) for e, _, v in values))
        scalars = [(e, v.term) for e, _, v in values if not v.rank]
        factors = [_arithmetic(t) if e > 0 else build.apply("recip", _arithmetic(t)) for e, t in scalars]
        vector = next(((e, part, v) for e, part, v in values if v.rank), None)
        if vector is not None:
            if vector[0] < 0:
                raise CheckFailed("E0206", "division by a vector", vector[1].span)
            data = mapped(lambda t: build.sum_over(build.mul(t, *factors), bound), vector[2].data)
            return Value(data, unit, names=vector[2].names)
        order = tuple(a for a in _union(v.order for _, _, v in values) if a not in bound)
        shown = next((v.shown for _, _, v in values if v.shown is not None and v.shown.powers == unit), None)
        return Value(build.sum_over(build.mul(*factors), bound), unit, order, shown=shown)

    def _summed(self, node: tree.Product, name: str) -> None:
        """A sum that is not written is over a `dim` (E0204), and has one reading (E0211)."""
        factors = [part for _, part in node.factors if name in self.indices(part)]
        if self.check.is_coordinate(name):
            said = f"the coordinate `{name}` is never summed by itself"
            place = next((n for f in factors for n in tree.walk(f) if isinstance(n, tree.Name) and n.id == name), node)
            raise CheckFailed("E0204", said, place.span, label=f"write integral[{name}](...)")
        for part in factors:
            inner = self._sum_inside(part, name)
            if inner is not None:
                said = f"the sum over `{name}` has two readings: of `{inner.span.text}` alone, and of the whole product"
                raise CheckFailed("E0211", said, inner.span, label=f"write sum[{name}](...) around what is summed")

    def _sum_inside(self, node: tree.Node, name: str) -> tree.Product | None:
        """A product inside a factor over which the index could be summed with another value than that of the outer sum.

        Factors of factors belong to the outer product, so they change nothing.
        """
        while isinstance(node, tree.Unary):
            node = node.operand
        if isinstance(node, tree.Product):
            found = (self._sum_inside(part, name) for _, part in node.factors)
            return next((product for product in found if product is not None), None)
        if name not in self.indices(node):
            return None
        inner = (n for n in tree.walk(node) if isinstance(n, tree.Product))
        return next((p for p in inner if sum(name in self.indices(part) for _, part in p.factors) > 1), None)

    def _power(self, node: tree.Power, free: frozenset[str]) -> Value:
        base = self.scalar(node.base, free)
        exponent = self.scalar(node.exponent, free)
        self.same_unit(NUMBER, exponent.unit, node.exponent.span, "an exponent is a number")
        self._no_scale(base, node.base)
        constant = value_of(exponent.term)
        if base.unit and not isinstance(constant, int | Fraction):
            said = f"`{node.base.span.text}` has the unit {self.check.units.words(base.unit)}: its exponent must be a fixed number"
            raise CheckFailed("E0403", said, node.exponent.span)
        if isinstance(constant, int | Fraction):
            p = Fraction(constant)
            return Value(build.power(_arithmetic(base.term), int(p) if p.denominator == 1 else p), raised(base.unit, p), base.order)
        return Value(build.power(_arithmetic(base.term), exponent.term), NUMBER, _union([base.order, exponent.order]))

    def _compare(self, node: tree.Compare, free: frozenset[str]) -> Value:
        values = [self.scalar(o, free) for o in node.operands]
        for a, b, part in zip(values, values[1:], node.operands[1:], strict=False):
            self.same_unit(a.unit, b.unit, part.span, "the compared values differ in unit")
        self.same_sizes(zip(node.operands, values, strict=True))
        parts = []
        for op, a, b in zip(node.operators, values, values[1:], strict=False):
            if op in ("~", "~="):
                parts.append(self.near(a.term, b.term, op))
            else:
                parts.append(build.apply(COMPARISONS[op], _arithmetic(a.term), _arithmetic(b.term)))
        total = parts[0]
        for term in parts[1:]:
            total = build.apply("and", total, term)
        return Value(total, NUMBER, _union(v.order for v in values))

    def near(self, a: Term, b: Term, op: str) -> Term:
        """`a ~ b`: |a - b| <= 10 tol max(|a|, |b|)."""
        scale = build.apply("max2", build.apply("abs", a), build.apply("abs", b))
        bound = build.mul(build.const(10 * self.check.tolerance), scale)
        inside = build.apply("le", build.apply("abs", build.sub(a, b)), bound)
        return inside if op == "~" else build.apply("not", inside)

    def _logic(self, node: tree.Logic, free: frozenset[str]) -> Value:
        total, *rest = (self._truth(o, free) for o in node.operands)
        for part in rest:
            total = build.apply(node.operator, total, part)
        return Value(total)

    def _tuple(self, node: tree.Tuple, free: frozenset[str]) -> Value:
        values = [self.scalar(i, free) for i in node.items]
        unit: Powers | None = None
        for item, v in zip(node.items, values, strict=True):
            unit = self.same_unit(unit, v.unit, item.span, "the components of a vector differ in unit")
        return Value(tuple(v.term for v in values), unit)

    def _cond(self, node: tree.Cond, free: frozenset[str]) -> Value:
        condition = self._truth(node.condition, free)
        yes, no = self.value(node.yes, free), self.value(node.no, free)
        unit = self.same_unit(yes.unit, no.unit, node.no.span, "the two branches differ in unit")
        self.same_rank(yes, no, node.no.span)
        data = mapped(lambda a, b: build.where(condition, _arithmetic(a), _arithmetic(b)), yes.data, no.data)
        return Value(data, unit, _union([yes.order, no.order]), yes.names)

    # indices

    def indices(self, node: tree.Node) -> frozenset[str]:
        """Index names that an expression uses as indices of tensors and does not bind itself."""
        from ricci.dsl.elaborate.calls import bound_by, operator_names

        if isinstance(node, tree.Call):
            inner = frozenset[str]().union(*(self.indices(a) for a in tree.children(node) if a is not node.function))
            function = node.function
            if isinstance(function, tree.Index) and isinstance(function.base, tree.Name) and function.base.id in operator_names():
                return inner - bound_by(function)
            if isinstance(function, tree.Index):
                inner |= self.indices(function)
            return inner
        if isinstance(node, tree.Index):
            names = frozenset(n.id for item in node.items for n in tree.walk(item) if isinstance(n, tree.Name) and self.is_index(n.id))
            return names | self.indices(node.base)
        return frozenset[str]().union(*(self.indices(c) for c in tree.children(node)))

    def is_index(self, name: str) -> bool:
        """Whether a name is a `dim` or a coordinate."""
        found = self.scope.find(name)
        return found is not None and found.word in ("dim", "coordinate")

    def has_axis(self, name: str, axis: str) -> bool:
        """Whether a value of this name has an axis."""
        found = self.scope.find(name)
        entity = found.get() if found is not None and found.word not in ("dim", "coordinate", "domain") else None
        return isinstance(entity, Value) and not entity.rank and axis in entity.term.axes

    def is_unit(self, item: tree.Node) -> bool:
        """Whether `[item]` can only be a unit: all its names are units, and none of them is declared as a value or index."""
        names = index_names(item)
        return bool(names) and all(self.scope.find(n) is None and self.check.units.get(n) is not None for n in names)

    def _index(self, node: tree.Index, free: frozenset[str]) -> Value:
        wrong = next((i for i in node.items if self.is_unit(i)), None)
        if wrong is not None:
            said = f"`{wrong.span.text}` is a unit where an index stands"
            label = f"a unit stands after a number or in a type; `{node.base.span.text}` has its own"
            raise CheckFailed("E0405", said, wrong.span, label=label)
        base = self.value(node.base, free)
        if base.rank:
            raise CheckFailed("E0206", "components of a vector are `u.x`, not `u[...]`", node.span)
        order = base.order or tuple(base.term.axes)
        missing = [a for a in order[len(node.items) :] if not self.check.is_coordinate(a)]
        if len(node.items) > len(order) or (missing and not all(isinstance(i, tree.NamedItem) for i in node.items)):
            count = f"the index [{order[0]}]" if len(order) == 1 else f"{len(order)} indices [{', '.join(order)}]" if order else "no index"
            said = f"`{node.base.span.text}` has {count}, {len(node.items)} given"
            raise CheckFailed("E0210", said, node.items[-1].span if len(node.items) > len(order) else node.base.span)
        entries: dict[str, Index] = {}
        axes: dict[str, Any] = {}
        for axis, item in zip(order, node.items, strict=False):
            name, expression = (item.name.id, item.value) if isinstance(item, tree.NamedItem) else (axis, item)
            if name not in base.term.axes or not isinstance(expression, tree.Expr):
                raise CheckFailed("E0201", f"`{node.base.span.text}` has no index `{name}`", item.span, label=f"it has {', '.join(order)}")
            entries[name] = self._entry(expression, free, axes, base, name)
        rest = {a: s for a, s in base.term.axes.items() if a not in entries}
        term = build.reindex(base.term, {**axes, **rest}, entries, (), self._fill(base))
        self.check.mark(term, node.span)
        return replace(base, data=term, order=(*(a for a in axes), *rest), edge="")

    def _fill(self, base: Value) -> Any:
        return False if base.term.kind == Kind.BOOL else 0

    def _entry(self, node: tree.Expr, free: frozenset[str], axes: dict[str, Any], base: Value, axis: str) -> Index:
        index, shifted = self._affine(node, free, axes)
        size = base.term.axes[axis]
        name = next(iter(index_names(node)), None)
        if not shifted and name is not None and isinstance(node, tree.Name):
            own = axes[name]
            if equal(own, size) is not True:
                known = f"`{axis}` of it has {size}"
                raise CheckFailed("E0202", f"`{name}` has {own} values where `{base_text(node)}` needs {size}", node.span, label=known)
            return index
        if not shifted or not index.axes:
            return index
        if base.edge == "wrap":
            return index.mod(size)
        if base.edge == "clamp":
            return index.clamp(size)
        if base.edge == "mirror":
            return index.mirror(size)
        if not base.edge:
            said = f"`{node.span.text}` reads beyond an end of `{axis}`"
            raise CheckFailed("E0208", said, node.span, label="say what stands there: pad(...), wrap(...), clamp(...) or mirror(...)")
        return index

    def _affine(self, node: tree.Expr, free: frozenset[str], axes: dict[str, Any]) -> tuple[Index, bool]:
        """An index expression, and whether it may leave the range of its axis."""
        match node:
            case tree.Name():
                found = self.scope.find(node.id)
                entity = found.get() if found else None
                if not isinstance(entity, Axis):
                    guess = nearest(node.id, [n for n in self.scope.all() if self.is_index(n)])
                    raise CheckFailed(
                        "E0201", f"`{node.id}` is no index", node.span, label=f"did you mean `{guess}`?" if guess else "declare it: `dim`"
                    )
                if node.id not in free:
                    raise CheckFailed(
                        "E0204", f"the index `{node.id}` stands alone", node.span, label=f"write sum[{node.id}](...) or name it on the left"
                    )
                axes[node.id] = entity.size
                return Index.axis(node.id), False
            case tree.Number(value=value) if value.denominator == 1:
                return Index.of(int(value)), True
            case tree.Unary(operator="-", operand=operand):
                index, _ = self._affine(operand, free, axes)
                return index * -1, True
            case tree.Sum():
                total, first = Index.of(0), True
                for sign, part in node.signed:
                    index, _ = self._affine(part, free, axes)
                    total, first = (total + index * sign), False
                return total, not first
            case tree.Product(operands=operands, operators=("*",)):
                numbers = [o for o in operands if isinstance(o, tree.Number)]
                others = [o for o in operands if not isinstance(o, tree.Number)]
                if len(numbers) == 1 and numbers[0].value.denominator == 1:
                    index, _ = self._affine(others[0], free, axes)
                    return index * int(numbers[0].value), True
        raise CheckFailed("E0201", f"`{node.span.text}` is no index: sums of indices and whole numbers are", node.span)

    # members

    def _attr(self, node: tree.Attr, free: frozenset[str]) -> Any:
        if isinstance(node.base, tree.Name):
            found = self.scope.find(node.base.id)
            entity = found.get() if found else None
            if isinstance(entity, Axis) and node.name.id == "size":
                return Value(build.size_term(entity.size))
        base = self.any(node.base, free)
        if isinstance(base, Value) and base.rank:
            if node.name.id in base.names:
                return replace(base, data=base.data[base.names.index(node.name.id)], names=())
            raise CheckFailed(
                "E0101",
                f"`{node.base.span.text}` has no component `{node.name.id}`",
                node.name.span,
                label=f"it has {', '.join(base.names)}",
            )
        raise CheckFailed("E0206", f"`{node.base.span.text}` has no `{node.name.id}`", node.name.span)


READERS: dict[type[tree.Node], Callable[[Reader, Any, frozenset[str]], Any]] = {
    tree.Name: Reader._name,
    tree.Number: Reader._number,
    tree.Unary: Reader._unary,
    tree.Sum: Reader._sum,
    tree.Product: Reader._product,
    tree.Power: Reader._power,
    tree.Compare: Reader._compare,
    tree.Logic: Reader._logic,
    tree.Cond: Reader._cond,
    tree.Tuple: Reader._tuple,
    tree.Index: Reader._index,
    tree.Attr: Reader._attr,
    tree.Call: Reader._call,
}


def index_names(node: tree.Node) -> list[str]:
    return [n.id for n in tree.walk(node) if isinstance(n, tree.Name)]


def base_text(node: tree.Node) -> str:
    return node.span.text


def _arithmetic(term: Term) -> Term:
    """Truth values count as 0 and 1 in arithmetic only where a comparison of conditions asks for it."""
    return build.cast(term, Kind.INT) if term.kind == Kind.BOOL else term


def _union(orders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a for order in orders for a in order))


__all__ = ["LayerValue", "Loaded", "Procedure", "Reader", "Skip", "over"]
