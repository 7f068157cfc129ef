"""Recurrences: loops over one axis joined, sums of linear recurrences as one, last values and values without input in closed form.

    z_s = f(z_{s-1}, x_s),  y_s = g(y_{s-1}, z_s)          one loop with two carries
    z_s = a_s z_{s-1} + b_s,  y_s = a_s y_{s-1} + c_s      p z + q y is the recurrence with p b_s + q c_s
    z_{n-1} = a^n z_{-1} + Sum_s a^{n-1-s} b_s             only the last value is used, a the same at every step
    z_s = a^{s+1} z_{-1};   z_s = z_{-1} + (s + 1) b       nothing enters; the same enters at every step, a = 1

Whether a recurrence is linear is decided by taking its body apart (`split_linear`). Powers of what is not known to be positive are
not extracted (`pricing.RISKS`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.derivative import split_linear
from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.pointwise import unexpanded
from ricci.dsl.ops.reindex import pull_of
from ricci.dsl.term import Function, Term, TermError, substitute, walk
from ricci.dsl.types import Kind, Size
from ricci.egraph.terms import Loader

MOST_CARRIES = 16  # of joined loops


@dataclass(frozen=True)
class Recurrence:
    """z_s = coefficient z_{s-1} + drive, both as terms outside of the loop; `first` is what comes before the first step."""

    axis: str
    size: Size
    reverse: bool
    coefficient: Term
    drive: Term
    first: Term

    @property
    def constant(self) -> bool:
        """Whether the coefficient is the same at every step."""
        return self.axis not in self.coefficient.axes


def recur(loader: Loader, limit: int) -> int:
    """Propose other forms for the recurrences among the terms that were loaded; how many were found."""
    terms = [t for t in loader.known if t.op in ("linear", "proj", "reindex", "scan")]
    if not any(t.op == "scan" for t in terms):
        return 0
    pairs = joined([t for t in terms if t.op == "scan"])
    for term in terms:
        form = None
        if term.op == "linear":
            form = merged(term)
        elif term.op == "proj":
            form = closed(term)
        elif term.op == "reindex":
            form = last(term)
        if form is not None:
            pairs.append((term, form))
    for term, form in pairs[:limit]:
        loader.space.union(*loader.load([form, term]))
    return min(len(pairs), limit)


def recurrence_of(t: Term) -> Recurrence | None:
    """A component of a scan of one carry that is linear in it, point by point."""
    if t.op != "proj" or t.args[0].op != "scan":
        return None
    scan = t.args[0]
    body, axis, size, count, _, reverse = scan.attrs
    if count != 1 or body.params[0].kind < Kind.REAL:
        return None
    split = split_linear(body.roots[0], body.params[0])
    if split is None:
        return None
    outside = dict(zip(body.params[1:], scan.args[1:], strict=True))
    try:
        coefficient, drive = substitute(list(split), outside)
    except TermError:  # the body moves its input along other axes
        return None
    return Recurrence(axis, size, reverse, unexpanded(coefficient), drive, scan.args[0])


# several loops as one


def joined(scans: Sequence[Term]) -> list[tuple[Term, Term]]:
    """(component of a scan, the same component of the scan that does several at once)."""
    groups: dict[tuple[str, Size, bool], list[Term]] = {}
    for scan in walk(scans):
        if scan.op == "scan":
            groups.setdefault((scan.attrs[1], scan.attrs[2], scan.attrs[5]), []).append(scan)
    out: list[tuple[Term, Term]] = []
    for group in groups.values():
        members = [s for k, s in enumerate(group) if not _depends(s, group[:k])]
        carries = sum(s.attrs[3] for s in members)
        if len(members) > 1 and carries <= MOST_CARRIES:
            out += _join(members)
    return out


def _depends(scan: Term, earlier: Sequence[Term]) -> bool:
    """Whether a scan needs an earlier one in another way than step by step."""
    count, sequences = scan.attrs[3], scan.attrs[4]
    stepwise = scan.args[count : count + sequences]
    others = [a for a in scan.args if not any(a is x for x in stepwise)]
    deeper = [b for a in stepwise for b in (() if _component(a, earlier) else (a,))]
    reached = walk([*others, *deeper])
    if any(t in earlier for t in reached):
        return True
    return any(a is not b and not _component(a, earlier) and b in walk([a]) for a in stepwise for b in earlier)


def _component(t: Term, scans: Sequence[Term]) -> bool:
    return t.op == "proj" and t.args[0] in scans


def _join(scans: Sequence[Term]) -> list[tuple[Term, Term]]:
    _, axis, size, _, _, reverse = scans[0].attrs
    names: dict[str, int] = {}
    carries: list[Term] = []
    inits: list[Term] = []
    sequences: dict[Term, Term] = {}  # what enters step by step -> parameter
    constants: dict[Term, Term] = {}
    results: list[Term] = []
    places: list[tuple[Term, int]] = []
    now: dict[Term, Term] = {}  # component of an earlier scan -> its value at this step
    needed = {a for scan in scans for a in scan.args}

    def fresh(kind: str, like: Term) -> Term:
        names[kind] = names.get(kind, 0) + 1
        return build.symbol(f"{kind}{names[kind]}", like.type)

    for scan in scans:
        body, _, _, count, steps, _ = scan.attrs
        own = [fresh("carry", p) for p in body.params[:count]]
        new: dict[Term, Term] = dict(zip(body.params[:count], own, strict=True))
        for p, a in zip(body.params[count : count + steps], scan.args[count : count + steps], strict=True):
            new[p] = now[a] if a in now else sequences.setdefault(a, fresh("step", p))
        for p, a in zip(body.params[count + steps :], scan.args[count + steps :], strict=True):
            new[p] = constants.setdefault(a, fresh("constant", p))
        values = substitute(list(body.roots), new)
        for k, component in enumerate(build.proj(scan, k) for k in range(count)):
            values[k] = build.conform(build.group(values[k]) if component in needed else values[k], body.params[k].type)
            places.append((component, len(carries) + k))
            now[component] = values[k]
        carries += own
        inits += scan.args[:count]
        results += values
    params = (*carries, *sequences.values(), *constants.values())
    function = Function(
        "", params, tuple((str(k), build.conform(r, c.type)) for k, (r, c) in enumerate(zip(results, carries, strict=True)))
    )
    whole = build.scan(function, axis, size, inits, list(sequences), list(constants), reverse)
    return [(component, build.proj(whole, k)) for component, k in places]


# linear recurrences


Key = tuple[str, Size, bool, Term, tuple[tuple[str, Size], ...]]


def merged(term: Term) -> Term | None:
    """A sum in which linear recurrences with equal coefficients are one."""
    groups: dict[Key, list[tuple[Fraction, Recurrence]]] = {}
    parts: list[tuple[Fraction, Term, Key | None]] = []
    for q, part in zip(term.attrs, term.args, strict=True):
        r = recurrence_of(part)
        key = None if r is None else (r.axis, r.size, r.reverse, r.coefficient, tuple(r.first.axes.items()))
        parts.append((q, part, key))
        if r is not None and key is not None:
            groups.setdefault(key, []).append((q, r))
    several = {key: group for key, group in groups.items() if len(group) > 1}
    if not several:
        return None
    kept = [(q, part) for q, part, key in parts if key not in several]
    return build.conform(build.linear([*kept, *((Fraction(1), _one(group)) for group in several.values())]), term.type)


def _one(group: Sequence[tuple[Fraction, Recurrence]]) -> Term:
    """The recurrence of a weighted sum of recurrences."""
    like = group[0][1]
    drive = build.linear([(q, r.drive) for q, r in group])
    first = build.linear([(q, r.first) for q, r in group])
    kind = max(first.kind, drive.kind, like.coefficient.kind)
    first = build.cast(first, kind)
    carry = build.symbol("carry", first.type)
    axes = {a: n for a, n in drive.axes.items() if a != like.axis}
    step = build.symbol("step", type(first.type)(drive.kind, axes))
    sequences, params = [drive], [step]
    constants: list[Term] = []
    if value_of(like.coefficient) is not None:
        coefficient = like.coefficient
    else:
        own = {a: n for a, n in like.coefficient.axes.items() if a != like.axis}
        coefficient = build.symbol("factor", type(first.type)(like.coefficient.kind, own))
        (constants if like.constant else sequences).append(like.coefficient)
        params.append(coefficient)
    result = build.conform(build.add(build.mul(coefficient, carry), step), carry.type)
    function = Function("", (carry, *params), (("0", result),))
    return build.proj(build.scan(function, like.axis, like.size, [first], sequences, constants, like.reverse), 0)


def _power(base: Term, exponent: Term) -> Term:
    """base ^ exponent for a whole exponent; nothing to compute for a base of one."""
    if value_of(base) == 1:
        return build.const(1)
    return build.apply("pow", build.cast(base, Kind.REAL), build.cast(exponent, Kind.REAL))


def _steps(r: Recurrence) -> Term:
    """How many steps were done after step s, as a term over the axis."""
    s = build.iota(r.axis, r.size)
    return build.sub(build.size_term(r.size), s) if r.reverse else build.add(s, build.const(1))


def closed(term: Term) -> Term | None:
    """A linear recurrence into which nothing enters, or the same at every step with a coefficient of one."""
    r = recurrence_of(term)
    if r is None or not r.constant or r.coefficient.kind > Kind.REAL:
        return None
    steps = _steps(r)
    if value_of(unexpanded(r.drive)) == 0:
        return build.conform(build.mul(_power(r.coefficient, steps), r.first), term.type)
    drive = unexpanded(r.drive)
    if value_of(r.coefficient) == 1 and r.axis not in drive.axes:
        return build.conform(build.add(r.first, build.mul(steps, drive)), term.type)
    return None


def last(term: Term) -> Term | None:
    """The last value of a linear recurrence: a sum over all steps."""
    pull, below = pull_of(term), term.args[0]
    r = recurrence_of(below)
    if r is None or not r.constant or r.coefficient.kind > Kind.REAL or pull.guards:
        return None
    at = pull.index[r.axis]
    final = Size.of(0) if r.reverse else r.size - 1
    others = all(e.single_axis == axis and dict(pull.axes)[axis] == below.axes[axis] for axis, e in pull.entries if axis != r.axis)
    if at.axes or at.constant != final or not others:
        return None
    s = build.iota(r.axis, r.size)
    after = s if r.reverse else build.linear([(1, build.size_term(r.size - 1)), (-1, s)])
    drive = build.expand(r.drive, {r.axis: r.size})
    weighted = build.contract(
        [(drive, {r.axis: 0}), (build.expand(_power(r.coefficient, after), {r.axis: r.size}), {r.axis: 0})], {0: r.size}
    )
    whole = build.add(weighted, build.mul(_power(r.coefficient, build.size_term(r.size)), r.first))
    return build.conform(whole, term.type)
