"""Random well-typed terms beside a naive numpy evaluation of what was asked for, before any normal form.

`terms()` is a hypothesis strategy of `Sample`s: the term that the constructors made, values for its symbols, extents of its
dims, the expected array (axes in canonical order) and an absolute tolerance from a running error bound. Axes cover symbolic
and fixed sizes, one point, and none. Discontinuous functions only see exact integers, so that rounding decides nothing.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Dim, Kind, Size, Type

DIMS = {"n": 3, "m": 0, "p": 1}
SIZES: dict[str, Size] = {
    "a": Size.of(Dim("n")),
    "a2": Size.of(Dim("n")),
    "b": Size.of(2),
    "b2": Size.of(2),
    "c": Size.of(1),
    "d": Size.of(4),
    "e": Size.of(Dim("m", 0)),
    "f": Size.of(Dim("p")),
}
EXTENT = {axis: size.evaluate(DIMS) for axis, size in SIZES.items()}
EPS = 2.3e-16

REAL_SYMBOLS = {"u": ["a"], "v": ["a", "b"], "w": [], "h": ["d"], "k": ["a2", "b2"], "q": ["c"], "r": ["e"], "s": ["f", "a"]}
INT_SYMBOLS = {"i": ["a"], "j": ["b"], "l": [], "o": ["d"]}
COMPLEX_SYMBOLS = {"y": ["a"], "z": ["b"]}


def _values() -> dict[str, Any]:
    rng = np.random.default_rng(5)

    def shape(axes: list[str]) -> list[int]:
        return [EXTENT[x] for x in sorted(axes)]

    values: dict[str, Any] = {name: rng.integers(-16, 17, shape(axes)) / 16.0 for name, axes in REAL_SYMBOLS.items()}
    values |= {name: rng.integers(-2, 4, shape(axes)) for name, axes in INT_SYMBOLS.items()}
    values |= {n: (rng.integers(-8, 9, shape(a)) + 1j * rng.integers(-8, 9, shape(a))) / 8.0 for n, a in COMPLEX_SYMBOLS.items()}
    return values


VALUES = _values()


@dataclass
class Sample:
    """A term and what it should be: `expected` within `tolerance` for `values` and `dims`."""

    term: Term
    expected: Any
    error: float
    values: Mapping[str, Any]
    dims: Mapping[str, int]
    trail: str = ""

    @property
    def tolerance(self) -> float:
        return 200 * self.error + 1e-13

    @property
    def axes(self) -> list[str]:
        return sorted(self.term.axes)


def sample(term: Term, expected: Any, axes: list[str], error: float) -> Sample:
    """A sample from an array with the given order of axes."""
    array = np.asarray(expected).transpose([axes.index(x) for x in sorted(axes)])
    top = float(np.max(np.abs(array), initial=0.0))
    assume(np.isfinite(top) and top < 1e6 and error < 1e-6)
    return Sample(term, array, error + EPS * top, VALUES, DIMS)


def aligned(s: Sample, axes: list[str]) -> Any:
    """The array over `axes` (sorted, containing its own), repeated where it lacks one."""
    shape = iter(s.expected.shape)
    view = s.expected.reshape([next(shape) if x in s.axes else 1 for x in axes])
    return np.broadcast_to(view, [EXTENT[x] for x in axes])


def union(*samples: Sample) -> list[str]:
    return sorted(set().union(*[s.axes for s in samples]))


def largest(s: Sample) -> float:
    return float(np.max(np.abs(s.expected), initial=0.0))


Draw = Callable[..., Any]


def _leaf(draw: Draw, kind: Kind) -> Sample:
    def of(name: str, axes: list[str]) -> Sample:
        type_ = Type(kind, {x: SIZES[x] for x in axes})
        return sample(build.symbol(name, type_), VALUES[name], sorted(axes), 0.0)

    if kind == Kind.COMPLEX:
        return of(*draw(st.sampled_from(sorted(COMPLEX_SYMBOLS.items()))))
    if kind == Kind.INT:
        choice = draw(st.integers(0, 5))
        if choice == 0:
            value = draw(st.integers(-3, 3))
            return sample(build.const(value), np.int64(value), [], 0.0)
        if choice == 1:
            axis = draw(st.sampled_from(sorted(SIZES)))
            return sample(build.iota(axis, SIZES[axis]), np.arange(EXTENT[axis]), [axis], 0.0)
        if choice == 2:
            axis = draw(st.sampled_from(["a", "e", "f"]))
            return sample(build.size_term(SIZES[axis] + 1), np.int64(EXTENT[axis] + 1), [], 0.0)
        return of(*draw(st.sampled_from(sorted(INT_SYMBOLS.items()))))
    if draw(st.integers(0, 4)) == 0:
        value = Fraction(draw(st.integers(-6, 6)), draw(st.sampled_from([1, 2, 3])))
        return sample(build.const(value), float(value), [], 0.0)
    return of(*draw(st.sampled_from(sorted(REAL_SYMBOLS.items()))))


def _linear(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    count = draw(st.integers(1, 3))
    parts = [child(kind if k == 0 else Kind(draw(st.integers(Kind.INT, kind)))) for k in range(count)]
    denominator = 1 if kind == Kind.INT else draw(st.sampled_from([1, 2, 3]))
    coefficients = [Fraction(draw(st.integers(-2, 2)), denominator) for _ in parts]
    axes = union(*parts)
    # like terms once more, so that cancellation is common
    if draw(st.booleans()):
        parts, coefficients = [*parts, parts[0]], [*coefficients, -coefficients[0]]
    number = int if kind == Kind.INT else float
    total = sum(number(c) * aligned(p, axes) for c, p in zip(coefficients, parts, strict=True))
    error = sum(abs(float(c)) * (p.error + EPS * largest(p)) for c, p in zip(coefficients, parts, strict=True))
    return sample(build.linear(list(zip(coefficients, [p.term for p in parts], strict=True))), total, axes, error)


def _mul(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    parts = [child(kind), child(Kind(draw(st.integers(Kind.INT, kind))))]
    if draw(st.booleans()):
        parts.append(parts[0])
    axes = union(*parts)
    total = aligned(parts[0], axes)
    error, size = parts[0].error, largest(parts[0])
    for p in parts[1:]:
        total = total * aligned(p, axes)
        error, size = error * largest(p) + (size + error) * p.error, size * largest(p)
    return sample(build.mul(*[p.term for p in parts]), total, axes, error + EPS * size)


def _contract(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    parts = [child(kind)] + [child(Kind(draw(st.integers(Kind.INT, kind)))) for _ in range(draw(st.integers(0, 2)))]
    labels = {x: SIZES[x] for x in SIZES} | {"L": SIZES["a"], "M": SIZES["b"]}
    factors = []
    for p in parts:
        access = {}
        for x in p.axes:
            same = [name for name, size in labels.items() if size is SIZES[x]]
            access[x] = draw(st.sampled_from([x, *same]))
        factors.append((p, access))
    present = sorted({label for _, access in factors for label in access.values()})
    bound = [x for x in present if x in ("L", "M") or draw(st.booleans())]
    absent = [x for x in ("b", "e") if x not in present and draw(st.integers(0, 4)) == 0]
    letter = dict(zip(present, string.ascii_letters, strict=False))
    free = [x for x in present if x not in bound]
    text = ",".join("".join(letter[access[x]] for x in p.axes) for p, access in factors)
    total = np.einsum(f"{text}->{''.join(letter[x] for x in free)}", *[p.expected for p in parts])
    count = 1
    for x in bound:
        count *= labels[x].evaluate(DIMS)
    for x in absent:
        total = total * EXTENT[x]
        count *= EXTENT[x]
    sizes = [largest(p) + p.error for p in parts]
    error = count * sum(p.error * float(np.prod(sizes[:k] + sizes[k + 1 :])) for k, p in enumerate(parts))
    error += EPS * count * float(np.prod(sizes)) * (count + 3)
    term = build.contract([(p.term, access) for p, access in factors], {x: labels[x] for x in [*bound, *absent]})
    return sample(term, total, free, error)


def _unary(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    if kind == Kind.INT:
        name = draw(st.sampled_from(["abs", "sign", "floor", "relu"]))
        p = child(Kind.INT)
        f = {"abs": np.abs, "sign": np.sign, "floor": lambda x: x, "relu": lambda x: np.maximum(x, 0)}[name]
        return sample(build.apply(name, p.term), f(p.expected), p.axes, 0.0)
    if kind == Kind.COMPLEX:
        name = draw(st.sampled_from(["conj", "exp", "sin"]))
        p = child(kind)
        assume(largest(p) < 4)
        return sample(build.apply(name, p.term), getattr(np, name)(p.expected), p.axes, 60 * p.error + 60 * EPS)
    name = draw(st.sampled_from(["sin", "cos", "tanh", "atan", "abs", "exp", "recip", "sqrt", "log", "sigmoid", "re", "im", "abs2"]))
    if name in ("re", "im", "abs2"):
        p = child(Kind.COMPLEX)
        z = p.expected
        value = {"re": z.real, "im": z.imag, "abs2": z.real**2 + z.imag**2}[name]
        return sample(build.apply(name, p.term), value, p.axes, p.error * (1 + 2 * largest(p)))
    p = child(kind)
    x = p.expected.astype(float)
    least = float(np.min(np.abs(x), initial=np.inf))
    if name == "exp":
        assume(largest(p) < 5)
        return sample(build.apply(name, p.term), np.exp(x), p.axes, 200 * p.error)
    if name in ("recip", "sqrt", "log"):
        assume(least > 0.05)
        assume(name == "recip" or float(np.min(x, initial=np.inf)) > 0)
        value = {"recip": lambda t: 1 / t, "sqrt": np.sqrt, "log": np.log}[name](x)
        return sample(build.apply(name, p.term), value, p.axes, p.error / least**2 if least < np.inf else 0.0)
    f = {"sin": np.sin, "cos": np.cos, "tanh": np.tanh, "atan": np.arctan, "abs": np.abs, "sigmoid": lambda t: 1 / (1 + np.exp(-t))}[name]
    return sample(build.apply(name, p.term), f(x), p.axes, p.error)


def _binary(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    left, right = child(kind), child(Kind(draw(st.integers(Kind.INT, kind))))
    axes = union(left, right)
    x, y = aligned(left, axes), aligned(right, axes)
    if kind == Kind.COMPLEX:
        return sample(build.add(left.term, right.term), x + y, axes, left.error + right.error)
    if kind == Kind.REAL and draw(st.booleans()):
        return sample(build.apply("atan2", left.term, build.const(2)), np.arctan2(left.expected, 2), left.axes, left.error)
    name = draw(st.sampled_from(["min2", "max2"]))
    value = np.minimum(x, y) if name == "min2" else np.maximum(x, y)
    return sample(build.apply(name, left.term, right.term), value, axes, max(left.error, right.error))


def _where(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    first, second = child(Kind.INT), child(Kind.INT)
    a, b = child(kind), child(Kind(draw(st.integers(Kind.INT, kind))))
    name = draw(st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]))
    axes = union(first, second, a, b)
    f = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}[name]
    condition = f(aligned(first, axes), aligned(second, axes))
    test = build.apply(name, first.term, second.term)
    if draw(st.booleans()):
        test, condition = build.apply("not", test), ~condition
    value = np.where(condition, aligned(a, axes), aligned(b, axes))
    return sample(build.where(test, a.term, b.term), value, axes, max(a.error, b.error))


def _reduce(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    p = child(min(kind, Kind.REAL))
    axes = [x for x in p.axes if draw(st.booleans())]
    places = tuple(p.axes.index(x) for x in axes)
    kept = [x for x in p.axes if x not in axes]
    name = draw(st.sampled_from(["max", "min", "prod"]))
    if name == "prod":
        top = max(1.0, largest(p) + p.error) ** max(1, int(np.prod([EXTENT[x] for x in axes])))
        return sample(build.reduce(name, p.term, axes), np.prod(p.expected, axis=places), kept, 20 * top * (p.error + EPS))
    assume(all(EXTENT[x] for x in axes))
    f = np.max if name == "max" else np.min
    return sample(build.reduce(name, p.term, axes), f(p.expected, axis=places), kept, p.error)


def _index_map(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    """A random reindex, evaluated lane by lane in plain Python."""
    p = child(kind)
    out = sorted({draw(st.sampled_from(sorted(SIZES))) for _ in range(draw(st.integers(0, 3)))} | set(p.axes[:1]))
    index = {}
    for x in p.axes:
        if x not in out or draw(st.booleans()):
            index[x] = _index(draw, out, SIZES[x])
    guards = []
    if out and draw(st.booleans()):
        low = draw(st.integers(-1, 2))
        guards.append(Guard(low, _index(draw, out, Size.of(2)), low + draw(st.integers(1, 3))))
    fill = Fraction(draw(st.integers(-1, 1)))
    return index_map(p, out, index, guards, fill)


def _index(draw: Draw, out: list[str], size: Size) -> Index:
    e = Index.of(draw(st.integers(-1, 2)))
    for x in out:
        e = e + Index.axis(x) * draw(st.sampled_from([0, 1, 1, -1, 2]))
    fold = draw(st.sampled_from(["none", "none", "mod", "clamp", "mirror", "div"]))
    if fold == "div":
        return e.div(2)
    return e if fold == "none" else getattr(e, fold)(size)


def index_map(p: Sample, out: list[str], index: Mapping[str, Index], guards: list[Guard], fill: Fraction) -> Sample:
    """The sample of a reindex of a sample."""
    value = np.full([EXTENT[x] for x in out], float(fill), p.expected.dtype)
    for lane in np.ndindex(*value.shape):
        place = dict(zip(out, lane, strict=True))
        source = [int(index.get(x, Index.axis(x)).evaluate(place, DIMS)) for x in p.axes]
        inside = all(0 <= i < EXTENT[x] for i, x in zip(source, p.axes, strict=True))
        if inside and all(g.evaluate(place, DIMS) for g in guards):
            value[lane] = p.expected[tuple(source)]
    term = build.reindex(p.term, {x: SIZES[x] for x in out}, index, guards, fill)
    return sample(term, value, out, p.error)


def _rename(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    p = child(kind)
    names: dict[str, str] = {}
    for x, y in (("a", "a2"), ("b", "b2")):
        if draw(st.booleans()):
            names |= {x: y, y: x}
    own = {x: names[x] for x in p.axes if x in names}
    axes = [own.get(x, x) for x in p.axes]
    return sample(build.rename(p.term, own), p.expected, axes, p.error)


def _expand(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    p = child(kind)
    more = sorted({draw(st.sampled_from(sorted(SIZES))) for _ in range(2)} | set(p.axes))
    return sample(build.expand(p.term, {x: SIZES[x] for x in more}), aligned(p, more), more, p.error)


def _shift(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    p = child(kind)
    assume(p.axes)
    axis = draw(st.sampled_from(p.axes))
    n = EXTENT[axis]
    k = draw(st.integers(-2, 2))
    edge = draw(st.sampled_from(["wrap", "clamp", "mirror", 0, Fraction(-1)]))
    value = np.zeros(p.expected.shape, p.expected.dtype)
    source, target = np.moveaxis(p.expected, p.axes.index(axis), 0), np.moveaxis(value, p.axes.index(axis), 0)
    for x in range(n):
        y = x + k
        if edge == "wrap":
            y %= n
        elif edge == "clamp":
            y = min(max(y, 0), n - 1)
        elif edge == "mirror":
            y %= 2 * n
            y = min(y, 2 * n - 1 - y)
        target[x] = source[y] if 0 <= y < n else float(edge)
    return sample(build.shift(p.term, axis, k, edge), value, p.axes, p.error)


def _gather(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    p, i = child(kind), child(Kind.INT)
    targets = [x for x in p.axes if x not in i.axes]
    assume(targets)
    axis = draw(st.sampled_from(targets))
    axes = sorted((set(p.axes) | set(i.axes)) - {axis})
    value = np.zeros([EXTENT[x] for x in axes], p.expected.dtype)
    for lane in np.ndindex(*value.shape):
        place = dict(zip(axes, lane, strict=True))
        place[axis] = int(i.expected[tuple(place[x] for x in i.axes)])
        if 0 <= place[axis] < EXTENT[axis]:
            value[lane] = p.expected[tuple(place[x] for x in p.axes)]
    return sample(build.gather(p.term, axis, i.term), value, axes, p.error)


def _scatter(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    p, i = child(kind), child(Kind.INT)
    whole = union(p, i)
    over = [x for x in whole if draw(st.booleans())]
    axis = draw(st.sampled_from(sorted(SIZES)))
    kept = [x for x in whole if x not in over]
    assume(axis not in kept)
    axes = sorted([*kept, axis])
    value = np.zeros([EXTENT[x] for x in axes], p.expected.dtype)
    shape = [EXTENT[x] for x in whole]
    for lane in np.ndindex(*shape):
        place = dict(zip(whole, lane, strict=True))
        at = int(i.expected[tuple(place[x] for x in i.axes)])
        if 0 <= at < EXTENT[axis]:
            value[tuple(at if x == axis else place[x] for x in axes)] += p.expected[tuple(place[x] for x in p.axes)]
    count = float(np.prod(shape))
    return sample(build.scatter(p.term, i.term, axis, SIZES[axis], over), value, axes, count * (p.error + EPS * count * largest(p)))


def _scan(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    """c' = k*c/2 + x along an axis"""
    x = child(Kind.REAL)
    assume(x.axes)
    axis = draw(st.sampled_from(x.axes))
    rest = [name for name in x.axes if name != axis]
    carry = Type(Kind.REAL, {name: SIZES[name] for name in rest})
    factor = Fraction(draw(st.integers(-2, 2)), 2)
    c, s = build.symbol("carry", carry), build.symbol("slice", carry)
    body = Function("step", (c, s), (("next", build.linear([(factor, c), (1, s)])),))
    reverse = draw(st.booleans())
    term = build.proj(build.scan(body, axis, SIZES[axis], [build.const(1)], [x.term], reverse=reverse), 0)
    value = np.zeros(x.expected.shape)
    source, target = np.moveaxis(x.expected, x.axes.index(axis), 0), np.moveaxis(value, x.axes.index(axis), 0)
    last: Any = np.ones([EXTENT[name] for name in rest])
    for k in reversed(range(EXTENT[axis])) if reverse else range(EXTENT[axis]):
        last = float(factor) * last + source[k]
        target[k] = last
    return sample(term, value, x.axes, EXTENT[axis] * (x.error + EPS * (1 + EXTENT[axis] * largest(x))))


