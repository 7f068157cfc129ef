"""Why a run could not go on, in the words of the model: which field, where, when, and what in its equation has become too large."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ricci import driver
from ricci.backends.binding import Binding
from ricci.backends.simulation import NO_CONVERGENCE, NOT_FINITE, RunFailed, parameter_names
from ricci.dsl import reference
from ricci.dsl.model import Equation, Initial, Model
from ricci.dsl.program import Program, State
from ricci.dsl.remedies import quantity, time_unit, with_options
from ricci.dsl.term import Function
from ricci.errors import CannotRun, Span
from ricci.faces.declared import positions
from ricci.lowering.discretize.grid import node_of

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Any]

SINGULAR = 1e-8  # a field that doubles within this part of the time so far has no future
SHORTEST, FACTOR, PROBES, HALVINGS = 1e-13, 8.0, 16, 12  # lengths of steps, relative to the time so far, on which NaN is looked for
BEFORE = 0.99  # part of the time until a singularity that a run is advised to cover


@dataclass(frozen=True)
class Spot:
    """One value of one state."""

    state: State
    place: tuple[int, ...]


@dataclass(frozen=True)
class Failures:
    """Turns a `RunFailed` of the program into the error that users see."""

    model: Model
    program: Program
    binding: Binding
    method: Any  # the Integrator
    longest: float  # the largest accepted step

    def explain(self, failure: RunFailed) -> CannotRun:
        """E0701, E0702 or E0703 with field, place, time and the part of the equation that is to blame."""
        with np.errstate(all="ignore"):
            found = self._not_finite(failure.states)
            if found is not None:
                return self._given(found, failure)
            rates = self._rates(failure.time, failure.states)
            found = self._not_finite(rates)
            if found is not None:
                return self._nan(found, failure, failure.time, failure.states, rates)
            fastest = self._fastest(failure.states, rates)
            if failure.status == NO_CONVERGENCE:
                return self._no_convergence(fastest, failure, rates)
            if self._singular(fastest, failure, rates):
                return self._blow_up(fastest, failure, rates)
            probed = self._probe(failure, rates)
            if probed is not None:
                spot, time, states, there = probed
                return self._nan(spot, failure, time, states, there)
            if failure.status == NOT_FINITE:
                return self._nan(fastest, failure, failure.time, failure.states, rates)
            return self._jump(failure, rates)

    # where

    def _rates(self, time: float, states: Arrays) -> dict[str, Any]:
        return self._function(self.program.functions["rhs"], time, states)

    def _function(self, function: Function, time: float, states: Arrays) -> dict[str, Any]:
        known = {**self.binding.values, **states, "t": time}
        values = reference.call(function, [known[p] for p in parameter_names(function)], self.binding.sizes)
        return dict(zip((n for n, _ in function.results), values, strict=True))

    def _not_finite(self, arrays: Arrays) -> Spot | None:
        """The first NaN, or else the first infinite value."""
        for bad in (np.isnan, lambda a: ~np.isfinite(a)):
            for state in self.program.states:
                where = np.argwhere(bad(np.asarray(arrays[state.name])))
                if len(where):
                    return Spot(state, tuple(int(i) for i in where[0]))
        return None

    def _fastest(self, states: Arrays, rates: Arrays) -> Spot:
        """The state that changes most in its own measure, where it does."""

        def speed(state: State) -> float:
            size = float(np.max(np.abs(states[state.name]), initial=0.0))
            return float(np.max(np.abs(rates[state.name]), initial=0.0)) / size if size else 0.0

        state = max(self.program.states, key=speed)
        rate = np.abs(np.asarray(rates[state.name]))
        return Spot(state, tuple(int(i) for i in np.unravel_index(int(np.argmax(rate)), rate.shape)) if rate.size else ())

    def _probe(self, failure: RunFailed, rates: Arrays) -> tuple[Spot, float, Arrays, Arrays] | None:
        """Follow the rates from the last states until something is not finite: its spot, time, states and rates there."""
        fine, h = 0.0, SHORTEST * max(abs(failure.time), self.longest)
        found = None
        for _ in range(PROBES):
            found = self._follow(failure, rates, h)
            if found is not None:
                break
            fine, h = h, FACTOR * h
        for _ in range(HALVINGS if found is not None else 0):  # the first of many places
            middle = 0.5 * (fine + h)
            there = self._follow(failure, rates, middle)
            fine, h, found = (middle, h, found) if there is None else (fine, middle, there)
        return found

    def _follow(self, failure: RunFailed, rates: Arrays, h: float) -> tuple[Spot, float, Arrays, Arrays] | None:
        """What is not finite a step of length h after the last states."""
        states = {s.name: failure.states[s.name] + h * rates[s.name] for s in self.program.states}
        spot = self._not_finite(states)
        if spot is not None:
            return spot, failure.time, failure.states, rates
        there = self._rates(failure.time + h, states)
        spot = self._not_finite(there)
        return None if spot is None else (spot, failure.time + h, states, there)

    def _where(self, spot: Spot) -> str:
        """`x = 0.5 [m], y = 2 [m]`; indices of a family as they are counted."""
        found = []
        for axis, index in zip(spot.state.symbol.axes, spot.place, strict=True):
            name, node = node_of(axis, index)
            known = positions(self.program, self.model, self.binding, (name,)).get(name)
            if known is None:
                found.append(f"{name} = {node}")
            else:
                found.append(f"{name} = {float(known.values[node]):.6g}" + (f" [{known.unit}]" if known.unit else ""))
        return ", ".join(found)

    def _when(self, time: float) -> str:
        return f"t = {_shown(time, time_unit(self.program.statement, self.program.time_unit))}"

    def _moment(self, spot: Spot, failure: RunFailed) -> str:
        """`step 12, t = 0.5 [s], x = 3 [m]`."""
        return ", ".join(filter(None, [f"step {failure.step}", self._when(failure.time), self._where(spot)]))

    # why

    def _equation(self, spot: Spot) -> Equation:
        return next(e for e in self.model.equations if e.determines == spot.state.field)

    def _parts(self, spot: Spot, time: float, states: Arrays) -> dict[str, Any]:
        """What is added up in the equation, at the spot, by its text."""
        function = driver.summands(self.model, self.program, spot.state.name)
        return {n: np.asarray(v)[spot.place] for n, v in self._function(function, time, states).items()} if function.results else {}

    def _part(self, spot: Spot, time: float, states: Arrays) -> str:
        """The summand that is NaN there, or infinite, or else the largest: "`u^2` is 1e+300 there"."""
        values = self._parts(spot, time, states)
        if not values:
            return ""
        text = max(values, key=lambda n: _size(values[n]))
        return f"`{text}` is {_shown(values[text])} there"

    def _value(self, spot: Spot, states: Arrays) -> str:
        return f"`{spot.state.name}` = {_shown(np.asarray(states[spot.state.name])[spot.place], spot.state.shown)}"

    # messages

    def _given(self, spot: Spot, failure: RunFailed) -> CannotRun:
        """Initial values, or those that an event assigns."""
        value = np.asarray(failure.states[spot.state.name])
        word = "NaN" if np.isnan(value[spot.place]) else "infinite"
        bad = int((~np.isfinite(value)).sum())
        notes = (f"{bad} of its {value.size} values are not finite",) if value.size > 1 else ()
        if failure.event is not None:
            event = self.model.events[failure.event]
            moment = self._moment(spot, failure)
            return CannotRun("E0701", f"this event sets `{spot.state.name}` to {word} at {moment}", event.span, notes=notes)
        where = ", ".join(filter(None, [self._when(failure.time), self._where(spot)]))
        return CannotRun("E0701", f"`{spot.state.name}` starts as {word} at {where}", self._start(spot), notes=notes)

    def _start(self, spot: Spot) -> Span | None:
        state = spot.state
        found: Initial | None = next((i for i in self.model.initials if (i.field, i.time_order) == (state.field, state.time_order)), None)
        return found.span if found is not None else None

    def _nan(self, spot: Spot, failure: RunFailed, time: float, states: Arrays, rates: Arrays) -> CannotRun:
        rate = np.asarray(rates[spot.state.name])[spot.place]
        word = "infinite" if np.isinf(rate) or np.isfinite(rate) else "NaN"
        notes = [f"there {self._value(spot, states)}"]
        if self.method.dt is not None and np.isfinite(rate):
            notes.append(f"the step of `{self.method.method.name}` may be too large")
        message = f"`{spot.state.name}` becomes {word} at {self._moment(spot, failure)}"
        return CannotRun("E0701", message, self._equation(spot).span, label=self._part(spot, time, states), notes=tuple(notes))

    def _no_convergence(self, spot: Spot, failure: RunFailed, rates: Arrays) -> CannotRun:
        equation = self._equation(spot)
        return CannotRun(
            "E0702",
            f"Newton's iteration of the implicit step did not converge at step {failure.step}, {self._when(failure.time)}",
            equation.span,
            label=f"`{spot.state.name}` changes fastest, at {self._where(spot)}" if spot.place else "",
            notes=(f"there {self._value(spot, failure.states)}", "a fixed implicit step may be too large for this equation"),
            help=with_options(self.program.statement, [("time", "rodas4p")]),
        )

    def _singular(self, spot: Spot, failure: RunFailed, rates: Arrays) -> bool:
        size = float(np.max(np.abs(failure.states[spot.state.name]), initial=0.0))
        rate = float(np.abs(np.asarray(rates[spot.state.name])[spot.place]))
        return failure.time > 0 and size < SINGULAR * failure.time * rate

    def _blow_up(self, spot: Spot, failure: RunFailed, rates: Arrays) -> CannotRun:
        value = np.asarray(failure.states[spot.state.name])[spot.place]
        rate = np.asarray(rates[spot.state.name])[spot.place]
        grows = (value * np.conj(rate)).real > 0
        unit = time_unit(self.program.statement, self.program.time_unit)
        last = _rounded_down(BEFORE * failure.time / float(unit.factor)) * float(unit.factor)
        what = f"`{spot.state.name}` {'grows without bound' if grows else 'changes ever faster'}"
        what += ", and no step is small enough to follow it" if self.method.adaptive else ""
        return CannotRun(
            "E0703" if self.method.adaptive else "E0701",
            f"{what}: {self._moment(spot, failure)}",
            self._equation(spot).span,
            label=self._part(spot, failure.time, failure.states),
            notes=(f"there {self._value(spot, failure.states)}; the solution seems to end here: look at it before",),
            help=with_options(self.program.statement, [("until", f"t={quantity(last, unit)}")]),
        )

    def _jump(self, failure: RunFailed, rates: Arrays) -> CannotRun:
        """A right-hand side that is not smooth: the place where it changes most over the shortest step."""
        h = SHORTEST * FACTOR * max(abs(failure.time), self.longest)
        states = {s.name: failure.states[s.name] + h * rates[s.name] for s in self.program.states}
        there = self._rates(failure.time + h, states)
        change = {s.name: there[s.name] - rates[s.name] for s in self.program.states}
        spot = self._fastest(failure.states, change)
        before, after = self._parts(spot, failure.time, failure.states), self._parts(spot, failure.time + h, states)
        part = max(before, key=lambda n: _size(after[n] - before[n]), default="")
        options = []
        if self.longest > 0:
            unit = time_unit(self.program.statement, self.program.time_unit)
            step = _rounded_down(self.longest / float(unit.factor)) * float(unit.factor)
            options = [("time", f"{self.method.method.name}(dt={quantity(step, unit)})")]
        return CannotRun(
            "E0703",
            f"the rate of `{spot.state.name}` is not smooth, and no step is small enough to keep `tol`: {self._moment(spot, failure)}",
            self._equation(spot).span,
            label=f"`{part}` goes from {_shown(before[part])} to {_shown(after[part])} there" if part else "",
            notes=("a jump at a known condition is an `event`; a fixed step goes over it, without an estimate of the error",),
            help=with_options(self.program.statement, options) if options else "",
        )


def _shown(value: Any, unit: Any = None) -> str:
    """A number for a message, in a unit."""
    number = complex(value) if np.iscomplexobj(value) else float(value)
    if unit is not None:
        number = (number - float(unit.offset)) / float(unit.factor or 1)
    text = "NaN" if number != number else f"{number:.6g}"
    return f"{text} [{unit.text}]" if unit is not None and unit.text else text


def _size(value: Any) -> float:
    size = float(abs(value))
    return math.inf if math.isnan(size) else size


def _rounded_down(value: float) -> float:
    """Three digits, not more than the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / step) * step
