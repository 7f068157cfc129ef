"""Contractions at their known optimum, and functions of any size and depth: the figures that the optimizer is held to."""

import random
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ricci.cost import Price, operations
from ricci.dsl import build, reference
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Type
from ricci.egraph import optimize_function
from ricci.egraph.optimize import LEVELS, MOST_TERMS, Optimization

ROOT = Path(__file__).resolve().parents[2]


def chain(extents):
    """Product of matrices whose sizes are consecutive extents."""
    matrices = [build.symbol(f"M{k}", Type(Kind.REAL, {f"a{k}": m, f"a{k + 1}": n})) for k, (m, n) in enumerate(pairwise(extents))]
    bound = {f"a{k}": extents[k] for k in range(1, len(extents) - 1)}
    return build.contract([(m, {}) for m in matrices], bound)


def dynamic_program(extents):
    """Multiplications and additions of the best order."""

    @cache
    def best(i, j):
        if j == i + 1:
            return 0
        return min(best(i, k) + best(k, j) + 2 * extents[i] * extents[k] * extents[j] for k in range(i + 1, j))

    return best(0, len(extents) - 1)


def fewest(roots):
    run = Optimization(roots, LEVELS[2], Price("ops"), {})
    return operations(run.result())


@pytest.mark.parametrize("length", range(4, 13))
def test_chains_are_multiplied_in_the_best_order(length):
    """112 random chains of every length, more than a thousand in all."""
    generator = random.Random(length)
    for _ in range(112):
        extents = [generator.choice([2, 3, 5, 8, 16, 31, 64, 100, 256]) for _ in range(length + 1)]
        assert fewest([chain(extents)]) == dynamic_program(tuple(extents)), extents


def test_a_chain_of_twenty():
    generator = random.Random(20)
    extents = [generator.randrange(2, 300) for _ in range(21)]
    assert fewest([chain(extents)]) == dynamic_program(tuple(extents))


def shared(count, n=64):
    """(A B) x_i for many vectors."""
    a = build.symbol("A", Type(Kind.REAL, {"i": n, "j": n}))
    b = build.symbol("B", Type(Kind.REAL, {"j": n, "k": n}))
    vectors = [build.symbol(f"x{k}", Type(Kind.REAL, {"k": n})) for k in range(count)]
    return [build.contract([(a, {}), (b, {}), (x, {})], {"j": n, "k": n}) for x in vectors]


@pytest.mark.parametrize(("count", "figure"), [(1000, 8_716_288), (10, 163_840)])
def test_a_product_is_shared_where_that_pays(count, figure):
    """One product of the matrices for a thousand vectors, none for ten."""
    assert fewest(shared(count)) == figure


def test_a_sum_of_two_hundred_terms():
    symbols = [build.symbol(f"x{k}", Type(Kind.REAL)) for k in range(40)]
    generator = random.Random(3)
    parts = [build.mul(*generator.sample(symbols, 3)) for _ in range(200)]
    function = Function("f", tuple(symbols), (("r", build.linear([(generator.randrange(1, 5), p) for p in parts])),))
    better, report = optimize_function(function)
    assert not report.diagnostics
    assert operations(better.roots) <= operations(function.roots)
    values = [np.asarray(generator.uniform(-1, 1)) for _ in symbols]
    np.testing.assert_allclose(reference.call(better, values, {}), reference.call(function, values, {}), rtol=1e-12)


def test_a_hundred_levels_that_share():
    """y = sin(y + y + 1): a tree of 2^100 nodes, a graph of a few hundred."""
    x = build.symbol("x", Type(Kind.REAL))
    y = x
    for _ in range(100):
        y = build.apply("sin", build.add(y, build.mul(y, y)))
    function = Function("f", (x,), (("r", y),))
    better, report = optimize_function(function)
    assert not report.diagnostics
    assert operations(better.roots) <= operations(function.roots)
    assert reference.call(better, [np.asarray(0.3)], {})[0] == pytest.approx(reference.call(function, [np.asarray(0.3)], {})[0])


DEEP = """
import sys
from ricci.dsl import build
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Type
from ricci.egraph import optimize_function
x = build.symbol("x", Type(Kind.REAL))
y = x
for k in range(int(sys.argv[1])):
    y = build.apply("sin", y) if k % 2 else build.add(y, build.const(1))
better, report = optimize_function(Function("f", (x,), (("r", y),)))
# not what `getrusage` says: that counts the process that started this one
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak // 1024, better.roots[0] is y, [d.code for d in report.diagnostics] if report else None)
"""


@pytest.mark.parametrize("depth", [20_000, 200_000])
def test_depth_is_no_danger(depth):
    """No crash and less than 1 GiB; what is too large to look at stays as it is, and that is said."""
    done = subprocess.run([sys.executable, "-c", DEEP, str(depth)], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-500:]
    megabytes, same, codes = done.stdout.split(maxsplit=2)
    assert int(megabytes) < 1024
    if depth > MOST_TERMS:
        assert same == "True"
        assert "W0603" in codes
