"""The operators of the algebra, one file each (scalar functions share `scalar.py`). `OPERATORS` is complete after import."""

from __future__ import annotations

from ricci.dsl.ops import (
    base,
    cast,
    const,
    contract,
    gather,
    iota,
    iterate,
    library,
    linear,
    model,
    proj,
    random,
    reduce,
    reindex,
    scalar,
    scan,
    symbol,
)
from ricci.dsl.ops.base import OPERATORS, Environment, Operator

MODULES = (
    const,
    symbol,
    iota,
    linear,
    contract,
    scalar,
    reduce,
    reindex,
    gather,
    scan,
    iterate,
    library,
    random,
    cast,
    proj,
    model,
)

__all__ = ["MODULES", "OPERATORS", "Environment", "Operator", "base"]
