"""The time loop as one `iterate` term: a step attempt is the body, "not finished" the condition.

Names of the loop's own quantities start with `ctl:` and `scale:`, which no name of a model can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.program import Program
from ricci.dsl.term import Function, Term
from ricci.dsl.types import Kind
from ricci.lowering.integrate import events
from ricci.lowering.integrate.system import TIME, Attempt, Method, System, Terms, both, integer, largest, norm, number, real

STOP, TOLERANCE, MAX_STEPS = real("ctl:t_stop"), real("ctl:tol"), integer("ctl:max_steps")
DT, ERROR = real("ctl:dt"), real("ctl:error")
STEPS, REJECTED, STATUS = integer("ctl:steps"), integer("ctl:rejected"), integer("ctl:status")
DT_MIN, DT_MAX, GROWTH = real("ctl:dt_min"), real("ctl:dt_max"), real("ctl:growth")

RUNNING, REACHED, MORE_STEPS, NOT_FINITE, UNDERFLOW, NOT_CONVERGED, EVENT = -1, 0, 1, 2, 3, 4, 10
SAFETY, SHRINK, GROW = Fraction(9, 10), Fraction(1, 5), Fraction(5)
SMALLEST_SCALE = Fraction(1, 10**300)
ROUNDING = Fraction(1, 10**12)  # data below this fraction of others of their unit count as zero
SHARE = Fraction(1, 1000)  # and then take this fraction of the others as their scale


def scale_symbol(state: str) -> Term:
    return real(f"scale:{state}")


@dataclass
class Carries:
    """The carries of the loop, in order: symbol in the body, value before the loop, value after one attempt."""

    symbols: list[Term] = field(default_factory=list)
    before: list[Term] = field(default_factory=list)
    after: list[Term] = field(default_factory=list)

    def add(self, symbol: Term, before: Term, after: Term) -> None:
        self.symbols.append(symbol)
        self.before.append(build.cast(before, symbol.kind))
        self.after.append(build.cast(after, symbol.kind))


@dataclass(frozen=True)
class Length:
    """The length of the next attempt. `last`: it ends at t_stop; `cut`: it is shorter than the controller's dt."""

    dt: Term
    last: Term
    cut: Term


@dataclass(frozen=True)
class Verdict:
    """What the error of an attempt means. `accept` bool; `dt`, `error`, `growth`: the controller's next carries."""

    accept: Term
    finite: Term
    dt: Term
    error: Term
    growth: Term
    scales: Terms


def time_loop(program: Program, method: Method, step: Term | None) -> Function:
    """`advance`: from (t, states) towards t_stop with `method`; `step`: the length of a fixed-step method."""
    system = System(program)
    states = system.symbols
    memory = method.memory(system)
    location = events.Location(system) if system.events else None
    length = _length(step, location)
    attempt = method.attempt(system, TIME, length.dt, states, tuple(memory.values()))
    verdict = _fixed(attempt) if step is not None else _adaptive(program, method, attempt, length)
    found = location.judge(length.dt, attempt.states, verdict.accept, DT) if location else None
    accept = found.accept if found else verdict.accept
    scales = tuple(scale_symbol(s.name) for s in program.states) if step is None else ()

    carries = Carries()
    begin = _start(program, method, system, step, tuple(memory.values()), scales)
    t_new = build.where(length.last, STOP, build.add(TIME, length.dt))
    carries.add(TIME, TIME, build.where(accept, t_new, TIME))
    carries.add(ERROR, ERROR, build.where(build.apply("or", length.cut, build.apply("not", accept)), ERROR, verdict.error))
    carries.add(GROWTH, GROWTH, verdict.growth)
    one = build.cast(accept, Kind.INT)
    carries.add(STEPS, build.const(0), build.add(STEPS, one))
    carries.add(REJECTED, build.const(0), build.add(REJECTED, build.sub(build.const(1), one)))
    _extremes(carries, length, accept)
    for symbol, old, new in zip(scales, begin.scales, verdict.scales, strict=True):
        carries.add(symbol, old, build.where(accept, new, symbol))
    for symbol, old, new in zip(states, begin.states, attempt.states, strict=True):
        carries.add(symbol, old, build.where(accept, new, symbol))
    for symbol, old, new in zip(memory.values(), begin.memory, attempt.memory, strict=True):
        carries.add(symbol, old, build.where(accept, new, symbol))
    fired = location.carry(carries.add, found, TIME, states) if location and found else None
    carries.add(DT, begin.dt, _next_dt(verdict, found, fired, step))
    status = _status(length, verdict, accept, found, fired, attempt.failed, step)
    carries.add(STATUS, _first_status(fired.at_entry if fired else None), status)
    return _function(program, system, method, tuple(memory.values()), carries)


