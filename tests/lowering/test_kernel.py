"""The loop IR by itself: printed form, rules, meaning."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))

from running import symbol

from ricci.dsl import build
from ricci.dsl.index import Guard, Index
from ricci.dsl.term import Function
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.kernel import Add, Array, Begin, End, Fold, Kernel, KernelError, Let, Load, Loop, Memory, Store, check, interpret, show
from ricci.lowering.loops import lower
from ricci.lowering.schedule import schedule

N = Size.of(Dim("x"))
X = Index.axis("x")
REAL = Type(Kind.REAL)
LEFT, RIGHT, TOTAL, NAME = (build.symbol(n, REAL) for n in ("left", "right", "total", "name"))


def kernel(body, **changes):
    leaves = {LEFT: Load("u", (X - 1,)), RIGHT: Load("u", (X + 1,), (Guard(0, X, N - 1),))}
    arrays = (Array("u", Kind.REAL, 1), Array("v", Kind.REAL, 1))
    return replace(Kernel("k", arrays, (), tuple(body), leaves, shared="x", extent=N), **changes)


BODY = [
    Begin(TOTAL, "sum"),
    Loop("x", Size.of(1), N, (Let(NAME, build.add(LEFT, RIGHT)), Store("v", (X,), NAME), Fold(TOTAL, NAME)), True),
    End(TOTAL),
]


def test_print():
    assert show(kernel(BODY, totals=((TOTAL, "sum"),))) == (
        "kernel k(u: real[1], v: real[1])\n  shared x in 0..x\n  total = identity of sum\n  for x in 1..x in vectors:\n"
        f"    name = {build.add(LEFT, RIGHT)}\n    v[x] = name\n    fold name into total\n  finish total\n  return total"
    )


def test_meaning():
    """Slabs share the loop; a load whose guard fails is zero and touches nothing."""
    u, v = np.arange(1.0, 7.0), np.zeros(6)
    memory = {"u": Memory(u, 0, (1,)), "v": Memory(v, 0, (1,))}
    whole = kernel(BODY, totals=((TOTAL, "sum"),))
    check(whole)
    parts = [interpret(whole, memory, {}, {"x": 6}, a, b)[0] for a, b in ((0, 2), (2, 5), (5, 6))]
    assert v.tolist() == [0, 4, 6, 8, 10, 5]
    assert sum(parts) == 33


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([Loop("x", Size.of(0), N, (Store("w", (X,), LEFT),))], "no array"),
        ([Loop("x", Size.of(0), N, (Store("v", (X, X), LEFT),))], "no array with 2"),
        ([Store("v", (X,), build.const(1))], "no loop over x"),
        ([Loop("x", Size.of(0), N, (Store("v", (X,), NAME),))], "has no value"),
        ([Loop("x", Size.of(0), N, (Loop("x", Size.of(0), N, ()),))], "inside one"),
        ([Loop("x", Size.of(0), N, (Loop("y", Size.of(0), N, (), True),), True)], "two vector loops"),
        ([Fold(TOTAL, build.const(1))], "folded before"),
        ([Begin(TOTAL, "sum")], "never finished"),
        ([Begin(TOTAL, "mean"), End(TOTAL)], "no operation"),
        ([End(TOTAL)], "finished where"),
        ([Loop("x", Size.of(0), N, (Add("v", (Index.axis("@"),), LEFT),))], "no loop over @"),
        ([Store("v", (Index.of(0),), build.expand(build.const(1), {"x": N}))], "no scalar"),
    ],
)
def test_rules(body, reason):
    with pytest.raises(KernelError, match=reason):
        check(kernel(body))


def test_lowered_kernels_obey():
    u = symbol("u", x="x", y="y")
    for made in lower(schedule(Function("f", (u,), (("row", build.reduce("max", u, ["y"])), ("all", build.sum_over(u, ["x", "y"])))))):
        check(made)
        assert show(made).startswith(f"kernel {made.name}(")
