"""The text of a loop whose launches overlap (`lowering/tiling.py`): those of several steps, or of one, on the rows of a band while they are
in cache.

A block of steps is done in five parts: scalars of the steps ahead, taking nothing that kernels find into account; bands of each thread's
slab of rows; the triangles between slabs; the scalars again, with what the kernels found; and so on until the loop ends.
Threads meet after each of the first three. Where too few rows are left for several steps, a block is one step, launch by launch.

Where the launches of one step overlap and nothing else, a step is the scalars that launches need, bands and triangles, the rest. A grid that
is too small for it runs the same text with slabs instead of bands, and threads meet after every launch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ricci.backends.emit_kernel import Emitted, joined
from ricci.backends.executable import TILES
from ricci.backends.source import MEETING
from ricci.dsl.ops.reduce import identity
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.lowering.kernel import Kernel, symbols
from ricci.lowering.schedule.plan import Assign, Launch, Rebind, Step, Swap, While
from ricci.lowering.tiling import Lags, Tiling

if TYPE_CHECKING:
    from ricci.backends.emit_driver import _Body

CACHE_LINE = 8  # numbers
LEVELS = 64  # steps of a block at most: the length of a row of partial results
LOCALS = (
    "tile_rows", "tile_most", "tile_first", "tile_last", "tile_end", "tile_low", "tile_high", "tile_ahead", "tile_step", "tile_from", "tile_to",
    "tile_other", "tile_begin", "tile_turn", "tile_piece", "tile_part", "tile_again", *(f"tile_found_{k}" for k in range(100)),
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

    def write(self) -> None:
        """The loop: all of it, or as far as enough rows are left for several steps, and a plain one for the rest."""
        self._number()
        self._extents()
        if self.tiling.alone:
            self.body.line("tile_part = 0")
            self._loop("while seen(gate, 1) == 0:", [*self._nested(self._needed), *self._tiles(), *self._nested(self._rest)])
            return
        self._loop("while seen(gate, 1) == 0:", self._block())

    def _loop(self, head: str, lines: Sequence[str]) -> None:
        self.body.line(head)
        self.body.frame.lines += ["    " + line for line in lines]

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
        if self.tiling.alone:
            line(f"tile_most = min({self.body.extent(TILES[0])}, 1)")
            line(f"if tile_rows // threads < {right.most + left.most + 2}:")
            line("    tile_most = 0")
            return
        room = f"tile_rows // threads - {right.most + left.most + 1}"
        levels = self.body.extent(TILES[0])
        line(f"tile_most = min({levels}, 1 + max({room}, 0) // {max(right.step + left.step, 1)})")
        line(f"if {room} < 1 or threads > {LEVELS}:")
        line("    tile_most = 0")

    # parts

    def _nested(self, write: Callable[[], None]) -> list[str]:
        return self.body.aside(write)

    def _head(self, otherwise: Sequence[str] = ("break",)) -> None:
        self.body.block(self.loop.head)
        self.body.line(f"if not {self.body.scalar(self.loop.condition)}:")
        for text in otherwise:
            self.body.line(f"    {text}")

    def _block(self) -> list[str]:
        """Scalars ahead, tiles, scalars again from where the block began: the loop goes on from the last step that holds."""
        body = self.body
        targets = [t for s in self.loop.body if isinstance(s, Rebind) for t in s.targets]
        names = [body.scalar(t) for t in targets] + [body.address(slot) for slot in self.places]
        saved = [body.names.fresh(f"{name}_before") for name in names]
        keep, restore = ([f"{', '.join(a)} = {', '.join(b)}"] if names else [] for a, b in ((saved, names), (names, saved)))
        return [
            *keep,
            "tile_ahead = max(tile_most, 1)",
            "for tile_again in range(1 if tile_most == 0 else 0, 2):",
            "    if tile_again == 1 and tile_most > 0:",
            *("        " + line for line in (MEETING, *self._tiles(), *restore)),
            "    for tile_step in range(tile_ahead):",
            *("        " + line for line in self._nested(self._step)),
            f"if not {body.scalar(self.loop.condition)}:",
            "    break",
        ]

    def _step(self) -> None:
        """One step of a block: launch by launch, or its scalars only."""
        body = self.body
        needed, rest = self._halves()
        self._head(("tile_ahead = tile_step", "break"))
        body.block(needed)
        body.line("if tile_most == 0:")
        body.frame.lines += ["    " + line for line in self._nested(lambda: body.block(self.tiling.launches))]
        body.line("elif tile_again == 0:")
        for slot, row in self.places.items():
            body.line(f"    ipart[{row} + tile_step] = {body.address(slot)}")
        for term, (array, row) in self.kept.items():
            body.line(f"    {array}[{row} + tile_step] = {body.scalar(term)}")
        for total, operation in self._totals():
            body.line(f"    {body.target(total)} = {_neutral(operation, total.kind)}")
        if self.found:
            body.line("else:")
            body.frame.lines += ["    " + line for line in self._nested(self._what_was_found)]
        body.block(rest)

    def _halves(self) -> tuple[list[Step], list[Step]]:
        """A step without its launches: what these need, and what comes afterwards or needs what they find."""
        found = {total for total, _ in self._totals()}
        steps = list(self.loop.body)
        last = max(k for k, s in enumerate(steps) if isinstance(s, Launch))
        needed: list[Step] = []
        rest: list[Step] = []
        for k, s in enumerate(steps):
            if isinstance(s, Launch):
                continue
            if k > last or (isinstance(s, Assign) and found & set(symbols([s.value]))):
                found |= {s.target} if isinstance(s, Assign) else set()
                rest.append(s)
            else:
                needed.append(s)
        return needed, rest

    def _needed(self) -> None:
        self._head()
        self.body.block(self._halves()[0])
        self.body.line("tile_part = 1 - tile_part")  # others may still read what was found in the step before

    def _rest(self) -> None:
        self._what_was_found()
        self.body.block(self._halves()[1])

    def _totals(self) -> list[tuple[Term, str]]:
        return [total for _, _, emitted in self._kernels() for total in emitted.totals]

    def _what_was_found(self) -> None:
        body = self.body
        for total, operation in self._totals():
            array, row = self.found[total]
            name = body.target(total)
            element = f"{array}[{self._place(row, 'tile_other')}]"
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
            element = f"{array}[{self._place(row, 'me')}]"
            known = f"({element} != 0)" if total.kind == Kind.BOOL else element
            lines.append(f"{indent}{element} = {joined(operation, total.kind, known, name)}")
        return lines

    def _tiles(self) -> list[str]:
        """Bands of rows move through the slab, then the rows between slabs; a side that another slab touches stays open in the bands."""
        alone, right = bool(self.tiling.alone), self.tiling.right
        width = self.body.extent(TILES[1])
        far = str(right.most) if alone else f"(tile_ahead - 1) * {right.step} + {right.most}"
        lines = [
            *self._nothing_found_yet(),
            "tile_turn = 0",
            f"tile_from = tile_first if {self._open('me > 0')} else -1",
            f"tile_to = tile_last if {self._open('me < threads - 1')} else tile_end + {far}",
            "tile_low = -(tile_end + 1) * 64",
            f"tile_high = min(tile_first + {width}, tile_to)" + (" if tile_most > 0 else tile_to" if alone else ""),
            "while True:",
        ]
        lines += ["    " + line for line in (self._launches() if alone else self._steps())]
        lines += [
            "    if tile_high < tile_to:",
            "        tile_low = tile_high",
            f"        tile_high = min(tile_high + {width}, tile_to)",
            "        continue",
            "    if tile_turn > 0" + (" or tile_most == 0:" if alone else ":"),
            "        break",
            f"    {MEETING}",
            f"    if not ({self._open('me < threads - 1')}):",
            "        break",
            "    tile_turn = 1",
            "    tile_low = tile_last",
        ]
        return [*lines, *(["if tile_most > 0:", f"    {MEETING}"] if alone else [MEETING])]

    def _nothing_found_yet(self) -> list[str]:
        found = []
        for total, (array, row) in self.found.items():
            operation = next(op for t, op in self._totals() if t == total)
            found.append(f"{array}[{self._place(row, 'me')}] = {_neutral(operation, total.kind)}")
        if self.tiling.alone or not found:
            return found
        return ["for tile_step in range(tile_ahead):", *("    " + line for line in found)]

    def _place(self, row: int, thread: str) -> str:
        """Where the partial result of a thread lies."""
        return f"{row} + {thread} * {CACHE_LINE} + tile_part" if self.tiling.alone else f"{row} + {thread} * {LEVELS} + tile_step"

    def _open(self, inside: str) -> str:
        """Whether another slab lies beyond a side of this one."""
        if not self.tiling.around:
            return inside
        return f"({inside} or tile_most > 0)" if self.tiling.alone else "True"

    def _steps(self) -> list[str]:
        lines = ["for tile_step in range(tile_ahead):", *("    " + line for line in self._given())]
        return lines + ["    " + line for line in self._launches()]

    def _launches(self) -> list[str]:
        """Every launch over its rows of a band, or between slabs: round the end of a periodic axis in two pieces."""
        lines: list[str] = []
        for k, (_, kernel, emitted) in enumerate(self._kernels()):
            if not emitted.totals and emitted.body == ("pass",):
                continue
            lead, lag = (self._distance(lags, k) for lags in (self.tiling.left, self.tiling.right))
            turn, indent = "tile_turn", ""
            lines.append(f"# {emitted.name}")
            if self.tiling.around:
                lines.append("for tile_piece in range(tile_turn, 1 + 2 * tile_turn):")
                turn, indent = "tile_piece", "    "
            rows = f"band({turn}, tile_low, tile_high, tile_from, {lead}, {lag}, {self.body.size(kernel.extent)})"
            lines += [f"{indent}tile_begin, tile_other = {rows}", f"{indent}if tile_begin < tile_other:"]
            lines += self._calls(f"{indent}    ", emitted, kernel, "tile_begin", "tile_other")
            if self.tiling.alone:
                lines += ["if tile_most == 0:", f"    {MEETING}"]
        return lines

    def _distance(self, lags: Lags, k: int) -> str:
        """How many rows a launch stays away from the side of its slab."""
        return f"tile_most * {lags.launches[k]}" if self.tiling.alone else f"tile_step * {lags.step} + {lags.launches[k]}"


def _neutral(operation: str, kind: Kind) -> str:
    """What a reduction of nothing gives."""
    value = identity(operation, kind)
    if kind == Kind.REAL:
        return {float("inf"): "infinity", float("-inf"): "(-infinity)"}.get(float(value), repr(float(value)))
    return repr(bool(value)) if kind == Kind.BOOL else repr(int(value))


__all__ = ["LEVELS", "LOCALS", "TileWriter"]
