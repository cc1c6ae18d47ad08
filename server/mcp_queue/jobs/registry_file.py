"""The registry's file apart from SQLite: made for its owner alone, and known by its inode."""

from __future__ import annotations

import os
from contextlib import suppress

from mcp_queue.errors import RegistryError
from mcp_queue.jobs import trust
from mcp_queue.system import ours
from mcp_queue.system.locks import folder_locked


def make_owner_only(path: str) -> None:
    """Make the folders (0700) and an empty file (0600) where they are missing."""
    try:
        if not os.path.lexists(path):
            ours.make_folder(os.path.dirname(path))
            trust.check_registry(path)  # another user may have been quicker with a folder
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
    """Make the file; what is left beside it is of one that was removed, and maybe still in use.

    Whoever has that one open would share its index with the new one (``-shm``), to the harm of both
    (https://www.sqlite.org/howtocorrupt.html, section 2.4).
    """
    for suffix in ("-journal", "-wal", "-shm"):
        with suppress(OSError):
            os.unlink(path + suffix)
    with suppress(FileExistsError):  # where no folder is locked, another may be quicker
        # Only a file that nobody can have open yet is touched outside SQLite.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def file_identity(path: str, *, follow: bool = True) -> tuple[int, int] | None:
    """Which file or folder has this name; None when none has. ``follow``: of a link, what it
    leads to."""
    try:
        status = os.stat(path, follow_symlinks=follow)
    except OSError:
        return None
    return status.st_dev, status.st_ino
