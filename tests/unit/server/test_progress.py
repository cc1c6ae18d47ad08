"""Progress strictly increases, bursts become one, and the last state always arrives."""

from __future__ import annotations

import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue import clock
from mcp_queue.commands.job import Job
from mcp_queue.server.authored import progress
from mcp_queue.server.authored.progress import Meter, message, reporting
from support.guards import GUARD

Sent = list[tuple[float, str]]


def request(sent: Sent, *, token: bool = True) -> Any:
    async def report(value: float, total: float | None, text: str | None) -> None:
        assert total == max(100, value)
        await anyio.lowlevel.checkpoint()
        sent.append((value, text or ""))

    meta = {"progress_token": 1} if token else {}
    return SimpleNamespace(meta=meta, request_id=1, session=SimpleNamespace(report_progress=report))


@given(st.lists(st.floats(0, 100)))
def test_values_strictly_increase(percents: list[float]) -> None:
    meter = Meter()
    values = [meter.next(percent) for percent in percents]
    assert all(later > earlier for earlier, later in pairwise(values))


def test_a_constant_step_does_not_stall() -> None:
    meter = Meter()
    values = [meter.next(100) for _ in range(10_000)]
    assert len(set(values)) == len(values)


def test_the_message_tells_the_true_percent() -> None:
    assert message(37.5, "a.py (3 of 8 files)") == "37.5% · a.py (3 of 8 files)"
    assert message(50, "") == "50%"
    assert message(50, "reading", elapsed=12.3) == "50% · reading · 12 s"


async def test_a_burst_becomes_few_and_the_last_state_arrives() -> None:
    sent: Sent = []
    begun = clock.monotonic()
    async with reporting(request(sent)) as job:
        for step in range(1000):
            job.set_progress(step / 10, f"step {step}")
            if step % 100 == 0:
                await anyio.sleep(0.001)
    assert sent[-1] == (99.9, "99.9% · step 999")
    assert len(sent) <= 3 + (clock.monotonic() - begun) / progress.GAP
    await anyio.sleep(2 * progress.GAP)
    assert sent[-1][0] == 99.9, "nothing follows the end"


async def test_progress_that_falls_still_increases() -> None:
    sent: Sent = []
    async with reporting(request(sent)) as job:
        for percent in (50, 10, 20):
            job.set_progress(percent)
            await anyio.sleep(1.5 * progress.GAP)
    assert [text for _, text in sent] == ["50%", "10%", "20%"]
    assert sent[0][0] < sent[1][0] < sent[2][0]


async def test_the_end_interrupts_no_message() -> None:
    """It would be sent again, as 100.001 percent."""
    sent: Sent = []
    on_its_way = anyio.Event()
    context = request(sent)
    report = context.session.report_progress

    async def slowly(*what: Any) -> None:
        on_its_way.set()
        await anyio.sleep(0.05)
        await report(*what)

    context.session.report_progress = slowly
    async with reporting(context) as job:
        job.set_progress(100, "done")
        await on_its_way.wait()
    assert sent == [(100, "100% · done")]


async def test_a_silent_job_sends_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE", 0.02)
    sent: Sent = []
    async with reporting(request(sent)) as job:
        job.set_progress(30, "thinking")
        await anyio.sleep(0.5)
    assert sent[0][1] == "30% · thinking"
    assert sent[1][1] == "30% · thinking · 0 s"
    assert sent[0][0] < sent[1][0] < sent[2][0]


async def test_a_thread_may_report() -> None:
    sent: Sent = []
    async with reporting(request(sent)) as job:
        thread = threading.Thread(target=job.set_progress, args=(40, "in a thread"))
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
    assert sent == [(40, "40% · in a thread")]


async def test_nothing_is_sent_without_a_token() -> None:
    sent: Sent = []
    async with reporting(request(sent, token=False)) as job:
        job.set_progress(40)
    assert sent == []


async def test_what_the_command_raises_comes_through() -> None:
    async def call() -> None:
        async with reporting(request([])) as job:
            jobs.append(job)
            raise KeyError

    jobs: list[Job] = []
    with pytest.raises(KeyError):
        await call()
    assert jobs[0].stopping


async def test_a_client_that_does_not_read_holds_up_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "LAST", 0.02)

    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    context = request([])
    context.session.report_progress = never
    with anyio.fail_after(GUARD):
        async with reporting(context) as job:
            job.set_progress(1)
            await anyio.sleep(0.01)
