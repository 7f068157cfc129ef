"""random: independent draws that depend only on the stream, the counter and the place in the array. Attributes:
(stream, axes in order, distribution); argument: the counter, an int without axes.

Bits: Philox-4x32-10 (J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
  key      (k0, k1): little-endian 32-bit halves of blake2b-8 of the stream's text in UTF-8
  counter  (n mod 2^32, n div 2^32, c mod 2^32, c div 2^32 mod 2^32) for place n, row-major in the order of `axes`, and counter c
  uniform  ((w0 div 2^5) 2^26 + w1 div 2^6) 2^-53, in [0, 1)
  normal   sqrt(-2 log(1 - u)) cos(2 pi v), u from words 0 and 1, v from words 2 and 3 as above
The order of the axes is part of the term, so a rename changes no number; threads and loop order change none either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ricci.dsl.ops import base
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Dim, Kind, Size, Type

DISTRIBUTIONS = ("uniform", "normal")
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def make_random(stream: str, counter: Term, axes: Mapping[str, int | Size | Dim], distribution: str = "uniform") -> Term:
    """Real draws over `axes`, in this order."""
    if distribution not in DISTRIBUTIONS:
        raise TermError(f"no distribution {distribution}")
    if counter.kind != Kind.INT or counter.axes:
        raise TermError(f"a counter is an int without axes, not {counter.type}")
    ordered = tuple([(name, Size.of(size)) for name, size in axes.items()])
    return base.node("random", (counter,), (str(stream), ordered, distribution))


def stream_key(stream: str) -> tuple[int, int]:
    """The two key words of a stream."""
    word = int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")
    return word & 0xFFFFFFFF, word >> 32


def philox(counter: Sequence[Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Four 32-bit words (in uint64 arrays) from four counter words and two key words."""
    import numpy as np

    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = key
    for _ in range(ROUNDS):
        p0 = np.uint64(MULTIPLIERS[0]) * c0
        p1 = np.uint64(MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ np.uint64(k0), p1 & low, (p0 >> shift) ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def _fraction(high: Any, low: Any) -> Any:
    """53 bits of two words as a number in [0, 1)."""
    return ((high >> 5) * 67108864.0 + (low >> 6)) * (1.0 / 9007199254740992.0)


def draw(stream: str, counter: int, count: int, distribution: str) -> Any:
    """The draws at places 0..count-1."""
    import numpy as np

    places = np.arange(count, dtype=np.uint64)
    c = counter % 2**64
    rest = (np.uint64(c & 0xFFFFFFFF), np.uint64(c >> 32))
    words = philox((places & np.uint64(0xFFFFFFFF), places >> np.uint64(32), *rest), stream_key(stream))
    w0, w1, w2, w3 = (w.astype(np.int64) for w in words)
    u = _fraction(w0, w1)
    return u if distribution == "uniform" else np.sqrt(-2.0 * np.log1p(-u)) * np.cos(2.0 * np.pi * _fraction(w2, w3))


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    return Type(Kind.REAL, dict(attrs[1]))


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    stream, axes, distribution = term.attrs
    shape = [size.evaluate(environment.dims) for _, size in axes]
    count = 1
    for n in shape:
        count *= n
    value = draw(stream, int(args[0]), count, distribution).reshape(shape)
    names = [name for name, _ in axes]
    return value.transpose([names.index(name) for name in term.axes])


OPERATOR = base.define(
    base.Operator(
        name="random",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: make_random(term.attrs[0], args[0], dict(term.attrs[1]), term.attrs[2]),
        tangent=lambda term, tangents: None,
        cotangent=lambda term, g: [None],
    )
)