def _length(step: Term | None, location: events.Location | None) -> Length:
    """Hit t_stop exactly, without a tiny last step: take the rest when it is within reach, half of it when nearly."""
    rest = build.sub(STOP, TIME)
    if step is not None:
        last = build.apply("le", rest, build.scale(1 + Fraction(1, 10**6), DT))
        dt = build.where(last, rest, DT)
    else:
        last = build.apply("le", rest, build.scale(Fraction(101, 100), DT))
        half = build.apply("lt", rest, build.scale(2, DT))
        dt = build.where(last, rest, build.where(half, build.scale(Fraction(1, 2), rest), DT))
    if location:
        dt, last = location.limit(dt, last)
    return Length(dt, last, build.apply("lt", dt, DT))


def _next_dt(verdict: Verdict, found: events.Found | None, fired: events.Fired | None, step: Term | None) -> Term:
    """The controller's dt: unchanged while a root is located; after an event, which is a new start, it is estimated anew."""
    if found is None or fired is None or step is not None:
        return verdict.dt
    going_on = build.where(found.held, DT, verdict.dt)
    return build.where(build.apply("le", build.const(EVENT), fired.in_loop), number(0), going_on)


def _fixed(attempt: Attempt) -> Verdict:
    """Every converged step is accepted, also one that is not finite: the caller looks for the place."""
    new = [y for y in attempt.states if y.op != "symbol"] or attempt.states  # what was there before has been looked at
    finite = build.apply("lt", largest([norm(y) for y in new]), build.const(float("inf")))
    accept = build.const(True) if attempt.failed is None else build.apply("not", attempt.failed)
    return Verdict(accept, finite, DT, ERROR, GROWTH, ())


def _adaptive(program: Program, method: Method, attempt: Attempt, length: Length) -> Verdict:
    """Accept when max_states |error| / (`_local` * scale) <= 1; the next dt by a proportional-integral controller.

    Hairer, Wanner, Solving Ordinary Differential Equations II, section IV.2.
    """
    assert attempt.error is not None
    scales = [build.apply("max2", scale_symbol(s.name), norm(y)) for s, y in zip(program.states, attempt.states, strict=True)]
    local = _local(method)
    ratios = [
        build.divide(norm(e), build.apply("max2", build.mul(local, scale), number(SMALLEST_SCALE)))
        for e, scale in zip(attempt.error, _seen(program, scales), strict=True)
    ]
    error = largest(ratios)
    finite = build.apply("lt", largest([error, *scales]), build.const(float("inf")))
    accept = both(finite, build.apply("le", error, number(1)))
    if attempt.failed is not None:
        accept = both(accept, build.apply("not", attempt.failed))
    order = method.error_order
    bounded = build.apply("max2", error, number("1e-10"))
    if method.implicit:
        wanted = build.apply("pow", bounded, number(Fraction(-1, order)))
    else:
        wanted = build.mul(
            build.apply("pow", bounded, number(Fraction(-7, 10 * order))), build.apply("pow", ERROR, number(Fraction(4, 10 * order)))
        )
    factor = _clamp(build.scale(SAFETY, wanted), number(SHRINK), GROWTH)
    grown = build.mul(length.dt, factor)
    grown = build.where(length.cut, build.apply("max2", DT, grown), grown)
    back = _clamp(build.scale(SAFETY, build.apply("pow", bounded, number(Fraction(-1, order)))), number(SHRINK), number(SAFETY))
    back = build.where(finite, back, number(SHRINK))
    return Verdict(
        accept,
        finite,
        build.where(accept, grown, build.mul(length.dt, back)),
        bounded,
        build.where(accept, number(GROW), number(1)),
        tuple(scales),
    )


