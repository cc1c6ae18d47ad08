"""Whether anything in a folder was opened, by whichever process: the kernel says so (inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from pathlib import Path

IN_OPEN = 0x20
_HEAD = struct.Struct("iIII")

needs_inotify = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")


class Watched:
    """Watches folders, without what is below them, and what stands in them."""

    def __init__(self, *folders: Path) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._events = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._events >= 0
        self._folders: dict[int, Path] = {}
        for folder in folders:
            number = self._library.inotify_add_watch(self._events, os.fsencode(folder), IN_OPEN)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._folders[number] = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._events)

    def opened(self) -> list[str]:
        """What was opened since the last call: folders, and what stands in them."""
        found: list[str] = []
        while True:
            try:
                data = os.read(self._events, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                number, _, _, length = _HEAD.unpack_from(data)
                name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
                found.append(str(self._folders[number] / os.fsdecode(name)))
                data = data[_HEAD.size + length :]
