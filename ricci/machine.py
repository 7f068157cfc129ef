"""`Machine`: what predicted times are made of. Rates of one processor core, its memory levels, the cost of starting work.

Shipped defaults are measurements on a 2-core AMD virtual machine with AVX-512 and 8-byte reals; the values that `ricci tune`
measures replace them all. Nothing here knows terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf, isfinite, log2
from types import MappingProxyType
from typing import Any

FORMAT = 2  # of the JSON of a machine

# Seconds for one 8-byte result of each class in a vectorized loop whose arrays stay in the first-level cache.
_OPERATIONS: Mapping[str, float] = MappingProxyType(
    {
        "add": 0.0147e-9,
        "mul": 0.0147e-9,
        "fma": 0.0147e-9,
        "compare": 0.0155e-9,
        "integer": 0.0147e-9,
        "div": 0.061e-9,
        "sqrt": 0.195e-9,
        "transcendental": 0.42e-9,
        "log": 0.58e-9,
        "sine": 0.60e-9,
        "tanh": 0.85e-9,
        "inverse": 2.0e-9,
        "power": 1.7e-9,
        "fft": 0.25e-9,
        "call": 5.8e-9,
        "load": 0.0075e-9,
        "store": 0.0218e-9,
        "cross": 0.043e-9,
        "fold": 0.044e-9,
    }
)


@dataclass(frozen=True)
class Level:
    """One level of memory: it holds `bytes`; one core reads `bandwidth` bytes a second from it and writes `writing`.

    `scaling`: how many times faster all cores together are than one.
    """

    name: str
    bytes: float
    bandwidth: float
    writing: float
    scaling: float = 1.0


_LEVELS = (
    Level("L1", 48 * 1024, 400e9, 200e9, 2.0),
    Level("L2", 1024 * 1024, 192e9, 188e9, 2.0),
    Level("L3", 32 * 1024 * 1024, 120e9, 106e9, 2.0),
    Level("memory", inf, 54e9, 35e9, 1.4),
)


@dataclass(frozen=True)
class Machine:
    """Rates of one machine. Times in seconds, sizes in bytes, rates per second and core unless said otherwise.

    operations   seconds of one operation of a class, vectorized: arithmetic, `load` and `store` of an element, what it costs
                 more where its vector lies across two lines of a cache (`cross`), an accumulation that waits for the one
                 before it (`fold`), a function that has no vector form (`call`)
    levels       memory levels from the fastest to the slowest
    ramp         doublings by which a cache begins to miss below its size, and misses all above it
    overlap      exponent p of (a^p + b^p)^(1/p) for work that overlaps; `overlap_memory` for what comes from the last level
    row, tail    seconds to begin an innermost loop, and more where its last vector is not full
    strided      how many times slower lines of memory are that do not follow each other
    gather       how many times slower an element by computed index is than one in a stream
    matmul       fused multiply-adds a second that the BLAS reaches on large matrices, `matmul_scaling` times more on all cores
    matmul_edge  rows, inner extent and columns that the work of a product seems to have more than it has
    launch       seconds to start one kernel, one library call (`library_call`), one parallel region (`parallel_launch`)
    nominal_size extent assumed for an axis whose size is not known when costs are compared
    """

    name: str = "default"
    cores: int = 2
    real_bytes: int = 8
    vector_bytes: int = 64
    operations: Mapping[str, float] = field(default_factory=lambda: _OPERATIONS)
    levels: tuple[Level, ...] = _LEVELS
    ramp: float = 0.2
    overlap: float = 3.0
    overlap_memory: float = 1.75
    row: float = 0.4e-9
    tail: float = 0.8e-9
    strided: float = 1.3
    gather: float = 8.0
    matmul: float = 31e9
    matmul_scaling: float = 1.9
    matmul_edge: tuple[float, float, float] = (6.0, 10.0, 11.0)
    launch: float = 0.005e-6
    library_call: float = 25e-6
    parallel_launch: float = 0.3e-6
    nominal_size: int = 256

    @property
    def lanes(self) -> int:
        """Reals in a vector."""
        return max(self.vector_bytes // self.real_bytes, 1)

    def with_reals(self, bits: int) -> Machine:
        """The machine with reals of 32 or 64 bits: of short ones, twice as many are in a vector, and each takes half the time."""
        if bits == 8 * self.real_bytes:
            return self
        scale = bits / 8 / self.real_bytes
        operations = {name: seconds * scale for name, seconds in self.operations.items()}
        return replace(self, real_bytes=bits // 8, operations=operations, matmul=self.matmul / scale)

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
        """Seconds to read `moved_bytes` of data that occupy `resident_bytes`."""
        return moved_bytes / self.level(resident_bytes).bandwidth

    def shares(self, distance: float) -> tuple[float, ...]:
        """Which part of data last touched `distance` bytes ago comes from each level; the parts add up to 1."""
        missed = 1.0
        parts = []
        for level in self.levels:
            beyond = (
                0.0 if distance <= 0 or level.bytes == inf else min(max(log2(distance / level.bytes) / (2 * self.ramp) + 0.5, 0.0), 1.0)
            )
            parts.append(missed - min(missed, beyond))
            missed = min(missed, beyond)
        return tuple(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `Machine.from_json` reads back."""
        data = asdict(replace(self, operations={}, levels=()))
        levels = [{**asdict(v), "bytes": None if v.bytes == inf else v.bytes} for v in self.levels]
        return {"format": FORMAT, **data, "operations": dict(self.operations), "levels": levels}

    @staticmethod
    def from_json(data: Any) -> Machine:
        """The machine that `to_json` wrote; ValueError where a value is missing, no number, or not above zero."""
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError(f"no record of a machine in format {FORMAT}")
        fields = Machine.__dataclass_fields__
        missing = [name for name in fields if name not in data]
        if missing:
            raise ValueError(f"`{missing[0]}` is missing")
        known: dict[str, Any] = {name: data[name] for name in fields}
        known["name"] = str(known["name"])
        known["operations"] = MappingProxyType(
            {str(k): _positive(k, v) for k, v in {**_OPERATIONS, **_mapping(known["operations"])}.items()}
        )
        known["levels"] = tuple(_level(v) for v in known["levels"]) if isinstance(known["levels"], list) else ()
        if not known["levels"] or known["levels"][-1].bytes != inf:
            raise ValueError("the last of `levels` holds everything")
        edge = known["matmul_edge"]
        if not isinstance(edge, (list, tuple)) or len(edge) != 3:
            raise ValueError("`matmul_edge` has three numbers")
        known["matmul_edge"] = tuple(_positive("matmul_edge", v) for v in edge)
        for name, kind in fields.items():
            if kind.type in ("int", "float"):
                known[name] = _positive(name, known[name])
            if kind.type == "int":
                known[name] = round(known[name])
        return Machine(**known)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("`operations` names classes")
    return value


def _positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value <= 0:
        raise ValueError(f"`{name}` is {value!r}")
    return float(value)


def _level(value: Any) -> Level:
    if not isinstance(value, Mapping) or set(value) != set(Level.__dataclass_fields__):
        raise ValueError("a level has a name, bytes, bandwidth, writing and scaling")
    size = inf if value["bytes"] is None else _positive("bytes", value["bytes"])
    return Level(str(value["name"]), size, *(_positive(k, value[k]) for k in ("bandwidth", "writing", "scaling")))


DEFAULT = Machine()
