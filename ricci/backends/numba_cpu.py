"""Terms to running code on the processor: emit a module for a plan, load it through the disk cache, bind arrays, run."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache as remembered
from pathlib import Path
from typing import Any

import numpy as np

import ricci
from ricci.backends import cache as disk
from ricci.backends import memory, routines
from ricci.backends.emit_driver import DriverWriter, Signature, segments
from ricci.backends.emit_kernel import Argument, Emitted, KernelWriter
from ricci.backends.source import Namespace, comment
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Kind
from ricci.lowering.kernel import Kernel
from ricci.lowering.loops import lower_launch
from ricci.lowering.schedule import schedule
from ricci.lowering.schedule.plan import Call, Launch, Place, Plan, While, steps_of
from ricci.lowering.schedule.storage import Storage, allocate

Array = np.ndarray[Any, Any]
SERIAL_POINTS = 16384
CACHE_LINE = 64  # bytes


@remembered
def vector_lanes() -> int:
    """64-bit lanes of a vector register of this processor."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return 8 if features.get("avx512f") else 4 if features.get("avx2") or features.get("avx") else 2


@remembered
def toolchain() -> str:
    """Everything besides its text that decides what a generated module does."""
    import llvmlite
    import llvmlite.binding as llvm
    import numba

    own = [Path(__file__).with_name(n).read_bytes() for n in ("vectors.py", "elementary.py", "team.py")]
    runtime = hashlib.blake2b(b"".join(own), digest_size=8).hexdigest()
    features = llvm.get_host_cpu_features().flatten()
    flags = os.environ.get("NUMBA_OPT", "")
    parts = [platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__, ricci.__version__, runtime]
    return "|".join([*parts, llvm.get_host_cpu_name(), features, flags])


@dataclass(frozen=True)
class Program:
    """Text of a module and what the executable needs to call it."""

    plan: Plan
    kernels: tuple[tuple[int, Kernel, Emitted], ...]
    signature: Signature
    source: str


HEADER = """import cmath
import math

import numpy as np
from numba import njit

from ricci.backends.elementary import cosine, exponential, hyperbolic_tangent, logarithm, sine
from ricci.backends.team import around, edge, invoke, meet, mirrored, pieces
from ricci.backends.vectors import (
    any_lane, choose, fma, keep{n}, larger, load1, load{n}, magnitude, maximum, maximum_lanes, minimum, minimum_lanes,
    power, product_lanes, ramp{n}, round_down, round_even, round_up, seen, smaller, spread{n}, square_root, store1,
    store{n}, store_part{n}, sum_lanes, to_int, to_real,
)

infinity = math.inf
nan = math.nan
float32 = np.float32
complex64 = np.complex64
kernel = dict(nogil=True, error_model="numpy", cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
driver = dict(nogil=True, error_model="numpy", cache=True, no_cfunc_wrapper=True)
"""


def emit(plan: Plan, single: bool = False) -> Program:
    """The module of a plan. `single`: reals have 32 bits."""
    lanes = vector_lanes() * (2 if single else 1)
    names = Namespace()
    names.reserve("kernel", "driver", "infinity", "nan", "float32", "complex64", "np", "math", "cmath", "njit")
    kernels: dict[int, tuple[Kernel, Emitted]] = {}
    functions: list[str] = []
    known: dict[str, str] = {}
    for step in steps_of(plan.steps):
        if isinstance(step, Launch):
            lowered = lower_launch(plan, step)
            emitted = KernelWriter(lowered, lanes, single).write()
            same = known.get(emitted.canonical)
            emitted = replace(emitted, name=names.fresh(emitted.name) if same is None else same)
            kernels[id(step)] = (lowered, emitted)
            if same is None:
                known[emitted.canonical] = emitted.name
                functions += kernel_text(emitted)
    writer = DriverWriter(plan, kernels, single)
    drivers = writer.write()
    title = f'"""{comment(plan.function.name)[2:].replace(chr(34), "").replace(chr(92), "")}: generated code."""\n\n'
    source = title + HEADER.format(n=lanes) + "\n\n" + "\n".join([*functions, *drivers])
    return Program(plan, tuple((k, *v) for k, v in kernels.items()), writer.signature, source)


