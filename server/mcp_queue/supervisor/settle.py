"""Take in what runs say, and decide how a job ended once its run has."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp_queue.jobs import artifact_names, events, run_rows, seals, spare, states
from mcp_queue.jobs.run_rows import Ending
from mcp_queue.supervisor import log_cap, questions, retry, stop
from mcp_queue.supervisor.executors import Death

if TYPE_CHECKING:
    from mcp_queue.jobs.record import JobQuestion
    from mcp_queue.supervisor.state import Run, State


def collect(state: State, run: Run) -> None:
    """Store the run's news. A job that ended by itself is settled now, its slot is not free yet."""
    if run.death is not None:
        _bury(state, run, run.death)
        return
    _read_news(state, run)
    if run.outcome is None or run.settled or run.cause is not None:
        return
    run_rows.finish(state.registry, run.run_id, _ending(run, Death()), gone=False)
    run.settled = True
    let_go(state, run)


def let_go(state: State, run: Run) -> None:
    """The job of a run has ended; a thread or a child may keep its worker from leaving."""
    grace = state.settings.stop_grace_seconds
    run.timers.append(state.loop.later(grace, partial(stop.kill, state, run)))


def on_death(state: State, run: Run) -> None:
    """A worker is dead: end what it left, settle its job, free its slot."""
    state.loop.forget(run.worker)
    for timer in run.timers:
        timer.cancel()
    run.death = run.worker.reap()
    _bury(state, run, run.death)


def _bury(state: State, run: Run, death: Death) -> None:
    """All that follows a death; once more at the next look, if the registry cannot take it now."""
    _read_news(state, run)
    if run.outcome is None:
        run.outcome = spare.take(run.folder.result)
    run.worker.clear()
    with suppress(OSError):
        os.unlink(run.folder.bell)  # where it asked something
    log_cap.check(state, run)
    if run.settled:
        run_rows.forget(state.registry, run.run_id)
    elif run.started or run.outcome is not None or run.cause is not None:
        _end(state, run, death)
    else:
        why = f"the worker ended before its job began ({_words(death)})"
        # One that is adopted has left because its supervisor died before it opened the gate.
        known = death.exit_code is not None or death.signal is not None
        never_ran(state, run.run_id, why, counted=known)
    run.worker.close()
    del state.runs[run.run_id]
    remove_if_deleted(state, run.run_id)
    state.look_soon()


def never_ran(state: State, run_id: str, why: str, *, counted: bool = True) -> None:
    """No user code ran: the job waits again, or fails when that keeps happening.

    ``counted``: see `run_rows.put_back`.
    """
    if run_rows.put_back(state.registry, run_id, counted=counted):
        remove_folder(state, run_id)
        return
    lost(state, run_id, why)


def lost(state: State, run_id: str, why: str) -> None:
    """Nobody knows how far the run came: its job has failed."""
    ending = Ending(states.FAILED, error_code="interrupted", error_message=why)
    if retry.retry(state, run_id, ending):
        return
    run_rows.finish(state.registry, run_id, ending, gone=True)


def untrusted(state: State, run_id: str, why: str) -> None:
    """What is to run, or ran, bears no seal of ours: its job has failed, and nothing is touched."""
    ending = Ending(states.FAILED, seals.UNTRUSTED, why.format(key=state.key_file))
    run_rows.finish(state.registry, run_id, ending, gone=True)
    state.look_soon()


def _end(state: State, run: Run, death: Death) -> None:
    ending = _ending(run, death)
    lost = run.outcome is None and run.cause is None
    if not (lost and retry.retry(state, run.run_id, ending)):
        run_rows.finish(state.registry, run.run_id, ending, gone=True)


def remove_if_deleted(state: State, run_id: str) -> None:
    """Remove the folder of a run that no job needs any more."""
    needed = state.registry.value(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE run_id = ? AND status <> 'deleted')", (run_id,)
    )
    if not needed:
        remove_folder(state, run_id)


def remove_folder(state: State, run_id: str) -> None:
    """Remove the folder of a run; now, or at a later look if something is in the way."""
    path = state.folder.run(run_id).path
    shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(path):
        state.remains.add(run_id)


def remove_remains(state: State) -> None:
    """Try again what could not be removed: there was no descriptor to be had, say."""
    remains, state.remains = state.remains, set()
    for run_id in remains:
        remove_folder(state, run_id)


