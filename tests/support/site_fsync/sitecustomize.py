"""Processes that find this module cannot sync while the file that ``FSYNC_FAILS`` names is there.

SQLite's files go through a VFS, all others through ``os.fsync``.
"""

from __future__ import annotations

import errno
import os

import apsw

_fsync = os.fsync


def fails() -> bool:
    return os.path.exists(os.environ["FSYNC_FAILS"])


def fsync(descriptor: int) -> None:
    if fails():
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    _fsync(descriptor)


class FailingFile(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if fails():
            raise apsw.IOError("the disk fails")
        super().xSync(flags)


class FailingVFS(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802
        return FailingFile(name, flags)


os.fsync = fsync
vfs = FailingVFS()
