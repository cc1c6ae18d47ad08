"""The bearer token that HTTP clients send with each request (RFC 6750).

The user sets it in the environment of the server. Otherwise the server makes a new token and stores
it, until it ends, in a file that only the user can read.
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

MIN_LENGTH = 16  # characters; a shorter token could be guessed
_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class Token(NamedTuple):
    """A token, and the place where the user finds it: a variable or a path."""

    value: str
    where: str


def from_environment(text: str) -> Token:
    """The token that the user has chosen. Raises TokenError, which does not contain the token."""
    if not _FORM.fullmatch(text):
        raise TokenError(
            reason="a bearer token has only letters, digits and -._~+/, and = at its end"
        )
    if len(text) < MIN_LENGTH:
        raise TokenError(reason=f"it has less than {MIN_LENGTH} characters, so it can be guessed")
    return Token(text, HTTP_TOKEN)


@contextmanager
def stored_in_file(address: str) -> Generator[Token]:
    """A new token, in a file until the end of the block. Raises TokenFileError.

    The file is named after the server's ``address``, so that clients can find it. A file that a
    killed server has left is replaced.
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
    """``HOST:PORT`` as a file name that does not begin with a dash."""
    return re.sub(r"[^0-9A-Za-z.]+", "-", address.replace("[", "ipv6-"))


def _folder() -> Path:
    words = "the token for HTTP", f"give a token of your own in {HTTP_TOKEN}"
    return Path(data_folder.of_user(*words)) / "http"


def _write(path: Path, value: str) -> os.stat_result:
    """Write a new file; its status identifies it later."""
    _make_own(path.parent)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(value)
        return os.fstat(descriptor)


def _make_own(folder: Path) -> None:
    """Make the folder and its missing parents, so that only the user can read them."""
    ours.make_folder(str(folder))
    if sys.platform == "win32":
        return
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise TokenFileError(path=str(folder), reason="it is not a folder of yours")
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)
