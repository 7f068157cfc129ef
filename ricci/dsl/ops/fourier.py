"""Discrete Fourier transforms along one axis. Attributes after the name: (axis, new axis, its size).

The transposes: of fft n times the inverse, of ifft 1/n times fft; of rfft and irfft each other, with the inner frequencies,
which stand for two, weighted by one half and by two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Size, TupleType, Type
from ricci.errors import CannotRun

Tangents = Sequence[Term | None]


@dataclass(frozen=True)
class Transform:
    """One of the four transforms; `adjoint` maps (term, g) to the cotangent of its argument."""

    name: str
    source: Kind
    target: Kind
    adjoint: Callable[[Term, Term], Term]

    def prepare(self, args: Sequence[Term], attrs: tuple[Any, ...]) -> tuple[list[Term], tuple[Any, ...]]:
        if len(args) != 1 or len(attrs) != 3 or args[0].kind > self.source or args[0].kind == Kind.BOOL:
            raise TermError(f"{self.name} takes one array of kind {self.source} at most, and (axis, new axis, size)")
        axis, to, size = attrs
        (t,) = args
        if axis not in t.axes or (to in t.axes and to != axis):
            raise TermError(f"{self.name} from axis {axis} to {to} of {t.type}")
        if self.name in ("fft", "ifft") and Size.of(size) is not t.axes[axis]:
            raise TermError(f"{self.name} keeps the size {t.axes[axis]}, not {size}")
        return [build.cast(t, self.source)], (axis, to, Size.of(size))

    def infer(self, args: Sequence[Term], attrs: tuple[Any, ...]) -> TupleType:
        axis, to, size = attrs
        kept = {name: n for name, n in args[0].axes.items() if name != axis}
        return TupleType((Type(self.target, {**kept, to: size}),))

    def meaning(self, term: Term, args: Sequence[Any], environment: base.Environment) -> tuple[Any, ...]:
        import numpy as np

        axis, to, size = term.attrs[1:]
        source = list(term.args[0].axes)
        target = list(term.type.components[0].axes)
        n = size.evaluate(environment.dims)
        value = np.moveaxis(args[0], source.index(axis), -1)
        lanes = value.shape[-1]
        if self.name in ("rfft", "irfft") and min(lanes, n) != max(lanes, n) // 2 + 1:
            raise CannotRun("E0801", f"{self.name} from {lanes} to {n} lanes: n real lanes have n//2 + 1 frequencies")
        if lanes == 0:
            out = np.zeros((*value.shape[:-1], n), complex)
        else:
            out = np.fft.irfft(value, n=n) if self.name == "irfft" else getattr(np.fft, self.name)(value)
        return (np.moveaxis(out, -1, target.index(to)),)

    def tangent(self, term: Term, results: Sequence[Term], tangents: Tangents) -> Tangents:
        return [None if tangents[0] is None else transform(self.name, tangents[0], *term.attrs[1:])]

    def cotangent(self, term: Term, results: Sequence[Term], seeds: Sequence[Term]) -> Tangents:
        return [self.adjoint(term, seeds[0])]


def transform(name: str, t: Term, axis: str, to: str, size: Size) -> Term:
    """The transformed array."""
    return build.proj(build.library(name, (t,), (axis, to, size)), 0)


def _lanes(term: Term) -> tuple[str, str, Size, Size]:
    """(axis, new axis, lanes before, lanes after)"""
    axis, to, size = term.attrs[1:]
    return axis, to, term.args[0].axes[axis], size


def _fft_adjoint(term: Term, g: Term) -> Term:
    axis, to, n, _ = _lanes(term)
    return build.mul(build.size_term(n), transform("ifft", g, to, axis, n))


def _ifft_adjoint(term: Term, g: Term) -> Term:
    axis, to, n, _ = _lanes(term)
    return build.divide(transform("fft", g, to, axis, n), build.size_term(n))


def _rfft_adjoint(term: Term, g: Term) -> Term:
    axis, to, n, frequencies = _lanes(term)
    weighted = build.divide(g, _multiplicity(to, frequencies, n))
    return build.mul(build.size_term(n), transform("irfft", weighted, to, axis, n))


def _irfft_adjoint(term: Term, g: Term) -> Term:
    axis, to, frequencies, n = _lanes(term)
    back = transform("rfft", g, to, axis, frequencies)
    return build.divide(build.mul(_multiplicity(axis, frequencies, n), back), build.size_term(n))


def _multiplicity(axis: str, frequencies: Size, n: Size) -> Term:
    """How many lanes of the full spectrum a frequency of the half one stands for: 1 at 0 and n/2, else 2."""
    k = build.iota(axis, frequencies)
    ends = build.apply("or", build.apply("eq", k, build.const(0)), build.apply("eq", build.scale(2, k), build.size_term(n)))
    return build.where(ends, build.const(1), build.const(2))


TRANSFORMS = {
    "fft": Transform("fft", Kind.COMPLEX, Kind.COMPLEX, _fft_adjoint),
    "ifft": Transform("ifft", Kind.COMPLEX, Kind.COMPLEX, _ifft_adjoint),
    "rfft": Transform("rfft", Kind.REAL, Kind.COMPLEX, _rfft_adjoint),
    "irfft": Transform("irfft", Kind.COMPLEX, Kind.REAL, _irfft_adjoint),
}
