"""Events: margins watched at step ends; a crossing is located by making the step shorter, inside the same loop.

An event is *armed* while its margin is not positive; it fires when an armed margin becomes positive, so once per crossing.
Where it fires the margin has become positive by a rounding, its *level*, and what is assigned may take it down again at once (a ball
leaves the floor): such an event *leaves*, is armed, and fires when its margin exceeds the level. An attempt that begins so and ends
above it has gone over both roots and is cut until it ends between them; if none is, the event fires without being seen to be false.
Of margins nothing is seen that is smaller than the roundings of the states make.

A crossing in an attempt of length dt brackets the root in (t, t + dt]. Every further attempt starts at t: one that does not
cross is accepted (t moves up to the root from below), one that crosses shortens the bracket; its length comes from the
Illinois variant of regula falsi (Dowell, Jarratt, BIT 11, 1971). The event fires at the end of an attempt that crosses
and is no longer than the time tolerance, or at a point where the margin is zero (exactly so for margins of t alone).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ricci.dsl import build
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.lowering.integrate.system import TIME, System, Terms, both, integer, number, real

NEAR = Fraction(1, 2 * 10**12)  # relative time tolerance of a root
CUT = Fraction(1, 4)  # of an attempt over both roots
FIRST = 10  # status of event 0
SEEN, UNSEEN, IDLE, AGAIN, UNKNOWN = (
    1,
    2,
    0,
    -2,
    -1,
)  # armed: false since it fired, or perhaps; not armed: fired, fired when UNSEEN; at first

BRACKET, TRIAL, SIDE = real("ctl:root:bracket"), real("ctl:root:trial"), integer("ctl:root:side")


@dataclass(frozen=True)
class Found:
    """How the crossings in an attempt change the verdict. `held`: the controller's dt must not move."""

    accept: Term
    held: Term
    bracket: Term
    trial: Term
    side: Term
    fires_here: Term
    margins: Terms
    crossed: Terms
    at_end: Terms


@dataclass(frozen=True)
class Fired:
    """Status FIRST + k of the first event that fires, or -1: on entry (its condition came true in between), in the loop."""

    at_entry: Term
    in_loop: Term


@dataclass(frozen=True)
class Entry:
    """An event before the first attempt of a call: first values of its carries."""

    armed: Term
    level: Term
    margin: Term
    leaves: Term
    rounding: Term


