"""`Space`: the classes of equal expressions that extraction chooses from, with sums, products and signs kept in normal form.

An e-graph without patterns. A class is an integer; a reference is `2 * class + 1` for the negative of the class's value and `2 * class`
for the value itself, so that a sign costs nothing and `a - b`, `b - a` are one class. Constructors return a reference: they put a node *as
given* into the class of its normal form (sums flattened, like terms collected, rational content and sign pulled out; products flattened, powers
collected, rational factors pulled out). Two nodes that are equal by such rules alone are always in one class, however they were nested.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from ricci.dsl.types import Size
from ricci.egraph.polynomial import Key, Polynomial, multiply, primitive
from ricci.egraph.rational import Rational, content, over, tidy

ONE_KEY = ("const", 1)
FORM_LIMIT = 400  # a flattened sum or product with more members than this is an atom of what contains it
POLYNOMIAL_LIMIT = 64  # monomials of an expanded polynomial that serves as a key

Axes = frozenset[tuple[str, Size]]
SCALAR: Axes = frozenset()
Form = dict[int, Rational]  # class -> coefficient
Powers = dict[int, int]  # class -> exponent > 0
Fold = Callable[[str, Sequence[Rational]], Rational | None]  # value of a function at numbers, where it is a number


class Node(NamedTuple):
    """One way to compute a class. `children` are references; operators:

    leaf      payload a key: nothing to compute
    scale     payload q > 0, q != 1: q * child
    sum       children added, signs in the references
    power     payload k >= 2: child ** k
    product   children multiplied
    any other operator: payload is its own, positions of children matter
    """

    op: str
    payload: Hashable
    children: tuple[int, ...]

    @property
    def factor(self) -> Rational:
        """The number of a `scale`."""
        assert isinstance(self.payload, int | Fraction)
        return self.payload

    @property
    def exponent(self) -> int:
        """The exponent of a `power`."""
        assert isinstance(self.payload, int)
        return self.payload


class Space:
    """Classes, their nodes, and the constructors. All orders are orders of insertion: the same in every process."""

    def __init__(self, odd: Iterable[str] = ("recip",), even: Iterable[str] = (), fold: Fold = lambda name, numbers: None) -> None:
        self.up: list[int] = []
        self.nodes: list[dict[Node, int]] = []  # node -> sign: value of the class = sign * value of the node
        self.table: dict[Node, int] = {}
        self.users: list[list[Node]] = []
        self.axes: list[Axes] = []
        self.forms: dict[int, Form] = {}
        self.powers: dict[int, Powers] = {}
        self.scales: dict[int, tuple[Rational, int]] = {}
        self.polynomials: dict[int, Polynomial] = {}
        self.by_polynomial: dict[Key, int] = {}
        self.odd, self.even, self.fold = frozenset(odd), frozenset(even), fold
        self.constants: dict[int, Rational] = {}  # classes that are a number, repeated over their axes
        self.zeros: set[int] = set()  # those that are zero, which has no sign
        self.written: set[Node] = set()  # nodes of the source
        self.vouched: set[int] = set()  # classes of which a rule says that any node is stable
        self.trace: list[tuple[int, Node]] | None = None
        self._dirty: list[int] = []
        self.one = self.leaf(ONE_KEY)
        self.zero = self.leaf(("const", 0))
        self.constants[self.one >> 1] = 1
        self._is_zero(self.zero >> 1)

    # classes

    def find(self, ref: int) -> int:
        """The canonical reference of an equal value."""
        up = self.up
        sign, c = ref & 1, ref >> 1
        while up[c] >> 1 != c:
            parent = up[c]
            grand = up[parent >> 1]
            if grand >> 1 != parent >> 1:
                up[c] = grand ^ (parent & 1)
            sign ^= up[c] & 1
            c = up[c] >> 1
        return 2 * c if c in self.zeros else 2 * c + sign

    def classes(self) -> list[int]:
        """Canonical classes, oldest first."""
        return [c for c in range(len(self.up)) if self.up[c] >> 1 == c]

    def size(self) -> int:
        """Number of nodes."""
        return len(self.table)

    def _fresh(self, axes: Axes) -> int:
        c = len(self.up)
        self.up.append(2 * c)
        self.nodes.append({})
        self.users.append([])
        self.axes.append(axes)
        return c

    def put(self, node: Node, ref: int | None = None, axes: Axes | None = None) -> int:
        """State that `ref` has the value of `node` (a new class for None); returns the class's reference to it."""
        found = self.table.get(node)
        if found is not None:
            found = self.find(found)
            if ref is not None and self.find(ref) != found:
                self.union(ref, found)
                found = self.find(found)
        else:
            if ref is None:
                ref = 2 * self._fresh(self.axes_of(node) if axes is None else axes)
            found = self.find(ref)
            self.table[node] = found
            self.nodes[found >> 1][node] = found & 1
            for child in dict.fromkeys(r >> 1 for r in node.children):
                self.users[child].append(node)
        return found

    def note(self, node: Node, ref: int) -> int:
        """`put`, and remember the node as the one that the source wrote."""
        out = self.put(node, ref)
        if self.trace is not None:
            self.trace.append((out >> 1, node))
            self.written.add(node)
        return out

    def axes_of(self, node: Node) -> Axes:
        out: Axes = SCALAR
        for r in node.children:
            more = self.axes[self.find(r) >> 1]
            if not more <= out:
                out |= more
        return out

    def union(self, a: int, b: int) -> None:
        """State that two references have equal values; call `rebuild` before reading. One that lacks axes is repeated over them."""
        a, b = self.find(a), self.find(b)
        if self.axes[a >> 1] != self.axes[b >> 1]:
            axes = self.axes[a >> 1] | self.axes[b >> 1]
            a, b = self.expand(a, axes), self.expand(b, axes)
        if a == b:
            return
        if a >> 1 == b >> 1:  # only zero is its own negative
            b = self.expand(self.zero, self.axes[a >> 1])
            if a == b:
                return
        if a >> 1 > b >> 1:
            a, b = b, a
        keep, gone = a >> 1, b >> 1
        sign = (a ^ b) & 1
        number = self._same_number(a, b)
        self.up[gone] = 2 * keep + sign
        for node, s in self.nodes[gone].items():
            self.nodes[keep].setdefault(node, s ^ sign)
        self.nodes[gone] = {}
        self._merge_facts(keep, gone, sign)
        self.users[keep].extend(self.users[gone])
        self._dirty.append(keep)
        if number == 0:
            self._is_zero(keep)
        elif number is not None:
            self.constants[keep] = -number if a & 1 else number

    def _same_number(self, a: int, b: int) -> Rational | None:
        """The number that both references are; None if neither is known to be one."""
        first, second = self.constant(a), self.constant(b)
        if first is not None and second is not None and first != second:
            raise ContradictionError(f"{first} equals {second}")
        return second if first is None else first

    def _is_zero(self, c: int) -> None:
        self.zeros.add(c)
        self.constants[c] = 0
        for facts in (self.forms, self.powers, self.polynomials, self.scales):
            facts.pop(c, None)

    def _merge_facts(self, keep: int, gone: int, sign: int) -> None:
        form = self.forms.pop(gone, None)
        if form is not None and keep not in self.forms:
            self.forms[keep] = {c: -q for c, q in form.items()} if sign else form
        powers = self.powers.pop(gone, None)
        if powers is not None and not sign:
            self.powers.setdefault(keep, powers)
        scale = self.scales.pop(gone, None)
        if scale is not None:
            self._is_multiple(keep, scale[0], scale[1] ^ sign)
        self.polynomials.pop(gone, None)

    def rebuild(self) -> None:
        """Restore normal forms and congruence after unions."""
        while self._dirty:
            waiting: dict[Node, list[int]] = {}  # nodes, and the classes they use that have grown: each node is looked at once
            while self._dirty:
                keep = self.find(2 * self._dirty.pop()) >> 1
                users, self.users[keep] = self.users[keep], []
                for node in dict.fromkeys(users):
                    waiting.setdefault(node, []).append(keep)
            for node, used in waiting.items():
                if node not in self.table:
                    continue
                ref = self.find(self.table[node])
                fresh, flip = self._renewed(node)
                if fresh is not None and fresh == node:
                    for keep in used:  # a class that was joined to another meanwhile: the users of that one are looked at next
                        self.users[self.find(2 * keep) >> 1].append(node)
                    continue
                self.nodes[self.find(self.table.pop(node)) >> 1].pop(node, None)
                if fresh is not None and node in self.written:
                    self.written.add(fresh)
                again = self._made_again(node) if fresh is None else self.put(fresh, ref ^ flip) ^ flip
                if self.find(again) != self.find(ref):
                    self.union(again, ref)
                elif node.op == "scale" and not self.nodes[self.find(ref) >> 1]:
                    child = self.find(node.children[0])  # the factor of a base that is computed from it alone
                    self.put(Node("scale", node.payload, (child & ~1,)), self.find(ref) ^ (child & 1))

    def _renewed(self, node: Node) -> tuple[Node | None, int]:
        """The node with canonical children and the sign that came out of it; None where its normal form changed."""
        children = [self.find(r) for r in node.children]
        if node.op == "sum":
            if len({r >> 1 for r in children}) < len(children) or any(r >> 1 in self.zeros for r in children):
                return None, 0
            children.sort(key=lambda r: r >> 1)
            flip = children[0] & 1
            return Node("sum", None, tuple(r ^ flip for r in children)), flip
        if node.op == "product":
            flip = sum(r & 1 for r in children) & 1
            children = sorted(r & ~1 for r in children)
            if len(set(children)) < len(children) or children[0] == self.one or any(r >> 1 in self.zeros for r in children):
                return None, 0
            return Node("product", None, tuple(children)), flip
        if node.op in ("scale", "power") or node.op in self.odd or node.op in self.even:
            return (None, 0) if tuple(children) != node.children or children[0] >> 1 in self.zeros else (node, 0)
        if self._folded(node.op, children) is not None:
            return None, 0
        return Node(node.op, node.payload, tuple(children)), 0

    def current(self, node: Node) -> Node | None:
        """The node as it is written after unions; None where its normal form is another node."""
        return self._renewed(node)[0]

    def _made_again(self, node: Node) -> int:
        """`_make`; what the source wrote stays what the source wrote."""
        trace, self.trace = self.trace, [] if node in self.written else None
        again = self._make(node)
        self.trace = trace
        return again

    def _make(self, node: Node) -> int:
        """The node's value through its constructor."""
        if node.op == "sum":
            return self.sum([(1, r) for r in node.children])
        if node.op == "product":
            return self.product([(r, 1) for r in node.children])
        if node.op == "scale":
            return self.scale(node.factor, node.children[0])
        if node.op == "power":
            return self.product([(node.children[0], node.exponent)])
        return self.apply(node.op, node.children, node.payload)

    # constructors

    def leaf(self, key: Hashable, axes: Axes = SCALAR) -> int:
        """A value that is given: symbol, number, index."""
        node = Node("leaf", key, ())
        return self.note(node, self.put(node, None, axes))

    def number(self, q: Rational) -> int:
        return self.scale(tidy(q), self.one)

    def split(self, ref: int) -> tuple[Rational, int]:
        """(q, base) with value = q * base, base not a multiple of anything and positive."""
        ref = self.find(ref)
        q: Rational = -1 if ref & 1 else 1
        while (scale := self.scales.get(ref >> 1)) is not None:
            ref = self.find(scale[1])
            q *= -scale[0] if ref & 1 else scale[0]
        return q, ref & ~1

    def constant(self, ref: int) -> Rational | None:
        """The number that the value is, over whatever axes it is repeated; None if it is not known to be one."""
        q, base = self.split(ref)
        number = self.constants.get(base >> 1)
        return None if number is None else tidy(q * number)

    def _is_multiple(self, c: int, q: Rational, base: int) -> None:
        """Class c = q * base. The base is always the older class, so that following bases ends."""
        base = self.find(base)
        if base >> 1 < c:
            self.scales.setdefault(c, (q, base))
        elif base >> 1 > c:
            self.scales.setdefault(base >> 1, (over(1, q), 2 * c + (base & 1)))
            self.put(Node("scale", over(1, q), (2 * c,)), base)

    def scale(self, q: Rational, ref: int) -> int:
        """q * value."""
        inner, base = self.split(ref)
        as_given = self.find(ref)
        q_total = tidy(q * inner)
        if base >> 1 in self.zeros:
            return base
        if q_total == 0:
            return self.expand(self.zero, self.axes[base >> 1])
        negative = int(q_total < 0)
        size = -q_total if negative else q_total
        if size == 1:
            return base ^ negative
        node = Node("scale", size, (base,))
        out = self.put(node)
        self._is_multiple(out >> 1, size, base ^ (out & 1))
        if abs(inner) != 1 and abs(q) != 1 and base != self.one:
            self.note(Node("scale", abs(q), (as_given & ~1,)), out ^ negative ^ (as_given & 1) ^ int(q < 0))
        elif abs(inner) == 1 or base == self.one:
            self.note(node, out)
        return self.find(out) ^ negative

    def expand(self, ref: int, axes: Axes) -> int:
        """The value repeated over axes that it lacks."""
        if axes <= self.axes[self.find(ref) >> 1]:
            return self.find(ref)
        key = tuple(sorted(axes | self.axes[self.find(ref) >> 1]))
        q, base = self.split(ref)
        out = self.put(Node("expand", key, (base,)), None, frozenset(key))
        number = self.constants.get(base >> 1)
        if number == 0:
            self._is_zero(out >> 1)
        elif number is not None:
            self.constants[out >> 1] = -number if out & 1 else number
        return self.scale(q, out)

    def sum(self, parts: Sequence[tuple[Rational, int]]) -> int:
        """Sum of q_i * value_i."""
        axes: Axes = SCALAR
        merged: Form = {}
        for q, ref in parts:
            inner, base = self.split(ref)
            axes |= self.axes[base >> 1]
            if base >> 1 not in self.zeros:
                merged[base >> 1] = merged.get(base >> 1, 0) + q * inner
        merged = {c: q for c, q in merged.items() if q}
        out = self._sum_of(merged, flatten=True)
        if len(merged) > 1 and len(parts) == len(merged):
            given = [self.scale(q, ref) for q, ref in parts]
            order = sorted(given, key=lambda r: r >> 1)
            flip = order[0] & 1
            if len({r >> 1 for r in order}) == len(order):
                self.note(Node("sum", None, tuple(r ^ flip for r in order)), out ^ flip)
        elif len(merged) > 1:
            self._note_any(out)
        return self.expand(out, axes)

    def _note_any(self, ref: int) -> None:
        """Remember how a normal form is computed that the source wrote in a longer way."""
        if self.trace is None:
            return
        q, base = self.split(ref)
        nodes = self.nodes[base >> 1]
        node = next((n for n in nodes if n.op in ("sum", "product", "power")), None)
        if node is not None:
            for r in node.children:
                if self.split(r)[0] not in (1, -1):
                    self.scale(*self.split(r))
            self.note(node, base ^ nodes[node])
        if abs(q) != 1:
            self.scale(q, base)

    def _sum_of(self, merged: Form, flatten: bool) -> int:
        """Class of a sum whose members are not multiples of anything; its flattened form is the class's key."""
        merged = {c: q for c, q in merged.items() if c not in self.zeros}
        if not merged:
            return self.zero
        if len(merged) == 1:
            ((c, q),) = merged.items()
            return self.scale(q, 2 * c)
        trace, self.trace = self.trace, None
        out = self._sum_of_several(merged, flatten)
        self.trace = trace
        return out

    def _sum_of_several(self, merged: Form, flatten: bool) -> int:
        common = content(merged.values())
        order = sorted(merged)
        if merged[order[0]] < 0:
            common = -common
        members = {c: over(merged[c], common) for c in order}
        node = Node("sum", None, tuple(sorted((self.scale(q, 2 * c) for c, q in members.items()), key=lambda r: r >> 1)))
        flip = node.children[0] & 1
        node = Node("sum", None, tuple(r ^ flip for r in node.children))
        flat = self._flattened(members) if flatten else None
        if flat is None:
            out = self.put(node) ^ flip
            if out & 1 == 0:
                self.forms.setdefault(out >> 1, members)
            else:
                self.forms.setdefault(out >> 1, {c: -q for c, q in members.items()})
            out = self._join_polynomial(out, members)
        else:
            out = self._sum_of(flat, flatten=False)
            self.put(node, out ^ flip)
        return self.scale(common, out)

    def _flattened(self, members: Form) -> Form | None:
        """Members with sums among them replaced by theirs; None if there are none (or too many)."""
        nested = [c for c in members if c in self.forms and len(self.forms[c]) <= FORM_LIMIT]
        if not nested or sum(len(self.forms[c]) for c in nested) + len(members) > FORM_LIMIT:
            return None
        flat: Form = {}
        for c, q in members.items():
            inner = self.forms.get(c) if c in nested else None
            for d, p in (inner or {c: 1}).items():
                s, base = self.split(2 * d)
                flat[base >> 1] = flat.get(base >> 1, 0) + q * p * s
        return {c: q for c, q in flat.items() if q}

    def product(self, parts: Sequence[tuple[int, int]]) -> int:
        """Product of value_i ** k_i, k_i >= 1. Numbers among them stand outside; multiples go outside in the normal form."""
        number: Rational = 1
        axes: Axes = SCALAR
        given: Powers = {}
        for ref, k in parts:
            q, base = self.split(ref)
            axes |= self.axes[base >> 1]
            if base >> 1 in self.zeros:
                return self.expand(self.zero, self.axes_of(Node("", None, tuple(r for r, _ in parts))))
            if base == self.find(self.one):
                number *= q**k
            else:
                ref = self.find(ref)
                number *= (-1) ** (ref & k & 1)
                given[ref & ~1] = given.get(ref & ~1, 0) + k
        return self.expand(self.scale(number, self._product_as_given(given)), axes)

    def _product_as_given(self, given: Powers) -> int:
        """Product of references, each to a power: a node of just these in the class of the normal form."""
        q: Rational = 1
        merged: Powers = {}
        for ref, k in given.items():
            inner, base = self.split(ref)
            q *= inner**k
            merged[base >> 1] = merged.get(base >> 1, 0) + k
        factors: dict[int, None] = {}
        for ref, k in given.items():
            factor = self.scale_quietly(self.split(ref)[0] ** k, self._power(self.split(ref)[1] >> 1, k))
            if k > 1:
                factor = self.note(Node("power", k, (self.find(ref),)), factor)
            factors[factor] = None
        out = self.scale_quietly(q, self._product_of(merged))
        if len(factors) > 1 and len({r >> 1 for r in factors}) == len(given):
            flip = sum(r & 1 for r in factors) & 1
            self.note(Node("product", None, tuple(sorted(r & ~1 for r in factors))), out ^ flip)
        elif len(factors) > 1:
            self._note_any(out)
        return self.find(out)

    def scale_quietly(self, q: Rational, ref: int) -> int:
        """`scale` as part of a normal form, not as something that the source wrote."""
        trace, self.trace = self.trace, None
        out = self.scale(q, ref)
        self.trace = trace
        return out

    def _product_of(self, merged: Powers) -> int:
        """Class of a product of classes that are not multiples; its flattened powers are the class's key."""
        if not merged:
            return self.one
        flat, q = self._flat_powers(merged)
        if sum(flat.values()) > FORM_LIMIT:
            flat, q = merged, 1
        out = self.expand(self.scale_quietly(q, self._flat_product(flat)), self._axes_of(merged))
        if merged != flat:
            self._put_product([self._power(c, k) for c, k in sorted(merged.items())], out)
        return self.find(out)

    def _axes_of(self, classes: Iterable[int]) -> Axes:
        return SCALAR.union(*(self.axes[self.find(2 * c) >> 1] for c in classes))

    def _flat_powers(self, merged: Powers) -> tuple[Powers, Rational]:
        """Powers with products among the bases replaced by theirs, and the number that comes out."""
        flat: Powers = {}
        number: Rational = 1
        for c, k in merged.items():
            for d, e in self.powers.get(c, {c: 1}).items():
                q, base = self.split(2 * d)
                known = self.constants.get(base >> 1)
                if known is None:
                    flat[base >> 1] = flat.get(base >> 1, 0) + e * k
                if q != 1 or known is not None:
                    number *= (q if known is None else q * known) ** (e * k)
        for a, b in self._inverses():
            k = min(flat.get(a, 0), flat.get(b, 0))
            for c in (a, b) if k else ():
                flat[c] -= k
        return {c: k for c, k in sorted(flat.items()) if k}, tidy(number)

    def _inverses(self) -> list[tuple[int, int]]:
        """Pairs of classes whose product is known to be one."""
        nodes = [n for c, q in self.constants.items() if q == 1 for n in self.nodes[c] if n.op == "product" and len(n.children) == 2]
        return [(self.find(n.children[0]) >> 1, self.find(n.children[1]) >> 1) for n in nodes]

    def _put_product(self, children: Sequence[int], ref: int | None) -> int:
        """The node of these factors in the class of `ref` (a new class for None)."""
        if len(children) == 1 or len({r >> 1 for r in children}) < len(children):
            return children[0] if ref is None else self.find(ref)
        sign = sum(r & 1 for r in children) & 1
        node = Node("product", None, tuple(sorted(r & ~1 for r in children)))
        return self.put(node, None if ref is None else ref ^ sign) ^ sign

    def _flat_product(self, flat: Powers) -> int:
        if not flat:
            return self.one
        out = self._put_product([self._power_of_atom(c, k) for c, k in flat.items()], None)
        if len(flat) > 1 and not out & 1:
            self.powers.setdefault(out >> 1, flat)
        return self._join_product(out, flat)

    def _power_of_atom(self, c: int, k: int) -> int:
        if k == 1:
            return self.find(2 * c)
        ref = self.find(2 * c)
        out = self.put(Node("power", k, (ref & ~1,))) ^ (ref & k & 1)
        if not out & 1:
            self.powers.setdefault(out >> 1, {c: k})
        return self._join_product(out, {c: k})

    def _power(self, c: int, k: int) -> int:
        flat = self.powers.get(c)
        if k == 1 or flat is None:
            return self._power_of_atom(c, k)
        flat, q = self._flat_powers({c: k})
        return self.put(Node("power", k, (2 * c,)), self.expand(self.scale_quietly(q, self._flat_product(flat)), self._axes_of([c])))

    def apply(self, op: str, children: Sequence[int], payload: Hashable = None, axes: Axes | None = None) -> int:
        """Any other operator. Signs pass through odd functions and vanish in even ones."""
        refs = [self.find(r) for r in children]
        sign = 0
        folded = self._folded(op, refs)
        if folded is not None:
            return self.expand(self.number(folded), self.axes_of(Node(op, None, tuple(refs))))
        if op == "recip":
            return self._reciprocal(refs[0])
        if op in self.odd:
            sign = refs[0] & 1
            refs[0] &= ~1
        elif op in self.even:
            refs[0] &= ~1
        node = Node(op, payload, tuple(refs))
        return self.note(node, self.put(node, None, axes)) ^ sign

    def _folded(self, op: str, refs: Sequence[int]) -> Rational | None:
        """The number that a function is, where all arguments are numbers."""
        numbers = [number for r in refs if (number := self.constant(r)) is not None]
        return self.fold(op, numbers) if refs and len(numbers) == len(refs) else None

    def _reciprocal(self, ref: int) -> int:
        """1 / value: over a product it is the product of reciprocals, over a multiple the multiple of the inverse."""
        q, base = self.split(ref)
        node = Node("recip", None, (self.find(ref) & ~1,))
        if base >> 1 in self.zeros:
            return self.note(node, self.put(node))
        number = self.constant(ref)
        if number is not None:
            return self.expand(self.number(over(1, number)), self.axes[base >> 1])
        trace, self.trace = self.trace, None
        powers = self.powers.get(base >> 1)
        if powers is None or self._argument(base, "recip") is not None:
            out = self._inverse(base)
        else:  # factors may be products by now, of this very class, too: they are taken as they are
            out = self.product([(self._inverse(2 * c), k) for c, k in powers.items()])
        out = self.scale(over(1, q), out)
        self.trace = trace
        return self.note(node, out ^ (self.find(ref) & 1)) ^ (self.find(ref) & 1)

    def _inverse(self, ref: int) -> int:
        """1 / value of a value that is not taken apart."""
        q, base = self.split(ref)
        number = self.constants.get(base >> 1)
        if number:
            return self.expand(self.number(over(1, q * number)), self.axes[base >> 1])
        inner = self._argument(base, "recip")
        return self.scale(over(1, q), self.put(Node("recip", None, (base,))) if inner is None else inner)

    def _argument(self, ref: int, op: str) -> int | None:
        for node in self.nodes[ref >> 1]:
            if node.op == op:
                return self.find(node.children[0]) ^ self.nodes[ref >> 1][node]
        return None

    # polynomials as keys

    def polynomial(self, ref: int) -> Polynomial:
        """The value as a polynomial in classes that are neither sums nor products, expanded where small."""
        q, base = self.split(ref)
        inner = self.polynomials.get(base >> 1)
        if inner is None:
            inner = {((base >> 1, 1),): 1} if base != self.find(self.one) else {(): 1}
        return inner if q == 1 else {m: q * p for m, p in inner.items()}

    def _join_polynomial(self, out: int, members: Form) -> int:
        """Join the class with the class of an equal polynomial."""
        if sum(len(self.polynomials.get(c, ())) or 1 for c in members) > POLYNOMIAL_LIMIT:
            return out
        total: Polynomial = {}
        for c, q in members.items():
            for m, p in self.polynomial(2 * c).items():
                total[m] = total.get(m, 0) + p * q
        return self._join(out, {m: p for m, p in total.items() if p})

    def _join_product(self, out: int, flat: Powers) -> int:
        total: Polynomial = {(): 1}
        for c, k in flat.items():
            factor = self.polynomial(2 * c)
            for _ in range(k):
                if len(factor) * len(total) > POLYNOMIAL_LIMIT or k > POLYNOMIAL_LIMIT:
                    return out
                total = multiply(total, factor)
        return self._join(out, total)

    def _join(self, out: int, polynomial: Polynomial) -> int:
        if not polynomial or (out >> 1) in self.polynomials:
            return out
        self.polynomials[out >> 1] = {m: -p if out & 1 else p for m, p in polynomial.items()}
        if list(polynomial.values()) == [1] and out >> 1 not in self.forms:
            return out
        key, common = primitive(polynomial)
        found = self.by_polynomial.get(key)
        if found is None:
            if common in (1, -1):
                self.by_polynomial[key] = out ^ int(common < 0)
            return out
        if self.axes[(same := self.scale(common, found)) >> 1] == self.axes[self.find(out) >> 1]:
            self.union(same, out)
        return self.find(out)


class ContradictionError(Exception):
    """Two values that cannot be equal were stated to be."""
