"""Checking texts in tests, and evaluating what they define with the reference interpreter."""

from __future__ import annotations

import numpy as np

from ricci.dsl.check import check
from ricci.dsl.parse import parse
from ricci.dsl.reference import evaluate
from ricci.errors import RicciError, Source


def model_of(text, name="test.model"):
    return check(parse(Source(name, text)))


def errors_of(text, name="test.model"):
    """All diagnostics of a text; none of a right one."""
    try:
        model_of(text, name)
    except RicciError as error:
        return error.diagnostics
    return ()


def error_of(text):
    """The first diagnostic of a wrong text."""
    found = errors_of(text)
    assert found, "the text passes"
    return found[0]


def value_of(text, name, values=None, dims=None):
    """The definition `name` for arrays in declared order; the result in its declared order."""
    model = model_of(text)
    given = {}
    for key, array in (values or {}).items():
        order = model.tensors[key].order if key in model.tensors else model.params[key].order
        given[key] = np.transpose(array, np.argsort(order)) if order else array
    quantity = model.lets[name]
    (result,) = evaluate([quantity.term], given, dims or {})
    axes = list(quantity.term.axes)
    return np.transpose(result, [axes.index(a) for a in quantity.order]) if quantity.order else result