def _local(method: Method) -> Term:
    """The bound of the relative error estimate of a step, such that the error of a run is proportional to tol.

    A run of a method of order p has an error ~ dt^p, its estimate is ~ dt^q: the bound is tol^(q/p). (Most methods estimate the
    error of a solution of order p - 1 beside theirs: q = p. See decision 003.)
    """
    share = Fraction(method.error_order, method.order)
    return TOLERANCE if share == 1 else build.apply("pow", TOLERANCE, number(share))


def _clamp(value: Term, low: Term, high: Term) -> Term:
    return build.apply("max2", low, build.apply("min2", value, high))


@dataclass(frozen=True)
class Begin:
    """Values of the carries before the first attempt."""

    dt: Term
    scales: Terms
    memory: Terms
    states: Terms


def _start(program: Program, method: Method, system: System, step: Term | None, memory: Terms, scales: Terms) -> Begin:
    states = system.symbols
    first = method.start(system, TIME, step, states)
    carried = method.enter(system, TIME, step, states)
    if step is not None:
        return Begin(step, (), first, carried)
    begin = _initial_scales(program, states, scales)
    rates = system.rates(TIME, states)
    speeds = [
        build.where(build.apply("lt", number(0), s), build.divide(norm(f), build.apply("max2", s, number(SMALLEST_SCALE))), number(0))
        for f, s in zip(rates, begin, strict=True)
    ]
    speed = largest(speeds)
    rest = build.sub(STOP, TIME)
    guess = build.divide(number("1/100"), build.apply("max2", speed, number(SMALLEST_SCALE)))
    guess = build.where(build.apply("lt", number(0), speed), build.apply("min2", guess, rest), build.scale(Fraction(1, 1000), rest))
    bounded = build.where(build.apply("lt", DT, number(0)), build.apply("min2", guess, build.neg(DT)), guess)
    return Begin(build.where(build.apply("lt", number(0), DT), DT, bounded), begin, first, carried)


def _initial_scales(program: Program, states: Terms, scales: Terms) -> Terms:
    """Running scale: max(scale, |y|), or a share of the others."""
    return _seen(program, [build.apply("max2", s, norm(y)) for s, y in zip(scales, states, strict=True)])


def _seen(program: Program, own: Sequence[Term]) -> Terms:
    """Scales; where one is (nearly) zero, a share of the largest of the same unit.

    What begins at zero and grows like t^3 beside t has an error in its first step that is as large as itself, however short the step.
    """
    groups: dict[object, list[Term]] = {}
    for state, scale in zip(program.states, own, strict=True):
        groups.setdefault(state.unit.powers, []).append(scale)
    result = []
    for state, scale in zip(program.states, own, strict=True):
        together = largest(groups[state.unit.powers])
        vanishes = build.apply("le", scale, build.scale(ROUNDING, together))
        result.append(build.where(vanishes, build.scale(SHARE, together), scale))
    return tuple(result)


def _extremes(carries: Carries, length: Length, accept: Term) -> None:
    """Least and largest accepted dt; steps cut short to hit an instant count only while there is no other."""
    counts = both(accept, build.apply("or", build.apply("not", length.cut), build.apply("eq", DT_MAX, number(0))))
    first = build.apply("eq", DT_MAX, number(0))
    smaller = build.where(first, length.dt, build.apply("min2", DT_MIN, length.dt))
    carries.add(DT_MIN, number(0), build.where(counts, smaller, DT_MIN))
    carries.add(DT_MAX, number(0), build.where(counts, build.apply("max2", DT_MAX, length.dt), DT_MAX))