def kernel_text(emitted: Emitted) -> list[str]:
    """Lines of a kernel function; none for a kernel that has nothing to do."""
    if emitted.body == ("pass",):
        return []
    arguments = ", ".join(a.name for a in emitted.arguments)
    return ["@njit(**kernel)", f"def {emitted.name}({arguments}):", *["    " + line for line in emitted.body], "", ""]


@dataclass
class Executable:
    """A compiled function: `executable(arguments, sizes, threads)` gives its results by name, in canonical axis order."""

    program: Program
    module: Any
    single: bool = False
    serial_points: int = SERIAL_POINTS  # nests below this many points are not worth a second thread
    library: Any = None  # the module of the routines, if there are any
    code: Array = field(default_factory=lambda: np.zeros(1, np.int64))  # addresses of the compiled kernels and routines
    _bound: dict[tuple[tuple[str, int], ...], tuple[Storage, dict[Kind, Array]]] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.program.plan

    @property
    def source(self) -> str:
        return self.program.source

    def compile(self) -> None:
        """Compile all drivers, or take their code from the disk cache."""
        import numba

        real, cplx = (numba.float32, numba.complex64) if self.single else (numba.float64, numba.complex128)
        n = numba.int64
        types = {Kind.REAL: real, Kind.INT: n, Kind.BOOL: numba.boolean, Kind.COMPLEX: cplx}
        emitted = {e.name: e for _, _, e in self.program.kernels}
        sig = self.program.signature
        self.code = np.zeros(len(sig.kernels) + len(sig.routines) + 1, np.int64)
        for name, k in sig.routines.items():
            self.code[k] = routines.address(self.library, name, real)
        for name, k in sig.kernels.items():
            function = getattr(self.module, name)
            parts = tuple(_argument_type(a, types) for a in emitted[name].arguments)
            function.compile(parts)
            compiled = function.overloads[parts]
            self.code[k] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        signature = (real, n, numba.boolean, cplx, n, n, n, real, n, cplx, real, n, cplx)
        for name, steps in zip(self.program.signature.drivers, segments(self.plan.steps), strict=True):
            if steps:
                getattr(self.module, name).compile((n[::1], *[t[::1] for t in signature], n, n, n[::1]))

    def dtype(self, kind: Kind) -> Any:
        real, cplx = (np.float32, np.complex64) if self.single else (np.float64, np.complex128)
        return {Kind.REAL: real, Kind.INT: np.int64, Kind.BOOL: np.bool_, Kind.COMPLEX: cplx}[kind]

    def storage(self, sizes: Mapping[str, int]) -> Storage:
        """Where everything lies for given extents of dims."""
        return self._bind(self.plan.complete(sizes))[0]

    def planned_bytes(self, sizes: Mapping[str, int]) -> int:
        """Memory of one call: the arenas, the arguments and the results."""
        total = self.storage(sizes).planned_bytes(4 if self.single else 8)
        for place in (*self.plan.inputs.values(), *self.plan.results.values()):
            if isinstance(place, Place):
                count = 1
                for n in place.slot.extents:
                    count *= n.evaluate(dict(sizes))
                total += count * np.dtype(self.dtype(place.slot.kind)).itemsize
        return total

    def _bind(self, sizes: Mapping[str, int]) -> tuple[Storage, dict[Kind, Array]]:
        key = tuple(sorted((name, int(n)) for name, n in sizes.items()))
        if key not in self._bound:
            touched = {k: [a.name for a in lowered.arrays] for k, lowered, _ in self.program.kernels}
            for step in steps_of(self.plan.steps):
                leaves = getattr(step, "leaves", None)
                if leaves:
                    touched[id(step)] = [leaf.array for leaf in leaves.values() if hasattr(leaf, "array")]
            storage = allocate(self.plan, dict(key), touched)
            memory.require(storage.planned_bytes(4 if self.single else 8), "the buffers of the program")
            arenas = {kind: aligned_zeros(storage.lengths.get(kind, 1), self.dtype(kind)) for kind in Kind}
            self._bound = {key: (storage, arenas)}
        return self._bound[key]

    def __call__(self, arguments: Mapping[str, Any], sizes: Mapping[str, int] | None = None, threads: int = 1) -> dict[str, Any]:
        ready = self.ready(arguments, sizes)
        ready.run(threads)
        return ready.results()

    def ready(self, arguments: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> Ready:
        """The function with its arguments in place: what is left to do is the work of its kernels."""
        sizes = self.plan.complete(sizes or {})
        storage, arenas = self._bind(sizes)
        sig = self.program.signature
        address = np.array([storage.address[name] for name in sig.slots], np.int64)
        stride = np.array([storage.layouts[name].strides[d] for name, d in sig.strides] or [0], np.int64)
        size = np.array([sizes[name] for name in sig.dims] or [0], np.int64)
        scalars = {
            "real": np.zeros(len(sig.scalars) + 1, self.dtype(Kind.REAL)),
            "whole": np.zeros(len(sig.scalars) + 1, np.int64),
            "cplx": np.zeros(len(sig.scalars) + 1, self.dtype(Kind.COMPLEX)),
        }
        for name, target in self.plan.inputs.items():
            self._put(target, np.asarray(arguments[name]), storage, arenas, address, scalars, sizes)
        parts = {
            "part": np.zeros(sig.partial_rows["part"] * 64 + 1, self.dtype(Kind.REAL)),
            "ipart": np.zeros(sig.partial_rows["ipart"] * 64 + 1, np.int64),
            "zpart": np.zeros(sig.partial_rows["zpart"] * 64 + 1, self.dtype(Kind.COMPLEX)),
        }
        packed: tuple[Any, ...] = (self.code, *(arenas[k] for k in (Kind.REAL, Kind.INT, Kind.BOOL, Kind.COMPLEX)), address, stride, size)
        packed += (scalars["real"], scalars["whole"], scalars["cplx"], parts["part"], parts["ipart"], parts["zpart"])
        return Ready(self, sizes, storage, arenas, address, scalars, packed)

    def _useful_threads(self, threads: int, sizes: Mapping[str, int]) -> int:
        if threads < 2:
            return 1
        most = 0
        for step in steps_of(self.plan.steps):
            if isinstance(step, Launch):
                for one in step.nest.passes:
                    points = 1
                    for axis in one.order:
                        points *= one.sizes[axis].evaluate(dict(sizes))
                    most = max(most, points * len(one.members))
        return threads if most >= self.serial_points else 1

    def view(
        self,
        place: Place,
        storage: Storage,
        arenas: Mapping[Kind, Array],
        address: Array,
        sizes: Mapping[str, int],
        term: Term | None = None,
    ) -> Array:
        """The array of a place, axes in canonical order."""
        slot = place.slot
        strides = storage.layouts[slot.name].strides
        arena = arenas[slot.kind]
        start = int(address[self.program.signature.slots[slot.name]])
        extents = dict(term.axes) if term is not None else dict(zip(place.axes, slot.extents, strict=True))
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

    def _get(self, target: Place | Term, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> Any:
        if isinstance(target, Place):
            term = self._result_term(target)
            return np.array(self.view(target, storage, arenas, address, sizes, term))
        if target in self.program.signature.scalars:
            array, k = self.program.signature.scalars[target]
            return np.asarray(scalars[array][k]).astype(self.dtype(target.kind))[()]
        from ricci.dsl import reference

        return np.asarray(reference.evaluate([target], {}, dict(sizes))[0], self.dtype(target.kind))[()]

    def _result_term(self, place: Place) -> Term:
        return next(t for name, t in self.plan.function.results if self.plan.results[name] is place)

    def _call(self, step: Call, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> None:
        from ricci.backends import library

        args = [self._get_argument(a, storage, arenas, address, scalars, sizes) for a in step.arguments]
        for target, value in zip(step.results, library.call(step, args, sizes), strict=True):
            self._put(target, np.asarray(value), storage, arenas, address, scalars, sizes)

    def _get_argument(self, target: Place | Term, storage: Storage, arenas: Any, address: Array, scalars: Any, sizes: Any) -> Any:
        if isinstance(target, Place):
            return self.view(target, storage, arenas, address, sizes)
        return self._get(target, storage, arenas, address, scalars, sizes)

    def asm(self) -> str:
        """Assembly of the compiled kernels and drivers."""
        fresh = Executable(self.program, disk.load_aside(self.program.source, toolchain()), self.single, library=self.library)
        fresh.compile()  # code that comes from the disk cache cannot be printed
        out: list[str] = []
        for name, item in vars(fresh.module).items():
            if hasattr(item, "inspect_asm") and getattr(item, "__module__", "") == fresh.module.__name__:
                out += [f"# {name}\n{text}" for text in item.inspect_asm().values()]
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

    def run(self, threads: int = 1) -> None:
        """Do the steps of the plan once, on at most so many threads."""
        from ricci.backends.threads import run_team

        one = self.executable
        threads = one._useful_threads(threads, self.sizes)
        calls = [s for s in one.plan.steps if isinstance(s, Call)]
        for k, steps in enumerate(segments(one.plan.steps)):
            if steps:
                long = any(isinstance(s, While) for s in steps)
                run_team(getattr(one.module, one.program.signature.drivers[k]), self.packed, threads, long)
            if k < len(calls):
                one._call(calls[k], self.storage, self.arenas, self.address, self.scalars, self.sizes)

    def results(self) -> dict[str, Any]:
        """Fresh arrays of the results by name."""
        one = self.executable
        return {n: one._get(t, self.storage, self.arenas, self.address, self.scalars, self.sizes) for n, t in one.plan.results.items()}


def aligned_zeros(length: int, dtype: Any) -> Array:
    """A flat array of zeros that begins on a cache line: numpy starts large arrays 16 bytes behind one, and every vector would cross it."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(length + CACHE_LINE // item, dtype)
    skip = -raw.ctypes.data % CACHE_LINE // item
    return raw[skip : skip + length]


def _argument_type(argument: Argument, types: Mapping[Kind, Any]) -> Any:
    """The numba type of an argument of a kernel."""
    import numba

    what = argument.what
    if what[0] == "arena":
        return types[what[1]][::1]  # type: ignore[index]
    return types[what[1].kind] if isinstance(what[1], Term) and what[0] == "scalar" else numba.int64


def compile_plan(plan: Plan, single: bool = False, use_cache: bool = True) -> Executable:
    """Emit and load the module of a plan."""
    program = emit(plan, single)
    executable = _loaded(program, single, use_cache)
    try:
        executable.compile()
    except Exception:  # compiled code that cannot be kept or read back: once more without the disk
        if not use_cache:
            raise
        for module in (executable.module, executable.library):
            if module is not None:
                disk.forget(module)
        executable = _loaded(program, single, False)
        executable.compile()
    for module in (executable.module, executable.library):
        if module is not None:
            disk.seal(module)
    return executable


def _loaded(program: Program, single: bool, use_cache: bool) -> Executable:
    """Modules without compiled code."""
    library = routines.load(toolchain(), use_cache) if program.signature.routines else None
    return Executable(program, disk.load_module(program.source, toolchain(), use_cache), single, library=library)


def compile_function(
    function: Function, origins: Mapping[Term, str] | None = None, dtype: str = "f64", use_cache: bool = True
) -> Executable:
    """Schedule and compile a function. Sizes and parameters are run-time arguments: they never enter the code."""
    return compile_plan(schedule(function, origins), dtype == "f32", use_cache)


__all__ = ["Executable", "Program", "Ready", "compile_function", "compile_plan", "emit", "name_of"]