def _cast(draw: Draw, child: Callable[..., Sample], kind: Kind) -> Sample:
    if kind == Kind.INT:
        p = child(Kind.INT)
        return sample(build.cast(build.cast(p.term, Kind.BOOL), Kind.INT), (p.expected != 0).astype(np.int64), p.axes, 0.0)
    p = child(Kind(draw(st.integers(Kind.INT, kind))))
    dtype = "complex128" if kind == Kind.COMPLEX else "float64"
    return sample(build.cast(p.term, kind), p.expected.astype(dtype), p.axes, p.error)


RULES = (
    _linear, _linear, _mul, _contract, _contract, _unary, _unary, _binary, _where, _reduce, _index_map, _index_map, _rename, _expand,
    _shift, _gather, _scatter, _scan, _cast,
)  # fmt: skip


@st.composite
def terms(draw: Draw, depth: int = 4, kind: Kind | None = None) -> Sample:
    """A random sample; `depth` bounds the nesting, `kind` the kind of the root (real and smaller by default)."""

    def make(depth: int, kind: Kind) -> Sample:
        if depth == 0 or draw(st.integers(0, 6)) == 0:
            return _leaf(draw, kind)
        rule = draw(st.sampled_from(RULES))
        if rule is _scan and kind == Kind.INT:  # its carry is real
            rule = _linear
        used: list[Sample] = []

        def child(k: Kind) -> Sample:
            used.append(make(depth - 1, k))
            return used[-1]

        result: Sample = rule(draw, child, kind)
        result.trail = f"{rule.__name__[1:]}({', '.join(s.trail for s in used)}) -> {result.term}"
        return result

    wanted = draw(st.sampled_from([Kind.INT, Kind.REAL, Kind.REAL, Kind.REAL, Kind.COMPLEX])) if kind is None else kind
    return make(depth, wanted)
