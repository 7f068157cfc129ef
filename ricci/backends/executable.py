"""`Executable`: a compiled function with its memory. Arrays in, arrays out; it knows neither plans nor how code is made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ricci.backends import machine_record, memory
from ricci.backends.machine_code import MachineCode, machine_code
from ricci.backends.routines import address
from ricci.backends.threads import blas_threads, run_team
from ricci.dsl import reference
from ricci.dsl.ops.band import Ordering
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size
from ricci.lowering.schedule.plan import Call, Place
from ricci.lowering.schedule.storage import Needs, Storage, allocate

Array = np.ndarray[Any, Any]
SERIAL_POINTS = 16384
MOST_THREADS = 512  # of one team, whatever is asked for: each has a stack
CACHE_LINE = 64  # bytes
PIECES = 64  # rows of partial sums
LARGE = 1 << 20  # bytes of a result whose memory is used again,
RESULTS = 2  # as many arrays of it as are remembered
TILES = ("tile:levels", "tile:band")  # sizes that are chosen for the caches: steps that overlap, rows of a band
FILLED = 0.6  # of a cache, by the rows of a band
MOST_STEPS = 32  # more gain nothing; a row of partial sums has room for 64
DTYPES: dict[Kind, Any] = {Kind.REAL: np.float64, Kind.INT: np.int64, Kind.BOOL: np.bool_, Kind.COMPLEX: np.complex128}
SINGLE: dict[Kind, Any] = DTYPES | {Kind.REAL: np.float32, Kind.COMPLEX: np.complex64}
Nest = tuple[tuple[Size, ...], int]  # extents of a set of loops, and how many terms it computes


@dataclass
class Signature:
    """Where the executable puts things: positions of slots, strides, dims and scalars in the arrays of a driver."""

    slots: dict[str, int] = field(default_factory=dict)
    strides: dict[tuple[str, int], int] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    scalars: dict[Term, tuple[str, int]] = field(default_factory=dict)
    partial_rows: dict[str, int] = field(default_factory=lambda: {"part": 0, "ipart": 0, "zpart": 0})
    kernels: dict[str, int] = field(default_factory=dict)  # function -> place of its address in `code`
    routines: dict[str, int] = field(default_factory=dict)  # function -> place of its address in `code`, like kernels

    def place(self, functions: dict[str, int], name: str) -> int:
        """The place in `code` of the address of a kernel or a routine."""
        return functions.setdefault(name, len(self.kernels) + len(self.routines))


@dataclass(frozen=True)
class Segment:
    """What runs between two calls into Python: the driver ("" if there is nothing to do), and whether it may run for long."""

    driver: str
    long: bool


@dataclass(frozen=True)
class Overlap:
    """A loop whose launches may overlap: the slots that it touches, how many rows the last launch of a step stays behind the first, and
    one step behind the one before (None: steps wait for each other)."""

    slots: tuple[str, ...]
    within: int
    lag: int | None


@dataclass(frozen=True)
class Program:
    """Text of a module and everything that is needed to run it.

    single     reals of arrays have 32 bits; scalars and what is summed over all points have 64
    functions  every function of the text that is called by address: its arguments, see `machine_code.argument_types`
    segments   drivers, with `calls` between them
    nests      of every launch: the extents that its points are the product of, and how many terms it computes
    extents    sizes of the axes of every array result
    overlaps   loops whose steps may overlap
    """

    source: str
    single: bool
    functions: Mapping[str, str]
    signature: Signature
    needs: Needs
    inputs: Mapping[str, Place | Term]
    results: Mapping[str, Place | Term]
    extents: Mapping[str, Mapping[str, Size]]
    segments: tuple[Segment, ...]
    calls: tuple[Call, ...]
    nests: tuple[Nest, ...]
    orderings: tuple[Ordering, ...]
    overlaps: tuple[Overlap, ...] = ()


@dataclass
class Executable:
    """A compiled function: `executable(arguments, sizes, threads)` gives its results by name, in canonical axis order."""

    program: Program
    module: MachineCode
    toolchain: str
    use_cache: bool = True
    serial_points: int = SERIAL_POINTS  # nests below this many points are not worth a second thread
    code: Array = field(init=False)  # addresses of the compiled kernels and routines
    block: tuple[int, int] | None = None  # steps that overlap and rows of a band; None: by what fits into caches
    _results: dict[str, list[Array]] = field(default_factory=dict)  # large ones that were handed out
    _bound: dict[tuple[tuple[str, int], ...], tuple[Storage, dict[Kind, Array]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signature = self.program.signature
        self.code = np.zeros(len(signature.kernels) + len(signature.routines) + 1, np.int64)
        for name, k in signature.kernels.items():
            self.code[k] = self.module.address[name]
        for name, k in signature.routines.items():
            self.code[k] = address(name, self.program.single, self.toolchain, self.use_cache)

    @property
    def source(self) -> str:
        return self.program.source

    @property
    def kernels(self) -> list[str]:
        """Generated functions by module (a content hash) and name: equal names are equal code."""
        return [f"{self.module.name}.{name}" for name in self.program.functions if name not in {s.driver for s in self.program.segments}]

    def dtype(self, kind: Kind) -> Any:
        """Of the elements of arrays."""
        return (SINGLE if self.program.single else DTYPES)[kind]

    def complete(self, dims: Mapping[str, int]) -> dict[str, int]:
        """The dims with those that follow from them: strides of unknowns in band matrices."""
        found = {name: int(n) for name, n in dims.items()}
        for ordering in self.program.orderings:
            found |= ordering.strides(dims)
        return found

    def storage(self, sizes: Mapping[str, int]) -> Storage:
        """Where everything lies for given extents of dims."""
        return self._bind(self.complete(sizes))[0]

    def planned_bytes(self, sizes: Mapping[str, int]) -> int:
        """Memory of one call: the arenas, the arguments and the results."""
        total = self._arena_bytes(self.storage(sizes))
        for place in (*self.program.inputs.values(), *self.program.results.values()):
            if isinstance(place, Place):
                count = 1
                for n in place.slot.extents:
                    count *= n.evaluate(dict(sizes))
                total += count * np.dtype(self.dtype(place.slot.kind)).itemsize
        return total

    def _arena_bytes(self, storage: Storage) -> int:
        return storage.planned_bytes(4 if self.program.single else 8)

    def _bind(self, sizes: Mapping[str, int]) -> tuple[Storage, dict[Kind, Array]]:
        key = tuple(sorted((name, int(n)) for name, n in sizes.items()))
        if key not in self._bound:
            storage = allocate(self.program.needs, dict(key))
            memory.require(self._arena_bytes(storage), "the buffers of the program")
            arenas = {kind: aligned_zeros(storage.lengths.get(kind, 1), self.dtype(kind)) for kind in Kind}
            self._bound = {key: (storage, arenas)}
        return self._bound[key]

    def __call__(self, arguments: Mapping[str, Any], sizes: Mapping[str, int] | None = None, threads: int = 1) -> dict[str, Any]:
        ready = self.ready(arguments, sizes)
        ready.run(threads)
        return ready.results()

    def ready(self, arguments: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> Ready:
        """The function with its arguments in place: what is left to do is the work of its kernels."""
        sizes = self.complete(sizes or {})
        storage, arenas = self._bind(sizes)
        sig = self.program.signature
        address = np.array([storage.address[name] for name in sig.slots], np.int64)
        stride = np.array([storage.layouts[name].strides[d] for name, d in sig.strides] or [0], np.int64)
        known = sizes | dict(zip(TILES, self._tiles(storage), strict=True))
        size = np.array([known[name] for name in sig.dims] or [0], np.int64)
        scalars = {
            "real": np.zeros(len(sig.scalars) + 1),
            "whole": np.zeros(len(sig.scalars) + 1, np.int64),
            "cplx": np.zeros(len(sig.scalars) + 1, np.complex128),
        }
        for name, target in self.program.inputs.items():
            self._put(target, np.asarray(arguments[name]), storage, arenas, address, scalars, sizes)
        parts = {
            "part": np.zeros(sig.partial_rows["part"] * PIECES + 1),
            "ipart": np.zeros(sig.partial_rows["ipart"] * PIECES + 1, np.int64),
            "zpart": np.zeros(sig.partial_rows["zpart"] * PIECES + 1, np.complex128),
        }
        packed: tuple[Any, ...] = (self.code, *(arenas[k] for k in (Kind.REAL, Kind.INT, Kind.BOOL, Kind.COMPLEX)), address, stride, size)
        packed += (scalars["real"], scalars["whole"], scalars["cplx"], parts["part"], parts["ipart"], parts["zpart"])
        return Ready(self, sizes, storage, arenas, address, scalars, packed)

    def _tiles(self, storage: Storage) -> tuple[int, int]:
        """Steps that overlap, and rows of a band.

        What a step of a band leaves is read by the next one, out of the second cache; all steps of a band read what the band before
        left, out of a share of the third. Fields that fit into the second cache gain nothing.
        """
        if self.block is not None or not self.program.overlaps:
            return self.block or (0, 1)
        machine = machine_record.machine()
        overlap = self.program.overlaps[0]
        kinds = {slot.name: np.dtype(self.dtype(slot.kind)).itemsize for slot in self.program.needs.slots}
        layouts = {name: storage.layouts[name] for name in overlap.slots if storage.layouts[name].strides}
        if sum(one.length * kinds[name] for name, one in layouts.items()) <= machine.levels[1].bytes:
            return 0, 1
        row = sum(one.strides[0] * kinds[name] for name, one in layouts.items())
        near, far = machine.levels[1].bytes, machine.levels[2].bytes / machine.cores
        band = max(int(FILLED * near / row), 1)
        left = int(FILLED * far / row) - band - overlap.within
        steps = 0 if left < 0 else 1 if overlap.lag is None else min(1 + left // max(overlap.lag, 1), MOST_STEPS)
        return (0 if steps == 1 and overlap.within == 0 else steps), band

    def view(
        self,
        place: Place,
        storage: Storage,
        arenas: Mapping[Kind, Array],
        address: Array,
        sizes: Mapping[str, int],
        extents: Mapping[str, Size] | None = None,
    ) -> Array:
        """The array of a place, axes in canonical order."""
        slot = place.slot
        strides = storage.layouts[slot.name].strides
        arena = arenas[slot.kind]
        start = int(address[self.program.signature.slots[slot.name]])
        extents = extents if extents is not None else dict(zip(place.axes, slot.extents, strict=True))
        shape = [extents[a].evaluate(dict(sizes)) for a in place.axes]
        start += sum(o.evaluate(dict(sizes)) * s for o, s in zip(place.offsets, strides, strict=True))
        order = sorted(range(len(place.axes)), key=lambda d: place.axes[d])
        return np.lib.stride_tricks.as_strided(arena[start:], [shape[d] for d in order], [strides[d] * arena.itemsize for d in order])

    def _put(self, target: Place | Term, value: Array, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> None:
        if isinstance(target, Place):
            if target.slot.name in storage.used:
                self.view(target, storage, arenas, address, sizes)[...] = value
            return
        if target in self.program.signature.scalars:
            array, k = self.program.signature.scalars[target]
            scalars[array][k] = value

    def _get(self, name: str, target: Place | Term, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> Any:
        if isinstance(target, Place):
            found = self.view(target, storage, arenas, address, sizes, self.program.extents.get(name))
            if found.nbytes < LARGE:
                return np.array(found)
            copy = self._unused(name, found)
            copy[...] = found
            return copy
        if target in self.program.signature.scalars:
            array, k = self.program.signature.scalars[target]
            return np.asarray(scalars[array][k]).astype(DTYPES[target.kind])[()]
        return np.asarray(reference.evaluate([target], {}, dict(sizes))[0], DTYPES[target.kind])[()]

    def _unused(self, name: str, like: Array) -> Array:
        """An array for a result: one of an earlier call that nobody holds any more, for new memory is written ten times slower than used one."""
        kept = self._results.setdefault(name, [])
        kept[:] = [a for a in kept if a.shape == like.shape and a.dtype == like.dtype]
        for k in range(len(kept)):
            if sys.getrefcount(kept[k]) == 2 and kept[k].flags.writeable:  # held by the list and this call only
                return kept[k]
        kept.append(np.empty(like.shape, like.dtype))
        del kept[:-RESULTS]
        return kept[-1]

    def _call(self, step: Call, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> None:
        from ricci.backends import library

        pairs = zip(step.term.args, step.arguments, strict=True)
        args = [self._argument(t, a, storage, arenas, address, scalars, sizes) for t, a in pairs]
        for target, value in zip(step.results, library.call(step, args, sizes), strict=True):
            self._put(target, np.asarray(value), storage, arenas, address, scalars, sizes)

    def _argument(self, t: Term, target: Place | Term, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> Any:
        """Values of a term: of its own extents, for it may lie inside or around a slot of others."""
        if isinstance(target, Place):
            return self.view(target, storage, arenas, address, sizes, t.axes)
        return self._get("", target, storage, arenas, address, scalars, sizes)

    def asm(self) -> str:
        """Assembly of the compiled functions: compiled anew, code that comes from the disk cannot be printed."""
        from ricci.backends.machine_code import functions_of

        out: list[str] = []
        for name, function in functions_of("ricci_aside", self.source, self.program.functions).items():
            out += [f"# {name}\n{text}" for text in function.inspect_asm().values()]
        return "\n".join(out)


@dataclass
class Ready:
    """A compiled function and its arguments, laid out in memory for some sizes."""

    executable: Executable
    sizes: dict[str, int]
    storage: Storage
    arenas: dict[Kind, Array]
    address: Array
    scalars: dict[str, Array]
    packed: tuple[Any, ...]
    drivers: dict[str, Callable[..., None]] = field(default_factory=dict)

    def run(self, threads: int = 1) -> None:
        """Do the work once, on at most so many threads."""
        one = self.executable
        useful = useful_threads(one.program.nests, self.sizes, threads, one.serial_points)
        for k, segment in enumerate(one.program.segments):
            if segment.driver:
                run_team(self.bound(segment.driver), useful, segment.long)
            if k < len(one.program.calls):
                with blas_threads(max(threads, 1)):
                    one._call(one.program.calls[k], self.storage, self.arenas, self.address, self.scalars, self.sizes)

    def bound(self, driver: str) -> Callable[..., None]:
        """A driver with these arguments; what is left is the number of a thread, of how many, and their gate."""
        if driver not in self.drivers:
            self.drivers[driver] = self.executable.module.bind(driver, *self.packed)
        return self.drivers[driver]

    def results(self) -> dict[str, Any]:
        """Fresh arrays of the results by name."""
        one = self.executable
        rest = (self.storage, self.arenas, self.address, self.scalars, self.sizes)
        return {name: one._get(name, t, *rest) for name, t in one.program.results.items()}


def useful_threads(nests: Iterable[Nest], sizes: Mapping[str, int], threads: int, serial_points: int = SERIAL_POINTS) -> int:
    """How many of so many threads are kept busy: one where all sets of loops have few points."""
    if threads < 2:
        return 1
    most = 0
    for extents, members in nests:
        points = 1
        for n in extents:
            points *= n.evaluate(dict(sizes))
        most = max(most, points * members)
    return min(threads, MOST_THREADS) if most >= serial_points else 1


def load(program: Program, toolchain: str, use_cache: bool = True) -> Executable:
    """The machine code of a program: from this process, from disk, or compiled now."""
    return Executable(program, machine_code(program.source, toolchain, program.functions, use_cache), toolchain, use_cache)


def aligned_zeros(length: int, dtype: Any) -> Array:
    """A flat array of zeros that begins on a cache line: numpy starts large arrays 16 bytes behind one, and every vector would cross it."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(length + CACHE_LINE // item, dtype)
    skip = -raw.ctypes.data % CACHE_LINE // item
    return raw[skip : skip + length]
