"""Steps done in Python between compiled parts: the operator's own numpy meaning on views of the arenas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ricci.dsl.ops import OPERATORS
from ricci.dsl.ops.base import Environment
from ricci.lowering.schedule import products
from ricci.lowering.schedule.plan import Call


def call(step: Call, arguments: Sequence[Any], sizes: Mapping[str, int]) -> tuple[Any, ...]:
    """Arrays of the results, axes in canonical order."""
    values = [np.ascontiguousarray(a) if np.ndim(a) else np.asarray(a) for a in arguments]
    if step.term.op == "product":
        return (products.evaluate(step.term, arguments),)
    result = OPERATORS[step.term.op].meaning(step.term, values, Environment({}, sizes))
    return result if isinstance(result, tuple) else (result,)
