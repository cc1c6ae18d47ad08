"""The user's data folder: the default place of the registry, the key and tokens."""

from __future__ import annotations

import os
import sys

from mcp_queue.errors import HomelessError

_XDG = "XDG_DATA_HOME"


def of_user(what: str, alternative: str) -> str:
    """The absolute path of this program's data folder, which need not exist.

    Raises `HomelessError` if the user has no home. Its message says that ``what`` has no folder,
    and its hint ``alternative`` says how to do without the folder.
    """
    check_home(what, alternative)
    import platformdirs  # it is slow to import, and most processes do not need it

    folder = platformdirs.user_data_dir("mcp-queue", appauthor=False)
    if not os.path.isabs(folder):
        raise _error(what, alternative)
    return folder


def check_home(what: str, alternative: str) -> None:
    """Raise the same error; this only reads the environment and the list of users."""
    if sys.platform == "win32" or os.path.isabs(os.environ.get(_XDG, "")):
        return
    if not os.path.isabs(os.path.expanduser("~")):
        raise _error(what, alternative)


def _error(what: str, alternative: str) -> HomelessError:
    home = os.environ.get("HOME")
    reason = "HOME is not set, and this user has no entry in the list of users"
    if home is not None:
        reason = f"HOME is {home!r}, which is no absolute path"
    return HomelessError(what=what, reason=reason, alternative=alternative)
