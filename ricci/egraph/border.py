"""The border to SymPy: expressions as terms (what rules see), as nodes of a space (what was written), and back.

SymPy's symbols are complex numbers unless they are declared or given real, and its functions are complex ones: sqrt(x), log(x),
asin(x) of a real x are real only where x is known to lie in their domain. Everywhere else their arguments are taken as complex.
What has no operator here, or does not commute, is a symbol to us and comes back as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ricci.dsl import build
from ricci.dsl.term import Term, TermError, walk
from ricci.dsl.types import Kind, Type
from ricci.egraph.analyses import FACTS, Range, Ranges
from ricci.egraph.rational import Rational, tidy
from ricci.egraph.space import Node, Space
from ricci.egraph.terms import EVEN, ODD, Loader, new_space, stated
from ricci.errors import RicciError

SAME_NAME = (
    "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc",
    "gamma", "atan2", "sign", "floor", "re", "im", "arg",
)  # fmt: skip
OTHER_NAME = {"Abs": "abs", "ceiling": "ceil", "loggamma": "lgamma", "conjugate": "conj", "Max": "max2", "Min": "min2"}
FUNCTIONS = {**{name: name for name in SAME_NAME}, **OTHER_NAME}  # SymPy's name -> ours
BACK = {ours: theirs for theirs, ours in FUNCTIONS.items()}
SPELLED = frozenset(BACK) | {"recip", "sqrt", "pow"}
REAL_WHERE: dict[str, Callable[[Range], bool]] = {
    "sqrt": lambda r: r.nonnegative,
    "log": lambda r: r.positive,
    "pow": lambda r: r.positive,
    "asin": lambda r: r.lo >= -1 and r.hi <= 1,
    "acos": lambda r: r.lo >= -1 and r.hi <= 1,
    "acosh": lambda r: r.lo >= 1,
    "atanh": lambda r: r.lo > -1 and r.hi < 1,
    "lgamma": lambda r: r.positive,
}  # functions that are real on a part of the real line only: when a value is known to lie there
CUT = frozenset(REAL_WHERE) | {"asinh", "atan"}  # functions with a cut, where f(conj z) = conj f(z) fails
LARGEST_EXPONENT = 64
MOST_BITS = 4096  # a number of more bits is a symbol to us


@dataclass
class Border:
    """Translation of expressions that are computed together.

    given       what the user says of expressions
    complexes   real symbols that stand where a function may leave the real line: they are taken as complex numbers
    sealed      functions of constants, like log(-2), that are symbols to us
    """

    given: Mapping[Any, Any]
    complexes: frozenset[Any] = frozenset()
    sealed: frozenset[Any] = frozenset()
    symbols: dict[Any, Term] = field(default_factory=dict)
    names: dict[Term, Any] = field(default_factory=dict)
    defined: dict[Any, Term] = field(default_factory=dict)  # names that a form uses for its parts
    numbers: dict[Rational, Any] = field(default_factory=dict)  # numbers as they were written
    digits: int = 0  # of the most precise floating-point number
    terms: dict[Any, Term] = field(default_factory=dict)
    written: dict[Any, int] = field(default_factory=dict)  # references of the expressions of the source

    @classmethod
    def of(cls, items: Sequence[Any], given: Mapping[Any, Any]) -> Border:
        """The border of expressions, with their terms; what need not be complex or sealed is not."""
        complexes: frozenset[Any] = frozenset()
        sealed: frozenset[Any] = frozenset()
        while True:
            border = cls(given, complexes, sealed)
            for e in (*items, *given):
                border.term(e)
            more, constants = border._doubtful()
            if more <= complexes and constants <= sealed:
                return border
            complexes, sealed = complexes | more, sealed | constants

    def _doubtful(self) -> tuple[frozenset[Any], frozenset[Any]]:
        """Real symbols in arguments of functions that may leave the real line, and such functions of constants."""
        real = [e for e, term in self.terms.items() if term.kind < Kind.COMPLEX and term not in self.names]
        found = [(e, e.args[0]) for e in real if _name(e) in REAL_WHERE]
        loader = Loader(new_space())
        references = loader.load([self.terms[a] for _, a in found])
        ranges = Ranges(loader.space, stated(loader, self.facts())) if found else None
        complexes: set[Any] = set()
        sealed: set[Any] = set()
        for (e, _), ref in zip(found, references, strict=True):
            if ranges is not None and not REAL_WHERE[_name(e)](ranges.of(ref)):
                below = {s for s in postorder(e, (), self.is_leaf) if s in self.symbols and not s.is_number}
                complexes |= below
                if not below:
                    sealed.add(e)
        return frozenset(complexes), frozenset(sealed)

    # SymPy to terms: what the rules see

    def term(self, root: Any) -> Term:
        """The expression as a term; what has no operator of ours is a symbol."""
        for e in postorder(root, self.terms, self.is_leaf):
            if e not in self.terms:
                self.terms[e] = self.leaf(e) if self.is_leaf(e) else self._term(e, [self.terms[a] for a in e.args])
        return self.terms[root]

    def is_leaf(self, e: Any) -> bool:
        known = e.is_Add or e.is_Mul or e.is_Pow or type(e).__name__ in FUNCTIONS
        return bool(e.is_Atom or not e.is_commutative or e in self.sealed or not known)

    def _term(self, e: Any, args: list[Term]) -> Term:
        try:
            if e.is_Add:
                return build.add(*args)
            if e.is_Mul:
                return build.mul(*args)
            if e.is_Pow:
                exponent = self._number(e.exp) if e.exp.is_Rational else None
                return build.power(args[0], args[1] if exponent is None else Fraction(exponent))
            name = FUNCTIONS[type(e).__name__]
            if name in ("max2", "min2"):
                out = args[0]
                for a in args[1:]:
                    out = build.apply(name, out, a)
                return out
            if name == "conj" and args[0].kind == Kind.COMPLEX and any(t.op == "map" and t.attrs[0] in CUT for t in walk(args)):
                return self.opaque(e)
            return build.apply(name, *args)
        except TermError:
            return self.opaque(e)

    def leaf(self, e: Any) -> Term:
        """Numbers exactly; symbols real where SymPy or the user says so, else complex."""
        if e in self.defined:
            return self.defined[e]
        if type(e).__name__ in ("Infinity", "NegativeInfinity", "ComplexInfinity", "NaN"):
            raise RicciError("E0904", f"`{e}` is not a finite number")
        number = self._number(e) if e.is_Number else None
        if number is not None:
            return build.const(number, Kind.REAL if e.is_Float else None)
        if type(e).__name__ == "Pi":
            return self._named(e, build.pi())
        if type(e).__name__ == "ImaginaryUnit":
            return self._named(e, build.im())
        return self.opaque(e)

    def _number(self, e: Any) -> Rational | None:
        """The exact value of a number; None if it has too many digits to compute with."""
        if e.is_Float:
            _, mantissa, exponent, _ = e._mpf_
            if abs(exponent) > MOST_BITS:
                return None
            self.digits = max(self.digits, e._prec)
            size = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
            value = tidy(-size if e < 0 else size)
            self.numbers[value] = e
            return value
        p, q = int(e.p), int(e.q)
        if max(p.bit_length(), q.bit_length()) > MOST_BITS:
            return None
        value = tidy(Fraction(p, q))
        self.numbers.setdefault(value, e)
        return value

    def _named(self, e: Any, term: Term) -> Term:
        self.symbols[e] = term
        self.names[term] = e
        return term

    def opaque(self, e: Any) -> Term:
        """A symbol that stands for the expression."""
        if e not in self.symbols:
            constant = not e.is_Symbol and e.is_number  # SymPy would compute digits to tell whether it is real
            real = (
                e not in self.complexes
                and not constant
                and (e.is_extended_real or any(fact != "nonzero" for fact in each(self.given.get(e, []))))
            )
            self._named(e, build.symbol(f"s{len(self.symbols)}", Type(Kind.REAL if real else Kind.COMPLEX)))
        return self.symbols[e]

    def facts(self) -> dict[Term, Range]:
        """What the user and SymPy's assumptions say of terms."""
        out: dict[Term, Range] = {}
        for e, term in self.symbols.items():
            if e.is_Symbol:  # of anything else SymPy would compute digits to tell
                for fact in ("nonzero", "nonnegative", "nonpositive", "negative", "positive"):
                    if getattr(e, f"is_extended_{fact}"):
                        out[term] = FACTS[fact]
        for e, fact in self.given.items():
            term = self.terms[e]
            known = out.get(term, Range())
            for one in each(fact):
                known = known.meet(range_of(e, one))
            if known.empty:
                raise RicciError("E0904", f"`{e}` cannot be {fact!r}")
            out[term] = known
        return out

    # SymPy to the space: what was written, node by node

    def load(self, space: Space, roots: Sequence[Any]) -> list[int]:
        """References of the expressions as they were written."""
        self._load_into(space, roots, self.written)
        return [space.find(self.written[root]) for root in roots]

    @contextmanager
    def within(self, form: Form) -> Iterator[list[Term] | None]:
        """The values of another form of the expressions as terms, its names meaning what it defines; None if it needs new symbols."""
        terms, symbols = self.terms, len(self.symbols)
        self.terms = dict(terms)
        self.defined = {name: self.terms[e] for name, e in form.parts.items()}
        try:
            for symbol, value in form.definitions:
                self.defined[symbol] = self.term(value)
            values = [self.term(e) for e in form.values]
            yield values if len(self.symbols) == symbols else None  # they would be called by names that are the form's own
        finally:
            self.terms, self.defined = terms, {}
            for e in list(self.symbols)[symbols:]:
                del self.names[self.symbols.pop(e)]

    def load_form(self, space: Space, form: Form) -> list[int]:
        """References of the values of a form; `within` it."""
        done = {name: self.written[e] for name, e in form.parts.items()}
        for symbol, value in form.definitions:
            self._load_into(space, [value], done)
            done[symbol] = done[value]
        self._load_into(space, form.values, done)
        return [space.find(done[e]) for e in form.values]

    def _load_into(self, space: Space, roots: Sequence[Any], done: dict[Any, int]) -> None:
        for root in roots:
            for e in postorder(root, done, self.is_leaf):
                if e not in done:
                    done[e] = self._entered(space, e, [] if self.is_leaf(e) else [done[a] for a in e.args])

    def _entered(self, space: Space, e: Any, args: list[int]) -> int:
        term = self.term(e)
        if term in self.names:
            return space.leaf(term)
        if self.is_leaf(e):
            number = self._number(e)
            assert number is not None
            return space.number(number)
        if e.is_Add:
            return space.sum([(1, r) for r in args])
        if e.is_Mul:
            return space.product([(r, 1) for r in args])
        if e.is_Pow:
            return self._power(space, e, args)
        name = FUNCTIONS[type(e).__name__]
        if name in ("max2", "min2"):
            out = args[0]
            for r in args[1:]:
                out = space.apply(name, sorted([out, r]))
            return out
        return space.apply(name, args)

    def _power(self, space: Space, e: Any, args: list[int]) -> int:
        base, exponent = args
        p = int(e.exp.p) if e.exp.is_Rational and abs(e.exp.p) <= LARGEST_EXPONENT and e.exp.q <= 2 else None
        if p is None:
            return space.apply("pow", [base, exponent])
        if e.exp.is_Integer:
            out = space.product([(base, abs(p))]) if abs(p) != 1 else base
            return space.apply("recip", [out]) if p < 0 else out
        root = space.apply("sqrt", [base])
        if p == 1:
            return root
        value = space.product([(root, 1), *([(base, abs(p) // 2)] if abs(p) > 1 else [])])
        if p < 0:
            value = space.apply("recip", [value])
        return space.note(Node("pow", None, (space.find(base), space.find(exponent))), value)

    # the space to SymPy

    def leave(self, space: Space, choice: Mapping[int, Node], order: Sequence[int], roots: Sequence[int]) -> list[Any]:
        """Unevaluated expressions of the roots; what was in the source is written with the sign that it had there."""
        source: dict[int, int] = {}
        for ref in self.written.values():
            source.setdefault(space.find(ref) >> 1, space.find(ref) & 1)
        signs = Signs.of(space, choice, order, roots, source)
        out: dict[int, Any] = {}

        def value(ref: int) -> Any:
            """The expression of a class; a multiple that only sums need is not computed by itself."""
            c = space.find(ref) >> 1
            if c not in out:
                q, base = space.split(ref)
                out[c] = _product([self._spelled(-q if q < 0 else q), out[base >> 1]])
            return out[c]

        def signed(ref: int, negative: int) -> Any:
            return _signed(value(ref), negative, signs.both(space.find(ref) >> 1))

        for c in order:
            node = choice[c]
            outside, inside = signs.placed[c]
            args = [signed(r, s) for r, s in zip(node.children, inside, strict=True)]
            out[c] = _signed(self._left(node, args), outside)
        return [signed(r, s) for r, s in zip(roots, signs.roots, strict=True)]

    def _left(self, node: Node, args: list[Any]) -> Any:
        """The node's value from the expressions of its children."""
        import sympy

        op = node.op
        if op == "leaf":
            key = node.payload
            if isinstance(key, Term):
                return self.names[key]
            assert isinstance(key, tuple)
            return self._spelled(key[1])
        if op == "sum":
            return sympy.Add(*args, evaluate=False)
        if op == "scale":
            return _product([self._spelled(node.factor), *args])
        if op in ("product", "expand"):
            return _product(args)
        if op in ("power", "recip"):
            return sympy.Pow(args[0], -1 if op == "recip" else node.exponent, evaluate=False)
        if op == "sqrt":
            return sympy.Pow(args[0], sympy.Rational(1, 2), evaluate=False)
        function = sympy.Pow if op == "pow" else getattr(sympy, BACK[op])
        return function(*args, evaluate=False)

    def _spelled(self, q: Rational) -> Any:
        """A number as it was written; others exactly, or with digits where there were any."""
        import sympy

        for sign in (1, -1):
            if sign * q in self.numbers:
                return sign * self.numbers[tidy(sign * q)]
        exact = sympy.Rational(Fraction(q).numerator, Fraction(q).denominator)
        return sympy.Float(exact, precision=self.digits) if self.digits and not isinstance(q, int) else exact


@dataclass(frozen=True)
class Form:
    """A way to compute expressions: definitions (symbol, value) in order, then the values; `parts` names what stays as it is."""

    name: str
    parts: Mapping[Any, Any]
    definitions: Sequence[tuple[Any, Any]]
    values: Sequence[Any]


@dataclass
class Signs:
    """Which sign is written where, as the source has it or so that few are.

    classes  class -> 1 where its expression is its negative
    placed   class -> the sign in front of its chosen node, and those of the node's children
    asked    class -> the signs with which its expression is needed
    """

    classes: dict[int, int] = field(default_factory=dict)
    placed: dict[int, tuple[int, list[int]]] = field(default_factory=dict)
    asked: dict[int, set[int]] = field(default_factory=dict)
    roots: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, space: Space, choice: Mapping[int, Node], order: Sequence[int], roots: Sequence[int], source: Mapping[int, int]) -> Signs:
        """Signs of a choice; `source` has those of what was written. What is needed with both has the sign that leaves none inside."""
        first = cls()._chosen(space, choice, order, roots, source)
        both = [c for c in source if first.both(c)]
        if not both:
            return first
        return cls()._chosen(space, choice, order, roots, {c: s for c, s in source.items() if c not in both})

    def _chosen(
        self, space: Space, choice: Mapping[int, Node], order: Sequence[int], roots: Sequence[int], source: Mapping[int, int]
    ) -> Signs:
        for c in order:
            node = choice[c]
            refs = [space.find(r) for r in node.children]
            given = [self._of(space, r) for r in refs]
            sign = space.nodes[c][node]
            self.classes[c] = 0 if node.op == "leaf" else source.get(c, sign ^ _own_sign(node, given))
            self.placed[c] = _placed(node, given, sign ^ self.classes[c])
            for r, s in zip(refs, self.placed[c][1], strict=True):
                self.asked.setdefault(r >> 1, set()).add(s)
        for r in map(space.find, roots):
            self.roots.append(self._of(space, r))
            self.asked.setdefault(r >> 1, set()).add(self.roots[-1])
        return self

    def _of(self, space: Space, ref: int) -> int:
        """The sign of a value against the expression of its class."""
        c = ref >> 1
        if c not in self.classes:  # a multiple that only sums need: its expression is that of the base times a positive number
            q, base = space.split(2 * c)
            self.classes[c] = int(q < 0) ^ self.classes[base >> 1]
        return ref & 1 ^ self.classes[c]

    def both(self, c: int) -> bool:
        """Whether an expression is needed with both signs: it is computed once, its negative from it."""
        return len(self.asked.get(c, ())) == 2


def _placed(node: Node, signs: Sequence[int], negative: int) -> tuple[int, list[int]]:
    """Where the signs of a node's children, and of the node, are written: (in front of it, in front of its children)."""
    op = node.op
    if op == "sum":
        return 0, [s ^ negative for s in signs]
    if op in ("product", "scale", "expand"):
        return negative ^ (sum(signs) & 1), [0] * len(signs)
    if op == "power":
        return negative ^ (signs[0] & node.exponent & 1), [0]
    if op in ODD or op in EVEN:
        return negative ^ (signs[0] if op in ODD else 0), [0]
    return negative, list(signs)


def _own_sign(node: Node, signs: Sequence[int]) -> int:
    """The sign that comes out of a node whose children have these signs, so that none is left to write."""
    return int(2 * sum(signs) > len(signs)) if node.op == "sum" else _placed(node, signs, 0)[0]


def _product(factors: Sequence[Any]) -> Any:
    """Product of factors; numbers are multiplied."""
    import sympy

    numbers = [f for f in factors if f.is_Number]
    rest = [f for f in factors if not f.is_Number]
    number = sympy.prod(numbers, sympy.S.One)
    if not rest or number != 1:
        rest.insert(0, number)
    return rest[0] if len(rest) == 1 else sympy.Mul(*rest, evaluate=False)


def _signed(e: Any, negative: int, apart: bool = False) -> Any:
    """e or -e, its number negated if it has one in front; `apart` the sign stands before all of it."""
    import sympy

    if not negative:
        return e
    if e.is_Number:
        return -e
    if e.is_Mul and e.args[0].is_Number and not apart:
        return _product([-e.args[0], *e.args[1:]])
    return sympy.Mul(-1, e, evaluate=False)


def _name(e: Any) -> str:
    """Our name of the outermost function of an expression, or an empty text."""
    if e.is_Pow:
        return "" if e.exp.is_Integer else "sqrt" if e.exp.is_Rational and e.exp.q == 2 else "pow"
    return FUNCTIONS.get(type(e).__name__, "")


def each(facts: Any) -> list[Any]:
    """The facts that are given of one thing: several are a list."""
    return facts if isinstance(facts, list) else [facts]


def range_of(what: Any, fact: Any) -> Range:
    """What a word or an interval says."""
    if isinstance(fact, tuple) and len(fact) == 2:
        try:
            lo, hi = (float(v) for v in fact)
        except (TypeError, ValueError):
            lo, hi = 1.0, 0.0
        if not lo <= hi:
            raise RicciError("E0904", f"`{what}` is given in {fact!r}: an interval is (lo, hi) with numbers lo <= hi")
        return Range(lo, hi, nonzero=lo > 0 or hi < 0)
    if fact == "real":
        return Range()
    if not isinstance(fact, str) or fact not in FACTS:
        raise RicciError("E0904", f"`{what}` is given as {fact!r}; known are real, {', '.join(FACTS)} and (lo, hi)")
    return FACTS[fact]


def postorder(root: Any, known: Container[Any] = (), is_leaf: Callable[[Any], bool] = lambda e: False) -> list[Any]:
    """Distinct subexpressions, arguments first, without recursion; those in `known` and leaves are not opened."""
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
            if not is_leaf(e):
                stack.extend((a, False) for a in reversed(e.args))
    return order


def parts_of(border: Border, items: Sequence[Any]) -> dict[Any, Any]:
    """Subexpressions that SymPy's transformations need not look into, the largest ones: symbols to us, constants."""
    found: dict[Any, Any] = {}
    constant: dict[Any, bool] = {}
    for item in items:
        for e in postorder(item, constant, border.is_leaf):
            plain = e.is_Symbol or e.is_Rational or e.is_Float
            constant[e] = not e.is_Symbol and all(constant.get(a, False) for a in e.args)
            if not plain and (border.terms[e] in border.names or (constant[e] and not e.is_Atom)):
                found[e] = None
    return found
