"""What the supervisor does now and then: when each timer checks, and when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcp_queue import clock
from mcp_queue.jobs import erase, member_rows, retention, retry_rows
from mcp_queue.supervisor import expiry, log_cap, memory, niceness, retry
from mcp_queue.supervisor.checks import Checks
from mcp_queue.supervisor.erasure import QUIET, RETRY, Erasure
from mcp_queue.supervisor.expiry import Expiry
from mcp_queue.supervisor.folders import RunFolders
from mcp_queue.supervisor.log_cap import BUSY, LogCap
from mcp_queue.supervisor.memory import MemoryLimits
from mcp_queue.supervisor.niceness import Niceness
from mcp_queue.supervisor.retry import Retries
from mcp_queue.supervisor.servers import Servers
from mcp_queue.supervisor.settle import Settler

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.supervising import Scene


def _counting(monkeypatch: pytest.MonkeyPatch, module: object, name: str, answer: object) -> list:
    """Replace a function by one that gives ``answer``; the arguments of each call."""
    calls: list[tuple[object, ...]] = []

    def count(*args: object) -> object:
        calls.append(args)
        return answer() if callable(answer) else answer

    monkeypatch.setattr(module, name, count)
    return calls


class TestChecks:
    def test_several_calls_make_one_check(self, scene: Scene) -> None:
        checks = scene.state.checks
        for ask in (checks.soon, checks.soon, checks.of_all_runs):
            ask()
        scene.loop.let_pass(60)
        assert scene.looked == 1
        checks.soon()
        scene.loop.let_pass(0)
        assert scene.looked == 2

    def test_the_next_check_includes_all_runs(self, scene: Scene) -> None:
        checks: Checks = scene.state.checks
        checks.soon()
        assert not checks.take_all_runs()
        checks.of_all_runs(0.5)
        assert checks.take_all_runs()
        assert not checks.take_all_runs()


class TestLogCap:
    @pytest.fixture
    def sized(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[float]]:
        """The times of checks so far, in tenths of a second."""
        times: list[float] = []

        def size(path: str) -> int:
            if path.endswith("stdout.log"):
                times.append(round(scene.loop.now / BUSY, 1))
            return 0

        monkeypatch.setattr(log_cap, "_size", size)
        return lambda: times

    def test_it_looks_less_often_while_nothing_is_written(
        self, scene: Scene, sized: Callable[[], list[float]]
    ) -> None:
        cap = LogCap(scene.state)
        scene.run("first")
        cap.begin()
        scene.loop.let_pass(15 * BUSY)
        assert sized() == [1, 2, 4, 8, 12], "the first check finds it grown"
        cap.begin()
        scene.loop.let_pass(5 * BUSY)
        assert sized()[5:] == [16, 18]

    def test_it_does_not_look_without_runs(
        self, scene: Scene, sized: Callable[[], list[float]]
    ) -> None:
        cap = LogCap(scene.state)
        scene.run("run")
        cap.begin()
        scene.state.runs.clear()
        scene.loop.let_pass(60)
        assert sized() == []

    def test_a_dead_run_is_looked_at_once_more(self, scene: Scene) -> None:
        scene.set(log_cap_bytes=1 << 16)
        cap, (run, _) = LogCap(scene.state), scene.run("run")
        with open(run.folder.stdout, "wb") as file:
            file.write(b"x" * (1 << 18))
        cap.finish(run)
        assert log_cap.read_gap(run.folder.stdout).end > 0


class TestMemoryLimits:
    @pytest.fixture
    def limits(self, scene: Scene) -> MemoryLimits:
        state, folders = scene.state, RunFolders(scene.state)
        settler = Settler(state, folders, Retries(state, folders), LogCap(state))
        return MemoryLimits(state, settler)

    def test_only_runs_with_a_limit_are_looked_at(self, scene: Scene, limits: MemoryLimits) -> None:
        _, free = scene.run("free")
        limits.begin()
        scene.run("limited", memory_limit=100)
        limits.begin()
        limits.begin()
        scene.loop.let_pass(2 * memory.INTERVAL)
        assert free.did == []
        assert scene.executor.workers["limited"].did == ["memory"] * 2

    def test_a_run_over_its_limit_is_killed(self, scene: Scene, limits: MemoryLimits) -> None:
        run, worker = scene.run("run", memory_limit=100)
        limits.begin()
        worker.used = 100
        scene.loop.let_pass(memory.INTERVAL)
        assert run.cause is None
        worker.used = 101
        scene.loop.let_pass(memory.INTERVAL)
        assert run.cause is not None
        assert (run.cause.error_code, worker.did[-1]) == ("out_of_memory", "kill")

    def test_it_ends_with_the_last_limited_run(self, scene: Scene, limits: MemoryLimits) -> None:
        _, worker = scene.run("run", memory_limit=100)
        limits.begin()
        scene.state.runs.clear()
        scene.loop.let_pass(60)
        assert worker.did == []


class TestNiceness:
    def test_a_niceness_that_cannot_be_set_now_is_set_later_and_in_order(
        self, scene: Scene
    ) -> None:
        scene.set(niceness=5)
        polite = Niceness(scene.state)
        first, second = scene.run("first"), scene.run("second")
        first[1].refusals = 2
        polite.schedule(first[0])
        polite.schedule(second[0])
        assert (len(first[1].did), second[1].did) == (1, [])
        scene.loop.let_pass(niceness.PAUSE)
        assert (len(first[1].did), second[1].did) == (2, [])
        scene.loop.let_pass(niceness.PAUSE)
        assert (len(first[1].did), second[1].did) == (3, ["niceness 5"])
        scene.loop.let_pass(60)
        assert len(first[1].did) == 3


class TestRetention:
    @pytest.fixture
    def gone(self) -> list[None]:
        """The jobs that the next check removes."""
        return []

    @pytest.fixture
    def checks(self, gone: list[None], monkeypatch: pytest.MonkeyPatch) -> list:
        return _counting(monkeypatch, retention, "remove_expired", lambda: gone)

    @pytest.fixture
    def keeper(self, scene: Scene) -> Expiry:
        return Expiry(scene.state, RunFolders(scene.state), Erasure(scene.state))

    def test_it_looks_now_and_six_times_in_a_retention(
        self, scene: Scene, keeper: Expiry, checks: list
    ) -> None:
        scene.set(completed_job_retention_seconds=60.0)
        for _ in range(3):
            keeper.update()
        assert len(checks) == 1
        scene.loop.let_pass(60)
        assert len(checks) == 7

    def test_another_retention_takes_the_place_of_the_first(
        self, scene: Scene, keeper: Expiry, checks: list
    ) -> None:
        scene.set(completed_job_retention_seconds=60.0)
        keeper.update()
        scene.set(completed_job_retention_seconds=6000.0)
        keeper.update()
        scene.loop.let_pass(999)
        assert [seconds for _, seconds, _ in checks] == [60.0, 6000.0]
        scene.set(completed_job_retention_seconds=retention.KEEP)
        keeper.update()
        scene.loop.let_pass(1e6)
        assert len(checks) == 2, "jobs are kept for ever"

    def test_more_is_forgotten_after_a_pause(
        self, scene: Scene, keeper: Expiry, checks: list, gone: list[None]
    ) -> None:
        gone += [None] * expiry.BATCH
        keeper.update()
        scene.loop.let_pass(expiry.PAUSE)
        assert len(checks) == 2


class TestRetries:
    @pytest.mark.parametrize(
        ("first", "attempt", "seconds"),
        [(1, 1, 1), (1, 2, 2), (1, 6, 32), (1, 7, 60), (1, 10_000, 60), (90, 3, 90), (0, 5, 0)],
    )
    def test_rests_double_up_to_a_limit(self, first: float, attempt: int, seconds: float) -> None:
        assert retry.backoff(first, attempt) == seconds

    def test_it_looks_when_the_next_job_is_due(self, scene: Scene) -> None:
        now = clock.monotonic()
        retries = Retries(scene.state, RunFolders(scene.state))
        for job_id, rest in (("late", 500), ("soon", 100)):
            scene.add(job_id, max_attempts=2)
            run_id = scene.claim(job_id)
            retry_rows.retry(scene.state.registry, run_id, why="lost", boot="", due=now + rest)
            retries.schedule_next(now)
        scene.loop.let_pass(90)
        assert scene.looked == 0
        scene.loop.let_pass(10)
        assert scene.looked == 1
        retries.schedule_next(now + 100)
        scene.loop.let_pass(490)  # the clock of the registry did not go on
        assert scene.looked == 1
        scene.loop.let_pass(10)
        assert scene.looked == 2


class TestErasure:
    def test_it_erases_once_when_all_is_quiet(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        erased = _counting(monkeypatch, erase, "erase", True)
        erasure = Erasure(scene.state)
        erasure.schedule()
        erasure.schedule()
        scene.loop.let_pass(QUIET)
        assert len(erased) == 1
        erasure.schedule()
        scene.loop.let_pass(QUIET)
        assert len(erased) == 1, "nothing has changed"
        erasure.jobs_removed()
        scene.loop.let_pass(QUIET)
        assert len(erased) == 2

    def test_it_waits_for_the_last_run(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        erased = _counting(monkeypatch, erase, "erase", True)
        erasure = Erasure(scene.state)
        erasure.schedule()
        scene.run("run")
        erasure.schedule()
        erasure.erase_now()
        scene.loop.let_pass(60)
        assert erased == []

    def test_it_tries_again_while_somebody_reads(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        erased = _counting(monkeypatch, erase, "erase", False)
        Erasure(scene.state).schedule()
        scene.loop.let_pass(QUIET + 2 * RETRY)
        assert len(erased) == 3


class TestLeaving:
    @pytest.fixture
    def servers(self, scene: Scene) -> Servers:
        scene.set(supervisor_linger_seconds=5.0)
        servers = Servers(scene.state, Erasure(scene.state))
        servers.take_charge()
        return servers

    def _is_left(self, scene: Scene) -> bool:
        return member_rows.supervisor(scene.state.registry) is None

    def test_it_leaves_some_time_after_the_last_work(self, scene: Scene, servers: Servers) -> None:
        servers.schedule_leaving()
        scene.loop.let_pass(4)
        servers.schedule_leaving()
        assert not self._is_left(scene)
        scene.loop.let_pass(1)
        assert self._is_left(scene)
        assert scene.loop.stopped

    def test_new_work_keeps_it(self, scene: Scene, servers: Servers) -> None:
        servers.schedule_leaving()
        scene.add("a")
        servers.schedule_leaving()
        scene.loop.let_pass(60)
        assert not self._is_left(scene)
        assert scene.looked == 0

    def test_work_that_it_has_not_seen_yet_keeps_it(self, scene: Scene, servers: Servers) -> None:
        servers.schedule_leaving()
        scene.add("a")
        scene.loop.let_pass(60)
        assert not scene.loop.stopped
        assert scene.looked == 1

    def test_in_memory_it_leaves_with_its_owner_alone(self, scene: Scene, servers: Servers) -> None:
        scene.state.owner = "owner"
        servers.schedule_leaving()
        scene.loop.let_pass(60)
        assert not scene.loop.stopped
