"""symbol: a named quantity of declared type (param, field, input, weight, coordinate). Attributes: (name, type).

Three families have a meaning of their own: `#n` is the size of dim n (int), `pi` and `im` are the constants.
"""

from __future__ import annotations

from math import pi
from typing import Any

from ricci.dsl.ops import base
from ricci.dsl.ops.const import DTYPES
from ricci.dsl.term import Term, TermError
from ricci.dsl.types import Kind, Type

CONSTANTS = {"pi": pi, "im": 1j}


def make_symbol(name: str, type_: Type) -> Term:
    """The quantity of this name; the type is part of its identity."""
    if not name or not isinstance(type_, Type):
        raise TermError("a symbol has a name and a type")
    if name.startswith("#") and (type_.kind != Kind.INT or type_.axes):
        raise TermError(f"the size symbol {name} is an int without axes")
    return base.node("symbol", (), (name, type_))


def name_of(term: Term) -> str:
    """Name of a symbol."""
    if term.op != "symbol":
        raise TermError(f"{term.op} is not a symbol")
    name: str = term.attrs[0]
    return name


def _infer(args: tuple[Term, ...], attrs: Any) -> Type:
    type_: Type = attrs[1]
    return type_


def _meaning(term: Term, args: Any, environment: base.Environment) -> Any:
    import numpy as np

    name = name_of(term)
    dtype = DTYPES[term.kind]
    shape = tuple(size.evaluate(environment.dims) for size in term.axes.values())
    if name in environment.values:
        value = np.asarray(environment.values[name])
        if value.shape != shape:
            raise TermError(f"`{name}` has shape {value.shape}, declared {term.type} is {shape}")
        return value.astype(dtype)
    if name.startswith("#") and name[1:] in environment.dims:
        return np.asarray(environment.dims[name[1:]], dtype)
    if name in CONSTANTS and not shape:
        return np.asarray(CONSTANTS[name], dtype)
    raise TermError(f"no value for `{name}`")


OPERATOR = base.define(
    base.Operator(
        name="symbol",
        infer=_infer,
        meaning=_meaning,
        rebuild=lambda term, args: term,
        tangent=lambda term, tangents: None,
        cotangent=lambda term, g: (),
    )
)
