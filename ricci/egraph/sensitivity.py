"""How errors of weights reach the results of a function: a guaranteed bound, and where weights are used as matrices.

For every term t that depends on the inputs x, |t| is the Euclidean norm over all axes but the batch axes (those of all inputs and
results that nothing sums, moves or mixes), the largest over these. Two facts are carried along, both for every x:

    |t(x)| <= G(x) = gain |x| + offset          the growth of t
    |t~(x) - t(x)| <= relative * G(x)           where t~ is t with other weights

    product   W t, |W|_2 = n, |W~ - W|_2 <= e    G = n G_t,  1 + r = (1 + e/n) (1 + r_t)
    sum       sum c_k t_k                        G = sum |c_k| G_k,  r the mean of r_k, weighted by |c_k| G_k
    map       f(t), |f(a) - f(b)| <= L |a - b|   G = L G_t + |f(0)| sqrt(points),  r = r_t
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np

from ricci.dsl import build, reference
from ricci.dsl.index import Index
from ricci.dsl.ops.contract import Label, bound_of, factors_of
from ricci.dsl.ops.reindex import Pull, pull_of
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, symbols, walk
from ricci.dsl.types import Kind, Size, TupleType

Array = np.ndarray[Any, Any]

# Lipschitz constants of real functions, rounded up: the largest |f'|.
LIPSCHITZ: Mapping[str, float] = {
    **dict.fromkeys(("group", "relu", "abs", "sin", "cos", "tanh", "atan", "asinh", "softplus", "re", "im", "conj"), 1.0),
    "sigmoid": 0.25,
    "erf": 1.1283791670955128,
    "erfc": 1.1283791670955128,
    "gelu": 1.1289084,
    "gelu_tanh": 1.1290003,
}
OF_COMPLEX = frozenset({"group", "abs", "re", "im", "conj"})
LIKE_SUMS = frozenset({"max2", "min2", "hypot"})  # |f(a, b) - f(c, d)| <= |a - c| + |b - d|
SILU = 1.0998394  # of x sigmoid(x)


class Unbounded(Exception):
    """No bound is known through this operation."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Growth:
    """|t(x)| <= gain |x| + offset."""

    gain: float
    offset: float

    def __add__(self, other: Growth) -> Growth:
        return Growth(self.gain + other.gain, self.offset + other.offset)

    def __mul__(self, factor: float) -> Growth:
        return Growth(self.gain * factor, self.offset * factor)

    def __str__(self) -> str:
        parts = [f"{self.gain:.3g} |x|"] if self.gain else []
        parts += [f"{self.offset:.3g}"] if self.offset or not parts else []
        return " + ".join(parts)


@dataclass(frozen=True)
class Use:
    """A factor of a product that acts on the data as a matrix: labels summed with the data and made; `vectors` it acts on.

    `alone` are labels that are summed and that only this factor has.
    """

    factor: Term
    access: Mapping[str, Label]
    summed: tuple[Label, ...]
    made: tuple[Label, ...]
    alone: tuple[Label, ...]
    vectors: int

    @property
    def is_matrix(self) -> bool:
        """Whether it is a plain matrix: one label in, one out, two axes."""
        return len(self.summed) == len(self.made) == 1 and len(self.access) == 2 and not self.alone


@dataclass(frozen=True)
class Product:
    """t = matrices applied to the source: (weight, norm) for those that may change."""

    source: Term
    weights: tuple[tuple[Term, float], ...]


@dataclass(frozen=True)
class Sum:
    """Parts with their shares of gain and offset; only those that depend on the inputs."""

    parts: tuple[tuple[Term, float, float], ...]


Step = Product | Sum


def dependent(roots: Sequence[Term], inputs: Iterable[Term]) -> frozenset[Term]:
    """Terms that depend on the inputs."""
    found: set[Term] = set(inputs)
    for t in walk(roots):
        if any(a in found for a in t.args):
            found.add(t)
    return frozenset(found)


