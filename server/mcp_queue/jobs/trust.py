"""Checks that a registry's file, its folder and the folders above it belong to the user.

A registry determines what is run. After the check, other users cannot replace the files. Files from
a repository or an archive belong to the user, too. So links in them are not followed
(`system.ours`), and their jobs are not run (`seals`).
"""

from __future__ import annotations

import os
import stat
import sys

from mcp_queue.errors import RegistryUntrustedError
from mcp_queue.system import ours

COMPANIONS = ("-wal", "-shm", "-journal")  # suffixes of files that SQLite makes beside the registry
_OWN = "A registry says what is run, so it has to be yours alone. "
_OTHER = "Choose another registry_path (in memory: another TMPDIR), in a folder of yours."
_MAKE = (
    "Make a folder of your own in it for the registry, as by `mkdir -m 700 {folder}`, and give "
    "registry_path {file}."
)
_CLOSE = _OTHER[:-1] + "; if all of it is yours indeed, `chmod go-w {place}`."
_SIDECAR = (
    "It can hold changes that SQLite would make to the registry, so do not make it yours. Remove "
    "it if you know what it is, or choose another registry_path, in a folder of yours."
)


def check_registry(path: str) -> None:
    """Raise `RegistryUntrustedError` unless the file is only ours, or is missing.

    If others may read the file, that right is removed.
    """
    with _Refusals(path):
        real = os.path.realpath(path)  # SQLite follows links, too, and makes its files beside it
        ours.check_with_parents(os.path.dirname(real))
        for file in (real, *(real + suffix for suffix in COMPANIONS)):
            if os.path.lexists(file) and not os.path.isdir(file):
                ours.check_file(file)
                _close(file, 0o600)


def check_folder(registry_path: str, folder: str) -> None:
    """The same for a folder that belongs to the registry and exists."""
    with _Refusals(registry_path):
        ours.check_folder(folder)
        _close(folder, 0o700)


def is_name(name: str) -> bool:
    """Whether this may be the name of a run's folder or of a server's bell."""
    return 0 < len(name) <= 128 and name.replace("-", "").replace("_", "").isalnum()


def check_name(registry_path: str, name: str) -> None:
    """Raise `RegistryUntrustedError` for a name that could lead out of the folder."""
    if not is_name(name):
        raise RegistryUntrustedError(
            path=registry_path,
            reason=f"a name of a file in it is {name!r:.80}",
            advice="This program wrote no such name. Choose another registry_path.",
        )


def _close(path: str, mode: int) -> None:
    """Remove the rights of others, without opening the file."""
    if sys.platform != "win32" and os.stat(path).st_mode & 0o077:
        os.chmod(path, mode)


class _Refusals:
    """Turns `NotOursError` in a block into `RegistryUntrustedError`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ours.NotOursError):
            place, fault = str(error.filename), str(error.strerror)
            where = "" if place == self._path else f"{place}: "
            raise RegistryUntrustedError(
                path=self._path, reason=f"{where}{fault}", advice=_OWN + _advice(self._path, place)
            ) from error


def _advice(path: str, place: str) -> str:
    """Advice about the file or folder ``place``; it must be harmless if root follows it."""
    real = os.path.realpath(path)
    if place in {real + suffix for suffix in COMPANIONS}:
        return _SIDECAR
    try:
        status = os.lstat(place)
    except OSError:
        return _OTHER
    shared = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if shared and place == os.path.dirname(real):
        folder = os.path.join(place, "mine")
        return _MAKE.format(folder=folder, file=os.path.join(folder, os.path.basename(real)))
    plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    if sys.platform == "win32" or not plain or shared or status.st_uid != os.geteuid():
        return _OTHER
    return _CLOSE.format(place=place)
