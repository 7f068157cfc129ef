"""The record that `ricci tune` keeps of a machine: found again by every run on the same processor, ignored on any other.

It lies in the cache folder as `machine.json`, or where RICCI_MACHINE says; `RICCI_MACHINE=default` means the shipped rates.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from functools import cache as remembered
from pathlib import Path
from typing import Any

from ricci.backends.cache import folder, write_atomically
from ricci.errors import CannotWrite
from ricci.machine import DEFAULT, Machine

SHIPPED = "default"  # value of RICCI_MACHINE for the rates that come with the program
LARGEST = 1 << 16  # bytes of a record


def path() -> Path | None:
    """Where the record is; None where none is wanted."""
    chosen = os.environ.get("RICCI_MACHINE")
    if chosen == SHIPPED:
        return None
    return Path(chosen) if chosen else folder() / "machine.json"


@remembered
def processor() -> str:
    """What a record belongs to: the kind of processor and how many cores this machine has."""
    facts: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                facts.setdefault(name.strip(), value.strip())
    except OSError:
        facts = {"model name": platform.processor()}
    words = [facts.get(name, "") for name in ("model name", "cpu family", "model", "stepping")]
    return " ".join([platform.machine(), *[w for w in words if w], f"x {os.cpu_count() or 1}"])


def load() -> tuple[Machine, str]:
    """The machine of the record, or the shipped one; and why a record that is there is not used ("" if it is, or if there is none)."""
    where = path()
    if where is None:
        return DEFAULT, ""
    try:
        if where.stat().st_size > LARGEST:
            return DEFAULT, f"{where} is too large for a record of a machine"
        data: Any = json.loads(where.read_text(encoding="utf-8"))
        owner = data["processor"]
        machine = Machine.from_json(data["machine"])
    except FileNotFoundError:
        return DEFAULT, f"{where} does not exist" if "RICCI_MACHINE" in os.environ else ""
    except OSError as error:
        return DEFAULT, f"{where} cannot be read: {error.strerror or error}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return DEFAULT, f"{where} is no record of a machine ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    if owner != processor() and "RICCI_MACHINE" not in os.environ:
        return DEFAULT, f"{where} was measured on another processor ({str(owner)[:80]}); `ricci tune` measures this one"
    return machine, ""


@remembered
def machine() -> Machine:
    """The machine that predictions are made for; says once where a record is not used."""
    found, note = load()
    if note:
        print(f"note: rates of a usual machine are used: {note}", file=sys.stderr)
    return found


def ready_to_save() -> None:
    """E0810 before anything is measured, where a record could not be written."""
    where = path()
    if where is None:
        raise CannotWrite("E0810", "RICCI_MACHINE=default asks for the shipped rates: there is no place for a record")
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(where.parent, os.W_OK):
            raise PermissionError(f"{where.parent} is read-only")
        if where.is_dir():
            raise IsADirectoryError("it is a folder")
    except OSError as error:
        raise not_written(where, error) from None


def not_written(where: Path, error: OSError) -> CannotWrite:
    """The diagnostic of a record that cannot be written."""
    return CannotWrite("E0810", f"the record of the machine cannot be written to `{where}`: {error.strerror or error}")


def save(tuned: Machine) -> Path:
    """Write the record, whole or not at all; E0810 where that fails."""
    ready_to_save()
    where = path()
    assert where is not None
    data = {"processor": processor(), "machine": tuned.to_json()}
    try:
        write_atomically(where, (json.dumps(data, indent=1) + "\n").encode())
    except OSError as error:
        raise not_written(where, error) from None
    machine.cache_clear()
    return where
