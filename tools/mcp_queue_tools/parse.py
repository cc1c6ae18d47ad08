"""The facts about one Python file for the map, from one walk over its syntax tree."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

DOC_LIMIT = 200  # characters stored of a docstring's first line

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_RECORDED = frozenset({ast.ClassDef, *_FUNCTIONS, ast.Import, ast.ImportFrom})
_BRANCHES = frozenset(
    {
        *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.IfExp, ast.BoolOp),
        *(ast.ExceptHandler, ast.comprehension, ast.match_case),
    }
)
_LEAVES = (ast.Name, ast.Constant, ast.alias, ast.Global, ast.Nonlocal)
_NO_NODES = frozenset({"ctx", "op", "ops", "id", "attr", "type_comment", "conversion", "is_async"})


class Symbol(NamedTuple):
    """A module, class, method or function (nested ones too) and where it is defined."""

    kind: str
    name: str
    qualified: str
    line: int
    end_line: int
    complexity: int
    bases: tuple[str, ...]
    doc: str
    methods: int


class Import(NamedTuple):
    """``import module`` (``name`` is empty) or ``from module import name``."""

    module: str
    name: str
    line: int


class Facts(NamedTuple):
    """The facts about a file; with a ``problem`` there are no text, symbols and imports.

    A file that is not Python may contain anything, also secrets, so its text is not stored.
    """

    text: str
    lines: int
    symbols: list[Symbol]
    imports: list[Import]
    problem: str | None = None


class _Scope(NamedTuple):
    """The direct content of a module, class or function, without that of inner definitions."""

    definitions: list[Any]
    imports: list[Any]
    branches: int


def parse_source(data: bytes, module: str, *, is_package: bool) -> Facts:
    """The facts of one file; a file that Python cannot parse is a ``problem``, not an error."""
    text = _decode(data)
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        return Facts("", lines, [], [], place + _clean(error.msg))
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return Facts("", lines, [], [], _clean(str(error)) or "too deeply nested")
    package = module if is_package else module.rpartition(".")[0]
    return _collect(tree, module, package, text, lines)


def _collect(tree: ast.Module, module: str, package: str, text: str, lines: int) -> Facts:
    top = _scope(tree)
    name = module.rpartition(".")[2]
    symbols = [Symbol("module", name, module, 1, max(lines, 1), 0, (), _doc(tree), 0)]
    imports = list(_imports(top.imports, package))
    pending = [(node, module, False) for node in top.definitions]
    while pending:
        node, owner, in_class = pending.pop()
        scope = _scope(node)
        symbol = _symbol(node, f"{owner}.{node.name}", scope, in_class=in_class)
        symbols.append(symbol)
        imports += _imports(scope.imports, package)
        is_class = symbol.kind == "class"
        pending += [(inner, symbol.qualified, is_class) for inner in scope.definitions]
    return Facts(text, lines, symbols, imports)


def _scope(start: Any) -> _Scope:
    """Walk over a definition with an explicit stack, since deep expressions exceed Python's."""
    definitions: list[Any] = []
    imports: list[Any] = []
    branches = 0
    stack: list[Any] = []
    node = start
    while True:
        kind = node.__class__
        if kind in _RECORDED and node is not start:
            (imports if kind is ast.Import or kind is ast.ImportFrom else definitions).append(node)
        else:
            if kind in _BRANCHES:
                branches += _weight(node, kind)
            for field in _CHILDREN.get(kind, ()):
                value = getattr(node, field)
                if value.__class__ is list:
                    stack += value
                elif value is not None:
                    stack.append(value)
        if not stack:
            return _Scope(definitions, imports, branches)
        node = stack.pop()


def _weight(node: Any, kind: type) -> int:
    if kind is ast.BoolOp:
        return len(node.values) - 1
    if kind is ast.comprehension:
        return 1 + len(node.ifs)
    return 1


def _symbol(node: Any, qualified: str, scope: _Scope, *, in_class: bool) -> Symbol:
    is_class = isinstance(node, ast.ClassDef)
    methods = sum(isinstance(inner, _FUNCTIONS) for inner in scope.definitions)
    return Symbol(
        kind="class" if is_class else "method" if in_class else "function",
        name=node.name,
        qualified=qualified,
        line=node.lineno,
        end_line=node.end_lineno or node.lineno,
        complexity=0 if is_class else 1 + scope.branches,
        bases=tuple(_expression(base) for base in node.bases) if is_class else (),
        doc=_doc(node),
        methods=methods if is_class else 0,
    )


def _imports(nodes: Iterable[Any], package: str) -> Iterable[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno)
        else:
            module = _absolute(node.module or "", node.level, package)
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)


def _absolute(module: str, level: int, package: str) -> str:
    """The full name of the imported module; a name outside of the known packages keeps its dots."""
    if not level:
        return module
    parts = package.split(".") if package else []
    if level - 1 >= len(parts):
        return "." * level + module
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{module}" if module else base


def _doc(node: Any) -> str:
    first = node.body[0] if node.body else None
    value = first.value if isinstance(first, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else None
    if not isinstance(text, str):
        return ""
    return _clean(text.strip().partition("\n")[0].strip()[:DOC_LIMIT])


def _expression(node: Any) -> str:
    names: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        return ".".join([inner.id, *reversed(names)])
    try:
        return _clean(ast.unparse(node))
    except RecursionError:
        return "…"


def _clean(text: str) -> str:
    """Text that can be encoded in UTF-8; a literal may contain half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _decode(data: bytes) -> str:
    """The text with ``\\n`` at line ends, so that lines are counted as by Python's parser."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding, "replace")
    except (SyntaxError, LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    return _clean(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"))


def _children() -> dict[type, tuple[str, ...]]:
    """The fields of each kind of node that may contain nodes."""
    kinds = [kind for kind in vars(ast).values() if isinstance(kind, type)]
    nodes = [kind for kind in kinds if issubclass(kind, ast.AST) and not issubclass(kind, _LEAVES)]
    fields = {kind: tuple(name for name in kind._fields if name not in _NO_NODES) for kind in nodes}
    return {kind: names for kind, names in fields.items() if names}


_CHILDREN = _children()
