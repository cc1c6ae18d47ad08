"""Ownership of files. Files that another user owns or may change are refused, and so are links.

Another user is any user but the effective user of this process, also if that is root. On Windows,
files have no such owner and mode; there the access rights of the user's profile protect them.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# O_PATH, where it exists, needs no right to list the folder.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_IDS = 2**32  # a user namespace that maps fewer ids hides some owners


class NotOursError(PermissionError):
    """A file or folder that another user owns or may change, or that is a link."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(errno.EACCES, fault, path)


def fault_of(status: os.stat_result) -> str | None:
    """Why this file or folder is not only ours, such as ``another user (uid 7) owns it``."""
    if sys.platform == "win32":
        return None
    if status.st_uid != os.geteuid():
        return f"another user (uid {status.st_uid}) owns it"
    if not stat.S_ISLNK(status.st_mode) and _is_open(status):
        return f"other users may write to it (mode {stat.S_IMODE(status.st_mode):03o})"
    return None


def check_folder(path: str) -> None:
    """Raise `NotOursError` unless this is our folder and no link. Raises `OSError`."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotOursError(path, _kind(status, "folder"))
    if (fault := fault_of(status)) is not None:
        raise NotOursError(path, fault)


def check_file(path: str) -> None:
    """Raise `NotOursError` unless this is our file and no link. Raises `OSError`."""
    _check_file(path, os.lstat(path))


def check_with_parents(folder: str) -> None:
    """Raise `NotOursError` if another user can add files to ``folder``, or replace it.

    ``folder`` and each folder above it must belong to us or to root. Others may write only into a
    folder above it, and only if that has the sticky bit, like ``/tmp``: then they can remove only
    their own files.
    """
    if sys.platform == "win32":
        return
    folder = os.path.realpath(folder)
    for path in _with_parents(folder):
        try:
            status = os.lstat(path)
        except OSError:
            continue  # a missing folder is made later, or that raises an error
        if status.st_uid not in (os.geteuid(), 0) and not _is_hidden(status.st_uid):
            raise NotOursError(path, f"another user (uid {status.st_uid}) owns it")
        if not stat.S_ISDIR(status.st_mode):
            continue  # nothing can be made below it
        if _is_open(status) and (path == folder or not status.st_mode & stat.S_ISVTX):
            mode = stat.S_IMODE(status.st_mode)
            raise NotOursError(path, f"other users may write to it (mode {mode:03o})")


def make_folder(path: str) -> None:
    """Make the folder and its missing parents with mode 0700, whatever the umask."""
    missing = [each for each in _with_parents(os.path.abspath(path)) if not os.path.lexists(each)]
    for each in reversed(missing):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            continue  # another process made it; the caller checks its owner
        if os.lstat(each).st_mode & 0o700 != 0o700:
            os.chmod(each, 0o700)


def open_ours(path: str, flags: int, mode: int = 0o600, *, deep: int = 1) -> int:
    """Open our plain file with `os.open`, relative to its folder.

    Neither the file nor the last ``deep`` folders of the path may be links. Raises `NotOursError`,
    and `OSError`.
    """
    if sys.platform == "win32":
        return os.open(path, flags | getattr(os, "O_BINARY", 0), mode)
    base, name = os.path.split(os.path.abspath(path))
    folders: list[str] = []
    for _ in range(deep):
        base, folder = os.path.split(base)
        folders.insert(0, folder)
    opened = [os.open(base, _ENTER)]  # the path of the base may contain links
    try:
        for folder in folders:
            opened.append(_open_at(opened[-1], folder, _ENTER, 0, path))
        # Non-blocking: to open a fifo in its place would block otherwise.
        descriptor = _open_at(opened[-1], name, flags | os.O_NONBLOCK, mode, path)
    finally:
        for each in opened:
            os.close(each)
    try:
        _check_file(path, os.fstat(descriptor))
        os.set_blocking(descriptor, True)  # as callers expect
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remove_made(path: str, made: os.stat_result) -> None:
    """Remove the file that we made, unless another file has its name in the meantime."""
    try:
        if os.path.samestat(os.lstat(path), made):
            os.unlink(path)
    except OSError:  # it is gone, or the next server replaces it
        pass


def read_ours(path: str, limit: int = -1, *, deep: int = 1) -> bytes:
    """The content of a file, at most ``limit`` bytes, opened by `open_ours`."""
    with open(open_ours(path, os.O_RDONLY, deep=deep), "rb") as file:
        return file.read(limit)


def _open_at(folder: int, name: str, flags: int, mode: int, path: str) -> int:
    assert sys.platform != "win32"
    try:
        return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=folder)
    except OSError as error:
        # For a link, Linux raises ELOOP, or ENOTDIR if a folder is opened; others EMLINK, EFTYPE.
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            pass
        else:
            if stat.S_ISLNK(status.st_mode):
                raise NotOursError(path, f"{name} is a link, which is not followed") from error
        error.filename = path
        raise


def _check_file(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotOursError(path, _kind(status, "plain file"))
    if (fault := fault_of(status)) is not None:
        raise NotOursError(path, fault)


def _kind(status: os.stat_result, wanted: str) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "it is a link, which is not followed"
    return f"it is no {wanted}"


def _with_parents(folder: str) -> Iterator[str]:
    """The folder and all folders above it."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _is_open(status: os.stat_result) -> bool:
    """Whether another user may write. A group right does not count if the group has only us."""
    assert sys.platform != "win32"
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private(status.st_gid)


def _is_private(gid: int) -> bool:
    """Whether a group is root's or only ours: it has our name, or no name (in containers)."""
    assert sys.platform != "win32"
    import grp
    import pwd

    if gid == 0:
        return True
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return gid == os.getegid() or gid in os.getgroups()
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _is_hidden(uid: int) -> bool:
    """Whether this id replaces ids that are not mapped in this user namespace, such as root's."""
    try:
        with open("/proc/sys/fs/overflowuid", encoding="ascii") as file:
            if uid != int(file.read()):
                return False
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return sum(int(line.split()[2]) for line in file) < _IDS - 1
    except (OSError, ValueError):
        return False