@dataclass(frozen=True)
class Location:
    """Root search of all events of a system.

    Carries of event k: `armed`, its level, the margin at t, the margin at the bracket's end above the level, whether it leaves,
    the rounding of the margin.
    """

    system: System

    def armed(self, k: int) -> Term:
        return integer(f"ctl:armed:{k}")

    def margin(self, k: int) -> Term:
        return real(f"ctl:last:{k}")

    def level(self, k: int) -> Term:
        return real(f"ctl:level:{k}")

    def leaves(self, k: int) -> Term:
        return integer(f"ctl:root:leaves:{k}")

    def rounding(self, k: int) -> Term:
        return real(f"ctl:root:rounding:{k}")

    def above(self, k: int) -> Term:
        """Margin at t above the level."""
        return build.sub(self.margin(k), self.level(k))

    def beyond(self, k: int) -> Term:
        return real(f"ctl:root:beyond:{k}")

    @property
    def locating(self) -> Term:
        return build.apply("lt", number(0), BRACKET)

    def limit(self, dt: Term, last: Term) -> tuple[Term, Term]:
        """Length of the next attempt: the trial while a root is being located."""
        shorter = both(self.locating, build.apply("lt", TRIAL, dt))
        return build.where(shorter, TRIAL, dt), both(last, build.apply("not", shorter))

    def judge(self, dt: Term, states: Terms, accept: Term, controller: Term) -> Found:
        """Decide about an attempt that ends with `states`; `accept` is the verdict of its error."""
        ks = range(self.system.events)
        zero = number(0)
        near = _near(TIME, controller)
        after = build.add(TIME, dt)
        margins = tuple(build.cast(self.system.margin(k, after, states), Kind.REAL) for k in ks)
        watched = [both(accept, build.apply("lt", build.const(0), self.armed(k))) for k in ks]
        crossed = tuple(both(w, build.apply("lt", self.level(k), g)) for k, w, g in zip(ks, watched, margins, strict=True))
        short = build.apply("le", dt, near)
        below = both(self.locating, build.apply("not", any_of(crossed)))
        at_end = tuple(
            build.apply("or", both(c, short), both(below, w, self._arrived(k, g, short)))
            for k, c, w, g in zip(ks, crossed, watched, margins, strict=True)
        )
        at_start = [both(c, build.apply("eq", self.above(k), zero), _no(self.leaves(k))) for k, c in zip(ks, crossed, strict=True)]
        here = any_of(tuple(at_start))
        crossing = any_of(crossed)
        moves = both(accept, build.apply("or", build.apply("not", crossing), both(any_of(at_end), build.apply("not", here))))
        bracket, trial, side = self._next(dt, near, accept, crossing, crossed, margins)
        held = both(accept, build.apply("or", self.locating, crossing))
        return Found(moves, held, bracket, trial, side, here, margins, crossed, at_end)

    def _arrived(self, k: int, margin: Term, short: Term) -> Term:
        """The margin is at the level; after the shortest attempt also where it is below by no more than its rounding."""
        missing = build.sub(self.level(k), margin)
        nearly = both(
            short, build.apply("le", missing, self.rounding(k)), _no(self.leaves(k)), build.apply("lt", number(0), self.beyond(k))
        )
        return build.apply("or", build.apply("eq", missing, number(0)), nearly)

    def _next(self, dt: Term, near: Term, accept: Term, crossing: Term, crossed: Terms, margins: Terms) -> tuple[Term, Term, Term]:
        """The next bracket, trial length and side. Side 1: the upper end moved last, -1: the lower end did."""
        zero, half = number(0), number(Fraction(1, 2))
        rest = build.where(accept, build.sub(BRACKET, dt), BRACKET)
        bracket = build.where(crossing, dt, build.where(self.locating, build.apply("max2", rest, zero), zero))
        weight = build.where(both(crossing, build.apply("eq", SIDE, build.const(1))), half, number(1))
        part = number(1)
        for k, (c, g) in enumerate(zip(crossed, margins, strict=True)):
            g = build.sub(g, self.level(k))
            low = build.where(crossing, build.mul(weight, self.above(k)), build.where(accept, g, self.above(k)))
            high = build.where(crossing, g, self._end(k, accept))
            brackets = both(build.apply("lt", zero, high), build.apply("le", low, zero))
            inside = build.apply("or", c, both(build.apply("not", crossing), brackets))
            width = build.where(brackets, build.sub(high, low), number(1))
            root = build.where(_no(self.leaves(k)), build.divide(build.neg(low), width), number(CUT))
            part = build.where(inside, build.apply("min2", part, root), part)
        # the first trial aims at the root itself (exact for margins linear in t), later ones just below it
        below = build.where(build.apply("eq", SIDE, build.const(0)), zero, build.scale(Fraction(1, 2), near))
        trial = build.apply("max2", near, build.sub(build.mul(part, bracket), below))
        moved = build.where(accept, build.const(-1), SIDE)
        side = build.where(crossing, build.const(1), build.where(self.locating, moved, build.const(0)))
        ended = build.apply("le", bracket, zero)
        return bracket, trial, build.where(ended, build.const(0), side)

    def _end(self, k: int, accept: Term) -> Term:
        """Margin at the upper end of the bracket; halved when the lower end moves a second time."""
        again = both(accept, build.apply("eq", SIDE, build.const(-1)))
        return build.where(again, build.scale(Fraction(1, 2), self.beyond(k)), self.beyond(k))

    def carry(self, add: Callable[[Term, Term, Term], None], found: Found, t: Term, states: Terms) -> Fired:
        """Enter the carries of the search; say which event fires."""
        entry, loop = build.const(-1), build.const(-1)
        crossing = any_of(found.crossed)
        zero = number(0)
        for k in range(self.system.events):
            start = self._entry(k, t, states)
            true = both(build.apply("eq", start.armed, build.const(SEEN)), build.apply("lt", start.level, start.margin))
            at_once = both(build.apply("eq", entry, build.const(-1)), true)  # one event a call: the others stay armed
            entry = build.where(at_once, build.const(FIRST + k), entry)
            here = both(found.fires_here, found.crossed[k], build.apply("eq", self.above(k), zero), _no(self.leaves(k)))
            end = both(build.apply("not", found.fires_here), found.accept, found.at_end[k])
            now = both(build.apply("eq", loop, build.const(-1)), build.apply("or", here, end))
            loop = build.where(now, build.const(FIRST + k), loop)
            below = both(found.accept, build.apply("lt", found.margins[k], build.sub(self.level(k), self.rounding(k))))
            fired = build.where(build.apply("eq", self.armed(k), build.const(UNSEEN)), build.const(AGAIN), build.const(IDLE))
            add(
                self.armed(k),
                build.where(at_once, build.const(IDLE), start.armed),
                build.where(now, fired, build.where(below, build.const(SEEN), self.armed(k))),
            )
            reached = build.apply("max2", zero, build.where(here, self.margin(k), found.margins[k]))
            negative = both(found.accept, build.apply("lt", found.margins[k], zero))
            add(
                self.level(k),
                build.where(at_once, zero, start.level),
                build.where(now, reached, build.where(negative, zero, self.level(k))),
            )
            add(self.margin(k), start.margin, build.where(found.accept, found.margins[k], self.margin(k)))
            beyond = build.where(crossing, build.sub(found.margins[k], self.level(k)), self._end(k, found.accept))
            add(self.beyond(k), zero, beyond)
            add(self.leaves(k), start.leaves, build.where(below, build.const(0), self.leaves(k)))
            add(self.rounding(k), start.rounding, self.rounding(k))
        add(BRACKET, zero, found.bracket)
        add(TRIAL, zero, found.trial)
        add(SIDE, build.const(0), found.side)
        return Fired(entry, loop)

    def _entry(self, k: int, t: Term, states: Terms) -> Entry:
        """Event k before the first attempt of a call, perhaps just after it or another one has fired."""
        zero = number(0)
        margin = build.cast(self.system.margin(k, t, states), Kind.REAL)
        slope = self.system.margin_slope(k, t, states)
        rounding = build.group(self.system.margin_rounding(k, t, states))
        negative = build.apply("lt", margin, build.neg(rounding))
        level = build.where(negative, zero, self.level(k))
        # the margin at the start may be rounded otherwise than where the event fired
        reach = build.add(build.scale(2, level), build.mul(_near(t, zero), build.apply("abs", slope)), rounding)
        within = both(build.apply("not", negative), build.apply("le", margin, reach))
        idle = build.apply("or", build.apply("eq", self.armed(k), build.const(IDLE)), build.apply("eq", self.armed(k), build.const(AGAIN)))
        stays = both(build.apply("eq", slope, zero), idle)
        leaves = both(within, build.apply("or", build.apply("lt", slope, zero), stays))
        fresh = build.where(build.apply("le", margin, zero), build.const(SEEN), build.const(IDLE))
        old = build.where(build.apply("eq", self.armed(k), build.const(UNKNOWN)), fresh, self.armed(k))
        armed = build.where(negative, build.const(SEEN), build.where(both(leaves, idle), build.const(UNSEEN), old))
        level = build.where(leaves, build.apply("max2", level, margin), level)
        return Entry(armed, level, margin, build.cast(leaves, Kind.INT), rounding)


def _near(t: Term, dt: Term) -> Term:
    """The time tolerance of a root."""
    return build.scale(NEAR, build.apply("max2", build.apply("abs", t), dt))


def _no(flag: Term) -> Term:
    return build.apply("eq", flag, build.const(0))


def any_of(conditions: Terms) -> Term:
    result = conditions[0]
    for condition in conditions[1:]:
        result = build.apply("or", result, condition)
    return result
