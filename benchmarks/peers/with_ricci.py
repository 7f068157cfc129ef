"""ricci: the compiled time loop alone, as the others are timed."""

import time

import numpy as np

from benchmarks.overlap import Case as Looped
from benchmarks.overlap import loop_of
from benchmarks.peers import Case

REPEATS = 4


def run(name: str, case: Case, threads: int) -> tuple[float, np.ndarray]:
    method, *others = (part.strip().removeprefix("time: ") for part in case.options.split(";"))
    loop, arguments, sizes = loop_of(Looped(name, case.text, f"{method}|{'; '.join(others)}", case.points, case.steps))
    arguments |= {"ctl:t_stop": np.float64(1e9), "ctl:max_steps": np.int64(case.steps)}
    best = float("inf")
    for _ in range(REPEATS):
        ready = loop.ready(arguments, sizes)
        begin = time.perf_counter()
        ready.run(threads)
        best = min(best, time.perf_counter() - begin)
    results = ready.results()
    assert int(results["ctl:steps"]) == case.steps
    return best / case.steps, np.asarray(results["u"])
