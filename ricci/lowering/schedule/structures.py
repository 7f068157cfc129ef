"""How loops and calls become steps: one function per operator. The table is all there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ricci.dsl.term import Term
from ricci.lowering.schedule.plan import Step

if TYPE_CHECKING:
    from ricci.lowering.schedule.block import Block

STRUCTURES: dict[str, Callable[[Block, Term], list[Step]]] = {}
