"""`simplify`: the optimizer on bare expressions, SymPy's or terms, for use as a library.

SymPy stays at the border: expressions enter the space node by node as they are written, its factored, nested and
common-subexpression forms enter as starting points, and what is chosen leaves as unevaluated expressions whose structure is the
computation. SymPy symbols that are not declared real are complex numbers here too.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ricci import cost as costs
from ricci.cost import Price
from ricci.dsl import build
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Type
from ricci.egraph.analyses import FACTS, Range
from ricci.egraph.explain import FunctionReport
from ricci.egraph.optimize import LEVELS, Level, Optimization
from ricci.egraph.pricing import NodePrice
from ricci.egraph.rational import Rational, tidy
from ricci.egraph.space import Node, Space
from ricci.errors import RicciError

# SymPy's name -> ours; both ways
FUNCTIONS = {
    **{
        n: n
        for n in [
            "exp",
            "log",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "erf",
            "erfc",
            "gamma",
            "atan2",
            "sign",
            "floor",
            "re",
            "im",
            "arg",
        ]
    },
    "Abs": "abs",
    "ceiling": "ceil",
    "loggamma": "lgamma",
    "conjugate": "conj",
    "Max": "max2",
    "Min": "min2",
}
BACK = {ours: theirs for theirs, ours in FUNCTIONS.items()}
SPELLED = frozenset(BACK) | {"recip", "sqrt", "pow"}
FACTORED_UP_TO = (80, 12)  # summands and symbols of an expression that SymPy is asked to factor
NESTED_UP_TO = 200  # summands of all expressions together that SymPy is asked to nest


def simplify(expressions: Any, cost: str = "ops", given: Mapping[Any, Any] | None = None, level: int = 2) -> Any:
    """Cheapest equal form found, of one expression, a list, a tuple or a matrix of them; returned as the same kind.

    expressions  SymPy expressions or terms, computed together: what they share is paid once
    cost         "ops" scalar operations, "time" predicted seconds, "size" number of operators
    given        what is known of symbols or subexpressions: {x: "positive" | "negative" | "nonnegative" | "nonzero" | "real" | (lo, hi)}
    The result never costs more than the input; nothing is assumed that is not given. SymPy expressions follow SymPy's own algebra of
    rational functions, which cancels common factors without asking whether they can be zero; terms keep them until they are known not to be.
    """
    return simplify_and_explain(expressions, cost, given, level)[0]


def simplify_and_explain(
    expressions: Any, cost: str = "ops", given: Mapping[Any, Any] | None = None, level: int = 2
) -> tuple[Any, FunctionReport]:
    """As `simplify`, with the report of what was considered and done."""
    if cost not in costs.PRICES:
        raise RicciError("E0904", f"a cost is one of {', '.join(costs.PRICES)}, not `{cost}`")
    if level not in (1, *LEVELS):
        raise RicciError("E0904", f"a level is 1, 2 or 3, not {level}")
    items, rebuild = _opened(expressions)
    known = dict(given or {})
    if all(isinstance(e, Term) for e in items):
        run = Optimization(items, LEVELS[max(level, 2)], Price(cost), {}, {t: _range(t, f) for t, f in known.items()})
        found = run.result()
        return rebuild(found), run.report("expressions", [str(i) for i in range(len(items))])
    border = _Border(known)
    return border.simplified(items, rebuild, cost, LEVELS[max(level, 2)])


def _opened(expressions: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The expressions as a list, and how to put a list back into what they came in."""
    if isinstance(expressions, list | tuple):
        kind = type(expressions)
        return list(expressions), lambda new: kind(new)
    if hasattr(expressions, "shape") and hasattr(expressions, "_new"):
        rows, columns = expressions.shape
        return list(expressions), lambda new: expressions._new(rows, columns, new)
    return [expressions], lambda new: new[0]


