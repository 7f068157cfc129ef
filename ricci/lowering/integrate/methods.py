"""The methods by name, and the `time:` option that names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ricci.dsl import build
from ricci.dsl.model import Call, Option
from ricci.dsl.remedies import instead
from ricci.dsl.spelling import nearest
from ricci.dsl.term import Term
from ricci.dsl.types import Kind
from ricci.errors import CannotLower, CheckFailed, Span
from ricci.lowering.integrate import tableaux
from ricci.lowering.integrate.dirk import DiagonallyImplicit
from ricci.lowering.integrate.explicit import Explicit
from ricci.lowering.integrate.leapfrog import Leapfrog
from ricci.lowering.integrate.rosenbrock import Rosenbrock
from ricci.lowering.integrate.system import Method

_ALL: tuple[Method, ...] = (
    *map(Explicit, tableaux.EXPLICIT),
    Leapfrog(),
    *map(DiagonallyImplicit, tableaux.DIAGONALLY_IMPLICIT),
    *map(Rosenbrock, tableaux.ROSENBROCK),
)
METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
# understood, and not built yet
PLANNED = {
    "strang": "splitting a right-hand side into parts",
    "etdrk4": "exponential integrators of spectral space",
    "rk222": "methods that treat parts of an equation implicitly",
}


@dataclass(frozen=True)
class Integrator:
    """A method, and the step if it is fixed (a term of params)."""

    method: Method
    dt: Term | None = None
    span: Span | None = None

    @property
    def adaptive(self) -> bool:
        return self.dt is None


def named(option: Option) -> Integrator:
    """The integrator of `time: name` or `time: name(dt=...)`; E0104 for unknown names, E0601 for planned ones."""
    call = _call(option)
    span = call.span or option.span
    if call.name in PLANNED:
        raise CannotLower("E0601", f"this version cannot run `time: {call.name}`: it has no {PLANNED[call.name]}", span)
    method = METHODS.get(call.name)
    if method is None:
        raise CheckFailed(
            "E0104",
            f"there is no time integrator `{call.name}`",
            span,
            label="unknown",
            help=_remedy(option, _instead(call.name)),
            notes=(f"there are {', '.join(METHODS)}",),
        )
    dt = _step(call, method, span)
    return Integrator(method, dt, span)


def _call(option: Option) -> Call:
    values = option.arguments
    if len(values) != 1 or option.keywords:
        raise CheckFailed("E0104", "`time:` takes one time integrator", option.span, help=_remedy(option, "dp54"))
    (value,) = values
    if isinstance(value, Call):
        return value
    if isinstance(value, str):
        return Call(value, span=option.span)
    raise CheckFailed("E0104", "`time:` takes the name of a time integrator, this is a value", option.span, help=_remedy(option, "dp54"))


def _remedy(option: Option, choice: str) -> str:
    """The `solve` with another choice."""
    return instead(option.span, f"time: {choice}") if option.span is not None else ""


def _instead(name: str) -> str:
    close = nearest(name, METHODS)
    return close if close is not None and METHODS[close].adaptive else "dp54"


def _step(call: Call, method: Method, span: Span | None) -> Term | None:
    known: dict[str, Any] = dict(call.keywords)
    extra = [name for name in known if name != "dt"]
    if extra or call.arguments:
        what = f"`{extra[0]}`" if extra else "a value without a name"
        raise CheckFailed("E0104", f"`{call.name}` does not take {what}", span, label="it takes `dt`, the step")
    dt = known.get("dt")
    if dt is None:
        if not method.adaptive:
            raise CheckFailed("E0104", f"`{call.name}` has a fixed step and needs it", span, label="no `dt`")
        return None
    if not isinstance(dt, Term) or dt.axes or dt.kind > Kind.REAL:
        raise CheckFailed("E0104", f"the step of `{call.name}` must be a number", span)
    return build.cast(dt, Kind.REAL)
