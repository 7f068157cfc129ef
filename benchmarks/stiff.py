"""A stiff reaction-diffusion system beside scipy's BDF: `python -m benchmarks stiff`.

A + B <-> C on n x n points one apart: A diffuses a hundred times faster than anything reacts and enters through the last fifth of the columns, all
three are made or decay, nothing is there at the start (Rackauckas, Solving systems of stochastic PDEs, 2017, without the noise). scipy gets the
sparse Jacobian. Its tolerance is the largest of a ladder at which its measured error is not above ours: the tolerances of two methods mean
different things.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

Line = tuple[str, str, str, bool | None]
END = 10.0
RTOL = 1e-6
TURNS = 3
LADDER = (1e-5, 1e-6, 3e-7, 1e-7, 3e-8, 1e-8, 3e-9, 1e-9, 3e-10, 1e-10)
TEXT = """
domain D: x in 0..LAST, y in 0..LAST
field A(D), B(D), C(D)
param alpha(D) = if x >= 0.8*(LAST + 1) - 1 then 1 else 0
equation dt(A) = 100*lap(A) + alpha - A - A*B + C
equation dt(B) = 1 - B - A*B + C
equation dt(C) = 1 - C + A*B - C
boundary A on x.lo, x.hi, y.lo, y.hi: dn(A) = 0
initial A = 0
initial B = 0
initial C = 0
solve { grid: x=POINTS, y=POINTS; until: t=10; tol: 1e-6METHOD }
"""


class Peer:
    """The same system by hand, for scipy."""

    def __init__(self, n: int) -> None:
        import scipy.sparse as sparse

        line = sparse.diags([np.ones(n - 1), -2 * np.ones(n), np.ones(n - 1)], [-1, 0, 1]).tolil()
        line[0, 1] = line[n - 1, n - 2] = 2  # mirrored at the ends
        one = sparse.identity(n)
        self.laplacian = (100 * (sparse.kron(line, one) + sparse.kron(one, line))).tocsr()
        self.alpha = np.repeat((np.arange(n) >= 0.8 * n - 1).astype(float), n)
        self.size = n * n

    def rates(self, t: float, y: Any) -> Any:
        a, b, c = y.reshape(3, self.size)
        r = a * b - c
        return np.concatenate([self.laplacian @ a + self.alpha - a - r, 1 - b - r, 1 - c + r])

    def jacobian(self, t: float, y: Any) -> Any:
        import scipy.sparse as sparse

        a, b, _ = y.reshape(3, self.size)
        one, of_a, of_b = sparse.identity(self.size), sparse.diags(a), sparse.diags(b)
        return sparse.bmat([[self.laplacian - one - of_b, -of_a, one], [-of_b, -one - of_a, one], [of_b, of_a, -2 * one]], format="csc")

    def run(self, rtol: float, method: str = "BDF", dense: bool = False) -> tuple[float, Any]:
        """Least seconds, and the values at the end. `dense`: scipy finds the Jacobian itself, by differences."""
        from scipy.integrate import solve_ivp

        best, values = float("inf"), None
        for _ in range(1 if dense or method != "BDF" else TURNS):
            begin = time.perf_counter()
            how = {} if dense else {"jac": self.jacobian}
            found = solve_ivp(self.rates, (0, END), np.zeros(3 * self.size), method=method, rtol=rtol, atol=rtol, **how)
            best, values = min(best, time.perf_counter() - begin), found.y[:, -1]
        return best, values


def ours(n: int, method: str) -> tuple[float, Any, str]:
    from ricci.driver import Settings
    from ricci.errors import Source
    from ricci.faces.execute import execute

    text = TEXT.replace("LAST", str(n - 1)).replace("POINTS", str(n)).replace("METHOD", method)
    best, values, chosen = float("inf"), None, ""
    for _ in range(TURNS + 1):
        outcome = execute(Source("stiff.model", text), Settings(threads=1), write=False)
        report = outcome.to_json()
        best = min(best, report["seconds"]["run"])
        values = np.concatenate([np.ravel(outcome.results[name].values) for name in "ABC"])
        chosen = next(c["value"] for c in report["choices"] if c["what"] == "time")
    return best, values, chosen


def _at_equal_error(peer: Peer, error: float, exact: Any) -> tuple[float, float, float]:
    """scipy's seconds, tolerance and error, at the largest tolerance whose error is not above the given one."""
    for rtol in LADDER:
        seconds, found = peer.run(rtol)
        theirs = float(np.abs(found - exact).max())
        if theirs <= error:
            break
    return seconds, rtol, theirs


def lines(points: tuple[int, ...] = (32, 48)) -> Iterator[Line]:
    for n in points:
        peer = Peer(n)
        _, exact = peer.run(1e-11, "Radau")
        name = f"three species on {n}^2"
        for method, bar in (("; time: rodas5p", 2.0), ("", 0.0)):
            seconds, values, chosen = ours(n, method)
            error = float(np.abs(values - exact).max())
            theirs, rtol, theirs_error = _at_equal_error(peer, error, exact)
            ratio = theirs / seconds
            figure = f"{ratio:.1f}x ({seconds * 1e3:.3g} ms, error {error:.0e}; scipy {theirs * 1e3:.3g} ms, rtol {rtol:g}, error {theirs_error:.0e})"
            how = f"{chosen}{'' if method else ', which ricci chooses'}"
            reached = ratio >= bar if bar else None
            yield f"{name}, {how}, against BDF with its sparse Jacobian, at equal error", figure, f">= {bar:g}x" if bar else "", reached
        if n == points[0]:
            dense, _ = peer.run(RTOL, dense=True)
            yield (
                f"{name}, {chosen}, against scipy's own dense Jacobian, rtol {RTOL:g}",
                f"{dense / seconds:.0f}x ({dense:.3g} s)",
                "",
                None,
            )


__all__ = ["lines"]
