"""reindex: out[o] = t[index(o)] where every guard holds, else the fill. Attributes: a `Pull`.

Shift, slice, stride, window, flip, diagonal, split, merge, rename, broadcast (an out axis that nothing reads) and indicator
(of the constant 1) are instances. Normal form: the in-range condition of every axis is a guard unless proved; a pull of a
pull is one pull where the fills allow; a pull that changes nothing is its argument. Source: shared/design/algebra.md, 4.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import inf
from types import MappingProxyType
from typing import Any

from ricci.dsl.index import Guard, Index, Ranges
from ricci.dsl.normal import make_guards
from ricci.dsl.ops import base, cast, const, contract, iota, linear, pull, transpose
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Dim, Kind, Size, Type

Fill = Fraction | float | None  # a float is an infinity; None where no guard remains


@dataclass(frozen=True)
class Pull:
    """out axes with sizes, one index per axis of the argument, guards, fill; all sorted."""

    axes: tuple[tuple[str, Size], ...]
    entries: tuple[tuple[str, Index], ...]
    guards: tuple[Guard, ...]
    fill: Fill

    @cached_property
    def index(self) -> Mapping[str, Index]:
        """Index per axis of the argument."""
        return MappingProxyType(dict(self.entries))

    @cached_property
    def used(self) -> frozenset[str]:
        """Out axes that the index or a guard reads; the others are broadcast."""
        parts = [e.axes for _, e in self.entries] + [g.axes for g in self.guards]
        return frozenset().union(*parts)

    def __str__(self) -> str:
        inside = ", ".join(f"{a}={e}" for a, e in self.entries)
        if self.guards:
            inside += " | " + ", ".join(map(str, self.guards)) + f" else {self.fill}"
        return f"[{inside}]"


def pull_of(term: Term) -> Pull:
    """The attributes of a reindex."""
    if term.op != "reindex":
        raise TermError(f"{term.op} is not a reindex")
    attrs: Pull = term.attrs
    return attrs


def plain_pull(term: Term) -> Pull | None:
    """The pull of a reindex that only renames, broadcasts or reads diagonals: no guard, every index a whole axis.

    A prefix `a[x=x]` of a longer axis is none of these.
    """
    if term.op != "reindex":
        return None
    pull: Pull = term.attrs
    return pull if not pull.guards and _is_plain(pull.index, term.args[0].axes, term.axes) else None


def _is_plain(index: Mapping[str, Index], source: Mapping[str, Size], out: Mapping[str, Size]) -> bool:
    for axis, e in index.items():
        name = e.single_axis
        if name is None or out[name] is not source[axis]:
            return False
    return True


def make_reindex(
    t: Term,
    axes: Mapping[str, int | Size | Dim],
    index: Mapping[str, Index],
    guards: Iterable[Guard] = (),
    fill: Fraction | int | float | bool | None = None,
) -> Term:
    """out[o] = t[index(o)] if all guards hold, else fill.

    `axes` are all axes of the result; an axis of t without an index maps to the axis of the same name. The condition that an
    index lies in range is added as a guard unless it is proved; a guard that remains needs a fill.
    """
    out = {name: Size.of(size) for name, size in sorted(axes.items())}
    own = {a: index[a] if a in index else Index.axis(a) for a in t.axes}
    if not index.keys() <= t.axes.keys():
        raise TermError(f"the argument of a reindex has no axis {sorted(index.keys() - t.axes.keys())}")
    conditions = list(guards)
    for axis, e in own.items():
        name = e.single_axis
        if name is None or out.get(name) is not t.axes[axis]:
            conditions.append(Guard(0, e, t.axes[axis]))
    return assemble(t, out, own, conditions, _exact(fill))


def _exact(fill: Fraction | int | float | bool | None) -> Fill:
    if fill is None or (isinstance(fill, float) and fill in (inf, -inf)):
        return fill
    if isinstance(fill, float):
        raise TermError(f"{fill!r} is a rounded number: a fill is an int, a Fraction or an infinity")
    return Fraction(fill)


def assemble(t: Term, out: Mapping[str, Size], own: Mapping[str, Index], conditions: Sequence[Guard], fill: Fill) -> Term:
    """As `make_reindex`, for a complete index whose values lie in range wherever the conditions hold."""
    for axes in [*[e.axes for e in own.values()], *[g.axes for g in conditions]]:
        if not axes <= out.keys():
            raise TermError(f"a reindex reads {sorted(axes - out.keys())}, not axes of its result {sorted(out)}")
    guards: tuple[Guard, ...] = ()
    if conditions or any(not e.is_affine for e in own.values()):
        simplified = _simplified(tuple(out.items()), tuple(own.items()), tuple(conditions))
        if simplified is None:
            return _constant(t, out, fill)
        guards, own = simplified[0], dict(simplified[1])
    if guards and fill is None:
        raise TermError(f"a reindex that can leave its argument needs a fill: {', '.join(map(str, guards))}")
    return _normal(t, out, own, guards, fill if guards else None)


@lru_cache(maxsize=1 << 14)
def _simplified(
    out: tuple[tuple[str, Size], ...], own: tuple[tuple[str, Index], ...], conditions: tuple[Guard, ...]
) -> tuple[tuple[Guard, ...], tuple[tuple[str, Index], ...]] | None:
    """Normal forms of guards and indices; None for guards that never hold. The same maps act on many terms: they are kept."""
    ranges = Ranges.of(dict(out))
    guards = make_guards(conditions, ranges)
    if guards is None:
        return None
    inside = ranges.narrow(guards) if guards else ranges
    return guards, tuple((a, e.within(inside)) for a, e in own)


def _constant(t: Term, out: Mapping[str, Size], fill: Fill) -> Term:
    if fill is None:
        raise TermError("a reindex that is never in range needs a fill")
    kind = t.kind if isinstance(fill, Fraction) and fill.denominator == 1 else max(t.kind, Kind.REAL)
    return expand(const.make_const(fill, kind), out)


def _normal(t: Term, out: Mapping[str, Size], own: Mapping[str, Index], guards: tuple[Guard, ...], fill: Fill) -> Term:
    """Rules that look at the argument; index and guards are in normal form."""
    if fill is not None and t.kind <= Kind.INT and not (isinstance(fill, Fraction) and fill.denominator == 1):
        t = cast.make_cast(t, Kind.REAL)
    if not guards and len(out) == len(own) and all(e.single_axis == a and out[a] is t.axes[a] for a, e in own.items()):
        return t
    if t.op == "reindex":
        inner: Pull = t.attrs
        if not guards or not inner.guards or inner.fill == fill:
            mapping = dict(own)
            below = {a: e.substitute(mapping) for a, e in inner.entries}
            conditions = [*guards, *(g.substitute(mapping) for g in inner.guards)]
            return assemble(t.args[0], out, below, conditions, fill if guards else inner.fill)
    elif t.op == "const":
        value = const.value_of(t)
        if not guards or value == fill:
            return _node(t, out, {}, (), None) if out else t
        if value != 1 and fill == 0 and isinstance(value, Fraction) and t.kind != Kind.BOOL:
            return linear.make_linear([(value, _node(const.make_const(1, t.kind), out, {}, guards, fill))])
    elif t.op == "linear" and (not guards or fill == 0):
        terms = linear.terms_of(t)
        if len(terms) == 1 and (guards or not _is_rename(t, own, out)):
            read = frozenset().union(*(e.axes for e in own.values()), *(g.axes for g in guards))
            kept = {name: size for name, size in out.items() if name in read}
            return expand(linear.make_linear([(terms[0][0], _normal(terms[0][1], kept, own, guards, fill))]), out)
    elif not guards and t.op in ("contract", "iota") and any(e.single_axis != a for a, e in own.items()):
        below_expand = _through(t, out, own)
        if below_expand is not None:
            return below_expand
    return _node(t, out, own, guards, fill)


def _is_rename(t: Term, own: Mapping[str, Index], out: Mapping[str, Size]) -> bool:
    """Only other names, and broadcasts: these stay outside of sums."""
    return _is_plain(own, t.axes, out) and len({e.single_axis for e in own.values()}) == len(own)


def _through(t: Term, out: Mapping[str, Size], own: Mapping[str, Index]) -> Term | None:
    """A contract takes other labels; an iota of an affine index is a sum of iotas."""
    core: Term | None = None
    if t.op == "contract" and _is_plain(own, t.axes, out):
        core = contract.relabel(t, {a: str(e.single_axis) for a, e in own.items()})
    elif t.op == "iota":
        (e,) = own.values()
        if e.is_affine:
            parts = [(Fraction(1), contract.multiply([contract.size_term(k), iota.make_iota(a.axis, out[a.axis])])) for a, k in e.terms]
            core = linear.make_linear([*parts, (Fraction(1), contract.size_term(e.constant))])
    return None if core is None else expand(core, out)


def _node(t: Term, out: Mapping[str, Size], own: Mapping[str, Index], guards: tuple[Guard, ...], fill: Fill) -> Term:
    return base.node("reindex", (t,), Pull(tuple(sorted(out.items())), tuple(sorted(own.items())), guards, fill))


# instances


def expand(t: Term, axes: Mapping[str, int | Size | Dim]) -> Term:
    """t broadcast over the axes that it lacks."""
    new = {name: Size.of(size) for name, size in axes.items() if name not in t.axes}
    for name, size in axes.items():
        if name in t.axes and t.axes[name] != Size.of(size):
            raise TermError(f"axis {name} has size {t.axes[name]} and cannot be broadcast to {size}")
    if not new:
        return t
    return _normal(t, {**t.axes, **new}, {a: Index.axis(a) for a in t.axes}, (), None)


def rename(t: Term, names: Mapping[str, str]) -> Term:
    """t with axes renamed: {old: new}, one name each."""
    new = {a: names.get(a, a) for a in t.axes}
    if len(set(new.values())) != len(new):
        raise TermError(f"two axes would get one name: {new}")
    return _normal(t, {new[a]: size for a, size in t.axes.items()}, {a: Index.axis(b) for a, b in new.items()}, (), None)


def indicator(axes: Mapping[str, int | Size | Dim], guards: Iterable[Guard]) -> Term:
    """1 where all guards hold, else 0; an int over `axes`."""
    return make_reindex(const.make_const(1), axes, {}, guards, 0)


def split_expand(t: Term) -> tuple[Term, dict[str, Size]]:
    """(core, axes) with t = expand(core, axes) and no broadcast left at the root of the core."""
    if t.op != "reindex":
        return t, {}
    pull: Pull = t.attrs
    used = pull.used
    extra = {name: size for name, size in pull.axes if name not in used}
    if not extra:
        return t, {}
    kept = {name: size for name, size in pull.axes if name in used}
    return _normal(t.args[0], kept, pull.index, pull.guards, pull.fill), extra


def split_rename(t: Term) -> tuple[Term, dict[str, str]]:
    """(core, {axis of core: axis of t}) when t is a reindex that only renames, else (t, {})."""
    pull = plain_pull(t)
    if pull is None or len(pull.axes) != len(pull.entries):
        return t, {}
    names = {a: str(e.single_axis) for a, e in pull.entries}
    return (t.args[0], names) if len(set(names.values())) == len(names) else (t, {})


# the operator


def _infer(args: tuple[Term, ...], attrs: Hashable) -> Type:
    (t,) = args
    assert isinstance(attrs, Pull)
    if tuple(a for a, _ in attrs.entries) != tuple(t.axes):
        raise TermError(f"a reindex has one index per axis of its argument: {attrs} for {t.type}")
    return Type(t.kind, dict(attrs.axes))


def _meaning(term: Term, args: Sequence[Any], environment: base.Environment) -> Any:
    attrs = pull_of(term)
    fill = None if attrs.fill is None else const.to_scalar(attrs.fill, term.kind)
    return pull.pull_array(args[0], term.args[0].type, attrs, fill, environment.dims)


def _rebuild(term: Term, args: tuple[Term, ...]) -> Term:
    attrs = pull_of(term)
    (t,) = args
    if t.type.axes != term.args[0].type.axes:
        return make_reindex(t, dict(attrs.axes), attrs.index, attrs.guards, attrs.fill)
    return assemble(t, dict(attrs.axes), attrs.index, attrs.guards, attrs.fill)


def _tangent(term: Term, tangents: Sequence[Term | None]) -> Term | None:
    (dt,) = tangents
    if dt is None:
        return None
    attrs = pull_of(term)
    return assemble(dt, dict(attrs.axes), attrs.index, attrs.guards, Fraction(0) if attrs.guards else None)


def _cotangent(term: Term, g: Term) -> Sequence[Term | None]:
    attrs = pull_of(term)
    return (transpose.transpose_pull(g, term.args[0].axes, dict(attrs.axes), attrs.index, attrs.guards),)


OPERATOR = base.define(
    base.Operator(
        name="reindex",
        infer=_infer,
        meaning=_meaning,
        rebuild=_rebuild,
        tangent=_tangent,
        cotangent=_cotangent,
    )
)
