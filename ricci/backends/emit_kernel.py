"""A `Kernel` as the text of one numba function over flat arenas.

Signature: arenas used, then per array its address and strides, sizes of dims, scalars, the slab begin..end of the shared axis.
Totals are returned. The innermost stride of every array is 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ricci.backends.expressions import Expressions, Frame
from ricci.backends.lanes import fold_loops, in_vectors, leaf_axes, may_be_nan
from ricci.backends.source import Namespace, comment, grouped
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Size
from ricci.lowering import kernel as ir
from ricci.lowering.kernel import Kernel, Load, Loop, Number, Statement

ARENAS = {Kind.REAL: "F", Kind.INT: "I", Kind.BOOL: "B", Kind.COMPLEX: "Z"}
OWN_NAMES = frozenset(
    (
        "F", "I", "B", "Z", "nan", "larger", "smaller", "any_lane", "begin", "end", "fma", "choose", "maximum", "minimum",
        "to_real", "to_int", "infinity", "float32", "math", "cmath", "np", "njit", "mirrored", "around", "square_root",
        "round_down", "round_up", "round_even", "magnitude", "elementary", "sum_lanes",
        "prefetch", "product_lanes", "maximum_lanes", "minimum_lanes", "a", "c",
    )
)  # fmt: skip
STREAMS = 12  # rows of one array that are read side by side, beyond which the hardware does not see what comes next
AHEAD = 16  # vectors
SHORT_BODY = 32  # lines; a vector loop up to this long is written twice, so that only its last vector needs a mask
EXACT = ("max", "min", "any", "all")  # reductions that round nothing
IDENTITIES = {"sum": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}


@dataclass(frozen=True)
class Argument:
    """One argument of a kernel function.

    what: ('arena', kind) | ('address', array) | ('stride', array, d) | ('dim', name) | ('scalar', term) | ('slab', which)
    """

    what: tuple[object, ...]
    name: str


@dataclass(frozen=True)
class Emitted:
    """Text of a kernel function, and what the caller passes and gets back."""

    name: str
    arguments: tuple[Argument, ...]
    body: tuple[str, ...]
    totals: tuple[tuple[Term, str], ...]
    canonical: str = ""  # the text with names by order of appearance: equal ones are one function


@dataclass
class KernelWriter:
    """Writes one kernel. `lanes`: vector length for reals (1: no vectors)."""

    kernel: Kernel
    lanes: int
    single: bool = False
    names: Namespace = field(default_factory=Namespace)
    frames: list[Frame] = field(default_factory=list)
    axes: dict[str, tuple[str, int]] = field(default_factory=dict)  # axis -> (variable, depth)
    locals: dict[Term, tuple[str, int]] = field(default_factory=dict)  # Lets and finished totals
    addresses: dict[tuple[str, tuple[Index, ...]], tuple[str, int]] = field(default_factory=dict)
    vector: tuple[str, str] | None = None  # axis of the open vector loop, and how many lanes are left where that may be few
    accumulators: dict[Term, tuple[str, str | None]] = field(default_factory=dict)  # total -> scalar and vector accumulator
    flags: dict[Term, tuple[str, str]] = field(default_factory=dict)  # total -> whether a NaN was met, in scalars and in lanes
    written: frozenset[str] = frozenset()
    inner_totals: set[Term] = field(default_factory=set)  # accumulators begun inside the open vector loop
    operations: dict[Term, str] = field(default_factory=dict)
    dims: dict[str, None] = field(default_factory=dict)

    def write(self) -> Emitted:
        self.names.reserve(*OWN_NAMES)
        terms = [*ir.values(self.kernel.body), *self.kernel.computed.values()]
        uses = count_uses(terms)
        self.written = frozenset(s.array for s in ir.statements(self.kernel.body) if isinstance(s, (ir.Store, ir.Add)))
        for array in self.kernel.arrays:
            self.names.of(("address", array.name), array.name)
            for d in range(array.rank - 1):
                self.names.of(("stride", array.name, d), f"{array.name}_stride{d if array.rank > 2 else ''}")
        for scalar in (s for s in self.kernel.scalars if not name_of(s).startswith("#")):
            self.names.of(("scalar", scalar), name_of(scalar))
        self.text = Expressions(self.frames, self._leaf_depth, self._leaf_text, self.names.fresh, uses, self.single)
        self.frames.append(Frame(0))
        self._statements(self.kernel.body)
        lines = self.frames.pop().lines
        if self.kernel.totals:
            lines.append("return " + ", ".join(self._returned(t, operation) for t, operation in self.kernel.totals) + ",")
        elif not lines:
            lines.append("pass")
        header = [comment(note) for note in self.kernel.notes]
        arguments = self._arguments(lines)
        canonical = canonical_text([", ".join(a.name for a in arguments), *lines], self.names.taken - OWN_NAMES)
        return Emitted(self.kernel.name, arguments, tuple(header + lines), self.kernel.totals, canonical)

    def _returned(self, total: Term, operation: str) -> str:
        """A total, of exactly the type that the caller takes it for."""
        text = self.locals[total][0]
        return f"float32({text})" if self.single and total.kind == Kind.REAL and operation in EXACT else text

    # statements

    def _statements(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Loop):
                self._loop(statement)
            elif isinstance(statement, ir.Let):
                name = self.text.named(statement.value, "new")
                self._forget(statement.name)
                self.locals[statement.name] = (name, len(self.frames) - 1)
            elif isinstance(statement, ir.Begin):
                self._begin(statement, body)
            elif isinstance(statement, ir.Fold):
                self._fold(statement)
            elif isinstance(statement, ir.End):
                self._end(statement)
            elif isinstance(statement, ir.Store):
                self._store(statement)
            else:
                self._add(statement)

    def _loop(self, loop: Loop) -> None:
        shared = loop.axis == self.kernel.shared and loop.axis not in self.axes
        if (loop.hi - loop.lo) == 1 and not shared:
            self._once(loop)
            return
        variable = self.names.fresh(loop.axis)
        lo, hi = self._size(loop.lo), self._size(loop.hi)
        if shared:
            lo = "begin" if loop.lo == self.kernel.start else f"max({lo}, begin)"
            hi = "end" if loop.hi == self.kernel.start + self.kernel.extent else f"min({hi}, end)"
        self.axes[loop.axis] = (variable, len(self.frames))
        if self.vector is None and in_vectors(loop, self.kernel, self.lanes):
            self._vector_loop(loop, variable, lo, hi)
        else:
            body = self._loop_body(loop)
            if body:
                self.frames[-1].lines += [f"for {variable} in range({lo}, {hi}):", *body]
        del self.axes[loop.axis]

    def _vector_loop(self, loop: Loop, variable: str, lo: str, hi: str) -> None:
        """Whole vectors, then a masked one; a long body is written once, every vector under a mask."""
        lanes = self.lanes
        stop = self._bound("stop", hi)
        self.vector = (loop.axis, "")
        body = self._loop_body(loop)
        self.vector = (loop.axis, f"{stop} - {variable}")
        if 0 < len(body) <= SHORT_BODY:
            whole = self._bound("whole", f"{stop} - {stop} % {lanes}" if lo == "0" else f"{stop} - ({stop} - {grouped(lo)}) % {lanes}")
            self.frames[-1].lines += [f"for {variable} in range({lo}, {whole}, {lanes}):", *body]
            lo = f"max({whole}, {lo})"
        body = self._loop_body(loop)
        self.vector = None
        if body:
            self.frames[-1].lines += [f"for {variable} in range({lo}, {stop}, {lanes}):", *body]

    def _forget(self, name: Term) -> None:
        """A name gets a new value: a loop of one turn, which is no scope, gave it another one before."""
        if self.locals.pop(name, None) is not None:
            self.text.forget(name)

    def _loop_body(self, loop: Loop) -> list[str]:
        self.frames.append(Frame(len(self.frames)))
        if self.vector is not None and self.vector[0] == loop.axis:
            self._prefetch(loop)
        self._statements(loop.body)
        inner = self.frames.pop()
        self.locals = {t: v for t, v in self.locals.items() if v[1] < len(self.frames)}
        self.addresses = {k: v for k, v in self.addresses.items() if v[1] < len(self.frames)}
        return ["    " + line for line in inner.lines]

    def _prefetch(self, loop: Loop) -> None:
        """Ask for what is needed next where many rows are read: of each array the row that the next turn of the slab's loop begins with, and in
        the rows of other turns what lies a few vectors ahead."""
        slab = self.kernel.shared
        if slab is None or slab == loop.axis or slab not in self.axes:
            return
        rows: dict[str, dict[tuple[Index, ...], int]] = {}
        for term in ir.symbols(list(ir.values(loop.body))):
            leaf = self.kernel.leaves.get(term)
            if isinstance(leaf, Load) and leaf.index[-1].axes == {loop.axis} and (lead := _lead(leaf.index[0], slab)) is not None:
                rows.setdefault(leaf.array, {})[leaf.index[:-1]] = lead
        if max(map(len, rows.values()), default=0) <= STREAMS:
            return
        variable = self.axes[loop.axis][0]
        for array, own in rows.items():
            arena = ARENAS[self.kernel.array(array).kind]
            for outer in [outer for outer, lead in own.items() if lead or len(own) == 1]:
                self._line(f"prefetch({arena}, {self._row(array, outer)} + {variable} + {AHEAD * self.lanes})")
            foremost = max(own, key=own.__getitem__)
            row = self._row(array, tuple(e.substitute({slab: Index.axis(slab) + 1}) for e in foremost))
            self._line(f"prefetch({arena}, {row} + {variable})")

    def _bound(self, wish: str, text: str) -> str:
        if text.isidentifier() or text.isdigit():
            return text
        name = self.names.fresh(wish)
        self._line(f"{name} = {text}")
        return name

    def _once(self, loop: Loop) -> None:
        """A loop of one turn: its indices are constants already."""
        hidden = self.axes.get(loop.axis)
        self.axes[loop.axis] = (self._size(loop.lo), len(self.frames) - 1)
        self._statements(loop.body)
        del self.axes[loop.axis]
        if hidden is not None:
            self.axes[loop.axis] = hidden

    def _begin(self, statement: ir.Begin, body: Sequence[Statement]) -> None:
        """Accumulators at the identity: a scalar one, and one of vectors if a vector loop folds into it."""
        self._forget(statement.total)
        folds = fold_loops(body, statement.total, self.kernel, self.lanes)
        wish = name_of(statement.total)
        inside = self.vector is not None
        start = self._identity(statement.operation, statement.total)
        scalar = wide = None
        if inside:
            self.inner_totals.add(statement.total)
            wide = self.names.fresh(wish)
            self._line(f"{wide} = spread{self.lanes}({start})")
        else:
            if False in folds or True not in folds:
                scalar = self.names.fresh(wish)
                self._line(f"{scalar} = {start}")
            if True in folds:
                wide = self.names.fresh(f"{wish}_lanes")
                self._line(f"{wide} = spread{self.lanes}({start})")
        self.accumulators[statement.total] = (scalar or "", wide)
        if statement.operation in ("max", "min") and statement.total.kind == Kind.REAL and may_be_nan(body, statement.total):
            self.flags[statement.total] = (self.names.fresh(f"{wish}_nan"), self.names.fresh(f"{wish}_nans"))
            flag, flags = self.flags[statement.total]
            if scalar:
                self._line(f"{flag} = False")
            if wide:
                self._line(f"{flags} = spread{self.lanes}(False)")
        self.operations[statement.total] = statement.operation

    def _identity(self, operation: str, total: Term) -> str:
        """What a reduction begins with; sums over all points have 64 bits, for millions of numbers of 32 bits leave few right digits."""
        kind = total.kind
        if kind == Kind.BOOL:
            return "False" if operation == "any" else "True"
        if kind == Kind.INT:
            return {"sum": "0", "prod": "1", "max": "(-9223372036854775807 - 1)", "min": "9223372036854775807"}[operation]
        whole = self.single and operation not in EXACT and any(t == total for t, _ in self.kernel.totals)
        text = repr(IDENTITIES[operation]) if whole else self.text.real(IDENTITIES[operation])
        return text if kind == Kind.REAL else f"complex({text}, 0.0)"

    def _fold(self, statement: ir.Fold) -> None:
        operation, kind = self.operations[statement.total], statement.total.kind
        value = self.text.value(statement.value)
        scalar, wide = self.accumulators[statement.total]
        if self.vector is None:
            name = scalar
        else:
            assert wide is not None
            name = wide
            if self.vector[1] and statement.total not in self.inner_totals:
                value = f"keep{self.lanes}({value}, {self.vector[1]}, {self._identity(operation, statement.total)})"
        if operation in ("max", "min") and kind == Kind.REAL:
            if not value.isidentifier():
                self._line(f"{(fresh := self.names.fresh('a'))} = {value}")
                value = fresh
            if statement.total in self.flags:
                flag = self.flags[statement.total][self.vector is not None]
                self._line(f"{flag} = {flag} | ({value} != {value})")
            self._line(f"{name} = {'larger' if operation == 'max' else 'smaller'}({value}, {name})")
            return
        self._line(f"{name} = {joined(operation, kind, name, value)}")

    def _end(self, statement: ir.End) -> None:
        total = statement.total
        scalar, wide = self.accumulators.pop(total)
        operation, kind = self.operations[total], total.kind
        flag, flags = self.flags.pop(total, ("", ""))
        if total in self.inner_totals or wide is None:
            text = wide or scalar
            if flag:
                name = self.names.fresh(name_of(total))
                self._line(f"{name} = choose({flags if wide else flag}, nan, {text})")
                text = name
            self.locals[total] = (text, len(self.frames) - 1)
            self.inner_totals.discard(total)
            return
        across = {"sum": "sum_lanes", "prod": "product_lanes", "max": "maximum_lanes", "min": "minimum_lanes"}[operation]
        name = self.names.fresh(name_of(total))
        text = f"{across}({wide})"
        text = joined(operation, kind, scalar, text) if scalar else text
        if flag:
            text = f"choose({f'{flag} | ' if scalar else ''}any_lane({flags}), nan, {text})"
        self._line(f"{name} = {text}")
        self.locals[total] = (name, len(self.frames) - 1)

    def _store(self, statement: ir.Store) -> None:
        value = self.text.value(statement.value)
        arena = ARENAS[self.kernel.array(statement.array).kind]
        at = self._address(statement.array, statement.index)
        if self.vector is not None and self.vector[1]:
            self._line(f"store_part{self.lanes}({arena}, {at}, {value}, {self.vector[1]})")
        elif self.vector is not None:
            self._line(f"store{self.lanes}({arena}, {at}, {value})")
        else:
            self._line(f"store1({arena}, {at}, {value})")

    def _add(self, statement: ir.Add) -> None:
        value = self.text.value(statement.value)
        arena = ARENAS[self.kernel.array(statement.array).kind]
        place = self._address(statement.array, statement.index)
        line = f"store1({arena}, {place}, load1({arena}, {place}) + {value})"
        if statement.guards:
            self._line(f"if {self._guards(statement.guards)}:")
            self._line("    " + line)
        else:
            self._line(line)

    def _line(self, text: str) -> None:
        self.frames[-1].lines.append(text)

    # leaves

    def _leaf_depth(self, term: Term) -> int:
        if term in self.locals:
            return self.locals[term][1]
        leaf = self.kernel.leaves.get(term)
        if leaf is None:
            return 0
        depth = max((self._axis_depth(axis) for axis in leaf_axes(leaf)), default=0)
        # what this kernel stores is read inside its outer loop, never before it
        return max(depth, min(1, len(self.frames) - 1)) if isinstance(leaf, Load) and leaf.array in self.written else depth

    def _axis_depth(self, axis: str) -> int:
        if axis in self.kernel.computed:
            return self.text.depth(self.kernel.computed[axis])
        return self.axes[axis][1]

    def _leaf_text(self, term: Term) -> str:
        if term in self.locals:
            return self.locals[term][0]
        leaf = self.kernel.leaves.get(term)
        if leaf is None:
            return self._scalar(term)
        if isinstance(leaf, Load):
            return self._load(leaf)
        if isinstance(leaf, Number):
            return self._number(leaf.index)
        return self._guards(leaf.guards)

    def _scalar(self, term: Term) -> str:
        name = name_of(term)
        if name.startswith("#"):
            self.dims[name[1:]] = None
            return self.names.dim(name[1:])
        return self.names.of(("scalar", term), name)

    def _load(self, leaf: Load) -> str:
        array = self.kernel.array(leaf.array)
        arena = ARENAS[array.kind]
        varies = self.vector is not None and any(self.vector[0] in e.axes for e in leaf.index)
        at = self._address(leaf.array, leaf.index)
        text = f"load{self.lanes if varies else 1}({arena}, {at})"
        if not leaf.guards:
            return text
        zero = {Kind.REAL: self.text.real(0.0), Kind.INT: "0", Kind.BOOL: "False", Kind.COMPLEX: "complex(0.0, 0.0)"}[array.kind]
        zero = f"spread{self.lanes}({zero})" if varies else zero
        return f"({text} if {self._guards(leaf.guards)} else {zero})"

    def _number(self, index: Index) -> str:
        if self.vector is None or self.vector[0] not in index.axes:
            return self._index(index)
        axis = self.vector[0]
        k = index.coefficient(axis)
        rest = index - Index.axis(axis) * k
        if k == 1:
            return f"ramp{self.lanes}({self._index(rest + Index.axis(axis))})"
        text = f"ramp{self.lanes}({self.axes[axis][0]}) * {self._size(k)}"
        return text if not rest.terms and rest.constant == 0 else f"{text} + {grouped(self._index(rest))}"

    def _guards(self, guards: Iterable[Guard]) -> str:
        parts: list[str] = []
        for guard in guards:
            inner = grouped(self._number(guard.index))
            if guard.lo is not None and guard.hi is not None and (guard.hi - guard.lo) == 1:
                parts.append(f"({inner} == {self._size(guard.lo)})")
                continue
            if guard.lo is not None:
                parts.append(f"({inner} >= {self._size(guard.lo)})")
            if guard.hi is not None:
                parts.append(f"({inner} < {self._size(guard.hi)})")
        return grouped(" & ".join(parts)) if parts else "True"

    # addresses

    def _index(self, index: Index) -> str:
        self._note_dims(index)
        variables = {}
        for axis in index.axes:
            if axis in self.kernel.computed:
                variables[axis] = self.text.named(self.kernel.computed[axis], "position")
            else:
                variables[axis] = self.axes[axis][0]
        return self.names.index(index, variables)

    def _size(self, size: Size) -> str:
        for dim in size.dims:
            self.dims[dim.name] = None
        return self.names.size(size)

    def _note_dims(self, index: Index) -> None:
        for _, size in sizes_in(index):
            for dim in size.dims:
                self.dims[dim.name] = None

    def _address(self, array: str, index: tuple[Index, ...]) -> str:
        """address of the row (hoisted to the loop that fixes it) + the index along it."""
        row, last = self._row(array, index[:-1]), index[-1]
        text = self._index(last)
        if text == "0":
            return row
        return f"{row} - {text[1:]}" if text.startswith("-") else f"{row} + {text}"

    def _row(self, array: str, outer: tuple[Index, ...]) -> str:
        base = self.names.of(("address", array), array)
        if not outer or all(not e.terms and e.constant == 0 for e in outer):
            return base
        known = self.addresses.get((array, outer))
        if known is not None:
            return known[0]
        parts = [base]
        depth = 0
        for d, e in enumerate(outer):
            depth = max([depth, *(self._axis_depth(axis) for axis in e.axes)])
            if not e.terms and e.constant == 0:
                continue
            stride = self.names.of(("stride", array, d), f"{array}_stride{d}")
            text = self._index(e)
            sign = "-" if text.startswith("-") and text[1:].isalnum() else "+"
            text = text[1:] if sign == "-" else text
            parts.append(f"{sign} {grouped(text)}*{stride}" if text != "1" else f"{sign} {stride}")
        name = self.names.fresh(f"{array}_row")
        self.frames[depth].lines.append(f"{name} = {' '.join(parts)}")
        self.addresses[array, outer] = (name, depth)
        return name

    # signature

    def _arguments(self, lines: Sequence[str]) -> tuple[Argument, ...]:
        kinds = dict.fromkeys(array.kind for array in self.kernel.arrays)
        out = [Argument(("arena", kind), ARENAS[kind]) for kind in sorted(kinds, reverse=True)]
        for array in self.kernel.arrays:
            out.append(Argument(("address", array.name), self.names.of(("address", array.name), array.name)))
            out += [Argument(("stride", array.name, d), self.names.of(("stride", array.name, d), "")) for d in range(array.rank - 1)]
        out += [Argument(("dim", dim), self.names.dim(dim)) for dim in self.dims]
        for scalar in self.kernel.scalars:
            if not name_of(scalar).startswith("#"):
                out.append(Argument(("scalar", scalar), self.names.of(("scalar", scalar), "")))
        if self.kernel.shared is not None:
            out += [Argument(("slab", "begin"), "begin"), Argument(("slab", "end"), "end")]
        return tuple(out)


def _lead(e: Index, axis: str) -> int | None:
    """How far ahead of a loop an index is; None where it does not follow the loop one by one."""
    if len(e.terms) != 1 or e.terms[0][1] != 1:
        return None
    atom = e.terms[0][0]
    if atom.kind == "axis":
        return e.constant.constant if atom.axis == axis else None
    inner = atom.inner
    near = e.constant == 0 and len(inner.terms) == 1 and inner.terms[0][0].kind == "axis" and inner.terms[0][1] == 1
    return inner.constant.constant if near and inner.axes == {axis} else None


def canonical_text(lines: Sequence[str], names: set[str]) -> str:
    """Lines with each of the names replaced by the number of its first appearance."""
    numbers: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        word = match.group()
        return numbers.setdefault(word, f"${len(numbers)}") if word in names else word

    return re.sub(r"[A-Za-z_]\w*", numbered, "\n".join(lines))


def joined(operation: str, kind: Kind, left: str, right: str) -> str:
    """Text of operation(left, right)."""
    if operation == "sum":
        return f"{left} + {right}"
    if operation == "prod":
        return f"{left} * {grouped(right)}"
    if operation in ("any", "all"):
        return f"{left} {'|' if operation == 'any' else '&'} {grouped(right)}"
    if kind == Kind.INT:
        return f"{operation}({left}, {right})"
    return f"{'maximum' if operation == 'max' else 'minimum'}({left}, {right})"


def count_uses(roots: Iterable[Term]) -> dict[Term, int]:
    """How many users each term of an expression graph has."""
    uses: dict[Term, int] = {}
    roots = list(roots)
    for root in roots:
        uses[root] = uses.get(root, 0) + 1
    for term in walk(roots):
        for a in term.args:
            uses[a] = uses.get(a, 0) + 1
    return uses


def sizes_in(index: Index) -> list[tuple[str, Size]]:
    """Every size that the text of an index mentions."""
    found = [("", index.constant)]
    stack = [index]
    while stack:
        e = stack.pop()
        for atom, k in e.terms:
            found.append(("", k))
            if atom.kind != "axis":
                found.append(("", atom.size))
                found.append(("", atom.inner.constant))
                stack.append(atom.inner)
    return found
