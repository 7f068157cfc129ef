"""A space that looks at what is proposed: unions of values that differ are refused, and every node knows who proposed it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np

from ricci.dsl.term import Term
from ricci.egraph.analyses import Given
from ricci.egraph.fingerprints import POINTS, Array, Fingerprints, Neighbours, Places, Value
from ricci.egraph.rounding import NEIGHBOURS, TIMES, gaps, largest
from ricci.egraph.space import Axes, Node, Space
from ricci.egraph.terms import EVEN, ODD, fold
from ricci.egraph.verify import TOLERANCE

SOURCE = ("source", "source")
Author = tuple[str, str]  # phase and name of a rule or planner


@dataclass(frozen=True)
class Refusal:
    """A union that was not made: whose it was, the two references, by how much they differ (relative)."""

    author: Author
    left: int
    right: int
    difference: float


class VerifiedSpace(Space):
    """A space with fingerprints. A class has the value of the node that it was made with, whose children are older classes."""

    def __init__(self, places: Places, templates: Mapping[Hashable, Term]) -> None:
        self.birth: list[tuple[Node, Axes]] = []
        self.origin: dict[Node, Author] = {}
        self.acting: Author = SOURCE
        self.refused: list[Refusal] = []
        self.given: Given = {}
        self.points = Fingerprints(places, templates)
        self.around = [Neighbours(self.points, seed=k + 1) for k in range(NEIGHBOURS)]
        self.values: dict[int, Value] = {}
        super().__init__(odd=ODD, even=EVEN, fold=fold)

    @contextmanager
    def by(self, phase: str, name: str) -> Iterator[None]:
        """What is proposed meanwhile is of this rule or planner."""
        before, self.acting = self.acting, (phase, name)
        try:
            yield
        finally:
            self.acting = before

    # who proposed what

    def put(self, node: Node, ref: int | None = None, axes: Axes | None = None) -> int:
        known = node in self.table
        out = super().put(node, ref, axes)
        if not known:
            self.origin.setdefault(node, self.acting)
            if len(self.up) > len(self.birth):
                self.birth.append((node, self.axes[len(self.birth)]))
        return out

    def _renewed(self, node: Node) -> tuple[Node | None, int]:
        fresh, flip = super()._renewed(node)
        if fresh is not None and fresh != node:
            self.origin.setdefault(fresh, self.origin.get(node, self.acting))
        return fresh, flip

    def _made_again(self, node: Node) -> int:
        with self.by(*self.origin.get(node, self.acting)):
            return super()._made_again(node)

    # values

    def union(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            difference = self.difference(a, b)
            if difference:
                self.refused.append(Refusal(self.acting, a, b, difference))
                return
        super().union(a, b)

    def difference(self, a: int, b: int) -> float:
        """By how much two values differ beyond rounding, relative to the larger; 0 where they do not, or where it is not known."""
        x, y = self.value(a), self.value(b)
        if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
            return 0.0
        if _apart(x, y) <= TOLERANCE:
            return 0.0
        gap, scale = np.minimum(gaps(x, y), gaps(y, x)), largest(x, y)
        noise = np.zeros(1)
        for points in self.around:
            cache: dict[int, Value] = {}
            for ref, value in ((a, x), (b, y)):
                near = self._signed(self._valued(ref >> 1, points, cache), ref)
                if not isinstance(near, np.ndarray):
                    return 0.0
                noise = np.maximum(noise, gaps(value, near))
            wrong = (gap > TOLERANCE * scale) & (gap > TIMES * noise)
            if not wrong.any():
                return 0.0
        return float(gap[wrong].max()) / scale if self._holds(wrong) else 0.0

    def _holds(self, wrong: Array) -> bool:
        """Whether all that is given of values that are no symbols holds at a point where two values differ."""
        allowed = np.ones(POINTS, dtype=bool)
        for key, known in self.given.items():
            value = self.value(key) if isinstance(key, int) else None
            if isinstance(value, np.ndarray):
                inside = (known.lo <= value.real) & (value.real <= known.hi)
                allowed &= inside.all(axis=tuple(range(value.ndim - 1)))
        return bool(wrong[..., allowed].any())

    def value(self, ref: int) -> Value:
        """Value of a reference at the points; None where it is not known."""
        value = self._valued(ref >> 1, self.points, self.values)
        return -value if ref & 1 and isinstance(value, np.ndarray) else value

    def _valued(self, c: int, points: Fingerprints, values: dict[int, Value]) -> Value:
        stack = [c]
        while stack:
            d = stack[-1]
            if d in values:
                stack.pop()
                continue
            node, axes = self.birth[d]
            waiting = [r >> 1 for r in node.children if r >> 1 not in values]
            if waiting:
                stack += waiting
                continue
            parts = [self._signed(values[r >> 1], r) for r in node.children]
            values[d] = points.of(node, axes, parts, [self.birth[r >> 1][1] for r in node.children])
            stack.pop()
        return values[c]

    def _signed(self, value: Value, ref: int) -> Value:
        return -value if ref & 1 and isinstance(value, np.ndarray) else value

    def alike(self, classes: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs of different classes with equal fingerprints up to sign: equalities that nobody has proved."""
        groups: dict[bytes, list[int]] = {}
        for c in classes:
            value = self.value(2 * c)
            if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "fc" and np.isfinite(value).all():
                scale = float(np.abs(value).max()) or 1.0
                flip = -1.0 if value.flat[0].real < 0 else 1.0
                key = np.round(flip * value / scale, 7) + 0.0
                groups.setdefault(repr((key.shape, f"{scale:.6e}")).encode() + key.tobytes(), []).append(c)
        pairs = []
        for members in groups.values():
            for other in members[1:]:
                pair = 2 * members[0], 2 * other
                sign = int(not self._equal(*pair))
                if self.axes[members[0]] == self.axes[other] and self._equal(pair[0], pair[1] ^ sign):
                    pairs.append((pair[0], pair[1] ^ sign))
        return pairs

    def _equal(self, a: int, b: int) -> bool:
        x, y = self.value(a), self.value(b)
        return isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and _apart(x, y) <= TOLERANCE


def acting(space: Space, phase: str, name: str) -> AbstractContextManager[None]:
    """`VerifiedSpace.by`, of any space."""
    return space.by(phase, name) if isinstance(space, VerifiedSpace) else nullcontext()


def _apart(x: Array, y: Array) -> float:
    """Largest difference relative to the largest element, where both are finite."""
    if x.dtype.kind == "b" or y.dtype.kind == "b":
        return float((x != y).any())
    with np.errstate(all="ignore"):  # infinities on both sides
        difference = np.abs(x - y)
    if not difference.size:
        return 0.0
    worst = float(difference.max())
    if worst == 0.0:
        return 0.0
    if not np.isfinite(worst):
        with np.errstate(all="ignore"):
            finite = np.isfinite(x) & np.isfinite(y)
            x, y = np.where(finite, x, 0), np.where(finite, y, 0)
            worst = float(np.abs(x - y).max())
    scale = max(float(np.abs(x).max()), float(np.abs(y).max()), 1e-30)
    return worst / scale
