"""Identity of terms: one object per value, digests that do not depend on the process, injective attribute texts."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import subprocess
import sys
from fractions import Fraction
from math import inf

import pytest

from ricci.dsl import build as b
from ricci.dsl.index import Guard, Index
from ricci.dsl.term import _TABLE, Function, TermError, canonical, rewrite, symbols, walk
from ricci.dsl.types import Dim, Kind, Size, Type

R = Type(Kind.REAL)
U = b.symbol("u", Type(Kind.REAL, {"x": Size.of(Dim("n"))}))

PROGRAM = """
from fractions import Fraction
from ricci.dsl import build as b
from ricci.dsl.term import Function
from ricci.dsl.types import Dim, Kind, Size, Type
n = Size.of(Dim("n", 2))
u = b.symbol("u", Type(Kind.REAL, {"x": n, "y": Size.of(3)}))
c, s = b.symbol("c", Type(Kind.REAL)), b.symbol("s", Type(Kind.REAL))
body = Function("f", (c, s), (("c", b.add(b.mul(c, s), b.apply("sin", c))),))
v = b.contract([(u, {}), (b.rename(u, {"y": "w"}), {"w": "y"})], {"y": Size.of(3)})
w = b.proj(b.scan(body, "x", n, [b.const(1)], [v]), 0)
print(b.add(b.shift(w, "x", 1), b.scale(Fraction(1, 3), b.apply("exp", v)), b.random("a", b.const(3), {"x": n})).digest.hex())
"""


def test_digests_are_the_same_in_every_process() -> None:
    found = set()
    for seed in ("0", "1", "77"):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        found.add(run.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 32


def test_terms_are_one_object_and_immutable() -> None:
    assert b.apply("exp", U) is b.apply("exp", U)
    with pytest.raises(AttributeError):
        U.op = "const"
    with pytest.raises(TermError):
        pickle.dumps(U)


def test_unused_terms_are_forgotten() -> None:
    gc.collect()
    before = len(_TABLE)
    made = [b.apply("sin", b.symbol(f"temporary{k}", R)) for k in range(100)]
    assert len(_TABLE) >= before + 200
    del made
    gc.collect()
    assert len(_TABLE) <= before + 2


def test_attribute_texts_are_injective() -> None:
    n = Size.of(Dim("n"))
    x = Index.axis("x")
    function = Function("f", (U,), (("r", b.apply("exp", U)),))
    values = [
        (), ("",), ("a", "b"), (("a",), "b"), ("a,b",), "a", "'a'", None, "None", 0, 1, 2, "1", Fraction(1, 2), "1/2", inf, -inf, "inf",
        U, b.apply("exp", U), U.type, R, n, n + 1, Size.of(Dim("n", 2)), x, x + 1, x.mod(n), x.div(n), Index.axis("y"),
        Guard(0, x, n), Guard(1, x, n), Guard(0, x, n + 1), function, Function("g", (U,), function.results),
        Function("f", (U,), (("s", b.apply("exp", U)),)), (U, U), ((U,), U), (1, 11), (11, 1),
    ]  # fmt: skip
    texts = [canonical(v) for v in values]
    for (v, s), (w, t) in itertools.combinations(zip(values, texts, strict=True), 2):
        assert s != t, (v, w)


def test_equal_attributes_have_one_text() -> None:
    assert canonical(1) == canonical(True) == canonical(Fraction(1)) == canonical(Size.of(1)) == canonical(Kind.INT)
    with pytest.raises(TermError):
        canonical(0.5)


def test_walk_is_topological_and_rewrite_maps_every_node_once() -> None:
    shared = b.apply("exp", U)
    root = b.add(b.mul(shared, shared), shared)
    order = walk([root, shared])
    assert len(order) == len(set(order)) == 4
    for k, t in enumerate(order):
        assert all(a in order[:k] for a in t.args)
    calls = []
    rewrite([root], lambda t, args: calls.append(t) or t)  # type: ignore[func-returns-value]
    assert calls == walk([root])
    assert symbols([root]) == [U]
