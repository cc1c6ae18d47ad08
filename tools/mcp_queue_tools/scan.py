"""Which Python files belong to a project, and the names under which they are imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

from mcp_queue_tools.errors import FolderNotFoundError

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
VENV_MARK = "pyvenv.cfg"
INIT = "__init__.py"


class SourceFile(NamedTuple):
    """A Python file; ``path`` is relative to the root, with slashes."""

    path: str
    module: str
    is_package: bool
    size: int
    mtime_ns: int


class Problem(NamedTuple):
    """A file or folder that could not be taken into the map, and why."""

    path: str
    reason: str


class Listing(NamedTuple):
    """What a scan found; ``complete`` is false when it was stopped."""

    files: list[SourceFile]
    problems: list[Problem]
    complete: bool


def find_root(root_dir: str) -> Path:
    """The real path of the folder, or FolderNotFoundError."""
    try:
        root = Path(root_dir).expanduser().resolve(strict=True)
        with os.scandir(root):
            return root
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FolderNotFoundError(folder=root_dir, reason=reason) from error


def scan(root: Path, stopping: Callable[[], bool]) -> Listing:
    """All Python files below ``root``, sorted by path.

    Skipped are hidden folders, caches, virtual environments and installed packages below the
    root (the root itself may lie in one), and links to folders: what they lead to is either in
    the project, and found there, or not part of it.
    """
    files: list[SourceFile] = []
    problems: list[Problem] = []
    seen: set[tuple[int, int]] = set()
    folders = [(str(root), "", _package_of(root))]
    while folders:
        if stopping():
            return Listing(files, problems, complete=False)
        folder, prefix, package = folders.pop()
        try:
            if _is_new(folder, seen):
                found, inner = _scan_folder(folder, prefix, package, problems)
                files += found
                folders += inner
        except OSError as error:
            problems.append(Problem(printable(prefix or "."), _reason(error)))
    return Listing(sorted(files), problems, complete=True)


def printable(path: str) -> str:
    """The path as text that JSON can carry, whatever bytes the file system holds."""
    return path.encode("utf-8", "backslashreplace").decode()


def _scan_folder(
    folder: str, prefix: str, package: str, problems: list[Problem]
) -> tuple[list[SourceFile], list[tuple[str, str, str]]]:
    with os.scandir(folder) as listing:
        entries = {entry.name: entry for entry in listing}
    if prefix and VENV_MARK in entries:
        return [], []
    if prefix:
        package = _join(package, prefix.rstrip("/").rpartition("/")[2]) if INIT in entries else ""
    files: list[SourceFile] = []
    inner: list[tuple[str, str, str]] = []
    for name, entry in entries.items():
        path = prefix + name
        if entry.is_dir(follow_symlinks=False):
            if not name.startswith(".") and name not in SKIPPED:
                inner.append((entry.path, path + "/", package))
        elif name.endswith(".py"):
            files += _source_file(entry, path, package, problems)
    return files, inner


def _source_file(
    entry: os.DirEntry[str], path: str, package: str, problems: list[Problem]
) -> Iterator[SourceFile]:
    """The file, or nothing (and perhaps a problem) where there is none to read."""
    try:
        status = entry.stat()
        if entry.is_dir():
            return
        if not entry.is_file():
            raise OSError(0, "not a regular file")
        path.encode()
    except UnicodeEncodeError:
        problems.append(Problem(printable(path), "the name is not valid text"))
    except OSError as error:
        problems.append(Problem(printable(path), _reason(error)))
    else:
        is_package = entry.name == INIT and bool(package)
        module = package if is_package else _join(package, entry.name[:-3])
        yield SourceFile(path, module, is_package, status.st_size, status.st_mtime_ns)


def _package_of(root: Path) -> str:
    """The dotted name of the root if it is a package, perhaps inside others, else nothing."""
    names: list[str] = []
    folder = root
    while folder.name and (folder / INIT).is_file():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names))


def _join(package: str, name: str) -> str:
    return f"{package}.{name}" if package else name


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Whether the folder was not scanned before (a mount or junction can make a loop)."""
    status = Path(folder).stat()
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