def uses(term: Term, data: frozenset[Term], sizes: Mapping[str, int]) -> list[Use]:
    """The factors of a product that do not depend on the data, in the order in which they can act on those that do."""
    factors = factors_of(term)
    extents = {label: size for f, access in factors for axis, label in access.items() for size in [f.axes[axis]]}
    bound = bound_of(term)
    current = {label for f, access in factors if f in data for label in access.values()}
    waiting = [(f, access) for f, access in factors if f not in data]
    found: list[Use] = []
    while waiting:
        k = next((k for k, (_, access) in enumerate(waiting) if set(access.values()) & current), 0)
        f, access = waiting.pop(k)
        own = set(access.values())
        others = {label for _, rest in waiting for label in rest.values()}
        summed = {label for label in own & current if label in bound and label not in others}
        alone = {label for label in own - current if label in bound and label not in others}
        made = own - current
        vectors = prod(known for label in current - own if (known := _extent(extents[label], sizes)) is not None)
        found.append(Use(f, access, _sorted(summed), _sorted(made), _sorted(alone), vectors))
        current = (current | own) - summed - alone
    return found


def _sorted(labels: Iterable[Label]) -> tuple[Label, ...]:
    return tuple(sorted(labels, key=str))


def _extent(size: Size, sizes: Mapping[str, int]) -> int | None:
    if any(d.name not in sizes for d in size.dims):
        return None
    return max(size.evaluate(dict(sizes)), 0)


