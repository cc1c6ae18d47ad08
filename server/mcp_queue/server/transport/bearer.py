"""The token that who comes over HTTP shows with each request (RFC 6750): where it comes from.

It stands in the environment of the server, or is made for this server alone and lies until its end
in a file that is the user's alone.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mcp_queue.errors import TokenError, TokenFileError
from mcp_queue.manager.origin import HTTP_TOKEN
from mcp_queue.system import data_folder, ours

if TYPE_CHECKING:
    from collections.abc import Generator

SHORTEST = 16  # characters that nobody tries out
_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class Token(NamedTuple):
    """A token, and where its user finds it, in words."""

    value: str
    where: str


def of_environment(text: str) -> Token:
    """The token that the user has chosen. Raises TokenError, which does not show it."""
    if not _FORM.fullmatch(text):
        raise TokenError(
            reason="a bearer token has letters, digits and -._~+/ alone, and = at its end"
        )
    if len(text) < SHORTEST:
        raise TokenError(reason=f"it has less than {SHORTEST} characters, so it can be guessed")
    return Token(text, HTTP_TOKEN)


@contextmanager
def in_file(address: str) -> Generator[Token]:
    """A new token, in a file until the end of the block. Raises TokenFileError.

    The file is named after the ``address`` that is served, so that clients know where it is; what a
    killed server left there is replaced.
    """
    path = _folder() / f"{_name(address)}.token"
    value = secrets.token_urlsafe()
    try:
        written = _write(path, value)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TokenFileError(path=str(path), reason=reason) from None
    try:
        yield Token(value, str(path))
    finally:
        ours.remove_made(str(path), written)


def _name(address: str) -> str:
    """``HOST:PORT`` as the name of a file, which begins with no dash."""
    return re.sub(r"[^0-9A-Za-z.]+", "-", address.replace("[", "ipv6-"))


def _folder() -> Path:
    words = "the token for HTTP", f"give a token of your own in {HTTP_TOKEN}"
    return Path(data_folder.of_user(*words)) / "http"


def _write(path: Path, value: str) -> os.stat_result:
    """Write the file, which is new; what it is known by."""
    _make_own(path.parent)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(value)
        return os.fstat(descriptor)


def _make_own(folder: Path) -> None:
    """Make the folder, with all above it that are missing, for the user alone."""
    ours.make_folder(str(folder))
    if sys.platform == "win32":
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise TokenFileError(path=str(folder), reason="it is not a folder of yours")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
