"""The chosen program against its input: both evaluated by the reference interpreter at random points of tiny sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricci import cost
from ricci.dsl.ops import const
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.reference import evaluate
from ricci.dsl.term import Term, subfunctions, symbols, walk
from ricci.dsl.types import Dim, Kind, TupleType, Type
from ricci.egraph.analyses import UNKNOWN, Range
from ricci.egraph.rounding import EPSILON, NEIGHBOURS, TIMES, Array, Rounding, gaps, largest
from ricci.egraph.structure import Facts, impose

POINTS = 3
TRIES = 30  # draws until what is given of expressions holds
LARGEST = 2e9  # operations of one evaluation
TOLERANCE = 1e-9


def dims_of(roots: Sequence[Term]) -> dict[str, Dim]:
    """Symbolic dims that occur in the types of terms and as their own symbols, bodies of loops included."""
    dims: dict[str, Dim] = {}
    pending = list(roots)
    seen: set[Term] = set()
    while pending:
        for term in walk(pending):
            if term in seen:
                continue
            seen.add(term)
            if term.op == "symbol" and name_of(term).startswith("#"):
                dims.setdefault(name_of(term)[1:], Dim(name_of(term)[1:]))
            types = term.type.components if isinstance(term.type, TupleType) else (term.type,)
            dims.update((d.name, d) for t in types for size in t.axes.values() for d in size.dims)
        pending = [r for t in walk(pending) for f in subfunctions(t) for r in f.roots if r not in seen]
    return dict(sorted(dims.items()))


def tiny_sizes(roots: Sequence[Term], known: dict[str, int]) -> dict[str, int]:
    """Small extents for dims, different where possible; a known size is an upper bound."""
    out = {}
    for i, (name, dim) in enumerate(dims_of(roots).items()):
        wanted = max(dim.lower, 3 + i % 3)
        out[name] = min(wanted, known[name]) if name in known else wanted
    return out


def random_value(type_: Type, sizes: dict[str, int], generator: np.random.Generator, known: Range = UNKNOWN) -> NDArray[Any]:
    """An array of the type, axes in canonical order: reals of both signs away from 0, ints 0..2, truth values; in a known range."""
    shape = tuple(size.evaluate(sizes) for size in type_.axes.values())
    if type_.kind == Kind.BOOL:
        return generator.random(shape) < 0.5
    if type_.kind == Kind.INT:
        return generator.integers(0, 3, shape)
    if known.lo > -inf and known.hi < inf:
        return np.asarray(generator.uniform(known.lo, known.hi, shape), const.DTYPES[type_.kind])
    magnitude = generator.uniform(0.3, 1.7, shape)
    signed = magnitude * np.where(generator.random(shape) < 0.25, -1.0, 1.0)
    if known.lo > -inf or known.hi < inf:
        return np.asarray(known.lo + magnitude if known.lo > -inf else known.hi - magnitude, const.DTYPES[type_.kind])
    if type_.kind == Kind.COMPLEX:
        return signed + 1j * generator.uniform(-1.0, 1.0, shape)
    return np.asarray(signed, const.DTYPES[type_.kind])


def mismatch(
    before: Sequence[Term],
    after: Sequence[Term],
    known: dict[str, int],
    given: Mapping[Term, Range] = {},
    facts: Mapping[Term, Facts] = {},
) -> str | None:
    """What differs between two lists of terms, or None if they agree at all points (to rounding, however much of it there is).

    Points are such that all that is `given` of ranges and all `facts` of structure hold.
    """
    sizes = tiny_sizes(before, known)
    work = max(cost.cost(terms, "ops", sizes=sizes) for terms in (before, after))
    if work > LARGEST:
        return None
    points = POINTS if work < LARGEST / 100 else 1
    inputs = [s for s in symbols([*before, *after, *given, *facts]) if name_of(s) not in CONSTANTS and not name_of(s).startswith("#")]
    for seed in range(points):
        values = _point(sorted(inputs, key=name_of), sizes, seed, given, facts)
        if values is None:
            continue
        with np.errstate(all="ignore"):
            pair = evaluate(before, values, sizes), evaluate(after, values, sizes)
            found = _different(before, values, sizes, *pair)
        if found is not None:
            return f"result {found[0]} differs by {found[1]:.2e} (relative to its largest element) at random point {seed}"
    return None


def _different(
    before: Sequence[Term], values: dict[str, Array], sizes: dict[str, int], wanted: Sequence[Any], found: Sequence[Any]
) -> tuple[int, float] | None:
    """The first result that differs by more than rounding explains, and by how much, relative to its largest element."""
    apart = [difference(a, b) for a, b in zip(_arrays(wanted), _arrays(found), strict=True)]
    noise = [np.zeros(np.shape(a)) for a in _arrays(wanted)]
    for k in range(NEIGHBOURS + 1):
        if k:
            near = _arrays(_rounded(before, values, sizes, k))
            noise = [np.maximum(n, gaps(a, b)) for n, a, b in zip(noise, _arrays(wanted), near, strict=True)]
            apart = [difference(a, b, n) for a, b, n in zip(_arrays(wanted), _arrays(found), noise, strict=True)]
        if max(apart, default=0.0) == 0.0:
            return None
    flat = next(k for k, worst in enumerate(apart) if worst > 0)
    owners = [k for k, result in enumerate(wanted) for _ in _arrays([result])]
    return owners[flat], apart[flat]


def _point(
    inputs: Sequence[Term], sizes: dict[str, int], seed: int, given: Mapping[Term, Range], facts: Mapping[Term, Facts]
) -> dict[str, NDArray[Any]] | None:
    """Values of symbols for which all that is given holds; None if none was found."""
    generator = np.random.default_rng(seed + 1)
    others = {t: r for t, r in given.items() if (t.op != "symbol" or t in facts) and t.kind < Kind.COMPLEX}
    for _ in range(TRIES):
        values = {name_of(s): random_value(s.type, sizes, generator, given.get(s, UNKNOWN)) for s in inputs}
        if seed == 0:  # functions with a restricted domain see at least one point inside it
            free = {name_of(s) for s in inputs if given.get(s, UNKNOWN) == UNKNOWN}
            values = {name: np.abs(v) if name in free and np.asarray(v).dtype.kind == "f" else v for name, v in values.items()}
        values |= {name_of(s): impose(values[name_of(s)], facts[s]) for s in inputs if s in facts}
        with np.errstate(all="ignore"):
            found = evaluate(list(others), values, sizes)
        if all(np.all((r.lo <= v) & (v <= r.hi)) for v, r in zip(found, others.values(), strict=True)):
            return values
    return None


def _rounded(terms: Sequence[Term], values: dict[str, Array], sizes: dict[str, int], seed: int) -> list[Any]:
    """The terms evaluated with random roundings, those of the given values among them."""
    generator = np.random.default_rng(seed)
    bits = {name: generator.integers(-2, 3, np.shape(v)) * EPSILON for name, v in values.items()}
    near = {name: v * (1 + bits[name]) if np.asarray(v).dtype.kind in "fc" else v for name, v in values.items()}
    return evaluate(terms, near, sizes, Rounding(seed).term)


def _arrays(results: Sequence[Any]) -> list[Any]:
    """Results with the parts of tuples one by one."""
    return [a for r in results for a in (_arrays(r) if isinstance(r, tuple) else [r])]


def difference(a: Any, b: Any, noise: Any = 0.0) -> float:
    """Largest difference beyond tolerance and noise, relative to the largest element of the first; where that is not finite they agree."""
    if np.shape(a) != np.shape(b):
        return inf
    gap, scale = gaps(a, b), largest(a)
    wrong = (gap > TOLERANCE * scale) & (gap > TIMES * np.asarray(noise))
    return float(gap[wrong].max()) / scale if wrong.any() else 0.0
