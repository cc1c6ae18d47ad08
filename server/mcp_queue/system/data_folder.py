"""The user's data folder: the registry, the key and tokens lie there unless told otherwise."""

from __future__ import annotations

import os
import sys

from mcp_queue.errors import HomelessError

_XDG = "XDG_DATA_HOME"


def of_user(what: str, otherwise: str) -> str:
    """The absolute path of this program's data folder, which need not exist.

    `HomelessError` when the user has none: ``what`` is not found then, and ``otherwise`` says how
    to do without the folder.
    """
    check_home(what, otherwise)
    import platformdirs  # costs start-up time that most callers can save

    folder = platformdirs.user_data_dir("mcp-queue", appauthor=False)
    if not os.path.isabs(folder):
        raise _error(what, otherwise)
    return folder


def check_home(what: str, otherwise: str) -> None:
    """Raise the same error, at the cost of a look at the environment."""
    if sys.platform == "win32" or os.path.isabs(os.environ.get(_XDG, "")):
        return
    if not os.path.isabs(os.path.expanduser("~")):
        raise _error(what, otherwise)


def _error(what: str, otherwise: str) -> HomelessError:
    home = os.environ.get("HOME")
    reason = "HOME is not set, and this user has no entry in the list of users"
    if home is not None:
        reason = f"HOME is {home!r}, which is no absolute path"
    return HomelessError(what=what, reason=reason, otherwise=otherwise)
