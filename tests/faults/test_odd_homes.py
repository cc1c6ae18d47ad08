"""Users without a home, and homes that are made with an open umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_queue.jobs import seals
from mcp_queue.jobs.registry import Registry
from mcp_queue.server.transport import bearer_token
from mcp_queue.system import ours
from mcp_queue_tools import maps
from support.second_user import needs_second_user, open_way, run_as_second_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")

SERVE = """
import sys
import mcp_queue.cli, mcp_queue.manager.membership, mcp_queue.server.app, mcp_queue.server.http
import mcp_queue.server.features.resources, apsw, platformdirs, encodings.idna
sys.exit(mcp_queue.cli.main(["serve", "--plugins", "none", *sys.argv[1:]]))
"""
NAMES = ("HOME", "XDG_DATA_HOME")


def without_home() -> dict[str, str]:
    taken = ("HOME", "XDG_DATA_HOME", "MCP_QUEUE_KEY_FILE", "MCP_QUEUE_HTTP_TOKEN")
    return {name: value for name, value in os.environ.items() if name not in taken}


@needs_second_user
@pytest.mark.parametrize("how", ["persistent", "persistent, with a path", "http"])
def test_who_has_no_home_is_told_what_to_set(tmp_path: Path, how: str) -> None:
    open_way(tmp_path)
    flags = ["--persistent"] if "persistent" in how else ["--http", "127.0.0.1:0"]
    names = (*NAMES, "MCP_QUEUE_KEY_FILE" if "persistent" in how else "MCP_QUEUE_HTTP_TOKEN")
    if "path" in how:
        tmp_path.joinpath("theirs").mkdir()
        os.chown(tmp_path / "theirs", 60_606, 60_606)
        flags += ["--registry-path", str(tmp_path / "theirs" / "registry.db")]
    done = run_as_second_user(SERVE, *flags, environ=without_home())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if "There is no folder" in line]
    for name in names:
        assert name in line


@posix
def test_a_relative_home_is_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcp_queue", "serve", "--plugins", "none", "--persistent"],
        env={**without_home(), "HOME": "relative"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "HOME is 'relative'" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def of_token(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(file.parent))
    with bearer_token.stored_in_file("127.0.0.1:8000"):
        pass


def of_map(file: Path, _: pytest.MonkeyPatch) -> None:
    maps.open_for_writing(file).close()


def of_registry(file: Path, _: pytest.MonkeyPatch) -> None:
    Registry(str(file)).close()


def of_key(file: Path, _: pytest.MonkeyPatch) -> None:
    seals.read_key(str(file))


@posix
@pytest.mark.parametrize("make", [of_registry, of_key, of_token, of_map])
def test_all_folders_that_are_made_are_closed_whatever_the_umask(
    tmp_path: Path,
    open_umask: None,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    make(tmp_path / "home" / ".local" / "share" / "file", monkeypatch)
    folders = [each for each in tmp_path.rglob("*") if each.is_dir()]
    assert len(folders) >= 3
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}


@posix
def test_folders_that_are_made_can_be_entered_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        ours.make_folder(str(tmp_path / "a" / "b"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("address", "name"),
    [("127.0.0.1:8000", "127.0.0.1-8000.token"), ("[::1]:8000", "ipv6-1-8000.token")],
)
def test_the_token_of_an_address_has_a_plain_name(address: str, name: str) -> None:
    with bearer_token.stored_in_file(address) as token:
        assert os.path.basename(token.where) == name


def test_a_relative_cache_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(maps.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    with pytest.raises(maps.HomelessError, match="no home") as refused:
        maps.folder()
    assert maps.CACHE_VARIABLE in refused.value.hint


def homeless(_: str) -> Path:
    raise RuntimeError