def _first_status(fired: Term | None) -> Term:
    nothing_to_do = build.apply("le", STOP, TIME)
    status = build.where(nothing_to_do, build.const(REACHED), build.const(RUNNING))
    return status if fired is None else build.where(build.apply("le", build.const(EVENT), fired), fired, status)


def _status(
    length: Length,
    verdict: Verdict,
    accept: Term,
    found: events.Found | None,
    fired: events.Fired | None,
    failed: Term | None,
    step: Term | None,
) -> Term:
    """Why the loop ends after this attempt, or RUNNING."""
    attempts = build.add(STEPS, REJECTED, build.const(1))
    enough = build.apply("le", MAX_STEPS, attempts)
    if found is not None:  # the search for a root is not carried from call to call
        enough = both(enough, build.apply("le", found.bracket, number(0)))
    running = build.where(enough, build.const(MORE_STEPS), build.const(RUNNING))
    after = build.where(both(accept, length.last), build.const(REACHED), running)
    if step is not None:
        if failed is not None:
            after = build.where(failed, build.const(NOT_CONVERGED), after)
        status = build.where(verdict.finite, after, build.const(NOT_FINITE))
    else:
        floor = build.add(
            build.scale(Fraction(1, 2**50), build.apply("abs", TIME)), build.scale(Fraction(1, 10**24), build.sub(STOP, TIME))
        )
        hopeless = both(build.apply("not", verdict.accept), build.apply("le", verdict.dt, floor))
        cause: Term = build.const(UNDERFLOW)
        if failed is not None:
            cause = build.where(failed, build.const(NOT_CONVERGED), cause)
        cause = build.where(verdict.finite, cause, build.const(NOT_FINITE))
        status = build.where(hopeless, cause, after)
    if fired is not None:
        status = build.where(build.apply("le", build.const(EVENT), fired.in_loop), fired.in_loop, status)
    return status


def _function(program: Program, system: System, method: Method, memory: Terms, carries: Carries) -> Function:
    """The closed function `advance` around the loop."""
    condition = build.apply("eq", STATUS, build.const(RUNNING))
    constants = system.constants(carries.after, carries.symbols)
    params = (*carries.symbols, *constants)
    body = Function("step", params, tuple((name_of(s), a) for s, a in zip(carries.symbols, carries.after, strict=True)))
    running = Function("running", params, (("running", condition),))
    loop = build.iterate(body, running, tuple(carries.before), constants)
    last = {s: build.proj(loop, k) for k, s in enumerate(carries.symbols)}
    left = method.leave(system, last[TIME], tuple(last[s] for s in system.symbols), tuple(last[s] for s in memory))
    given = last | dict(zip(system.symbols, left, strict=True))
    results = tuple((name_of(s), value) for s, value in given.items() if _is_result(program, s))
    own = [s for s in carries.symbols if _is_input(program, s)]
    outer = system.constants([loop, *left], [TIME, STOP, TOLERANCE, MAX_STEPS, *own])
    return Function("advance", (TIME, STOP, TOLERANCE, MAX_STEPS, *(s for s in own if s is not TIME), *outer), results)


_OUTPUT_ONLY = frozenset(map(name_of, (STEPS, REJECTED, STATUS, DT_MIN, DT_MAX)))


def _is_result(program: Program, symbol: Term) -> bool:
    name = name_of(symbol)
    return not name.startswith(("ctl:last:", "ctl:root:", "ctl:rate:"))


def _is_input(program: Program, symbol: Term) -> bool:
    return _is_result(program, symbol) and name_of(symbol) not in _OUTPUT_ONLY


def first_controls(function: Function) -> dict[str, float]:
    """Values of the loop's own parameters before the first call of `advance`."""
    first = {name_of(ERROR): 1.0, name_of(GROWTH): float(GROW)}
    names = [name_of(p) for p in function.params]
    own = {name_of(s) for s in (STOP, TOLERANCE, MAX_STEPS)}
    return {
        name: first.get(name, -1 if name.startswith("ctl:armed:") else 0.0)
        for name in names
        if name.startswith(("ctl:", "scale:")) and name not in own
    }
