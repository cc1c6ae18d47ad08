"""Row 40: nobody reads standard error, and all goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.rawclient import GUARD, RawClient
from support.serving import HANDSHAKE, Setup
from support.web import WebServer, fetch, request, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    RecordProperty = Callable[[str, object], None]

DROPPED = re.compile(rb"mcp-queue: (\d+) bytes were dropped here: nobody read them in time\n")
MANY = 100_000_000  # bytes
ROOM = 1 << 20  # bytes that the server keeps for a client that does not read


class Deaf(RawClient):
    """A client that does not read the server's standard error until it is told to."""

    def __init__(self, setup: Setup, **options: Any) -> None:
        self.hears = threading.Event()
        self.heard = b""
        super().__init__(setup.command, **options)
        self.request("initialize", HANDSHAKE)
        self.notify("notifications/initialized")

    def _read_stderr(self) -> None:
        self.hears.wait()
        pipe = self._process.stderr
        assert pipe is not None
        while data := os.read(pipe.fileno(), 1 << 16):
            with self._news:
                self.heard += data
                self._news.notify_all()

    def hear(self, wanted: Callable[[bytes], object]) -> bytes:
        """Begin to read; what was read once ``wanted`` holds of it."""
        self.hears.set()
        with self._news:
            assert self._news.wait_for(lambda: wanted(self.heard), GUARD), self.heard[-2000:]
            return self.heard

    def call(self, tool: str, **arguments: Any) -> Any:
        answer = self.request("tools/call", {"name": tool, "arguments": arguments}, GUARD * 4)
        assert not answer["result"].get("isError"), answer
        return answer["result"]["structuredContent"]["result"]

    def leave(self) -> float:
        """End the input; the seconds until the server is gone, while nobody reads."""
        ended = self.now()
        self.close_stdin()
        assert self.wait() == 0
        return round(self.now() - ended, 3)

    def close(self) -> int:
        self.leave()
        self.hears.set()
        return super().close()


@pytest.fixture
def printing(tmp_path: Path) -> Setup:
    return Setup(tmp_path, {}, ["support.printing_code"])


@pytest.fixture
def deaf(printing: Setup) -> Iterator[Deaf]:
    with Deaf(printing) as client:
        yield client


def counted(heard: bytes, letter: bytes = b"x") -> int:
    """The bytes of a letter's lines that came, and those that were dropped."""
    dropped = sum(int(match[1]) for match in DROPPED.finditer(heard))
    came = DROPPED.sub(b"", heard)
    return dropped + came.count(letter) + came.count(b"\n")


def test_row_40_tracebacks_of_our_own(deaf: Deaf, record_property: RecordProperty) -> None:
    for number in range(300):
        answer = deaf.request("resources/read", {"uri": f"bad://{number}"})
        assert "no such key" in answer["error"]["message"]
    assert deaf.request("ping")["result"] == {}
    record_property("seconds to leave", deaf.leave())


@pytest.mark.parametrize("tool", ["prints", "prints_in_thread", "prints_at_once", "writes_binary"])
def test_row_40_a_command_prints_a_hundred_megabytes(deaf: Deaf, tool: str) -> None:
    """What is missing is counted to the byte."""
    printed = deaf.call(tool, size=MANY)
    assert deaf.call("fine", n=1) == 2
    heard = deaf.hear(lambda heard: DROPPED.search(heard) and heard.endswith(b"in time\n"))
    assert printed <= counted(heard) <= printed + len(DROPPED.findall(heard))
    assert len(heard) < 2 * ROOM
    assert deaf.call("prints_text", text="and then all is well") == "and then all is well"
    deaf.hear(lambda heard: heard.endswith(b"and then all is well\n"))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("logs", {"count": 5000}),
        ("writes_descriptor", {"size": 5_000_000}),
        ("collects", {}),
        ("prints_for_ever", {}),
        ("prints_for_ever_in_the_loop", {}),
    ],
)
def test_row_40_other_ways_to_print(
    deaf: Deaf, tool: str, arguments: dict[str, Any], record_property: RecordProperty
) -> None:
    deaf.call(tool, **arguments)
    for number in range(20):
        assert deaf.call("fine", n=number) == number + 1
    record_property("seconds to leave", deaf.leave())


