"""Initial data of the cases as numpy arrays, in the order of the model's axes."""

import numpy as np

from benchmarks.peers import Case


def grids(case: Case, length: float = 1.0, periodic: bool = True) -> list[np.ndarray]:
    """Positions along each axis, shaped to be combined."""
    rank = len(case.points)
    lines = [np.arange(n) * (length / (n if periodic else n - 1)) for n in case.points]
    return [line.reshape([-1 if d == k else 1 for d in range(rank)]) for k, line in enumerate(lines)]


def start(name: str, case: Case) -> dict[str, np.ndarray]:
    """The fields at the start."""
    if name.startswith("heat") and name != "heat3d":
        x, y = grids(case, periodic=False)
        return {"u": np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y)}
    if name == "heat3d":
        x, y, z = grids(case, periodic=False)
        return {"u": np.sin(np.pi * x) * np.sin(np.pi * y) * np.sin(np.pi * z)}
    if name == "wave3d":
        x, y, z = grids(case)
        whole = np.ones(case.points)
        return {"u": np.exp(-200 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.5) ** 2)), "c2": (1 + 0.5 * np.sin(2 * np.pi * x)) * whole}
    if name == "grayscott":
        x, y = grids(case)
        whole = np.ones(case.points)
        return {"u": (1 - 0.5 * np.sin(np.pi * x) ** 2) * whole, "v": 0.25 * np.sin(2 * np.pi * y) ** 2 * whole}
    if name == "cahnhilliard":
        x, y = grids(case)
        return {"u": np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y)}
    if name == "kdv":
        return {"u": 0.5 * np.exp(-((grids(case, 50.0)[0] - 20) ** 2) / 9)}
    return {"u": np.sin(2 * np.pi * grids(case)[0])}
