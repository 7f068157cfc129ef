"""`Machine`: what predicted times are made of. Rates of one processor core, its memory levels, the cost of starting work.

Shipped defaults are measurements on a 2-core AMD Zen 4 virtual machine with AVX-512 and 8-byte reals; `calibrated` values
replace them field by field. Nothing here knows terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

# Seconds for one 8-byte result of each class of operation in a vectorized loop that stays in the first-level cache. Add, multiply
# and fused multiply-add take one slot each at 58.7 Gflop/s (fma counts two); division and root are partly pipelined; the
# elementary functions are polynomials on vectors.
_OPERATIONS: Mapping[str, float] = MappingProxyType(
    {
        "add": 0.034e-9,
        "mul": 0.034e-9,
        "fma": 0.034e-9,
        "compare": 0.034e-9,
        "integer": 0.068e-9,
        "div": 0.28e-9,
        "sqrt": 0.40e-9,
        "transcendental": 0.57e-9,
        "power": 1.4e-9,
    }
)


@dataclass(frozen=True)
class Level:
    """One level of memory: it holds `bytes`, and one core streams `bandwidth` bytes a second from it."""

    name: str
    bytes: float
    bandwidth: float


_LEVELS = (
    Level("L1", 32 * 1024, 154e9),
    Level("L2", 1024 * 1024, 113e9),
    Level("L3", 12 * 1024 * 1024, 85e9),
    Level("memory", float("inf"), 26.3e9),
)


@dataclass(frozen=True)
class Machine:
    """Rates of one machine. Times in seconds, sizes in bytes, rates per second and core unless said otherwise.

    operations   seconds of one operation of a class, vectorized, operands in registers
    levels       memory levels from the fastest to the slowest
    matmul       fused multiply-adds a second that the BLAS reaches on large matrices
    launch       seconds to start one kernel, one library call (`library_call`), one parallel region (`parallel_launch`)
    gather       how many times slower an element by computed index is than one in a stream
    nominal_size extent assumed for an axis whose size is not known when costs are compared
    """

    name: str = "default"
    cores: int = 2
    real_bytes: int = 8
    vector_bytes: int = 64
    operations: Mapping[str, float] = field(default_factory=lambda: _OPERATIONS)
    levels: tuple[Level, ...] = _LEVELS
    matmul: float = 26.4e9
    launch: float = 0.2e-6
    library_call: float = 1.0e-6
    parallel_launch: float = 5.0e-6
    gather: float = 6.0
    nominal_size: int = 256

    def operation(self, kind: str) -> float:
        """Seconds of one operation; an unnamed class counts as an elementary function."""
        return self.operations.get(kind, self.operations["transcendental"])

    def level(self, resident_bytes: float) -> Level:
        """The fastest level that holds so many bytes."""
        for level in self.levels:
            if resident_bytes <= level.bytes:
                return level
        return self.levels[-1]

    def traffic(self, moved_bytes: float, resident_bytes: float) -> float:
        """Seconds to stream `moved_bytes` of data that occupy `resident_bytes`."""
        return moved_bytes / self.level(resident_bytes).bandwidth

    def to_json(self) -> dict[str, Any]:
        """Plain data that `Machine.from_json` reads back."""
        data = asdict(replace(self, operations={}))
        return {**data, "operations": dict(self.operations), "levels": [[v.name, v.bytes, v.bandwidth] for v in self.levels]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Machine:
        known = {k: v for k, v in data.items() if k in Machine.__dataclass_fields__}
        if "levels" in known:
            known["levels"] = tuple(Level(str(n), float(b), float(w)) for n, b, w in known["levels"])
        if "operations" in known:
            known["operations"] = MappingProxyType({**_OPERATIONS, **known["operations"]})
        return Machine(**known)


DEFAULT = Machine()
