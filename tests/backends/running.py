"""Run a function through generated code, the interpreters and the reference, and compare."""

import numpy as np

from ricci.backends.numba_cpu import compile_function
from ricci.dsl import build, reference
from ricci.dsl.index import Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.lowering.interpret import run_plan
from ricci.lowering.schedule import schedule


def size(dim, lower=1):
    return Size.of(Dim(dim, lower))


def symbol(name, kind=Kind.REAL, **axes):
    return build.symbol(name, Type(kind, {a: size(n) if isinstance(n, str) else n for a, n in axes.items()}))


def shifted(term, axis, step, edge="wrap"):
    """term[axis + step]; edge: wrap, clamp, mirror, or a fill."""
    n = term.axes[axis]
    index = Index.axis(axis) + step
    if isinstance(edge, str):
        return build.reindex(
            term, dict(term.axes), {axis: {"wrap": index.mod, "clamp": index.clamp, "mirror": index.mirror}[edge](n)}, (), 0
        )
    return build.reindex(term, dict(term.axes), {axis: index}, (), edge)


def laplacian(term, edge="wrap"):
    parts = [shifted(term, axis, step, edge) for axis in term.axes for step in (-1, 1)]
    return build.linear([*[(1, p) for p in parts], (-2 * len(term.axes), term)])


def values_for(function, sizes, seed=0):
    """Random arrays for the parameters of a function, by name."""
    rng = np.random.default_rng(seed)
    out = {}
    for p in function.params:
        shape = [n.evaluate(sizes) for n in p.axes.values()]
        value = rng.integers(-3, 4, shape) if p.kind == Kind.INT else rng.uniform(-1, 1, shape)
        out[name_of(p)] = value > 0 if p.kind == Kind.BOOL else value + 1j * rng.uniform(-1, 1, shape) if p.kind == Kind.COMPLEX else value
    return out


def expected(function, arguments, sizes):
    results = reference.call(function, [np.asarray(arguments[name_of(p)]) for p in function.params], sizes)
    return dict(zip((n for n, _ in function.results), results, strict=True))


def assert_close(found, wanted, tolerance=1e-13):
    for name, value in wanted.items():
        got = np.asarray(found[name])
        assert got.shape == np.shape(value), name
        np.testing.assert_allclose(got, value, rtol=tolerance, atol=tolerance, err_msg=name)


def assert_same_bits(first, second):
    for name, value in first.items():
        assert np.asarray(value).tobytes() == np.asarray(second[name]).tobytes(), name


def everywhere(function, cases, threads=(1, 2, 3), tolerance=1e-13, interpreted=True):
    """Compile once; for every (arguments, sizes) compare with the reference, the interpreters, and other numbers of threads."""
    executable = compile_function(function, use_cache=False)
    executable.serial_points = 0
    plan = schedule(function)
    for sizes in cases:
        arguments = values_for(function, sizes)
        wanted = expected(function, arguments, sizes)
        runs = [executable(arguments, sizes, t) for t in threads]
        assert_close(runs[0], wanted, tolerance)
        for other in runs[1:]:
            assert_same_bits(runs[0], other)
        if interpreted and np.prod(list(sizes.values())) < 400:
            assert_close(run_plan(plan, arguments, sizes), wanted, tolerance)
    return executable
