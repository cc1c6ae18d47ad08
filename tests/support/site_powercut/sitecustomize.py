"""Processes that find this module keep aside what is on disk: what was synced, as it was then.

SQLite's files go through a VFS, all others through ``os.fsync``. Beside each synced file lies
``<file>.durable``; `support.harm.cut_power` puts it in the file's place and drops the rest.
"""

from __future__ import annotations

import fcntl
import os

import apsw

SUFFIX = ".durable"
_fsync = os.fsync


def keep(path: str, content: bytes) -> None:
    with open(path + SUFFIX + ".new", "wb") as file:
        file.write(content)
    os.replace(path + SUFFIX + ".new", path + SUFFIX)


def fsync(descriptor: int) -> None:
    _fsync(descriptor)
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if os.path.isfile(path):
        with open(path, "rb") as file:
            keep(path, file.read())


class KeepingFile(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        if self._path is None:
            return
        # Of two processes that sync one file the later one keeps it, too.
        with open(self._path + ".lock-of-durable", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Through SQLite: closing a descriptor of our own would drop its locks on the file.
            keep(self._path, self.xRead(self.xFileSize(), 0))


class KeepingVFS(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("keeping", "unix", makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802
        return KeepingFile(name, flags)


os.fsync = fsync
vfs = KeepingVFS()
