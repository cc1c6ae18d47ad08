"""Resolve paths from callers, only within a folder.

Use this in commands, prompts and resources that get a path, or a part of one, from a caller. A link
counts as its target. A hard link cannot be distinguished from the original file.
"""

from __future__ import annotations

import errno
import os
import re
import stat

from mcp_queue.errors import PathRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

WINDOWS = os.name == "nt"
RELATIVE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether a file can be opened relative to its folder's descriptor, without following links."""

_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE
)
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_IS_LINK = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR)  # errors for links on various systems


def inside(root: str | os.PathLike[str], *parts: str | os.PathLike[str]) -> Path:
    """The real path of ``parts`` below the folder ``root``, with links resolved.

    The path need not exist. Raises PathRefusedError for an absolute path, ``..``, a link that leads
    out of the folder, a NUL, and on Windows also for a drive (``C:secret``), a device (``NUL``), a
    stream (``a:b``) and names that end in a dot or a space. The files may change after this check.
    So if other users can write to ``root``, open files with `open_inside`.
    """
    from pathlib import Path

    return Path(_inside(root, _names(parts))[1])


def open_inside(root: str | os.PathLike[str], *parts: str | os.PathLike[str]) -> BinaryIO:
    """A file below the folder ``root``, opened for reading bytes; close it after use.

    Raises PathRefusedError as `inside` does, and if it is no regular file: pipes, sockets, devices
    and folders are never opened. Raises OSError if it cannot be read. Each folder of the path is
    opened separately, without following links, so replacing a folder by a link meanwhile has no
    effect. (Windows cannot do that. There the file is closed unread if its path leads elsewhere.)
    """
    names = _names(parts)
    top, real = _inside(root, names)
    if RELATIVE:
        descriptor = _open_below(top, _steps(top, real), names)
    else:
        descriptor = _open_checked(real, root, names)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(names, "it is no regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_folder_inside(root: str | os.PathLike[str], *parts: str | os.PathLike[str]) -> int:
    """A descriptor of a folder below ``root``, for `os.scandir`; close it after use.

    Raises as `open_inside` does. Not on Windows (see ``RELATIVE``).
    """
    names = _names(parts)
    top, real = _inside(root, names)
    return _descend(top, _steps(top, real), names)


def fault_of(part: str, *, windows: bool = WINDOWS) -> str | None:
    """Why ``part`` cannot be a path below a folder; None if it can. This checks only the text."""
    if "\0" in part:
        return "it has a NUL character"
    if part.startswith(("/", "\\") if windows else "/"):
        return "it is an absolute path"
    names = re.split(r"[/\\]" if windows else "/", part)
    if ".." in names:
        return "it leads upwards with '..'"
    return _fault_on_windows(part, names) if windows else None


def _fault_on_windows(part: str, names: list[str]) -> str | None:
    if re.match("[A-Za-z]:", part):
        return "it begins with a drive"
    for name in names:
        if ":" in name:
            return f"{name!r} names a drive or a stream"
        if name not in ("", ".") and name != name.rstrip(". "):
            return f"{name!r} ends in a dot or a space, which Windows leaves out"
        if _DEVICE.match(name):
            return f"{name!r} is a device on Windows"
        if any(ord(letter) < 32 for letter in name):
            return f"{name!r} has a control character"
    return None


def _names(parts: tuple[str | os.PathLike[str], ...]) -> tuple[str, ...]:
    return tuple(os.fspath(part) for part in parts)


def _inside(root: str | os.PathLike[str], names: tuple[str, ...]) -> tuple[str, str]:
    """The real paths of ``root`` and of the path below it."""
    for name in names:
        if (reason := fault_of(name)) is not None:
            raise _refused(names, reason)
    try:
        top = _real(os.fspath(root))
        real = _real(os.path.join(top, *names))
    except (OSError, ValueError) as error:
        raise _refused(names, getattr(error, "strerror", None) or str(error)) from error
    here, there = os.path.normcase(top), os.path.normcase(real)
    if here != there and not there.startswith(here.rstrip(os.sep) + os.sep):
        raise _refused(names, "a link leads out of the folder")
    return top, real


def _real(path: str) -> str:
    try:
        return os.path.realpath(path, strict=True)
    except FileNotFoundError:  # a part that does not exist may be made later
        return os.path.realpath(path)


def _steps(top: str, real: str) -> list[str]:
    return [step for step in real[len(top) :].split(os.sep) if step]


def _open_below(top: str, steps: list[str], names: tuple[str, ...]) -> int:
    """A descriptor of the file at the end of these steps; none of them may be a link."""
    if not steps:
        raise _refused(names, "it is no regular file")
    folder = _descend(top, steps[:-1], names)
    try:
        status = os.stat(steps[-1], dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):  # opening a device or a pipe may have an effect
            raise _refused(names, "it is no regular file")
        with _NoLink(names):
            return os.open(steps[-1], _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _descend(top: str, steps: list[str], names: tuple[str, ...]) -> int:
    with _NoLink(names):
        folder = os.open(top, _FOLDER_FLAGS)
        for step in steps:
            try:
                below = os.open(step, _FOLDER_FLAGS, dir_fd=folder)
            finally:
                os.close(folder)
            folder = below
    return folder


class _NoLink:
    """Turns the error of a link in the block into PathRefusedError."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError) and error.errno in _IS_LINK:
            raise _refused(self._names, "it was exchanged meanwhile") from error


def _open_checked(real: str, root: str | os.PathLike[str], names: tuple[str, ...]) -> int:
    """Open the file, then check that the path still leads to it; without descriptors of folders."""
    if not stat.S_ISREG(os.stat(real).st_mode):
        raise _refused(names, "it is no regular file")
    descriptor = os.open(real, _FILE_FLAGS)
    try:
        again = _inside(root, names)[1]
        if not os.path.samestat(os.fstat(descriptor), os.stat(again)):
            raise _refused(names, "it was exchanged meanwhile")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refused(names: tuple[str, ...], reason: str) -> PathRefusedError:
    return PathRefusedError(path="/".join(names), reason=reason)
