"""Names of artifacts, and names of their files. A file name does not depend on the artifact's."""

from __future__ import annotations

import os

NAME_LIMIT = 128  # characters
MOST = 1000  # artifacts of a job, including the contents of its result
WINDOWS = os.name == "nt"
_FILE = frozenset("0123456789abcdef")
_FILE_LENGTH = 16


def fault_of(name: object, *, windows: bool = WINDOWS) -> str | None:
    """Why ``name`` cannot be an artifact's name; None if it can.

    On Windows it must not be a Windows path either. No file of ours has this name, but clients may
    save the artifact under it.
    """
    if not isinstance(name, str):
        return f"a name is a text, got {name!r:.80}"
    if not 0 < len(name) <= NAME_LIMIT:
        return f"a name has 1 to {NAME_LIMIT} characters, this has {len(name)}"
    if name in (".", "..") or "/" in name or "\\" in name:
        return "a name is no path"
    if not name.isprintable() or name != name.strip():
        return "a name consists of printable characters, without spaces at its ends"
    if windows:
        from mcp_queue import paths

        return paths.fault_of(name, windows=True)
    return None


def new_file() -> str:
    """A new file name for the folder of artifacts."""
    return os.urandom(_FILE_LENGTH // 2).hex()


def is_file(name: object) -> bool:
    """Whether the name has the form of `new_file`."""
    return isinstance(name, str) and len(name) == _FILE_LENGTH and _FILE.issuperset(name)
