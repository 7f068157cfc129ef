"""Loops whose steps overlap: the bits of one step after the other, for any block of steps, band of rows and number of threads."""

import random

import numpy as np
import pytest

from ricci.backends import executable
from ricci.errors import RicciError, Source
from ricci.faces.execute import Settings, execute
from ricci.faces.explained import explained

BLOCKS = [(1, 3), (2, 1), (3, 2), (7, 3), (32, 4), (64, 1000)]
SIDES = {
    "periodic": ("periodic", "periodic", ""),
    "values": ("", "", "boundary u on x.lo, x.hi: u = sin(3*t)\nboundary u on y.lo, y.hi: u = 0\n"),
    "fluxes": ("", "periodic", "boundary u on x.lo: dn(u) = 0.1\nboundary u on x.hi: dn(u) + 2*u = t\n"),
    "mixed": ("periodic", "", "boundary u on y.lo: u = x\nboundary u on y.hi: dn(u) = 0\n"),
}
EQUATIONS = {
    "heat": "equation dt(u) = 1e-3*lap(u)",
    "advection": "equation dt(u) = 1e-3*lap(u) - 0.1*dx(u) + 1e-4*dx(dy(u))",
    "variable": "field a(D)\nequation dt(a) = 0\nequation dt(u) = 1e-3*div((1 + a^2)*grad(u)) + sin(t)*u\ninitial a = sin(3*x)",
}


def model(sides, equation, method="euler(dt=1e-4)", grid="x=23, y=18", until="t=3e-3"):
    x, y, conditions = SIDES[sides]
    return (
        f"domain D: x in 0..1 {x}, y in 0..1 {y}\nfield u(D)\n{equation}\n{conditions}"
        f"initial u = sin(2*pi*x)*sin(2*pi*y)\nsolve {{ grid: {grid}; time: {method}; until: {until} }}\n"
    )


@pytest.fixture
def called(monkeypatch):
    """What time loops were called with: executable, arguments, sizes."""
    found = []
    plain = executable.Executable.__call__

    def call(self, arguments, sizes=None, threads=1):
        if "ctl:status" in self.program.results:
            found.append((self, {k: np.array(v) for k, v in arguments.items()}, dict(sizes)))
        return plain(self, arguments, sizes, threads)

    monkeypatch.setattr(executable.Executable, "__call__", call)
    return found


def loop_of(text, called, **settings):
    execute(Source("m.model", text), Settings(**settings), write=False)
    return called[-1]


def results(loop, block, threads):
    one, arguments, sizes = loop
    one.block, one.serial_points = block, 0
    one._bound = {}
    return one(arguments, sizes, threads)


def assert_same_bits(loop, blocks=BLOCKS, threads=(1, 2, 3)):
    assert loop[0].program.overlaps
    plain = results(loop, (0, 1), 1)
    for block in blocks:
        for n in threads:
            found = results(loop, block, n)
            for name, value in plain.items():
                assert np.asarray(value).tobytes() == np.asarray(found[name]).tobytes(), (name, block, n)
    return plain


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("sides", SIDES)
def test_one_step_after_the_other(sides, equation, called):
    plain = assert_same_bits(loop_of(model(sides, EQUATIONS[equation]), called))
    assert plain["ctl:steps"] > 10


@pytest.mark.parametrize("method", ["euler(dt=1e-4)", "heun(dt=1e-4)"])
@pytest.mark.parametrize("equation", ["equation dt(u) = -0.1*dx(u)", "equation dt(u) = 1e-3*dxx(u) - u^3"])
def test_differences_along_rows_only(equation, method, called):
    """No ghosts are written into a field: it is written under its other name alone."""
    loop = loop_of(model("periodic", equation, method, "x=61, y=18"), called)
    assert loop[0].program.overlaps[0].lag > 0
    assert_same_bits(loop)


