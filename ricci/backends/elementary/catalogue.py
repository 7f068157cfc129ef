"""The functions that generated code computes itself, by their names in the language. A new one is a function of one of these files
and its line in that file's `FUNCTIONS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ricci.backends.elementary import circular, exponential, logarithm

FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({**exponential.FUNCTIONS, **logarithm.FUNCTIONS, **circular.FUNCTIONS})


def arguments_of(name: str) -> int:
    """Number of real arguments."""
    return FUNCTIONS[name].__code__.co_argcount
