"""What is forgotten when: ended jobs by their steady age, never by the clock on the wall."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mcp_queue import clock
from mcp_queue.errors import JobNotFoundError
from mcp_queue.jobs import job_rows, member_rows, retention, run_rows, steady
from mcp_queue.jobs.member_rows import Server
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.jobs.shared_settings import SharedSettings
from support.rows import add, running

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

DAY = 86_400.0
KEPT = 21_600.0  # seconds, the retention of these tests


class Machine:
    """A machine whose clocks and boots are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 1000.0
        self.boot = "first"
        monkeypatch.setattr(clock, "wall", lambda: self.wall)
        monkeypatch.setattr(clock, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(steady, "boot_id", lambda: self.boot)

    def let_pass(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def reboot(self, downtime: float, uptime: float = 10.0) -> None:
        self.wall += downtime + uptime
        self.monotonic = uptime
        self.boot += "'"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def ended(registry: Registry, job_id: str, status: str = "completed") -> str:
    run_id = running(registry, job_id)
    run_rows.finish(registry, run_id, Ending(status), gone=True)
    return run_id


def forget(registry: Registry, limit: int = 100) -> list[str | None]:
    return retention.remove_expired(registry, KEPT, limit)


def test_every_terminal_state_expires_and_no_other(registry: Registry, machine: Machine) -> None:
    for status in ("completed", "failed", "stopped"):
        ended(registry, status, status)
    living = running(registry, "running")
    add(registry, "deleted", "withdrawn", "waiting")
    add(registry, "added", start=False)
    job_rows.delete(registry, "deleted", "by client")
    job_rows.request_stop(registry, "withdrawn")
    machine.let_pass(KEPT - 1)
    assert forget(registry) == []
    machine.let_pass(1)
    gone = forget(registry)
    assert sorted(filter(None, gone)) == ["run-of-completed", "run-of-failed", "run-of-stopped"]
    assert gone.count(None) == 2
    for name in ("completed", "failed", "stopped", "deleted", "withdrawn"):
        with pytest.raises(JobNotFoundError, match=name) as caught:
            job_rows.get(registry, name)
        assert "retention" in caught.value.hint
    machine.let_pass(100 * DAY)
    assert forget(registry) == []
    assert {r.job_id for r in job_rows.page(registry, None, 10, None)[0]} == {
        "running",
        "waiting",
        "added",
    }
    run_rows.finish(registry, living, Ending("completed"), gone=True)
    assert job_rows.totals(registry)["completed"] == 1


def test_a_tombstone_tells_why_from_its_deletion_on(registry: Registry, machine: Machine) -> None:
    ended(registry, "job")
    machine.let_pass(KEPT - 1)
    job_rows.delete(registry, "job", "by client")
    machine.let_pass(KEPT - 1)
    assert forget(registry) == []
    assert job_rows.get(registry, "job").reason == "by client"
    machine.let_pass(1)
    assert forget(registry) == ["run-of-job"]
    assert add(registry, "job").status == "pending"


def test_a_run_that_may_live_keeps_its_job(registry: Registry, machine: Machine) -> None:
    run_id = running(registry, "job")
    run_rows.finish(registry, run_id, Ending("completed"), gone=False)
    machine.let_pass(KEPT)
    assert forget(registry) == []
    run_rows.forget(registry, run_id)
    assert forget(registry) == [run_id]


def test_batches_take_the_oldest_first(registry: Registry, machine: Machine) -> None:
    runs: list[str | None] = []
    for n in range(5):
        runs.append(ended(registry, f"job-{n}"))
        machine.let_pass(1)
    machine.let_pass(KEPT)
    assert forget(registry, 2) == runs[:2]
    assert forget(registry, 2) == runs[2:4]
    assert forget(registry, 2) == runs[4:]
    assert sum(job_rows.totals(registry).values()) == 0


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_is_set_makes_nothing_expire_early_or_late(
    registry: Registry, machine: Machine, jump: float
) -> None:
    ended(registry, "before")
    machine.wall += jump
    ended(registry, "meanwhile")
    assert forget(registry) == []
    machine.wall -= jump
    ended(registry, "after")
    machine.let_pass(KEPT - 1)
    assert forget(registry) == []
    machine.wall += jump
    assert forget(registry) == []
    machine.let_pass(1)
    assert len(forget(registry)) == 3


def test_over_a_boot_wall_time_counts(registry: Registry, machine: Machine) -> None:
    ended(registry, "job")
    machine.let_pass(100)
    machine.reboot(downtime=1000)
    assert forget(registry) == []
    machine.let_pass(KEPT - 1111)
    assert forget(registry) == []
    machine.let_pass(1)
    assert len(forget(registry)) == 1


def test_a_boot_with_a_clock_that_is_behind_costs_no_time(
    registry: Registry, machine: Machine
) -> None:
    ended(registry, "job")
    machine.let_pass(100)
    assert forget(registry) == []
    machine.reboot(downtime=-DAY)
    member_rows.enter(
        registry, Server("server", "identity", "bell", leaving=False), SharedSettings()
    )
    machine.let_pass(KEPT - 101)
    assert forget(registry) == []
    machine.let_pass(1)
    assert len(forget(registry)) == 1


def test_where_boots_have_no_id_monotonic_time_tells(registry: Registry, machine: Machine) -> None:
    machine.boot = ""
    ended(registry, "job")
    machine.reboot(downtime=KEPT)
    machine.boot = ""
    assert len(forget(registry)) == 1


def test_what_is_due_when(registry: Registry, machine: Machine) -> None:
    settings = json.dumps({"completed_job_retention_seconds": KEPT})
    registry.execute("INSERT INTO settings VALUES (1, ?)", (settings,))
    add(registry, "waiting")
    assert retention.due_in(registry) is None
    job_rows.request_stop(registry, "waiting")
    machine.let_pass(10)
    ended(registry, "job")
    assert retention.due_in(registry) == KEPT - 10
    machine.let_pass(KEPT)
    assert retention.due_in(registry) == -10
    registry.execute("UPDATE settings SET value = '{\"completed_job_retention_seconds\": 0}'")
    assert retention.due_in(registry) is None


@pytest.mark.parametrize(
    ("seconds", "interval"), [(21_600, 3600), (86_400, 3600), (600, 100), (0.001, 0.05)]
)
def test_looks_come_six_times_in_a_retention(seconds: float, interval: float) -> None:
    assert retention.check_interval(seconds) == interval
