"""Linear systems as terms that can be scheduled: `solve` becomes transforms, factors of a band matrix, or an iteration.

- Unknowns that are coupled at their own point only leave first (condensing.py); what follows is about the others.
- A map with constant coefficients, and closures that a Fourier, sine or cosine transform continues exactly, along all axes but one
  at most (diagonal.py): `diagonalize` prepares the systems of all frequencies, `solve_diagonal` transforms, solves, transforms back.
- A product of matrices along separate axes, and any small map that is no stencil (dense.py): LU factors of dense matrices.
- A stencil (windows.py) of moderate bandwidth: its coefficients are ordinary terms, computed like any others; `factor` puts
  them into a band matrix and factors it, once for all right-hand sides with the same matrix; `solve_factored` uses that.
- Anything else (large grids in two and three dimensions, sums over axes): the stabilized bi-conjugate gradient iteration,
  matrix-free, as an `iterate` term. Without convergence the solution is infinite: the time loop then makes its step smaller.

Source of the iteration: H. A. van der Vorst, SIAM J. Sci. Stat. Comput. 13 (1992).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from ricci.dsl import build
from ricci.dsl.ops import OPERATORS
from ricci.dsl.ops.band import Entry, GridAxis, Layout, Ordering, Unknown
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.ops.proj import make_tuple
from ricci.dsl.ops.spectral import Spectrum
from ricci.dsl.ops.symbol import CONSTANTS, name_of
from ricci.dsl.term import Function, Term, rewrite, substitute, symbols, walk
from ricci.dsl.types import Kind, Size, Type, at_most
from ricci.lowering.condensing import Condensed, condensed
from ricci.lowering.dense import Factor, count_of, factors_of, matrix_of, solved_by_factors, solved_densely
from ricci.lowering.diagonal import Diagonal, diagonal
from ricci.lowering.windows import Offset, Stencil, grid_axis, stencil

WIDEST = 128  # bandwidth (one side) from which the iteration is cheaper, and uses less memory
MOST_AXES = 3
MOST_ROWS = 1200  # of a dense matrix: LU takes seconds from here on, and the iteration less memory
SOLVES = 8  # of the system near a given one, until the iteration has converged
ENTRY = 1.2e-10  # seconds that one entry takes in one step of elimination
CONVERGED = Fraction(1, 10**10)  # relative residual
MOST_ITERATIONS = 500

Terms = tuple[Term, ...]


def with_solvers(function: Function, sizes: Mapping[str, int]) -> Function:
    """The function with every `solve`, also inside loops, replaced. `sizes`: extents of dims as far as they are known."""
    done: dict[Function, Function] = {}

    def inner(body: Function) -> Function:
        if body not in done:
            roots = rewrite(body.roots, visit)
            done[body] = Function(body.name, body.params, tuple(zip((n for n, _ in body.results), roots, strict=True)))
        return done[body]

    def visit(term: Term, args: Terms) -> Term:
        if term.op == "library" and term.attrs[0] == "solve":
            return solver(term.attrs[1], args, sizes)
        if term.op == "iterate":
            body, cond, count = term.attrs
            return build.iterate(inner(body), inner(cond), args[:count], args[count:])
        if term.op == "scan":
            body, axis, size, count, sequences, reverse = term.attrs
            parts = args[:count], args[count : count + sequences], args[count + sequences :]
            return build.scan(inner(body), axis, size, *parts, reverse)
        return term if args == term.args else OPERATORS[term.op].rebuild(term, args)

    return inner(function)


def ways_of(function: Function, sizes: Mapping[str, int]) -> list[Way]:
    """How every linear system of a function is solved, also inside loops, in order; the same way is listed once."""
    found: dict[tuple[str, str], Way] = {}
    bodies, seen = [function], {function}
    while bodies:
        for term in walk(bodies.pop(0).roots):
            if term.op == "library" and term.attrs[0] == "solve":
                way = way_of(term.attrs[1], tuple(sorted(sizes.items())))
                found.setdefault((way.name, way.reason), way)
            inner = [a for a in term.attrs if isinstance(a, Function)] if term.op in ("iterate", "scan") else []
            bodies += [body for body in inner if body not in seen]
            seen.update(inner)
    return list(found.values())


@dataclass(frozen=True)
class Way:
    """How a linear system is solved: in words, why, and the solution as terms, given (right-hand sides, constants)."""

    name: str
    reason: str
    terms: Callable[[Terms, Terms], Sequence[Term]]


def solver(apply: Function, args: Sequence[Term], sizes: Mapping[str, int]) -> Term:
    """A tuple of x_1..x_m with apply(x, constants) = b, args = (b_1..b_m, constants)."""
    count = len(apply.results)
    right = tuple(build.conform(b, r.type) for b, r in zip(args[:count], apply.roots, strict=True))
    return make_tuple(list(way_of(apply, tuple(sorted(sizes.items()))).terms(right, tuple(args[count:]))))


@lru_cache(maxsize=32)
def way_of(apply: Function, known: tuple[tuple[str, int], ...]) -> Way:
    """The cheapest way for a system, by what its map is and the extents that are known."""
    sizes = dict(known)
    count = len(apply.results)
    unknowns = apply.params[:count]
    product = factors_of(apply.roots[0], unknowns[0]) if count == 1 and unknowns[0].kind == Kind.REAL else None
    if product is not None:
        return _by_factors(apply, *product)
    alike = all(r.axes == u.axes and u.kind == Kind.REAL for r, u in zip(apply.roots, unknowns, strict=True))
    found = stencil(apply.roots, unknowns) if alike else None
    fewer = condensed(apply, found) if found is not None else None
    if fewer is not None:
        return _by_condensation(apply, fewer, known)
    layout = None if found is None else band_layout(found, unknowns, sizes)
    why = "" if alike else "the equations lie on other axes than the unknowns"
    if alike and len(unknowns[0].axes) > 1:
        apart = diagonal(apply.roots, unknowns, sizes)
        if isinstance(apart, str):
            why = apart
        elif layout is None or apart.cost * (SOLVES if apart.changed else 1) < band_cost(layout, sizes):
            return _by_iteration(apply, "", apart) if apart.changed else _by_transforms(apply, apart)
    if found is not None and layout is not None:
        return _by_band(apply, found, layout, why)
    if found is None and all(u.kind == Kind.REAL for u in unknowns):
        rows = _value(sum((count_of(u) for u in unknowns), Size.of(0)), sizes)
        entries = matrix_of(apply.roots, unknowns) if rows is not None and rows <= MOST_ROWS else None
        if entries is not None:
            return _densely(apply, entries)
    return _by_iteration(apply, why or "the band of the matrix is too wide")


def _given(apply: Function, terms: Sequence[Term], constants: Terms) -> list[Term]:
    """Terms over the params of a system with its constants in place."""
    return substitute(terms, dict(zip(apply.params[len(apply.results) :], constants, strict=True)))


def _by_condensation(apply: Function, fewer: Condensed, known: tuple[tuple[str, int], ...]) -> Way:
    inner = way_of(fewer.apply, known)
    gone, all_of_them = len(fewer.local), len(apply.results)

    def terms(right: Terms, constants: Terms) -> Sequence[Term]:
        places = dict(zip(fewer.places, _given(apply, list(fewer.places.values()), constants), strict=True))
        elimination = fewer.eliminated(places)
        reduced = elimination.forward(right)
        more = tuple(build.conform(elimination.added[pair], symbol.type) for pair, symbol in fewer.added.items())
        there = inner.terms(tuple(reduced[k] for k in fewer.kept), (*constants, *more))
        found = elimination.back(reduced, dict(zip(fewer.kept, there, strict=True)))
        return [found[k] for k in range(all_of_them)]

    fields = f"{gone} of {all_of_them} fields"
    return Way(f"elimination of {fields} at each point, then {inner.name}", inner.reason, terms)


def _by_factors(apply: Function, matrices: Sequence[Factor], divisors: Sequence[Term]) -> Way:
    def terms(right: Terms, constants: Terms) -> Sequence[Term]:
        found = _given(apply, [m for m, _, _ in matrices], constants)
        made = [(m, row, axis) for m, (_, row, axis) in zip(found, matrices, strict=True)]
        return [solved_by_factors(made, _given(apply, divisors, constants), right[0], apply.params[0])]

    names = ", ".join(sorted(row for _, row, _ in matrices))
    if not matrices:
        return Way("division", "the map multiplies every entry by a number", terms)
    reason = "the map is one matrix along one axis" if len(matrices) == 1 else "a product of matrices, each along an axis of its own"
    return Way(f"dense LU along {names}", reason, terms)


def _by_transforms(apply: Function, apart: Diagonal) -> Way:
    def terms(right: Terms, constants: Terms) -> Sequence[Term]:
        coefficients = _given(apply, apart.coefficients, constants)
        table = build.proj(build.library("diagonalize", coefficients, (apart.spectrum,)), 0)
        whole = build.library("solve_diagonal", (table, *right), (apart.spectrum,))
        return [build.proj(whole, k) for k in range(len(right))]

    return Way(apart.name, apart.reason, terms)


def _by_band(apply: Function, found: Stencil, layout: Layout, why: str) -> Way:
    coefficients = [_plain(found.entries[e.row, e.column][offset]) for e, offset in _entries(found, layout)]

    def terms(right: Terms, constants: Terms) -> Sequence[Term]:
        factors = build.library("factor", _given(apply, coefficients, constants), (layout,))
        whole = build.library("solve_factored", (build.proj(factors, 0), build.proj(factors, 1), *right), (layout,))
        return [build.proj(whole, k) for k in range(len(right))]

    return Way("band LU", why or "each point reads a few neighbours", terms)


def _densely(apply: Function, entries: Sequence[Sequence[Term]]) -> Way:
    count = len(apply.results)

    def terms(right: Terms, constants: Terms) -> Sequence[Term]:
        made = [_given(apply, row, constants) for row in entries]
        return solved_densely(made, apply.roots, apply.params[:count], right)

    return Way("dense LU", "points far apart are coupled, and the matrix is small", terms)


def _by_iteration(apply: Function, why: str, near: Diagonal | None = None) -> Way:
    """The iteration, preconditioned by a system near the given one that transforms solve."""
    count = len(apply.results)

    def terms(right: Terms, constants: Terms) -> Sequence[Term]:
        unknowns = tuple(build.symbol(f"solve:{k}", p.type) for k, p in enumerate(apply.params[:count]))
        results = substitute(apply.roots, dict(zip(apply.params, (*unknowns, *constants), strict=True)))
        results = [build.conform(r, u.type) for r, u in zip(results, unknowns, strict=True)]
        table = None if near is None else build.library("diagonalize", _given(apply, near.coefficients, constants), (near.spectrum,))
        whole = bicgstab(results, unknowns, right, None if near is None or table is None else (near.spectrum, build.proj(table, 0)))
        return [build.proj(whole, k) for k in range(count)]

    if near is None:
        return Way("BiCGStab iteration", why, terms)
    axes = ", ".join(a.partition(":")[0] for a in near.changed)
    return Way(f"BiCGStab iteration on {near.name}", f"a transform fits what happens along {axes} all but next to the sides", terms)


def _plain(coefficient: Term) -> Term:
    """A coefficient that is the same everywhere as a term without axes."""
    core = unexpanded(coefficient)
    return build.cast(core if not core.axes else coefficient, Kind.REAL)


def _entries(found: Stencil, layout: Layout) -> list[tuple[Entry, Offset]]:
    offsets = {(*pair, tuple(offset[a.name] for a in layout.axes)): offset for pair, entry in found.entries.items() for offset in entry}
    return [(e, offsets[e.row, e.column, e.offsets]) for e in layout.entries]


# band matrices


def band_layout(found: Stencil, unknowns: Sequence[Term], sizes: Mapping[str, int]) -> Layout | None:
    """Order of the unknowns for a band matrix: the longest axis outermost; None when the band is wide or unknown.

    Which axis is the longest does not show in the result, so that a grid of another shape needs no other code.
    """
    extents = _extents(unknowns)
    if extents is None or len(extents) > MOST_AXES:
        return None
    if len(extents) > 1 and any(_value(size, sizes) is None for size in extents.values()):
        return None
    count = len(unknowns)
    ordering = Ordering(tuple(sorted(extents.items())), count) if len(extents) > 1 else None
    rows = Size.of(count)
    axes: list[GridAxis] = []
    for name, extent in sorted(extents.items()):
        axes.append(GridAxis(name, extent, Size.of(ordering.stride(name)) if ordering else rows, name in found.periodic))
        rows = rows * extent
    place = {a.name: g for g, a in enumerate(axes)}
    own = tuple(Unknown(tuple((a, place[grid_axis(a)[0]], grid_axis(a)[1]) for a in u.axes), tuple(u.axes.values())) for u in unknowns)
    entries = sorted(
        (Entry(*pair, tuple(o[a.name] for a in axes)) for pair, entry in found.entries.items() for o in entry),
        key=lambda e: (e.row, e.column, e.offsets),
    )
    lower, upper = Size.of(count - 1), Size.of(count - 1)
    for axis in axes:
        low, high = found.reach(axis.name)
        if axis.ring:
            low, high = -2 * max(-low, high), 2 * max(-low, high)
        lower, upper = lower + axis.stride * max(-low, 0), upper + axis.stride * max(high, 0)
    layout = Layout(tuple(axes), own, tuple(entries), rows, lower, upper, ordering)
    known = layout.complete(sizes)
    for bandwidth in (lower, upper):
        value = _value(bandwidth, known)
        if value is None or value > WIDEST:
            return None
    return layout


def band_cost(layout: Layout, sizes: Mapping[str, int]) -> float:
    """Predicted seconds of the factors and of one solve."""
    known = layout.complete(sizes)
    rows, lower, upper = (float(n.evaluate(known)) for n in (layout.rows, layout.lower, layout.upper))
    return rows * (lower * (lower + upper) + 2 * (2 * lower + upper)) * ENTRY


def _value(size: Size, sizes: Mapping[str, int]) -> int | None:
    if size.constant is not None:
        return size.constant
    return size.evaluate(sizes) if all(d.name in sizes for d in size.dims) else None


def _extents(unknowns: Sequence[Term]) -> dict[str, Size] | None:
    """Number of nodes of every grid axis; None when the unknowns do not all lie on the same grid axes."""
    extents: dict[str, Size] = {}
    for u in unknowns:
        for axis, size in u.axes.items():
            name, _ = grid_axis(axis)
            whole = size + sum(int(c) for c in axis.partition(":")[2] if c.isdigit())
            held = extents.get(name, whole)
            if at_most(held, whole) is None:
                return None
            extents[name] = whole if at_most(held, whole) else held
    same = all({grid_axis(a)[0] for a in u.axes} == extents.keys() for u in unknowns)
    return extents if same else None


# the iteration


def bicgstab(results: Sequence[Term], unknowns: Sequence[Term], right: Terms, near: tuple[Spectrum, Term] | None = None) -> Term:
    """Tuple of x with results(x) = right: x_0 = 0, until |r| <= 1e-10 |b|; infinite when that is not reached.

    `near`: a system that transforms solve, with its table; directions go through its inverse first.
    """
    count = len(unknowns)

    def family(name: str) -> Terms:
        return tuple(build.symbol(f"solve:{name}:{k}", u.type) for k, u in enumerate(unknowns))

    def scalar(name: str) -> Term:
        return build.symbol(f"solve:{name}", Type(Kind.REAL))

    x, r, p, v, shadow = (family(n) for n in ("x", "r", "p", "v", "shadow"))
    rho, alpha, omega, size, goal = (scalar(n) for n in ("rho", "alpha", "omega", "size", "goal"))
    turns = build.symbol("solve:turns", Type(Kind.INT))

    def times(vector: Sequence[Term]) -> Terms:
        return tuple(build.group(t) for t in substitute(results, dict(zip(unknowns, vector, strict=True))))

    inside = None if near is None else build.symbol("solve:table", near[1].type)

    def toward(vector: Terms) -> Terms:
        """The inverse of the system nearby."""
        if near is None or inside is None:
            return vector
        whole = build.library("solve_diagonal", (inside, *vector), (near[0],))
        return tuple(build.proj(whole, k) for k in range(count))

    rho_new = dot(shadow, r)
    beta = build.divide(build.mul(rho_new, alpha), build.mul(rho, omega))
    p_new = tuple(build.group(build.add(a, build.mul(beta, build.sub(b, build.mul(omega, c))))) for a, b, c in zip(r, p, v, strict=True))
    p_near = toward(p_new)
    v_new = times(p_near)
    alpha_new = build.divide(rho_new, dot(shadow, v_new))
    s = tuple(build.group(build.sub(a, build.mul(alpha_new, b))) for a, b in zip(r, v_new, strict=True))
    s_near = toward(s)
    t = times(s_near)
    # s = 0 is the solution: any omega will do
    square = dot(t, t)
    omega_new = build.divide(dot(t, s), build.where(build.apply("eq", square, _number(0)), _number(1), square))
    x_new = tuple(build.add(a, build.mul(alpha_new, b), build.mul(omega_new, c)) for a, b, c in zip(x, p_near, s_near, strict=True))
    r_new = tuple(build.sub(a, build.mul(omega_new, b)) for a, b in zip(s, t, strict=True))
    carries = (*x, *r, *p, *v, rho, alpha, omega, size, turns)
    after = (*x_new, *r_new, *p_new, *v_new, rho_new, alpha_new, omega_new, dot(r_new, r_new), build.add(turns, build.const(1)))
    zeros = tuple(build.zero(u.type) for u in unknowns)
    one = _number(1)
    begin = (*zeros, *right, *zeros, *zeros, one, one, one, dot(right, right), build.const(0))
    outer = {goal: build.scale(CONVERGED**2, dot(right, right)), **dict(zip(shadow, right, strict=True))}
    if near is not None and inside is not None:
        outer[inside] = near[1]
    constants = [c for c in symbols([*after, goal]) if c not in carries and not _is_size(c)]
    params = (*carries, *constants)
    named = tuple((str(k), build.conform(a, c.type)) for k, (a, c) in enumerate(zip(after, carries, strict=True)))
    going = build.apply("and", build.apply("lt", goal, size), build.apply("lt", turns, build.const(MOST_ITERATIONS)))
    values = [outer.get(c, c) for c in constants]
    loop = build.iterate(Function("bicgstab", params, named), Function("goes_on", params, (("going", going),)), begin, values)
    reached = build.apply("le", build.proj(loop, 4 * count + 3), outer[goal])
    infinite = build.const(float("inf"), Kind.REAL)
    return make_tuple([build.where(reached, build.proj(loop, k), infinite) for k in range(count)])


def _is_size(symbol: Term) -> bool:
    return name_of(symbol).startswith("#") or name_of(symbol) in CONSTANTS


def _number(value: int) -> Term:
    return build.const(value, Kind.REAL)


def dot(left: Sequence[Term], right: Sequence[Term]) -> Term:
    """Sum over all unknowns of left * right."""
    parts = []
    for a, b in zip(left, right, strict=True):
        product = build.mul(a, b)
        parts.append(build.sum_over(product, tuple(product.axes)) if product.axes else product)
    return build.add(*parts)
