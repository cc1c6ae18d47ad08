"""Messages that no well-behaved client writes, in every era of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies

from support import schemas
from support.hostile import BATCHES, QUESTIONS, Due, Line, lines
from support.rawclient import RawClient
from support.schemas import ERAS, MODERN
from support.serving import ENVELOPE, HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.invariants import Witness
    from support.rawclient import Message, Received
    from support.serving import Setup

    RecordProperty = Callable[[str, object], None]

pytestmark = pytest.mark.needs("schemas")

BATCH = 50  # lines that are written before their answers are awaited
OF_OUR_OWN = "own-"  # begins the ids of requests of the test
SIZE_LIMIT = 16  # MiB that the server may grow after a quarter of the messages


class Stranger:
    """Speaks an era, and knows what each line that it writes is due."""

    def __init__(self, client: RawClient, era: str) -> None:
        self._client = client
        self._era = era
        self._asked = self.sent = 0
        self._methods: dict[Any, str | None] = {}
        if era != MODERN:
            self.ask("initialize", {**HANDSHAKE, "protocolVersion": era})
            client.notify("notifications/initialized")

    def ask(self, method: str, params: Message | None = None) -> Message:
        """A request that is as it should be; its result."""
        self._asked += 1
        request_id = f"{OF_OUR_OWN}{self._asked}"
        meta = {"_meta": ENVELOPE} if self._era == MODERN else {}
        self._methods[request_id] = method
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        self._client.send({**message, "params": {**(params or {}), **meta}})
        return self._client.answer(request_id).message["result"]

    def call(self, tool: str, **arguments: Any) -> Message:
        """The result of a tool."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def finished_job(self) -> str:
        """A job that has ended."""
        answer = self.call("add", a=2, b=3)
        job_id = answer.get("taskId") or answer["structuredContent"]["job_id"]
        [view] = self.call("queue_wait_job", job_ids=[job_id])["structuredContent"]["jobs"]
        assert view["result"] == 5
        return job_id

    def asking_job(self) -> str:
        """A job that asks two questions, which nobody answers as they want it."""
        answer = self.call("asks_many")
        job_id = answer.get("taskId") or answer["structuredContent"]["job_id"]
        waited = self.call("queue_wait_job", job_ids=[job_id])["structuredContent"]
        assert [each["key"] for each in waited["jobs"][0]["questions"]] == QUESTIONS
        return job_id

    def write(self, batch: list[Line]) -> None:
        """Write the lines, and see that each gets what it is due, and nothing else comes."""
        ids: list[tuple[Line, Any]] = []
        for line in batch:
            self.sent += 1
            self._client.send_bytes(line.bytes(self.sent) + b"\n")
            if line.id_kind is not None:
                request_id = line.request_id(self.sent)
                ids.append((line, request_id))
                self._methods[request_id] = (line.message or {}).get("method")
        for line, request_id in ids:
            if line.due is Due.ANSWER:
                self._client.answer(request_id)
            elif line.due is Due.STREAM:
                self._client.wait_for(lambda received, id_=request_id: begins(received, id_))
                self._client.notify("notifications/cancelled", {"requestId": request_id})
        self.ask("tools/list")
        self._check(batch, ids)
        self._client.received.clear()
        self._methods.clear()

    def _check(self, batch: list[Line], ids: list[tuple[Line, Any]]) -> None:
        answers = [received.message for received in self._client.received if received.is_answer]
        for message in answers:
            self._check_answer(message)
        for line, request_id in ids:
            found = [message for message in answers if message["id"] == request_id]
            assert len(found) <= (line.due is not Due.NOTHING), (line, found)
        known = [request_id for _, request_id in ids]
        others = [
            message
            for message in answers
            if message["id"] not in known and not str(message["id"]).startswith(OF_OUR_OWN)
        ]
        assert all("error" in message for message in others), others
        expected = sum(line.count for line in batch if line.due is Due.ERROR)
        assert len(others) == expected, (batch, others)

    def _check_answer(self, message: Message) -> None:
        method = self._methods.get(message["id"])
        if "error" in message:
            schemas.check_error(self._era, message)
        else:
            assert method is not None, message
            schemas.check_answer(self._era, message, method)


def begins(received: Received, request_id: Any) -> bool:
    """Whether a stream was refused or has been acknowledged."""
    if received.is_answer:
        return received.message["id"] == request_id
    meta = received.message.get("params", {}).get("_meta", {})
    return meta.get("io.modelcontextprotocol/subscriptionId") == request_id


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of a batch that failed
@pytest.mark.parametrize("era", ERAS)
async def test_row_32_malformed_messages(
    server: Setup,
    witness: Witness,
    record_property: RecordProperty,
    thorough: bool,
    tmp_path: Path,
    era: str,
) -> None:
    """An answer each where one is due, by the era's schema; no crash, no growth, quick after."""
    batches = (10_000 if thorough else 1_000) // BATCH
    server.commands.append("support.asking_commands")
    with RawClient(server.command) as client:
        client.takes_batches = era == BATCHES
        stranger = Stranger(client, era)
        job_id, asking = stranger.finished_job(), stranger.asking_job()
        log = stranger.call("queue_get_job_logs", job_id=job_id)["structuredContent"]
        process = psutil.Process(client.pid)
        files = outside(tmp_path)
        sizes: list[int] = []
        held: list[int] = []

        @settings(
            max_examples=batches,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
                HealthCheck.large_base_example,
            ],
        )
        @given(
            strategies.lists(
                lines(era, [job_id, asking], log["cursor"]), min_size=BATCH, max_size=BATCH
            )
        )
        def write(batch: list[Line]) -> None:
            stranger.write(batch)
            sizes.append(process.memory_info().rss)
            held.append(process.num_fds())

        write()
        quickest = min(timed(stranger, client) for _ in range(20))
        stranger.finished_job()
        stranger.call("queue_delete_job", job_id=asking)
        health = stranger.call("queue_health")["structuredContent"]
        assert health["status"] == "healthy"
        assert outside(tmp_path) == files
    assert "Traceback" not in client.stderr, client.stderr[-3000:]
    assert len(client.stderr) < 300 * stranger.sent
    grown = (sizes[-1] - sizes[len(sizes) // 4]) / 2**20
    record_property("messages", stranger.sent)
    record_property("MiB grown after the first quarter", round(grown, 2))
    record_property("ms of the quickest call after", round(1000 * quickest, 2))
    assert grown < SIZE_LIMIT
    assert held[-1] <= max(held[: len(held) // 4 + 1])


def outside(folder: Path) -> set[Path]:
    """The files that are not the registry's."""
    return {path for path in folder.rglob("*") if "registry.db" not in str(path)}


def timed(stranger: Stranger, client: RawClient) -> float:
    begun = client.now()
    stranger.call("queue_list_jobs", limit=1)
    return client.now() - begun
