"""The functions of the catalogue for generated code: `compiled.erf(x)` of numbers and vectors, real or whole.

Reals of 32 bits are computed in 64 and rounded at the end.
"""

from __future__ import annotations

from functools import cache as remembered
from typing import Any

from numba.core import types

from ricci.backends.elementary.catalogue import FUNCTIONS, SINGLE, arguments_of
from ricci.backends.elementary.real import Real
from ricci.backends.vectors import Vector, _convert, _result, typed_intrinsic


@remembered
def __getattr__(name: str) -> Any:
    if name not in FUNCTIONS:
        raise AttributeError(name)
    return (_of_one if arguments_of(name) == 1 else _of_two)(name)


def _lowered(name: str, given: tuple[Any, ...]) -> tuple[Any, Any]:
    """Signature and code for arguments of these types."""
    result = _result(given)
    lanes = result.lanes if isinstance(result, Vector) else 0
    wide = Vector(types.float64, lanes) if lanes else types.float64
    short = (result.element if lanes else result) == types.float32
    emit = SINGLE.get(name, FUNCTIONS[name]) if short else FUNCTIONS[name]

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [Real(builder, _convert(context, builder, a, t, wide), lanes) for a, t in zip(args, given, strict=True)]
        return _convert(context, builder, emit(*values).value, wide, result)

    return result(*given), code


def _of_one(name: str) -> Any:
    @typed_intrinsic
    def function(typing: Any, x: Any) -> Any:
        return _lowered(name, (x,))

    return function


def _of_two(name: str) -> Any:
    @typed_intrinsic
    def function(typing: Any, x: Any, y: Any) -> Any:
        return _lowered(name, (x, y))

    return function
