"""Primitives of generated programs that run on several threads: a barrier, and how loops are cut into slabs.

Every thread runs the same compiled function over its slab of each nest and meets the others between nests. The number of
pieces of a loop depends on the sizes only, so that sums of pieces have the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numpy.typing import NDArray

from ricci.backends.vectors import arrive, seen, typed_intrinsic

MOST_PIECES = 64
PIECE_POINTS = 2048  # a piece below this many points is not worth a thread or a partial sum
SPINS = 4000  # looks at the gate before the processor is offered to others
STOP = 1  # gate[STOP] is set to leave all loops

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """numba's `njit` for functions that only generated code calls, as a decorator that type checkers accept."""
    called: F = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True)(function)
    return called


@typed_intrinsic
def yield_processor(typing: Any) -> Any:
    """Let another thread of the machine run."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        called = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
        builder.call(called, [])
        return context.get_dummy_value()

    return types.void(), emit


@typed_intrinsic
def invoke(typing: Any, address: Any, result: Any, *arguments: Any) -> Any:
    """Call a compiled kernel by its address; `result` is a value of the type that it returns.

    A driver that calls kernels so does not contain them: nothing is optimized twice.
    """
    any_types: Any = types
    given = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], any_types.BaseTuple) else any_types.Tuple(arguments)
    wanted = [any_types.unliteral(t) for t in given]

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[2], len(wanted))
        type_ = context.call_conv.get_function_type(result, wanted)
        function = builder.inttoptr(args[0], type_.as_pointer())
        status, value = context.call_conv.call_function(builder, function, result, wanted, values)
        with cgutils.if_unlikely(builder, status.is_error):  # no kernel raises; one that did would leave its results half done
            context.call_conv.return_status_propagate(builder, status)
        return value

    return result(types.int64, result, given), emit


@compiled
def meet(gate: NDArray[np.int64], gone: int, threads: int) -> int:
    """Wait until all threads are here; `gone` counts arrivals of earlier meetings. Returns the new count."""
    if threads == 1:
        return gone
    gone += threads
    arrive(gate, 0)
    spins = 0
    while seen(gate, 0) < gone:
        spins += 1
        if spins > SPINS:
            yield_processor()
            spins = 0
            if seen(gate, STOP) != 0:
                break
    return gone


@compiled
def pieces(extent: int, points: int) -> int:
    """How many pieces a loop over `extent` turns of `points` points in all is cut into."""
    return max(1, min(min(MOST_PIECES, extent), points // PIECE_POINTS))


@compiled
def edge(extent: int, count: int, k: int) -> int:
    """Where piece k of `count` begins."""
    return extent * k // count


@compiled
def band(turn: int, low: int, high: int, first: int, lead: int, lag: int, extent: int) -> tuple[int, int]:
    """Rows that a launch does in a band low..high of a slab (turn 0), or between slabs that meet at `low` (1), beyond the end of a periodic
    axis (2). It stays `lag` rows behind the band and `lead` rows inside of a slab that begins at `first` (-1: no other one is there)."""
    if turn == 0:
        return max(first + lead if first >= 0 else 0, low - lag), min(extent, high - lag)
    if turn == 1:
        return low - lag, min(low + lead, extent)
    return 0, low + lead - extent


@compiled
def around(e: int, n: int) -> int:
    """e modulo n; a division only when e is outside 0..n-1."""
    if 0 <= e < n:
        return e
    return e % n if n > 0 else 0


@compiled
def mirrored(e: int, n: int) -> int:
    """The fold of period 2n: 0..n-1, n-1..0."""
    if n <= 0:
        return 0
    folded = e % (2 * n)
    return min(folded, 2 * n - 1 - folded)
