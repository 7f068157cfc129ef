"""Python text of generated modules: safe names, comments, sizes, indices. Names of a model never reach it unescaped."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass, field

from ricci.dsl.index import Atom, Guard, Index
from ricci.dsl.types import Size

RESERVED = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
MEETING = "gone = meet(gate, gone, threads)"  # a line after which all threads see what all have done
LONGEST_NAME = 32
LONGEST_COMMENT = 160


def safe_name(wish: str) -> str:
    """An ASCII identifier that resembles `wish`; never a keyword, a builtin or a private name."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", wish.replace("#", "n_").replace("'", "_p"))
    name = re.sub(r"__+", "_", name).strip("_")[:LONGEST_NAME].rstrip("_")
    if not name or not name[0].isalpha():
        name = f"v{name}"
    return f"{name}_" if name in RESERVED else name


def comment(text: str) -> str:
    """One comment line; control characters and line ends cannot leave it."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return "# " + " ".join(plain.split())[:LONGEST_COMMENT]


@dataclass
class Namespace:
    """Unique identifiers within one function. `reserve` names that the text uses by itself first."""

    taken: set[str] = field(default_factory=set)
    given: dict[object, str] = field(default_factory=dict)

    def reserve(self, *names: str) -> None:
        self.taken.update(names)

    def fresh(self, wish: str) -> str:
        """A new identifier."""
        base = safe_name(wish)
        name, count = base, 1
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name

    def of(self, key: object, wish: str) -> str:
        """The identifier of a key, made at its first use."""
        if key not in self.given:
            self.given[key] = self.fresh(wish)
        return self.given[key]

    def dim(self, name: str) -> str:
        return self.of(("dim", name), f"n_{name}")

    def size(self, size: Size) -> str:
        """Text of a size polynomial."""
        if size.constant is not None:
            return str(size.constant)
        parts: list[str] = []
        for monomial, c in sorted(size.terms, key=lambda item: (not item[0], item[0])):
            factors = [self.dim(dim.name) for dim, power in monomial for _ in range(power)]
            if abs(c) != 1 or not factors:
                factors.insert(0, str(abs(c)))
            sign = ("-" if c < 0 else "") if not parts else (" - " if c < 0 else " + ")
            parts.append(sign + "*".join(factors))
        text = "".join(parts)
        return text if len(parts) == 1 and not text.startswith("-") else f"({text})"

    def index(self, index: Index, axes: dict[str, str]) -> str:
        """Text of an index expression; `axes` gives the variable of each axis."""
        parts: list[str] = []
        for atom, k in index.terms:
            text = self._atom(atom, axes)
            c = k.constant
            if c is not None and abs(c) == 1:
                parts.append(("-" if c < 0 else "+") + text)
            elif c is not None:
                parts.append(f"{'-' if c < 0 else '+'}{abs(c)}*{text}")
            else:
                parts.append(f"+{self.size(k)}*{text}")
        c = index.constant.constant
        if c is None:
            parts.append(f"+{self.size(index.constant)}")
        elif c or not parts:
            parts.append(f"{'-' if c < 0 else '+'}{abs(c)}")
        first, *rest = parts
        return (first[1:] if first[0] == "+" else first) + "".join(f" {p[0]} {p[1:]}" for p in rest)

    def _atom(self, atom: Atom, axes: dict[str, str]) -> str:
        if atom.kind == "axis":
            return axes[atom.axis]
        inner, n = self.index(atom.inner, axes), self.size(atom.size)
        if atom.kind == "mod":
            return f"around({inner}, {n})"
        if atom.kind == "div":
            return f"(({inner}) // {n})"
        if atom.kind == "clamp":
            return f"max(min({inner}, {n} - 1), 0)"
        return f"mirrored({inner}, {n})"

    def guard(self, guard: Guard, axes: dict[str, str]) -> str:
        """Text of a guard as a condition."""
        inner = self.index(guard.index, axes)
        sides = []
        if guard.lo is not None:
            sides.append(f"({inner} >= {self.size(guard.lo)})")
        if guard.hi is not None:
            sides.append(f"({inner} < {self.size(guard.hi)})")
        return " & ".join(sides) if sides else "True"


def simple(text: str) -> bool:
    """Whether a text needs no parentheses as an operand."""
    return text.isidentifier() or re.fullmatch(r"[0-9.]+(e[-+]?[0-9]+)?", text) is not None or _one_call(text)


def _one_call(text: str) -> bool:
    """Whether a text is one call or one parenthesized expression."""
    head = re.match(r"[A-Za-z_0-9]*\(", text)
    if head is None or not text.endswith(")"):
        return False
    depth = 0
    for position, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and c == ")" and position < len(text) - 1:
            return False
    return True


def grouped(text: str) -> str:
    """The text, in parentheses where it is no plain operand."""
    return text if simple(text) else f"({text})"


__all__ = ["MEETING", "Namespace", "comment", "grouped", "safe_name", "simple"]
