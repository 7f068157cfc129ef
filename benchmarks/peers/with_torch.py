"""torch.compile on the CPU: given sides as slices into a second array, periodic ones by `roll` (padding and ghosts are five times slower)."""

import time

import numpy as np
import torch

from benchmarks.peers import Case
from benchmarks.peers.starts import start

REPEATS = 4


def _heat(n, dt):
    c = 1e-5 * dt * (n - 1) ** 2

    def step(u, new):
        inner = u[1:-1, 1:-1]
        new[1:-1, 1:-1] = inner + c * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inner)

    return step


def _lap(u, n):
    return (torch.roll(u, 1, 0) + torch.roll(u, -1, 0) + torch.roll(u, 1, 1) + torch.roll(u, -1, 1) - 4 * u) * float(n * n)


def _gray_scott(n):
    def step(u, v):
        reaction = u * v * v
        return u + 1e-4 * (2e-5 * _lap(u, n) - reaction + 0.04 * (1 - u)), v + 1e-4 * (1e-5 * _lap(v, n) + reaction - 0.1 * v)

    return step


def _cahn_hilliard(n):
    return lambda u: (u + 1e-4 * 1e-9 * _lap(u * u * u - u - 1e-6 * _lap(u, n), n),)


def run(name: str, case: Case, threads: int) -> tuple[float, np.ndarray]:
    torch.set_num_threads(threads)
    n = case.points[0]
    fields = start(name, case)
    begin = [torch.from_numpy(fields[k]) for k in ("u", "v") if k in fields]
    best = float("inf")
    if name in ("grayscott", "cahnhilliard"):
        compiled = torch.compile(_gray_scott(n) if name == "grayscott" else _cahn_hilliard(n))
        for _ in range(REPEATS + 1):
            state = begin
            start_of = time.perf_counter()
            for _ in range(case.steps):
                state = compiled(*state)
            best = min(best, time.perf_counter() - start_of)
        return best / case.steps, state[0].numpy()
    compiled = torch.compile(_heat(n, 1e-5))
    for _ in range(REPEATS + 1):
        old, new = begin[0].clone(), begin[0].clone()
        start_of = time.perf_counter()
        for _ in range(case.steps):
            compiled(old, new)
            old, new = new, old
        best = min(best, time.perf_counter() - start_of)
    return best / case.steps, old.numpy()
