"""The errors of these commands. The docstring of each class is its message."""

from __future__ import annotations

from mcp_queue import QueueError


class FolderNotFoundError(QueueError):
    """{folder!r} is not a folder that can be read: {reason}."""

    code = "folder_not_found"
    hint = "Give root_dir as the absolute path of an existing folder."


class NotAnalyzedError(QueueError):
    """There is no code map of {project} yet."""

    code = "not_analyzed"
    hint = "Call analyze_project with root_dir={root_dir!r} first; wait for it, then search again."


class MapUnusableError(QueueError):
    """The code map {path} cannot be used: {reason}."""

    code = "map_unusable"
    hint = "Look at the folder's permissions and free space; the file may be deleted at any time."


class HomelessError(QueueError):
    """There is no folder for code maps: this user has no home."""

    code = "no_home"
    hint = "Set HOME or XDG_CACHE_HOME to an absolute path, or name a folder with {variable}."


class WrongValueError(QueueError):
    """{name!r} cannot be {value!r}: {reason}."""

    code = "invalid_params"
    hint = "Correct the value and call again."


class ShellTimeoutError(QueueError):
    """The command was ended after {timeout:g} s. It had printed: {shown}"""

    code = "timeout"
    hint = "Give it more time with timeout, or leave that out; queue_stop_job ends it too."
