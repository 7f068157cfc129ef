"""Derivatives of scalar functions that are no products with a partial derivative.

Choices (where, min2, max2, relu) select a tangent: a mask is never a factor, because 0 * inf is NaN. Functions of a complex
argument that are not complex differentiable use the pairing Re <g, y'> = Re sum conj(g) y'.
Each rule: tangent(args, tangents, y) and cotangent(args, g, y); where both branches of a maximum agree, each takes half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.term import Term
from ricci.dsl.types import Kind

HALF = Fraction(1, 2)
Tangents = Sequence[Term | None]


@dataclass(frozen=True)
class Rule:
    tangent: Callable[[Sequence[Term], Tangents, Term], Term | None]
    cotangent: Callable[[Sequence[Term], Term, Term], Tangents]


def _or_zero(t: Term | None) -> Term:
    return build.const(0) if t is None else t


def _recip_or_zero(t: Term) -> Term:
    """1/t, and 0 where t = 0."""
    zero = build.apply("eq", t, build.const(0))
    return build.where(zero, build.const(0), build.apply("recip", build.where(zero, build.const(1), t)))


def _where_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term | None:
    if tangents[1] is None and tangents[2] is None:
        return None
    return build.where(args[0], _or_zero(tangents[1]), _or_zero(tangents[2]))


def _where_cotangent(args: Sequence[Term], g: Term, y: Term) -> Tangents:
    return [None, build.where(args[0], g, build.const(0)), build.where(args[0], build.const(0), g)]


def _select(first: Term, second: Term, a: Term, b: Term) -> Term:
    """a where first < second, b where second < first, their mean where equal."""
    mean = build.scale(HALF, build.add(a, b))
    return build.where(build.apply("lt", first, second), a, build.where(build.apply("lt", second, first), b, mean))


def _min_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term:
    return _select(args[0], args[1], _or_zero(tangents[0]), _or_zero(tangents[1]))


def _min_cotangent(args: Sequence[Term], g: Term, y: Term) -> Tangents:
    zero = build.const(0)
    return [_select(args[0], args[1], g, zero), _select(args[0], args[1], zero, g)]


def _max_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term:
    return _select(args[1], args[0], _or_zero(tangents[0]), _or_zero(tangents[1]))


def _max_cotangent(args: Sequence[Term], g: Term, y: Term) -> Tangents:
    zero = build.const(0)
    return [_select(args[1], args[0], g, zero), _select(args[1], args[0], zero, g)]


def _relu(args: Sequence[Term], t: Term | None) -> Term | None:
    return None if t is None else build.where(build.apply("lt", build.const(0), args[0]), t, build.const(0))


def _re_of_product(t: Term, dt: Term) -> Term:
    """Re(conj(t) t')"""
    return build.apply("re", build.mul(build.apply("conj", t), dt))


def _abs_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term | None:
    (t,), (dt,) = args, tangents
    if dt is None:
        return None
    if t.kind < Kind.COMPLEX:
        return build.mul(build.apply("sign", t), dt)
    return build.mul(_re_of_product(t, dt), _recip_or_zero(y))


def _abs_cotangent(args: Sequence[Term], g: Term, y: Term) -> Tangents:
    (t,) = args
    return [build.mul(g, build.apply("sign", t) if t.kind < Kind.COMPLEX else build.mul(t, _recip_or_zero(y)))]


def _abs2_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term | None:
    (t,), (dt,) = args, tangents
    return None if dt is None else build.scale(2, _re_of_product(t, dt))


def _arg_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term | None:
    (t,), (dt,) = args, tangents
    if dt is None or t.kind < Kind.COMPLEX:
        return None
    turned = build.apply("im", build.mul(build.apply("conj", t), dt))
    return build.mul(turned, _recip_or_zero(build.apply("abs2", t)))


def _arg_cotangent(args: Sequence[Term], g: Term, y: Term) -> Tangents:
    (t,) = args
    if t.kind < Kind.COMPLEX:
        return [None]
    return [build.mul(g, _times_im(t), _recip_or_zero(build.apply("abs2", t)))]


def _times_im(t: Term) -> Term:
    """i t"""
    return build.apply("complex", build.scale(-1, build.apply("im", t)), build.apply("re", t))


def _complex_tangent(args: Sequence[Term], tangents: Tangents, y: Term) -> Term | None:
    if tangents[0] is None and tangents[1] is None:
        return None
    return build.apply("complex", _or_zero(tangents[0]), _or_zero(tangents[1]))


def _same(name: str) -> Callable[[Sequence[Term], Tangents, Term], Term | None]:
    return lambda args, tangents, y: None if tangents[0] is None else build.apply(name, tangents[0])


RULES: dict[str, Rule] = {
    "where": Rule(_where_tangent, _where_cotangent),
    "min2": Rule(_min_tangent, _min_cotangent),
    "max2": Rule(_max_tangent, _max_cotangent),
    "relu": Rule(lambda args, tangents, y: _relu(args, tangents[0]), lambda args, g, y: [_relu(args, g)]),
    "abs": Rule(_abs_tangent, _abs_cotangent),
    "abs2": Rule(_abs2_tangent, lambda args, g, y: [build.scale(2, build.mul(g, args[0]))]),
    "arg": Rule(_arg_tangent, _arg_cotangent),
    "re": Rule(_same("re"), lambda args, g, y: [g]),
    "im": Rule(_same("im"), lambda args, g, y: [build.apply("complex", build.const(0), g)]),
    "conj": Rule(_same("conj"), lambda args, g, y: [build.apply("conj", g)]),
    "complex": Rule(_complex_tangent, lambda args, g, y: [build.apply("re", g), build.apply("im", g)]),
}
