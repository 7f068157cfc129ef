"""The definition of the language: terms and functions evaluated with numpy, operator by operator, never optimized.

Arrays have their axes in canonical (sorted name) order. A tuple is a Python tuple. Every operator's meaning stands with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ricci.dsl.ops import Environment
from ricci.dsl.ops.base import exactly
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, Term, TermError, walk

Apply = Callable[[Term, Sequence[Any], Environment], Any]


def evaluate(
    terms: Sequence[Term], values: Mapping[str, Any] | None = None, dims: Mapping[str, int] | None = None, apply: Apply = exactly
) -> list[Any]:
    """Values of terms for given values of symbols (by name) and extents of dims.

    Arrays of symbols have their axes in canonical order. Values are dropped after their last use. Cost: one numpy operation
    per distinct subterm and nothing recursive. `apply` evaluates an operator on the values of its arguments.
    """
    import numpy as np

    environment = Environment({} if values is None else values, {} if dims is None else dims, apply)
    order = walk(terms)
    uses: dict[Term, int] = {}
    for term in order:
        for a in term.args:
            uses[a] = uses.get(a, 0) + 1
    for root in terms:
        uses[root] = uses.get(root, 0) + 1
    done: dict[Term, Any] = {}
    with np.errstate(all="ignore"):  # IEEE arithmetic: what is not finite is a value, and is looked for in results
        for term in order:
            done[term] = apply(term, [done[a] for a in term.args], environment)
            for a in term.args:
                uses[a] -= 1
                if not uses[a]:
                    done.pop(a, None)
    return [done[t] for t in terms]


def call(function: Function, arguments: Sequence[Any], dims: Mapping[str, int], apply: Apply = exactly) -> list[Any]:
    """Results of a function for arrays in the order of its params."""
    if len(arguments) != len(function.params):
        raise TermError(f"{function.name or 'a body'} takes {len(function.params)} arguments, not {len(arguments)}")
    values = {name_of(p): value for p, value in zip(function.params, arguments, strict=True)}
    return evaluate(function.roots, values, dims, apply)
