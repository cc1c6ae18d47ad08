"""Ordinary things that programs do, one after the other.

As a job it has to write and return what it does as a program: ``python ordinary.py RESULT``.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import json
import logging
import mmap
import multiprocessing
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from parts import square

from mcp_queue import command

METHODS = ("fork", "spawn", "forkserver")


class Point:
    """Travels through queues."""

    def __init__(self, x: int) -> None:
        self.x = x


def cube(x: int) -> int:
    return x**3


def put_point(queue: Any, x: int) -> None:
    queue.put(Point(x))


def fill(name: str, value: int) -> None:
    memory: Any = shared_memory.SharedMemory(name)
    memory.buf[:4] = bytes([value]) * 4
    memory.close()


def sleep_long() -> None:
    time.sleep(600)


def pools() -> dict[str, Any]:
    """Pools and processes of each start method."""
    found: dict[str, Any] = {}
    for method in METHODS:
        context: Any = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            found[f"pool {method}"] = pool.map(square, range(4)) + pool.map(cube, range(4))
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            found[f"executor {method}"] = [*executor.map(cube, range(4))]
        queue = context.Queue()
        process = context.Process(target=put_point, args=(queue, 7))
        process.start()
        found[f"queue {method}"] = queue.get().x
        process.join()
        found[f"exit code {method}"] = process.exitcode
        sleeper = context.Process(target=sleep_long)
        sleeper.start()
        sleeper.terminate()
        sleeper.join()
        found[f"terminated {method}"] = sleeper.exitcode
        found[f"shared {method}"] = share(context)
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        found["threads"] = [*executor.map(square, range(4))]
    found["joblib"] = joblib.Parallel(n_jobs=2)(joblib.delayed(cube)(n) for n in range(4))
    return found


def share(context: Any) -> str:
    """Shared memory, a lock and a counter between processes."""
    memory: Any = shared_memory.SharedMemory(create=True, size=4)
    process = context.Process(target=fill, args=(memory.name, 5))
    process.start()
    process.join()
    content = bytes(memory.buf[:4]).hex()
    memory.close()
    memory.unlink()
    return content


def children() -> dict[str, Any]:
    """Programs that are started: pipes, shells, exit statuses, signals."""
    run = subprocess.run
    found: dict[str, Any] = {
        "exit": run(["sh", "-c", "exit 5"], check=False).returncode,
        "pipe": run(["tr", "a-z", "A-Z"], input="loud", capture_output=True, text=True).stdout,
        "shell": run("echo a b c | wc -w", shell=True, capture_output=True, text=True).stdout,
        "input": run(["cat"], capture_output=True, text=True).stdout,
        "system": os.waitstatus_to_exitcode(os.system("exit 3")),
    }
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        sleeper.terminate()
        found["terminated"] = sleeper.wait()
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        found["broken pipe"] = [endless.stdout.readline().decode(), endless.stdout.close()]
        found["broken pipe ends"] = endless.wait()
    print("before the children")
    run(["echo", "a child"], check=True)
    run("echo a shell; echo its error >&2", shell=True, check=True)
    run("echo anew > /dev/stdout; echo again > /dev/stdout", shell=True, check=True)
    run("echo both | tee /dev/stderr", shell=True, check=True)
    run("echo appended | tee -a /dev/stderr > /dev/null", shell=True, check=True)
    print("after the children")
    found["asyncio"] = asyncio.run(asynchronous())
    return found


async def asynchronous() -> list[Any]:
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    out, _ = await process.communicate(b"through asyncio")
    shell = await asyncio.create_subprocess_shell("exit 9")
    return [out.decode(), process.returncode, await shell.wait()]


def forks() -> dict[str, Any]:
    """Forks by hand: what is waited for is one's own."""
    found: dict[str, Any] = {}
    statuses = []
    for code in (0, 4):
        pid = os.fork()
        if pid == 0:
            os._exit(code)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    found["statuses"] = statuses
    for _ in range(20):  # orphans, whose parent is gone before them
        subprocess.run(["sh", "-c", "sh -c 'exit 1' & exit 0"], check=True)
    try:
        found["somebody else's child"] = os.wait()[1]
    except ChildProcessError:
        found["somebody else's child"] = None
    with tempfile.TemporaryFile() as file:
        if (pid := os.fork()) == 0:
            os.write(file.fileno(), b"of the child")
            os._exit(0)
        os.waitpid(pid, 0)
        found["shared file"] = os.pread(file.fileno(), 100, 0).decode()
    return found


def signals() -> dict[str, Any]:
    """Handlers, masks, timers, and what is ignored at first."""
    ignored = sorted(n.name for n in signal.Signals if signal.getsignal(n) is signal.SIG_IGN)
    found: dict[str, Any] = {"ignored": ignored, "blocked": len(signal.pthread_sigmask(0, ()))}
    seen: list[str] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(signal.Signals(number).name))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    os.kill(os.getpid(), signal.SIGUSR2)
    seen.append(signal.Signals(signal.sigwait({signal.SIGUSR2})).name)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
    signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while "alarm" not in seen:
        time.sleep(0.01)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
    except KeyboardInterrupt:
        seen.append("interrupt")
    return {**found, "seen": seen}


def files() -> dict[str, Any]:
    """Descriptors, memory maps, selectors, limits."""
    found: dict[str, Any] = {}
    with open(os.devnull) as first, open(os.devnull) as second:
        found["descriptors"] = [first.fileno(), second.fileno()]
    found["stdin"] = sys.stdin.read()
    folder = tempfile.mkdtemp()
    numbers = np.memmap(Path(folder, "numbers"), dtype="int64", mode="w+", shape=(8,))
    numbers[:] = np.arange(8)
    numbers.flush()
    found["memory map"] = int(np.memmap(Path(folder, "numbers"), dtype="int64", mode="r").sum())
    shutil.rmtree(folder)
    with mmap.mmap(-1, 16) as anonymous:
        if (pid := os.fork()) == 0:
            anonymous[:5] = b"child"
            os._exit(0)
        os.waitpid(pid, 0)
        found["anonymous map"] = anonymous[:5].decode()
    read, write = os.pipe()
    os.write(write, b"x")
    found["selected"] = len(select.select([read], [], [], 5)[0])
    os.close(read)
    os.close(write)
    found["limits"] = [
        resource.getrlimit(which)
        for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE)
    ]
    return found


def words() -> None:
    """Output by every way, and errors that only print."""
    print("of Python", flush=True)
    os.write(1, b"of the descriptor\n")
    sys.stdout.buffer.write(b"bytes\n")
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("ordinary").info("logged")
    warnings.warn("a warning", stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0, name="t")
    thread.start()
    thread.join()
    atexit.register(print, "at exit")


@command(use_queue=True)
def ordinary() -> dict[str, Any]:
    """Do them all."""
    return {
        "files": files(),
        "signals": signals(),
        "children": children(),
        "forks": forks(),
        "pools": pools(),
        "words": words(),
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(ordinary()))
