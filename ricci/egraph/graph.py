"""The classes of an optimization as a Graphviz drawing: a box a class, its forms inside, the chosen ones filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ricci.dsl.ops.contract import Contraction
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.show import show_term
from ricci.dsl.term import Term
from ricci.egraph.space import Node
from ricci.egraph.verified import SOURCE, VerifiedSpace

MOST_DRAWN = 600  # nodes of one drawing: more is no picture
MOST_PAIRS = 20  # equalities that may be missing, in one report
LONGEST = 60  # characters of a label
WORDS = {"scale": "times", "sum": "+", "product": "*", "recip": "1 /", "expand": "repeat"}


@dataclass(frozen=True)
class Graph:
    """What an optimization looked at: the space, the references of its results by name, the chosen node of every class that it needs."""

    space: VerifiedSpace
    results: Mapping[str, int]
    choice: Mapping[int, Node]

    def classes(self) -> list[int]:
        """Classes that some form of the results needs."""
        found: dict[int, None] = {}
        waiting = [self.space.find(r) >> 1 for r in self.results.values()]
        while waiting:
            c = waiting.pop()
            if c not in found:
                found[c] = None
                waiting += [self.space.find(r) >> 1 for node in self.space.nodes[c] for r in node.children]
        return sorted(found)

    def unproved(self) -> list[tuple[str, str]]:
        """Pairs of different classes with equal values, as one form of each. Values in which sizes enter may agree by chance: left out."""
        nodes = self.space.nodes
        sized: dict[int, bool] = {}
        for c in self.classes():  # children are older, or join a class that is
            below = (self.space.find(r) >> 1 for node in nodes[c] for r in node.children)
            sized[c] = any(_is_size(node) for node in nodes[c]) or any(sized.get(d, False) for d in below)
        told = [c for c in sized if not sized[c] and not any(node.op == "stored" for node in nodes[c])]
        return [(self._shown(a), self._shown(b)) for a, b in self.space.alike(told)[:MOST_PAIRS]]

    def _shown(self, ref: int) -> str:
        node = next(iter(self.space.nodes[ref >> 1]))
        inside = ", ".join(label(next(iter(self.space.nodes[self.space.find(r) >> 1]))) for r in node.children)
        return ("-" if ref & 1 else "") + label(node) + (f"({inside})" if inside else "")

    def count(self) -> int:
        """How many nodes a drawing would have."""
        return sum(len(self.space.nodes[c]) for c in self.classes())


def to_dot(graphs: Mapping[str, Graph]) -> str:
    """Functions side by side as one Graphviz text. An edge to a box means: the value of any form in it; dashed: its negative."""
    lines = ["digraph ricci {", "  compound=true; rankdir=BT; node [shape=box, fontname=monospace];"]
    for number, (name, graph) in enumerate(graphs.items()):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(name)};"]
        lines += ["    " + line for line in _function(graph, f"f{number}")]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _function(graph: Graph, prefix: str) -> Iterable[str]:
    space = graph.space
    edges: list[str] = []
    for c in graph.classes():
        nodes = list(space.nodes[c])
        yield f"subgraph cluster_{prefix}_{c} {{"
        yield f"  style=rounded; label={_quoted(_axes(space, c))};"
        for k, node in enumerate(nodes):
            taken = graph.choice.get(c) == node
            fill = ', style=filled, fillcolor="#cde7c9"' if taken else ""
            yield f"  {prefix}_{c}_{k} [label={_quoted(label(node))}, tooltip={_quoted(_author(space, node))}{fill}];"
            edges += _edges(space, f"{prefix}_{c}_{k}", node.children, prefix)
        yield "}"
    for position, (name, ref) in enumerate(graph.results.items()):
        yield f"{prefix}_result_{position} [label={_quoted(name)}, shape=plaintext];"
        edges += _edges(space, f"{prefix}_result_{position}", [ref], prefix)
    yield from edges


def _edges(space: VerifiedSpace, source: str, children: Sequence[int], prefix: str) -> list[str]:
    out = []
    for r in children:
        found = space.find(r)
        dashed = ", style=dashed" if found & 1 else ""
        out.append(f"{prefix}_{found >> 1}_0 -> {source} [ltail=cluster_{prefix}_{found >> 1}{dashed}];")
    return out


def _is_size(node: Node) -> bool:
    return node.op == "leaf" and isinstance(node.payload, Term) and node.payload.op == "symbol" and name_of(node.payload).startswith("#")


def label(node: Node) -> str:
    """What a node does, in a few characters."""
    payload = node.payload
    if node.op == "leaf":
        text = show_term(payload) if isinstance(payload, Term) else str(payload[1] if isinstance(payload, tuple) else payload)
    elif isinstance(payload, Contraction):
        text = "contract " + ", ".join("[" + " ".join(f"{a}={where}" for a, where in access) + "]" for access in payload.accesses)
    elif node.op == "power":
        text = f"^ {node.exponent}"
    elif node.op == "scale":
        text = f"times {node.factor}"
    else:
        text = WORDS.get(node.op, node.op) + (f" {payload}" if node.op in ("reindex", "reduce") else "")
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def _author(space: VerifiedSpace, node: Node) -> str:
    phase, name = space.origin.get(node, SOURCE)
    return phase if phase == name else f"{phase}: {name}"


def _axes(space: VerifiedSpace, c: int) -> str:
    return ", ".join(f"{name}: {size}" for name, size in sorted(space.axes[c])) or "number"


def _quoted(text: str) -> str:
    """A Graphviz string: nothing in a model's names can end it."""
    plain = "".join(ch if ch.isprintable() else " " for ch in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
