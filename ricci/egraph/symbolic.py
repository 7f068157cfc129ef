"""`simplify`: the optimizer on bare expressions, SymPy's or terms, for use as a library.

SymPy stays at the border: expressions enter the space node by node as they are written, its factored, nested and
common-subexpression forms enter as starting points, and what is chosen leaves as unevaluated expressions whose structure is the
computation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb, prod
from typing import Any

from ricci import cost as costs
from ricci import defects
from ricci.cost import Price
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.term import Term, walk
from ricci.egraph.analyses import Range
from ricci.egraph.border import SPELLED, Border, Form, each, parts_of, postorder, range_of
from ricci.egraph.explain import FunctionReport
from ricci.egraph.optimize import LEVELS, MOST_TERMS, Level, Optimization, said
from ricci.egraph.pricing import NOTHING, NodePrice
from ricci.egraph.space import Node
from ricci.egraph.structure import WORDS, Facts, facts_of_word
from ricci.egraph.verify import mismatch
from ricci.errors import Diagnostic, RicciError, UnsoundRule

FACTORED_UP_TO = 12  # symbols of an expression that SymPy is asked to factor
EXPANDED_UP_TO = 80  # monomials of it, multiplied out
NESTED_UP_TO = 200  # summands of all expressions together that SymPy is asked to nest
COUNTED_UP_TO = 10_000  # monomials
EVEN_SCORE = 1024  # what a unit of cost weighs against an operator more or less


def simplify(expressions: Any, cost: str = "ops", given: Mapping[Any, Any] | None = None, level: int = 2) -> Any:
    """Cheapest equal form found, of one expression, a list, a tuple or a matrix of them; returned as the same kind.

    expressions  SymPy expressions or terms, computed together: what they share is paid once
    cost         "ops" scalar operations, "time" predicted seconds, "size" number of operators
    given        what is known of symbols or subexpressions: {x: "positive" | "nonnegative" | "nonzero" | "real" | .. | (lo, hi)}; of
                 symbols that are square matrices also "symmetric", "orthogonal", "diagonal", "lower", "upper", "circulant";
                 several facts of one term are a list
    Expressions come back as they are where nothing cheaper is found; nothing is assumed that is not given. SymPy expressions follow
    SymPy's own algebra of rational functions, which cancels common factors without asking whether they can be zero; terms keep them
    until they are known not to be. What does not commute is left as it is. Texts are refused: nothing is evaluated.
    """
    found, report = simplify_and_explain(expressions, cost, given, level)
    for diagnostic in report.diagnostics:
        warnings.warn(diagnostic.render(), stacklevel=2)
    return found


def simplify_and_explain(
    expressions: Any, cost: str = "ops", given: Mapping[Any, Any] | None = None, level: int = 2
) -> tuple[Any, FunctionReport]:
    """As `simplify`, with the report of what was considered and done."""
    if cost not in costs.PRICES:
        raise RicciError("E0904", f"a cost is one of {', '.join(costs.PRICES)}, not `{cost}`")
    if level not in (1, *LEVELS):
        raise RicciError("E0904", f"a level is 1, 2 or 3, not {level}")
    items, rebuild = _opened(expressions)
    names = [str(i) for i in range(len(items))]
    known = dict(given or {})
    work = _simplified_terms
    terms = bool(items) and all(isinstance(e, Term) for e in items)
    if not terms:
        items, keys, work = _sympy_expressions(items), _sympy_expressions(known), _simplified_sympy
        known = dict(zip(keys, known.values(), strict=True))
    parts = len(walk(items)) if terms else len(_parts(items))
    if parts > MOST_TERMS:
        told = f"the expressions are not simplified: they have {parts} parts, at most {MOST_TERMS} are looked at"
        return expressions, FunctionReport("expressions", (), (), (), Price(cost), {}, diagnostics=[Diagnostic("W0603", told)])
    try:
        found, run = work(items, Price(cost), LEVELS[max(level, 2)], known)
    except Exception as error:
        if isinstance(error, RicciError) and not isinstance(error, UnsoundRule):
            raise
        remark = defects.write(error, {"expressions": _shown(items), "given": str(known)})
        failed = Diagnostic("W0902", "the expressions are not simplified: the optimizer failed", notes=(said(error), remark))
        return expressions, FunctionReport("expressions", (), (), (), Price(cost), {}, diagnostics=[failed])
    return rebuild(found), run.report("expressions", names)


def _simplified_terms(items: list[Term], price: Price, level: Level, given: Mapping[Any, Any]) -> tuple[list[Term], Optimization]:
    ranges: dict[Term, Range] = {}
    facts: dict[Term, Facts] = {}
    for t, words in given.items():
        if not isinstance(t, Term):
            raise RicciError("E0904", f"`given` speaks of {t!r}, which is no term, as the expressions are")
        for fact in each(words):
            if fact in WORDS:
                facts[t] = facts.get(t, Facts()).meet(_facts_of(t, fact))
            else:
                ranges[t] = ranges.get(t, Range()).meet(range_of(t, fact))
    for t in facts.keys() & ranges.keys():
        if facts[t].bands and ranges[t].excludes_zero:
            raise RicciError("E0904", f"`{t}` cannot be zero and have zeros beside its diagonal")
    run = Optimization(items, level, price, {}, ranges, facts=facts)
    return run.result(), run


def _facts_of(t: Term, word: str) -> Facts:
    """What a word says of a matrix; E0904 for what is none."""
    found = facts_of_word(t, word)
    if found is None:
        what = "a real matrix" if word == "orthogonal" else "a matrix"
        raise RicciError("E0904", f"`{t}` is given as {word!r}: it is no symbol with two axes of one size, {what}")
    return found


def _simplified_sympy(items: list[Any], price: Price, level: Level, given: Mapping[Any, Any]) -> tuple[list[Any], Optimization]:
    _refuse_namesakes(items, list(given))
    border = Border.of(items, given)
    run = _SymbolicOptimization([border.term(e) for e in items], level, price, {})
    return run.simplified(border, items), run


def _sympy_expressions(values: Iterable[Any]) -> list[Any]:
    """SymPy expressions of numbers and expressions; TypeError for anything else: SymPy would run texts."""
    import sympy

    found = []
    for e in values:
        try:
            found.append(sympy.sympify(e, strict=True))
        except (sympy.SympifyError, AttributeError, TypeError, ValueError):
            found.append(None)
        if not isinstance(found[-1], sympy.Expr):
            raise TypeError(f"simplify takes SymPy expressions or terms of ricci, not {type(e).__name__}")
    return found


def _shown(items: Sequence[Any]) -> str:
    """The expressions, a line each; what SymPy cannot print, because it is too deep, is only counted."""
    try:
        return "\n".join(map(str, items))
    except RecursionError:
        return f"{len(items)} expressions of {len(_parts(items))} parts"


def _parts(items: Sequence[Any]) -> dict[Any, None]:
    """Distinct subexpressions of SymPy's."""
    seen: dict[Any, None] = {}
    for e in items:
        seen |= dict.fromkeys(postorder(e, seen))
    return seen


