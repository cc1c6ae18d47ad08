"""What an artifact may be called, and how its file is called, which the name has no part in."""

from __future__ import annotations

import os

NAME_LIMIT = 128  # characters
MOST = 1000  # artifacts of a job, contents of its result included
WINDOWS = os.name == "nt"
_FILE = frozenset("0123456789abcdef")
_FILE_LENGTH = 16


def fault_of(name: object, *, windows: bool = WINDOWS) -> str | None:
    """Why ``name`` cannot be an artifact's name; None if it can.

    On Windows it is no path of Windows either, though no file of ours has it: others save it so.
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
    """A new name of a file in the folder of artifacts."""
    return os.urandom(_FILE_LENGTH // 2).hex()


def is_file(name: object) -> bool:
    """Whether `new_file` could have made it."""
    return isinstance(name, str) and len(name) == _FILE_LENGTH and _FILE.issuperset(name)
