"""Whose a file is. What another user owns or may change is not used, and no link is followed.

Another user is any but the effective one of this process; for root, too, any but root. On Windows,
where files have no such owner and mode, the profile's access rights stand in for all of this.
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
# Of a folder no more than to pass through it, where that can be had.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_IDS = 2**32  # in a user namespace that maps fewer, some owners cannot be told


class NotOursError(PermissionError):
    """A file or folder that another user owns or may change, or that is a link."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(errno.EACCES, fault, path)


def fault_of(status: os.stat_result) -> str | None:
    """Why this file or folder is not ours alone, as ``another user (uid 7) owns it``."""
    if sys.platform == "win32":
        return None
    if status.st_uid != os.geteuid():
        return f"another user (uid {status.st_uid}) owns it"
    if not stat.S_ISLNK(status.st_mode) and _is_open(status):
        return f"other users may write to it (mode {stat.S_IMODE(status.st_mode):03o})"
    return None


def check_folder(path: str) -> None:
    """Raise `NotOursError` unless this is a folder of ours, and no link to one; or `OSError`."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotOursError(path, _kind(status, "folder"))
    if (fault := fault_of(status)) is not None:
        raise NotOursError(path, fault)


def check_file(path: str) -> None:
    """Raise `NotOursError` unless this is a file of ours, and no link to one; or `OSError`."""
    _check_file(path, os.lstat(path))


def check_way(folder: str) -> None:
    """Raise `NotOursError` if another user can put something into ``folder``, or in its place.

    Each folder that leads there has to be ours or root's, and others may write into one above it
    only where they cannot take away what is not theirs (the sticky bit, as ``/tmp`` has it).
    """
    if sys.platform == "win32":
        return
    folder = os.path.realpath(folder)
    for path in _way(folder):
        try:
            status = os.lstat(path)
        except OSError:
            continue  # what is missing will be made, or it will be said why not
        if status.st_uid not in (os.geteuid(), 0) and not _is_hidden(status.st_uid):
            raise NotOursError(path, f"another user (uid {status.st_uid}) owns it")
        if not stat.S_ISDIR(status.st_mode):
            continue  # nothing can be made below it
        if _is_open(status) and (path == folder or not status.st_mode & stat.S_ISVTX):
            mode = stat.S_IMODE(status.st_mode)
            raise NotOursError(path, f"other users may write to it (mode {mode:03o})")


def make_folder(path: str) -> None:
    """Make the folder, and those above it, where they are missing: 0700, whatever the umask."""
    missing = [each for each in _way(os.path.abspath(path)) if not os.path.lexists(each)]
    for each in reversed(missing):
        try:
            os.mkdir(each, 0o700)
        except FileExistsError:
            continue  # another was quicker; whose it is has to be checked
        if os.lstat(each).st_mode & 0o700 != 0o700:
            os.chmod(each, 0o700)


def open_ours(path: str, flags: int, mode: int = 0o600, *, deep: int = 1) -> int:
    """`os.open` of a plain file of ours, relative to its folder; the last ``deep`` folders and the
    file itself may be no links. Raises `NotOursError`, and `OSError` as ever.
    """
    if sys.platform == "win32":
        return os.open(path, flags | getattr(os, "O_BINARY", 0), mode)
    base, name = os.path.split(os.path.abspath(path))
    folders: list[str] = []
    for _ in range(deep):
        base, folder = os.path.split(base)
        folders.insert(0, folder)
    entered = [os.open(base, _ENTER)]  # the way to it may have links
    try:
        for folder in folders:
            entered.append(_open_at(entered[-1], folder, _ENTER, 0, path))
        # Not blocking: a fifo in its place must hold up nobody.
        descriptor = _open_at(entered[-1], name, flags | os.O_NONBLOCK, mode, path)
    finally:
        for each in entered:
            os.close(each)
    try:
        _check_file(path, os.fstat(descriptor))
        os.set_blocking(descriptor, True)  # as who is handed it expects
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remove_made(path: str, made: os.stat_result) -> None:
    """Remove what we made under this name, unless another file is there by now."""
    try:
        if os.path.samestat(os.lstat(path), made):
            os.unlink(path)
    except OSError:  # it is gone, or who comes next replaces it
        pass


def read_ours(path: str, limit: int = -1, *, deep: int = 1) -> bytes:
    """The content of a file, at most ``limit`` bytes, opened by `open_ours`."""
    with open(open_ours(path, os.O_RDONLY, deep=deep), "rb") as file:
        return file.read(limit)


def _open_at(at: int, name: str, flags: int, mode: int, path: str) -> int:
    assert sys.platform != "win32"
    try:
        return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=at)
    except OSError as error:
        # A link: ELOOP, and ENOTDIR where a folder was asked for, EMLINK and EFTYPE elsewhere.
        try:
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
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


def _way(folder: str) -> Iterator[str]:
    """The folder, and those above it."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _is_open(status: os.stat_result) -> bool:
    """Whether another user may write; that of a group with nobody else in it is none."""
    assert sys.platform != "win32"
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private(status.st_gid)


def _is_private(gid: int) -> bool:
    """Whether a group is root's, or ours alone: of our own name, or of a container, without one."""
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
    """Whether it stands for users that this user namespace does not show, such as its root's."""
    try:
        with open("/proc/sys/fs/overflowuid", encoding="ascii") as file:
            if uid != int(file.read()):
                return False
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return sum(int(line.split()[2]) for line in file) < _IDS - 1
    except (OSError, ValueError):
        return False
