"""The imports of the package, as its source says: which, how, and what comes with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Kind(Enum):
    MODULE = "at module level"
    FUNCTION = "in a function"
    TYPES = "for types"


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    """A module, ours or not; of ours the one that is meant, not its package."""
    kind: Kind
    line: int


class ImportGraph:
    """All modules of a package, and their imports."""

    def __init__(self, package: Path) -> None:
        self._root = package.parent
        self.files = {self._name(path): path for path in sorted(package.rglob("*.py"))}
        self.imports = [found for name in self.files for found in self._imports_of(name)]

    def at_module_level(self, name: str) -> set[str]:
        """All that importing the module imports, ours and not, its packages' included."""
        found: set[str] = set()
        left = {name}
        while left:
            module = left.pop()
            found.add(module)
            if module in self.files:
                left |= self._direct(module) - found
        return found

    def circles(self) -> list[list[str]]:
        """The modules that import each other, by whatever kind of import."""
        edges: dict[str, set[str]] = {name: set() for name in self.files}
        for each in self.imports:
            if each.imported in self.files and each.imported != each.importer:
                edges[each.importer].add(each.imported)
        reached = {name: _reached(name, edges) for name in edges}
        circles = {
            tuple(sorted(m for m in reached[name] if name in reached[m]))
            for name in edges
            if name in reached[name]
        }
        return [list(circle) for circle in sorted(circles)]

    def _direct(self, name: str) -> set[str]:
        parents = {name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)}
        found = {
            each.imported
            for each in self.imports
            if each.importer == name and each.kind is Kind.MODULE
        }
        return found | parents

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self._root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _imports_of(self, name: str) -> Iterator[Import]:
        tree = ast.parse(self.files[name].read_text())
        yield from self._walk(name, tree, Kind.MODULE)

    def _walk(self, name: str, node: ast.AST, kind: Kind) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(name, alias.name, kind, child.lineno)
            elif isinstance(child, ast.ImportFrom) and child.module is not None:
                for alias in child.names:
                    inner = f"{child.module}.{alias.name}"
                    meant = inner if inner in self.files else child.module
                    yield Import(name, meant, kind, child.lineno)
            elif isinstance(child, ast.If) and _is_for_types(child):
                for part in child.body:
                    yield from self._walk_all(name, part, Kind.TYPES)
                for part in child.orelse:
                    yield from self._walk_all(name, part, kind)
            else:
                yield from self._walk(name, child, _within(child, kind))

    def _walk_all(self, name: str, node: ast.AST, kind: Kind) -> Iterator[Import]:
        yield from self._walk(name, ast.Module([node], []), kind)  # pyright: ignore[reportArgumentType]


def _within(node: ast.AST, kind: Kind) -> Kind:
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return Kind.FUNCTION if is_function and kind is Kind.MODULE else kind


def _is_for_types(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = set(edges[start])
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left |= edges[name]
    return found
