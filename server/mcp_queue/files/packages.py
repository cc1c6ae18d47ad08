"""Files in a package: they are loaded as its modules, so that they can import from it."""

from __future__ import annotations

import os
import sys

from mcp_queue import search_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def home_of(path: str) -> tuple[str, str] | None:
    """The folder that contains the file's package, and the full name of the module.

    The file has an ``__init__.py`` beside it. None if it imports nothing from its package.
    """
    folder, file = os.path.split(path)
    stem, ending = os.path.splitext(file)
    parts = [] if stem == "__init__" else [stem]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, part = os.path.split(folder)
        parts.insert(0, part)
    importable = ending == ".py" and all(part.isidentifier() for part in parts)
    return (folder, ".".join(parts)) if importable and _imports_from(parts[0], path) else None


def _imports_from(package: str, path: str) -> bool:
    import re

    statement = rf"(?:^|[;:])[ \t]*(?:from[ \t]*\.|(?:from|import)[ \t]+{package}\b)"
    with open(path, encoding="utf-8", errors="replace") as file:
        return re.search(statement, file.read(), re.MULTILINE) is not None


def load(path: str, folder: str, name: str) -> ModuleType:
    """The module ``name`` of the package in ``folder``.

    Raises ImportError if the name belongs to another file.
    """
    search_path.append(folder)
    package = name.partition(".")[0]
    _expect(os.path.join(folder, package, "__init__.py"), package, _file_of(package))
    __import__(name)
    module = sys.modules[name]
    _expect(path, name, getattr(module, "__file__", None))
    return module


def _file_of(package: str) -> str | None:
    """The file of a package, found without executing the package."""
    from importlib.util import find_spec

    try:
        spec = find_spec(package)
    except ValueError:  # it is already imported, but has no spec
        return getattr(sys.modules[package], "__file__", None)
    return spec.origin if spec is not None else None


def _expect(path: str, name: str, found: str | None) -> None:
    if found is None or not os.path.exists(found) or not os.path.samefile(found, path):
        raise ImportError(
            f"it imports from its package, as {name!r}, but that name belongs to {found}, "
            f"which is found before {path}; rename one of the two"
        )
