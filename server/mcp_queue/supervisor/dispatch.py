"""Give free slots to waiting jobs: claim, spawn, record, open the gate."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp_queue import clock
from mcp_queue.errors import QueueError
from mcp_queue.jobs import events, run_rows, seals
from mcp_queue.jobs.registry_file import file_identity
from mcp_queue.supervisor import log_cap, manners, memory, retry, settle, stop
from mcp_queue.supervisor.ending import timeout
from mcp_queue.supervisor.state import Run
from mcp_queue.system import crash
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from mcp_queue.jobs.folder import RunFolder
    from mcp_queue.jobs.run_rows import Claim
    from mcp_queue.supervisor.executors import Worker
    from mcp_queue.supervisor.state import State


def dispatch(state: State) -> None:
    """Start as many waiting jobs as there are free slots, those first that wait longest."""
    now = clock.monotonic()
    _start_claimed(state)
    while not state.shutting_down:
        free = state.settings.max_concurrent_jobs - len(state.runs)
        if free <= 0 or not run_rows.waiting(state.registry, now):
            break
        seals.read_key(state.key_file)  # what is claimed could not be started without it
        run_ids = [secrets.token_hex(16) for _ in range(free)]
        state.claimed += run_rows.claim(state.registry, run_ids, now)
        _start_claimed(state)
    retry.remove_deleted(state)
    retry.wake_for_next(state, now)


def _start_claimed(state: State) -> None:
    """Start what is claimed. What cannot be stored now is left for the next look."""
    while state.claimed:
        _start(state, state.claimed[0])
        del state.claimed[0]


def supervise(state: State, run: Run, began: float | None = None) -> None:
    """Watch a run, own or adopted, until it ends.

    Its timeout counts from ``began``, in monotonic seconds (now).
    """
    state.runs[run.run_id] = run
    state.loop.on_readable(run.worker, partial(settle.on_death, state, run))
    if run.timeout is not None:
        ran = clock.monotonic() - began if began is not None else 0.0
        expire = partial(stop.end, state, run, timeout(run.timeout))
        run.timers.append(state.loop.later(run.timeout - ran, expire))
    memory.begin(state)
    log_cap.begin(state)


def _start(state: State, claim: Claim) -> None:
    key = seals.read_key(state.key_file)
    if not seals.holds_for_job(key, claim):
        settle.untrusted(state, claim.run_id, seals.NOT_OURS)
        return
    folder = state.folder.run(claim.run_id)
    if claim.previous_run_id is not None:
        shutil.rmtree(state.folder.run(claim.previous_run_id).path, ignore_errors=True)
    try:
        made = _write_job(state, claim, folder)
        worker = state.executor.start(claim.run_id, folder, json.loads(claim.origin))
    except OSError as error:
        why = f"the worker could not be started: {_why_not(error, json.loads(claim.origin))}"
        settle.never_ran(state, claim.run_id, why)
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
        settle.lost(state, claim.run_id, f"the folder of its run, {folder.path}, was replaced")
        return
    run = _new_run(claim, folder, worker)
    supervise(state, run)
    manners.begin(state, run)
    worker.open_gate()


def _why_not(error: OSError, origin: dict[str, Any]) -> str:
    """What is wrong, and what to do."""
    if error.filename == origin["interpreter"]:
        state = "is gone" if isinstance(error, FileNotFoundError) else "cannot be run"
        advice = "install it again, or start the server with another one"
        return f"its interpreter {error.filename} {state} ({error.strerror}); {advice}"
    if error.filename == origin["cwd"]:
        advice = "let this user enter it, or start the server in another one"
        return f"its folder {error.filename} cannot be entered ({error.strerror}); {advice}"
    return str(error)


def _new_run(claim: Claim, folder: RunFolder, worker: Worker) -> Run:
    return Run(
        run_id=claim.run_id,
        folder=folder,
        worker=worker,
        timeout=claim.timeout,
        memory_limit=claim.memory_limit,
    )


def _write_job(state: State, claim: Claim, folder: RunFolder) -> tuple[int, int] | None:
    """Make the folder of the run, and in it ``job.json``: all that the worker must know.

    The answer tells which folder it is.
    """
    call, origin = json.loads(claim.call), json.loads(claim.origin)
    shutil.rmtree(folder.path, ignore_errors=True)  # of a start that could not be stored
    os.mkdir(folder.path, 0o700)
    made = file_identity(folder.path, follow=False)
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
    return made
