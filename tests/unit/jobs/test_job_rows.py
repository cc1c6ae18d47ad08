"""What clients do to jobs: each guard holds, each refusal tells the state that won."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from mcp_queue.errors import InvalidJobStateError, JobAlreadyExistsError, JobNotFoundError
from mcp_queue.jobs import job_rows, run_rows
from mcp_queue.jobs.run_rows import Ending
from support.rows import add, new_job, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_queue.jobs.registry import Registry


def _ended(registry: Registry, job_id: str, status: str) -> None:
    run_rows.finish(registry, running(registry, job_id), Ending(status), gone=True)


def _secrets(registry: Registry, job_id: str) -> tuple[str, str | None]:
    [row] = registry.rows("SELECT params, origin FROM jobs WHERE job_id = ?", (job_id,))
    return row


def test_a_new_job_is_pending(registry: Registry) -> None:
    waiting = add(registry, "waiting")
    assert (waiting.status, waiting.queued, waiting.queue_position) == ("pending", True, 1)
    added = add(registry, "added", start=False)
    assert (added.status, added.queued, added.queue_position) == ("pending", False, None)
    assert added.attempt == 1
    assert added.progress == 0
    assert added.finished_at is None
    assert added.rev > waiting.rev


def test_an_id_is_taken_once_even_after_its_deletion(registry: Registry) -> None:
    add(registry, "job")
    with pytest.raises(JobAlreadyExistsError, match="job"):
        add(registry, "job")
    job_rows.delete(registry, "job", "by client")
    with pytest.raises(JobAlreadyExistsError):
        add(registry, "job")
    assert job_rows.totals(registry)["deleted"] == 1


@pytest.mark.parametrize("look", [job_rows.get, job_rows.start, job_rows.request_stop])
def test_an_unknown_id_is_said_to_be_unknown(
    registry: Registry, look: Callable[[Registry, str], object]
) -> None:
    with pytest.raises(JobNotFoundError, match="nobody"):
        look(registry, "nobody")
    with pytest.raises(JobNotFoundError):
        job_rows.delete(registry, "nobody", "by client")


def test_only_an_added_job_is_started_and_once(registry: Registry) -> None:
    add(registry, "job", start=False)
    assert job_rows.start(registry, "job").queued
    with pytest.raises(InvalidJobStateError, match="started already"):
        job_rows.start(registry, "job")


@pytest.mark.parametrize("status", ["completed", "failed", "stopped"])
def test_an_ended_job_is_neither_started_nor_stopped(registry: Registry, status: str) -> None:
    _ended(registry, "job", status)
    before = job_rows.get(registry, "job")
    for act in (job_rows.start, job_rows.request_stop):
        with pytest.raises(InvalidJobStateError, match=status) as caught:
            act(registry, "job")
        assert caught.value.hint
    assert job_rows.get(registry, "job") == before


def test_a_deleted_job_takes_nothing_more(registry: Registry) -> None:
    add(registry, "job")
    job_rows.delete(registry, "job", "by client")
    for act in (
        lambda: job_rows.start(registry, "job"),
        lambda: job_rows.request_stop(registry, "job"),
        lambda: job_rows.delete(registry, "job", "again"),
    ):
        with pytest.raises(InvalidJobStateError, match="deleted"):
            act()
    assert job_rows.get(registry, "job").reason == "by client"


@pytest.mark.parametrize("start", [True, False])
def test_a_pending_job_is_stopped_at_once(registry: Registry, start: bool) -> None:
    add(registry, "job", start=start)
    record = job_rows.request_stop(registry, "job")
    assert record.status == "stopped"
    assert record.finished_at is not None
    assert record.queue_position is None
    assert run_rows.claim(registry, ["run"]) == []
    assert _secrets(registry, "job")[1] is None


def test_a_running_job_is_asked_to_stop_once(registry: Registry) -> None:
    run_id = running(registry, "job")
    record = job_rows.request_stop(registry, "job")
    assert (record.status, record.stop_requested) == ("running", True)
    again = job_rows.request_stop(registry, "job")
    assert (again.rev, again.updated_at) == (record.rev, record.updated_at)
    assert run_rows.to_end(registry) == [(run_id, False)]


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_job_that_ends_after_the_request_is_stopped_and_keeps_its_result(
    registry: Registry, status: str
) -> None:
    run_id = running(registry, "job")
    job_rows.request_stop(registry, "job")
    ending = Ending(status, "exception", "x", exit_code=3, result="[1]", result_size=3)
    run_rows.finish(registry, run_id, ending, gone=True)
    record = job_rows.get(registry, "job")
    assert (record.status, record.result, record.error) == ("stopped", [1], None)


def test_deletion_leaves_a_tombstone_without_secrets(registry: Registry) -> None:
    run_id = running(registry, "job")
    run_rows.finish(registry, run_id, Ending("completed", result="[1]", result_size=3), gone=True)
    before, after = job_rows.delete(registry, "job", "by client")
    assert (before.status, before.result) == ("completed", [1])
    assert (after.status, after.reason, after.result) == ("deleted", "by client", None)
    assert after.finished_at == before.finished_at
    assert _secrets(registry, "job") == ("{}", None)


def test_a_deleted_running_job_is_to_be_ended(registry: Registry) -> None:
    run_id = running(registry, "job")
    job_rows.delete(registry, "job", "by client")
    assert run_rows.to_end(registry) == [(run_id, True)]
    assert not run_rows.finish(registry, run_id, Ending("completed"), gone=True)
    assert job_rows.get(registry, "job").status == "deleted"
    assert run_rows.all_runs(registry) == []


def test_the_origin_goes_with_the_end(registry: Registry) -> None:
    run_id = running(registry, "job")
    assert _secrets(registry, "job")[1] is not None
    run_rows.finish(registry, run_id, Ending("completed"), gone=True)
    assert _secrets(registry, "job")[1] is None


def test_positions_are_counted_up_to_a_hundred(registry: Registry) -> None:
    add(registry, *(f"job-{n}" for n in range(1, 104)))
    add(registry, "aside", start=False)
    positions = [job_rows.get(registry, f"job-{n}").queue_position for n in range(1, 104)]
    assert positions == [*range(1, 101), "100+", "100+", "100+"]
    listed, _ = job_rows.page(registry, "pending", 1000, None)
    assert [record.queue_position for record in listed] == [None, *reversed(positions)]
    job_rows.request_stop(registry, "job-1")
    job_rows.delete(registry, "job-2", "by client")
    assert job_rows.get(registry, "job-3").queue_position == 1
    assert job_rows.get(registry, "job-102").queue_position == 100
    assert job_rows.get(registry, "job-103").queue_position == "100+"


def test_the_order_is_that_of_starting(registry: Registry) -> None:
    add(registry, "late", start=False)
    add(registry, "first", "second")
    job_rows.start(registry, "late")
    assert job_rows.get(registry, "late").queue_position == 3
    claims = run_rows.claim(registry, ["a", "b", "c", "d"])
    assert [claim.job_id for claim in claims] == ["first", "second", "late"]


def test_pages_cover_each_job_once_newest_first(registry: Registry) -> None:
    names = [f"job-{n}" for n in range(23)]
    add(registry, *names)
    job_rows.delete(registry, "job-7", "by client")
    seen: list[str] = []
    cursor: int | None = None
    while True:
        records, cursor = job_rows.page(registry, None, 5, cursor)
        seen += [record.job_id for record in records]
        if cursor is None:
            break
    assert seen == [name for name in reversed(names) if name != "job-7"]
    assert [r.job_id for r in job_rows.page(registry, "deleted", 5, None)[0]] == ["job-7"]


def test_a_page_that_just_fits_has_no_next_one(registry: Registry) -> None:
    add(registry, "a", "b")
    assert job_rows.page(registry, None, 2, None)[1] is None


def test_changes_come_in_their_order_and_once(registry: Registry) -> None:
    add(registry, "a", "b", "c")
    rev = run_rows.latest_rev(registry)
    job_rows.request_stop(registry, "b")
    job_rows.request_stop(registry, "a")
    changed = job_rows.changed_since(registry, rev, 10)
    assert [record.job_id for record in changed] == ["b", "a"]
    assert job_rows.changed_since(registry, changed[-1].rev, 10) == []
    assert [r.job_id for r in job_rows.changed_since(registry, rev, 1)] == ["b"]


def test_an_idle_registry_has_no_work(registry: Registry) -> None:
    assert not job_rows.unfinished(registry)
    add(registry, "added", start=False)
    assert not job_rows.unfinished(registry)
    run_id = running(registry, "job")
    assert job_rows.unfinished(registry)
    run_rows.finish(registry, run_id, Ending("completed"), gone=False)
    assert job_rows.unfinished(registry)  # its tree may live
    run_rows.forget(registry, run_id)
    assert not job_rows.unfinished(registry)


def test_totals_equal_a_recount_after_random_operations(registry: Registry) -> None:
    dice = random.Random(9)
    names: list[str] = []
    runs: list[str] = []

    def once(turn: int) -> None:
        name = dice.choice(names) if names else "none"
        run = dice.choice(runs) if runs else "none"
        act = dice.randrange(7)
        if act == 0:
            names.append(f"job-{turn}")
            job_rows.add(registry, new_job(names[-1], start=dice.random() < 0.7))
        elif act == 1:
            job_rows.start(registry, name)
        elif act == 2:
            job_rows.request_stop(registry, name)
        elif act == 3:
            job_rows.delete(registry, name, "by client")
        elif act == 4:
            claims = run_rows.claim(registry, [f"run-{turn}-{n}" for n in range(2)])
            runs.extend(claim.run_id for claim in claims)
        elif act == 5:
            run_rows.put_back(registry, run)
        else:
            run_rows.finish(registry, run, Ending("failed", "exit", "x"), gone=dice.random() < 0.5)

    for turn in range(600):
        try:
            once(turn)
        except (InvalidJobStateError, JobNotFoundError):
            continue
    recount = dict(registry.rows("SELECT status, count(*) FROM jobs GROUP BY status"))
    assert {s: n for s, n in job_rows.totals(registry).items() if n} == recount
    assert len(recount) >= 4
