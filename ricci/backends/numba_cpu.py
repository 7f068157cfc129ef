"""Terms to running code on the processor: emit a module for a plan, load it through the disk cache, bind arrays, run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache as remembered

from ricci.backends.emit_driver import DriverWriter
from ricci.backends.emit_kernel import EXACT, Argument, Emitted, KernelWriter
from ricci.backends.executable import Executable, Nest, Overlap, Program, load
from ricci.backends.machine_code import toolchain
from ricci.backends.source import Namespace, comment
from ricci.dsl import build
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Kind
from ricci.lowering.interpret import touched
from ricci.lowering.kernel import Kernel
from ricci.lowering.loops import lower_launch
from ricci.lowering.schedule import schedule
from ricci.lowering.schedule.plan import Call, Launch, Place, Plan, While, steps_of
from ricci.lowering.schedule.products import rebuilt
from ricci.lowering.schedule.storage import needs_of
from ricci.lowering.tiling import Tiling, tiling_of

LETTERS = {
    False: {Kind.REAL: "d", Kind.INT: "i", Kind.BOOL: "b", Kind.COMPLEX: "z"},
    True: {Kind.REAL: "f", Kind.INT: "i", Kind.BOOL: "b", Kind.COMPLEX: "c"},
}


@remembered
def vector_lanes() -> int:
    """64-bit lanes of a vector register of this processor."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return 8 if features.get("avx512f") else 4 if features.get("avx2") or features.get("avx") else 2


HEADER = """import cmath
import math

import numpy as np
from numba import njit

from ricci.backends import complex_functions as complexes
from ricci.backends.elementary import compiled as elementary
from ricci.backends.team import around, band, edge, invoke, meet, mirrored, pieces
from ricci.backends.vectors import (
    any_lane, choose, fma, keep{n}, larger, load1, load{n}, magnitude, maximum, maximum_lanes, minimum, minimum_lanes,
    prefetch, product_lanes, ramp{n}, round_down, round_even, round_up, seen, smaller, spread{n}, square_root, store1,
    store{n}, store_part{n}, sum_lanes, to_int, to_real,
)

infinity = math.inf
nan = math.nan
float32 = np.float32
complex64 = np.complex64
kernel = dict(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""


def emit(plan: Plan, single: bool = False) -> Program:
    """The module of a plan. `single`: reals of arrays have 32 bits."""
    lanes = vector_lanes() * (2 if single else 1)
    names = Namespace()
    names.reserve("kernel", "infinity", "nan", "float32", "complex64", "np", "math", "cmath", "njit", "elementary", "complexes")
    kernels: dict[int, tuple[Kernel, Emitted]] = {}
    texts: list[str] = []
    functions: dict[str, str] = {}
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
                texts += kernel_text(emitted)
                functions[emitted.name] = "".join(letter(a, single) for a in emitted.arguments) + results_of(emitted, single)
    lowered_kernels = {k: lowered for k, (lowered, _) in kernels.items()}
    found = {id(s): tiling_of(s, lowered_kernels) for s in plan.steps if isinstance(s, While)}
    tilings = {k: tiling for k, tiling in found.items() if isinstance(tiling, Tiling)}
    writer = DriverWriter(plan, kernels, tilings, single)
    drivers = writer.write()
    functions = {name: s for name, s in functions.items() if name in writer.signature.kernels}
    functions |= dict.fromkeys((s.driver for s in writer.segments if s.driver), driver_letters(single))
    title = f'"""{comment(plan.function.name)[2:].replace(chr(34), "").replace(chr(92), "")}: generated code."""\n\n'
    source = title + HEADER.format(n=lanes) + "\n\n" + "\n".join([*texts, *drivers])
    return Program(
        source,
        single,
        functions,
        writer.signature,
        needs_of(plan, touched(plan, lowered_kernels), tilings),
        plan.inputs,
        plan.results,
        {name: dict(t.axes) for name, t in plan.function.results if isinstance(plan.results[name], Place)},
        tuple(writer.segments),
        tuple(bare(s) for s in plan.steps if isinstance(s, Call)),
        tuple(nest_points(plan)),
        plan.orderings,
        tuple(Overlap(t.slots, t.right.most, None if t.alone else t.right.step) for t in tilings.values()),
    )


def nest_points(plan: Plan) -> Iterator[Nest]:
    """Of every set of loops: extents, and how many terms it computes."""
    for step in steps_of(plan.steps):
        if isinstance(step, Launch):
            for one in step.nest.passes:
                yield tuple(one.sizes[axis] for axis in one.order), len(one.members)


def bare(step: Call) -> Call:
    """A call without what its arguments are made of: their values lie in places."""
    args = tuple(build.symbol(f"argument:{k}", a.type) for k, a in enumerate(step.term.args))
    return replace(step, term=rebuilt(step.term, args))


def kernel_text(emitted: Emitted) -> list[str]:
    """Lines of a kernel function; none for a kernel that has nothing to do."""
    if emitted.body == ("pass",):
        return []
    arguments = ", ".join(a.name for a in emitted.arguments)
    return ["@njit(**kernel)", f"def {emitted.name}({arguments}):", *["    " + line for line in emitted.body], "", ""]


def letter(argument: Argument, single: bool) -> str:
    """The type of a kernel's argument as `machine_code.argument_types` spells it."""
    what = argument.what
    if what[0] == "arena":
        return LETTERS[single][what[1]].upper()  # type: ignore[index]
    return LETTERS[single][what[1].kind] if isinstance(what[1], Term) and what[0] == "scalar" else "i"


def results_of(emitted: Emitted, single: bool) -> str:
    """The types of a kernel's totals behind a colon; sums have 64 bits."""
    letters = [LETTERS[single and operation in EXACT][total.kind] for total, operation in emitted.totals]
    return ":" + "".join(letters) if letters else ""


def driver_letters(single: bool) -> str:
    """The types of a driver's arguments, see `emit_driver`."""
    of = LETTERS[single]
    return f"I{of[Kind.REAL].upper()}IB{of[Kind.COMPLEX].upper()}IIIDIZDIZiiI"


def compile_plan(plan: Plan, single: bool = False, use_cache: bool = True) -> Executable:
    """Emit and load the module of a plan."""
    return load(emit(plan, single), toolchain(), use_cache)


def compile_function(
    function: Function, origins: Mapping[Term, str] | None = None, dtype: str = "f64", use_cache: bool = True
) -> Executable:
    """Schedule and compile a function. Sizes and parameters are run-time arguments: they never enter the code."""
    return compile_plan(schedule(function, origins), dtype == "f32", use_cache)