def spectral_norm(array: Array) -> float:
    """Largest singular values of stacks of matrices, the largest of them: by the smaller Gram matrix, entries scaled to one."""
    largest = float(np.abs(array).max(initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    scaled = array / largest
    if scaled.shape[-2] > scaled.shape[-1]:
        scaled = np.swapaxes(scaled, -1, -2)
    gram = scaled @ np.swapaxes(scaled, -1, -2).conj()
    return largest * float(np.sqrt(np.linalg.eigvalsh(gram)[..., -1].max()))


class Sensitivity:
    """The steps from the inputs to the results, with norms of all weights; `Unbounded` where an operation has no known bound."""

    def __init__(self, roots: Sequence[Term], inputs: Sequence[Term], values: Mapping[Term, Array], sizes: Mapping[str, int]) -> None:
        self.roots, self.values, self.sizes = list(roots), values, dict(sizes)
        self.data = dependent(roots, inputs)
        self.batch = batch_axes(roots, inputs, self.data)
        self.growths: dict[Term, Growth] = {x: Growth(1.0, 0.0) for x in inputs}
        self.steps: dict[Term, Step] = {}
        self._known: dict[Term, Array] = {}
        for t in walk(roots):
            if t in self.data and t not in self.growths:
                self.steps[t], self.growths[t] = self._step(t)
        self.growth = Growth(0.0, 0.0)
        for root in roots:
            own = self._growth(root)
            self.growth = Growth(max(self.growth.gain, own.gain), max(self.growth.offset, own.offset))

    def relative(self, errors: Mapping[Term, float]) -> float:
        """The bound for given spectral errors of weights: the largest of the results."""
        found: dict[Term, float] = {}
        for t, step in self.steps.items():
            sources = [step.source] if isinstance(step, Product) else [p for p, _, _ in step.parts]
            found[t] = combined(step, [found.get(s, 0.0) for s in sources], errors)
        return max((found.get(r, 0.0) for r in self.roots), default=0.0)

    # steps

    def _step(self, t: Term) -> tuple[Step, Growth]:
        if isinstance(t.type, TupleType):
            raise Unbounded(f"`{t.op}`")
        if t.op == "contract":
            return self._product(t)
        if t.op == "linear":
            return self._sum([(abs(float(c)), a) for c, a in zip(t.attrs, t.args, strict=True)], t)
        if t.op == "map":
            return self._map(t)
        if t.op == "reindex":
            return self._reindex(t)
        if t.op == "cast" and t.args[0].kind > Kind.BOOL:
            return self._sum([(1.0, t.args[0])], t)
        if t.op == "reduce" and t.attrs[0] in ("max", "min"):
            return self._sum([(1.0, t.args[0])], t)
        raise Unbounded(f"`{t.attrs[0] if t.op == 'reduce' else t.op}`")

    def _product(self, t: Term) -> tuple[Step, Growth]:
        factors = [(f, access) for f, access in factors_of(t) if f in self.data]
        source, factor = self._source(factors)
        weights = []
        absorbed = uses(t, self.data, self.sizes)
        for use in absorbed:
            norm = self._norm(use)
            factor *= norm * sqrt(prod(self._points(bound_of(t)[label]) for label in use.alone))
            if use.factor.op == "symbol":
                weights.append((use.factor, norm))
        acted = {label for use in absorbed for label in use.access.values()}
        alone = [size for label, size in bound_of(t).items() if label not in acted]
        factor *= sqrt(prod(self._points(size) for size in alone))
        return Product(source, tuple(weights)), self._growth(source) * factor

    def _source(self, factors: Sequence[tuple[Term, Mapping[str, Label]]]) -> tuple[Term, float]:
        """The only factor that depends on the inputs; x and sigmoid(x) are one."""
        if len(factors) == 1:
            return factors[0][0], 1.0
        if len(factors) == 2:
            for (x, access), (y, other) in (factors, reversed(factors)):
                if y.op == "map" and y.attrs == ("sigmoid",) and y.args[0] is x and access == other:
                    return x, SILU
        raise Unbounded("a product of two values that both depend on the input")

    def _norm(self, use: Use) -> float:
        """Spectral norm of a factor from the summed labels to the made ones, the largest over labels that pass."""
        array, axes = self._value(use.factor), list(use.factor.axes)
        labels = [use.access[axis] for axis in axes]
        if len(set(labels)) < len(labels):
            raise Unbounded(f"a diagonal of `{name_of(use.factor) if use.factor.op == 'symbol' else 'a weight'}`")
        passing = [label for label in labels if label not in use.summed and label not in use.made]
        order = [labels.index(label) for label in (*passing, *use.made, *use.summed)]
        shape = [array.shape[k] for k in order]
        counts = (len(passing), len(passing) + len(use.made))
        matrices = np.transpose(array, order).reshape(
            prod(shape[: counts[0]]), prod(shape[counts[0] : counts[1]]), prod(shape[counts[1] :])
        )
        return spectral_norm(matrices)

    def _sum(self, members: Sequence[tuple[float, Term]], t: Term) -> tuple[Step, Growth]:
        """A sum, a term lacking axes repeated along them."""
        parts = []
        total = Growth(0.0, 0.0)
        for c, a in members:
            missing = [size for axis, size in t.axes.items() if axis not in a.axes and axis not in self.batch]
            own = self._growth(a) * (c * sqrt(prod(self._points(size) for size in missing)))
            total += own
            if a in self.data:
                parts.append((a, own))
        shares = tuple((a, _share(own.gain, total.gain), _share(own.offset, total.offset)) for a, own in parts)
        return Sum(shares), total

    def _map(self, t: Term) -> tuple[Step, Growth]:
        name = t.attrs[0]
        if name in LIKE_SUMS or (name == "where" and t.args[0] not in self.data):
            return self._sum([(1.0, a) for a in t.args if a.kind > Kind.BOOL], t)
        if name not in LIPSCHITZ or (t.args[0].kind == Kind.COMPLEX and name not in OF_COMPLEX):
            raise Unbounded(f"`{name}`")
        step, growth = self._sum([(LIPSCHITZ[name], t.args[0])], t)
        (at_zero,) = reference.evaluate([build.apply(name, build.const(0, Kind.REAL))], {}, {})
        offset = (
            abs(float(at_zero)) * sqrt(prod(self._points(size) for axis, size in t.axes.items() if axis not in self.batch))
            if at_zero
            else 0.0
        )
        return step, growth + Growth(0.0, offset)

    def _reindex(self, t: Term) -> tuple[Step, Growth]:
        """Every entry of the argument is read at most as often as the axes say that no index tells apart."""
        pull = pull_of(t)
        rest = [axis for axis in t.axes if axis not in self.batch and axis not in _injective(pull)]
        factor = sqrt(prod(self._points(t.axes[axis]) for axis in rest))
        growth = self._growth(t.args[0]) * factor
        fill = abs(float(pull.fill or 0.0))
        if fill:
            growth += Growth(0.0, fill * sqrt(prod(self._points(size) for axis, size in t.axes.items() if axis not in self.batch)))
        return Sum(((t.args[0], 1.0, 1.0),)), growth

    # numbers

    def _points(self, size: Size) -> int:
        extent = _extent(size, self.sizes)
        if extent is None:
            raise Unbounded(f"a sum or repetition over an axis of open size ({size})")
        return extent

    def _growth(self, t: Term) -> Growth:
        if t in self.growths:
            return self.growths[t]
        array = self._value(t)
        kept = [k for k, axis in enumerate(t.axes) if axis not in self.batch]
        norms = np.sqrt(np.sum(np.abs(array) ** 2, axis=tuple(kept))) if kept else np.abs(array)
        self.growths[t] = Growth(0.0, float(np.max(norms, initial=0.0)))
        return self.growths[t]

    def _value(self, t: Term) -> Array:
        """The value of a term that no input enters."""
        if t not in self._known:
            names = {name_of(s): self.values[s] for s in symbols([t]) if s in self.values}
            open_ = {d.name for u in walk([t]) if not isinstance(u.type, TupleType) for size in u.axes.values() for d in size.dims}
            if not open_ <= set(self.sizes):
                raise Unbounded(f"an axis of open size ({sorted(open_ - set(self.sizes))[0]})")
            self._known[t] = np.asarray(reference.evaluate([t], names, self.sizes)[0])
        return self._known[t]


def _share(own: float, total: float) -> float:
    return own / total if total else 0.0


def combined(step: Step, relative: Sequence[float], errors: Mapping[Term, float]) -> float:
    """The relative error of a step from those of its sources and the spectral errors of its weights."""
    if isinstance(step, Product):
        factor = 1.0 + relative[0]
        for weight, norm in step.weights:
            error = errors.get(weight, 0.0)
            if error:
                factor *= 1.0 + (error / norm if norm else np.inf)
        return factor - 1.0
    gain = sum(share * r for (_, share, _), r in zip(step.parts, relative, strict=True))
    offset = sum(share * r for (_, _, share), r in zip(step.parts, relative, strict=True))
    return max(gain, offset)


def batch_axes(roots: Sequence[Term], inputs: Sequence[Term], data: frozenset[Term]) -> frozenset[str]:
    """Axes that all inputs and results have and that nothing on the way sums, moves or mixes: a result at a place depends on inputs there."""
    ends = [*inputs, *roots]
    if any(isinstance(t.type, TupleType) for t in ends):
        return frozenset()
    kept = set.intersection(*(set(t.axes) for t in ends)) if ends else set()
    for t in walk(roots):
        if t in data and t not in inputs:
            kept -= set(_touched(t, data))
    return frozenset(kept)


def _touched(t: Term, data: frozenset[Term]) -> Iterator[str]:
    if t.op == "contract":
        for f, access in factors_of(t):
            if f in data:
                yield from (axis for axis, label in access.items() if label != axis)
        yield from (str(label) for f, access in factors_of(t) if f in data for axis, label in access.items() if label != axis)
    elif t.op == "reindex":
        pull = pull_of(t)
        for axis, e in pull.entries:
            if e.single_axis != axis:
                yield axis
                yield from e.axes
        yield from (axis for guard in pull.guards for axis in guard.axes)
        yield from (axis for axis, _ in pull.axes if axis not in pull.used)
    elif t.op == "reduce":
        yield from t.attrs[1]
    elif t.op not in ("linear", "map", "cast"):
        yield from (axis for a in t.args if a in data and not isinstance(a.type, TupleType) for axis in a.axes)


def _injective(pull: Pull) -> set[str]:
    """For every index one axis of the result along which it takes each value once, all different."""
    sizes = dict(pull.axes)
    taken: set[str] = set()
    for _, e in pull.entries:
        for axis in sorted(e.axes - taken):
            if _takes_once(e, axis, sizes):
                taken.add(axis)
                break
    return taken


def _takes_once(e: Index, axis: str, sizes: Mapping[str, Size]) -> bool:
    """k axis + rest, or (+-axis + rest) mod n with at most n places."""
    if e.coefficient(axis).terms and sum(axis in (a.inner.axes if a.kind != "axis" else {a.axis}) for a, _ in e.terms) == 1:
        return True
    if len(e.terms) == 1 and e.terms[0][0].kind == "mod":
        atom, inside = e.terms[0][0], e.terms[0][0].inner
        one = inside.is_affine and inside.coefficient(axis).constant in (1, -1)
        return one and sizes[axis] == atom.size
    return False


def norm_of_samples(array: Array, axes: Sequence[str], batch: frozenset[str]) -> Array:
    """Euclidean norm over all axes but the batch axes."""
    summed = tuple(k for k, axis in enumerate(axes) if axis not in batch)
    scale = float(np.abs(array).max(initial=0.0))
    if scale == 0.0 or not np.isfinite(scale):
        return np.asarray(np.abs(array).max(axis=summed, initial=0.0)) if summed else np.abs(array)
    return np.asarray(scale * np.sqrt(np.sum(np.abs(array / scale) ** 2, axis=summed)))


__all__ = [
    "Growth",
    "Product",
    "Sensitivity",
    "Sum",
    "Unbounded",
    "Use",
    "batch_axes",
    "combined",
    "dependent",
    "norm_of_samples",
    "spectral_norm",
    "uses",
]
