"""map: a scalar function applied pointwise, arguments combined by axis name. Attributes: (name,). Functions: `functions.py`.

Normal form: broadcasts and common renames of the arguments float outwards, so does an index map under a function of one
argument when the function of the fill is exact; casts that only embed are dropped; constants fold where the value is rational;
arguments of commutative functions are sorted; signs leave even and odd functions; conj moves inwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ricci.dsl import build
from ricci.dsl.ops import base, const, contract, linear, pointwise, reindex
from ricci.dsl.ops.directional import RULES
from ricci.dsl.ops.functions import SCALARS, Interval, Scalar
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, TupleType, Type

EMBEDS_COMPLEX = frozenset({"where", "eq", "ne"})
LARGEST_EXPONENT = 64


def scalar_of(term: Term) -> Scalar:
    """The function of a map."""
    return SCALARS[term.attrs[0]]


def make_map(name: str, args: Sequence[Term]) -> Term:
    """f(args) pointwise in normal form; axes are the union, the kind is by the function's rule."""
    function = SCALARS.get(name)
    if function is None:
        raise TermError(f"no scalar function {name}")
    kind = _kind(function, args)
    axes = pointwise.union(args)
    largest = Kind.COMPLEX if name in EMBEDS_COMPLEX else Kind.REAL
    inner = [pointwise.uncast(pointwise.unexpanded(a), largest) for a in args]
    return build.conform(_normal(function, inner), Type(kind, axes))


def _kind(function: Scalar, args: Sequence[Term]) -> Kind:
    if len(args) != function.arity:
        raise TermError(f"{function.name} takes {function.arity} arguments, not {len(args)}")
    if any(isinstance(a.type, TupleType) for a in args):
        raise TermError(f"{function.name} takes arrays, not tuples")
    try:
        return function.kinds([a.kind for a in args])
    except TermError as error:
        raise TermError(f"{function.name} {error}") from None


def _normal(function: Scalar, args: list[Term]) -> Term:
    """Rules in order: simplification, constants, signs, order of arguments, index maps."""
    simplify = SIMPLIFICATIONS.get(function.name)
    simple = None if simplify is None else simplify(args)
    if simple is None:
        simple = _folded(function, args)
    if simple is None and function.arity == 1 and not function.facts.isdisjoint(("even", "odd")) and linear.is_negative(args[0]):
        positive = make_map(function.name, [linear.make_linear([(-1, args[0])])])
        simple = positive if "even" in function.facts else linear.make_linear([(-1, positive)])
    if simple is not None:
        return simple
    if "commutative" in function.facts:
        args = sorted(args, key=lambda a: a.digest)
        if "idempotent" in function.facts and args[0] is args[1]:
            return args[0]
    if function.arity == 1 and args[0].op == "reindex":
        return _under_pulls(function, args[0])
    pulled = pointwise.common_rename(args)
    if pulled is not None:
        return pointwise.renamed(make_map(function.name, pulled[0]), pulled[1])
    return base.node("map", tuple(args), (function.name,))


def _folded(function: Scalar, args: Sequence[Term]) -> Term | None:
    """The constant, if all arguments are constants and the value is rational."""
    if function.exact is None:
        return None
    values = [const.value_of(a) for a in args]
    if any(v is None for v in values):
        return None
    value = function.exact(*values)
    if value is None:
        return None
    kind = _kind(function, args)
    if isinstance(value, float) and kind < Kind.REAL:
        return None
    return const.make_const(value, kind)


def _under_pulls(function: Scalar, t: Term) -> Term:
    """f(u[index else c]) = f(u)[index else f(c)] through all index maps at the root of t that allow it."""
    pulls: list[tuple[Term, const.Number | None]] = []
    while t.op == "reindex":
        pull = reindex.pull_of(t)
        fill: const.Number | None = None
        if pull.fill is not None:
            value = None if function.exact is None else function.exact(pull.fill)
            if value is None or t.kind == Kind.COMPLEX:
                break
            fill = value
        pulls.append((t, fill))
        t = t.args[0]
    result = make_map(function.name, [t]) if pulls else base.node("map", (t,), (function.name,))
    for outer, fill in reversed(pulls):
        pull = reindex.pull_of(outer)
        result = reindex.assemble(result, outer.axes, dict(pull.index), pull.guards, fill)
    return result