@pytest.mark.parametrize("tool", ["prints_for_ever", "prints_for_ever_in_the_loop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_row_40_a_signal_ends_it_all_the_same(deaf: Deaf, tool: str, number: int) -> None:
    deaf.call(tool)
    deaf.send_signal(number)
    assert deaf.wait() == 0


def test_row_40_a_child_and_a_fork(deaf: Deaf) -> None:
    assert deaf.call("child_prints", text="of a child") == 0
    assert deaf.call("fork_prints", text="of a fork", size=200_000) == 0
    heard = deaf.hear(lambda heard: heard.count(b"of a child\n") == 2 and b"x\n" in heard)
    assert b"of a fork\n" in heard
    assert heard.count(b"x") == 200_000


def test_row_40_a_child_that_floods(deaf: Deaf) -> None:
    """It is neither refused nor held up: what it prints is taken, and dropped."""
    for _ in range(5):
        assert deaf.call("child_floods", size=10_000_000) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows have no time limit")
def test_row_40_c_code_that_holds_the_interpreter(deaf: Deaf) -> None:
    """The thread that takes what is printed cannot run meanwhile; it stalls, and goes on."""
    assert 0 < deaf.call("holds_the_interpreter", size=20_000_000) < 20_000_000
    assert deaf.call("fine", n=1) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_row_40_a_crash_report_of_python_comes_through(printing: Setup) -> None:
    registry = str(printing.folder / "registry.db")
    printing.settings |= {"in_memory": False, "registry_path": registry}
    with RawClient(printing.command, env={"PYTHONFAULTHANDLER": "1"}) as client:
        client.request("initialize", HANDSHAKE)
        client.post("tools/call", {"name": "crashes", "arguments": {}})
        assert client.wait() == -signal.SIGSEGV
    assert "Segmentation fault" in client.stderr
    assert "in crashes" in client.stderr


def test_row_40_what_a_reader_gets_is_whole(printing: Setup) -> None:
    """With a client that reads, nothing is dropped and the order of what Python prints stays."""
    with RawClient(printing.command) as client:
        client.request("initialize", HANDSHAKE)
        client.notify("notifications/initialized")
        for number in range(200):
            arguments = {"text": f"line {number} " + "ä" * 500}
            client.request("tools/call", {"name": "prints_text", "arguments": arguments})
        client.request("tools/call", {"name": "reconfigures", "arguments": {}})
    lines = [line for line in client.stderr.splitlines() if line.startswith("line ")]
    assert lines == [f"line {number} " + "ä" * 500 for number in range(200)]
    assert "ä? reconfigured" in client.stderr
    assert "dropped" not in client.stderr


def test_row_40_the_streams_are_as_they_were(printing: Setup) -> None:
    with RawClient(printing.command, env={"PYTHONIOENCODING": "utf-8"}) as client:
        client.request("initialize", HANDSHAKE)
        answer = client.request("tools/call", {"name": "asks_streams", "arguments": {}})
        assert answer["result"]["structuredContent"]["result"] == {
            "encodings": ["utf-8", "utf-8"],
            "descriptors": [1, 2],
            "terminals": [False, False],
            "writable": True,
        }


def one_call(setup: Setup, stderr: Any, tool: str, **arguments: Any) -> Any:
    """The result of a call of a server that is started with this standard error, and left."""
    lines = [
        {"id": 1, "method": "initialize", "params": HANDSHAKE},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
    ]
    text = "".join(json.dumps({"jsonrpc": "2.0", **line}) + "\n" for line in lines)
    command: list[str] = setup.command
    if stderr == "closed":
        command, stderr = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command], None
    done = subprocess.run(
        command, input=text.encode(), stdout=subprocess.PIPE, stderr=stderr, timeout=GUARD,
        check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    [answer] = [each for each in answers if each.get("id") == 2]
    return answer["result"]["structuredContent"]["result"]


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")
@pytest.mark.parametrize("what", ["closed", "nobody", "null", "full"])
def test_row_40_no_standard_error(printing: Setup, what: str) -> None:
    """It was closed, its reader is gone, it leads nowhere, its disk is full."""
    opened: int | None = None
    if what == "nobody":
        read, opened = os.pipe()
        os.close(read)
    elif what in ("null", "full"):
        opened = os.open(f"/dev/{what}", os.O_WRONLY)
    try:
        stderr = "closed" if opened is None else opened
        assert one_call(printing, stderr, "prints", size=3_000_000) == 3_000_000
    finally:
        if opened is not None:
            os.close(opened)


def test_row_40_a_file(printing: Setup) -> None:
    path = printing.folder / "stderr.txt"
    with path.open("wb") as file:
        assert one_call(printing, file, "prints", size=500_000) == 500_000
    assert path.read_bytes() == (b"x" * 999 + b"\n") * 500


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_row_40_a_terminal(printing: Setup) -> None:
    ours, theirs = os.openpty()
    try:
        told = one_call(printing, theirs, "asks_streams")
        assert told["terminals"] == [True, True]
    finally:
        os.close(ours)
        os.close(theirs)


def test_row_40_what_ends_it_is_said(printing: Setup) -> None:
    """Also what is printed last of all, by the end of the interpreter."""
    last = printing.folder / "last.py"
    last.write_text(
        "import atexit, os\natexit.register(print, 'printed at the end')\n"
        "atexit.register(os.write, 2, b'written at the end\\n')\n",
        "utf-8",
    )
    printing.commands.append(str(last))
    with RawClient(printing.command) as client:
        client.request("initialize", HANDSHAKE)
    assert "printed at the end\n" in client.stderr
    assert "written at the end\n" in client.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_row_40_over_http(printing: Setup, record_property: RecordProperty) -> None:
    with WebServer(printing.command, hears=False) as running:
        first, second = session(running, "2025-11-25"), session(running, "2025-06-18")
        arguments = {"size": 10_000_000}
        called = request(1, "tools/call", name="prints", arguments=arguments)
        assert fetch(running, called, headers=first).message["result"]["structuredContent"] == {
            "result": 10_000_000
        }
        called = request(2, "tools/call", name="fine", arguments={"n": 1})
        answer = fetch(running, called, headers=second).message["result"]
        assert answer["structuredContent"] == {"result": 2}
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 0
