"""Authors of handlers use `listener`, `listener.kit` and `listener.testing`, and need nothing else."""

from __future__ import annotations

import ast
import pkgutil
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import listener

ROOT = Path(__file__).parents[1]
PUBLIC = ("listener.kit", "listener.testing")
MODULES = {found.name for found in pkgutil.walk_packages(listener.__path__, "listener.")}
FILES = sorted([*ROOT.glob("handlers/**/*.py"), *ROOT.glob("examples/**/*.py")])


def is_public(module: str) -> bool:
    known = module == "listener" or module.startswith(PUBLIC)
    return known and not any(part.startswith("_") for part in module.split("."))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each (module, name) that a file imports from `listener`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "listener")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "listener":
            yield from ((str(node.module), alias.name) for alias in node.names)


def exports(module: str, name: str) -> bool:
    """Whether a public module exports a name, or has a submodule of that name."""
    if not name or f"{module}.{name}" in MODULES:
        return not name.startswith("_")
    found = import_module(module)
    return name in found.__all__ if hasattr(found, "__all__") else not name.startswith("_")


def test_handlers_and_examples_import_only_public_names() -> None:
    written = [(path, module, name) for path in FILES for module, name in imports(path)]
    assert written
    for path, module, name in written:
        assert is_public(module), f"{path} imports the internal {module}; export {name} through the kit"
        assert exports(module, name), f"{path} imports {name}, which is not in __all__ of {module}"


def test_the_contract_of_handlers_names_every_internal_module() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["name"].startswith("Handlers import only")]
    internal = {found.name for found in pkgutil.iter_modules(listener.__path__, "listener.")} - set(PUBLIC)
    assert set(contract["forbidden_modules"]) == internal


@pytest.mark.parametrize("name", listener.__all__)
def test_what_listener_exports_is_there_and_documented(name: str) -> None:
    assert getattr(listener, name).__doc__
