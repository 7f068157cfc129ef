"""Reports of defects of ricci itself: a file to attach, whoever met the defect."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Mapping

from ricci import __version__

BLAME = "this is a defect of ricci, not of your model"


def write(error: BaseException | None, facts: Mapping[str, str]) -> str:
    """Write what happened and what it happened to into a new file; returns the sentence that names it."""
    try:
        handle, path = tempfile.mkstemp(prefix="ricci-report-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as out:
            out.write(f"ricci {__version__}, Python {platform.python_version()}, {platform.platform()}\n{' '.join(sys.argv)}\n\n")
            if error is not None:
                out.write("".join(traceback.format_exception(error)))
            for name, text in facts.items():
                out.write(f"\n--- {name}\n{text}\n")
    except OSError as reason:
        return f"{BLAME}; no report could be written ({reason.strerror})"
    return f"{BLAME}; a report to attach is in {path}"
