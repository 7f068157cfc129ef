"""The house stands as docs/architecture.md says: imports run one way, nothing heavy is imported early, one source of text."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ricci"

# folder or module -> what it may import from ricci
ALLOWED = {
    "errors": set(),
    "machine": {"errors"},
    "defects": set(),
    "dsl": {"errors"},
    "work": {"machine"},
    "cost": {"errors", "machine", "work", "dsl"},
    "egraph": {"errors", "machine", "cost", "work", "dsl", "defects"},
    "lowering": {"errors", "machine", "cost", "work", "dsl"},
    "backends": {"errors", "machine", "cost", "work", "dsl", "lowering"},
    "stdlib": {"errors", "dsl"},
    "driver": {"errors", "machine", "cost", "dsl", "egraph", "lowering", "backends", "stdlib"},
    "faces": {"errors", "machine", "cost", "dsl", "egraph", "lowering", "backends", "stdlib", "driver", "defects"},
    "__init__": {"errors", "faces", "egraph", "driver"},
    "__main__": {"errors", "faces"},
}
HEAVY = ("numba", "egglog", "sympy", "scipy", "matplotlib", "xarray", "zarr", "prompt_toolkit", "llvmlite")


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path) -> set[str]:
    """Rooms of `ricci` that a file imports anywhere, also inside functions."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names += [a.name for a in node.names]
    rooms = {parts[1] for parts in (n.split(".") for n in names) if parts[0] == "ricci" and len(parts) > 1}
    return rooms & set(ALLOWED)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    here = room(path)
    assert imported(path) - {here} <= ALLOWED[here]


def test_only_encode_imports_egglog():
    users = [p for p in FILES if any("egglog" in line.split("#")[0] for line in p.read_text().splitlines() if "import" in line)]
    assert [p.relative_to(PACKAGE).as_posix() for p in users] == ["egraph/encode.py"]


@pytest.mark.parametrize("module", ["ricci", "ricci.__main__", "ricci.dsl.build", "ricci.dsl.parse", "ricci.dsl.check", "ricci.driver"])
def test_import_is_light(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_evaluation_of_text_and_no_pickle():
    """A model is data: no eval, no pickle; only the cache runs text, and that is generated source it has just compared."""
    for path in FILES:
        if path.relative_to(PACKAGE).as_posix() == "backends/machine_code.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile"}, f"{path}:{node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "cloudpickle", "dill", "marshal"} & set(names), f"{path}:{node.lineno}"


def test_files_and_functions_stay_small():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 650, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 75, f"{path}:{node.lineno} {node.name}"


def test_no_stage_takes_keyword_soup():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and room(path) not in {"faces", "__init__"}:
                assert node.args.kwarg is None, f"{path}:{node.lineno} {node.name}"
