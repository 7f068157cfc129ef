"""Fingerprints: the values of classes at a few fixed random points of tiny sizes. Different fingerprints: not equal.

Symbolic sizes are tiny ones. A fixed size that no index map looks into is taken as a small one whose points count more (a sum over an
axis of 784 is the sum over 3 points, times 784/3): linear algebra holds for every measure, so matrices of any size cost
the same. What depends on the places themselves, or is too large, has no fingerprint, and nothing is concluded from it.

Arrays have the points on their last axis and the named axes before it, the first known next to it, with extent 1 where the
value is constant along one, so that numpy aligns them without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricci.cost import TRANSFORMS
from ricci.dsl.ops import OPERATORS, Environment, const
from ricci.dsl.ops.contract import Contraction, Label
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.reindex import Pull, plain_pull
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Term, TermError, subfunctions, walk
from ricci.dsl.types import Kind, Size, TupleType, Type
from ricci.egraph.analyses import UNKNOWN, Range
from ricci.egraph.rounding import EPSILON, Rounding
from ricci.egraph.space import Axes, Node
from ricci.egraph.structure import Facts, impose
from ricci.egraph.verify import tiny_sizes

POINTS = 2
SMALL = 5  # fixed sizes up to this are taken as they are
LARGEST = 1 << 13  # elements of a fingerprint
WORK = 8_000_000  # elements of all fingerprints and operations of one optimization
OPAQUE_WORK = 20_000  # what an operator that is evaluated by its definition counts for
MOST_AXES = 24
LOOKED_THROUGH = frozenset({"symbol", "const", "linear", "contract", "map", "reduce", "cast", "proj", "reindex"})
OPAQUE = frozenset({"map", "cast", "proj", "gather", "scatter", "scan", "iota"})  # evaluated by their definitions
ROUTINES = TRANSFORMS | {"sort"}

Array = NDArray[Any]
Value = Array | tuple[Array, ...] | None  # of tuples: arrays with axes in canonical order and the points first


@dataclass(frozen=True)
class Places:
    """Where values are looked at: extents of dims, tiny extents of fixed sizes, what is known of symbols."""

    dims: Mapping[str, int]
    shrunk: Mapping[Size, int]
    given: Mapping[Term, Range]
    facts: Mapping[Term, Facts]

    @staticmethod
    def of(roots: Sequence[Term], known: dict[str, int], given: Mapping[Term, Range], facts: Mapping[Term, Facts]) -> Places:
        return Places(tiny_sizes(roots, known), _shrinkable(roots), given, facts)

    def extent(self, size: Size) -> int:
        small = self.shrunk.get(size)
        return size.evaluate(self.dims) if small is None else small

    def weight(self, size: Size) -> float:
        """How much a point of an axis counts in a sum."""
        small = self.shrunk.get(size)
        return 1.0 if small is None else (size.constant or 0) / small


def _shrinkable(roots: Sequence[Term]) -> dict[Size, int]:
    """Fixed sizes that only plain axes have, and what they are taken as."""
    fixed: dict[Size, None] = {}
    kept: set[Size] = set()
    for term in walk(roots):
        sizes = _sizes(term)
        fixed.update(dict.fromkeys(s for s in sizes if (s.constant or 0) > SMALL))
        if term.op not in LOOKED_THROUGH or (term.op == "reindex" and plain_pull(term) is None):
            kept.update(sizes, *(_sizes(a) for a in term.args))
            kept.update(s for f in subfunctions(term) for t in walk(f.roots) for s in _sizes(t))
    free = [s for s in fixed if s not in kept]
    return {size: 3 + i % 3 for i, size in enumerate(sorted(free, key=lambda s: s.constant or 0))}


def _sizes(term: Term) -> list[Size]:
    types = term.type.components if isinstance(term.type, TupleType) else (term.type,)
    return [size for t in types for size in t.axes.values()]


class Fingerprints:
    """Values of nodes at the points of `places`."""

    def __init__(self, places: Places, templates: Mapping[Hashable, Term]) -> None:
        self.places, self.templates = places, templates
        self.position: dict[str, int] = {}
        self.pulls: dict[tuple[Pull, Axes], Callable[[Array], Array]] = {}
        self.work = 0

    # layout

    def _at(self, axis: str) -> int:
        """How many places before the points an axis stands."""
        return self.position.setdefault(axis, len(self.position) + 1)

    def _axes(self, axes: Iterable[tuple[str, Size]]) -> list[tuple[str, int]]:
        return [(name, self.places.extent(size)) for name, size in sorted(axes)]

    def placed(self, value: Array, axes: Sequence[tuple[str, int]]) -> Array:
        """From canonical order, points first, to the layout."""
        order = sorted(range(len(axes)), key=lambda k: -self._at(axes[k][0]))
        shape = [1] * max((self._at(name) for name, _ in axes), default=0)
        for name, n in axes:
            shape[-self._at(name)] = n
        turned = np.moveaxis(value, 0, -1).transpose([*order, len(axes)])
        return turned.reshape([*shape, POINTS])

    def canonical(self, value: Array, axes: Sequence[tuple[str, int]]) -> Array:
        """From the layout to canonical order, points first; repeated along axes over which it is constant."""
        depth = max([value.ndim - 1, *(self._at(name) for name, _ in axes)])
        shape = [1] * depth
        for name, n in axes:
            shape[-self._at(name)] = n
        full = np.broadcast_to(value, (*shape, POINTS))
        places = [depth - self._at(name) for name, _ in axes]
        others = [k for k in range(depth) if k not in places]
        return full.transpose([depth, *places, *others]).reshape([POINTS, *(n for _, n in axes)])

    # nodes

    def of(self, node: Node, axes: Axes, parts: Sequence[Value], own: Sequence[Axes]) -> Value:
        """The value of a node whose children (signs included) have these values and axes; None where it cannot be said."""
        if len(self.position) > MOST_AXES or self.work > WORK:
            return None
        if any(p is None for p in parts):
            return None
        try:
            with np.errstate(all="ignore"):
                value = self._evaluated(node, axes, parts, own)
        except (TermError, KeyError, IndexError, ValueError, OverflowError):
            return None
        if isinstance(value, np.ndarray):
            self.work += value.size
        return value

    def _evaluated(self, node: Node, axes: Axes, parts: Sequence[Any], own: Sequence[Axes]) -> Value:
        op, payload = node.op, node.payload
        if op == "leaf":
            return self._leaf(payload)
        if op == "scale":
            return np.asarray(float(node.factor) * parts[0])
        if op == "sum":
            return self._fold(np.add, parts)
        if op == "product":
            return self._fold(np.multiply, parts)
        if op == "power":
            return np.asarray(parts[0] ** node.exponent)
        if op in ("expand", "stored"):
            return np.asarray(parts[0])
        if op == "contract":
            assert isinstance(payload, Contraction)
            return self._contraction(payload, axes, parts)
        if op == "reindex":
            assert isinstance(payload, Pull)
            return self._pulled(payload, own[0])(parts[0])
        if op == "reduce":
            assert isinstance(payload, tuple)
            return self._reduced(payload[0], payload[1], parts[0], own[0])
        if op in SCALARS:
            return np.asarray(SCALARS[op].numpy(*parts))
        return self._by_definition(self.templates[payload], parts)

    def _fold(self, function: np.ufunc, parts: Sequence[Array]) -> Array | None:
        total = parts[0]
        for part in parts[1:]:
            total = function(total, part)
            if total.size > LARGEST:
                return None
        self.work += len(parts) * total.size
        return total

    def _leaf(self, key: Hashable) -> Array | None:
        if not isinstance(key, Term):
            assert isinstance(key, tuple)
            return np.full(POINTS, float(key[1]))
        if key.op == "const":
            value, kind = key.attrs
            return np.full(POINTS, const.to_scalar(value, kind))
        assert isinstance(key.type, Type)
        axes = [(name, self.places.extent(size)) for name, size in key.axes.items()]
        if prod(n for _, n in axes) * POINTS > LARGEST:
            return None
        if key.op == "iota":
            if any(size in self.places.shrunk for size in key.axes.values()):
                return None
            return self.placed(np.stack([np.arange(axes[0][1])] * POINTS), axes)
        return self._symbol(key, key.type, axes)

    def _symbol(self, symbol: Term, type_: Type, axes: Sequence[tuple[str, int]]) -> Array | None:
        name = name_of(symbol)
        if name.startswith("#"):
            return np.full(POINTS, float(self.places.dims[name[1:]]))
        if name in CONSTANTS and not axes:
            return np.full(POINTS, CONSTANTS[name])
        generator = np.random.default_rng(int.from_bytes(symbol.digest[:8], "big"))
        shape = (POINTS, *(n for _, n in axes))
        if type_.kind == Kind.BOOL:
            return self.placed(generator.random(shape) < 0.5, axes)
        if type_.kind == Kind.INT:
            return self.placed(generator.integers(0, 3, shape), axes)
        value = self._measured(symbol, _drawn(generator, shape, type_.kind, self.places.given.get(symbol, UNKNOWN)))
        if symbol in self.places.facts:
            if any(size in self.places.shrunk for size in type_.axes.values()):
                return None
            value = np.stack([impose(v, self.places.facts[symbol]) for v in value])
        return self.placed(value, axes)

    def _measured(self, symbol: Term, value: Array) -> Array:
        """The value that a symbol has at the points, drawn for it."""
        return value

    def _environment(self) -> Environment:
        return Environment({}, self.places.dims)

    def _contraction(self, payload: Contraction, axes: Axes, parts: Sequence[Array]) -> Array | None:
        """Factor after factor; a label is summed with the last factor that has it."""
        numbers: dict[Label, int] = {}
        bound = dict(enumerate(payload.bound))
        factors = [self._labelled(part, access, numbers) for part, access in zip(parts, payload.accesses, strict=True)]
        last = {label: k for k, (_, labels) in enumerate(factors) for label in labels}
        scale = 1.0
        for label, size in bound.items():
            present = numbers.get(label) in last
            scale *= self.places.weight(size) if present else self._count(size)
        out = {numbers[name]: name for name, _ in axes if name in numbers}
        total, labels = factors[0]
        labels = list(labels)
        for k, (factor, own) in enumerate(factors):
            joined = list(dict.fromkeys([*labels, *own])) if k else list(dict.fromkeys(labels))
            kept = [i for i in joined if i in out or last[i] > k]
            both = (total, [*labels, 0], factor, [*own, 0]) if k else (total, [*labels, 0])
            total = np.einsum(*both, [*kept, 0])
            self.work += total.size * 4
            if total.size > LARGEST:
                return None
            labels = kept
        sized = [(out[i], n) for i, n in zip(labels, total.shape, strict=False)]
        order = sorted(range(len(sized)), key=lambda k: sized[k][0])
        value = np.moveaxis(total, -1, 0).transpose([0, *(k + 1 for k in order)])
        return self.placed(value, [sized[k] for k in order]) * scale

    def _count(self, size: Size) -> float:
        constant = size.constant
        return float(size.evaluate(self.places.dims) if constant is None else constant)

    def _labelled(self, part: Array, access: Iterable[tuple[str, Label]], numbers: dict[Label, int]) -> tuple[Array, list[int]]:
        """The array without axes along which it is constant, and the numbers of the labels of the others (0 are the points)."""
        label = {self._at(axis): name for axis, name in access}
        depth = part.ndim - 1
        there = [k for k in range(depth) if part.shape[k] > 1 or (depth - k in label and part.shape[k] == 0)]
        labels = [numbers.setdefault(label[depth - k], len(numbers) + 1) for k in there]
        return part.reshape([*(part.shape[k] for k in there), POINTS]), labels

    def _reduced(self, name: str, bound: Sequence[str], part: Array, own: Axes) -> Array | None:
        sizes = dict(own)
        if any(self.places.extent(sizes[axis]) == 0 for axis in bound):
            return None
        depth = part.ndim - 1
        places = tuple(depth - self._at(axis) for axis in bound if self._at(axis) <= depth)
        if name == "prod":
            if any(sizes[axis] in self.places.shrunk and part.shape[k] > 1 for axis, k in zip(bound, places, strict=False)):
                return None
            constant = [axis for axis in bound if self._at(axis) > depth or part.shape[depth - self._at(axis)] == 1]
            powers = prod(self._count(sizes[axis]) for axis in constant)
            return np.asarray(np.prod(part, axis=places, keepdims=True) ** powers)
        if name in ("argmax", "argmin"):
            function = np.argmax if name == "argmax" else np.argmin
            return np.asarray(function(part, axis=places[0], keepdims=True) if places else np.zeros_like(part, dtype=int))
        functions: dict[str, Callable[..., Any]] = {"max": np.max, "min": np.min, "any": np.any, "all": np.all}
        return np.asarray(functions[name](part, axis=places, keepdims=True))

    def _pulled(self, pull: Pull, own: Axes) -> Callable[[Array], Array]:
        found = self.pulls.get((pull, own))
        if found is None:
            found = self.pulls[pull, own] = self._pull(pull, dict(own))
        return found

    def _pull(self, pull: Pull, source: Mapping[str, Size]) -> Callable[[Array], Array]:
        """An index map as a function of arrays in the layout."""
        out = dict(pull.axes)
        plain = not pull.guards and all(e.single_axis is not None and out[e.single_axis] is source[a] for a, e in pull.entries)
        if not plain and any(size in self.places.shrunk for size in (*out.values(), *source.values())):
            raise TermError("places of a shrunk axis have no meaning")
        lanes: dict[str, Array] = {}
        for name, size in pull.axes:
            shape = [1] * self._at(name)
            shape[0] = self.places.extent(size)
            lanes[name] = np.arange(shape[0]).reshape(shape)
        dims = self.places.dims
        index: dict[int, Any] = {}
        for axis, e in pull.entries:
            extent = self.places.extent(source[axis])
            index[self._at(axis)] = np.clip(e.evaluate(lanes, dims), 0, max(extent - 1, 0))
        mask: Any = True
        for guard in pull.guards:
            mask = mask & guard.evaluate(lanes, dims)
        fill = None if pull.fill is None else float(pull.fill)

        def pulled(value: Array) -> Array:
            depth = value.ndim - 1
            places = tuple(index[depth - k] if value.shape[k] > 1 else 0 for k in range(depth))
            read = value[places] if places else value
            return read if fill is None else np.where(np.asarray(mask)[..., None], read, fill)

        return pulled

    def _by_definition(self, template: Term, parts: Sequence[Any]) -> Value:
        """An operator that the optimizer does not look into, point after point."""
        types = [t for a in (template, *template.args) for t in (a.type.components if isinstance(a.type, TupleType) else (a.type,))]
        routine = template.op == "library" and template.attrs[0] in ROUTINES
        if not (routine or template.op in OPAQUE) or any(s in self.places.shrunk for t in types for s in t.axes.values()):
            return None
        self.work += OPAQUE_WORK if subfunctions(template) or routine else 0
        arguments: list[Any] = []
        for part, a in zip(parts, template.args, strict=True):
            if isinstance(part, tuple):
                arguments.append(part)
            else:
                assert isinstance(a.type, Type)
                arguments.append(self.canonical(part, self._axes(a.type.axes.items())).astype(const.DTYPES[a.kind]))
        environment = self._environment()
        values = []
        for p in range(POINTS):
            there = [tuple(x[p] for x in a) if isinstance(a, tuple) else a[p] for a in arguments]
            values.append(OPERATORS[template.op].meaning(template, there, environment))
        if isinstance(template.type, TupleType):
            return tuple(np.stack([v[k] for v in values]) for k in range(len(template.type.components)))
        return self.placed(np.stack(values), self._axes(template.type.axes.items()))


class Neighbours(Fingerprints):
    """Values as `beside` has them, in its layout, with the last bits of symbols turned and every operation rounded at random."""

    def __init__(self, beside: Fingerprints, seed: int) -> None:
        super().__init__(beside.places, beside.templates)
        self.position, self.seed = beside.position, seed
        self.rounding = Rounding(seed)

    def _measured(self, symbol: Term, value: Array) -> Array:
        turned = np.random.default_rng([self.seed, *symbol.digest[:8]]).integers(-2, 3, value.shape)
        return np.asarray(value * (1 + turned * EPSILON))

    def _environment(self) -> Environment:
        return Environment({}, self.places.dims, self.rounding.term)

    def _evaluated(self, node: Node, axes: Axes, parts: Sequence[Any], own: Sequence[Axes]) -> Value:
        exactly = super()._evaluated
        op, name = self._operator(node)
        value: Value = self.rounding.applied(op, name, parts, lambda turned: exactly(node, axes, turned, own))
        return value

    def _operator(self, node: Node) -> tuple[str, str]:
        """What a node computes, as operators of terms are named."""
        if node.op == "leaf":
            return ("leaf", "") if isinstance(node.payload, Term) and node.payload.op != "const" else ("const", "")
        if node.op in SCALARS:
            return "map", node.op
        if node.op == "reduce" and isinstance(node.payload, tuple):
            return "reduce", str(node.payload[0])
        if node.op == "library":
            return "library", str(self.templates[node.payload].attrs[0])
        return node.op, ""


def _drawn(generator: np.random.Generator, shape: tuple[int, ...], kind: Kind, known: Range) -> Array:
    """Numbers in a known range; otherwise away from zero, positive at the first point, of both signs at the others (a number: negative)."""
    if known.lo > -inf and known.hi < inf:
        return generator.uniform(known.lo, known.hi, shape)
    magnitude = generator.uniform(0.3, 1.7, shape)
    if known.lo > -inf or known.hi < inf:
        return known.lo + magnitude if known.lo > -inf else known.hi - magnitude
    signs = np.where(generator.random(shape) < 0.25, -1.0, 1.0)
    signs[0] = 1.0
    signs[1:].reshape(POINTS - 1, -1)[:, :1] = -1.0
    if kind == Kind.COMPLEX:
        return magnitude * signs + 1j * generator.uniform(-1.0, 1.0, shape)
    return magnitude * signs
