"""Read the new events of runs, from the stored offset on, and store them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_queue.jobs import artifact_names, events, run_rows
from mcp_queue.printable import DESCRIPTION_LIMIT
from mcp_queue.supervisor import questions
from mcp_queue.supervisor.ending import storable_text

if TYPE_CHECKING:
    from mcp_queue.questions import JobQuestion
    from mcp_queue.supervisor.state import Run, State


def store_new(state: State, run: Run) -> None:
    """Store the events that the run wrote since the last check."""
    try:
        if os.stat(run.folder.events).st_size == run.offset:
            return
    except FileNotFoundError:
        return
    new, offset = events.read(run.folder.events, run.offset)
    if offset == run.offset:
        return
    job = _read_events(run, new)
    replaced = run_rows.record_events(
        state.registry,
        run.run_id,
        # After an outcome the offset stays: a supervisor that takes over must read it again,
        # unless the job's end was stored too.
        offset if run.outcome is None else None,
        started=run.started,
        progress=job.progress,
        description=job.description,
        asked=job.asked,
        withdrawn=job.withdrawn,
        artifacts=job.artifacts,
    )
    run.offset = offset
    questions.confirm_withdrawals(state, run, job.withdrawn)
    for file in filter(artifact_names.is_file, replaced):
        with suppress(OSError):
            os.unlink(os.path.join(run.folder.artifacts, file))


@dataclass(slots=True)
class _JobEvents:
    """The events of a run about its job since the last check."""

    progress: float | None = None
    description: str | None = None
    asked: list[JobQuestion] = field(default_factory=list["JobQuestion"])
    withdrawn: list[str] = field(default_factory=list[str])
    artifacts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def _read_events(run: Run, new: list[dict[str, Any]]) -> _JobEvents:
    """Collect the events about the job; set the fields of ``run`` from the others."""
    job = _JobEvents()
    for event in new:
        match event.get("e"):
            case events.STARTED:
                run.started = True
            case events.PROGRESS:
                job.progress = _number(event.get("progress"), job.progress)
                job.description = _description(event, job.description)
            case events.ARTIFACT:
                job.artifacts.append(event)
            case events.ASK:
                job.asked += questions.parse_asked(event)
            case events.WITHDRAW:
                job.withdrawn += questions.parse_withdrawn(event)
            case events.OUTCOME if run.outcome is None:
                run.outcome = event
            case _:
                pass
    return job


def _number(value: object, before: float | None) -> float | None:
    """A percentage, limited to 0 to 100, since a run may forge it; ``before`` if it is none."""
    if isinstance(value, (int, float)) and value == value:
        return float(min(max(value, 0), 100))
    return before


def _description(event: dict[str, Any], before: str | None) -> str | None:
    text = storable_text(event.get("description"), DESCRIPTION_LIMIT)
    return before if text is None else text
