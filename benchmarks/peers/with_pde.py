"""py-pde: its explicit solvers with the numba backend. Its points are cell centres; the work is the same."""

import time

import numpy as np
import pde

from benchmarks.peers import Case
from benchmarks.peers.starts import start

REPEATS = 3


def run(name: str, case: Case, threads: int) -> tuple[float, np.ndarray]:
    fields = start(name, case)
    if name in ("kdv", "burgers"):
        length = 50.0 if name == "kdv" else 1.0
        grid = pde.CartesianGrid([[0, length]], case.points, periodic=True)
        third = "-6*u*d_dx(u) - d_dx(laplace(u))"
        equation = pde.PDE({"u": third if name == "kdv" else "1e-3*laplace(u) - u*d_dx(u)"})
        dt, scheme = (1e-4 if name == "kdv" else 2e-4), "runge-kutta"
    else:
        grid = pde.CartesianGrid([[0, 1], [0, 1]], case.points)
        equation, dt, scheme = pde.DiffusionPDE(1e-5, bc={"value": 0}), 1e-5, "euler"
    state = pde.ScalarField(grid, fields["u"])
    solver = pde.ExplicitSolver(equation, scheme=scheme, adaptive=False)
    stepper = solver.make_stepper(state, dt=dt)  # compiles
    best = float("inf")
    for _ in range(REPEATS + 1):
        changed = state.copy()
        begin = time.perf_counter()
        stepper(changed, 0.0, case.steps * dt)
        best = min(best, time.perf_counter() - begin)
    return best / case.steps, np.asarray(changed.data)
