"""The smart constructors: the only public way to make a term. Each gives the normal form of what it says.

Terms combine by axis name. Arguments that are not well typed raise `TermError`. Axes are data: mappings and names, never
Python keywords. The rules of each operator stand in its file under `dsl/ops/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ricci.dsl import ops
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops import (
    cast as casts,
)
from ricci.dsl.ops import (
    const as constants,
)
from ricci.dsl.ops import (
    contract as contracts,
)
from ricci.dsl.ops import (
    gather as gathers,
)
from ricci.dsl.ops import (
    iota as iotas,
)
from ricci.dsl.ops import (
    iterate as iterations,
)
from ricci.dsl.ops import (
    library as libraries,
)
from ricci.dsl.ops import (
    linear as linears,
)
from ricci.dsl.ops import (
    model as models,
)
from ricci.dsl.ops import (
    pointwise,
    scalar,
)
from ricci.dsl.ops import (
    proj as projections,
)
from ricci.dsl.ops import (
    random as draws,
)
from ricci.dsl.ops import (
    reduce as reductions,
)
from ricci.dsl.ops import (
    reindex as reindexing,
)
from ricci.dsl.ops import (
    scan as scans,
)
from ricci.dsl.ops import (
    symbol as symbols,
)
from ricci.dsl.term import Function, Term, TermError, substitute
from ricci.dsl.types import Dim, Kind, Size, TupleType, Type

Extent = int | Size | Dim
HALF = Fraction(1, 2)

# leaves


def const(value: int | Fraction | bool | float, kind: Kind | None = None) -> Term:
    """A number without axes: bool, int, Fraction (real) or an infinity; any other float is rounded and refused."""
    return constants.make_const(value, kind)


def symbol(name: str, type_: Type) -> Term:
    """A named quantity: parameter, field, input, weight, coordinate."""
    return symbols.make_symbol(name, type_)


def size_term(size: Extent) -> Term:
    """A size as an int term; dim n is the symbol `#n`."""
    return contracts.size_term(size)


def pi() -> Term:
    """The constant pi, a real."""
    return symbol("pi", Type(Kind.REAL))


def im() -> Term:
    """The imaginary unit."""
    return symbol("im", Type(Kind.COMPLEX))


def iota(axis: str, size: Extent) -> Term:
    """out[axis] = axis, an int."""
    return iotas.make_iota(axis, size)


def zero(type_: Type) -> Term:
    """Zero (false) of a type."""
    return reindexing.expand(constants.make_const(0, type_.kind), type_.axes)


# types of terms


def conform(t: Term, type_: Type) -> Term:
    """t cast to the kind and broadcast over the axes of a type that holds its values."""
    if t.type is type_:
        return t
    if isinstance(t.type, TupleType) or t.kind > type_.kind or not t.axes.keys() <= type_.axes.keys():
        raise TermError(f"{t.type} does not conform to {type_}")
    return expand(cast(t, type_.kind), type_.axes)


def fit_cotangent(value: Term, like: Term) -> Term | None:
    """The cotangent on exactly the axes and kind of `like`: further axes summed, missing ones repeated, re for a real.

    None for truth values and ints, which do not move.
    """
    if like.kind < Kind.REAL:
        return None
    value = sum_to(value, like.axes)
    if value.kind == Kind.COMPLEX and like.kind < Kind.COMPLEX:
        value = apply("re", value)
    return conform(value, like.type)


def sum_to(t: Term, axes: Iterable[str]) -> Term:
    """Sum over all axes but these."""
    return sum_over(t, t.axes.keys() - set(axes))


def fresh_names(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """A new axis name for every name, in none of `taken` and all different."""
    used = set(taken)
    out: dict[str, str] = {}
    for name in names:
        new = name + "~"
        while new in used:
            new += "~"
        used.add(new)
        out[name] = new
    return out


# sums and products


def linear(items: Iterable[tuple[Fraction | int, Term]]) -> Term:
    """sum of coefficient * term, rational coefficients, broadcasting by name."""
    return linears.make_linear(items)


def add(*terms: Term) -> Term:
    """Sum; of tuples, component by component; the int 0 for none."""
    if terms and isinstance(terms[0].type, TupleType):
        total = terms[0]
        for t in terms[1:]:
            total = projections.add_tuples(total, t)
        return total
    return linears.make_linear([(1, t) for t in terms])


def sub(a: Term, b: Term) -> Term:
    """a - b"""
    return linears.make_linear([(1, a), (-1, b)])


def neg(t: Term) -> Term:
    """-t"""
    return linears.make_linear([(-1, t)])


def scale(rational: Fraction | int, t: Term) -> Term:
    """rational * t"""
    return linears.make_linear([(rational, t)])


def contract(factors: Iterable[tuple[Term, Mapping[str, Any]]], bound: Mapping[Any, Size]) -> Term:
    """Sum over the bound labels of the product of the factors; an access gives a label per axis, its own name if missing."""
    return contracts.make_contract(factors, bound)


def mul(*terms: Term) -> Term:
    """Pointwise product by name; the int 1 for none."""
    return contracts.multiply(terms)


def sum_over(t: Term, axes: Iterable[str]) -> Term:
    """Sum over axes of t."""
    return contracts.sum_over(t, axes)


def divide(a: Term, b: Term) -> Term:
    """a / b, real or complex"""
    return contracts.multiply([a, apply("recip", b)])


def power(t: Term, exponent: int | Fraction | Term) -> Term:
    """t^exponent.  Int exponents up to 64 are products (of the reciprocal), so that an int stays one; others are `pow`."""
    p: Fraction | float | None
    p = constants.value_of(pointwise.unexpanded(exponent)) if isinstance(exponent, Term) else Fraction(exponent)
    if isinstance(p, Fraction) and p.denominator == 1 and 0 <= p <= scalar.LARGEST_EXPONENT:
        axes = pointwise.union([t, exponent]) if isinstance(exponent, Term) else t.axes
        return expand(contracts.multiply([t] * int(p)) if p else constants.make_const(1, t.kind), axes)
    return apply("pow", t, exponent if isinstance(exponent, Term) else const(Fraction(exponent)))


# scalar functions and reductions


def apply(name: str, *args: Term) -> Term:
    """A scalar function of `dsl/ops/functions.py` pointwise."""
    return scalar.make_map(name, args)


def where(condition: Term, a: Term, b: Term) -> Term:
    """a where the condition holds, else b"""
    return scalar.make_map("where", [condition, a, b])


def group(t: Term) -> Term:
    """t in parentheses: sums and products do not merge with it, so that it is computed once."""
    return apply("group", t)


def reduce(op: str, t: Term, axes: Iterable[str]) -> Term:
    """max min prod any all argmax argmin over axes of t."""
    return reductions.make_reduce(op, t, axes)


def cast(t: Term, kind: Kind) -> Term:
    """t with elements of another kind."""
    return casts.make_cast(t, kind)


# index maps


def reindex(
    t: Term,
    axes: Mapping[str, Extent],
    index: Mapping[str, Index],
    guards: Iterable[Guard] = (),
    fill: Fraction | int | float | bool | None = None,
) -> Term:
    """out[o] = t[index(o)] where the guards hold and the index is in range, else fill."""
    return reindexing.make_reindex(t, axes, index, guards, fill)


def rename(t: Term, names: Mapping[str, str]) -> Term:
    """t with axes renamed, {old: new}."""
    return reindexing.rename(t, names)


def expand(t: Term, axes: Mapping[str, Extent]) -> Term:
    """t repeated along the axes that it lacks."""
    return reindexing.expand(t, axes)


def shift(t: Term, axis: str, k: Extent, edge: str | int | Fraction | float = "wrap") -> Term:
    """out[x] = t[x + k]; beyond the edge t is periodic ("wrap"), continued by its last value ("clamp"), mirrored
    ("mirror", the end value repeated), or the given number."""
    size = t.axes[axis]
    moved = Index.axis(axis) + Size.of(k)
    if isinstance(edge, str):
        folds = {"wrap": moved.mod, "clamp": moved.clamp, "mirror": moved.mirror}
        if edge not in folds:
            raise TermError(f"no edge {edge}")
        return reindexing.make_reindex(t, t.axes, {axis: folds[edge](size)}, (), 0)
    return reindexing.make_reindex(t, t.axes, {axis: moved}, (), edge)


def slice_at(t: Term, axis: str, index: Extent | Index) -> Term:
    """t[axis = index], 0 where that is out of range."""
    axes = {name: size for name, size in t.axes.items() if name != axis}
    return reindexing.make_reindex(t, axes, {axis: Index.of(index)}, (), 0)


def place(t: Term, axis: str, at: Extent | Index, size: Extent) -> Term:
    """[axis == at] * t on an axis that t lacks."""
    if axis in t.axes:
        raise TermError(f"{t.type} has the axis {axis} already")
    return mul(indicator({axis: size}, [Guard.equal(Index.axis(axis), Index.of(at))]), t)


def indicator(axes: Mapping[str, Extent], guards: Iterable[Guard]) -> Term:
    """1 where all guards hold, else 0, an int."""
    return reindexing.indicator(axes, guards)


def gather(t: Term, axis: str, i: Term) -> Term:
    """t[axis := i], 0 where i is out of range."""
    return gathers.make_gather(t, axis, i)


def scatter(t: Term, i: Term, axis: str, size: Extent, over: Iterable[str]) -> Term:
    """out[axis] = sum over the axes `over` of [i == axis] t."""
    return gathers.make_scatter(t, i, axis, size, over)


# recurrences, libraries, random numbers


def scan(
    fn: Function,
    axis: str,
    size: Extent,
    inits: Sequence[Term],
    xs: Sequence[Term],
    consts: Sequence[Term] = (),
    reverse: bool = False,
) -> Term:
    """The carries of every step, stacked on the axis, as a tuple. Params of fn: carries, slices of xs, constants."""
    return scans.make_scan(fn, axis, size, inits, xs, consts, reverse)


def iterate(fn: Function, cond: Function, inits: Sequence[Term], consts: Sequence[Term] = ()) -> Term:
    """The last carries and the count of steps as a tuple. Params of fn and cond: carries, constants."""
    return iterations.make_iterate(fn, cond, inits, consts)


def library(name: str, args: Sequence[Term], attrs: Sequence[Any]) -> Term:
    """The tuple of results of a library operation (`dsl/ops/library.py`)."""
    return libraries.make_library(name, args, attrs)


def random(stream: str, counter: Term, axes: Mapping[str, Extent], distribution: str = "uniform") -> Term:
    """Draws over the axes (their order counts): uniform in [0, 1) or standard normal."""
    return draws.make_random(stream, counter, axes, distribution)


def proj(t: Term, k: int) -> Term:
    """Component k of a tuple."""
    return projections.make_proj(t, k)


# operators of a model before discretization


def partial(t: Term, coordinate: str, n: int = 1) -> Term:
    """n-th derivative along a coordinate (or the time "t")."""
    return models.make_partial(t, coordinate, n)


def at(t: Term, point: Mapping[str, Term]) -> Term:
    """t at given values of coordinates."""
    return models.make_at(t, point)


def integral(t: Term, coordinates: Iterable[str]) -> Term:
    """Integral of t over coordinates."""
    return models.make_integral(t, coordinates)


__all__ = ["Guard", "Index", "TermError", "ops", "substitute"]
