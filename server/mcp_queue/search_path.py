"""The module search path. What is installed comes first: no author's file may stand in its way.

So folders of authors are appended, and the working folder, which ``python -m`` puts first, only
where a module is named that is nowhere else: packages try to import what may not be installed. A
file ``email.py`` beside the commands is no module of ours then, nor of the standard library's.
Whoever sets ``PYTHONPATH`` decides for himself what comes first.
"""

from __future__ import annotations

import os
import sys

added: set[str] = set()
"""The folders that stand on the path because we put them there."""


def append(folder: str) -> None:
    """Modules in the folder can be imported from now on."""
    if folder not in sys.path:
        sys.path.append(folder)
        added.add(folder)


def remove_working_folder() -> None:
    """Take the working folder off the path where ``python -m`` has put it first."""
    folder = _working_folder()
    if folder is not None and sys.path[:1] == [folder]:
        del sys.path[0]


def append_working_folder() -> None:
    """Add the working folder, unless Python was told not to trust it (``-P``, ``-I``)."""
    folder = _working_folder()
    if folder is not None:
        append(folder)


def _working_folder() -> str | None:
    if sys.flags.safe_path:
        return None
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None