@pytest.mark.parametrize("method", ["heun(dt=1e-4)", "rk4(dt=1e-4)"])
@pytest.mark.parametrize("sides", ["periodic", "values"])
def test_stages(sides, method, called):
    assert_same_bits(loop_of(model(sides, EQUATIONS["advection"], method, "x=61, y=18"), called))


@pytest.mark.parametrize("order", [4, 6])
def test_wide_stencils(order, called):
    text = model("periodic", EQUATIONS["heat"], grid="x=40, y=24").replace("time:", f"space: fd(order={order}); time:")
    loop = loop_of(text, called)
    assert loop[0].program.overlaps[0].lag == order // 2
    assert_same_bits(loop)


def test_several_fields(called):
    text = """domain D: x in 0..2 periodic, y in 0..1 periodic
field u(D), v(D)
equation dt(u) = 2e-4*lap(u) - u*v^2 + 0.04*(1 - u)
equation dt(v) = 1e-4*lap(v) + u*v^2 - 0.1*v
initial u = 1 - 0.5*sin(pi*x)^2; initial v = 0.25*cos(pi*x)^2*sin(2*pi*y)^2
solve { grid: x=31, y=17; time: euler(dt=0.01); until: t=0.5 }
"""
    assert_same_bits(loop_of(text, called))


def test_two_time_levels(called):
    text = """domain D: x in 0..1, y in 0..1
field u(D)
equation dt(dt(u)) = lap(u)
boundary u on x.lo, x.hi, y.lo, y.hi: u = 0
initial u = sin(pi*x)*sin(pi*y); initial dt(u) = 0
solve { grid: x=34, y=21; time: rk4(dt=5e-3); until: t=0.2 }
"""
    assert_same_bits(loop_of(text, called))


def test_fourth_derivatives(called):
    equation = "equation dt(u) = lap(1e-4*(u^3 - u) - 1e-6*lap(u))"
    assert_same_bits(loop_of(model("periodic", equation, grid="x=30, y=20"), called))


def test_three_dimensions(called):
    text = """domain D: x in 0..1, y in 0..1 periodic, z in 0..1
field u(D)
equation dt(u) = 1e-2*lap(u)
boundary u on x.lo, x.hi: u = 0
boundary u on z.lo, z.hi: dn(u) = 0
initial u = sin(pi*x)*sin(2*pi*y)*z
solve { grid: x=19, y=8, z=11; time: euler(dt=1e-3); until: t=0.03 }
"""
    assert_same_bits(loop_of(text, called))


def test_one_dimension(called):
    text = """domain D: x in 0..1
field u(D)
equation dt(u) = 1e-3*dx(dx(u)) - 0.1*u*dx(u)
boundary u on x.lo, x.hi: u = 0
initial u = sin(2*pi*x)
solve { grid: x=203; time: euler(dt=1e-3); until: t=0.1 }
"""
    assert_same_bits(loop_of(text, called), blocks=[(2, 1), (9, 10), (32, 16), (64, 1000)])


@pytest.mark.parametrize("grid", ["x=3, y=3", "x=4, y=40", "x=7, y=9"])
def test_few_rows(grid, called):
    """Where slabs have fewer rows than steps lag behind, fewer steps overlap, or none."""
    for sides in ("periodic", "values"):
        assert_same_bits(loop_of(model(sides, EQUATIONS["heat"], grid=grid), called))


def test_a_run_that_fails_ends_at_the_same_step(called):
    """What is not finite at some step of a block is found there, not at its end."""
    text = model("periodic", "equation dt(u) = 30*u^3", until="t=1").replace("sin(2*pi*y)\n", "sin(2*pi*y) + 2\n")
    with pytest.raises(RicciError) as raised:
        execute(Source("m.model", text), Settings(), write=False)
    assert raised.value.diagnostics[0].code.startswith("E07")
    loop = called[-1]
    plain = results(loop, (0, 1), 1)
    for block in BLOCKS:
        for threads in (1, 2):
            found = results(loop, block, threads)
            assert all(found[k] == plain[k] for k in ("t", "ctl:steps", "ctl:status")), (block, threads)


