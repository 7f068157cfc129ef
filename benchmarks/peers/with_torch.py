"""torch.compile on the CPU: one step into a second array, sides as slices; two steps a call, so that no array is copied."""

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
    return (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]) * float(n * n)


def _wrap(u, w):
    u[:w] = u[-2 * w : -w]
    u[-w:] = u[w : 2 * w]
    u[:, :w] = u[:, -2 * w : -w]
    u[:, -w:] = u[:, w : 2 * w]


def _gray_scott(n):
    def step(u, v, new_u, new_v):
        a, b = u[1:-1, 1:-1], v[1:-1, 1:-1]
        reaction = a * b * b
        new_u[1:-1, 1:-1] = a + 1e-4 * (2e-5 * _lap(u, n) - reaction + 0.04 * (1 - a))
        new_v[1:-1, 1:-1] = b + 1e-4 * (1e-5 * _lap(v, n) + reaction - 0.1 * b)
        _wrap(new_u, 1)
        _wrap(new_v, 1)

    return step


def _cahn_hilliard(n):
    def step(u, new):
        inner = u[1:-1, 1:-1]
        mu = inner * inner * inner - inner - 1e-6 * _lap(u, n)
        new[2:-2, 2:-2] = u[2:-2, 2:-2] + 1e-4 * 1e-9 * _lap(mu, n)
        _wrap(new, 2)

    return step


def run(name: str, case: Case, threads: int) -> tuple[float, np.ndarray]:
    torch.set_num_threads(threads)
    n = case.points[0]
    fields = start(name, case)
    width = {"grayscott": 1, "cahnhilliard": 2}.get(name, 0)
    step = {"grayscott": _gray_scott, "cahnhilliard": _cahn_hilliard}.get(name, lambda n: _heat(n, 1e-5))(n)
    begin = [torch.from_numpy(np.pad(fields[k], width, mode="wrap")) for k in ("u", "v") if k in fields]
    compiled = torch.compile(step)
    best = float("inf")
    for _ in range(REPEATS + 1):
        old, new = [f.clone() for f in begin], [f.clone() for f in begin]
        start_of = time.perf_counter()
        for _ in range(case.steps):
            compiled(*old, *new)
            old, new = new, old
        best = min(best, time.perf_counter() - start_of)
    values = old[0].numpy()
    return best / case.steps, values[width : values.shape[0] - width, width : values.shape[1] - width]
