"""The functions that generated code computes itself, by their names in the language. A new one is a function of one of these files
and its line in that file's `FUNCTIONS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary import circular, error_function, exponential, inverse_circular, logarithm, roots, single

FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        name: f
        for family in (exponential, logarithm, circular, inverse_circular, roots, error_function)
        for name, f in family.FUNCTIONS.items()
    }
)
# for reals of 32 bits; what is missing is computed as above and rounded
SINGLE: Mapping[str, Callable[..., Any]] = single.FUNCTIONS


def arguments_of(name: str) -> int:
    """Number of real arguments."""
    return FUNCTIONS[name].__code__.co_argcount
