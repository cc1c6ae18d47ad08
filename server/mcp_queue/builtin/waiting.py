"""Waiting for jobs: one open request, its progress, and what to do when it is over."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio

from mcp_queue.errors import InvalidParamsError, JobNotFoundError
from mcp_queue.jobs import states
from mcp_queue.views import FORMS_ALONE, Envelope, alone, but_not, doing, job_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mcp_queue.builtin.asking import Person
    from mcp_queue.commands.job import Job
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager

MOST = 1000  # jobs that one call waits for
NAME = 256  # characters of an id that are looked at; no job has a longer one
OPEN = 1000  # waits that are open at once in one process; more of them answer at once
Mode = Literal["all", "any"]
Records = dict[str, "JobRecord"]

_open: set[anyio.CancelScope] = set()


async def wait_for(
    queue: QueueManager, job_ids: Sequence[str], seconds: float, mode: Mode, job: Job
) -> Envelope:
    """Return once all, or any, of the jobs have ended or ``seconds`` are over.

    What they ask meanwhile is put before the person if the client shows forms; otherwise it
    returns with the questions at once. What is unknown, or forgotten meanwhile, stands in
    ``not_found``; raises JobNotFoundError if that is all. Cancelling it leaves the jobs alone and
    answers nothing.
    """
    if not 0 < len(job_ids) <= MOST:
        raise InvalidParamsError(
            command="queue_wait_job",
            problems=f"job_ids has {len(job_ids):,} entries" if job_ids else "job_ids is empty",
            advice=f"Give the job_id of at least one job, and of {MOST:,} at most.",
        )
    wanted = [job_id[:NAME] for job_id in dict.fromkeys(job_ids)]
    records, timed_out = await follow(queue, await _known(queue, wanted), seconds, mode, job)
    not_found = [job_id for job_id in wanted if job_id not in records]
    answer = Envelope(
        success=True,
        jobs=[await job_view(queue, record) for record in records.values()],
        timed_out=timed_out,
        next=_next_step(records, mode),
    )
    if not_found:
        answer["not_found"] = not_found
        names = ", ".join(f"{job_id:.60}" for job_id in not_found)
        answer["next"] += f" Not known (any more): {names}; queue_list_jobs shows what is."
    if queue.problem is not None and _needs(records):
        problem = queue.problem.to_dict()
        answer |= {"success": False, "error": problem, "timed_out": False, "next": problem["hint"]}
    if len(records) == 1:
        answer.record = next((record for record in records.values() if record.terminal), None)
    return answer


async def follow(
    queue: QueueManager, records: Records, seconds: float, mode: Mode, job: Job
) -> tuple[Records, bool]:
    """The jobs once all, or any, have ended, and whether ``seconds`` were over before that.

    ``job`` tells their progress. What they ask meanwhile is put before the person if the client
    shows forms; otherwise it returns with the questions at once. A job that is forgotten meanwhile
    is left out; raises JobNotFoundError when none is left. While `OPEN` others wait, it only looks.
    """
    _report(job, records, next(iter(records.values())))
    if _over(records, mode):
        return records, False
    seconds = seconds if len(_open) < OPEN else 0.0
    with anyio.move_on_after(seconds) as time, queue.while_supervised(partial(_needs, records)):
        _open.add(time)
        try:
            await _follow(queue, records, mode, job)
        finally:
            _open.discard(time)
    records = await _known(queue, records)
    return records, time.cancelled_caught and not _over(records, mode)


async def _known(queue: QueueManager, job_ids: Iterable[str]) -> Records:
    """The jobs as they are now; raises JobNotFoundError if none of them is known."""
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


async def _follow(queue: QueueManager, records: Records, mode: Mode, job: Job) -> None:
    """Until the wait is over, or the person has to be asked and cannot be from here."""
    person: Person | None = job.sink.person()
    if person is None:
        await _watch(queue, records, mode, job, _no_questions)
        return
    from mcp_queue.builtin.asking import Forms

    with anyio.CancelScope() as scope:
        async with Forms(queue, person, scope.cancel) as forms:
            if await forms.take_given(records):
                records.update(await _known(queue, records))
            await _watch(queue, records, mode, job, forms.show)


async def _watch(
    queue: QueueManager,
    records: Records,
    mode: Mode,
    job: Job,
    show: Callable[[Records], bool],
) -> None:
    while not _over(records, mode) and show(records):
        try:
            async with aclosing(queue.watch(list(records))) as changes:
                async for record in changes:
                    records[record.job_id] = record
                    _report(job, records, record)
                    if _over(records, mode) or not show(records):
                        return
        except JobNotFoundError:  # one was forgotten before it could be watched
            known = await _known(queue, records)
            for job_id in records.keys() - known.keys():
                del records[job_id]
            records.update(known)


def _needs(records: Records) -> bool:
    """Whether any of them waits for a supervisor."""
    return any(record.needs_supervisor for record in records.values())


def _no_questions(records: Records) -> bool:
    return not any(record.questions for record in records.values())


def _over(records: Records, mode: Mode) -> bool:
    ended = [record.terminal for record in records.values()]
    return all(ended) if mode == "all" else any(ended)


def _report(job: Job, records: Records, changed: JobRecord) -> None:
    """Progress of the wait: the mean percent, and what the job that changed is doing."""
    percents = [100.0 if record.terminal else record.progress for record in records.values()]
    text = doing(changed)
    if len(records) > 1:
        ended = sum(record.terminal for record in records.values())
        name = f"{changed.command} {changed.job_id[:8]}"
        text = f"{name}: {text} ({ended} of {len(records)} jobs ended)"
    job.set_progress(sum(percents) / len(percents), text)


def _alone(records: Records) -> list[str]:
    """The questions that are the person's alone, as a model finds them among the others."""
    asking = [record for record in records.values() if record.questions]
    found: list[str] = []
    for record in asking:
        keys = alone(record) if record.open_to_agents else [each.key for each in record.questions]
        found += [f"{key} of {record.job_id}" if len(asking) > 1 else key for key in keys]
    return found


def _next_step(records: Records, mode: Mode) -> str:
    asking = [job_id for job_id, record in records.items() if record.questions]
    if any(records[job_id].open_to_agents for job_id in asking):
        return (
            f"Waits for an answer: {', '.join(asking)}. Ask the user, then call queue_answer_job "
            "with job_id, key and content that fits the schema; then queue_wait_job again."
            f"{but_not(_alone(records))}"
        )
    if asking:
        return f"{', '.join(asking)} waits for an answer of the user, {FORMS_ALONE}"
    left = [job_id for job_id, record in records.items() if not record.terminal]
    failed = [job_id for job_id, record in records.items() if record.status == states.FAILED]
    if left and not _over(records, mode):
        return (
            f"{len(left)} of {len(records)} jobs have not ended. Call queue_wait_job again, or end "
            "your turn: they go on without you."
        )
    if failed:
        return f"Failed: {', '.join(failed)}. queue_get_job_logs shows what they printed."
    if left:
        return f"Not ended yet: {', '.join(left)}. queue_wait_job waits for them."
    return "Nothing is left to wait for."
