"""Where the key lies by which this user's jobs are known as his (`jobs.seals`)."""

from __future__ import annotations

import os

VARIABLE = "MCP_QUEUE_KEY_FILE"
NAME = "key"


def path(temporary: str | None) -> str:
    """The absolute path of the key's file, which need not exist.

    ``temporary``: the folder of an in-memory registry, which has a key of its own. Else
    `VARIABLE` names it, or it lies in the user's data folder.
    """
    if temporary is not None:
        return os.path.join(temporary, NAME)
    if named := os.environ.get(VARIABLE):
        return os.path.abspath(os.path.expanduser(named))
    import platformdirs  # costs start-up time that most callers can save

    return os.path.join(platformdirs.user_data_dir("mcp-queue", appauthor=False), NAME)
