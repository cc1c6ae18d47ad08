"""Find the Python files of a project, and the names under which they are imported."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mcp_queue import PathRefusedError, paths
from mcp_queue_tools.errors import FolderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

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
    """The result of a scan; ``complete`` is false if it was stopped."""

    files: list[SourceFile]
    problems: list[Problem]
    complete: bool


def find_root(root_dir: str) -> Path:
    """The real path of the folder, or FolderNotFoundError."""
    try:
        root = Path(root_dir).expanduser().resolve(strict=True)
        if not root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(root, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return root
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FolderNotFoundError(folder=root_dir, reason=reason) from error


def scan(root: Path, stopping: Callable[[], bool]) -> Listing:
    """All Python files below ``root``, sorted by path.

    Hidden folders, caches, virtual environments and installed packages below the root are skipped
    (the root itself may be in one). Links to folders are skipped, too: their targets are either in
    the project and found there, or not part of it. Links that lead out of it are problems.
    """
    files: list[SourceFile] = []
    problems: list[Problem] = []
    seen: set[tuple[int, int]] = set()
    folders = [("", _package_of(root))]
    while folders:
        if stopping():
            return Listing(files, problems, complete=False)
        prefix, package = folders.pop()
        try:
            with _entries(root, prefix, seen) as entries:
                sources, inner = _scan_folder(root, entries, prefix, package, problems)
                files += sources
                folders += inner
        except (OSError, PathRefusedError) as error:
            problems.append(Problem(printable(prefix or "."), reason_of(error)))
    return Listing(sorted(files), problems, complete=True)


def printable(path: str) -> str:
    """The path as text that is valid in JSON; a file system may have any bytes."""
    return path.encode("utf-8", "backslashreplace").decode()


def reason_of(error: OSError | PathRefusedError) -> str:
    """Why something cannot be read, in a few words."""
    if isinstance(error, PathRefusedError):
        return str(error.details["reason"])
    return error.strerror or str(error)


@contextmanager
def _entries(
    root: Path, prefix: str, seen: set[tuple[int, int]]
) -> Generator[list[os.DirEntry[str]]]:
    """The entries of a folder; none if it was scanned before (mounts can form a loop)."""
    if not paths.RELATIVE:
        folder = paths.inside(root, prefix)
        with os.scandir(folder) as entries:
            yield list(entries) if _is_new(folder.stat(), seen) else []
        return
    descriptor = paths.open_folder_inside(root, prefix)
    try:  # the entries are read through the descriptor, not by their paths
        with os.scandir(descriptor) as entries:
            yield list(entries) if _is_new(os.fstat(descriptor), seen) else []
    finally:
        os.close(descriptor)


def _scan_folder(
    root: Path,
    entries: list[os.DirEntry[str]],
    prefix: str,
    package: str,
    problems: list[Problem],
) -> tuple[list[SourceFile], list[tuple[str, str]]]:
    by_name = {entry.name: entry for entry in entries}
    if prefix and VENV_MARK in by_name:
        return [], []
    if prefix:
        package = _join(package, prefix.rstrip("/").rpartition("/")[2]) if INIT in by_name else ""
    files: list[SourceFile] = []
    inner: list[tuple[str, str]] = []
    for name, entry in by_name.items():
        path = prefix + name
        if _is_wanted_folder(entry):
            if not _is_link(entry):
                inner.append((path + "/", package))
            elif (problem := _leads_out(root, path)) is not None:
                problems.append(problem)
        elif name.endswith(".py"):
            files += _source_file(root, entry, path, package, problems)
    return files, inner


def _is_wanted_folder(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in SKIPPED:
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link, or on Windows a junction."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return entry.is_symlink() or tag == junction


def _leads_out(root: Path, path: str) -> Problem | None:
    try:
        paths.inside(root, path)
    except PathRefusedError as error:
        return Problem(printable(path), reason_of(error))
    return None


def _source_file(
    root: Path, entry: os.DirEntry[str], path: str, package: str, problems: list[Problem]
) -> Iterator[SourceFile]:
    """The file; nothing, and perhaps a problem, if it cannot be read."""
    try:
        status = entry.stat()
        if entry.is_dir():
            return
        if not entry.is_file():
            raise OSError(0, "not a regular file")
        if entry.is_symlink():
            paths.inside(root, path)
        path.encode()
    except UnicodeEncodeError:
        problems.append(Problem(printable(path), "the name is not valid text"))
    except (OSError, PathRefusedError) as error:
        problems.append(Problem(printable(path), reason_of(error)))
    else:
        is_package = entry.name == INIT and bool(package)
        module = package if is_package else _join(package, entry.name[:-3])
        yield SourceFile(path, module, is_package, status.st_size, status.st_mtime_ns)


def _package_of(root: Path) -> str:
    """The dotted name of the root if it is a package, with its outer packages; else empty."""
    names: list[str] = []
    folder = root
    while folder.name and (folder / INIT).is_file():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names))


def _join(package: str, name: str) -> str:
    return f"{package}.{name}" if package else name


def _is_new(status: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return False
    seen.add(identity)
    return True
