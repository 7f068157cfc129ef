"""Model -> Program: derivatives in space become finite differences, equations a right-hand side.

`discretize` works in two passes: the first finds how many nodes the schemes need along every coordinate, the second builds the
terms with dims that know it, so that no guard for smaller grids remains in them.
"""

from __future__ import annotations

from ricci.dsl.model import Load, Model
from ricci.dsl.program import Program
from ricci.dsl.remedies import quantity, with_options
from ricci.dsl.term import Function, Term, walk
from ricci.dsl.types import Dim
from ricci.errors import CannotLower
from ricci.lowering.discretize.assemble import Assembly
from ricci.lowering.discretize.options import Options, read_options
from ricci.lowering.discretize.system import make_system


def discretize(model: Model) -> Program:
    """The functions of a model on its grid; no derivative in space is left in them.

    Errors: E0502 where no scheme is stable, E0506 where the grid has too few nodes, E0601 for what this version cannot lower.
    Cost: a construction per term of the model and of the stencils, independent of the size of the grid.
    """
    options = read_options(model)
    system = make_system(model)
    coordinates = [c.name for domain in model.domains.values() for c in domain.coordinates]
    first = Assembly(model, system, options, {c: Dim(c) for c in coordinates})
    program = first.program()
    _all_known(options, program, model)
    needed = {c: n for c, n in first.lowering.needed.items() if n > 1}
    _large_enough(options, needed)
    if not needed:
        return program
    return Assembly(model, system, options, {c: Dim(c, needed.get(c, 1)) for c in coordinates}).program()


def summands(model: Model, program: Program, state: str) -> Function:
    """(t, states, params) -> what is added up in the equation of a state of the model's program, by its text.

    Terms that no scheme can take alone are left out. For messages about a run that failed; nothing else needs them.
    """
    return _assembly_of(model, program).summands(state)


def whole_states(model: Model, program: Program) -> Function:
    """(t, states, params) -> every state on all points of its field; result names are the states'."""
    return _assembly_of(model, program).whole_states()


def _assembly_of(model: Model, program: Program) -> Assembly:
    dims = {name: program.dims[name] for domain in model.domains.values() for name in (c.name for c in domain.coordinates)}
    assembly = Assembly(model, make_system(model), read_options(model), dims)
    assembly.make_arguments()
    return assembly


def _all_known(options: Options, program: Program, model: Model) -> None:
    """Every coordinate that is computed on has a size: from `grid:`, or from a file that some argument is read from."""
    if program.states:
        by_data = {axis for a in program.arguments if isinstance(a.value, Load) for axis in a.symbol.axes}
        used = {axis for state in program.states for axis in state.symbol.axes}
    else:
        by_data = {axis for a in program.arguments if not isinstance(a.value, Term) for axis in a.symbol.axes}
        used = {axis for t in walk([root for f in program.functions.values() for root in f.roots]) for axis in getattr(t.type, "axes", ())}
    on_grid = [c for c in program.coordinates if any(name == c or name.startswith(f"{c}:") for name in used)]
    lacking = [c for c in on_grid if c not in options.sizes and c not in by_data]
    if lacking:
        message = f"this version cannot choose the grid along `{lacking[0]}` itself"
        declared = next(k.span for d in model.domains.values() for k in d.coordinates if k.name == lacking[0])
        settings = [("grid", ", ".join(f"{c}=101" for c in lacking))]
        if program.states and options.end is None:
            settings.append(("until", f"t={quantity(1, model.time_unit)}"))
        raise CannotLower("E0601", message, options.span or declared, help=with_options(options.span, settings))


def _large_enough(options: Options, needed: dict[str, int]) -> None:
    for c, least in needed.items():
        size = options.sizes.get(c)
        if size is not None and size < least:
            what = f"`grid: {c}={size}` is too small: differences of order {options.accuracy} need {least} points along `{c}`"
            raise CannotLower("E0506", what, options.span, help=with_options(options.span, [("grid", f"{c}={least}")]))


__all__ = ["discretize", "summands", "whole_states"]
