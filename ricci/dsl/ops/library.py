"""library: operations that an outside library does. Attributes: (name, ...); the value is always a tuple.

solve      (b_1..b_m, constants; apply): x_1..x_m with apply(x_1..x_m, constants) = b, apply linear in its first m params
fft, ifft  (t; axis, to, size): sum_x t e^(-2 pi i k x / n); the inverse with 1/n
rfft, irfft (t; axis, to, size): of a real signal, k = 0..n//2; back to a real signal of `size` lanes
factor, solve_factored: a system given by coefficients at offsets, see `band.py`
factor_dense, solve_dense: a system along one axis whose matrix is an array, see `dense.py`
diagonalize, solve_diagonal: a system that transforms take apart, see `spectral.py`
sort       (t; axis): values in rising order and the int places they came from (stable, NaN last)
cholesky   (a; i, j): lower L with L L^H = (A + A^H)/2
eigh       (a; i, j, k): rising eigenvalues w[k] and eigenvectors V[i, k] of (A + A^H)/2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import band, base, dense, factorizations, fourier, solve, sorting, spectral
from ricci.dsl.ops.proj import make_proj, make_tuple
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import TupleType

Tangents = Sequence[Term | None]


@dataclass(frozen=True)
class Routine:
    """One library operation, in terms of the attributes after its name.

    prepare    (args, attrs) -> args and attrs in normal form; raises TermError
    infer      (args, attrs) -> types of the results
    meaning    (term, values, environment) -> arrays
    tangent    (term, results, tangents) -> tangents of the results (None: zero)
    cotangent  (term, results, cotangents of the results) -> cotangents of the arguments
    """

    prepare: Callable[[Sequence[Term], tuple[Any, ...]], tuple[list[Term], tuple[Any, ...]]]
    infer: Callable[[Sequence[Term], tuple[Any, ...]], TupleType]
    meaning: Callable[[Term, Sequence[Any], base.Environment], tuple[Any, ...]]
    tangent: Callable[[Term, Sequence[Term], Tangents], Tangents]
    cotangent: Callable[[Term, Sequence[Term], Sequence[Term]], Tangents]


ROUTINES: dict[str, Routine] = {
    "solve": Routine(solve.prepare, solve.infer, solve.meaning, solve.tangent, solve.cotangent),
    "factor": Routine(band.prepare_factor, band.infer_factor, band.factor, band.no_tangent, band.no_cotangent),
    "solve_factored": Routine(band.prepare_solve, band.infer_solve, band.solve, band.no_tangent, band.no_cotangent),
    "factor_dense": Routine(dense.prepare_factor, dense.infer_factor, dense.factor, dense.no_tangent, dense.no_cotangent),
    "solve_dense": Routine(dense.prepare_solve, dense.infer_solve, dense.solve, dense.no_tangent, dense.no_cotangent),
    "diagonalize": Routine(
        spectral.prepare_diagonalize, spectral.infer_diagonalize, spectral.diagonalize, spectral.no_tangent, spectral.no_cotangent
    ),
    "solve_diagonal": Routine(spectral.prepare_solve, spectral.infer_solve, spectral.solve, spectral.no_tangent, spectral.no_cotangent),
    "sort": Routine(sorting.prepare, sorting.infer, sorting.meaning, sorting.tangent, sorting.cotangent),
    "cholesky": Routine(
        factorizations.prepare,
        factorizations.infer_cholesky,
        factorizations.cholesky,
        factorizations.cholesky_tangent,
        factorizations.cholesky_cotangent,
    ),
    "eigh": Routine(
        factorizations.prepare, factorizations.infer_eigh, factorizations.eigh, factorizations.eigh_tangent, factorizations.eigh_cotangent
    ),
    **{name: Routine(f.prepare, f.infer, f.meaning, f.tangent, f.cotangent) for name, f in fourier.TRANSFORMS.items()},
}


def make_library(name: str, args: Sequence[Term], attrs: Sequence[Any]) -> Term:
    """The tuple of the results of a library operation."""
    routine = ROUTINES.get(name)
    if routine is None:
        raise TermError(f"no library operation {name}")
    prepared, rest = routine.prepare(args, tuple(attrs))
    return base.node("library", tuple(prepared), (name, *rest))


def _routine(term: Term) -> Routine:
    return ROUTINES[term.attrs[0]]


def _components(term: Term) -> list[Term]:
    return [make_proj(term, k) for k in range(len(term.type))]


def _infer(args: tuple[Term, ...], attrs: Any) -> TupleType:
    return ROUTINES[attrs[0]].infer(args, attrs[1:])


def _tangent(term: Term, tangents: Tangents) -> Term | None:
    if all(t is None for t in tangents):
        return None
    moved = _routine(term).tangent(term, _components(term), tangents)
    if all(t is None for t in moved):
        return None
    return make_tuple([build.zero(c) if t is None else build.conform(t, c) for t, c in zip(moved, term.type, strict=True)])


def _cotangent(term: Term, g: Term) -> Tangents:
    seeds = [make_proj(g, k) for k in range(len(term.type))]
    found = _routine(term).cotangent(term, _components(term), seeds)
    return [None if t is None else build.fit_cotangent(t, a) for t, a in zip(found, term.args, strict=True)]


OPERATOR = base.define(
    base.Operator(
        name="library",
        infer=_infer,
        meaning=lambda term, args, environment: _routine(term).meaning(term, args, environment),
        rebuild=lambda term, args: make_library(term.attrs[0], args, term.attrs[1:]),
        tangent=_tangent,
        cotangent=_cotangent,
    )
)
