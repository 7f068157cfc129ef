"""Events: margins watched at step ends; a crossing is located by making the step shorter, inside the same loop.

An event is *armed* while its margin is not positive; it fires when an armed margin becomes positive, so once per crossing.
A crossing in an attempt of length dt brackets the root in (t, t + dt]. Every further attempt starts at t: one that does not
cross is accepted (t moves up to the root from below), one that crosses shortens the bracket; its length comes from the
Illinois variant of regula falsi (Dowell, Jarratt, BIT 11, 1971). The event fires at the end of an attempt that crosses
and is no longer than the time tolerance, or at a point where the margin is exactly zero (margins of t alone).
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
FIRST = 10  # status of event 0

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
class Location:
    """Root search of all events of a system. Carries of event k: `armed`, the margin at t, the margin at the bracket's end."""

    system: System

    def armed(self, k: int) -> Term:
        return integer(f"ctl:armed:{k}")

    def margin(self, k: int) -> Term:
        return real(f"ctl:last:{k}")

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
        near = build.scale(NEAR, build.apply("max2", build.apply("abs", TIME), controller))
        after = build.add(TIME, dt)
        margins = tuple(build.cast(self.system.margin(k, after, states), Kind.REAL) for k in ks)
        watched = [both(accept, build.apply("eq", self.armed(k), build.const(1))) for k in ks]
        crossed = tuple(both(w, build.apply("lt", zero, g)) for w, g in zip(watched, margins, strict=True))
        short = build.apply("le", dt, near)
        exact = both(self.locating, build.apply("not", any_of(crossed)))
        at_end = tuple(
            build.apply("or", both(c, short), both(exact, w, build.apply("eq", g, zero)))
            for c, w, g in zip(crossed, watched, margins, strict=True)
        )
        at_start = [both(c, build.apply("eq", self.margin(k), zero)) for k, c in zip(ks, crossed, strict=True)]
        here = any_of(tuple(at_start))
        crossing = any_of(crossed)
        moves = both(accept, build.apply("or", build.apply("not", crossing), both(any_of(at_end), build.apply("not", here))))
        bracket, trial, side = self._next(dt, near, accept, crossing, crossed, margins)
        held = both(accept, build.apply("or", self.locating, crossing))
        return Found(moves, held, bracket, trial, side, here, margins, crossed, at_end)

    def _next(self, dt: Term, near: Term, accept: Term, crossing: Term, crossed: Terms, margins: Terms) -> tuple[Term, Term, Term]:
        """The next bracket, trial length and side. Side 1: the upper end moved last, -1: the lower end did."""
        zero, half = number(0), number(Fraction(1, 2))
        rest = build.where(accept, build.sub(BRACKET, dt), BRACKET)
        bracket = build.where(crossing, dt, build.where(self.locating, build.apply("max2", rest, zero), zero))
        weight = build.where(both(crossing, build.apply("eq", SIDE, build.const(1))), half, number(1))
        part = number(1)
        for k, (c, g) in enumerate(zip(crossed, margins, strict=True)):
            low = build.where(crossing, build.mul(weight, self.margin(k)), build.where(accept, g, self.margin(k)))
            high = build.where(crossing, g, self._end(k, accept))
            brackets = both(build.apply("lt", zero, high), build.apply("le", low, zero))
            inside = build.apply("or", c, both(build.apply("not", crossing), brackets))
            width = build.where(brackets, build.sub(high, low), number(1))
            part = build.where(inside, build.apply("min2", part, build.divide(build.neg(low), width)), part)
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
        for k in range(self.system.events):
            first = build.cast(self.system.margin(k, t, states), Kind.REAL)
            negative = build.apply("lt", first, number(0))
            fresh = build.where(build.apply("eq", first, number(0)), build.const(1), build.const(0))
            unknown = build.apply("eq", self.armed(k), build.const(-1))
            armed = build.where(negative, build.const(1), build.where(unknown, fresh, self.armed(k)))
            true = both(build.apply("eq", armed, build.const(1)), build.apply("lt", number(0), first))
            at_once = both(build.apply("eq", entry, build.const(-1)), true)  # one event a call: the others stay armed
            entry = build.where(at_once, build.const(FIRST + k), entry)
            here = both(found.fires_here, found.crossed[k], build.apply("eq", self.margin(k), number(0)))
            end = both(build.apply("not", found.fires_here), found.accept, found.at_end[k])
            now = both(build.apply("eq", loop, build.const(-1)), build.apply("or", here, end))
            loop = build.where(now, build.const(FIRST + k), loop)
            again = both(found.accept, build.apply("lt", found.margins[k], number(0)))
            add(
                self.armed(k),
                build.where(at_once, build.const(0), armed),
                build.where(now, build.const(0), build.where(again, build.const(1), self.armed(k))),
            )
            add(self.margin(k), first, build.where(found.accept, found.margins[k], self.margin(k)))
            add(self.beyond(k), number(0), build.where(crossing, found.margins[k], self._end(k, found.accept)))
        add(BRACKET, number(0), found.bracket)
        add(TRIAL, number(0), found.trial)
        add(SIDE, build.const(0), found.side)
        return Fired(entry, loop)


def any_of(conditions: Terms) -> Term:
    result = conditions[0]
    for condition in conditions[1:]:
        result = build.apply("or", result, condition)
    return result