def _refuse_namesakes(items: Sequence[Any], given: Sequence[Any]) -> None:
    """E0904 for what is said of a symbol that only has the name of one in the expressions."""
    present = {s for s in _parts(items) if s.is_Symbol}
    by_name = {s.name: s for s in present}
    for key in given:
        for s in key.free_symbols - present:
            if s.is_Symbol and s.name in by_name:
                raise RicciError("E0904", f"`given` speaks of another symbol `{s}` than the expressions: their assumptions differ")


def _opened(expressions: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The expressions as a list, and how to put a list back into what they came in."""
    if isinstance(expressions, list | tuple):
        kind = type(expressions)
        return list(expressions), lambda new: kind(new)
    if not isinstance(expressions, Term):
        import sympy

        if isinstance(expressions, sympy.MatrixBase):
            rows, columns = expressions.shape
            return list(expressions), lambda new: expressions._new(rows, columns, new)
    return [expressions], lambda new: new[0]


class _SpelledPrice(NodePrice):
    """Only functions that SymPy has; among equal costs, fewer operators, and those of the source."""

    def __call__(self, c: int, node: Node) -> int | None:
        if node.op in SCALARS and node.op not in SPELLED:
            return None
        found = super().__call__(c, node)
        if found is None:
            return None
        return found * EVEN_SCORE + 2 * (node.op not in NOTHING and node.op != "scale") + (node not in self.space.written)


class _SymbolicOptimization(Optimization):
    """An optimization whose source and starting points are SymPy expressions."""

    price_of_nodes = _SpelledPrice

    def simplified(self, border: Border, items: list[Any]) -> list[Any]:
        """The cheapest expressions; the given ones where nothing is cheaper or a check fails."""
        space = self.space
        self.given.update(border.facts())
        refs = self.load("terms", self.before)
        del self.seeds["terms"]
        space.trace = []
        self._entered("original", refs, border.load(space, items))
        for form in _known_forms(border, items):
            with border.within(form) as values:  # SymPy mistakes some unevaluated expressions for others
                if values is not None and mismatch(self.before, values, self.known, self.given) is None:
                    space.trace = []
                    with space.by("seeds", form.name):
                        self._entered(form.name, refs, border.load_form(space, form))
        self.rewrite()
        self.plan()
        self.tell_refused()
        found = self.choose(refs)
        assert self.extraction is not None
        order = self.reader().order([r >> 1 for r in self.roots])
        left = border.leave(space, self.extraction.choice, order, self.roots)
        if self._score(found, left) >= self._score(self.before, items) or self.check(found):
            return items
        self.after = found
        return left

    def _score(self, terms: Sequence[Term], written: Sequence[Any]) -> tuple[float, int, int]:
        """What terms cost, operations as they are written, and the number of distinct subexpressions of that."""
        operations, distinct = written_operations(written)
        return (operations if self.price.kind == "ops" else self._cost(terms), operations, distinct)

    def _entered(self, name: str, refs: Sequence[int], entered: Sequence[int]) -> None:
        """Note a form that is in the space as a starting point."""
        trace, self.space.trace = self.space.trace, None
        self.seeds[name] = trace or []
        for a, b in zip(refs, entered, strict=True):
            self.space.union(a, b)
        self.space.rebuild()


def _known_forms(border: Border, items: list[Any]) -> list[Form]:
    """Common subexpressions of the expressions as they are, factored, and nested (Horner)."""
    import sympy

    parts = {e: sympy.Dummy() for e in parts_of(border, items)}
    plain = [e.xreplace(parts) for e in items] if parts else items
    names = {dummy: e for e, dummy in parts.items()}

    def factored(e: Any) -> Any:
        return sympy.factor(e) if len(e.free_symbols) <= FACTORED_UP_TO and expanded_size(e) <= EXPANDED_UP_TO else e

    forms = [Form("cse", names, *sympy.cse(plain))]
    if sum(map(expanded_size, plain)) <= NESTED_UP_TO:
        for name, transform in (("factored", factored), ("horner", sympy.horner)):
            try:
                forms.append(Form(name, names, *sympy.cse([transform(e) for e in plain])))
            except (sympy.PolynomialError, NotImplementedError, ValueError, AttributeError, TypeError):
                continue  # not a polynomial: SymPy has no such form
    return forms


def written_operations(expressions: Sequence[Any]) -> tuple[int, int]:
    """Scalar operations of expressions as they are written, repeated parts paid once and signs free; and their distinct parts."""
    total, distinct = 0, 0
    for e in _parts(expressions):
        distinct += not e.is_Atom
        if e.is_Add:
            total += len(e.args) - 1
        elif e.is_Mul:
            total += max(sum(a != -1 for a in e.args) - 1, 0)
        elif e.is_Pow and e.exp.is_Integer and e.exp != -1:
            k = abs(int(e.exp))
            total += k.bit_length() + k.bit_count() - 2 + (int(e.exp) < 0)
        else:
            total += not e.is_Atom
    return total, distinct


def expanded_size(e: Any) -> int:
    """How many monomials the expression has when it is multiplied out, up to a bound."""
    sizes: dict[Any, int] = {}
    for part in postorder(e):
        inner = [sizes[a] for a in part.args]
        if part.is_Add:
            size = sum(inner)
        elif part.is_Mul:
            size = prod(inner)
        elif part.is_Pow and part.exp.is_Integer:
            k = min(abs(int(part.exp)), COUNTED_UP_TO)
            size = comb(inner[0] + k - 1, k)
        else:
            size = 1
        sizes[part] = min(size, COUNTED_UP_TO)
    return sizes[e]
