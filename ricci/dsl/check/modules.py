"""Imports: a `.model` file next to the text, then in the standard library; and what a `.model` file cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ricci.dsl import tree
from ricci.dsl.check.context import Checker, error
from ricci.dsl.check.values import Namespace, SiteOperator
from ricci.dsl.spelling import nearest

if TYPE_CHECKING:
    from ricci.dsl.check.declarations import Declarer

LIBRARY = Path(__file__).parents[2] / "stdlib"
DEEPEST = 20  # modules that import each other
MODULE_STATEMENTS = (
    tree.Version,
    tree.Import,
    tree.FromImport,
    tree.UnitDeclaration,
    tree.DimDeclaration,
    tree.ParamDeclaration,
    tree.Let,
    tree.FunctionDefinition,
    tree.LayerDefinition,
)


def load(module: tree.Dotted, folder: Path, checker: Checker) -> Namespace:
    """The module that a name means; E0101 where there is none."""
    from ricci.dsl.check.operators import MODULES, SITE_OPERATORS

    key = f"{folder}:{module.text}"
    known = checker.modules.get(key)
    if isinstance(known, Namespace):
        return known
    if known is not None:
        raise error("E0106", f"the module `{module.text}` imports itself", module)
    checker.modules[key] = "active"
    members: dict[str, Any] = dict(MODULES.get(module.text, {}))
    members.update({name: SiteOperator(name) for name in SITE_OPERATORS.get(module.text, ())})
    found = next((p for base in (folder, LIBRARY) if (p := base.joinpath(*module.text.split(".")).with_suffix(".model")).is_file()), None)
    if found is not None:
        members.update(_members(found, module, checker))
    elif not members:
        choices = [*MODULES, *SITE_OPERATORS, *(p.stem for p in sorted(LIBRARY.glob("*.model")))]
        guess = nearest(module.text, choices)
        label = f"did you mean `{guess}`?" if guess else f"no `{module.text}.model` beside this file or in the standard library"
        raise error("E0101", f"there is no module `{module.text}`", module, label=label)
    namespace = Namespace(module.text, "module", members)
    checker.modules[key] = namespace
    return namespace


def _members(path: Path, module: tree.Dotted, checker: Checker) -> dict[str, Any]:
    """Functions, layers and constants of a file."""
    from ricci.dsl.check.declarations import Declarer
    from ricci.dsl.check.scope import Scope
    from ricci.dsl.parse import decode, parse

    try:
        data = path.read_bytes()
    except OSError as failure:
        raise error("E0101", f"the module `{module.text}` cannot be read: {failure.strerror}", module) from None
    file = parse(decode(str(path), data))
    scope = Scope()
    inner: Declarer = Declarer(_for_module(checker, path, file), scope)
    inner.predefined()
    own = Scope(scope)
    inner.scope = own
    for statement in file.statements:
        if isinstance(statement, MODULE_STATEMENTS):
            inner.declare(statement)
        elif not isinstance(statement, tree.Check):
            raise error(
                "E0203",
                f"the module `{module.text}` holds more than definitions",
                statement,
                label="a module has fn, layer, let, param, dim, unit",
            )
    return dict(own.declarations)


def _for_module(checker: Checker, path: Path, file: tree.File) -> Checker:
    from dataclasses import replace

    return replace(checker, folder=str(path.parent), called=names_called(file.statements))


def names_called(statements: tuple[tree.Statement, ...]) -> dict[str, Any]:
    """Names before parentheses or before `[...](`, with their first place; blocks inside are left to themselves."""
    found: dict[str, Any] = {}
    stack: list[tree.Node] = list(reversed(statements))
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Call):
            function = node.function.base if isinstance(node.function, tree.Index) else node.function
            if isinstance(function, tree.Name):
                found.setdefault(function.id, function.span)
        stack.extend(reversed(list(tree.children(node))))
    return found
