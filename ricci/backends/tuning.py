"""The fit of a `Machine` to the times of probes.

The rates of a machine are changed until `ricci.cost` predicts the times: least squares of the logarithms of predicted over
measured, outliers counted little, every number within limits.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ricci.backends.executable import useful_threads
from ricci.backends.measure import Timed, Timing, on_one_core, timed
from ricci.backends.numba_cpu import nest_points, vector_lanes
from ricci.backends.probes import SHARED, Probe, Shape, probes
from ricci.backends.threads import available_cores
from ricci.backends.workload import demands_of_plan
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.lowering.schedule import schedule
from ricci.machine import DEFAULT, Level, Machine
from ricci.work import Demand, Library, Product, seconds

# measuring


@dataclass(frozen=True)
class Sample:
    """One probe at one size: what it asks of the machine, and what it took."""

    name: str
    shape: Shape
    threads: int
    demands: tuple[tuple[Demand | Product | Library, int], ...]
    timing: Timing


Measure = Callable[[Probe, Shape, int], Timing]
Listen = Callable[[int, int], None]


@dataclass
class Stopwatch:
    """Times probes on this machine; each is compiled when it is first asked for."""

    compiled: dict[str, Timed] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)

    def __call__(self, probe: Probe, shape: Shape, threads: int) -> Timing:
        if probe.name not in self.compiled:
            self.compiled[probe.name] = timed(probe.function)
        arguments = {name_of(p): self.argument(p, sizes_of(shape)) for p in probe.function.params}
        if threads > 1:
            return self.compiled[probe.name].seconds(arguments, sizes_of(shape), threads)
        with on_one_core():
            return self.compiled[probe.name].seconds(arguments, sizes_of(shape))

    def argument(self, param: Term, sizes: Mapping[str, int]) -> Any:
        """Numbers between 0.1 and 1; whole ones are places of an axis `m`."""
        shape = [size.evaluate(sizes) for size in param.axes.values()]
        count = prod(shape)
        if count not in self.values:
            self.values = {count: np.random.default_rng(count).uniform(0.1, 1, count)}
        numbers = self.values[count].reshape(shape)
        return (numbers * sizes["m"]).astype(np.int64) if param.kind == Kind.INT else numbers


def this_processor() -> Machine:
    """The shipped rates with the cores and caches, and the width of vectors, that this machine says it has."""
    lanes = vector_lanes()
    scale = DEFAULT.lanes / lanes
    operations = {kind: rate * scale for kind, rate in DEFAULT.operations.items()}
    levels = tuple(replace(v, bytes=cache_bytes(k + 1) or v.bytes) for k, v in enumerate(DEFAULT.levels))
    return replace(
        DEFAULT,
        name=platform.machine(),
        cores=len(available_cores()),
        vector_bytes=lanes * DEFAULT.real_bytes,
        operations=MappingProxyType(operations),
        levels=levels,
    )


def cache_bytes(level: int, root: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> float | None:
    """Size of the data cache of a level as the system tells it; None where it does not."""
    for folder in sorted(root.glob("index*")):
        try:
            number, kind, size = ((folder / name).read_text(encoding="ascii").strip() for name in ("level", "type", "size"))
        except (OSError, ValueError):
            continue
        unit = {"K": 1024, "M": 1024**2, "G": 1024**3}.get(size[-1:], 1)
        digits = size.rstrip("KMG")
        if number == str(level) and kind != "Instruction" and digits.isdecimal() and int(digits) > 0:
            return float(int(digits) * unit)
    return None


def sizes_of(shape: Shape) -> dict[str, int]:
    """Extents of the dims of all probes."""
    return dict(zip("nmk", shape, strict=True))


def sampled(measure: Measure, machine: Machine, listen: Listen) -> list[Sample]:
    """Every probe at every size on one core, the larger ones on all cores too. `machine` says how wide a vector is."""
    plans = {probe.name: schedule(probe.function) for probe in probes()}
    table = [(probe, shape, 1) for probe in probes() for shape in probe.shapes]
    if machine.cores > 1:
        shared = {p.name: tuple(nest_points(plans[p.name])) for p in probes() if p.name in SHARED}
        table += [
            (p, shape, machine.cores)
            for p, shape, _ in table
            if p.name in shared and (p.name == "product" or useful_threads(shared[p.name], sizes_of(shape), 2) > 1)
        ]
    out: list[Sample] = []
    for done, (probe, shape, threads) in enumerate(table):
        listen(done, len(table))
        asked = tuple(demands_of_plan(plans[probe.name], sizes_of(shape), machine))
        out.append(Sample(probe.name, shape, threads, asked, measure(probe, shape, threads)))
    listen(len(table), len(table))
    return out


# fitting


@dataclass(frozen=True)
class Parameter:
    """A number of a machine that is fitted: a field, or an entry of `operations`, `levels` or `matmul_edge`; between `least` and
    `most` times what it was (`bounded`: between those values)."""

    field: str
    key: str | int = ""
    part: str = ""
    least: float = 1 / 40
    most: float = 40.0
    bounded: bool = False

    def get(self, machine: Machine) -> float:
        value = getattr(machine, self.field)
        if self.key == "":
            return float(value)
        return float(getattr(value[self.key], self.part) if self.part else value[self.key])

    def limits(self, machine: Machine) -> tuple[float, float]:
        base = 1.0 if self.bounded else self.get(machine)
        return base * self.least, base * self.most


OPERATIONS = (
    "load", "store", "cross", "fold", "add", "compare", "div", "sqrt", "transcendental", "log", "sine", "tanh", "inverse", "power",
    "call",
)  # fmt: skip
SAME = {"mul": "add", "fma": "add", "integer": "add"}
ONE_CORE = (
    *[Parameter("operations", kind) for kind in OPERATIONS],
    *[Parameter(name) for name in ("row", "tail", "gather", "matmul", "launch", "library_call")],
    Parameter("ramp", least=0.2, most=2.0, bounded=True),
    Parameter("overlap", least=1.1, most=8.0, bounded=True),
    Parameter("overlap_memory", least=1.0, most=8.0, bounded=True),
    Parameter("strided", least=1.0, most=20.0, bounded=True),
    *[Parameter("levels", k, part) for k in (1, 2, 3) for part in ("bandwidth", "writing")],
    Parameter("levels", 2, "bytes", least=0.3, most=1.5),
    *[Parameter("matmul_edge", k) for k in range(3)],
)
ALL_CORES = (
    Parameter("parallel_launch"),
    *[Parameter("levels", k, "scaling", least=0.5, most=256.0, bounded=True) for k in (1, 2, 3)],
    Parameter("matmul_scaling", least=0.5, most=256.0, bounded=True),
)
STAY = 0.02  # weight of the first values: what no probe shows stays as it was


def with_values(machine: Machine, parameters: Sequence[Parameter], values: Iterable[float]) -> Machine:
    """The machine with other numbers."""
    operations, levels, edge = dict(machine.operations), list(machine.levels), list(machine.matmul_edge)
    fields: dict[str, Any] = {}
    for parameter, value in zip(parameters, values, strict=True):
        key = parameter.key
        if isinstance(key, int) and parameter.field == "levels":
            levels[key] = _with_part(levels[key], parameter.part, float(value))
        elif isinstance(key, int):
            edge[key] = float(value)
        elif key:
            operations[key] = float(value)
        else:
            fields[parameter.field] = float(value)
    operations.update((kind, operations[other]) for kind, other in SAME.items())
    return replace(
        machine, operations=MappingProxyType(operations), levels=tuple(levels), matmul_edge=(edge[0], edge[1], edge[2]), **fields
    )


def _with_part(level: Level, part: str, value: float) -> Level:
    parts = {"bytes": level.bytes, "bandwidth": level.bandwidth, "writing": level.writing, "scaling": level.scaling, part: value}
    return Level(level.name, parts["bytes"], parts["bandwidth"], parts["writing"], parts["scaling"])


def fitted(machine: Machine, samples: Sequence[Sample]) -> Machine:
    """The machine whose predictions are nearest to the samples: first those of one core, then what several cores add."""
    for parameters, chosen in ((ONE_CORE, [s for s in samples if s.threads == 1]), (ALL_CORES, [s for s in samples if s.threads > 1])):
        if chosen:
            machine = _nearest(machine, parameters, chosen)
    return machine


def _nearest(machine: Machine, parameters: Sequence[Parameter], samples: Sequence[Sample]) -> Machine:
    """Least squares of log(predicted / measured) over the parameters, on a soft scale; each stays within its limits."""
    from scipy.optimize import least_squares

    limits = np.log([p.limits(machine) for p in parameters])
    start = np.clip(np.log([p.get(machine) for p in parameters]), limits[:, 0] + 1e-9, limits[:, 1] - 1e-9)

    def differences(values: Any) -> Any:
        candidate = with_values(machine, parameters, np.exp(values))
        return np.concatenate([errors(candidate, samples), STAY * (values - start)])

    found = least_squares(differences, start, bounds=(limits[:, 0], limits[:, 1]), loss="soft_l1", f_scale=0.1, max_nfev=40)
    return with_values(machine, parameters, np.exp(found.x))


def errors(machine: Machine, samples: Sequence[Sample]) -> Any:
    """log(predicted / measured) of every sample."""
    return np.log([seconds(s.demands, machine, s.threads) / s.timing.least for s in samples])
