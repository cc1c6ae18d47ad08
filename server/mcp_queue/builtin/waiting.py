"""Wait for jobs in one open request: its progress, its answer, and the advice for the next step."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio

from mcp_queue.errors import InvalidParamsError, JobNotFoundError
from mcp_queue.jobs import states
from mcp_queue.views import (
    ONLY_IN_A_FORM,
    Envelope,
    activity,
    job_view,
    person_only_advice,
    person_only_keys,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mcp_queue.builtin.asking import FormChannel
    from mcp_queue.commands.job import Job
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager

MAX_JOBS = 1000  # jobs that one call may wait for
ID_LIMIT = 256  # characters; no job has a longer id
MAX_WAITS = 1000  # open waits in one process; further waits return immediately
Mode = Literal["all", "any"]
Records = dict[str, "JobRecord"]

_open_waits: set[anyio.CancelScope] = set()


async def wait_for(
    queue: QueueManager, job_ids: Sequence[str], seconds: float, mode: Mode, job: Job
) -> Envelope:
    """Wait until all, or any, of the jobs have ended or ``seconds`` are over.

    If the jobs ask questions, the client shows forms for them; if it cannot, the call returns
    immediately with the questions. ``not_found`` lists the jobs that are unknown or were deleted
    meanwhile. Raises JobNotFoundError if these are all jobs. Cancellation does not affect the jobs
    and gives no answer.
    """
    if not 0 < len(job_ids) <= MAX_JOBS:
        raise InvalidParamsError(
            command="queue_wait_job",
            problems=f"job_ids has {len(job_ids):,} entries" if job_ids else "job_ids is empty",
            advice=f"Give the job_id of at least one job, and of {MAX_JOBS:,} at most.",
        )
    ids = [job_id[:ID_LIMIT] for job_id in dict.fromkeys(job_ids)]
    records, timed_out = await follow(queue, await _records_of(queue, ids), seconds, mode, job)
    not_found = [job_id for job_id in ids if job_id not in records]
    answer = Envelope(
        success=True,
        jobs=[await job_view(queue, record) for record in records.values()],
        timed_out=timed_out,
        next=_next_step(records, mode),
    )
    if not_found:
        answer["not_found"] = not_found
        names = ", ".join(f"{job_id:.60}" for job_id in not_found)
        answer["next"] += f" Not known (any more): {names}; queue_list_jobs shows the known jobs."
    if queue.problem is not None and _needs_supervisor(records):
        problem = queue.problem.to_dict()
        answer |= {"success": False, "error": problem, "timed_out": False, "next": problem["hint"]}
    if len(records) == 1:
        answer.record = next((record for record in records.values() if record.terminal), None)
    return answer


async def follow(
    queue: QueueManager, records: Records, seconds: float, mode: Mode, job: Job
) -> tuple[Records, bool]:
    """Wait until all, or any, of the jobs have ended. Returns them, and whether the time ran out.

    ``job`` reports their progress. If the jobs ask questions, the client shows forms for them; if
    it cannot, the call returns immediately with the questions. Jobs that are deleted meanwhile are
    left out. Raises JobNotFoundError if none remains. While `MAX_WAITS` other waits are open, it
    returns immediately.
    """
    _report(job, records, next(iter(records.values())))
    if _is_over(records, mode):
        return records, False
    seconds = seconds if len(_open_waits) < MAX_WAITS else 0.0
    with (
        anyio.move_on_after(seconds) as scope,
        queue.while_supervised(partial(_needs_supervisor, records)),
    ):
        _open_waits.add(scope)
        try:
            await _watch_and_ask(queue, records, mode, job)
        finally:
            _open_waits.discard(scope)
    records = await _records_of(queue, records)
    return records, scope.cancelled_caught and not _is_over(records, mode)


async def _records_of(queue: QueueManager, job_ids: Iterable[str]) -> Records:
    """The current records of the jobs. Raises JobNotFoundError if none of them is known."""
    records: Records = {}
    unknown: JobNotFoundError | None = None
    for job_id in job_ids:
        try:
            records[job_id] = await queue.record_of(job_id)
        except JobNotFoundError as error:
            unknown = unknown or error
    if unknown is not None and not records:
        raise unknown
    return records


async def _watch_and_ask(queue: QueueManager, records: Records, mode: Mode, job: Job) -> None:
    """Wait until the wait is over, or until there is a question that cannot be asked here."""
    channel: FormChannel | None = job.sink.form_channel()
    if channel is None:
        await _watch(queue, records, mode, job, _no_questions)
        return
    from mcp_queue.builtin.asking import Forms

    with anyio.CancelScope() as scope:
        async with Forms(queue, channel, scope.cancel) as forms:
            if await forms.take_answers(records):
                records.update(await _records_of(queue, records))
            await _watch(queue, records, mode, job, forms.show)


async def _watch(
    queue: QueueManager,
    records: Records,
    mode: Mode,
    job: Job,
    show: Callable[[Records], bool],
) -> None:
    while not _is_over(records, mode) and show(records):
        try:
            async with aclosing(queue.watch(list(records))) as changes:
                async for record in changes:
                    records[record.job_id] = record
                    _report(job, records, record)
                    if _is_over(records, mode) or not show(records):
                        return
        except JobNotFoundError:  # one was deleted before the watch began
            known = await _records_of(queue, records)
            for job_id in records.keys() - known.keys():
                del records[job_id]
            records.update(known)


def _needs_supervisor(records: Records) -> bool:
    """Whether any of the jobs needs a supervisor."""
    return any(record.needs_supervisor for record in records.values())


def _no_questions(records: Records) -> bool:
    return not any(record.questions for record in records.values())


def _is_over(records: Records, mode: Mode) -> bool:
    ended = [record.terminal for record in records.values()]
    return all(ended) if mode == "all" else any(ended)


def _report(job: Job, records: Records, changed: JobRecord) -> None:
    """Report the progress: the mean percentage, and the activity of the job that changed."""
    percents = [100.0 if record.terminal else record.progress for record in records.values()]
    text = activity(changed)
    if len(records) > 1:
        ended = sum(record.terminal for record in records.values())
        name = f"{changed.command} {changed.job_id[:8]}"
        text = f"{name}: {text} ({ended} of {len(records)} jobs ended)"
    job.set_progress(sum(percents) / len(percents), text)


def _person_only_keys(records: Records) -> list[str]:
    """The keys of the questions that only the person can answer, with job ids if several ask."""
    asking = [record for record in records.values() if record.questions]
    names: list[str] = []
    for record in asking:
        if record.open_to_agents:
            keys = person_only_keys(record)
        else:
            keys = [question.key for question in record.questions]
        names += [f"{key} of {record.job_id}" if len(asking) > 1 else key for key in keys]
    return names


def _next_step(records: Records, mode: Mode) -> str:
    asking = [job_id for job_id, record in records.items() if record.questions]
    if any(records[job_id].open_to_agents for job_id in asking):
        return (
            f"Waits for an answer: {', '.join(asking)}. Ask the user, then call queue_answer_job "
            "with job_id, key and content that fits the schema; then queue_wait_job again."
            f"{person_only_advice(_person_only_keys(records))}"
        )
    if asking:
        return f"{', '.join(asking)} waits for an answer {ONLY_IN_A_FORM}"
    unfinished = [job_id for job_id, record in records.items() if not record.terminal]
    failed = [job_id for job_id, record in records.items() if record.status == states.FAILED]
    if unfinished and not _is_over(records, mode):
        return (
            f"{len(unfinished)} of {len(records)} jobs have not ended. Call queue_wait_job again, "
            "or end your turn: they go on without you."
        )
    if failed:
        return f"Failed: {', '.join(failed)}. queue_get_job_logs shows what they printed."
    if unfinished:
        return f"Not ended yet: {', '.join(unfinished)}. queue_wait_job waits for them."
    return "Nothing is left to wait for."
