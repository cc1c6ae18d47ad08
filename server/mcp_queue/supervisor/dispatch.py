"""Start waiting jobs in free slots: claim, spawn, record, open the gate."""

from __future__ import annotations

import json
import os
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp_queue import clock
from mcp_queue.errors import QueueError
from mcp_queue.jobs import events, run_rows, seals
from mcp_queue.jobs.registry_file import file_identity
from mcp_queue.supervisor import stop
from mcp_queue.supervisor.causes import timeout
from mcp_queue.supervisor.state import Run
from mcp_queue.system import crash
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.jobs.run_rows import Claim
    from mcp_queue.supervisor.folders import RunFolders
    from mcp_queue.supervisor.log_cap import LogCap
    from mcp_queue.supervisor.memory import MemoryLimits
    from mcp_queue.supervisor.niceness import Niceness
    from mcp_queue.supervisor.settle import Settler
    from mcp_queue.supervisor.state import State


class Dispatcher:
    """Starts runs, and watches each started or adopted run until it ends."""

    def __init__(
        self,
        state: State,
        folders: RunFolders,
        settler: Settler,
        memory: MemoryLimits,
        log_cap: LogCap,
        niceness: Niceness,
    ) -> None:
        self._state = state
        self._folders = folders
        self._settler = settler
        self._memory = memory
        self._log_cap = log_cap
        self._niceness = niceness
        self._claimed: list[Claim] = []
        """Claims that are not started yet."""

    def dispatch(self, now: float) -> None:
        """Start one waiting job for each free slot, the longest waiting first.

        A job between two attempts counts as waiting once its delay is over at ``now``, in
        monotonic seconds.
        """
        state = self._state
        self._start_claimed()
        while not state.shutting_down:
            free = state.settings.max_concurrent_jobs - len(state.runs)
            if free <= 0 or not run_rows.waiting(state.registry, now):
                return
            seals.read_key(state.key_file)  # a claimed job could not be started without the key
            run_ids = [secrets.token_hex(16) for _ in range(free)]
            self._claimed += run_rows.claim(state.registry, run_ids, now)
            self._start_claimed()

    def supervise(self, run: Run, began: float | None = None) -> None:
        """Watch a started or adopted run until it ends.

        Its timeout counts from ``began``, in monotonic seconds; by default from now.
        """
        state = self._state
        state.runs[run.run_id] = run
        state.loop.on_readable(run.worker, partial(self._settler.on_death, run))
        if run.timeout is not None:
            ran = clock.monotonic() - began if began is not None else 0.0
            expire = partial(stop.end, state, run, timeout(run.timeout))
            run.timers.append(state.loop.later(run.timeout - ran, expire))
        self._memory.begin()
        self._log_cap.begin()

    def _start_claimed(self) -> None:
        """Start the claimed jobs. Those that cannot be stored now wait for the next check."""
        while self._claimed:
            self._start(self._claimed[0])
            del self._claimed[0]

    def _start(self, claim: Claim) -> None:
        state = self._state
        key = seals.read_key(state.key_file)
        if not seals.holds_for_job(key, claim):
            self._settler.fail_untrusted(claim.run_id, seals.NOT_OURS)
            return
        folder = state.folder.run(claim.run_id)
        if claim.previous_run_id is not None:
            self._folders.remove(claim.previous_run_id)
        try:
            made = self._folders.make(claim.run_id)
            self._write_job(claim, folder)
            worker = state.executor.start(claim.run_id, folder, json.loads(claim.origin))
        except OSError as error:
            why = f"the worker could not be started: {_why_not(error, json.loads(claim.origin))}"
            self._settler.requeue(claim.run_id, why)
            return
        crash.point("spawn.before_record")
        seal = seals.of_run(key, claim.run_id, worker.identity)
        try:
            run_rows.record_spawn(state.registry, claim.run_id, worker.identity, seal)
        except QueueError:
            worker.abandon()
            raise
        crash.point("spawn.after_record")
        if file_identity(folder.path, follow=False) != made:
            worker.abandon()
            why = f"the folder of its run, {folder.path}, was replaced"
            self._settler.retry_or_fail(claim.run_id, why)
            return
        run = Run(
            run_id=claim.run_id,
            folder=folder,
            worker=worker,
            timeout=claim.timeout,
            memory_limit=claim.memory_limit,
        )
        self.supervise(run)
        self._niceness.schedule(run)
        worker.open_gate()

    def _write_job(self, claim: Claim, folder: RunFolder) -> None:
        """Write ``job.json``, the worker's input, into the folder of the run."""
        state = self._state
        call, origin = json.loads(claim.call), json.loads(claim.origin)
        job = {
            "v": events.VERSION,
            "job_id": claim.job_id,
            "run_id": claim.run_id,
            "attempt": claim.attempt,
            "command": claim.command,
            "params": json.loads(claim.params),
            "call": call,
            "context": call.get("context"),
            "sys_path": origin["sys_path"],
            "pythonpath": origin["env"].get("PYTHONPATH"),
            "bell": state.folder.bell,
            "artifact_cap": state.settings.artifact_cap_bytes,
            "dies_with_supervisor": bool(state.owner),
        }
        descriptor = open_ours(folder.job, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            events.write_all(descriptor, json.dumps(job).encode())
        finally:
            os.close(descriptor)


def _why_not(error: OSError, origin: dict[str, Any]) -> str:
    """The cause of the failed start, and a remedy."""
    if error.filename == origin["interpreter"]:
        state = "is gone" if isinstance(error, FileNotFoundError) else "cannot be run"
        advice = "install it again, or start the server with another one"
        return f"its interpreter {error.filename} {state} ({error.strerror}); {advice}"
    if error.filename == origin["cwd"]:
        advice = "let this user enter it, or start the server in another one"
        return f"its folder {error.filename} cannot be entered ({error.strerror}); {advice}"
    return str(error)
