"""A `Plan` as the text of a module: one function per kernel, and drivers that run the steps in order.

A driver runs the steps between two calls into Python libraries. It has the arguments

  code             addresses of the compiled kernels
  F I B Z          arenas of reals, ints, truth values, complex numbers
  address stride   of the slots, in elements;  size: extents of dims
  real whole cplx  scalar inputs and results (truth values are ints); of 64 bits, also where arrays have 32: time goes on in small steps
  part ipart zpart partial sums, one row of 64 a total
  me threads gate  this thread, how many, and the barrier
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ricci.backends.emit_kernel import ARENAS, EXACT, OWN_NAMES, Emitted, KernelWriter, count_uses, joined
from ricci.backends.emit_tiles import LOCALS, TileWriter
from ricci.backends.executable import Segment, Signature
from ricci.backends.expressions import Expressions, Frame
from ricci.backends.source import MEETING, Namespace, comment
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.lowering.kernel import Array, Kernel, Load
from ricci.lowering.schedule.plan import (
    Assign,
    Call,
    Launch,
    Plan,
    Put,
    Rebind,
    Repeat,
    Routine,
    Step,
    Swap,
    Table,
    While,
    Window,
    steps_of,
)
from ricci.lowering.tiling import Tiling

ARGUMENTS = "code, F, I, B, Z, address, stride, size, real, whole, cplx, part, ipart, zpart, me, threads, gate"
DRIVER_NAMES = frozenset(ARGUMENTS.split(", ")) | frozenset(
    [
        "gone",
        "invoke",
        *[f"{word}_{k}" for word in ("count", "begin", "end") for k in range(1000)],
        "complex64",
        "piece",
        "count",
        "meet",
        "pieces",
        "edge",
        "band",
        "seen",
        "range",
        "min",
        "max",
        "first",
        "last",
        "k",
        *LOCALS,
    ]
)
ROUTINE_CALL = "invoke(code["
SCALAR_ARRAYS = {Kind.REAL: "real", Kind.INT: "whole", Kind.BOOL: "whole", Kind.COMPLEX: "cplx"}
PARTIALS = {Kind.REAL: "part", Kind.INT: "ipart", Kind.BOOL: "ipart", Kind.COMPLEX: "zpart"}


@dataclass
class DriverWriter:
    """Writes the drivers of a plan, given its emitted kernels by the identity of their launch and how its loops may overlap."""

    plan: Plan
    kernels: Mapping[int, tuple[Kernel, Emitted]]
    tilings: Mapping[int, Tiling] = field(default_factory=dict)
    single: bool = False
    signature: Signature = field(default_factory=Signature)
    rows: dict[Term, tuple[str, int]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)

    def write(self) -> list[str]:
        """Text of all drivers."""
        self._number()
        out: list[str] = []
        for k, steps in enumerate(segments(self.plan.steps)):
            name = f"run_{k}" if steps else ""
            self.segments.append(Segment(name, any(isinstance(s, While) for s in steps)))
            if steps:
                out += self._driver(name, steps)
        return out

    def _number(self) -> None:
        """Positions of everything that crosses the border to Python or between drivers."""
        sig = self.signature
        for slot in self.plan.slots:
            sig.slots[slot.name] = len(sig.slots)
            for d in range(slot.rank - 1):
                sig.strides[slot.name, d] = len(sig.strides)
        counts = {"real": 0, "whole": 0, "cplx": 0}
        border = [t for t in (*self.plan.inputs.values(), *self.plan.results.values()) if isinstance(t, Term)]
        if len(segments(self.plan.steps)) > 1:
            border += [t for step in self.plan.steps for t in defined(step)]
            border += [t for s in self.plan.steps if isinstance(s, Call) for t in (*s.arguments, *s.results) if isinstance(t, Term)]
        given = {t for t in self.plan.inputs.values() if isinstance(t, Term)}
        for t in dict.fromkeys(border):
            if t.op == "symbol" and t not in sig.scalars and (t in given or name_of(t) not in CONSTANTS):
                array = SCALAR_ARRAYS[t.kind]
                sig.scalars[t] = (array, counts[array])
                counts[array] += 1

    def rows_for(self, kind: Kind, count: int) -> tuple[str, int]:
        """Array and first position of so many rows of partial results."""
        array = PARTIALS[kind]
        first = self.signature.partial_rows[array] * 64
        self.signature.partial_rows[array] += count
        return array, first

    def _driver(self, name: str, steps: Sequence[Step]) -> list[str]:
        body = _Body(self, Namespace())
        body.names.reserve(*OWN_NAMES, *DRIVER_NAMES, *(e.name for _, e in self.kernels.values()))
        body.block(steps)
        lines = body.frame.lines
        tail = ["if me == 0:"]
        tail += [f"    address[{self.signature.slots[n]}] = {body.names.of(('address', n), n)}" for n in body.moved]
        for t, (array, k) in self.signature.scalars.items():
            if t in body.set_scalars:
                text = body.scalar(t)
                tail.append(f"    {array}[{k}] = {text}")
        head = body.prologue()
        head.append("gone = 0")
        whole = head + lines + (tail if len(tail) > 1 else [])
        return ["@njit(**kernel)", f"def {name}({ARGUMENTS}):"] + ["    " + line for line in whole] + [""]


@dataclass
class _Body:
    """Statements of one driver in writing."""

    writer: DriverWriter
    names: Namespace
    frame: Frame = field(default_factory=lambda: Frame(0))
    moved: list[str] = field(default_factory=list)  # slots whose address changes
    set_scalars: set[Term] = field(default_factory=set)
    read_scalars: dict[Term, None] = field(default_factory=dict)
    strides: dict[tuple[str, int], None] = field(default_factory=dict)
    slots: dict[str, None] = field(default_factory=dict)
    dims: dict[str, None] = field(default_factory=dict)
    cuts: dict[tuple[str, str], int] = field(default_factory=dict)  # loops shared by threads: (extent, points) -> number
    reading: bool = False  # elements of arrays were read since the threads last met

    def prologue(self) -> list[str]:
        """Locals for what the driver reads of its array arguments."""
        sig = self.writer.signature
        lines = [f"{self.names.of(('address', n), n)} = address[{sig.slots[n]}]" for n in self.slots]
        lines += [f"{self.names.of(('stride', n, d), '')} = stride[{sig.strides[n, d]}]" for n, d in self.strides]
        lines += [f"{self.names.dim(d)} = size[{sig.dims.setdefault(d, len(sig.dims))}]" for d in self.dims]
        for t in self.read_scalars:
            if t in sig.scalars:
                array, k = sig.scalars[t]
                text = f"{array}[{k}]" + (" != 0" if t.kind == Kind.BOOL else "")
                lines.append(f"{self.names.of(('scalar', t), name_of(t))} = {text}")
            elif name_of(t) in CONSTANTS:
                lines.append(f"{self.names.of(('scalar', t), name_of(t))} = {CONSTANTS[name_of(t)]!r}")
        for (extent, points), k in self.cuts.items():
            lines.append(f"count_{k} = pieces({extent}, {points})")
            lines.append(f"begin_{k} = edge({extent}, count_{k}, count_{k} * me // threads)")
            lines.append(f"end_{k} = edge({extent}, count_{k}, count_{k} * (me + 1) // threads)")
        return lines

    # names of things

    def address(self, slot: str) -> str:
        self.slots[slot] = None
        return self.names.of(("address", slot), slot)

    def stride(self, slot: str, d: int) -> str:
        self.strides[slot, d] = None
        self.names.of(("stride", slot, d), f"{slot}_stride{d}")
        return self.names.of(("stride", slot, d), "")

    def extent(self, dim: str) -> str:
        self.dims[dim] = None
        return self.names.dim(dim)

    def size(self, size: Size) -> str:
        for dim in size.dims:
            self.dims[dim.name] = None
        return self.names.size(size)

    def scalar(self, term: Term) -> str:
        name = name_of(term)
        if name.startswith("#"):
            return self.extent(name[1:])
        if term not in self.set_scalars:
            self.read_scalars[term] = None
        return self.names.of(("scalar", term), name)

    def line(self, text: str) -> None:
        self.frame.lines.append(text)

    def meet(self) -> None:
        """All threads wait for each other."""
        self.line(MEETING)
        self.reading = False

    def fence(self) -> None:
        """Before a step that may write: nobody overwrites an element that others still read."""
        if self.reading:
            self.meet()

    # steps

    def block(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, (Launch, While, Repeat, Put, Routine)):
                self.fence()
            if isinstance(step, Launch):
                self._launch(step)
            elif isinstance(step, Assign):
                self._assign(step)
            elif isinstance(step, Swap):
                self._swap(step)
            elif isinstance(step, Rebind):
                self._rebind(step)
            elif isinstance(step, While):
                self._while(step)
            elif isinstance(step, Repeat):
                self._repeat(step)
            elif isinstance(step, Window):
                self._window(step)
            elif isinstance(step, Put):
                self._put(step)
            elif isinstance(step, Routine):
                self._routine(step)

    def _launch(self, step: Launch) -> None:
        kernel, emitted = self.writer.kernels[id(step)]
        if not emitted.totals and emitted.body == ("pass",):
            return
        for note in kernel.notes:
            self.line(comment(note))
        arguments = [self.argument(a.what, kernel) for a in emitted.arguments if a.what[0] != "slab"]
        if kernel.shared is None:
            self._serial(emitted, arguments)
        else:
            self._shared(step, kernel, emitted, arguments)

    def argument(self, what: tuple[object, ...], kernel: Kernel) -> str:
        if what[0] == "arena":
            return ARENAS[what[1]]  # type: ignore[index]
        if what[0] == "address":
            return self.address(str(what[1]))
        if what[0] == "stride":
            return self.stride(str(what[1]), int(str(what[2])))
        if what[0] == "dim":
            return self.extent(str(what[1]))
        assert isinstance(what[1], Term)
        return f"{self.conversion(what[1].kind)}({self.scalar(what[1])})"

    def conversion(self, kind: Kind) -> str:
        """A kernel is called by address: its arguments have exactly the types it was compiled for."""
        if self.writer.single and kind >= Kind.REAL:
            return "float32" if kind == Kind.REAL else "complex64"
        return {Kind.REAL: "float", Kind.INT: "int", Kind.BOOL: "bool", Kind.COMPLEX: "complex"}[kind]

    def call(self, emitted: Emitted, arguments: Sequence[str]) -> str:
        """Text of the call of a kernel, below its name."""
        self.line(f"# {emitted.name}")
        return self.call_text(emitted, arguments)

    def call_text(self, emitted: Emitted, arguments: Sequence[str]) -> str:
        """Text of the call of a kernel."""
        sig = self.writer.signature
        number = sig.place(sig.kernels, emitted.name)
        zeros = {Kind.REAL: "0.0", Kind.INT: "0", Kind.BOOL: "False", Kind.COMPLEX: "0j"}
        narrow = zeros | ({Kind.REAL: "float32(0.0)"} if self.writer.single else {})
        given = [(narrow if operation in EXACT else zeros)[t.kind] for t, operation in emitted.totals]
        result = "(" + "".join(f"{zero}, " for zero in given).rstrip() + ")" if emitted.totals else "None"
        return f"invoke(code[{number}], {result}, {', '.join(arguments)})"

    def _serial(self, emitted: Emitted, arguments: Sequence[str]) -> None:
        call = self.call(emitted, arguments)
        if not emitted.totals:
            self.line("if me == 0:")
            self.line(f"    {call}")
            self.meet()
            return
        targets = [self.target(t) for t, _ in emitted.totals]
        self.line(f"{', '.join(targets)}, = {call}")

    def _shared(self, step: Launch, kernel: Kernel, emitted: Emitted, arguments: Sequence[str]) -> None:
        extent = self.size(kernel.extent)
        cut = self.cuts.setdefault((extent, self._points(step)), len(self.cuts))
        if not emitted.totals:
            self.line(self.call(emitted, [*arguments, f"begin_{cut}", f"end_{cut}"]))
            self.meet()
            return
        rows = [self._row(t) for t, _ in emitted.totals]
        targets = ", ".join(f"{array}[{row} + piece]" for array, row in rows)
        if not self.frame.lines or not self.frame.lines[-1].startswith("gone = meet"):
            self.meet()
        count = f"count_{cut}"
        call = self.call(emitted, [*arguments, f"edge({extent}, {count}, piece)", f"edge({extent}, {count}, piece + 1)"])
        self.line(f"for piece in range({count} * me // threads, {count} * (me + 1) // threads):")
        self.line(f"    {targets}, = {call}")
        self.meet()
        names = []
        for (total, _), (array, row) in zip(emitted.totals, rows, strict=True):
            names.append(self.target(total))
            text = f"{array}[{row}]"
            self.line(f"{names[-1]} = {text + ' != 0' if total.kind == Kind.BOOL else text}")
        self.line(f"for piece in range(1, {count}):")
        for name, (total, operation), (array, row) in zip(names, emitted.totals, rows, strict=True):
            text = f"{array}[{row} + piece]"
            text = f"({text} != 0)" if total.kind == Kind.BOOL else text
            self.line(f"    {name} = {joined(operation, total.kind, name, text)}")

    def _points(self, step: Launch) -> str:
        one = max(step.nest.passes, key=lambda p: len(p.order))
        return "*".join(self.size(one.sizes[a]) for a in one.order) or "1"

    def _row(self, total: Term) -> tuple[str, int]:
        """Array and first position of the 64 partial results of a total."""
        if total not in self.writer.rows:
            self.writer.rows[total] = self.writer.rows_for(total.kind, 1)
        return self.writer.rows[total]

    def target(self, term: Term) -> str:
        self.set_scalars.add(term)
        return self.names.of(("scalar", term), name_of(term))

    def _assign(self, step: Assign) -> None:
        text = self.expression(step)
        self.line(f"{self.target(step.target)} = {text}")
        self.reading = self.reading or any(isinstance(leaf, Load) for leaf in step.leaves.values())

    def expression(self, step: Assign) -> str:
        """Text of a scalar value; elements of arrays are read where they lie."""
        slots = {slot.name: slot for slot in self.writer.plan.slots}
        loads = [leaf.array for leaf in step.leaves.values() if isinstance(leaf, Load)]
        arrays = tuple(Array(n, slots[n].kind, slots[n].rank) for n in dict.fromkeys(loads))
        pseudo = Kernel("", arrays, (), (), step.leaves, step.computed)
        inner = KernelWriter(pseudo, 1, False, self.names, [self.frame])
        for array in arrays:
            self.address(array.name)
            for d in range(array.rank - 1):
                self.stride(array.name, d)
        inner._scalar = self.scalar  # type: ignore[method-assign]
        uses = count_uses([step.value, *step.computed.values()])
        inner.text = Expressions([self.frame], inner._leaf_depth, inner._leaf_text, self.names.fresh, uses)
        self.frame.texts, self.frame.depths = {}, {}
        text = inner.text.value(step.value, "value")
        self.dims.update(inner.dims)
        return text

    def _swap(self, step: Swap) -> None:
        left, right = self.address(step.left.name), self.address(step.right.name)
        for name in (step.left.name, step.right.name):
            if name not in self.moved:
                self.moved.append(name)
        line = f"{left}, {right} = {right}, {left}"
        if step.condition is None:
            self.line(line)
        else:
            self.line(f"if {self.scalar(step.condition)}:")
            self.line(f"    {line}")

    def _rebind(self, step: Rebind) -> None:
        values = [self._value(v) for v in step.values]
        targets = [self.target(t) for t in step.targets]
        for t in step.targets:
            self.read_scalars.pop(t, None)
        self.line(f"{', '.join(targets)} = {', '.join(values)}")

    def _nested(self, steps: Sequence[Step]) -> list[str]:
        return ["    " + line for line in self.aside(partial(self.block, steps))]

    def aside(self, write: Callable[[], None]) -> list[str]:
        """Lines that are written somewhere else."""
        outer, self.frame = self.frame, Frame(0)
        write()
        self.fence()
        lines, self.frame = self.frame.lines, outer
        return lines

    def _while(self, step: While) -> None:
        if id(step) in self.writer.tilings:
            TileWriter(self, step, self.writer.tilings[id(step)]).write()
            return
        self.line("while seen(gate, 1) == 0:")
        self.frame.lines += self._nested(step.head)
        self.line(f"    if not {self.scalar(step.condition)}:")
        self.line("        break")
        self.frame.lines += self._nested(step.body)

    def _routine(self, step: Routine) -> None:
        """One thread works, also on the routines that follow, or all do. A table is given as its arena, where it begins, its extents."""
        sig = self.writer.signature
        number = sig.place(sig.routines, step.function)
        texts: list[str] = []
        for a in step.arguments:
            if isinstance(a, Table):
                texts += [ARENAS[a.slot.kind], self.address(a.slot.name), self.size(a.rows)]
                texts += [] if a.columns is None else [self.size(a.columns)]
            else:
                texts.append(self.size(a) if isinstance(a, Size) else self._value(a))
        if step.together:
            self.line(f"{ROUTINE_CALL}{number}], None, {', '.join(texts)}, me, threads)  # {step.function}")
            self.meet()
            return
        lines = self.frame.lines
        if len(lines) > 1 and lines[-1] == MEETING and lines[-2].startswith(f"    {ROUTINE_CALL}") and not self.reading:
            lines.pop()
        else:
            self.line("if me == 0:")
        self.line(f"    {ROUTINE_CALL}{number}], None, {', '.join(texts)})  # {step.function}")
        self.meet()

    def _repeat(self, step: Repeat) -> None:
        counter = self.target(step.counter)
        n = self.size(step.count)
        self.line(f"for {counter} in range({n} - 1, -1, -1):" if step.reverse else f"for {counter} in range({n}):")
        self.line("    if seen(gate, 1) != 0:")
        self.line("        break")
        self.frame.lines += self._nested(step.body)
        self.meet()

    def _window(self, step: Window) -> None:
        whole = step.slot.within
        assert whole is not None
        name = self.address(step.slot.name)
        length = f"*{self.stride(whole.name, 0)}" if whole.rank > 1 else ""
        self.line(f"{name} = {self.address(whole.name)} + ({self._position(step)}){length}")

    def _put(self, step: Put) -> None:
        arena = ARENAS[step.slot.kind]
        self.line("if me == 0:")
        self.line(f"    store1({arena}, {self.address(step.slot.name)} + {self._position(step)}, {self._value(step.value)})")

    def _position(self, step: Window | Put) -> str:
        if step.counter is None:
            return self.size(step.shift)
        text = self.scalar(step.counter)
        return text if step.shift == 0 else f"{text} + {self.size(step.shift)}"

    def _value(self, term: Term) -> str:
        return self.scalar(term) if term.op == "symbol" else self.expression(Assign(term, term))


def segments(steps: Sequence[Step]) -> list[list[Step]]:
    """Runs of steps between calls into Python."""
    out: list[list[Step]] = [[]]
    for step in steps:
        if isinstance(step, Call):
            out.append([])
        else:
            out[-1].append(step)
    return out


def defined(step: Step) -> list[Term]:
    """Scalars that a step gives a value, loops included."""
    found: list[Term] = []
    for s in steps_of([step]):
        if isinstance(s, Assign):
            found.append(s.target)
        elif isinstance(s, Rebind):
            found += s.targets
        elif isinstance(s, Launch):
            found += [m.target for p in s.nest.passes for m in p.members if m.how == "total"]
    return found


__all__ = ["ARGUMENTS", "DriverWriter", "segments"]
