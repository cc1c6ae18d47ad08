"""Operations on the registry's file without SQLite: make it owner-only, identify it by inode."""

from __future__ import annotations

import os
from contextlib import suppress

from mcp_queue.errors import RegistryError
from mcp_queue.jobs import trust
from mcp_queue.system import ours
from mcp_queue.system.locks import folder_locked


def make_owner_only(path: str) -> None:
    """Make the missing folders (0700), and an empty file (0600) if it is missing."""
    try:
        if not os.path.lexists(path):
            ours.make_folder(os.path.dirname(path))
            trust.check_registry(path)  # another user may have made a folder meanwhile
            with folder_locked(os.path.dirname(path)):
                if not os.path.lexists(path):
                    _make_empty(path)
        elif os.path.isdir(path):
            raise RegistryError(
                path=path, reason="it is a folder", advice="Give registry_path a file's name."
            )
    except OSError as error:
        raise RegistryError(
            path=path,
            reason=f"it cannot be made ({error.strerror})",
            advice="Check the folder and its permissions, or choose another registry_path.",
        ) from error


def _make_empty(path: str) -> None:
    """Make the file, and remove SQLite's files of an earlier registry with this name.

    A process may still have the removed registry open. Without this, both would share its index
    (``-shm``), and be damaged (https://www.sqlite.org/howtocorrupt.html, section 2.4).
    """
    for suffix in ("-journal", "-wal", "-shm"):
        with suppress(OSError):
            os.unlink(path + suffix)
    with suppress(FileExistsError):  # possible on file systems without locks of folders
        # A new file cannot be open in another process, so it may be opened without SQLite.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def file_identity(path: str, *, follow: bool = True) -> tuple[int, int] | None:
    """The device and inode of a file or folder; None if it does not exist.

    ``follow``: for a link, those of its target.
    """
    try:
        status = os.stat(path, follow_symlinks=follow)
    except OSError:
        return None
    return status.st_dev, status.st_ino
