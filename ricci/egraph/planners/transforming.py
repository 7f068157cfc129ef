"""Convolutions by Fourier transforms: circulant and Toeplitz matrices times vectors and matrices, correlations, long filters.

    y[i] = Sum_j c[(i - j) mod n] x[j]      = ifft(fft(c) * fft(x))                           n lanes
    y[i] = Sum_j t[i - j + a] x[j]          the same of t and x continued by zeros            as many lanes as t and x have together
    y[i] = Sum_j c[i + j] x[j]              with x turned around
Several such axes of the same two factors are transformed together; other axes that both have are multiplied and summed between the
transforms. Real factors take half of the spectrum where the number of lanes is a number, for n//2 + 1 is no size polynomial.
Results agree with the sum to rounding relative to the largest element, as in any product by fft (Higham, Accuracy and Stability of
Numerical Algorithms, 24.1), not element by element. Sums of whole numbers stay sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.index import Ranges as Lanes
from ricci.dsl.normal import make_guards
from ricci.dsl.ops.fourier import transform
from ricci.dsl.term import Term
from ricci.dsl.types import Kind, Size, at_most
from ricci.egraph.indexed import Emitter, Factor, IndexedProduct, Spectrum, single_label
from ricci.egraph.structure import Structure
from ricci.egraph.terms import Loader

SHORTEST = 8  # lanes, where they are a number: a shorter sum is never slower


@dataclass(frozen=True)
class Lane:
    """A bound label j of a convolution Sum_j f[s*j + ..] g[..j..], along one axis of f and one of g, by transforms of `lanes`.

    Sum_j f[r - j] g[j] is read at `rest`. `cyclic`: the index of f is taken mod the lanes; else f is zero beyond its axis and
    `guard` says so.
    """

    label: str
    f_axis: str
    g_axis: str
    sign: int
    rest: Index
    lanes: Size
    cyclic: bool
    guard: tuple[Guard, ...] = ()


def convolve(loader: Loader, structure: Structure, products: Sequence[tuple[int, IndexedProduct]], limit: int) -> int:
    """Propose transforms for products (with the reference of their values); returns how many were."""
    emitter = Emitter(loader, structure)
    made = 0
    for ref, product in products:
        found = next(convolutions(product, emitter), None)
        while found is not None and made < limit:
            made += 1
            product = transformed(emitter, product, *found)
            loader.space.union(emitter.emitted(product), ref)
            found = next(convolutions(product, emitter), None)
    return made


def convolutions(product: IndexedProduct, emitter: Emitter) -> Iterator[tuple[Factor, Factor, list[Lane]]]:
    """Pairs of factors with the bound labels along which one is moved over the other."""
    for f, g in permutations(product.factors, 2):
        if _common_kind(emitter, f, g) < Kind.REAL:
            continue
        found = [lane for label in product.bound if (lane := _lane(product, f, g, label, emitter)) is not None]
        moved = frozenset().union(*(lane.rest.axes for lane in found))
        others = [e for a, e in f.index if all(a != lane.f_axis for lane in found)]
        others += [e for a, e in g.index if all(a != lane.g_axis for lane in found)]
        if found and not any(e.axes & moved for e in others) and not moved & {lane.label for lane in found}:
            yield f, g, found


def _common_kind(emitter: Emitter, f: Factor, g: Factor) -> Kind:
    """Kind of the product of two factors; BOOL where it cannot be told."""
    kinds = [emitter.kinds.known(h.ref) for h in (f, g)]
    return max((k for k in kinds if k is not None), default=Kind.BOOL) if None not in kinds else Kind.BOOL


def _lane(product: IndexedProduct, f: Factor, g: Factor, label: str, emitter: Emitter) -> Lane | None:
    if any(label in h.labels for h in product.factors if h is not f and h is not g):
        return None
    readers = [[a for a, e in h.index if label in e.axes] for h in (f, g)]
    if [len(r) for r in readers] != [1, 1]:
        return None
    (f_axis,), (g_axis,) = readers
    size = dict(emitter.loader.space.axes[f.ref >> 1])[f_axis]
    own = product.sizes[label]
    e = f.own[f_axis]
    if g.own[g_axis].axes != {label} or any(n.constant is not None and n.constant < SHORTEST for n in (size, own)):
        return None
    guards = tuple(guard for guard in product.guards if label in guard.axes)
    if len(e.terms) == 1 and e.terms[0][0].kind == "mod" and e.terms[0][1] == 1 and not e.constant.terms:
        atom = e.terms[0][0]
        solved = single_label(atom.inner, label)
        if solved is not None and atom.size is size is own and not guards and solved[1].axes:
            return Lane(label, f_axis, g_axis, *solved, size, cyclic=True)
        return None
    solved = single_label(e, label)
    if (
        solved is None
        or not any(solved[1].coefficient(a) in (1, -1) for a in solved[1].axes)
        or guards != (make_guards([Guard(0, e, size)], Lanes.of(product.sizes)) or ())
    ):
        return None
    sign, rest = solved
    end = rest if sign < 0 else rest + own - 1
    return Lane(label, f_axis, g_axis, sign, end, _enough(size, own, end, product.sizes), cyclic=False, guard=guards)


def _enough(size: Size, own: Size, end: Index, sizes: Mapping[str, Size]) -> Size:
    """Lanes of a linear convolution of which the places `end` are read: what goes around must not reach them."""
    least, greatest = end.bounds(Lanes.of(sizes))
    whole = size + own - 1
    if least is not None and greatest is not None and at_most(0, least):
        fewer = whole - least
        if all(at_most(n, fewer) for n in (size, own, greatest + 1)):
            whole = fewer
    return fast_length(whole)


def fast_length(lanes: Size) -> Size:
    """The next number of lanes with no prime factor above 5; a size that is no number stays."""
    n = lanes.constant
    while n is not None:
        rest = n
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return Size.of(n)
        n += 1
    return lanes


def transformed(emitter: Emitter, product: IndexedProduct, f: Factor, g: Factor, lanes: Sequence[Lane]) -> IndexedProduct:
    """The product with the two factors replaced by their convolution."""
    consumed = {guard for lane in lanes for guard in lane.guard}
    guards = tuple(guard for guard in product.guards if guard not in consumed)
    rest = [h for h in product.factors if h is not f and h is not g]
    names = dict(zip([lane.label for lane in lanes], product.fresh(len(lanes)), strict=True))
    outside = frozenset().union(product.out, *(h.labels for h in rest), *(x.axes for x in guards), *(lane.rest.axes for lane in lanes))
    sizes = {**product.sizes, **{names[lane.label]: lane.lanes for lane in lanes}}
    wide = replace(product, sizes=sizes)
    widths = {names[lane.label]: lane.lanes for lane in lanes}
    real = _common_kind(emitter, f, g) == Kind.REAL
    spectra = [_spectrum(emitter, wide, h, places, widths, real) for h, places in _moved(product, f, g, lanes, names)]
    read = frozenset().union(*(at.values() for _, at in spectra))
    inner = {label: sizes[label] for label in product.bound if label in read and label not in outside and label not in names}
    spoken = _spoken(sorted(read), {names[lane.label]: _named(lane) for lane in lanes})
    accesses = [(t, {axis: spoken[label] for axis, label in at.items()}) for t, at in spectra]
    spectrum = build.contract(accesses, {spoken[label]: size for label, size in inner.items()})
    y = spectrum
    for label, frequencies in reversed(_frequencies(widths, real).items()):
        inverse = "ifft" if frequencies is widths[label] else "irfft"
        y = transform(inverse, y, spoken[label], spoken[label], widths[label])
    if real and y.kind == Kind.COMPLEX:
        y = build.apply("re", y)
    index = {spoken[label]: Index.axis(label) for label in product.sizes if spoken.get(label) in y.axes}
    for lane in lanes:
        index[spoken[names[lane.label]]] = lane.rest.mod(lane.lanes) if lane.cyclic else lane.rest
    whole = Factor(emitter.load(y), tuple(sorted(index.items())))
    emitter.spectra[whole.ref] = Spectrum(spectrum, {spoken[label]: size for label, size in widths.items()})
    kept = {label: size for label, size in product.sizes.items() if label not in names and label not in inner}
    return replace(product, factors=(*rest, whole), guards=guards, sizes=kept).normal()


def _named(lane: Lane) -> str:
    """What the axis of the lanes is called: as the place that is read, if that has a name, else as the axis of f."""
    place = lane.rest.single_axis
    return lane.f_axis if place is None or place.startswith("%") else place


def _spoken(labels: Sequence[str], axes: Mapping[str, str]) -> dict[str, str]:
    """Names of labels in terms: their own, those of axes for lanes."""
    out: dict[str, str] = {}
    for label in labels:
        name = axes.get(label, label)
        while name in out.values():
            name += "'"
        out[label] = name
    return out


Places = Mapping[str, Index]


def _moved(product: IndexedProduct, f: Factor, g: Factor, lanes: Sequence[Lane], names: Mapping[str, str]) -> list[tuple[Factor, Places]]:
    """Both factors over the lanes: f as it is, g as it is or turned around; where they are read, along which label."""
    at_f, at_g = {}, {}
    for lane in lanes:
        place = Index.axis(names[lane.label])
        at_f[lane.f_axis] = place
        size = product.sizes[lane.label]
        turned = place if lane.sign < 0 else (-place).mod(size) if lane.cyclic else size - 1 - place
        at_g[lane.label] = turned
    first = Factor(f.ref, tuple((a, at_f.get(a, e)) for a, e in f.index))
    second = g.substituted(at_g)
    return [(first, {}), (second, at_g)]


def _spectrum(
    emitter: Emitter, product: IndexedProduct, f: Factor, places: Places, lanes: Mapping[str, Size], real: bool
) -> tuple[Term, dict[str, str]]:
    """A factor continued by zeros to the lanes and transformed along them, and the label of each axis."""
    guards = [Guard(0, e, product.sizes[label]) for label, e in places.items()]
    view, labels = emitter.view(product, f, list(make_guards(guards, Lanes.of(product.sizes)) or ()))
    axis_of = {label: axis for axis, label in labels.items()}
    kept = _frequencies(lanes, real)
    known = emitter.spectra.get(f.ref)
    if known is not None and view is emitter.probe(f.ref) and known.has({axis_of[x]: (lanes[x], kept[x]) for x in lanes}):
        return known.term, labels
    for label, size in kept.items():
        name = "fft" if size is lanes[label] else "rfft"
        view = transform(name, view, axis_of[label], axis_of[label], size)
    return view, labels


def _frequencies(lanes: Mapping[str, Size], real: bool) -> dict[str, Size]:
    """How many frequencies are kept along every lane: half of those of real values along the first, if its length is a number."""
    out = dict(lanes)
    for label, size in lanes.items():
        n = size.constant
        if real and n is not None:
            out[label] = Size.of(n // 2 + 1)
        break
    return out
