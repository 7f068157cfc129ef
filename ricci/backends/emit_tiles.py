"""The text of a loop whose launches overlap (`lowering/tiling.py`): those of several steps, or of one, on the rows of a band while they are
in cache.

A block of steps is done in five parts: scalars of the steps ahead, taking nothing that kernels find into account; bands of each thread's
slab of rows; the triangles between slabs; the scalars again, with what the kernels found; and so on until the loop ends.
Threads meet after each of the first three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ricci.backends.emit_kernel import Emitted, joined
from ricci.backends.executable import TILES
from ricci.dsl.ops.reduce import identity
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.lowering.kernel import Kernel
from ricci.lowering.schedule.plan import Assign, Launch, Rebind, Step, Swap, While
from ricci.lowering.tiling import Tiling

if TYPE_CHECKING:
    from ricci.backends.emit_driver import _Body

LEVELS = 64  # steps of a block at most: the length of a row of partial results
LOCALS = (
    "tile_rows", "tile_most", "tile_first", "tile_last", "tile_end", "tile_low", "tile_high", "tile_ahead", "tile_step", "tile_from", "tile_to",
    "tile_other", "tile_begin", *(f"tile_found_{k}" for k in range(100)),
)  # fmt: skip


@dataclass
class TileWriter:
    """Writes one loop into the driver in writing."""

    body: _Body
    loop: While
    tiling: Tiling
    kept: dict[Term, tuple[str, int]] = field(default_factory=dict)  # scalars of kernels that change from step to step: place of their rows
    places: dict[str, int] = field(default_factory=dict)  # slots that are exchanged: the row of their addresses
    found: dict[Term, tuple[str, int]] = field(default_factory=dict)  # totals: where partial results begin
    restore: list[str] = field(default_factory=list)  # what the scalars and addresses were before the block

    def write(self) -> None:
        """The loop; it ends before the end where too few rows are left for several steps."""
        self._number()
        self._extents()
        self.body.line("while tile_most > 0 and seen(gate, 1) == 0:")
        outer = self.body.frame
        lines = [*self._nested(self._head), *self._ahead()]
        lines += [*self._bands(), "gone = meet(gate, gone, threads)", *self._triangles(), "gone = meet(gate, gone, threads)"]
        lines += [*self._again()]
        outer.lines += ["    " + line for line in lines]

    # places

    def _kernels(self) -> list[tuple[Launch, Kernel, Emitted]]:
        return [(launch, *self.body.writer.kernels[id(launch)]) for launch in self.tiling.launches]

    def _number(self) -> None:
        """Rows of partial results for what changes from step to step and for what kernels find."""
        writer = self.body.writer
        changing = {s.target for s in (*self.loop.head, *self.loop.body) if isinstance(s, Assign)}
        changing |= {t for s in self.loop.body if isinstance(s, Rebind) for t in s.targets}
        for _, _, emitted in self._kernels():
            for a in emitted.arguments:
                if a.what[0] == "scalar" and a.what[1] in changing and a.what[1] not in self.kept:
                    assert isinstance(a.what[1], Term)
                    self.kept[a.what[1]] = writer.rows_for(a.what[1].kind, 1)
            for total, _ in emitted.totals:
                self.found[total] = writer.rows_for(total.kind, LEVELS)
        for s in self.loop.body:
            if isinstance(s, Swap):
                for slot in (s.left.name, s.right.name):
                    if slot not in self.places:
                        self.places[slot] = writer.rows_for(Kind.INT, 1)[1]

    def _extents(self) -> None:
        """How many rows there are, where the slab of a thread begins and ends, how many steps may overlap."""
        line, right, left = self.body.line, self.tiling.right, self.tiling.left
        extents = list(dict.fromkeys(self.body.size(kernel.extent) for _, kernel, _ in self._kernels()))
        line(f"tile_rows = min({', '.join(extents)})" if len(extents) > 1 else f"tile_rows = {extents[0]}")
        line(f"tile_end = max({', '.join(extents)})" if len(extents) > 1 else f"tile_end = {extents[0]}")
        line("tile_first = tile_rows * me // threads")
        line("tile_last = tile_rows * (me + 1) // threads")
        room = f"tile_rows // threads - {right.most + left.most + 1}"
        levels = self.body.extent(TILES[0])
        line(f"tile_most = min({levels}, 1 + max({room}, 0) // {max(right.step + left.step, 1)})")
        line(f"if {room} < 1 or threads > {LEVELS}:")
        line("    tile_most = 0")

    # parts

    def _nested(self, write: Callable[[], None]) -> list[str]:
        return self.body.aside(write)

    def _head(self) -> None:
        self.body.block(self.loop.head)
        self.body.line(f"if not {self.body.scalar(self.loop.condition)}:")
        self.body.line("    break")

    def _ahead(self) -> list[str]:
        """Scalars and addresses of the steps of a block, kept in rows; afterwards everything is as it was."""
        body = self.body
        targets = [t for s in self.loop.body if isinstance(s, Rebind) for t in s.targets]
        names = [body.scalar(t) for t in targets] + [body.address(slot) for slot in self.places]
        saved = [body.names.fresh(f"{name}_before") for name in names]
        lines = [f"{', '.join(saved)} = {', '.join(names)}"] if names else []
        lines += ["tile_ahead = 0", "while tile_ahead < tile_most:"]
        lines += ["    " + line for line in self._nested(self._step_ahead)]
        lines += [f"{', '.join(names)} = {', '.join(saved)}"] if names else []
        self.restore = lines[-1:] if names else []
        return [*lines[: len(lines) - len(self.restore)], "gone = meet(gate, gone, threads)"]

    def _step_ahead(self) -> None:
        body = self.body
        self._head()
        for slot, row in self.places.items():
            body.line(f"ipart[{row} + tile_ahead] = {body.address(slot)}")
        steps = list(self.loop.body)
        last = max(k for k, s in enumerate(steps) if isinstance(s, Launch))
        self._without_launches(steps[: last + 1], self._nothing_found)
        for term, (array, row) in self.kept.items():
            body.line(f"{array}[{row} + tile_ahead] = {body.scalar(term)}")
        self._without_launches(steps[last + 1 :], self._nothing_found)
        body.line("tile_ahead += 1")

    def _without_launches(self, steps: Sequence[Step], totals: Callable[[Emitted], None]) -> None:
        for s in steps:
            if isinstance(s, Launch):
                totals(self.body.writer.kernels[id(s)][1])
            else:
                self.body.block([s])

    def _nothing_found(self, emitted: Emitted) -> None:
        for total, operation in emitted.totals:
            self.body.line(f"{self.body.target(total)} = {_neutral(operation, total.kind)}")

    def _again(self) -> list[str]:
        """The scalars of the block with what was found; the loop goes on from the last step that holds."""
        lines = [*self.restore, "for tile_step in range(tile_ahead):"]
        return lines + ["    " + line for line in self._nested(self._step_again)]

    def _step_again(self) -> None:
        self._head()
        self._without_launches(self.loop.body, self._what_was_found)

    def _what_was_found(self, emitted: Emitted) -> None:
        body = self.body
        for total, operation in emitted.totals:
            array, row = self.found[total]
            name = body.target(total)
            element = f"{array}[{row} + tile_other * {LEVELS} + tile_step]"
            element = f"({element} != 0)" if total.kind == Kind.BOOL else element
            body.line(f"{name} = {_neutral(operation, total.kind)}")
            body.line("for tile_other in range(threads):")
            body.line(f"    {name} = {joined(operation, total.kind, name, element)}")

    # rows

    def _given(self) -> list[str]:
        """Scalars and addresses of one step, from their rows."""
        body = self.body
        lines = [f"{body.address(slot)} = ipart[{row} + tile_step]" for slot, row in self.places.items()]
        for term, (array, row) in self.kept.items():
            truth = " != 0" if term.kind == Kind.BOOL else ""
            lines.append(f"{body.scalar(term)} = {array}[{row} + tile_step]{truth}")
        return lines

    def _calls(self, indent: str, emitted: Emitted, kernel: Kernel, begin: str, end: str) -> list[str]:
        """A kernel over some rows; totals join those of the step so far."""
        body = self.body
        arguments = [body.argument(a.what, kernel) for a in emitted.arguments if a.what[0] != "slab"]
        call = body.call_text(emitted, [*arguments, begin, end])
        if not emitted.totals:
            return [f"{indent}{call}"]
        names = [f"tile_found_{k}" for k in range(len(emitted.totals))]
        lines = [f"{indent}{', '.join(names)}, = {call}"]
        for name, (total, operation) in zip(names, emitted.totals, strict=True):
            array, row = self.found[total]
            element = f"{array}[{row} + me * {LEVELS} + tile_step]"
            known = f"({element} != 0)" if total.kind == Kind.BOOL else element
            lines.append(f"{indent}{element} = {joined(operation, total.kind, known, name)}")
        return lines

    def _bands(self) -> list[str]:
        """A band of rows moves through the slab; a side that another slab touches stays open."""
        right, left = self.tiling.right, self.tiling.left
        lines = ["for tile_step in range(tile_ahead):"]
        for total, (array, row) in self.found.items():
            operation = next(op for _, _, e in self._kernels() for t, op in e.totals if t == total)
            lines.append(f"    {array}[{row} + me * {LEVELS} + tile_step] = {_neutral(operation, total.kind)}")
        lines = lines if self.found else []
        lines += [
            f"tile_from = {self._first_open()}",
            f"tile_to = tile_last if {self._last_open()} else tile_end + (tile_ahead - 1) * {right.step} + {right.most}",
            "tile_low = -(tile_end + 1) * 64",
            f"tile_high = min(tile_first + {self.body.extent(TILES[1])}, tile_to)",
            "while True:",
            "    for tile_step in range(tile_ahead):",
        ]
        lines += ["        " + line for line in self._given()]
        for k, (_, kernel, emitted) in enumerate(self._kernels()):
            if not emitted.totals and emitted.body == ("pass",):
                continue
            lag = f"tile_step * {right.step} - {right.launches[k]}"
            extent = self.body.size(kernel.extent)
            lines += [
                f"        # {emitted.name}",
                f"        tile_begin = tile_first + tile_step * {left.step} + {left.launches[k]} if tile_from else 0",
                f"        tile_begin = max(tile_begin, tile_low - {lag})",
                f"        tile_other = min({extent}, tile_high - {lag})",
                "        if tile_begin < tile_other:",
                *self._calls("            ", emitted, kernel, "tile_begin", "tile_other"),
            ]
        lines += [
            "    if tile_high >= tile_to:",
            "        break",
            "    tile_low = tile_high",
            f"    tile_high = min(tile_high + {self.body.extent(TILES[1])}, tile_to)",
        ]
        return lines

    def _first_open(self) -> str:
        return "True" if self.tiling.around else "me > 0"

    def _last_open(self) -> str:
        return "True" if self.tiling.around else "me < threads - 1"

    def _triangles(self) -> list[str]:
        """Rows between this slab and the next, step by step; round the end of a periodic axis in two pieces."""
        right, left = self.tiling.right, self.tiling.left
        lines = [f"if {self._last_open()}:", "    for tile_step in range(tile_ahead):"]
        lines += ["        " + line for line in self._given()]
        for k, (_, kernel, emitted) in enumerate(self._kernels()):
            if not emitted.totals and emitted.body == ("pass",):
                continue
            lines += [
                f"        # {emitted.name}",
                f"        tile_begin = tile_last - tile_step * {right.step} - {right.launches[k]}",
                f"        tile_other = tile_last + tile_step * {left.step} + {left.launches[k]}",
            ]
            if not self.tiling.around:
                lines += self._when("tile_begin", "tile_other", emitted, kernel)
                continue
            lines += self._when("tile_begin", "min(tile_other, tile_rows)", emitted, kernel)
            lines += self._when("0", "tile_other - tile_rows", emitted, kernel)
        return lines

    def _when(self, begin: str, end: str, emitted: Emitted, kernel: Kernel) -> list[str]:
        return [f"        if {begin} < {end}:", *self._calls("            ", emitted, kernel, begin, end)]


def _neutral(operation: str, kind: Kind) -> str:
    """What a reduction of nothing gives."""
    value = identity(operation, kind)
    if kind == Kind.REAL:
        return {float("inf"): "infinity", float("-inf"): "(-infinity)"}.get(float(value), repr(float(value)))
    return repr(bool(value)) if kind == Kind.BOOL else repr(int(value))


__all__ = ["LEVELS", "LOCALS", "TileWriter"]
