"""Extraction: one node for every needed class, so that the sum of node costs over the shared graph is small.

Reference-counted local search from several seeds; the result never costs more than the best seed. Deterministic: bounded
by steps, never by time, ties go to what was made first. The loops (`search.py`) run compiled on large problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import FunctionType
from typing import Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ricci.egraph import search as loops
from ricci.egraph.search import Integers
from ricci.egraph.space import Node, Space

COMPILED_FROM = 4_000  # nodes; below, starting the compiler costs more than it saves

F = TypeVar("F", bound=Callable[..., object])


class NodeCost(Protocol):
    """What extraction minimizes."""

    def __call__(self, c: int, node: Node) -> int | None:
        """Cost of computing class c by the node, its children given; None: this node must not be extracted."""

    def children(self, node: Node) -> tuple[int, ...]:
        """The distinct classes that the node needs."""


@dataclass(frozen=True)
class Effort:
    """Bounds of one search: elementary steps, random switches, and the same for problems that run compiled."""

    steps: int = 120_000
    kicks: int = 64
    compiled_steps: int = 30_000_000
    compiled_kicks: int = 4_000


@dataclass(frozen=True)
class Extraction:
    """`choice` covers every class that the roots need; `seeds` holds the cost of every seed before the search."""

    choice: dict[int, Node]
    cost: int
    seeds: dict[str, int]
    start: str
    steps: int
    nodes: int


Priced = dict[Node, tuple[int, tuple[int, ...]]]  # node -> its price, the classes that it needs


class Problem:
    """The part of a space below the roots as flat arrays."""

    def __init__(self, space: Space, roots: Sequence[int], cost: NodeCost) -> None:
        self.space = space
        table = _usable(space, roots, cost)
        self.classes = sorted(table)
        self.number = {c: i for i, c in enumerate(self.classes)}
        self.roots = [self.number[r] for r in dict.fromkeys(space.find(r) >> 1 for r in roots)]
        self.nodes: list[Node] = []
        self.first: list[int] = [0]
        self.owner: list[int] = []
        self.cost: list[int] = []
        self.begin: list[int] = [0]
        self.child: list[int] = []
        for i, c in enumerate(self.classes):
            for node, (price, below) in table[c].items():
                self.nodes.append(node)
                self.owner.append(i)
                self.cost.append(price)
                self.child += [self.number[d] for d in below]
                self.begin.append(len(self.child))
            self.first.append(len(self.nodes))
        counts = [0] * (len(self.classes) + 1)
        for d in self.child:
            counts[d + 1] += 1
        for i in range(len(self.classes)):
            counts[i + 1] += counts[i]
        self.above, fill = counts, list(counts)
        self.parent = [0] * len(self.child)
        for n in range(len(self.nodes)):
            for d in self.child[self.begin[n] : self.begin[n + 1]]:
                self.parent[fill[d]] = n
                fill[d] += 1


def _usable(space: Space, roots: Sequence[int], cost: NodeCost) -> dict[int, Priced]:
    """Classes below the roots with the nodes that may be extracted and all of whose children can be computed."""
    table: dict[int, Priced] = {}
    stack = [space.find(r) >> 1 for r in roots]
    users: dict[int, list[tuple[int, Node]]] = {}
    while stack:
        c = stack.pop()
        if c in table:
            continue
        table[c] = {}
        for node in space.nodes[c]:
            price = cost(c, node)
            below = cost.children(node)
            if price is None or c in below:
                continue
            table[c][node] = price, below
            for d in below:
                users.setdefault(d, []).append((c, node))
                if d not in table:
                    stack.append(d)
    return _computable(table, users)


def _computable(table: dict[int, Priced], users: dict[int, list[tuple[int, Node]]]) -> dict[int, Priced]:
    """The classes that have a finite form, with the nodes all of whose children have one."""
    ready: dict[int, None] = {}
    waiting: dict[int, dict[Node, int]] = {}
    for c, nodes in table.items():
        waiting[c] = {node: len(below) for node, (_, below) in nodes.items()}
        if not all(waiting[c].values()):
            ready[c] = None
    order = list(ready)
    for d in order:
        for c, node in users.get(d, ()):
            left = waiting[c][node] = waiting[c][node] - 1
            if not left and c not in ready:
                ready[c] = None
                order.append(c)
    return {c: {n: p for n, p in table[c].items() if not waiting[c][n]} for c in ready}


def extract(
    space: Space, roots: Sequence[int], cost: NodeCost, seeds: Mapping[str, Sequence[tuple[int, Node]]], effort: Effort
) -> Extraction:
    """Cheapest choice found. `seeds`: name -> (class, node) pairs in the order in which they were built."""
    problem = Problem(space, roots, cost)
    compiled = len(problem.nodes) >= COMPILED_FROM
    run = _Run(problem, compiled)
    starts = {name: run.seeded(pairs) for name, pairs in seeds.items()}
    starts["tree"] = run.tree
    starts["greedy"] = run.greedy()
    costs = {name: run.total(choice) for name, choice in starts.items() if choice is not None}
    limit, kicks = (effort.compiled_steps, effort.compiled_kicks) if compiled else (effort.steps, effort.kicks)
    ranked = sorted(costs, key=lambda name: costs[name])
    best: tuple[int, list[int], str] | None = None
    steps = 0
    tried: set[tuple[int, ...]] = set()
    for rank, name in enumerate(ranked):
        choice = starts[name]
        assert choice is not None
        if tuple(choice) in tried:
            continue
        tried.add(tuple(choice))
        total, found, spent = run.search(choice, kicks if rank == 0 else kicks // 4, limit if rank == 0 else limit // 4)
        steps += spent
        if best is None or total < best[0]:
            best = (total, found, name)
    assert best is not None
    total, found, name = best
    total, found, spent = run.search(found, kicks, limit)
    chosen = {problem.classes[i]: problem.nodes[found[i]] for i in run.used(found)}
    return Extraction(chosen, total, costs, name, steps + spent, len(problem.nodes))


class _Run:
    """State arrays of one problem and the functions on them, plain or compiled."""

    def __init__(self, problem: Problem, compiled: bool) -> None:
        self.problem = problem
        self._acquire, self._refresh, self._search = loops.acquire, loops.refresh, loops.search
        self.array: Callable[[Iterable[int]], Integers] = list
        if compiled:
            self._acquire, self._refresh, self._search = _compiled(loops.acquire), _compiled(loops.refresh), _compiled(loops.search)
            self.array = _integers
        n, edges = len(problem.classes), len(problem.child)
        self.first, self.owner, self.cost = self.array(problem.first), self.array(problem.owner), self.array(problem.cost)
        self.begin, self.child = self.array(problem.begin), self.array(problem.child)
        self.above, self.parent = self.array(problem.above), self.array(problem.parent)
        self.stack, self.value = self.array([0] * (edges + n + 1)), self.array([0] * n)
        self.mark, self.queued = self.array([0] * n), self.array([0] * n)
        self.queue, self.touched, self.log = (self.array([0] * (k * n + 64)) for k in (8, 8, 16))

    def _start(self, choice: Sequence[int]) -> tuple[Integers, Integers, Integers]:
        """(choice, uses, counters) with the roots in use."""
        state, uses, now = self.array(choice), self.array([0] * len(choice)), self.array([0] * 6)
        now[loops.RANDOM] = 20_240_229
        now[loops.STAMP] = max(self.mark) if len(self.mark) else 0
        for r in self.problem.roots:
            self._acquire(r, state, uses, self.cost, self.begin, self.child, self.stack, self.touched, now)
        return state, uses, now

    def total(self, choice: Sequence[int]) -> int:
        return int(self._start(choice)[2][loops.TOTAL])

    def used(self, choice: Sequence[int]) -> list[int]:
        return [i for i, k in enumerate(self._start(choice)[1]) if k > 0]

    def _refreshed(self, state: Integers, uses: Integers, now: Integers) -> None:
        self._refresh(state, uses, self.value, self.first, self.cost, self.begin, self.child, now)

    @cached_property
    def tree(self) -> list[int]:
        """Every class by the node whose tree is cheapest."""
        n = len(self.problem.classes)
        state, uses, now = self.array(self.problem.first[:-1]), self.array([0] * n), self.array([0] * 6)
        self._refreshed(state, uses, now)
        return [int(v) for v in state]

    @cached_property
    def _places(self) -> list[dict[Node, int]]:
        """Of every class, node -> its number."""
        problem = self.problem
        ends = zip(problem.first, problem.first[1:], strict=False)
        return [{problem.nodes[i]: i for i in range(begin, end)} for begin, end in ends]

    def greedy(self) -> list[int] | None:
        """Root after root, each by the node that adds least to what is there."""
        if len(self.problem.roots) > 64:
            return None
        n = len(self.problem.classes)
        state, uses, now = self.array(self.problem.first[:-1]), self.array([0] * n), self.array([0] * 6)
        for r in self.problem.roots:
            self._refreshed(state, uses, now)
            self._acquire(r, state, uses, self.cost, self.begin, self.child, self.stack, self.touched, now)
        return [int(v) for v in state]

    def seeded(self, pairs: Sequence[tuple[int, Node]]) -> list[int] | None:
        """The seed's nodes, the tree's choice where it says nothing; None if that needs itself."""
        problem = self.problem
        choice = list(self.tree)
        taken: set[int] = set()
        for c, node in pairs:
            i = problem.number.get(problem.space.find(2 * c) >> 1)
            if i is None or i in taken:
                continue
            found = self._places[i].get(node)
            if found is None and (current := problem.space.current(node)) is not None:
                found = self._places[i].get(current)
            if found is not None:
                choice[i] = found
                taken.add(i)
        return choice if self._acyclic(choice) else None

    def _acyclic(self, choice: Sequence[int]) -> bool:
        problem = self.problem
        state = [0] * len(problem.classes)
        for root in problem.roots:
            stack = [root]
            while stack:
                c = stack[-1]
                if state[c] == 0:
                    state[c] = 1
                    n = choice[c]
                    for d in problem.child[problem.begin[n] : problem.begin[n + 1]]:
                        if state[d] == 1:
                            return False
                        if state[d] == 0:
                            stack.append(d)
                else:
                    state[c] = 2
                    stack.pop()
        return True

    def search(self, choice: Sequence[int], kicks: int, limit: int) -> tuple[int, list[int], int]:
        """(cost, choice, steps) of a local optimum no dearer than `choice`."""
        state, uses, now = self._start(choice)
        self._search(
            state, uses, self.value, self.first, self.cost, self.begin, self.child, self.owner, self.above, self.parent,
            self.stack, self.mark, self.touched, self.queue, self.queued, self.log, now, kicks, limit,
        )  # fmt: skip
        return int(now[loops.TOTAL]), [int(v) for v in state], int(now[loops.STEPS])


def _integers(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(values), dtype=np.int64)


def _compiled(function: F) -> F:
    """A function of `search.py`, compiled."""
    return cast(F, _all_compiled()[function.__name__])


@cache
def _all_compiled() -> dict[str, object]:
    """The functions of `search.py` compiled, each calling the compiled others; kept in numba's cache between processes."""
    import numba

    namespace = dict(vars(loops))
    for name in loops.ORDER:
        plain = vars(loops)[name]
        copy = FunctionType(plain.__code__, namespace, name)
        copy.__module__, copy.__qualname__ = plain.__module__, plain.__qualname__
        namespace[name] = numba.njit(cache=True)(copy)
    return namespace