def _read_news(state: State, run: Run) -> None:
    try:
        if os.stat(run.folder.events).st_size == run.offset:
            return
    except FileNotFoundError:
        return
    news, offset = events.read(run.folder.events, run.offset)
    if offset == run.offset:
        return
    told = _told(run, news)
    replaced = run_rows.record_events(
        state.registry,
        run.run_id,
        # Its outcome is read again by who takes over, unless the job's end is stored too.
        offset if run.outcome is None else None,
        started=run.started,
        progress=told.progress,
        description=told.description,
        asked=told.asked,
        withdrawn=told.withdrawn,
        artifacts=told.artifacts,
    )
    run.offset = offset
    questions.confirm(state, run, told.withdrawn)
    for file in filter(artifact_names.is_file, replaced):
        with suppress(OSError):
            os.unlink(os.path.join(run.folder.artifacts, file))


@dataclass(slots=True)
class _Told:
    """What a run said of its job since the last look."""

    progress: float | None = None
    description: str | None = None
    asked: list[JobQuestion] = field(default_factory=list["JobQuestion"])
    withdrawn: list[str] = field(default_factory=list[str])
    artifacts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def _told(run: Run, news: list[dict[str, Any]]) -> _Told:
    """What the events tell of the job; what they tell of the run itself is noted in it."""
    told = _Told()
    for event in news:
        match event.get("e"):
            case events.STARTED:
                run.started = True
            case events.PROGRESS:
                told.progress = _number(event.get("progress"), told.progress)
                told.description = _text(event.get("description"), told.description)
            case events.ARTIFACT:
                told.artifacts.append(event)
            case events.ASK:
                told.asked += questions.asked(event)
            case events.WITHDRAW:
                told.withdrawn += questions.withdrawn(event)
            case events.OUTCOME if run.outcome is None:
                run.outcome = event
            case _:
                pass
    return told


def _number(value: object, otherwise: float | None) -> float | None:
    """A percentage that a run may have forged is still one from 0 to 100."""
    if isinstance(value, (int, float)) and value == value:
        return float(min(max(value, 0), 100))
    return otherwise


def _text(value: object, otherwise: str | None, limit: int | None = 1024) -> str | None:
    """A text that a run wrote; what is not Unicode in it could not be stored."""
    if not isinstance(value, str):
        return otherwise
    return value[:limit].encode("utf-8", "replace").decode()


def _ending(run: Run, death: Death) -> Ending:
    outcome = run.outcome or {}
    size = outcome.get("result_size")
    kept: dict[str, Any] = {
        "result": _text(outcome.get("result"), None, limit=None),
        "result_size": size if isinstance(size, int) and 0 <= size < 2**63 else None,
    }
    if run.cause == "timeout":
        return Ending(states.FAILED, "timeout", f"ran longer than {run.timeout:g} seconds", **kept)
    if run.cause == "memory":
        message = f"used {_size(run.memory_used)} of memory, over its limit of "
        message += _size(run.memory_limit or 0)
        return Ending(states.FAILED, "out_of_memory", message, **kept)
    if run.cause is not None:
        return Ending(states.STOPPED, **kept)
    if run.outcome is None:
        return _ending_without_outcome(death)
    status = outcome.get("status")
    if status == states.COMPLETED:
        return Ending(states.COMPLETED, **kept)
    code = _text(outcome.get("error_code"), None)
    message = _text(outcome.get("error_message"), None, limit=None)
    if status == states.STOPPED and outcome.get("reported") is True:
        return Ending(states.STOPPED, code, message, **kept)
    message = message or "cancelled, though no stop was asked"
    return Ending(states.FAILED, code or "exception", message, **kept)


def _ending_without_outcome(death: Death) -> Ending:
    if death.exit_code is not None:
        code, message = "exit", f"the worker {_words(death)} before its command returned"
    elif death.signal is not None:
        code, message = "signal", f"the worker {_words(death)}"
    else:
        code, message = "interrupted", "the worker was gone when a new supervisor looked"
    return Ending(states.FAILED, code, message, exit_code=death.exit_code, signal=death.signal)


def _size(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"


def _words(death: Death) -> str:
    if death.exit_code is not None:
        return f"exited with code {death.exit_code}"
    if death.signal is not None:
        return f"was killed by {death.signal}"
    return "is gone"
