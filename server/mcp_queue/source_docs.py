"""Docstrings, also if Python strips them (``-OO``, ``PYTHONOPTIMIZE=2``)."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

_files: dict[str, dict[str, str]] = {}
"""By file: docstrings by qualified name; for functions, a colon and the line follow the name."""


def docstring_of(target: Any) -> str | None:
    """The docstring of a function or class: its attribute, or the one in its source."""
    found = target.__doc__
    if isinstance(found, str):
        return found
    return _from_source(target) if sys.flags.optimize > 1 else None


def _from_source(target: Any) -> str | None:
    from inspect import unwrap

    target = unwrap(getattr(target, "__func__", target))
    name = getattr(target, "__qualname__", None)
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    code = getattr(target, "__code__", None)
    file = code.co_filename if code is not None else getattr(module, "__file__", None)
    if name is None or file is None:
        return None
    if file not in _files:
        _files[file] = _read(file, module)
    line = f":{code.co_firstlineno}" if code is not None else ""
    return _files[file].get(name + line)


def _read(file: str, module: Any) -> dict[str, str]:
    import ast
    from linecache import getlines

    found: dict[str, str] = {}
    try:
        tree = ast.parse("".join(getlines(file, getattr(module, "__dict__", None))))
    except (SyntaxError, ValueError, RecursionError):
        return found
    _collect(tree, "", found)
    return found


def _collect(node: ast.AST, prefix: str, found: dict[str, str]) -> None:
    import ast

    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            _collect(child, prefix, found)  # an if or a try may contain definitions
            continue
        name, line = prefix + child.name, ""
        if not isinstance(child, ast.ClassDef):  # a name may be defined more than once
            begins = min(each.lineno for each in (child, *child.decorator_list))
            line = f":{begins}"
        text = ast.get_docstring(child, clean=False)
        if text is not None:
            found[name + line] = text
        inner = "." if isinstance(child, ast.ClassDef) else ".<locals>."
        _collect(child, name + inner, found)
