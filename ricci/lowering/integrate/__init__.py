"""Time integration as terms: `integrate` adds the function `advance`, whose body is one `iterate` term.

`advance` goes from t towards `ctl:t_stop`, with everything of a step inside: stages, error, acceptance, the next step, events.

Parameters (besides the states and the program's arguments, under their own names):
- `t`; `ctl:t_stop`; `ctl:tol`, to which the relative error of a run is proportional (decision 003); `ctl:max_steps`, the number of
  attempts in this call
- `ctl:dt`, `ctl:error`, `ctl:growth`: the controller's next step (0: it estimates one, -s: one that is not above s), last error, and by
  how much the step may grow; `scale:NAME`: the largest |value| of a state so far (0: unknown). The error of a step is compared with
  tol^(q/p) * scale, q = p for most methods. `ctl:armed:K`: > 0 while event K can fire, -1: unknown, -2: it has fired and was not seen
  false since it fired before. `ctl:level:K`: its margin there.
  Their first values come from `controls`; afterwards give back the results of the call before.
A fixed step has no scales and does not look at `ctl:tol`.

Results: the states, `t`, `ctl:dt`, `ctl:error`, `ctl:growth`, `scale:NAME`, `ctl:armed:K`, `ctl:level:K` for the next call, and of this call alone:
- `ctl:steps`, `ctl:rejected`: attempts that were accepted and not; `ctl:dt_min`, `ctl:dt_max` of the accepted ones (steps cut
  short to hit a time count only if there is no other; both 0 without steps)
- `ctl:status`: 0 t_stop reached, exactly; 1 max_steps used; 2 a value is not finite (adaptive: also with ever smaller steps, the
  states are the last finite ones; fixed step: the states contain it); 3 the step became too small for t; 4 Newton's iteration
  of an implicit method did not converge; 10 + K event K: t is just after the instant at which its margin became positive
  (exactly at it when the margin is a function of t alone that double precision can make zero). Assign what the event says,
  then call again.
With t_stop <= t nothing is done, status 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ricci.dsl.program import Program
from ricci.dsl.remedies import with_options
from ricci.dsl.types import Kind
from ricci.errors import CannotLower
from ricci.lowering.integrate.methods import METHODS, Integrator, named


def integrate(program: Program, integrator: Integrator) -> Program:
    """The program with `advance`, the time loop of its `rhs` with this integrator; unchanged if it has no `rhs`."""
    if "rhs" not in program.functions:
        return program
    from ricci.lowering.integrate.loop import time_loop

    method = integrator.method
    method.require(program, integrator.span)
    if method.implicit:
        held = next((s for s in program.states if s.symbol.kind == Kind.COMPLEX), None)
        if held is not None:
            what = f"the implicit integrator `{method.name}` for the complex field `{held.field}`"
            raise CannotLower(
                "E0601", f"this version cannot run {what}", integrator.span, help=with_options(program.statement, [("time", "dp54")])
            )
    return program.with_functions({"advance": time_loop(program, method, integrator.dt)})


def controls(program: Program, integrator: Integrator, values: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, float]:
    """First values of the loop's own parameters: what `advance` wants as `ctl:*` and `scale:*` before it has run."""
    from ricci.lowering.integrate.loop import first_controls

    return first_controls(program.functions["advance"]) if "advance" in program.functions else {}


__all__ = ["METHODS", "Integrator", "controls", "integrate", "named"]
