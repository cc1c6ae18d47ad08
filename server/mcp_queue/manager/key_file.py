"""The path of the key that seals this user's jobs (`jobs.seals`)."""

from __future__ import annotations

import os

from mcp_queue.system import data_folder

VARIABLE = "MCP_QUEUE_KEY_FILE"
NAME = "key"
_WORDS = ("the key by which jobs are known as yours", f"name a file for it with {VARIABLE}")


def path(temporary: str | None) -> str:
    """The absolute path of the key's file, which need not exist.

    ``temporary``: the folder of an in-memory registry, which has its own key. Otherwise `VARIABLE`
    names the file, or it is in the user's data folder. Raises `HomelessError` if there is none.
    """
    if temporary is not None:
        return os.path.join(temporary, NAME)
    if named := os.environ.get(VARIABLE):
        return os.path.abspath(os.path.expanduser(named))
    return os.path.join(data_folder.of_user(*_WORDS), NAME)


def check_home() -> None:
    """Raise the `HomelessError` that `path` would raise for a persistent registry."""
    if not os.environ.get(VARIABLE):
        data_folder.check_home(*_WORDS)
