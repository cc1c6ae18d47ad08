"""Memory in use: shared pages count once, and the kernel is asked for that seldom."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from mcp_queue.system import memory
from mcp_queue.system.memory import Meter
from support.processes import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells shared pages")

SIZE = 40 << 20  # bytes that are shared
FORKS = 4
PRELUDE = f"""
import mmap, os, sys
from multiprocessing import shared_memory
def touch(buffer):
    for place in range(0, {SIZE}, 4096):
        buffer[place] = 1
    return buffer
"""
SHARING = """
for _ in range(%d):
    if os.fork() == 0:
        for place in range(0, %d, 4096):
            pages[place]
        break
os.write(1, b"!")
sys.stdin.read()
os._exit(0)
"""


@contextmanager
def sharing(making: str) -> Iterator[int]:
    """A process that shares the pages that ``making`` makes with its forks; its pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + making + SHARING % (FORKS, SIZE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.read(FORKS + 1) == b"!" * (FORKS + 1)
        yield process.pid
    finally:
        below = psutil.Process(process.pid).children()
        process.communicate(timeout=GUARD)  # the end of its input ends them all
        psutil.wait_procs(below, GUARD)


@pytest.mark.parametrize(
    "making",
    [
        f"pages = touch(bytearray({SIZE}))",
        f"pages = touch(memoryview(mmap.mmap(-1, {SIZE})))",
        f"""
shared = shared_memory.SharedMemory(create=True, size={SIZE})
shared.unlink()
pages = touch(shared.buf)
""",
    ],
    ids=["a fork's pages", "an anonymous map", "shared memory"],
)
def test_what_processes_share_counts_once(making: str) -> None:
    with sharing(making) as pid:
        each = Meter(pid).read(enough=1 << 40)
        exact = Meter(pid).read(enough=0)
    assert each > (FORKS + 1) * SIZE
    assert SIZE < exact < 2 * SIZE


def test_the_kernel_is_asked_only_for_what_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    resident, exact, asked = 0, 0, list[int]()
    monkeypatch.setattr(memory, "descendants_of", lambda pid: [])
    monkeypatch.setattr(memory, "_resident", lambda pid: resident)
    monkeypatch.setattr(memory, "_proportional", lambda pid: asked.append(1) or exact)
    meter = Meter(1)

    def read(now: int, shared_out: int) -> tuple[int, int]:
        nonlocal resident, exact
        resident, exact = now, shared_out
        asked.clear()
        return meter.read(enough=100), len(asked)

    assert read(100, 0) == (100, 0)
    assert read(150, 60) == (60, 1)
    assert read(150, 60) == (60, 0)
    assert read(180, 60) == (90, 0)
    assert read(200, 110) == (110, 1)  # 60 + 50 might be too much, and is
    assert read(200, 70) == (70, 1)
    assert read(120, 0) == (70, 0)  # some have ended
    assert read(140, 0) == (90, 0)  # so 20 may be new
    assert read(160, 65) == (65, 1)
    assert read(90, 0) == (90, 0)
    assert read(130, 70) == (70, 1)  # 65 + 40


def test_where_the_kernel_does_not_tell_each_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(os.getpid())
    opened = open

    def refuse(path: str, encoding: str):
        if "smaps" in path:
            raise PermissionError(path)
        return opened(path, encoding=encoding)

    monkeypatch.setattr(memory, "open", refuse, raising=False)
    own = psutil.Process().memory_info().rss
    assert 0.8 * own < meter.read(enough=0) < 1.2 * own


def test_what_is_gone_counts_nothing() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert Meter(child).read(enough=-1) == 0  # dead, not yet reaped
    os.waitpid(child, 0)
    assert Meter(child).read(enough=-1) == 0
