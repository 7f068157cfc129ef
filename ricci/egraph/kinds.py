"""Of which kind the values of classes are: whole, real or complex numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, TupleType
from ricci.egraph.space import Node, Space


class Opaque(NamedTuple):
    """Payload of an operator that the optimizer does not look into. `arguments`: their types; `kind`: of the value (None: several)."""

    op: str
    attrs: Any
    arguments: tuple[Any, ...]
    kind: Kind | None

    @classmethod
    def of(cls, term: Term) -> Opaque:
        kind = None if isinstance(term.type, TupleType) else term.kind
        return cls(term.op, term.attrs, tuple(a.type for a in term.args), kind)


class Kinds:
    """The kind of the elements of classes, by their first nodes."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.table: dict[int, Kind | None] = {}

    def of(self, ref: int) -> Kind:
        """Kind of a value; COMPLEX, which holds everything, where it cannot be told."""
        known = self.known(ref)
        return Kind.COMPLEX if known is None else known

    def known(self, ref: int) -> Kind | None:
        """Kind of a value, or None where it cannot be told."""
        c = self.space.find(ref) >> 1
        stack = [(c, False)]
        entered = set()
        while stack:
            d, ready = stack.pop()
            if d in self.table:
                continue
            node = next(iter(self.space.nodes[d]), None)
            below = [] if node is None else [self.space.find(r) >> 1 for r in node.children]
            if not ready and d not in entered:
                entered.add(d)
                stack.append((d, True))
                stack += [(e, False) for e in below if e not in self.table and e not in entered]
            elif ready:
                self.table[d] = None if node is None else self._kind(node, [self.table.get(e) for e in below])
        return self.table[c]

    def _kind(self, node: Node, kinds: list[Kind | None]) -> Kind | None:
        op, payload = node.op, node.payload
        if op == "leaf":
            if isinstance(payload, Term):
                return payload.kind
            assert isinstance(payload, tuple)
            return _kind_of_number(payload[1])
        if isinstance(payload, Opaque):
            return payload.kind
        known = [k for k in kinds if k is not None]
        if len(known) < len(kinds) or not known:
            return None
        if op == "scale":
            return max(known[0], _kind_of_number(node.factor))
        if op in SCALARS:
            try:
                return SCALARS[op].kinds(known)
            except TermError:
                return None
        return max(known)


def _kind_of_number(q: Any) -> Kind:
    return Kind.INT if q == int(q) else Kind.REAL


__all__ = ["Kinds", "Opaque"]
