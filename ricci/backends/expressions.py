"""Scalar expressions as Python text: shared values get names, values that a loop does not change are computed outside it.

Sums are written with `fma` where a rounding is saved: the text decides contraction, never the compiler. Terms are spelled in
topological order, so depth does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf

from ricci.backends.elementary.catalogue import FUNCTIONS, arguments_of
from ricci.backends.source import grouped, simple
from ricci.dsl.ops import contract
from ricci.dsl.ops.const import nearest, value_of
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind
from ricci.errors import CannotLower

LONGEST_TEXT = 88
LONGEST_SUM = 16
LONGEST_CHAIN = 8

# functions that vectors.py and elementary/ have for scalars and vectors alike
VECTOR_FUNCTIONS = {
    "sqrt": "square_root({0})",
    "floor": "round_down({0})",
    "ceil": "round_up({0})",
    "round": "round_even({0})",
    "abs": "magnitude({0})",
    "min2": "minimum({0}, {1})",
    "max2": "maximum({0}, {1})",
    "recip": "1.0 / {0}",
    "relu": "maximum({0}, 0.0)",
    "abs2": "{0} * {0}",
    "sign": "choose({0} > 0.0, 1.0, choose({0} < 0.0, -1.0, {0} + 0.0))",
    "heaviside": "choose({0} > 0.0, 1.0, choose({0} < 0.0, 0.0, {0} + 0.5))",
    **{name: f"elementary.{name}({', '.join(f'{{{k}}}' for k in range(arguments_of(name)))})" for name in FUNCTIONS},
}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
LOGIC = {"and": "&", "or": "|", "xor": "^"}


@dataclass
class Frame:
    """One open body: its lines so far, the names of values computed in it, and their depths."""

    depth: int
    lines: list[str] = field(default_factory=list)
    texts: dict[Term, str] = field(default_factory=dict)
    depths: dict[Term, int] = field(default_factory=dict)


def product_parts(term: Term) -> tuple[list[Term], list[Term]]:
    """(factors above, factors below the bar) of a product without bound axes, repeated ones repeated."""
    if term.op != "contract":
        return [term], []
    above: list[Term] = []
    below: list[Term] = []
    for factor, _ in contract.factors_of(term):
        if factor.op == "map" and factor.attrs[0] == "recip" and factor.kind == Kind.REAL:
            below.append(factor.args[0])
        else:
            above.append(factor)
    return above, below


@dataclass
class Expressions:
    """Spells terms into the innermost of `frames`. `leaf` gives depth and text of a symbol; `uses` counts users of a term."""

    frames: list[Frame]
    leaf_depth: Callable[[Term], int]
    leaf_text: Callable[[Term], str]
    fresh: Callable[[str], str]
    uses: dict[Term, int]
    single: bool = False  # 32-bit reals
    here: int = 0  # depth of the term being spelled
    heights: dict[Term, int] = field(default_factory=dict)

    # values

    def value(self, root: Term, name: str = "") -> str:
        """Text of a value in the innermost frame, emitting what it needs; an operand if no name is given."""
        text = self._spelled(root)
        return grouped(text) if not name else text

    def named(self, term: Term, wish: str) -> str:
        """A variable that holds the value of a term."""
        text = self.value(term, wish)
        if text.isidentifier():
            return text
        depth = self.depth(term)
        name = self.fresh(wish)
        self.frames[depth].lines.append(f"{name} = {text}")
        self.frames[depth].texts[term] = name
        return name

    def depth(self, root: Term) -> int:
        """The innermost loop on which a value depends (0: none)."""
        stack = [root]
        while stack:
            term = stack[-1]
            if self._depth_known(term) is not None:
                stack.pop()
                continue
            if term.op in ("symbol", "const"):
                self._set_depth(term, self.leaf_depth(term) if term.op == "symbol" else 0)
                continue
            unknown = [a for a in term.args if self._depth_known(a) is None]
            if unknown:
                stack.extend(unknown)
                continue
            self._set_depth(term, max((self._depth_known(a) or 0 for a in term.args), default=0))
        return self._depth_known(root) or 0

    def _depth_known(self, term: Term) -> int | None:
        for frame in reversed(self.frames):
            if term in frame.depths:
                return frame.depths[term]
        return None

    def forget(self, leaf: Term) -> None:
        """Drop what is known of values that contain a leaf."""
        for frame in self.frames:
            for term in [t for t in {**frame.depths, **frame.texts} if any(part is leaf for part in walk([t]))]:
                frame.depths.pop(term, None)
                frame.texts.pop(term, None)

    def _set_depth(self, term: Term, depth: int) -> None:
        self.frames[depth].depths[term] = depth

    def _found(self, term: Term) -> str | None:
        for frame in reversed(self.frames):
            if term in frame.texts:
                return frame.texts[term]
        return None

    def _spelled(self, root: Term) -> str:
        """Spell a term after the parts its spelling uses, without recursion."""
        stack: list[tuple[Term, bool]] = [(root, False)]
        while stack:
            term, ready = stack.pop()
            if self._found(term) is not None:
                continue
            if not ready:
                self.here = self.depth(term)
                stack.append((term, True))
                stack.extend((p, False) for p in self._parts(term))
                continue
            depth = self.here = self.depth(term)
            text = self._spell(term)
            outside = depth < len(self.frames) - 1
            keep = self.uses.get(term, 1) > 1 or len(text) > LONGEST_TEXT or outside
            if not _is_short(text) and (outside if term is root else keep):
                name = self.fresh("a")
                self.frames[depth].lines.append(f"{name} = {text}")
                text = name
            self.frames[depth].texts[term] = text
        found = self._found(root)
        assert found is not None
        return found

    # parts and spelling, by operator

    def _parts(self, term: Term) -> Iterable[Term]:
        if term.op in ("symbol", "const"):
            return ()
        if term.op == "linear":
            return [p for group in self._groups(term) for p in group.parts()]
        if term.op == "contract":
            above, below = product_parts(term)
            return [*above, *below]
        return term.args

    def _spell(self, term: Term) -> str:
        if term.op == "symbol":
            return self.leaf_text(term)
        if term.op == "const":
            return self.constant(term)
        if term.op == "linear":
            return self._linear(term)
        if term.op == "contract":
            above, below = product_parts(term)
            return self._product(above, below, term.kind)
        if term.op == "cast":
            return self._cast(term)
        if term.op == "map":
            return self._map(term)
        raise CannotLower("E0601", f"`{term.op}` is not available in generated code")

    def constant(self, term: Term) -> str:
        """A typed literal."""
        value = value_of(term)
        if term.kind == Kind.BOOL:
            return "True" if value else "False"
        if term.kind == Kind.INT:
            return _signed(str(int(value or 0)))
        text = self.real(nearest(value or 0))
        return text if term.kind == Kind.REAL else f"complex({text}, 0.0)"

    def real(self, value: float) -> str:
        """A literal of the precision of reals."""
        text = {inf: "infinity", -inf: "(-infinity)"}.get(value) or _signed(repr(value))
        return f"float32({text})" if self.single else text

    def _operand(self, term: Term) -> str:
        text = self._found(term)
        assert text is not None
        return grouped(text)

    def _as(self, term: Term, kind: Kind) -> str:
        """Operand of a wanted kind; mixed arithmetic converts by itself except bool and int against vectors of reals."""
        text = self._operand(term)
        if term.kind == kind or term.op == "const":
            return text if term.op != "const" or term.kind == kind else self.constant_of(term, kind)
        if kind == Kind.REAL and term.kind < Kind.REAL:
            return f"to_real({text})"
        if kind == Kind.INT and term.kind == Kind.BOOL:
            return f"to_int({text})"
        return text

    def constant_of(self, term: Term, kind: Kind) -> str:
        value = value_of(term)
        if kind == Kind.REAL:
            return self.real(nearest(value or 0))
        if kind == Kind.COMPLEX:
            return f"complex({self.real(nearest(value or 0))}, 0.0)"
        return _signed(str(int(value or 0)))

    def _product(self, above: Sequence[Term], below: Sequence[Term], kind: Kind) -> str:
        """Product with the values that outer loops know first, so that they are multiplied once."""
        texts = self._ordered_factors(above, kind)
        text = " * ".join(texts) if texts else self.real(1.0)
        if not below:
            return text
        divisor = " * ".join(self._ordered_factors(below, kind))
        if kind == Kind.COMPLEX:
            return f"{grouped(text)} * {SCALARS['recip'].python_complex.format(divisor)}"
        return f"{text} / {grouped(divisor)}"

    def _ordered_factors(self, factors: Sequence[Term], kind: Kind) -> list[str]:
        """Factors by depth; those of one outer depth joined in a variable of that depth."""
        here = self.here
        by_depth: dict[int, list[Term]] = {}
        for f in factors:
            by_depth.setdefault(self.depth(f), []).append(f)
        texts: list[str] = []
        joined: list[str] = []
        for depth in sorted(by_depth):
            own = self._powers(by_depth[depth], kind, depth)
            if depth < here:
                joined += own
                if len(joined) > 1 or not simple(joined[0]) or "(" in joined[0]:
                    joined = [self._hoisted(" * ".join(joined), depth)]
            else:
                texts += own
        return joined + texts

    def _powers(self, factors: Sequence[Term], kind: Kind, depth: int) -> list[str]:
        """Texts of factors; a power as products of squares."""
        texts: list[str] = []
        for factor in dict.fromkeys(factors):
            count = sum(f is factor for f in factors)
            base = self._as(factor, kind)
            if count > 2 and not base.isidentifier():
                base = self._hoisted(base, depth)
            while count:
                if count & 1:
                    texts.append(base)
                count >>= 1
                if count:
                    base = f"{base} * {base}" if count == 1 and not texts else self._hoisted(f"{base} * {base}", depth)
        return texts

    def _hoisted(self, text: str, depth: int) -> str:
        """A variable for a text, in the frame of a depth; equal texts share one."""
        frame = self.frames[depth]
        for outer in reversed(self.frames[: depth + 1]):
            for line in outer.lines:
                name, equals, right = line.partition(" = ")
                if equals and right == text and name.isidentifier():
                    return name
        name = self.fresh("c" if depth < self.here else "a")
        frame.lines.append(f"{name} = {text}")
        return name

    # sums

    def _groups(self, term: Term) -> list[_Group]:
        """Summands with one coefficient (a number times values from outer loops) together."""
        here = self.here
        groups: dict[tuple[Fraction, frozenset[tuple[Term, int]]], _Group] = {}
        for c, t in zip(term.attrs, term.args, strict=True):
            fixed: list[Term] = []
            rest: list[Term] = [t]
            below: list[Term] = []
            if t.op == "contract" and self.uses.get(t, 1) == 1 and self.depth(t) == here and term.kind == Kind.REAL:
                above, below = product_parts(t)
                fixed = [f for f in above if self.depth(f) < here]
                rest = [f for f in above if self.depth(f) == here]
            key = (abs(c), frozenset((f, sum(g is f for g in fixed)) for f in fixed))
            group = groups.setdefault(key, _Group(abs(c), fixed))
            group.items.append((c > 0, rest, below))
        return list(groups.values())

    def _linear(self, term: Term) -> str:
        if term.kind != Kind.REAL:
            return self._plain_linear(term)
        kind = term.kind
        plain: list[tuple[str, str]] = []
        scaled: list[tuple[str, str, str]] = []  # sign, coefficient, factor
        for group in sorted(self._groups(term), key=self._ready):  # a chain goes on while its last members are computed
            sign, text = self._group_sum(group, kind)
            if group.coefficient == 1 and not group.fixed:
                plain.append((sign, text))
            else:
                scaled.append((sign, self._coefficient(group, kind), grouped(text)))
        base: str | None = None
        if plain:
            base = "".join(f" {s} {grouped(t)}" if i or s == "-" else t for i, (s, t) in enumerate(plain)).strip()
            if base.startswith("- "):
                base = "-" + base[2:]
        for count, (sign, coefficient, factor) in enumerate(scaled):
            if base is not None and count % LONGEST_CHAIN == LONGEST_CHAIN - 1:
                base = self._hoisted(base, self.here)
            if base is None:
                base = f"{coefficient} * {factor}" if sign == "+" else f"-{coefficient} * {factor}"
            else:
                base = f"fma({coefficient if sign == '+' else '-' + coefficient}, {factor}, {base})"
        return base or self.real(0.0)

    def _ready(self, group: _Group) -> int:
        """After how many operations that wait for each other all products of a group are there."""
        return max(max((self._height(f) for f in (*rest, *below)), default=0) + len(rest) + len(below) for _, rest, below in group.items)

    def _height(self, root: Term) -> int:
        """How many operations that wait for each other a value takes."""
        stack = [root]
        while stack:
            term = stack[-1]
            unknown = [a for a in term.args if a not in self.heights]
            if unknown and term not in self.heights:
                stack.extend(unknown)
                continue
            stack.pop()
            own = len(term.args) - 1 if term.op == "contract" else len(term.args).bit_length()
            self.heights[term] = max((self.heights[a] for a in term.args), default=0) + own
        return self.heights[root]

    def _group_sum(self, group: _Group, kind: Kind) -> tuple[str, str]:
        """(sign, text) of the signed sum of the group's products, as balanced pairs."""
        positive = [self._rest(r, b, kind) for up, r, b in group.items if up]
        negative = [self._rest(r, b, kind) for up, r, b in group.items if not up]
        if not positive:
            return "-", self._balanced(negative)
        if not negative:
            return "+", self._balanced(positive)
        return "+", f"{grouped(self._balanced(positive)) if len(positive) > 1 else positive[0]} - {grouped(self._balanced(negative))}"

    def _balanced(self, texts: Sequence[str]) -> str:
        """A sum as a balanced tree: short dependence chains, a fixed order; long ones in pieces that have names."""
        level = list(texts)
        while len(level) > LONGEST_SUM:
            pieces = [_balanced(level[i : i + LONGEST_SUM]) for i in range(0, len(level), LONGEST_SUM)]
            level = [self._hoisted(piece, self.here) for piece in pieces]
        return _balanced(level)

    def _rest(self, rest: Sequence[Term], below: Sequence[Term], kind: Kind) -> str:
        return self._product(rest, below, kind) if rest or below else self.real(1.0)

    def _coefficient(self, group: _Group, kind: Kind) -> str:
        if not group.fixed:
            return self.real(nearest(group.coefficient))
        texts = self._ordered_factors(group.fixed, kind)
        if group.coefficient == 1 and len(texts) == 1:
            return texts[0]
        numbers = [] if group.coefficient == 1 else [self.real(nearest(group.coefficient))]
        return self._hoisted(" * ".join(numbers + texts), max(self.depth(f) for f in group.fixed))

    def _plain_linear(self, term: Term) -> str:
        """Sums of kind int and complex, in the order of the term."""
        text = ""
        for count, (c, t) in enumerate(zip(term.attrs, term.args, strict=True)):
            if count % LONGEST_SUM == LONGEST_SUM - 1:
                text = self._hoisted(text, self.here)
            operand = self._as(t, term.kind)
            size = abs(c)
            number = str(int(size)) if term.kind == Kind.INT else self.real(nearest(size))
            part = operand if size == 1 else f"{number} * {operand}"
            minus = "0.0 - " if term.kind == Kind.COMPLEX else "-"  # -(1 + 0i) is -1 + 0i, on the side of the cut where roots are principal
            text = (f"{minus}{part}" if c < 0 else part) if not text else f"{text} {'-' if c < 0 else '+'} {part}"
        return text or "0"

    # functions

    def _cast(self, term: Term) -> str:
        (t,) = term.args
        text = self._operand(t)
        if term.kind == Kind.BOOL:
            return f"{text} != 0" if t.kind != Kind.BOOL else text
        if term.kind == Kind.INT:
            return f"to_int({text}.real)" if t.kind == Kind.COMPLEX else f"to_int({text})"
        if term.kind == Kind.REAL:
            return f"{text}.real" if t.kind == Kind.COMPLEX else f"to_real({text})"
        return f"complex({'to_real(' + text + ')' if t.kind < Kind.REAL else text}, 0.0)"

    def _map(self, term: Term) -> str:
        name = term.attrs[0]
        if name == "group":
            return self._operand(term.args[0])
        kinds = [a.kind for a in term.args]
        if name == "where":
            return self._where(term)
        if name in COMPARISONS:
            left, right = self._pair(term)
            return f"{left} {COMPARISONS[name]} {right}"
        if name in LOGIC:
            return f"{self._operand(term.args[0])} {LOGIC[name]} {self._operand(term.args[1])}"
        if name == "not":
            return f"{self._operand(term.args[0])} ^ True"
        if name == "isfinite" and Kind.COMPLEX not in kinds:
            return f"magnitude({self._as(term.args[0], Kind.REAL)}) < infinity"
        if Kind.COMPLEX in kinds or term.kind == Kind.COMPLEX:
            spelling = SCALARS[name].python_complex or SCALARS[name].python
            texts = [self._as(a, Kind.REAL if name == "complex" else Kind.COMPLEX) for a in term.args]
        elif term.kind == Kind.REAL and name in VECTOR_FUNCTIONS:
            spelling, texts = VECTOR_FUNCTIONS[name], [self._as(a, Kind.REAL) for a in term.args]
        elif name in ("min2", "max2") and term.kind == Kind.INT:
            spelling, texts = ("min({0}, {1})" if name == "min2" else "max({0}, {1})"), [self._operand(a) for a in term.args]
        else:
            spelling = SCALARS[name].python
            real = term.kind == Kind.REAL or name == "isfinite"
            texts = [self._as(a, Kind.REAL) if real else self._operand(a) for a in term.args]
        if not spelling:
            raise CannotLower("E0601", f"the function `{name}` is not available in generated code")
        return spelling.format(*texts)

    def _pair(self, term: Term) -> tuple[str, str]:
        kind = max(a.kind for a in term.args)
        left, right = (self._as(a, kind) for a in term.args)
        return left, right

    def _where(self, term: Term) -> str:
        condition, a, b = term.args
        left, right = self._as(a, term.kind), self._as(b, term.kind)
        if term.kind == Kind.COMPLEX:
            return f"({left} if {self._operand(condition)} else {right})"
        return f"choose({self._operand(condition)}, {left}, {right})"


@dataclass
class _Group:
    """coefficient * (product of `fixed`) * sum of +- products; items are (positive, factors above, factors below)."""

    coefficient: Fraction
    fixed: list[Term]
    items: list[tuple[bool, list[Term], list[Term]]] = field(default_factory=list)

    def parts(self) -> list[Term]:
        return [*self.fixed, *[t for _, rest, below in self.items for t in (*rest, *below)]]


def _balanced(texts: Sequence[str]) -> str:
    """A sum written as a balanced tree: short dependence chains, a fixed order."""
    level = list(texts)
    while len(level) > 1:
        pairs = [f"{level[i]} + {level[i + 1]}" if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
        level = [f"({p})" if len(pairs) > 1 and " + " in p else p for p in pairs]
    return level[0]


def _signed(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _is_short(text: str) -> bool:
    """Names and numbers are repeated rather than named again."""
    return text.isidentifier() or text.replace(".", "").replace("-", "").replace("(", "").replace(")", "").isdigit()
