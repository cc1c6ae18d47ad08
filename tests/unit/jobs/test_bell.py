"""Bells: a ring wakes, never blocks, and tells when nobody is there."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from mcp_queue.jobs.bell import LONGEST_NAME, SURE, Bell, names_in, ring

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="select takes sockets alone there")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "bell")


def _rung(bell: Bell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_a_ring_is_heard_until_it_is_hushed(path: str) -> None:
    with closing(Bell(path)) as bell:
        assert not _rung(bell)
        assert ring(path)
        assert ring(path)
        assert _rung(bell)
        assert _rung(bell)
        bell.hush()
        assert not _rung(bell)
        bell.hush()


def test_rings_name_what_changed(path: str) -> None:
    with closing(Bell(path)) as bell:
        assert bell.hush() == frozenset()
        for name in ("a", "b", "a"):
            ring(path, name)
        assert bell.hush() == {"a", "b"}
        ring(path, "a")
        ring(path)
        assert bell.hush() is None
        assert bell.hush() == frozenset()


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", set()),
        (b"a\n", {"a"}),
        (b"a\nbc\na\n", {"a", "bc"}),
        (b"!", None),
        (b"a\n!", None),
        (b"!a\n", {"!a"}),
        (b"\n", {""}),
        (b"a", None),
        (b"\xc3\xa9\n", None),
        (b"a\n" * (SURE // 2), {"a"}),
        (b"a\n" * (SURE // 2 + 1), None),
    ],
)
def test_the_names_of_rings(data: bytes, names: set[str] | None) -> None:
    assert names_in(data) == names


def test_a_name_that_is_too_long_is_none(path: str) -> None:
    with closing(Bell(path)) as bell:
        ring(path, "x" * LONGEST_NAME)
        assert bell.hush() == {"x" * LONGEST_NAME}
        ring(path, "x" * (LONGEST_NAME + 1))
        assert bell.hush() is None


def test_a_full_bell_may_have_lost_names(path: str) -> None:
    with closing(Bell(path)) as bell:
        for _ in range(5000):
            assert ring(path, "a" * 32)
        assert bell.hush() is None


def test_a_waiting_owner_wakes(path: str) -> None:
    with closing(Bell(path)) as bell:
        thread = threading.Timer(0.05, ring, [path])
        thread.start()
        assert select.select([bell], [], [], 30)[0]
        thread.join()


def _write_for_ever(descriptor: int) -> None:
    while True:
        os.write(descriptor, b"!" * 4096)


def test_a_full_bell_counts_as_rung_and_does_not_block(path: str) -> None:
    with closing(Bell(path)) as bell:
        writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            with pytest.raises(BlockingIOError):
                _write_for_ever(writer)
        finally:
            os.close(writer)
        assert ring(path)
        bell.hush()
        assert not _rung(bell)
        assert ring(path)
        assert _rung(bell)


def test_nobody_hears_a_bell_that_is_not_there(path: str) -> None:
    assert not ring(path)
    assert not os.path.exists(path)


def test_a_bell_whose_owner_is_gone_is_stale(path: str) -> None:
    Bell(path).close(remove=False)
    assert os.path.exists(path)
    assert not ring(path)


def test_a_new_owner_takes_over_what_a_dead_one_left(path: str) -> None:
    code = "import os, sys; from mcp_queue.jobs.bell import Bell; Bell(sys.argv[1]); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, path], check=True)
    with closing(Bell(path)) as bell:
        assert not _rung(bell)
        assert ring(path)
        assert _rung(bell)
    assert not ring(path)


def test_closing_removes_it_or_leaves_it_to_a_successor(path: str) -> None:
    Bell(path).close(remove=False)
    bell = Bell(path)
    bell.close()
    assert not os.path.exists(path)
    bell = Bell(path)
    os.unlink(path)
    bell.close()  # somebody was quicker


def test_rings_while_the_owner_hushes_are_not_lost(path: str) -> None:
    with closing(Bell(path)) as bell:
        rounds = 2000
        counted = 0
        seen = -1

        def call() -> None:
            nonlocal counted
            for _ in range(rounds):
                counted += 1
                ring(path)

        thread = threading.Thread(target=call)
        thread.start()
        while seen < rounds:
            assert select.select([bell], [], [], 30)[0], f"no ring after {seen} of {counted}"
            bell.hush()
            seen = counted
        thread.join()


def test_only_the_owner_may_ring(path: str) -> None:
    old = os.umask(0)
    try:
        with closing(Bell(path)):
            assert os.stat(path).st_mode & 0o777 == 0o600
    finally:
        os.umask(old)
