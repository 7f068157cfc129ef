"""Which terms get storage and which are recomputed inside the loops of their users.

A term is stored when it must be (a result, a sum or reduction, an argument of a loop or library call), when one set of loops
would evaluate it at several points and that costs more than a store and loads or the term says so (`group`), or when several
nests need it. Everything else is inlined. Costs count floating-point operations; a load counts as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ricci.dsl.index import Ranges
from ricci.dsl.ops import contract
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Term
from ricci.dsl.types import Size, TupleType
from ricci.lowering.schedule.pull import Point, Puller, identity, point, summand

STORE_AND_LOAD = 8  # operations that one store, later loads and the memory they move are worth
MANY_POINTS = 24
_FUNCTION_COST = {"recip": 4, "sqrt": 4, "div": 4, "mod": 4, "where": 1, "group": 0}
_CHEAP = frozenset(
    {"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "abs", "min2", "max2", "re", "im", "conj", "floor", "ceil", "sign"}
)
STRUCTURES = frozenset({"iterate", "scan", "library", "random", "product"})


def is_structure(term: Term) -> bool:
    """Terms that are steps of their own: loops and calls."""
    return term.op in STRUCTURES or (term.op == "reduce" and term.attrs[0] in ("argmax", "argmin"))


def is_leaf(term: Term) -> bool:
    """Terms whose value exists before any nest of the block, or is a component of a structure."""
    if term.op == "proj":
        return is_structure(term.args[0])
    return term.op in ("symbol", "const") or (is_structure(term) and not isinstance(term.type, TupleType))


def is_sum(term: Term) -> bool:
    """Contractions over bound axes and reductions: they need loops of their own."""
    return (term.op == "contract" and bool(contract.contraction_of(term).bound)) or term.op == "reduce"


def loops_of(term: Term) -> dict[str, Size]:
    """Axes that the loops computing a stored term run over, with sizes: its own, then the bound ones."""
    loops = dict(term.axes)
    if term.op == "contract":
        loops.update(summand(term)[1])
    elif term.op == "reduce":
        loops.update((axis, size) for axis, size in term.args[0].axes.items() if axis not in loops)
    elif term.op == "scatter":
        loops = {axis: size for a in term.args for axis, size in a.axes.items()}
    return loops


def body_points(term: Term) -> list[Point]:
    """The points that one turn of the loops of a stored term or a scalar reads first."""
    if term.op == "contract" and contract.contraction_of(term).bound:
        return [point(factor, at) for factor, at in summand(term)[0]]
    if term.op in ("reduce", "scatter"):
        return [identity(a) for a in term.args]
    return [identity(term)]


def own_cost(term: Term) -> int:
    """Operations that the term adds to those of its arguments, per element."""
    if term.op == "linear":
        return len(term.args)
    if term.op == "contract":
        return max(1, len(term.args) - 1)
    if term.op == "reindex":
        return 6 if pull_of(term).guards else 0
    if term.op in ("symbol", "proj"):
        return 1
    if term.op == "map":
        name = str(term.attrs[0] if isinstance(term.attrs, tuple) else term.attrs)
        return _FUNCTION_COST.get(name, 1 if name in _CHEAP else 10)
    return {"const": 0, "iota": 1, "cast": 1, "gather": 4}.get(term.op, 10)


@dataclass
class Usage:
    """Where a block evaluates its terms: for every term, the points at which each stored root (or scalar) needs it."""

    stored: set[Term]
    points: dict[Term, dict[Term, dict[Point, None]]] = field(default_factory=dict)


def demanded(roots: Iterable[Term], order: Sequence[Term]) -> set[Term]:
    """Array terms that must be stored: results, sums, scatters and what structures take as arguments."""
    must = {t for t in roots if not isinstance(t.type, TupleType) and t.axes and not is_leaf(t)}
    for term in order:
        if isinstance(term.type, TupleType) or is_structure(term):
            must.update(a for a in term.args if not isinstance(a.type, TupleType) and a.axes and not is_leaf(a))
        elif term.axes and (is_sum(term) or term.op == "scatter"):
            must.add(term)
    return must


def usage(order: Sequence[Term], must: set[Term]) -> Usage:
    """Stored terms (at least `must`) and the points of all others, users before what they use."""
    costs = inline_costs(order, must)
    guarded = guarded_terms(order, must)
    once = guarded | placed_terms(order)
    found = Usage(set(must))
    for term in reversed(order):
        if isinstance(term.type, TupleType) or is_structure(term) or term.op in ("symbol", "const"):
            continue
        if not term.axes or is_leaf(term):
            _spread(found, term, [(term, p) for p in body_points(term)])
            continue
        points = found.points.get(term, {})
        if term not in found.stored and (_shared(term, points) or _worth_storing(points, costs[term], term in guarded, term in once)):
            found.stored.add(term)
        if term in found.stored:
            found.stored.update(_inside(term))
            _spread(found, term, [(term, p) for p in body_points(term)])
        else:
            _spread(found, term, [(root, p) for root, points in found.points.get(term, {}).items() for p in points])
    return found


def _inside(term: Term) -> list[Term]:
    """The fields that a stored extended field is a copy of in its bulk: stored themselves, so that it can lie around them."""
    pulls = [a for a in (term, *(term.args if term.op == "linear" else ())) if a.op == "reindex" and pull_of(a).guards]
    fields = [pull.args[0] for pull in pulls]
    return [t for t in fields if t.op in ("linear", "contract", "map") and len(t.axes) == len(term.axes)]


def _spread(found: Usage, term: Term, reached: Sequence[tuple[Term, Point]]) -> None:
    """Record the arguments of points of `term`; the first points of a root are recorded themselves."""
    for root, at in reached:
        if root is term and at.term is not term:
            found.points.setdefault(at.term, {}).setdefault(root, {})[at] = None
            continue
        if is_leaf(at.term):
            continue
        for argument in Puller(ranges_of(root), is_leaf).arguments(at).points:
            found.points.setdefault(argument.term, {}).setdefault(root, {})[argument] = None


@lru_cache(maxsize=4096)
def ranges_of(root: Term) -> Ranges:
    """Ranges of the loops in which a term is computed."""
    return Ranges.of(loops_of(root))


def _worth_storing(points: Mapping[Term, Mapping[Point, None]], cost: int, guarded: bool, once: bool) -> bool:
    """`guarded`: several points multiply regions; `once`: an outer loop that the value lacks is cut to few turns anyway."""
    for reached in points.values():
        full = {p.index for p in reached if all(e.terms for e in p.index)}
        if len(full) > MANY_POINTS or (len(full) > 1 and (guarded or cost * (len(full) - 1) > STORE_AND_LOAD + 4)):
            return True
    return cost > 4 and not once and _repeats(points)


def _shared(term: Term, points: Mapping[Term, Mapping[Point, None]]) -> bool:
    """Whether a value that is to be computed once (`group`) is needed at several points of one set of loops."""
    if term.op != "map" or term.attrs != ("group",):
        return False
    return any(len({p.index for p in reached}) > 1 for reached in points.values())


def _repeats(points: Mapping[Term, Mapping[Point, None]]) -> bool:
    """Whether some loop outside all that a point depends on would compute its value again at every turn."""
    for root, reached in points.items():
        loops = list(loops_of(root))
        for p in reached:
            used = frozenset().union(*(e.axes for e in p.index)) & set(loops)
            if used and any(axis not in used for axis in loops[: max(loops.index(axis) for axis in used)]):
                return True
    return False


def inline_costs(order: Sequence[Term], stored: set[Term]) -> dict[Term, int]:
    """Operations to compute each term anew from stored ones."""
    costs: dict[Term, int] = {}
    for term in order:
        inside = sum(1 if a in stored or is_leaf(a) or not _axes(a) else costs[a] for a in term.args)
        costs[term] = min(own_cost(term) + inside, 1 << 20)
    return costs


def _axes(term: Term) -> bool:
    return not isinstance(term.type, TupleType) and bool(term.axes)


def guarded_terms(order: Sequence[Term], stored: set[Term]) -> set[Term]:
    """Terms whose inlined form holds a guard: evaluating them at several points multiplies regions."""
    found: set[Term] = set()
    for term in order:
        if (term.op == "reindex" and pull_of(term).guards) or any(a in found and a not in stored for a in term.args):
            found.add(term)
    return found


def placed_terms(order: Sequence[Term]) -> set[Term]:
    """Terms that only stand beside an indicator in products (`[x == 0] * t`): needed in few rows of the loops around them."""
    outside: set[Term] = set()
    placed: set[Term] = set()
    for term in reversed(order):
        shelter = term in placed and term not in outside
        shelter = shelter or (term.op == "contract" and any(_is_indicator(a) for a in term.args))
        for a in term.args:
            (placed if shelter else outside).add(a)
    return placed - outside


def _is_indicator(term: Term) -> bool:
    return term.op == "reindex" and term.args[0].op == "const" and bool(pull_of(term).guards)


def shared_between(
    points: Mapping[Term, Mapping[Term, Mapping[Point, None]]], order: Sequence[Term], stored: set[Term], nest: Mapping[Term, int]
) -> set[Term]:
    """Inlined terms, outermost first, that roots in different nests compute anew at a cost above storing them."""
    costs = inline_costs(order, stored)
    chosen: set[Term] = set()
    covered: set[Term] = set()
    for term in reversed(order):
        if term in covered or term in stored:
            covered.update(term.args if term in covered and term not in stored else ())
            continue
        if not _axes(term) or is_leaf(term) or term.op == "reindex":
            continue
        where = {nest[root] for root in points.get(term, {}) if root in nest and root.axes}
        where |= {nest[root] for root in points.get(term, {}) if root in nest and is_sum(root)}
        if len(where) > 1 and costs[term] >= STORE_AND_LOAD:
            chosen.add(term)
            covered.update(term.args)
    return chosen
