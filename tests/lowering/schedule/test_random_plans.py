"""Random terms through the scheduler: the interpreted plan gives the numbers of a naive evaluation, the compiled one too."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "dsl"))

import random_terms

from ricci.backends.numba_cpu import compile_function
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, walk
from ricci.lowering.interpret import run_plan
from ricci.lowering.schedule import schedule

QUIET = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


def function_of(samples):
    symbols = dict.fromkeys(t for s in samples for t in walk([s.term]) if t.op == "symbol" and name_of(t) in random_terms.VALUES)
    function = Function("random", tuple(symbols), tuple((f"r{k}", s.term) for k, s in enumerate(samples)))
    return function, {name_of(t): random_terms.VALUES[name_of(t)] for t in symbols}


def compare(samples, found):
    for k, s in enumerate(samples):
        value = np.asarray(found[f"r{k}"])
        assert value.shape == s.expected.shape, s.term
        assert np.all(np.abs(value - s.expected) <= s.tolerance), (s.term, value, s.expected)


@settings(QUIET, max_examples=60)
@given(st.lists(random_terms.terms(), min_size=1, max_size=5))
def test_interpreted(samples):
    function, values = function_of(samples)
    compare(samples, run_plan(schedule(function), values, random_terms.DIMS))


@settings(QUIET, max_examples=3)
@given(st.lists(random_terms.terms(), min_size=8, max_size=8))
def test_compiled(samples):
    function, values = function_of(samples)
    executable = compile_function(function, use_cache=False)
    executable.serial_points = 0
    compare(samples, executable(values, random_terms.DIMS))
    compare(samples, executable(values, random_terms.DIMS, 2))


@pytest.mark.slow
@settings(QUIET, max_examples=60)
@given(st.lists(random_terms.terms(), min_size=12, max_size=12))
def test_compiled_long(samples):
    function, values = function_of(samples)
    compare(samples, compile_function(function, use_cache=False)(values, random_terms.DIMS))