def _range(what: Any, fact: Any) -> Range:
    if isinstance(fact, tuple) and len(fact) == 2:
        lo, hi = (float(v) for v in fact)
        return Range(lo, hi, nonzero=lo > 0 or hi < 0)
    if fact == "real":
        return Range()
    if fact not in FACTS:
        raise RicciError("E0904", f"`{what}` is given as {fact!r}; known are real, {', '.join(FACTS)} and (lo, hi)")
    return FACTS[fact]


@dataclass
class _Border:
    """Translation between SymPy and a space. `given` as the user wrote it."""

    given: dict[Any, Any]
    symbols: dict[Any, Term] = field(default_factory=dict)
    names: dict[Term, Any] = field(default_factory=dict)
    floats: bool = False

    def simplified(self, items: list[Any], rebuild: Callable[[list[Any]], Any], cost: str, level: Level) -> tuple[Any, FunctionReport]:
        import sympy

        items = [sympy.sympify(e) for e in items]
        terms = [self.term(e) for e in items]
        ranges = {self.term(sympy.sympify(e)): _range(e, f) for e, f in self.given.items() if f != "real"}
        run = _SymbolicOptimization(terms, level, Price(cost), {}, ranges)
        found = run.simplified(self, items)
        if found is None:
            return rebuild(items), run.report("expressions", [str(i) for i in range(len(items))])
        return rebuild(found), run.report("expressions", [str(i) for i in range(len(items))])

    # SymPy to terms: what the rules see

    def term(self, root: Any) -> Term:
        """The expression as a term; what has no operator of ours is a symbol."""
        done: dict[Any, Term] = {}
        for e in _postorder(root):
            done[e] = self._term(e, [done[a] for a in e.args] if not self._is_leaf(e) else [])
        return done[root]

    def _is_leaf(self, e: Any) -> bool:
        return e.is_Atom or not (e.is_Add or e.is_Mul or e.is_Pow or type(e).__name__ in FUNCTIONS)

    def _term(self, e: Any, args: list[Term]) -> Term:
        if self._is_leaf(e):
            return self.leaf(e)
        try:
            if e.is_Add:
                return build.add(*args)
            if e.is_Mul:
                return build.mul(*args)
            if e.is_Pow:
                exponent = Fraction(int(e.exp.p), int(e.exp.q)) if e.exp.is_Rational else args[1]
                return build.power(args[0], exponent)
            name = FUNCTIONS[type(e).__name__]
            if name in ("max2", "min2"):
                out = args[0]
                for a in args[1:]:
                    out = build.apply(name, out, a)
                return out
            return build.apply(name, *args)
        except TermError:
            return self.opaque(e)

    def leaf(self, e: Any) -> Term:
        """Numbers exactly; symbols real where SymPy or `given` says so, else complex."""
        if e.is_Float:
            self.floats = True
            return build.const(Fraction(*map(int, e.as_integer_ratio())), Kind.REAL)
        if e.is_Rational:
            return build.const(Fraction(int(e.p), int(e.q))) if e.q != 1 else build.const(int(e.p))
        if (e.is_number and e.is_finite is False) or str(e) in ("nan", "zoo"):
            raise RicciError("E0904", f"`{e}` is not a finite number")
        name = str(e)
        if name == "pi":
            return self._named(e, build.pi())
        if name == "I":
            return self._named(e, build.im())
        return self.opaque(e)

    def _named(self, e: Any, term: Term) -> Term:
        self.symbols[e] = term
        self.names[term] = e
        return term

    def opaque(self, e: Any) -> Term:
        if e not in self.symbols:
            known = self.given.get(e)
            real = e.is_extended_real or known is not None
            self._named(e, build.symbol(f"s{len(self.symbols)}", Type(Kind.REAL if real else Kind.COMPLEX)))
        return self.symbols[e]

    def ranges(self) -> dict[Term, Range]:
        """What SymPy's assumptions say of the symbols."""
        out = {}
        for e, term in self.symbols.items():
            facts = [f for f in ("positive", "negative", "nonnegative", "nonzero") if getattr(e, f"is_extended_{f}", None)]
            if facts and term.op == "symbol":
                out[term] = FACTS[facts[0]]
        return out

    # SymPy to the space: what was written, node by node

    def load(self, space: Space, roots: Sequence[Any], definitions: Sequence[tuple[Any, Any]] = ()) -> list[int]:
        """References of expressions; definitions (symbol, value) are computed first and used by name."""
        done: dict[Any, int] = {}
        for symbol, value in definitions:
            self._load_into(space, value, done)
            done[symbol] = done[value]
        for root in roots:
            self._load_into(space, root, done)
        return [space.find(done[root]) for root in roots]

    def _load_into(self, space: Space, root: Any, done: dict[Any, int]) -> None:
        for e in _postorder(root, done):
            if e not in done:
                done[e] = self._entered(space, e, [done[a] for a in e.args] if not self._is_leaf(e) else [], done)

    def _entered(self, space: Space, e: Any, args: list[int], done: Mapping[Any, int]) -> int:
        if self._is_leaf(e):
            if e.is_Float or e.is_Rational:
                return space.number(self._number(e))
            return space.leaf(self.leaf(e))
        if e.is_Add:
            return space.sum([self._summand(a, r, done) for a, r in zip(e.args, args, strict=True)])
        if e.is_Mul:
            return space.product([(r, 1) for r in args])
        if e.is_Pow:
            return self._power(space, e, args)
        name = FUNCTIONS[type(e).__name__]
        if self.term(e) in self.names:
            return space.leaf(self.term(e))
        if name in ("max2", "min2"):
            out = args[0]
            for r in args[1:]:
                out = space.apply(name, sorted([out, r]))
            return out
        return space.apply(name, args)

    def _number(self, e: Any) -> Rational:
        return tidy(Fraction(*map(int, e.as_integer_ratio())) if e.is_Float else Fraction(int(e.p), int(e.q)))

    @staticmethod
    def _summand(e: Any, ref: int, done: Mapping[Any, int]) -> tuple[Rational, int]:
        return 1, ref

    def _power(self, space: Space, e: Any, args: list[int]) -> int:
        base, exponent = args
        if e.exp.is_Integer and abs(int(e.exp)) <= 64:
            k = int(e.exp)
            out = space.product([(base, abs(k))]) if abs(k) != 1 else base
            return space.apply("recip", [out]) if k < 0 else out
        if not e.exp.is_Rational or e.exp.q != 2 or abs(e.exp.p) > 64:
            return space.apply("pow", [base, exponent])
        p = int(e.exp.p)
        root = space.apply("sqrt", [base])
        if p == 1:
            return root
        value = space.product([(root, 1), *([(base, abs(p) // 2)] if abs(p) > 1 else [])])
        if p < 0:
            value = space.apply("recip", [value])
        node = Node("pow", None, (space.find(base), space.find(exponent)))
        return space.note(node, value)

    # the space to SymPy

    def leave(self, space: Space, choice: Mapping[int, Node], order: Sequence[int]) -> dict[int, Any]:
        """An unevaluated expression for every chosen class, in the order of computation."""
        import sympy

        out: dict[int, Any] = {}
        for c in order:
            node = choice[c]
            flip = space.nodes[c][node]
            inside = flip if node.op == "sum" else 0
            args = [self._signed(sympy, out[space.find(r) >> 1], space.find(r) & 1 ^ inside) for r in node.children]
            out[c] = self._signed(sympy, self._left(sympy, node, args), flip ^ inside)
        return out

    def _signed(self, sympy: Any, e: Any, negative: int) -> Any:
        if not negative:
            return e
        return -e if e.is_Number else sympy.Mul(-1, e, evaluate=False)

    def _left(self, sympy: Any, node: Node, args: list[Any]) -> Any:
        op = node.op
        if op == "leaf":
            key = node.payload
            if isinstance(key, Term):
                return self.names[key]
            assert isinstance(key, tuple)
            return self._written(sympy, key[1])
        if op == "scale":
            number = self._written(sympy, node.factor)
            return args[0] * number if args[0].is_Number else sympy.Mul(number, args[0], evaluate=False)
        if op == "sum":
            return sympy.Add(*args, evaluate=False)
        if op == "product":
            return sympy.Mul(*args, evaluate=False)
        if op == "power":
            return sympy.Pow(args[0], node.exponent, evaluate=False)
        if op == "recip":
            return sympy.Pow(args[0], -1, evaluate=False)
        if op == "sqrt":
            return sympy.Pow(args[0], sympy.Rational(1, 2), evaluate=False)
        if op == "pow":
            return sympy.Pow(*args, evaluate=False)
        if op == "expand":
            return args[0]
        return getattr(sympy, BACK[op])(*args, evaluate=False)

    def _written(self, sympy: Any, q: Rational) -> Any:
        if isinstance(q, int):
            return sympy.Integer(q)
        return sympy.Float(float(q)) if self.floats else sympy.Rational(q.numerator, q.denominator)


def _postorder(root: Any, known: Container[Any] = ()) -> list[Any]:
    """Distinct subexpressions, arguments first, without recursion; those in `known` are not opened."""
    order: list[Any] = []
    seen = set()
    stack = [(root, False)]
    while stack:
        e, ready = stack.pop()
        if ready:
            order.append(e)
        elif e not in seen and e not in known:
            seen.add(e)
            stack.append((e, True))
            stack.extend((a, False) for a in reversed(e.args))
    return order


class _SpelledPrice(NodePrice):
    """Only functions that SymPy has."""

    def __call__(self, c: int, node: Node) -> int | None:
        return None if node.op in SCALARS and node.op not in SPELLED else super().__call__(c, node)


class _SymbolicOptimization(Optimization):
    """An optimization whose source and starting points are SymPy expressions."""

    price_of_nodes = _SpelledPrice

    def simplified(self, border: _Border, items: list[Any]) -> list[Any] | None:
        """The cheapest expressions; None if a check failed."""
        self.given = {**border.ranges(), **self.given}
        refs = self.load("terms", self.before)
        del self.seeds["terms"]
        self._enter(border, refs, "original", items)
        for name, definitions, values in _known_forms(items):
            self._enter(border, refs, name, values, definitions)
        self.rewrite()
        self.plan()
        found = self.choose(refs)
        wrong = self.check(found)
        if wrong:
            return None
        assert self.extraction is not None
        self.after = found
        reader = self.reader()
        order = reader.order([r >> 1 for r in self.roots])
        left = border.leave(self.space, self.extraction.choice, order)
        return [border._signed(_sympy(), left[r >> 1], r & 1) for r in self.roots]

    def _enter(self, border: _Border, refs: Sequence[int], name: str, items: Sequence[Any], definitions: Sequence[Any] = ()) -> None:
        space = self.space
        space.trace = []
        entered = border.load(space, items, definitions)
        self.seeds[name], space.trace = space.trace, None
        for a, b in zip(refs, entered, strict=True):
            space.union(a, b)
        space.rebuild()


def _sympy() -> Any:
    import sympy

    return sympy


def _known_forms(items: list[Any]) -> list[tuple[str, list[Any], list[Any]]]:
    """(name, definitions, values): common subexpressions of the expressions as they are, factored, and nested (Horner)."""
    import sympy

    def factored(e: Any) -> Any:
        return sympy.factor(e) if len(e.args) <= FACTORED_UP_TO[0] and len(e.free_symbols) <= FACTORED_UP_TO[1] else e

    forms = [("cse", *sympy.cse(items))]
    if sum(len(e.args) for e in items) <= NESTED_UP_TO:
        for name, transform in (("factored", factored), ("horner", sympy.horner)):
            try:
                forms.append((name, *sympy.cse([transform(e) for e in items])))
            except (sympy.PolynomialError, NotImplementedError, ValueError, AttributeError, TypeError):
                continue  # not a polynomial: SymPy has no such form
    return [(name, list(definitions), list(values)) for name, definitions, values in forms]
