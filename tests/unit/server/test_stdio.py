"""The transport over real pipes: what reaches the server, what the client reads, and the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_queue.server.transport import stdio
from mcp_queue.server.transport.lifetime import Shutdown
from mcp_queue.server.transport.standard_streams import StandardStreams
from mcp_queue.server.transport.stdio import Streams, stdio_streams
from support.guards import GUARD

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes that can be polled")


@dataclass
class Peer:
    """The client's ends of the pipes, and the server's streams."""

    write_to: int
    read_from: int
    shutdown: Shutdown
    streams: Streams
    buffer: bytes = b""
    _closed: set[int] = field(default_factory=set)

    def send(self, *lines: bytes) -> None:
        os.write(self.write_to, b"".join(line + b"\n" for line in lines))

    async def read(self) -> Any:
        while b"\n" not in self.buffer:
            await anyio.wait_readable(self.read_from)
            self.buffer += os.read(self.read_from, 65536)
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def close(self, descriptor: int) -> None:
        if descriptor not in self._closed:
            self._closed.add(descriptor)
            os.close(descriptor)


@asynccontextmanager
async def connected() -> AsyncGenerator[Peer]:
    inward, write_to = os.pipe()
    read_from, outward = os.pipe()
    shutdown = Shutdown()
    with anyio.fail_after(GUARD):
        async with stdio_streams(StandardStreams(inward, outward), shutdown) as streams:
            peer = Peer(write_to, read_from, shutdown, streams)
            try:
                async with streams.read, streams.write:
                    yield peer
            finally:
                peer.close(write_to)
    peer.close(read_from)


def request(number: int, method: str = "ping") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method}).encode()


def answer(number: int, size: int = 0) -> SessionMessage:
    result = {"text": "x" * size}
    return SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=number, result=result))


async def test_messages_pass_both_ways() -> None:
    async with connected() as peer:
        peer.send(request(1), b"", b"  ", b'{"jsonrpc":"2.0","method":"note"}')
        first, second = [await receive(peer), await receive(peer)]
        assert isinstance(first, JSONRPCRequest)
        assert isinstance(second, JSONRPCNotification)
        await peer.streams.write.send(answer(1, size=200_000))
        assert (await peer.read())["id"] == 1


async def receive(peer: Peer) -> Any:
    item = await peer.streams.read.receive()
    assert isinstance(item, SessionMessage)
    return item.message


async def test_malformed_lines_are_answered_and_the_rest_is_served() -> None:
    async with connected() as peer:
        peer.send(b"no json", b'{"id": 7}', request(1))
        assert (await peer.read())["error"]["code"] == -32700
        refusal = await peer.read()
        assert (refusal["id"], refusal["error"]["code"]) == (7, -32600)
        assert (await receive(peer)).id == 1
        await peer.streams.write.send(answer(1))


async def test_so_many_requests_are_open_and_a_further_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stdio, "OPEN", 3)
    async with connected() as peer:
        peer.send(*map(request, range(1, 5)), b'{"jsonrpc":"2.0","method":"note"}', request(5))
        assert [(await receive(peer)).id for _ in range(3)] == [1, 2, 3]
        assert isinstance(await receive(peer), JSONRPCNotification)  # which may be a cancellation
        for number in (4, 5):
            refusal = await peer.read()
            assert (refusal["id"], "3 requests open" in refusal["error"]["message"]) == (
                number,
                True,
            )
        await peer.streams.write.send(answer(1))
        assert (await peer.read())["id"] == 1
        peer.send(request(6))
        assert (await receive(peer)).id == 6


async def test_a_line_over_the_limit_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "Lines", lambda: stdio_lines(limit=100))
    async with connected() as peer:
        peer.send(b"x" * 1000, request(2))
        assert (await peer.read())["error"]["code"] == -32700
        assert (await receive(peer)).id == 2


stdio_lines = stdio.Lines


async def test_the_end_of_input_waits_for_answers_that_come_soon() -> None:
    async with connected() as peer:
        peer.send(request(1))
        await receive(peer)
        peer.close(peer.write_to)
        await peer.shutdown.wait()
        await peer.streams.write.send(answer(1))
        assert (await peer.read())["id"] == 1
        with pytest.raises(anyio.EndOfStream):
            await peer.streams.read.receive()


async def test_an_unfinished_line_at_the_end_is_ignored() -> None:
    async with connected() as peer:
        os.write(peer.write_to, request(1)[:-1])
        peer.close(peer.write_to)
        with pytest.raises(anyio.EndOfStream):
            await peer.streams.read.receive()


async def test_a_client_that_does_not_read_hides_no_end_of_input() -> None:
    async with connected() as peer:
        peer.send(*[b"no json"] * 1000)
        started = anyio.current_time()
        with anyio.move_on_after(0.05):
            while True:
                await peer.streams.write.send(answer(1, size=65536))
        peer.close(peer.write_to)
        await peer.shutdown.wait()
        with pytest.raises(anyio.BrokenResourceError):
            await send_forever(peer)
        assert anyio.current_time() - started < 5 * (stdio.PATIENCE + stdio.FLUSH)


async def send_forever(peer: Peer) -> None:
    while True:
        await peer.streams.write.send(answer(1, size=65536))


async def test_a_client_that_closed_its_end_ends_the_server() -> None:
    async with connected() as peer:
        peer.close(peer.read_from)
        await peer.streams.write.send(answer(1))
        await peer.shutdown.wait()


async def test_an_end_from_elsewhere_ends_the_streams() -> None:
    async with connected() as peer:
        peer.shutdown.begin()
        peer.shutdown.begin()
        with pytest.raises(anyio.EndOfStream):
            await peer.streams.read.receive()


async def test_files_are_read_by_a_thread(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(request(1) + b"\nno json\n")
    target.touch()
    descriptors = StandardStreams(os.open(source, os.O_RDONLY), os.open(target, os.O_WRONLY))
    with anyio.fail_after(GUARD):
        async with stdio_streams(descriptors, Shutdown()) as streams, streams.read, streams.write:
            await streams.read.receive()
            await streams.write.send(answer(1))
            with pytest.raises(anyio.EndOfStream):
                await streams.read.receive()
    for descriptor in descriptors:
        os.close(descriptor)
    answers = [json.loads(line) for line in target.read_text().splitlines()]
    assert {"result", "error"} == {key for each in answers for key in each} & {"result", "error"}


STRAY = """
import os, subprocess, sys
print("before", end="")
from mcp_queue.server.transport.standard_streams import take_standard_streams
descriptors = take_standard_streams()
assert min(descriptors) > 2 and not any(map(os.get_inheritable, descriptors))
print("python")
os.write(1, b"descriptor\\n")
subprocess.run(["sh", "-c", "echo child; cat"])
assert sys.stdin.read() == ""
os.write(descriptors.output, os.read(descriptors.input, 100))
"""


async def test_claimed_streams_belong_to_the_client_alone() -> None:
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, "-c", STRAY],
            input=b"wire\n",
            capture_output=True,
            check=False,
            env=environment,
        )
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"wire\n"
    for stray in (b"before", b"python", b"descriptor", b"child"):
        assert stray in done.stderr
