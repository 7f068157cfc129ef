"""Teams of threads: failures are seen, Ctrl-C stops compiled loops, pinning does not outlive a call."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ricci.backends.threads import available_cores, run_team

HERE = Path(__file__).parent


def test_every_member_runs_once():
    seen = []
    run_team(lambda me, threads, gate: seen.append((me, threads)), 3, False)
    assert sorted(seen) == [(0, 3), (1, 3), (2, 3)]


def test_a_failure_reaches_the_caller():
    def work(me, threads, gate):
        if me == 1:
            raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        run_team(work, 2, False)


def test_the_calling_thread_keeps_its_cores():
    before = available_cores()
    run_team(lambda me, threads, gate: None, 2, True)
    assert available_cores() == before


@pytest.mark.skipif(not hasattr(os, "kill") or sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("threads", [1, 2])
def test_interrupt(threads):
    """Ctrl-C during an endless compiled loop raises KeyboardInterrupt."""
    program = textwrap.dedent(
        f"""
        import sys
        sys.path[:0] = {[str(HERE.parents[1]), str(HERE)]!r}
        import numpy as np
        from running import laplacian, symbol
        from ricci.backends.numba_cpu import compile_function
        from ricci.dsl import build
        from ricci.dsl.term import Function
        u = symbol("u", x="x", y="y")
        body = Function("b", (u,), (("u", build.add(u, laplacian(u))),))
        endless = Function("c", (u,), (("on", build.apply("lt", build.reduce("min", build.mul(u, u), ["x", "y"]), build.const(1))),))
        loop = build.iterate(body, endless, [u])
        executable = compile_function(Function("endless", (u,), (("u", build.proj(loop, 0)),)), use_cache=False)
        executable.serial_points = 0
        print("running", flush=True)
        try:
            executable({{"u": np.zeros((200, 300))}}, {{"x": 200, "y": 300}}, {threads})
        except KeyboardInterrupt:
            print("stopped", flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out == "stopped\n"
    assert process.returncode == 0


def test_products_use_at_most_the_threads_that_are_given():
    """Inside, and as before outside; where numpy's BLAS can be asked."""
    from ricci.backends.threads import _blas, blas_threads

    found = _blas()
    if found is None:
        with blas_threads(1):
            return
    asked, _ = found
    before = asked()
    with blas_threads(1):
        assert asked() == 1
        with blas_threads(5):
            assert asked() == 1
    assert asked() == before


def test_a_method_is_chosen_on_one_thread(monkeypatch, tmp_path):
    """Threads of a BLAS go on spinning after their work, on the cores that the time loop needs."""
    from ricci import driver
    from ricci.backends.threads import _blas
    from ricci.driver import Settings
    from ricci.errors import Source
    from ricci.faces.execute import execute

    seen = []
    choose = driver.choose

    def watched(*arguments):
        seen.append(_blas()[0]() if _blas() else 1)
        return choose(*arguments)

    monkeypatch.setattr(driver, "choose", watched)
    execute(Source("m.model", "field u(t)\nequation dt(u) = -u\ninitial u = 1\nsolve { until: t=1 }\n"), Settings(), write=False)
    assert seen == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_what_its_parent_does():
    """Threads live as long as a call, so a child inherits none that it lacks."""
    program = textwrap.dedent(
        """
        import os
        import numpy as np
        from ricci.driver import Settings
        from ricci.errors import Source
        from ricci.faces.execute import execute

        TEXT = '''
        domain D: x in 0..1 periodic, y in 0..1 periodic
        field u(D)
        equation dt(u) = lap(u) - u^3
        initial u = sin(2*pi*x)
        solve { grid: x=200, y=200; until: t=1e-3; time: METHOD }
        '''

        def values(method):
            source = Source("m.model", TEXT.replace("METHOD", method))
            return np.asarray(execute(source, Settings(threads=2), write=False).results["u"].values)

        before = values("rk4(dt=2e-6)")
        child = os.fork()
        if child == 0:
            same = np.array_equal(values("rk4(dt=2e-6)"), before)
            other = np.abs(values("euler(dt=2e-6)") - before).max()  # compiled in the child
            os._exit(0 if same and 0 < other < 1e-2 else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
