"""Every code block of the documents is true: models check, commands run, Python runs, printed results are the ones shown."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```", re.M | re.S)


def blocks():
    for page in PAGES:
        for k, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
            language, title, body = match.groups()
            if language in {"model", "python", "console"}:
                yield pytest.param(language, title.strip(), body, page, id=f"{page.name}-{k}-{language}")


def run(command, folder):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "140"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the examples, and every model of a page under the file name in its title."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "examples", place / "examples")
    return place


@pytest.mark.parametrize(("language", "title", "body", "page"), list(blocks()))
def test_block(language, title, body, page, folder):
    if language == "model":
        name = title or "block.model"
        (folder / name).write_text(body, encoding="utf-8")
        done = run([sys.executable, "-m", "ricci", "check", name], folder)
        assert done.returncode == 0, done.stdout + done.stderr
    elif language == "python":
        done = run([sys.executable, "-c", body], folder)
        assert done.returncode == 0, done.stderr
    else:
        check_console(body, folder)


def check_console(body, folder):
    """Lines after `$ ` are commands; the lines below must occur in what they print, in order; `...` stands for anything."""
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        command, _, shown = part.partition("\n")
        assert command.split()[0] == "ricci", command
        done = run([sys.executable, "-m", *command.split()], folder)
        text = done.stdout + done.stderr
        position = 0
        for wanted in filter(None, (piece.strip() for line in shown.splitlines() for piece in line.split("..."))):
            found = text.find(wanted, position)
            assert found >= 0, f"{command}: {wanted!r} is not in\n{text}"
            position = found + len(wanted)
