"""ricci: a language and compiler for numerical models. Names are imported when they are first used."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    from importlib.util import find_spec

    if find_spec(f"ricci.{name}") is not None:  # a submodule: Python imports it after this refusal
        raise AttributeError(name)
    from ricci.faces import embed

    try:
        return getattr(embed, name)
    except AttributeError:
        raise AttributeError(f"module 'ricci' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    from ricci.faces import embed

    return sorted({"__version__", *embed.__dir__()})
