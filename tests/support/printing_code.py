"""Commands that print, in all ways, and never mind whether anybody reads it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import subprocess
import sys
import threading

from mcp_queue import command, resource

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("of.the.author")


@command
async def prints(size: int) -> int:
    """So many bytes, without a pause."""
    line = "x" * 999 + "\n"
    for _ in range(size // len(line)):
        sys.stdout.write(line)
    return size // len(line) * len(line)


@command
def prints_in_thread(size: int) -> int:
    line = "x" * 999
    for _ in range(size // 1000):
        print(line, file=sys.stderr)
    return size // 1000 * 1000


@command
def prints_at_once(size: int) -> int:
    print("x" * (size - 1))
    return size


@command
def writes_binary(size: int) -> int:
    sys.stderr.buffer.write(b"x" * size)
    sys.stderr.buffer.flush()
    return size


@command
async def logs(count: int) -> int:
    for number in range(count):
        log.info("line %d %s", number, "y" * 900)
    return count


@command
async def writes_descriptor(size: int) -> int:
    """As C code does, which minds neither how much was written nor whether."""
    for _ in range(size // 1000):
        try:
            os.write(2, b"x" * 999 + b"\n")
            os.write(1, b"x" * 999 + b"\n")
        except BlockingIOError:
            continue
    return size


@command
def child_prints(text: str) -> int:
    code = "import sys; print(sys.argv[1]); print(sys.argv[1], file=sys.stderr)"
    return subprocess.run([sys.executable, "-c", code, text], check=True).returncode


@command
def child_floods(size: int) -> int:
    """A child that fails where not all of its output is taken."""
    return subprocess.run(["head", "-c", str(size), "/dev/zero"], check=False).returncode


@command
def holds_the_interpreter(size: int) -> int:
    """C code that writes more than any pipe takes, and lets no other thread of Python run."""
    data = b"x" * size
    return ctypes.PyDLL(None).write(2, data, len(data))


@command
def crashes() -> None:
    ctypes.string_at(0)


def say(text: str, size: int) -> None:
    print(text)
    sys.stderr.write("x" * size + "\n")


@command
def fork_prints(text: str, size: int) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=say, args=(text, size))
    child.start()
    child.join()
    code = child.exitcode
    child.close()
    return code


@command
def prints_for_ever() -> str:
    def go_on() -> None:
        while True:
            print("x" * 100)

    threading.Thread(target=go_on, daemon=True).start()
    return "begun"


@command
async def prints_for_ever_in_the_loop() -> str:
    async def go_on() -> None:
        while True:
            print("x" * 100)
            await asyncio.sleep(0)

    running.add(asyncio.create_task(go_on()))
    return "begun"


running: set[asyncio.Task[None]] = set()


class Chatty:
    """Its finalizer prints, whenever that is."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        print("finalized")


@command
async def collects() -> int:
    """Garbage that prints is collected while something is printed."""
    for _ in range(3000):
        Chatty()
        print("z")
    return 3000


@command
def asks_streams() -> dict[str, object]:
    return {
        "encodings": [sys.stdout.encoding, sys.stderr.encoding],
        "descriptors": [sys.stdout.fileno(), sys.stderr.fileno()],
        "terminals": [sys.stdout.isatty(), sys.stderr.isatty()],
        "writable": sys.stderr.writable(),
    }


@command
def reconfigures() -> str:
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    print("ä\ud800 reconfigured")
    return "done"


@command
def prints_text(text: str) -> str:
    print(text)
    return text


@resource("bad://{x}")
def fails(x: str) -> str:
    return {}["no such key " + x]


@command
def fine(n: int) -> int:
    return n + 1
