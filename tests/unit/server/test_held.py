"""What a connection holds for its requests, and holds no more when they are over."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

import support.wire_commands  # noqa: F401 (registers the commands)
from mcp_queue import builtin
from mcp_queue.commands.catalog import Catalog, registry
from mcp_queue.config import Settings
from mcp_queue.manager.queue_manager import QueueManager
from mcp_queue.manager.watchers import Watcher
from mcp_queue.server.app import build
from mcp_queue.server.authored.progress import ProgressSink
from mcp_queue.server.following.notifier import Follower, Notifier
from mcp_queue.server.services import Services
from support.processes import GUARD
from support.queues import opened
from support.serving import ENVELOPE, HANDSHAKE

CROWD = 40
HELD = (Follower, Watcher, ProgressSink)


class Connection:
    """A client of a server in this process."""

    def __init__(
        self,
        to_server: MemoryObjectSendStream[Any],
        from_server: MemoryObjectReceiveStream[Any],
        *,
        modern: bool,
    ) -> None:
        self._to_server, self._from_server = to_server, from_server
        self._modern = modern
        self._next_id = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = anyio.Event()

    async def read(self) -> None:
        async for item in self._from_server:
            message = item.message.model_dump(by_alias=True)
            if "method" not in message:
                assert "result" in message, message
                self._answers[message["id"]] = message["result"]
            self._news.set()
            self._news = anyio.Event()

    async def post(self, method: str, *, token: str | None = None, **params: Any) -> int:
        self._next_id += 1
        meta = {**(ENVELOPE if self._modern else {}), **({"progressToken": token} if token else {})}
        if meta:
            params["_meta"] = meta
        request = JSONRPCRequest(jsonrpc="2.0", id=self._next_id, method=method, params=params)
        await self._to_server.send(SessionMessage(request))
        return self._next_id

    async def notify(self, method: str, **params: Any) -> None:
        message = JSONRPCNotification(jsonrpc="2.0", method=method, params=params)
        await self._to_server.send(SessionMessage(message))

    async def answer(self, request_id: int) -> dict[str, Any]:
        with anyio.fail_after(GUARD):
            while request_id not in self._answers:
                await self._news.wait()
        return self._answers[request_id]

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return await self.answer(await self.post(method, **params))

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.ask("tools/call", name=tool, arguments=arguments)
        return result["structuredContent"]

    async def subscribe(self, uri: str) -> int:
        if self._modern:
            return await self.post("subscriptions/listen", notifications=self._filter(uri))
        await self.ask("resources/subscribe", uri=uri)
        return 0

    async def release(self, uri: str, stream: int) -> None:
        if self._modern:
            await self.notify("notifications/cancelled", requestId=stream)
        else:
            await self.ask("resources/unsubscribe", uri=uri)

    def _filter(self, uri: str) -> dict[str, Any]:
        return {"resourceSubscriptions": [uri], "taskIds": [uri.removeprefix("queue://jobs/")]}


@asynccontextmanager
async def connected(queue: QueueManager, *, modern: bool) -> AsyncIterator[Connection]:
    catalog = Catalog()
    builtin.register(catalog)
    catalog.register(registry.get("steered"))
    services = Services(catalog, queue, Notifier(queue))
    server = build(services)
    to_server, read = anyio.create_memory_object_stream[Any](0)
    write, from_server = anyio.create_memory_object_stream[Any](0)
    connection = Connection(to_server, from_server, modern=modern)
    async with to_server, from_server, anyio.create_task_group() as tasks:
        tasks.start_soon(services.notifier.run)
        tasks.start_soon(server.run, read, write, server.create_initialization_options())
        tasks.start_soon(connection.read)
        if not modern:
            await connection.ask("initialize", **HANDSHAKE)
            await connection.notify("notifications/initialized")
        yield connection
        tasks.cancel_scope.cancel()


async def crowd(connection: Connection, size: int) -> None:
    """Waits and subscriptions of jobs that end; half of the waits are cancelled before."""
    params = {"port": 1}
    jobs = [
        (await connection.call("queue_add_job", command="steered", params=params))["job_id"]
        for _ in range(size)
    ]
    streams = [await connection.subscribe(f"queue://jobs/{job_id}") for job_id in jobs]
    waits = [
        await connection.post(
            "tools/call",
            token=job_id,
            name="queue_wait_job",
            arguments={"job_ids": [job_id], "timeout_seconds": GUARD},
        )
        for job_id in jobs
    ]
    for wait in waits[::2]:
        await connection.notify("notifications/cancelled", requestId=wait)
    assert held()
    for job_id in jobs:
        await connection.call("queue_stop_job", job_id=job_id)
    for wait in waits[1::2]:
        [job] = (await connection.answer(wait))["structuredContent"]["jobs"]
        assert job["status"] == "stopped"
    for job_id, stream in zip(jobs, streams, strict=True):
        await connection.release(f"queue://jobs/{job_id}", stream)


def held() -> list[object]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, HELD)]


@pytest.mark.parametrize("modern", [False, True], ids=["handshake", "2026-07-28"])
async def test_nothing_is_held_when_all_is_over(modern: bool) -> None:
    settings = Settings(in_memory=True, supervisor_linger_seconds=0.1)
    async with opened(settings) as queue, connected(queue, modern=modern) as connection:
        await crowd(connection, 1)
        with anyio.fail_after(GUARD):
            while held():
                await anyio.lowlevel.checkpoint()
        before = asyncio.all_tasks()
        await crowd(connection, CROWD)
        with anyio.fail_after(GUARD):
            while held() or len(asyncio.all_tasks()) > len(before):
                await anyio.lowlevel.checkpoint()
