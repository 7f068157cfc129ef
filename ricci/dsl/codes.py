"""The catalogue of diagnostic codes: what each means, why it is an error, and an example with the mended text.

The catalogue is codes.md beside this file. `CODES[code]` is an `Entry`; `explain_code(code)` is the page that
`ricci explain CODE` prints.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WIDTH = 100
CATALOGUE = Path(__file__).with_name("codes.md")


@dataclass(frozen=True)
class Entry:
    """`title` a few words; `text` the meaning and the reason; `wrong` and `mended` models or commands, "" where none helps."""

    title: str
    text: str
    wrong: str
    mended: str


def _read(catalogue: str) -> dict[str, Entry]:
    entries = {}
    for section in re.split(r"^## ", catalogue, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        code, _, title = heading.partition(" ")
        text, wrong, mended = re.fullmatch(r"(.*?)(?:^wrong:\n(.*?))?(?:^right:\n(.*?))?", body, re.DOTALL | re.MULTILINE).groups("")  # type: ignore[union-attr]
        entries[code] = Entry(title, " ".join(text.split()), _example(wrong), _example(mended))
    return entries


def _example(text: str) -> str:
    inner = textwrap.dedent(text).strip("\n")
    return inner + "\n" if inner else ""


CODES: Mapping[str, Entry] = _read(CATALOGUE.read_text(encoding="utf-8"))


def explain_code(code: str) -> str:
    """The page of a code: meaning, reason, an example and its remedy."""
    entry = CODES[code]
    parts = [f"{code}: {entry.title}", textwrap.fill(entry.text, WIDTH)]
    for label, example in (("wrong", entry.wrong), ("right", entry.mended)):
        if example:
            lines = [line if len(line) <= 2 * WIDTH else line[:60] + " ..." for line in example.splitlines()]
            parts.append(f"{label}:\n" + "\n".join(f"    {line}" for line in lines))
    return "\n\n".join(parts)
