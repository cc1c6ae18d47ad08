"""The header on the first page of a registry file. The rest of the file may be damaged."""

from __future__ import annotations

import struct
from typing import NamedTuple

import apsw

SIZE = 100  # bytes (https://www.sqlite.org/fileformat.html, section 1.3)
VERSION, APPLICATION = 60, 68  # the offsets of the two numbers


class Header(NamedTuple):
    """The two numbers that identify a registry and its version."""

    application_id: int
    user_version: int


def read_header(path: str) -> Header | None:
    """The header of a file; None if it cannot be read."""
    flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
    try:
        # Through SQLite: closing our own descriptor would release the locks of other connections.
        file = apsw.VFSFile("", path, flags)
        try:
            header = file.xRead(SIZE, 0)
        finally:
            file.xClose()
    except (apsw.Error, OSError):
        return None
    if len(header) < APPLICATION + 4:
        return None
    [version] = struct.unpack_from(">i", header, VERSION)
    [application] = struct.unpack_from(">i", header, APPLICATION)
    return Header(application, version)
