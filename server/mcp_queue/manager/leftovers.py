"""Clean up in-memory registries whose server and supervisor were both killed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from mcp_queue.jobs import bell
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.system.identity import DEAD, own_identity, state_of
from mcp_queue.system.locks import FileLock
from mcp_queue.system.tree import kill_marked

PREFIX = "mcp-queue-"
OWNER = "owner"  # the file in a temporary folder with the identity of its owner
REGISTRY = "registry.db"


def make_temporary_folder() -> str:
    """A folder for an in-memory registry, marked as this process's: an absolute path.

    The supervisor runs in another folder, and Python leaves ``TMPDIR=.`` as it is.
    """
    folder = os.path.abspath(tempfile.mkdtemp(prefix=PREFIX))
    with open(os.path.join(folder, OWNER), "w", encoding="utf-8") as file:
        file.write(own_identity())
    return folder


def clean() -> None:
    """Remove folders that dead servers of this user left, and kill processes of their runs."""
    try:
        entries = list(os.scandir(os.path.abspath(tempfile.gettempdir())))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(PREFIX) and _is_abandoned(entry):
            _remove(entry.path)


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    try:
        if not entry.is_dir(follow_symlinks=False):
            return False
        if sys.platform != "win32" and entry.stat(follow_symlinks=False).st_uid != os.getuid():
            return False
        with open(os.path.join(entry.path, OWNER), encoding="utf-8") as file:
            return state_of(file.read()) == DEAD
    except (OSError, ValueError):
        return False


def _remove(folder: str) -> None:
    registry = RegistryFolder(os.path.join(folder, REGISTRY))
    lock = FileLock(registry.lock)
    try:
        # A supervisor lives and will remove it, or a server of another pid namespace does.
        if os.path.isdir(registry.path) and (not lock.try_acquire() or _is_used(registry)):
            return
        for run_id in os.listdir(registry.runs):
            kill_marked(run_id)
    except OSError:
        pass  # no supervisor ever started there
    finally:
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def _is_used(registry: RegistryFolder) -> bool:
    if sys.platform == "win32":
        return False
    return any(bell.is_heard(entry.path) for entry in os.scandir(registry.bells))
