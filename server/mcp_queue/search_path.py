"""The module search path. Installed modules come first, so that files of authors cannot hide them.

So folders of authors are appended at the end. The working folder, which ``python -m`` puts first,
is removed; it is appended only if a named module is found nowhere else, because packages try to
import optional modules. So a file ``email.py`` beside the commands does not replace the standard
library's module. The entries of ``PYTHONPATH`` stay first, since the user has set them.
"""

from __future__ import annotations

import os
import sys

added: set[str] = set()
"""The folders on the path that this module has appended."""


def append(folder: str) -> None:
    """Append a folder, so that its modules can be imported."""
    if folder not in sys.path:
        sys.path.append(folder)
        added.add(folder)


def remove_working_folder() -> None:
    """Remove the working folder from the path if ``python -m`` has put it first."""
    folder = _working_folder()
    if folder is not None and sys.path[:1] == [folder]:
        del sys.path[0]


def append_working_folder() -> None:
    """Append the working folder, unless Python was started with ``-P`` or ``-I``."""
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
