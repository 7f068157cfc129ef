"""Routines that generated code calls by address: compiled once for a toolchain, in a module of their own beside the generated ones.

A driver that contained them would be optimized together with them for every model anew, once a call.
"""

from __future__ import annotations

import ast
import inspect
from types import ModuleType
from typing import Any

from ricci.backends import cache as disk
from ricci.backends import linear_solve

HEADER = '''"""Routines of generated code."""

import numpy as np
from numba import njit

kernel = dict(nogil=True, error_model="numpy", cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


'''
REALS, PLACES = ("band", "values", "vector"), ("pivots",)  # arguments that are arrays; all others are integers


def text() -> str:
    """The functions of linear_solve.py as a module, without annotations."""
    out: list[str] = []
    for function in linear_solve.SOURCES:
        tree = ast.parse(inspect.getsource(function))
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.returns = None
        for argument in definition.args.args:
            argument.annotation = None
        out += ["@njit(**kernel)", *ast.unparse(tree).splitlines(), "", ""]
    return HEADER + "\n".join(out)


def load(toolchain: str, use_cache: bool) -> ModuleType:
    """The module of all routines."""
    return disk.load_module(text(), toolchain, use_cache)


def address(module: ModuleType, name: str, real: Any) -> int:
    """Address of a routine for arenas of this real type; compiled or taken from the disk cache."""
    import numba

    arrays = {**dict.fromkeys(REALS, real[::1]), **dict.fromkeys(PLACES, numba.int64[::1])}
    function = getattr(module, name)
    types = tuple(arrays.get(parameter, numba.int64) for parameter in inspect.signature(function.py_func).parameters)
    function.compile(types)
    compiled = function.overloads[types]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
