"""Files are opened, and nothing else is; nothing waits."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from mcp_queue.commands.contents import Audio, File, Image, mime_type_of
from mcp_queue.commands.source_files import open_file
from mcp_queue.errors import InvalidContentError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def make(kind: str, folder: Path) -> str:
    """The path of something that is no file."""
    path = str(folder / "it")
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to a pipe":
        os.mkfifo(path + ".fifo")
        os.symlink(path + ".fifo", path)
    elif kind == "a folder":
        os.mkdir(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.getcwd()
            os.chdir(folder)  # the path of a socket is short
            try:
                listener.bind("it")
            finally:
                os.chdir(here)
    else:
        path = {"a device": "/dev/zero", "a terminal": "/dev/ptmx"}[kind]
    return path


KINDS = ["a pipe", "a link to a pipe", "a folder", "a socket", "a device", "a terminal"]
SAID = {"a link to a pipe": "a pipe", "a terminal": "a device"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_by_its_name(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path)
    said = f"'plot' cannot be kept: {path} is {SAID.get(kind, kind)}: "
    with pytest.raises(InvalidContentError) as caught:
        open_file("plot", path)
    assert caught.value.message.startswith(said)
    with pytest.raises(InvalidContentError, match="cannot be kept"):
        mime_type_of("plot", path)
    for content in (Image, Audio, File):
        with pytest.raises(InvalidContentError, match=SAID.get(kind, kind)):
            content(path=path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_takes_the_place_of_a_file_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = make(kind, tmp_path), tmp_path / "file"
    file.touch()
    looked = os.stat(file)
    monkeypatch.setattr(os, "stat", lambda _path: looked)
    with pytest.raises((InvalidContentError, OSError)):  # a socket cannot be opened at all
        open_file("plot", path)


def test_a_file_is_read_whole_and_stays_out_of_children(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "link").symlink_to("file")
    with open_file("plot", str(tmp_path / "link")) as file:
        assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        assert not os.get_inheritable(file.fileno())
        assert file.read() == data


def test_what_is_not_there_is_an_ordinary_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_file("plot", str(tmp_path / "gone"))
    with pytest.raises(InvalidContentError, match="null"):
        open_file("plot", "a\0b")
    assert File(path=tmp_path / "gone").mime_type == "application/octet-stream"
