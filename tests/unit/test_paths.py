"""Paths that somebody else names lead to what lies in a folder, or nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mcp_queue
from mcp_queue import PathRefusedError, paths
from support.guards import GUARD

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file, ``a/b.txt``; beside it stands ``secret.txt``."""
    folder = tmp_path / "root"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b.txt").write_text("b")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def refused(root: Path, *parts: str) -> str:
    """The reason; both ways to ask must refuse."""
    with pytest.raises(PathRefusedError) as raised:
        paths.open_inside(root, *parts)
    with pytest.raises(PathRefusedError, match="is refused") as raised:
        paths.inside(root, *parts)
    assert isinstance(raised.value, ValueError)
    assert raised.value.hint
    return str(raised.value.details["reason"])


def test_what_lies_inside_is_found(root: Path) -> None:
    assert mcp_queue.paths is paths
    assert paths.inside(root, "a", "b.txt") == (root / "a" / "b.txt").resolve()
    assert paths.inside(str(root), "a/b.txt") == (root / "a" / "b.txt").resolve()
    assert paths.inside(root) == paths.inside(root, ".") == root.resolve()
    assert paths.inside(root, "new", "file") == root.resolve() / "new" / "file"
    with paths.open_inside(root, "a/./b.txt") as file:
        assert file.read() == b"b"
    with pytest.raises(FileNotFoundError):
        paths.open_inside(root, "new")
    with pytest.raises(FileNotFoundError):
        paths.open_inside(root / "nowhere", "new")


@pytest.mark.parametrize(
    "parts",
    [
        ("..",),
        ("../secret.txt",),
        ("a/../../secret.txt",),
        ("a", "..", "b.txt"),
        ("a/..",),
        ("/etc/passwd",),
        ("a", "/etc/passwd"),
        ("a\0b",),
    ],
)
def test_what_leads_out_by_its_words_is_refused(root: Path, parts: tuple[str, ...]) -> None:
    refused(root, *parts)


@posix
def test_links_lead_to_what_they_lead_to(root: Path, tmp_path: Path) -> None:
    (root / "in.txt").symlink_to("a/b.txt")
    (root / "folder").symlink_to(root / "a")
    assert paths.inside(root, "in.txt") == (root / "a" / "b.txt").resolve()
    with paths.open_inside(root, "folder/b.txt") as file:
        assert file.read() == b"b"
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "later").symlink_to(tmp_path / "not yet")
    (root / "twice").symlink_to("up")
    (tmp_path / "root and more").mkdir()
    (root / "beside").symlink_to("../root and more")
    for name in ("out.txt", "up", "up/secret.txt", "later", "twice/secret.txt", "beside"):
        assert refused(root, name) == "a link leads out of the folder"
    (root / "self").symlink_to("self")
    assert "symbolic links" in refused(root, "self")


@posix
def test_a_root_that_is_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with paths.open_inside(tmp_path / "link", "a/b.txt") as file:
        assert file.read() == b"b"
    assert paths.inside("/", "etc") == Path("/etc").resolve()


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
def test_what_is_no_file_is_not_opened(root: Path, kind: str) -> None:
    """A pipe without a writer would hold the open up for ever."""
    assert sys.platform != "win32"
    name = "x"
    if kind == "device":
        root, name = Path("/dev"), "null"
    elif kind == "folder":
        (root / name).mkdir()
    else:
        os.mkfifo(root / "pipe")
        (root / name).symlink_to("pipe")
        name = name if kind == "link to a pipe" else "pipe"
    with pytest.raises(PathRefusedError, match="it is no regular file"):
        paths.open_inside(root, name)


@posix
@pytest.mark.parametrize("exchanged", ["a", "a/b.txt"])
def test_a_link_that_takes_the_place_of_what_was_looked_at(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanged: str
) -> None:
    """Between the look and the opening somebody exchanges the file, or a folder on the way."""
    (tmp_path / "b.txt").write_text("secret")
    look = paths._inside

    def exchange(*arguments: object) -> tuple[str, str]:
        found = look(*arguments)  # pyright: ignore[reportArgumentType]
        (root / exchanged).rename(tmp_path / "was")
        (root / exchanged).symlink_to(tmp_path if exchanged == "a" else tmp_path / "b.txt")
        return found

    monkeypatch.setattr(paths, "_inside", exchange)
    with pytest.raises(PathRefusedError):
        paths.open_inside(root, "a", "b.txt")


@pytest.mark.parametrize(
    "name",
    [
        *("C:secret", "c:/secret", "C:\\secret", "C:", "\\secret", "/secret", "\\\\host\\share\\x"),
        *("//host/share/x", "\\\\?\\C:\\x", "\\\\.\\pipe\\x", "..\\x", "a\\..\\..\\x", "a/..\\x"),
        *("NUL", "nul.txt", "a\\CON", "con .txt", "Aux", "prn.", "com1", "LPT9.log", "COM¹"),
        *("CONIN$", "file.txt:stream", "a/b:c", "x.", "x ", "x. .", "a./b", "a /b", "...", "a\nb"),
        *("a\\\0",),
    ],
)
def test_what_means_something_else_on_windows(name: str) -> None:
    assert paths.fault_of(name, windows=True)


@pytest.mark.parametrize(
    "name", ["a", "a/b\\c.txt", ".hidden", "a b", "./a", "a//b", "console", "com10", "nullable.py"]
)
def test_what_is_a_path_on_windows_too(name: str) -> None:
    assert paths.fault_of(name, windows=True) is None


@pytest.mark.parametrize("name", ["C:secret", "a\\..\\b", "NUL", "x.", "a:b", "..."])
def test_what_is_a_name_like_any_other_elsewhere(name: str) -> None:
    assert paths.fault_of(name, windows=False) is None


def test_importing_it_costs_next_to_nothing() -> None:
    code = (
        "import sys; from mcp_queue import paths; "
        "print(*{'pathlib', 'pydantic', 'mcp', 'asyncio', 'json'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=True,
    )
    assert done.stdout.strip() == ""
