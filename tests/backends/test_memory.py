"""What a model needs is compared with what is free before anything is allocated."""

import numpy as np
import pytest

from ricci.backends import memory
from ricci.backends.numba_cpu import compile_function
from ricci.driver import Settings
from ricci.dsl import build
from ricci.dsl.term import Function
from ricci.dsl.types import Kind, Size, Type
from ricci.errors import RicciError, Source
from ricci.faces.execute import execute

ROD = """
domain D: x in 0..1
field T(D)
equation dt(T) = dxx(T)
boundary T on x.lo, x.hi: T = 0
initial T = 1
solve { grid: x=1000; until: t=1e-6; time: euler(dt=1e-7) }
"""


def test_free_memory_is_a_plausible_number():
    assert 1 << 20 < memory.available() < 1 << 50


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (1023, "1.02e+03 bytes"), (1536, "1.5 KiB"), (8 << 40, "8 TiB")])
def test_bytes_are_readable(count, text):
    assert memory.shown(count) == text


def test_a_tensor_beyond_memory_is_refused():
    text = "dim i = 100000000000\ntensor A[i]\nlet b = sum[i](A)\ncheck b > 0\n"
    with pytest.raises(RicciError) as caught:
        execute(Source("big.model", text), Settings(), write=False)
    assert caught.value.diagnostics[0].code == "E0602"
    assert "745 GiB" in caught.value.diagnostics[0].message


def test_buffers_of_a_run_beyond_memory_are_refused(monkeypatch):
    needed = []
    monkeypatch.setattr(memory, "available", lambda: 12_000)  # the field fits, the buffers of its time loop do not
    monkeypatch.setattr(memory, "require", lambda n, what, real=memory.require: (needed.append((n, what)), real(n, what)))
    with pytest.raises(RicciError) as caught:
        execute(Source("rod.model", ROD), Settings(), write=False)
    assert caught.value.diagnostics[0].code == "E0602"
    assert needed[0] == (8 * 998, "the arrays of the model")
    assert needed[-1][0] > 12_000


def test_large_results_use_memory_that_nobody_holds_any_more():
    x = build.symbol("x", Type(Kind.REAL, {"i": Size.of(200_000)}))
    double = compile_function(Function("double", (x,), (("y", build.scale(2, x)),)))
    values = np.arange(200_000.0)
    first = double({"x": values})["y"]
    part = double({"x": values + 1})["y"][5:9]
    third = double({"x": values + 2})["y"]
    assert not np.shares_memory(first, third)
    assert not np.shares_memory(part, third)
    assert first[7] == 14
    assert list(part) == [12, 14, 16, 18]
    assert third[7] == 18
    place = first.ctypes.data
    del first
    again = double({"x": values + 3})["y"]
    assert again.ctypes.data == place or again.ctypes.data != third.ctypes.data
    assert again[7] == 20
    assert third[7] == 18