def test_a_limit_of_steps_is_kept(called):
    loop = loop_of(model("periodic", EQUATIONS["heat"]), called)
    loop[1]["ctl:max_steps"] = np.int64(11)
    assert assert_same_bits(loop)["ctl:steps"] == 11


def test_random_systems(called):
    chosen = random.Random(3)
    for _ in range(2):
        terms = chosen.sample(["lap(u)", "dx(v)", "dy(dy(v))", "u*dx(u)", "dx(dy(u))", "lap(u*v)", "v^2", "sin(u + t)"], 3)
        others = chosen.sample(["lap(v)", "dx(dx(u))", "u*v", "dy(u)", "lap(u)"], 2)
        a, b = (" + ".join(f"{chosen.uniform(1e-4, 1e-3):.3e}*{t}" for t in own) for own in (terms, others))
        periodic, smooth = chosen.choice(["periodic", ""]), chosen.choice(["lap", "dxx"])
        text = f"domain D: x in 0..1 {periodic}, y in 0..1 periodic\nfield u(D), v(D)\n"
        text += f"equation dt(u) = {a} + 2e-3*{smooth}(u)\nequation dt(v) = {b} + 2e-3*{smooth}(v)\n"
        text += "" if periodic else "boundary u on x.lo, x.hi: u = 0\nboundary v on x.lo, x.hi: dn(v) = 0\n"
        text += "initial u = sin(2*pi*x); initial v = cos(2*pi*y)*sin(2*pi*x)\n"
        method = chosen.choice(["euler", "heun"])
        text += f"solve {{ grid: x={chosen.randint(24, 50)}, y={chosen.randint(9, 20)}; time: {method}(dt=1e-4); until: t=2e-3 }}\n"
        assert_same_bits(loop_of(text, called), blocks=[(2, 1), (5, 3), (32, 6)], threads=(1, 2))


@pytest.mark.parametrize("method", ["bs32", "dp54"])
@pytest.mark.parametrize("sides", ["periodic", "values"])
def test_stages_of_steps_that_may_be_rejected(sides, method, called):
    """Within one step launches overlap; steps wait for what the last one found."""
    loop = loop_of(model(sides, EQUATIONS["variable"], method, "x=61, y=18", "t=0.05"), called)
    assert loop[0].program.overlaps[0].lag is None
    loop[1]["ctl:dt"], loop[1]["ctl:tol"] = np.float64(0.05), np.float64(1e-10)  # the first steps are rejected
    plain = assert_same_bits(loop, blocks=[(1, 1), (1, 2), (1, 7), (1, 1000)])
    assert plain["ctl:rejected"] > 0


def test_implicit_steps_do_not_overlap(called):
    text = model("periodic", EQUATIONS["heat"], "trbdf2(dt=1e-3)")
    assert not loop_of(text, called)[0].program.overlaps


def test_explain_says_whether_steps_overlap():
    def said(method):
        text = explained(Source("m.model", model("periodic", EQUATIONS["heat"], method)), Settings()).to_text()
        return next(line for line in text.splitlines() if line.startswith(("steps ", "stages ")))

    assert said("heun(dt=1e-4)") == "steps overlap: each stays 2 rows behind the one before, where fields leave the second cache"
    assert said("dp54") == "stages overlap: the last stays 6 rows behind the first; steps do not: steps may be rejected"
    assert said("trbdf2(dt=1e-3)").startswith("steps one by one: ")


def test_blocks_fit_into_caches(called):
    one, _, sizes = loop_of(model("periodic", EQUATIONS["heat"]), called)
    one.block = None
    assert one._tiles(one.storage(sizes)) == (0, 1)  # it all lies in the second cache
    large = one.storage(sizes | dict.fromkeys((d for d in one.program.signature.dims if ":" not in d), 4096))
    steps, rows = one._tiles(large)
    assert 8 <= steps <= 32
    assert 4 <= rows <= 16
