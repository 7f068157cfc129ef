"""Compiled functions on disk: from a function as it was discretized straight to what runs it.

What is kept is a `Program` (see executable.py) with the names and types of the function's arguments and results, as JSON; its machine
code is a file of its own. The key covers everything that decides it: the terms, the method and options, the machine record, the
text of the compiler itself. So a second process of a model optimizes, schedules and emits nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as remembered
from pathlib import Path

import ricci
from ricci.backends import cache, executable, machine_code
from ricci.backends.executable import Executable
from ricci.dsl import build, wire
from ricci.dsl.ops.band import Ordering
from ricci.dsl.program import Choice
from ricci.dsl.term import Function
from ricci.lowering.schedule import plan, storage

SUFFIX = ".json"
COMPILER = ("dsl", "egraph", "lowering", "backends", "cost.py", "work.py", "machine.py", "driver.py")
CLASSES = (
    Choice,
    Function,
    Ordering,
    executable.Overlap,
    executable.Program,
    executable.Segment,
    executable.Signature,
    plan.Call,
    plan.Place,
    plan.Slot,
    storage.Needs,
    storage.Turns,
    storage.Use,
)


@dataclass(frozen=True)
class Kept:
    """A function without its terms (its results are symbols of their types), what runs it, and what was decided on the way."""

    function: Function
    executable: Executable
    choices: tuple[Choice, ...] = ()


@remembered
def compiler() -> str:
    """The hash of the text of everything that turns terms into code."""
    root = Path(ricci.__file__).parent
    found = hashlib.blake2b(digest_size=16)
    for name in COMPILER:
        whole = root / name
        for path in sorted(p for p in whole.rglob("*") if p.suffix in (".py", ".egg")) if whole.is_dir() else [whole]:
            found.update(path.read_bytes())
    return found.hexdigest()


def key(parts: Sequence[str]) -> str:
    """The name of what is kept for these parts."""
    return cache.PREFIX + cache.content_hash(compiler(), machine_code.toolchain(), *parts)


def find(name: str) -> Kept | None:
    """What is kept under a name, if all of it is there; what is damaged is removed."""
    text = cache.read(name, SUFFIX)
    if text is None:
        return None
    digest, _, body = text.partition(b"\n")
    try:
        if hashlib.blake2b(body, digest_size=16).hexdigest().encode() != digest:
            raise wire.WireError("damaged")
        function, program, choices = wire.loads(body, CLASSES)
    except wire.WireError:
        cache.remove(name)
        return None
    return Kept(function, executable.load(program, machine_code.toolchain()), choices)


def keep(name: str, function: Function, ready: Executable, choices: Sequence[Choice] = ()) -> None:
    """Keep a compiled function."""
    bare = Function(function.name, function.params, tuple((label, build.symbol(label, t.type)) for label, t in function.results))
    body = wire.dumps((bare, ready.program, tuple(choices)), CLASSES).encode()
    cache.write(name, SUFFIX, hashlib.blake2b(body, digest_size=16).hexdigest().encode() + b"\n" + body)
