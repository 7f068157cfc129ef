"""Routines that generated code calls by address: compiled once for a toolchain, each by itself, beside the generated modules.

A driver that contained them would be optimized together with them for every model anew, once a call.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache as remembered

from ricci.backends import dense_solve, diagonal_solve, linear_solve, transforms
from ricci.backends.machine_code import machine_code

HEADER = '''"""Routines of generated code."""

import math

import numpy as np
from numba import njit

from ricci.backends.vectors import choose, fma, keep8, load8, magnitude, store8, store_part8, sum_lanes

kernel = dict(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


'''
# arguments that are arrays; all others are integers
REALS, PLACES = ("band", "values", "vector", "work", "roots", "table"), ("pivots",)
FUNCTIONS = {f.__name__: f for module in (linear_solve, transforms, diagonal_solve, dense_solve) for f in module.SOURCES}


@remembered
def text() -> str:
    """The functions of linear_solve.py, transforms.py, diagonal_solve.py and dense_solve.py as one module, without annotations."""
    out: list[str] = []
    for function in FUNCTIONS.values():
        tree = ast.parse(inspect.getsource(function))
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.returns = None
        for argument in definition.args.args:
            argument.annotation = None
        out += ["@njit(**kernel)", *ast.unparse(tree).splitlines(), "", ""]
    return HEADER + "\n".join(out)


def address(name: str, single: bool, toolchain: str, use_cache: bool) -> int:
    """Address of a routine; `single`: reals have 32 bits."""
    letters = {**dict.fromkeys(REALS, "F" if single else "D"), **dict.fromkeys(PLACES, "I")}
    arguments = inspect.signature(FUNCTIONS[name]).parameters
    signature = "".join(letters.get(argument, "i") for argument in arguments)
    return machine_code(text(), toolchain, {name: signature}, use_cache).address[name]