# simplifications of single functions: args -> term or None


def _recip(args: Sequence[Term]) -> Term | None:
    (t,) = args
    if t.op == "map" and t.attrs == ("recip",):
        return t.args[0]
    c, core = linear.primitive(t)
    return None if c == 1 or core.op == "const" else linear.make_linear([(1 / c, make_map("recip", [core]))])


def _abs(args: Sequence[Term]) -> Term | None:
    (t,) = args
    c, core = linear.primitive(t)
    return None if c == 1 or core.op == "const" else linear.make_linear([(abs(c), make_map("abs", [core]))])


def _homogeneous(name: str) -> Callable[[Sequence[Term]], Term | None]:
    """Real and imaginary part: of real numbers, of a multiple, of a complex number from its parts."""

    def simplify(args: Sequence[Term]) -> Term | None:
        (t,) = args
        if t.kind < Kind.COMPLEX:
            return t if name == "re" else const.make_const(0)
        if t.op == "cast":
            return t.args[0] if name == "re" else const.make_const(0)
        if t.op == "const":
            return const.make_const(t.attrs[0], Kind.REAL) if name == "re" else const.make_const(0)
        if t.op == "map" and t.attrs == ("complex",):
            return t.args[0 if name == "re" else 1]
        c, core = linear.primitive(t)
        return None if c == 1 else linear.make_linear([(c, make_map(name, [core]))])

    return simplify


def _not(args: Sequence[Term]) -> Term | None:
    (t,) = args
    return t.args[0] if t.op == "map" and t.attrs == ("not",) else None


def _swap(name: str) -> Callable[[Sequence[Term]], Term | None]:
    return lambda args: make_map(name, [args[1], args[0]])


def _logic(neutral: int, absorbing: int) -> Callable[[Sequence[Term]], Term | None]:
    def simplify(args: Sequence[Term]) -> Term | None:
        for t, other in (args, args[::-1]):
            value = const.value_of(t)
            if value == neutral:
                return other
            if value == absorbing:
                return t
        return None

    return simplify


def _where(args: Sequence[Term]) -> Term | None:
    condition, a, b = args
    value = const.value_of(condition)
    if value is not None:
        return a if value else b
    if a is b:
        return a
    if condition.op == "map" and condition.attrs == ("not",):
        return make_map("where", [condition.args[0], b, a])
    return None


def _pow(args: Sequence[Term]) -> Term | None:
    """Integer exponents up to 64 are products; half ones have a square root as a factor."""
    t, exponent = args
    p = const.value_of(exponent)
    if not isinstance(p, Fraction) or abs(p) > LARGEST_EXPONENT or p.denominator > 2:
        return None
    if p < 0 and p.denominator == 1:
        return make_map("pow", [make_map("recip", [t]), const.make_const(-p)])
    if p < 0:
        return make_map("recip", [make_map("pow", [t, const.make_const(-p)])])
    root = [make_map("sqrt", [t])] if p.denominator == 2 else []
    return contract.multiply([t] * int(p) + root)


def _whole(args: Sequence[Term]) -> Term | None:
    """floor, ceil, round and sign-keeping functions of an int."""
    return args[0] if args[0].kind == Kind.INT else None


def _complex(args: Sequence[Term]) -> Term | None:
    if const.value_of(args[1]) == 0:
        from ricci.dsl.ops.cast import make_cast

        return make_cast(args[0], Kind.COMPLEX)
    return None


def _abs2(args: Sequence[Term]) -> Term | None:
    (t,) = args
    return contract.multiply([t, t]) if t.kind < Kind.COMPLEX else None


