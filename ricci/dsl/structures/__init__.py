"""Structured matrices: one file each. A new one is a file with a `Structure` and its line in `STRUCTURES`."""

from __future__ import annotations

from collections.abc import Mapping

from ricci.dsl.structures.base import Core, Matrix, Structure, StructureError
from ricci.dsl.structures.blockdiag import BlockDiagonal
from ricci.dsl.structures.btt import BlockTensorTrain
from ricci.dsl.structures.circulant import Circulant
from ricci.dsl.structures.diagonal import DiagonalLowRank
from ricci.dsl.structures.kron import Kronecker
from ricci.dsl.structures.lowrank import LowRank
from ricci.dsl.structures.monarch import Monarch
from ricci.dsl.structures.tt import TensorTrain

STRUCTURES: Mapping[str, type[Structure]] = {
    s.name: s for s in (LowRank, Kronecker, Monarch, BlockDiagonal, BlockTensorTrain, TensorTrain, Circulant, DiagonalLowRank)
}


def structure(name: str, matrix: Matrix, options: Mapping[str, int]) -> Structure:
    """The structure of an annotation `@name(option=number, ..)`; StructureError where it does not fit the matrix."""
    made = STRUCTURES[name]
    known = made.options()
    for option in options:
        if option not in known:
            raise StructureError(f"`@{name}` has no option `{option}`", f"it has {', '.join(known)}" if known else "it has none")
    missing = [o for o in known if o not in options and not hasattr(made, o)]
    if missing:
        raise StructureError(f"`@{name}` needs `{missing[0]}`", f"@{name}({', '.join(f'{o}=...' for o in missing)})")
    return made(matrix, **options)


__all__ = ["STRUCTURES", "Core", "Matrix", "Structure", "StructureError", "structure"]
