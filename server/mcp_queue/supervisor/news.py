"""What runs say: their events, read from the byte where the last look ended, and stored."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_queue.jobs import artifact_names, events, run_rows
from mcp_queue.supervisor import questions
from mcp_queue.supervisor.ending import text_of

if TYPE_CHECKING:
    from mcp_queue.questions import JobQuestion
    from mcp_queue.supervisor.state import Run, State

DESCRIPTION_LIMIT = 1024  # characters


def take_in(state: State, run: Run) -> None:
    """Store what the run has said since the last look."""
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
                told.description = _description(event, told.description)
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


def _number(value: object, before: float | None) -> float | None:
    """A percentage that a run may have forged is still one from 0 to 100."""
    if isinstance(value, (int, float)) and value == value:
        return float(min(max(value, 0), 100))
    return before


def _description(event: dict[str, Any], before: str | None) -> str | None:
    text = text_of(event.get("description"), DESCRIPTION_LIMIT)
    return before if text is None else text
