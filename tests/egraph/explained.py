"""Golden explanations: what was written, what was taken, by which rules. `RICCI_RENEW=1 pytest` writes them anew."""

import os
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
EVERYWHERE = {"common sub-sums", "common sub-products", "common pairs", "equal coefficients factored", "common factors pulled out"}


def explanation(title, report):
    """The part of a report that says why: without figures, and without what happens in every program."""
    before, after = report.texts(report.source), report.texts(report.result)
    by = "; ".join(dict.fromkeys(step.name for step in report.steps if step.name not in EVERYWHERE))
    lines = [
        title,
        *(f"  before {name}: {text}" for name, text in before.items()),
        *(f"  after  {name}: {text}" for name, text in after.items()),
    ]
    return "\n".join([*lines, f"  by: {by}"]) + "\n"


def assert_golden(name, texts):
    """The texts are those of a golden file."""
    path, text = GOLDEN / f"{name}.txt", "\n".join(texts)
    if os.environ.get("RICCI_RENEW"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
