"""Changes of summation variables: sums over an axis that is read only in parts, shifted, or at one place.

    Sum_n over n = q*n1 + n2              where factors read n div q and n mod q (Kronecker products, merged axes)
    Sum_{n1,n2} over n = q*n1 + n2        where all factors read the merged axis
    Sum_x u[x + c mod n] = Sum_x u[x]     periodic shifts, also by other labels (products of circulants)
    Sum_j [j == e] f[j] = f[e]            indicators, diagonals, placed values; a band of w places is a sum over w
    Sum_x [a <= x < b] f[x]               as a sum over b - a places
    Sum_a Q[a, b] Q[a, c] = [b == c]      orthogonal Q
    Sum_c W[c, q] u[c, x + m]             (Sum_c W[c, q] u[c, x]) read at x + m

Free axes that are read only in parts, or only as differences, are split or joined too: the result is computed over the parts and
read back by an index map, factor by factor, so that (A kron B) (C kron D) is (A C) kron (B D). Every step is an exact bijection or
an exact elimination; a step is taken where it leaves fewer compound indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import permutations
from math import prod

from ricci.cost import Sizes
from ricci.dsl import build
from ricci.dsl.division import exact_quotient
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.reindex import Pull
from ricci.dsl.term import Term
from ricci.dsl.types import Size, at_most
from ricci.egraph.indexed import Emitter, Factor, IndexedProduct, Opener, compound, single_label, unused
from ricci.egraph.space import Node, Space
from ricci.egraph.structure import Structure
from ricci.egraph.terms import Loader
from ricci.egraph.verified import acting

STEPS = 40  # changes of variables of one product
NODES = 4  # forms of one class that are opened


def rebind(loader: Loader, sizes: Sizes, structure: Structure, limit: int) -> tuple[dict[str, int], list[tuple[int, IndexedProduct]]]:
    """Propose the products with changed variables; how often each change was made, and all contractions in their simplest form by class."""
    space = loader.space
    opener, emitter = Opener(loader, structure), Emitter(loader, structure)
    found: list[tuple[int, IndexedProduct]] = []
    made: dict[str, int] = {}
    for c in space.classes():
        for node in [n for n in space.nodes[c] if worth_opening(space, n)][:NODES]:
            product = opener.opened(c, node)
            if product is None or sum(made.values()) >= limit:
                continue
            rebinder = Rebinder(sizes, structure)
            simplest = rebinder.simplest(product)
            windows = contracted_first(emitter, sizes, simplest)
            names = [*rebinder.taken, *["factors contracted before they are read at windows"] * len(windows)]
            names += ["symmetric factors read one way"] * product.retold + ["conditions that cannot hold"] * (simplest.number == 0)
            for name in names:
                made[name] = made.get(name, 0) + 1
            with acting(space, "structure", "; ".join(dict.fromkeys(names))):
                for changed in [simplest] * (len(names) > len(windows)) + windows:
                    space.union(emitter.emitted(changed), 2 * c)
            if node.op == "contract":
                found.append((2 * c, simplest))
    return made, found


def worth_opening(space: Space, node: Node) -> bool:
    """A contraction; or a product of merged axes."""
    if node.op == "contract":
        return True
    below = [n.payload for r in node.children for n in space.nodes[space.find(r) >> 1]] if node.op == "product" else []
    return any(isinstance(pull, Pull) and reads_parts(pull) for pull in below)


def reads_parts(pull: Pull) -> bool:
    """Whether an index map reads n div q or n mod q of an axis n longer than q."""
    sizes = dict(pull.axes)
    atoms = [atom for _, e in pull.entries for atom in compound(e) if atom.kind in ("div", "mod")]
    return any(all(atom.size is not sizes[axis] for axis in atom.inner.axes) for atom in atoms)


class Rebinder:
    """Steps on one product until none makes it simpler."""

    def __init__(self, sizes: Sizes, structure: Structure) -> None:
        self.extents, self.structure = sizes, structure
        self.taken: list[str] = []  # names of the steps

    def simplest(self, product: IndexedProduct) -> IndexedProduct:
        """The product itself where no step applies."""
        for _ in range(STEPS):
            found = self._step(product)
            if found is None:
                return product
            name, product = found
            self.taken.append(name)
        return product

    def _step(self, product: IndexedProduct) -> tuple[str, IndexedProduct] | None:
        if product.number == 0:
            return None
        eliminations: Mapping[str, Callable[[IndexedProduct], IndexedProduct | None]] = {
            "orthogonal factors": self._orthonormal,
            "indicators and bands": self._eliminated,
            "sums over a part of an axis": self._restricted,
            "factors of a diagonal": self._same_place,
        }
        for name, step in eliminations.items():
            found = step(product)
            if found is not None:
                return name, found
        bijections: Mapping[str, Callable[[IndexedProduct], Iterator[IndexedProduct]]] = {
            "merged axes split": self._splits,
            "periodic shifts": self._shifts,
            "split axes joined": self._joins,
            "axes read by their difference": self._differences,
        }
        for name, candidates in bijections.items():
            for candidate in candidates(product):
                if candidate.weight < product.weight:
                    return name, candidate
        return None

    # sums that need not be done

    def _orthonormal(self, product: IndexedProduct) -> IndexedProduct | None:
        """Two equal factors Q that share a summed label nobody else reads: an indicator."""
        fs = product.factors
        for i, f in enumerate(fs):
            for a, b in sorted(self.structure.of(f.ref >> 1).orthonormal):
                label = f.own[a].single_axis
                if label is None or label in product.out or len(f.index) != 2:
                    continue
                if product.sizes[label] is not dict(self.structure.space.axes[f.ref >> 1])[a]:
                    continue
                readers = [k for k, h in enumerate(fs) if label in h.labels]
                if len(readers) != 2 or i != readers[0] or any(label in guard.axes for guard in product.guards):
                    continue
                g = fs[readers[1]]
                if g.ref == f.ref and g.own[a] == f.own[a] and label not in f.own[b].axes | g.own[b].axes:
                    rest = tuple(h for k, h in enumerate(fs) if k not in readers)
                    kept = {name: size for name, size in product.sizes.items() if name != label}
                    equal = Guard.equal(f.own[b], g.own[b])
                    return replace(product, factors=rest, guards=(*product.guards, equal), sizes=kept).normal()
        return None

    def _eliminated(self, product: IndexedProduct) -> IndexedProduct | None:
        """A bound label that a guard holds to a few places: replaced by their number."""
        for label in product.bound:
            if product.sizes[label].constant == 1:
                return product.substituted({label: Index.of(0)}, {})
        for guard in product.guards:
            if guard.lo is None or guard.hi is None:
                continue
            width = guard.hi - guard.lo
            for label in product.bound:
                solved = single_label(guard.index, label)
                if solved is None or not self._narrow(width, product.sizes[label]):
                    continue
                s, rest = solved
                sizes: dict[str, Size] = {}
                place = guard.lo - rest
                if width != 1:
                    (name,) = product.fresh()
                    sizes, place = {name: width}, place + Index.axis(name)
                place = place * s
                return product.substituted({label: place}, sizes, [Guard(0, place, product.sizes[label])])
        return None

    def _narrow(self, width: Size, size: Size) -> bool:
        """Whether a band is one place, or a number of them that is much smaller than the axis."""
        return width == 1 or (width.constant is not None and width.constant > 1 and 2 * width.constant < self.extents.extent(size))

    def _restricted(self, product: IndexedProduct) -> IndexedProduct | None:
        """A bound label that a guard holds to a range: counted from the start of that."""
        for guard in product.guards:
            label = guard.index.single_axis
            if label is None or label in product.out or guard.lo is None or guard.hi is None:
                continue
            size = guard.hi - guard.lo
            inside = at_most(0, guard.lo) and at_most(guard.lo, guard.hi) and at_most(guard.hi, product.sizes[label])
            if inside and size is not product.sizes[label]:
                (name,) = product.fresh()
                return product.substituted({label: Index.axis(name) + guard.lo}, {name: size})
        return None

    def _same_place(self, product: IndexedProduct) -> IndexedProduct | None:
        """Under [i == j] of free labels, factors read i for j."""
        for guard in product.guards:
            if len(guard.axes) != 2 or guard.lo != 0 or guard.hi != 1:
                continue
            i, j = sorted(guard.axes)
            if (
                guard.index not in (Index.axis(i) - Index.axis(j), Index.axis(j) - Index.axis(i))
                or product.sizes[i] is not product.sizes[j]
            ):
                continue
            if any(j in f.labels for f in product.factors):
                factors = tuple(f.substituted({j: Index.axis(i)}) for f in product.factors)
                return replace(product, factors=factors).normal()
        return None

    # bijections

    def _splits(self, product: IndexedProduct) -> Iterator[IndexedProduct]:
        """Labels n = q*n1 + n2 where something reads n div q or n mod q."""
        wanted: dict[tuple[str, Size], None] = {}
        for e in product.indices():
            for atom in compound(e):
                if atom.kind in ("div", "mod"):
                    for label in sorted(atom.inner.axes):
                        wanted[label, atom.size] = None
        for label, q in wanted:
            p = exact_quotient(product.sizes[label], q)
            if p is None or p == 1 or q == 1:
                continue
            high, low = product.fresh(2)
            whole = Index.axis(high) * q + Index.axis(low)
            changed = product.substituted({label: whole}, {high: p, low: q})
            if label in product.out:
                out = {name: e for name, e in product.out.items() if name != label}
                axes, place = dict(product.axes), product.out[label]
                changed = replace(changed, out={**out, high: place.div(q).within(axes), low: place.mod(q).within(axes)})
            yield changed

    def _shifts(self, product: IndexedProduct) -> Iterator[IndexedProduct]:
        """Bound labels that a factor reads as (+-label + rest) mod their size: that becomes the label."""
        wanted: dict[tuple[str, Index], None] = {}
        for f in product.factors:
            for _, e in f.index:
                if len(e.terms) == 1 and not e.constant.terms and e.terms[0][0].kind == "mod" and e.terms[0][1] == 1:
                    for label in sorted(e.axes):
                        if label not in product.out and product.sizes[label] is e.terms[0][0].size:
                            wanted[label, e.terms[0][0].inner] = None
        for label, inner in wanted:
            solved = single_label(inner, label)
            if solved is not None:
                s, rest = solved
                (name,) = product.fresh()
                size = product.sizes[label]
                yield product.substituted({label: ((Index.axis(name) - rest) * s).mod(size)}, {name: size})

    def _joins(self, product: IndexedProduct) -> Iterator[IndexedProduct]:
        """Bound labels n1, n2 that are read as q*n1 + n2, n2 < q."""
        wanted: dict[tuple[str, str], None] = {}
        for e in product.indices():
            plain = [(atom.axis, k) for atom, k in e.terms if atom.kind == "axis" and atom.axis not in product.out]
            for high, k in plain:
                for low, m in plain:
                    if high != low and k == m * product.sizes[low]:
                        wanted[high, low] = None
        for high, low in wanted:
            (name,) = product.fresh()
            q = product.sizes[low]
            new = {high: Index.axis(name).div(q), low: Index.axis(name).mod(q)}
            yield product.substituted(new, {name: product.sizes[high] * q})

    def _differences(self, product: IndexedProduct) -> Iterator[IndexedProduct]:
        """Free labels i, k of one size n that are read only through (i +- k) mod n: one label."""
        pairs: dict[tuple[str, str], None] = {}
        for e in product.indices():
            for atom in compound(e):
                free = sorted(label for label in atom.inner.axes if label in product.out)
                pairs.update({(i, k): None for i in free for k in free if i < k and product.sizes[i] is product.sizes[k] is atom.size})
        for i, k in pairs:
            size = product.sizes[i]
            for s in (1, -1):
                (name,) = product.fresh()
                changed = product.substituted({i: (Index.axis(name) + Index.axis(k) * s).mod(size)}, {name: size})
                if any(k in e.axes for e in changed.indices()):
                    continue
                out = {label: e for label, e in product.out.items() if label not in (i, k)}
                out[name] = (product.out[i] - product.out[k] * s).mod(size).within(dict(product.axes))
                sizes = {label: n for label, n in changed.sizes.items() if label != k}
                yield replace(changed, out=out, sizes=sizes)


def contracted_first(emitter: Emitter, sizes: Sizes, product: IndexedProduct) -> list[IndexedProduct]:
    """Forms with factors contracted before they are read at other points, where reading first makes more of them: of a convolution
    Sum_{c,m} W[c, q] V[q, m] u[c, x + m], Sum_c W[c, q] u[c, x] is read at x + m. The last form has all such pairs contracted."""
    forms: list[IndexedProduct] = []
    while len(forms) < STEPS:
        found = _first_pair(emitter, sizes, forms[-1] if forms else product)
        if found is None:
            break
        forms.append(found)
    return forms


def _first_pair(emitter: Emitter, sizes: Sizes, product: IndexedProduct) -> IndexedProduct | None:
    for f, g in permutations(product.factors, 2):
        shared = _summed_by_both(product, emitter.loader.space, f, g)
        own = [e for _, e in f.index if e.single_axis not in shared]
        before = prod(sizes.extent(n) for axis, n in emitter.loader.space.axes[f.ref >> 1] if f.own[axis].single_axis not in shared)
        after = prod(sizes.extent(product.sizes[label]) for label in frozenset().union(*(e.axes for e in own)))
        if shared and before < after and any(e.single_axis is None for e in own):
            views: list[tuple[Term, dict[str, str]]] = []
            index: dict[str, Index] = {}
            for h in (f, g):
                names = {a: str(e.single_axis) if e.single_axis in shared else unused(a, index) for a, e in h.index}
                index |= {names[a]: e for a, e in h.index if e.single_axis not in shared}
                views.append((emitter.probe(h.ref), names))
            joined = emitter.load(build.contract(views, {label: product.sizes[label] for label in shared}))
            rest = tuple(h for h in product.factors if h is not f and h is not g)
            kept = {label: size for label, size in product.sizes.items() if label not in shared}
            return replace(product, factors=(*rest, Factor(joined, tuple(sorted(index.items())))), sizes=kept).normal()
    return None


def _summed_by_both(product: IndexedProduct, space: Space, f: Factor, g: Factor) -> frozenset[str]:
    """Bound labels that are a whole axis of both factors and are read nowhere else."""
    whole = [
        {e.single_axis for a, e in h.index if e.single_axis is not None and dict(space.axes[h.ref >> 1])[a] is product.sizes[e.single_axis]}
        for h in (f, g)
    ]
    elsewhere = [e for h in product.factors if h is not f and h is not g for _, e in h.index] + [x.index for x in product.guards]
    elsewhere += [e for h in (f, g) for _, e in h.index if e.single_axis is None]
    read = frozenset().union(*(e.axes for e in elsewhere))
    counts = [e.single_axis for h in (f, g) for _, e in h.index]
    return frozenset(x for x in whole[0] & whole[1] if x is not None and x not in product.out and x not in read and counts.count(x) == 2)


def symmetries(loader: Loader, structure: Structure) -> int:
    """Index maps of symmetric values read one way: A[j, i] = A[i, j]; returns how many were turned."""
    space = loader.space
    made = 0
    for c in space.classes():
        for node in list(space.nodes[c]):
            if not isinstance(node.payload, Pull):
                continue
            pull, sign = node.payload, space.nodes[c].get(node, 0)
            own = dict(pull.entries)
            below = space.find(node.children[0])
            for a, b in sorted(structure.of(below >> 1).symmetric):
                if own[b].canonical_text() < own[a].canonical_text():
                    own[a], own[b] = own[b], own[a]
            entries = tuple(sorted(own.items()))
            if entries != pull.entries:
                made += 1
                turned = loader.reindex(_unstored(space, below), Pull(pull.axes, entries, pull.guards, pull.fill))
                space.union(turned ^ sign, 2 * c)
    return made


def _unstored(space: Space, ref: int) -> int:
    for node, sign in space.nodes[ref >> 1].items():
        if node.op == "stored":
            return space.find(node.children[0]) ^ (ref & 1) ^ sign
    return ref
