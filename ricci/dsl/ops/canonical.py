"""Canonical numbers for the bound labels of a contraction: equal sums get equal numbers, whatever their labels were called.

Colour refinement on (factor, axes, colours of its labels); ties are broken by individualization, where the leaf with the
smallest serial form wins and automorphisms found at equal leaves prune siblings (B. D. McKay, "Practical graph isomorphism",
Congressus Numerantium 30, 1981). Connected components are numbered one after the other. Only content hashes and names are
compared, never identities: the result is the same in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Label = str | int
Access = Sequence[tuple[str, Label]]  # (axis, label), sorted by axis
Serial = tuple[tuple[int, tuple[int, ...]], ...]


@dataclass
class Search:
    """Work done by one numbering, for tests of its growth."""

    branches: int = 0


@dataclass
class _Leaf:
    traces: list[tuple[int, ...]]
    serial: Serial
    order: list[int]
    path: list[int]


@dataclass
class _Node:
    colours: list[int]
    cell: list[int]
    tried: list[int] = field(default_factory=list)


@dataclass
class _Component:
    """Factors as (rank of signature, label numbers) over labels 0..n-1 with initial colours."""

    factors: list[tuple[int, tuple[int, ...]]]
    colours: list[int]


def canonical_labels(factors: Sequence[tuple[bytes, Access]], bound: Mapping[Label, str], search: Search | None = None) -> list[Label]:
    """The bound labels in canonical order. `bound` gives the text of each label's size; every label occurs in a factor.

    Other labels in an access are free names (str). Cost: n log n for n incidences when factors differ.
    """
    if len(bound) < 2:
        return list(bound)
    search = Search() if search is None else search
    ranked: list[tuple[tuple[object, ...], list[Label]]] = []
    for labels, members in _components(factors, bound):
        order, serial = _number(labels, members, bound, search)
        ranked.append((serial, order))
    ranked.sort(key=lambda item: item[0])
    return [label for _, order in ranked for label in order]


def _components(
    factors: Sequence[tuple[bytes, Access]], bound: Mapping[Label, str]
) -> list[tuple[list[Label], list[tuple[bytes, Access]]]]:
    """Labels and factors of each connected component; factors without bound labels are left out."""
    parent: dict[Label, Label] = {label: label for label in bound}

    def root(label: Label) -> Label:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    inside = [[label for _, label in access if label in bound] for _, access in factors]
    for labels in inside:
        for label in labels[1:]:
            parent[root(label)] = root(labels[0])
    groups: dict[Label, tuple[list[Label], list[tuple[bytes, Access]]]] = {}
    for label in bound:
        groups.setdefault(root(label), ([], []))[0].append(label)
    for factor, labels in zip(factors, inside, strict=True):
        if labels:
            groups[root(labels[0])][1].append(factor)
    return list(groups.values())


def _number(
    labels: list[Label], members: list[tuple[bytes, Access]], bound: Mapping[Label, str], search: Search
) -> tuple[list[Label], tuple[object, ...]]:
    """Canonical order of one component and a serial form to compare components by."""
    signatures = [
        (digest, tuple([(axis, "" if label in bound else "=" + str(label)) for axis, label in access])) for digest, access in members
    ]
    ranks = {s: i for i, s in enumerate(sorted(set(signatures)))}
    sizes = {text: i for i, text in enumerate(sorted({bound[label] for label in labels}))}
    position = {label: i for i, label in enumerate(labels)}
    component = _Component(
        [
            (ranks[s], tuple([position[label] for _, label in access if label in bound]))
            for s, (_, access) in zip(signatures, members, strict=True)
        ],
        [sizes[bound[label]] for label in labels],
    )
    leaf = _search(component, search)
    order = [labels[i] for i in leaf.order]
    return order, (tuple(sorted(ranks)), tuple([bound[label] for label in order]), leaf.serial)


def _refine(component: _Component, colours: list[int]) -> list[int]:
    """The coarsest stable colouring below `colours`; colours are ranks that do not depend on the order of labels."""
    count = len(set(colours))
    while count < len(colours):
        seen: list[list[tuple[int, tuple[int, ...], int]]] = [[] for _ in colours]
        for rank, places in component.factors:
            view = tuple([colours[p] for p in places])
            for i, p in enumerate(places):
                seen[p].append((rank, view, i))
        signatures = [(colour, sorted(incidences)) for colour, incidences in zip(colours, seen, strict=True)]
        ranked = sorted(range(len(colours)), key=signatures.__getitem__)
        new = [0] * len(colours)
        for before, after in pairwise(ranked):
            new[after] = new[before] + (signatures[after] != signatures[before])
        colours = new
        if new[ranked[-1]] + 1 == count:
            break
        count = new[ranked[-1]] + 1
    return colours


def _target(colours: list[int]) -> list[int]:
    """Labels of the first colour that more than one label has; empty for a discrete colouring."""
    cells: dict[int, list[int]] = {}
    for label, colour in enumerate(colours):
        cells.setdefault(colour, []).append(label)
    return next((cells[c] for c in sorted(cells) if len(cells[c]) > 1), [])


def _leaf(component: _Component, colours: list[int], traces: list[tuple[int, ...]], path: list[int]) -> _Leaf:
    order = sorted(range(len(colours)), key=colours.__getitem__)
    number = [0] * len(order)
    for i, label in enumerate(order):
        number[label] = i
    serial = tuple(sorted((rank, tuple([number[p] for p in places])) for rank, places in component.factors))
    return _Leaf(list(traces), serial, order, list(path))


def _search(component: _Component, search: Search) -> _Leaf:
    """The leaf of the individualization tree with the smallest (traces, serial)."""
    colours = _refine(component, component.colours)
    cell = _target(colours)
    if not cell:
        return _leaf(component, colours, [], [])
    first: _Leaf | None = None
    best: _Leaf | None = None
    automorphisms: list[list[int]] = []
    stack = [_Node(colours, cell)]
    path: list[int] = []
    traces: list[tuple[int, ...]] = []
    while stack:
        node = stack[-1]
        depth = len(stack) - 1
        del path[depth:], traces[depth:]
        label = _next(node, path, automorphisms)
        if label is None:
            stack.pop()
            continue
        search.branches += 1
        node.tried.append(label)
        path.append(label)
        split = [2 * c + 1 for c in node.colours]
        split[label] -= 1
        colours = _refine(component, split)
        traces.append(tuple(sorted(colours)))
        if best is not None and traces > best.traces[: depth + 1]:
            continue
        cell = _target(colours)
        if cell:
            stack.append(_Node(colours, cell))
            continue
        leaf = _leaf(component, colours, traces, path)
        if first is None or best is None:
            first = best = leaf
            continue
        twin = next((known for known in (first, best) if known.serial == leaf.serial and known.traces == leaf.traces), None)
        if twin is not None:
            automorphisms.append([new for _, new in sorted(zip(twin.order, leaf.order, strict=True))])
            common = next(i for i, (a, b) in enumerate(zip(twin.path, path, strict=True)) if a != b)
            del stack[common + 1 :]
        elif (leaf.traces, leaf.serial) < (best.traces, best.serial):
            best = leaf
    assert best is not None
    return best


def _next(node: _Node, path: list[int], automorphisms: list[list[int]]) -> int | None:
    """A label of the cell that no automorphism fixing `path` maps to a label tried before."""
    left = [label for label in node.cell if label not in node.tried]
    if not left or not node.tried:
        return left[0] if left else None
    parent = list(range(len(node.colours)))

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    for image in automorphisms:
        if all(image[p] == p for p in path):
            for label, other in enumerate(image):
                parent[root(label)] = root(other)
    known = {root(label) for label in node.tried}
    return next((label for label in left if root(label) not in known), None)
