"""The exit of a child process that an author's code forked and that returned into our code.

The child must not go on as a second server or worker: it has the descriptors of the first one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def leave(error: BaseException | None) -> NoReturn:
    """Exit as a script does at its end, or when it raises ``error``."""
    status = 0
    try:
        if isinstance(error, SystemExit):
            code = error.code
            status = code if isinstance(code, int) else 0 if code is None else 1
            if status == 1 and not isinstance(code, int):
                print(code, file=sys.stderr)
        elif error is not None:
            import traceback

            status = 1
            traceback.print_exception(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(status & 0xFF)
