"""What the supervisor does to jobs: a claim binds once, a job ends once, whoever comes second."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from mcp_queue import clock
from mcp_queue.jobs import job_rows, run_rows
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.run_rows import FALSE_STARTS, Ending
from support.rows import add, running

if TYPE_CHECKING:
    from mcp_queue.jobs.record import JobRecord


def _say(
    registry: Registry,
    run_id: str,
    offset: int = 10,
    *,
    started: bool = True,
    progress: float | None = None,
    description: str | None = None,
) -> JobRecord:
    run_rows.record_events(
        registry, run_id, offset, started=started, progress=progress, description=description
    )
    return job_rows.get(registry, run_id.removeprefix("run-of-"))


def test_a_claim_binds_those_that_wait_longest(registry: Registry) -> None:
    add(registry, "a", "b", "c")
    assert run_rows.waiting(registry)
    first = run_rows.claim(registry, ["r1", "r2"])
    assert [(claim.run_id, claim.job_id) for claim in first] == [("r1", "a"), ("r2", "b")]
    assert first[0].params == '{"secret": 1}'
    record = job_rows.get(registry, "a")
    assert (record.status, record.run_id, record.queue_position) == ("running", "r1", None)
    assert record.started_at is not None
    assert [claim.job_id for claim in run_rows.claim(registry, ["r3", "r4"])] == ["c"]
    assert run_rows.claim(registry, ["r5"]) == []
    assert not run_rows.waiting(registry)


def test_jobs_that_were_only_added_are_not_claimed(registry: Registry) -> None:
    add(registry, "added", start=False)
    assert not run_rows.waiting(registry)
    assert run_rows.claim(registry, ["run"]) == []


def test_many_claimers_share_the_jobs_without_overlap(registry: Registry, path: str) -> None:
    add(registry, *(f"job-{n}" for n in range(60)))
    claimed: list[str] = []

    def work(name: str) -> None:
        own = Registry(path)
        turn = 0
        while claims := run_rows.claim(own, [f"{name}-{turn}-{n}" for n in range(3)]):
            claimed.extend(claim.job_id for claim in claims)
            turn += 1
        own.close()

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"job-{n}" for n in range(60))


def test_the_first_end_counts(registry: Registry) -> None:
    run_id = running(registry, "job")
    assert run_rows.finish(registry, run_id, Ending("completed", result="1"), gone=False)
    before = job_rows.get(registry, "job")
    assert not run_rows.finish(registry, run_id, Ending("failed", "exit", "late"), gone=False)
    assert not run_rows.put_back(registry, run_id)
    assert job_rows.get(registry, "job") == before
    assert (before.status, before.progress, before.result) == ("completed", 100.0, 1)


def test_an_end_keeps_what_is_known_of_it(registry: Registry) -> None:
    run_id = running(registry, "job")
    _say(registry, run_id, progress=40)
    ending = Ending("failed", "signal", "killed", signal="SIGKILL")
    assert run_rows.finish(registry, run_id, ending, gone=True)
    record = job_rows.get(registry, "job")
    assert record.error is not None
    assert (record.error.code, str(record.error)) == ("signal", "killed")
    assert (record.signal, record.exit_code, record.progress) == ("SIGKILL", None, 40)
    assert record.finished_at is not None


def test_a_run_that_may_live_keeps_its_row(registry: Registry) -> None:
    run_id = running(registry, "job")
    run_rows.finish(registry, run_id, Ending("completed"), gone=False)
    [row] = run_rows.all_runs(registry)
    assert (row.run_id, row.job_status, row.identity) == (run_id, "completed", None)
    run_rows.forget(registry, run_id)
    assert run_rows.all_runs(registry) == []


def test_what_a_run_says_is_kept(registry: Registry) -> None:
    run_id = running(registry, "job")
    run_rows.record_spawn(registry, run_id, "identity")
    record = _say(registry, run_id, progress=10, description="one")
    assert (record.progress, record.description) == (10, "one")
    record = _say(registry, run_id, 20, progress=20)
    assert (record.progress, record.description) == (20, "one")
    record = _say(registry, run_id, 30, description="two")
    assert (record.progress, record.description) == (20, "two")
    [row] = run_rows.all_runs(registry)
    assert (row.identity, row.started, row.events_offset) == ("identity", True, 30)


def test_what_changes_nothing_visible_is_no_change(registry: Registry) -> None:
    run_id = running(registry, "job")
    rev = run_rows.latest_rev(registry)
    assert _say(registry, run_id).rev == rev


def test_a_started_run_stays_started(registry: Registry) -> None:
    run_id = running(registry, "job")
    _say(registry, run_id)
    _say(registry, run_id, started=False)
    assert run_rows.all_runs(registry)[0].started


def test_progress_after_the_end_is_not_shown(registry: Registry) -> None:
    run_id = running(registry, "job")
    run_rows.finish(registry, run_id, Ending("failed", "exit", "x"), gone=False)
    before = job_rows.get(registry, "job")
    assert _say(registry, run_id, progress=90, description="late") == before


def test_a_job_put_back_waits_at_its_place_with_the_same_attempt(registry: Registry) -> None:
    run_id = running(registry, "job")
    add(registry, "later")
    assert run_rows.put_back(registry, run_id)
    record = job_rows.get(registry, "job")
    assert (record.status, record.attempt, record.queue_position) == ("pending", 1, 1)
    assert (record.run_id, record.started_at) == (None, None)
    assert run_rows.all_runs(registry) == []
    assert not run_rows.put_back(registry, run_id)
    assert [claim.job_id for claim in run_rows.claim(registry, ["next"])] == ["job"]


def test_three_false_starts_in_a_row_are_enough(registry: Registry) -> None:
    add(registry, "job")
    backs: list[bool] = []
    for n in range(FALSE_STARTS):
        [claim] = run_rows.claim(registry, [f"run-{n}"])
        backs.append(run_rows.put_back(registry, claim.run_id))
    assert backs == [True] * (FALSE_STARTS - 1) + [False]
    record = job_rows.get(registry, "job")
    assert (record.status, record.run_id) == ("running", f"run-{FALSE_STARTS - 1}")


def test_a_job_that_was_asked_to_stop_does_not_go_back(registry: Registry) -> None:
    run_id = running(registry, "job")
    job_rows.request_stop(registry, "job")
    assert not run_rows.put_back(registry, run_id)
    run_rows.finish(registry, run_id, Ending("failed", "interrupted", "never ran"), gone=True)
    assert job_rows.get(registry, "job").status == "stopped"


@pytest.mark.parametrize("gone", [True, False])
def test_only_runs_that_are_needed_are_known(registry: Registry, gone: bool) -> None:
    kept = running(registry, "kept")
    run_rows.finish(registry, kept, Ending("completed"), gone=True)
    deleted = running(registry, "deleted")
    job_rows.delete(registry, "deleted", "by client")
    if gone:
        run_rows.forget(registry, deleted)
    assert run_rows.known_run_ids(registry) == {kept} | (set() if gone else {deleted})


def test_times_go_with_the_order_of_writes(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time taken before the wait for another's write would be older than what that wrote."""
    waits: list[bool] = []

    def wall() -> float:
        waits.append(not registry.connection.in_transaction)
        return 1.0

    monkeypatch.setattr(clock, "wall", wall)
    add(registry, "ends", "waits", "stops")
    run_rows.claim(registry, ["r1", "r2"])
    run_rows.finish(registry, "r1", Ending("completed"), gone=True)
    run_rows.put_back(registry, "r2")
    job_rows.request_stop(registry, "stops")
    job_rows.delete(registry, "waits", "by client")
    assert waits
    assert not any(waits)
