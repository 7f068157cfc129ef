"""`advance` through generated code against the reference interpreter: same steps, same states."""

import numpy as np
import pytest

from ricci.backends.numba_cpu import compile_plan
from ricci.dsl.ops.symbol import name_of
from ricci.lowering.integrate import METHODS
from ricci.lowering.schedule import schedule
from tests.lowering.integrate import systems as s

WAVES = np.sin(np.pi * np.arange(1, 31) / 31)
CASES = {
    "reaction": ("dp54", None, s.riccati(), {}, {"y": 1.0, "z": 0.5}, 1.0),
    "event": ("bs32", None, s.growth(), {}, {"y": 1.0}, 1.0),
    "stiff": ("rodas3", None, s.robertson(), {}, {"a": 1.0, "b": 0.0, "c": 0.0}, 10.0),
    "field": ("rodas3", None, s.heat(), {"x": 30}, {"u": WAVES}, 0.1),
    "newton": ("backward_euler", "0.02", s.heat(), {"x": 30}, {"u": WAVES}, 0.1),
    "plane": ("bs32", None, s.gray_scott(), {"x": 20, "y": 20}, s.seed(20), 10.0),
}


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_interpreter(name):
    method, dt, program, dims, start, stop = CASES[name]
    assert method in METHODS
    run = s.Runner(program, method, dt, sizes=dims, **start)
    executable = compile_plan(schedule(run.function, sizes=dims))
    arguments = {**run.values, "ctl:t_stop": stop, "ctl:tol": 1e-5, "ctl:max_steps": 10_000}
    got = executable({name_of(p): np.asarray(arguments[name_of(p)]) for p in run.function.params}, dims, 1)
    assert run.to(stop, 1e-5, 10_000) == got["ctl:status"]
    for result, _ in run.function.results:
        assert np.allclose(got[result], run[result], rtol=1e-6, atol=1e-9), result