SIMPLIFICATIONS: dict[str, Callable[[Sequence[Term]], Term | None]] = {
    "recip": _recip,
    "abs": _abs,
    "re": _homogeneous("re"),
    "im": _homogeneous("im"),
    "conj": lambda args: conjugate(args[0]),
    "not": _not,
    "gt": _swap("lt"),
    "ge": _swap("le"),
    "and": _logic(neutral=1, absorbing=0),
    "or": _logic(neutral=0, absorbing=1),
    "where": _where,
    "pow": _pow,
    "floor": _whole,
    "ceil": _whole,
    "round": _whole,
    "complex": _complex,
    "abs2": _abs2,
}


# complex conjugation and real part


def conjugate(t: Term) -> Term:
    """conj(t), moved inwards through sums, products, index maps, choices and functions with f(conj z) = conj f(z)."""
    if t.kind < Kind.COMPLEX:
        return t
    done: dict[Term, Term] = {}
    stack = [(t, False)]
    while stack:
        term, ready = stack.pop()
        if term in done:
            continue
        if term.kind < Kind.COMPLEX or not _conj_moves_in(term):
            done[term] = _conj_leaf(term)
        elif ready:
            done[term] = base.OPERATORS[term.op].rebuild(term, tuple([done[a] for a in term.args]))
        else:
            stack.append((term, True))
            stack.extend([(a, False) for a in term.args])
    return done[t]


def _conj_moves_in(t: Term) -> bool:
    if t.op in ("linear", "contract", "reindex"):
        return True
    return t.op == "map" and (t.attrs == ("where",) or "analytic" in scalar_of(t).facts)


def _conj_leaf(t: Term) -> Term:
    if t.kind < Kind.COMPLEX or t.op in ("const", "cast"):
        return t
    if t.op == "symbol" and name_of(t) == "im":
        return linear.make_linear([(-1, t)])
    if t.op == "map" and t.attrs == ("conj",):
        return t.args[0]
    if t.op == "map" and t.attrs == ("complex",):
        return make_map("complex", [t.args[0], linear.make_linear([(-1, t.args[1])])])
    return base.node("map", (t,), ("conj",))


def real_part(t: Term) -> Term:
    """re(t)"""
    return make_map("re", [t])


# the operator


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    return Type(_kind(SCALARS[attrs[0]], args), pointwise.union(args))


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    import numpy as np

    views = [linear.aligned(value, t, term) for value, t in zip(args, term.args, strict=True)]
    with np.errstate(all="ignore"):
        value = scalar_of(term).numpy(*views)
    return np.asarray(value).astype(const.DTYPES[term.kind], copy=False)


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    function = scalar_of(term)
    rule = RULES.get(function.name)
    if rule is not None:
        total = rule.tangent(term.args, tangents, term)
        return None if total is None else build.conform(total, term.type)
    parts = []
    for partial, t in zip(function.partials, tangents, strict=True):
        factor = None if t is None else partial(*term.args, term)
        if t is not None and factor is not None:
            parts.append(contract.multiply([factor, t]))
    return build.conform(build.add(*parts), term.type) if parts else None


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    function = scalar_of(term)
    rule = RULES.get(function.name)
    if rule is not None:
        parts = list(rule.cotangent(term.args, g, term))
    else:
        parts = []
        for partial, a in zip(function.partials, term.args, strict=True):
            factor = partial(*term.args, term) if a.kind >= Kind.REAL else None
            parts.append(None if factor is None else contract.multiply([conjugate(factor), g]))
    return [None if p is None or a.kind < Kind.REAL else build.fit_cotangent(p, a) for p, a in zip(parts, term.args, strict=True)]


OPERATOR = base.define(
    base.Operator(
        name="map",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: make_map(term.attrs[0], args),
        tangent=_tangent,
        cotangent=_cotangent,
    )
)

__all__ = ["OPERATOR", "SCALARS", "Interval", "Scalar", "conjugate", "make_map", "real_part", "scalar_of"]
