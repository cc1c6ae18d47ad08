"""Jobs as tasks (SEP-2663): the task id is the job id, so a task outlives this server.

The era of the handshake has no tasks; what it calls by that name is another extension.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import INTERNAL_ERROR, ElicitResult, RequestParams
from pydantic import ValidationError

from mcp_queue import clock, forms
from mcp_queue.errors import (
    InvalidJobStateError,
    JobNotFoundError,
    PersonAloneError,
    QuestionNotOpenError,
    QueueError,
)
from mcp_queue.jobs import states
from mcp_queue.server.protocol.elicitation import request_for
from mcp_queue.server.protocol.eras import (
    declares_tasks,
    invalid_params,
    is_modern,
    no_such_method,
    shows_forms,
    tasks_required,
)
from mcp_queue.server.protocol.results import error_shape, failure, job_links, success
from mcp_queue.views import activity, job_view, next_step

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

    from mcp_queue.answers import Answer
    from mcp_queue.config import Settings
    from mcp_queue.errors import SupervisorError
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.questions import JobQuestion
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services

POLLS = 20  # polls in a task's life so far, which bounds what a poll adds to the wait
POLL_LIMITS = (250, 5000)  # milliseconds
ACKNOWLEDGE = 0.25  # seconds in which a stop is recorded, and most jobs have ended
LOST = frozenset({"interrupted", "import_error"})  # failures that are ours, not the command's
STATUS = {
    states.COMPLETED: "completed",
    states.FAILED: "completed",
    states.STOPPED: "cancelled",
    states.DELETED: "cancelled",  # in notifications; a request for it finds no task
}

log = logging.getLogger(__name__)


class TaskParams(RequestParams):
    """The parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class UpdateParams(TaskParams):
    """The parameters of ``tasks/update``."""

    input_responses: dict[str, Any]


class Tasks:
    """The handlers of ``tasks/get``, ``tasks/update`` and ``tasks/cancel``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """The task now, with the result when it has one."""
        record = await self._find(context, params.task_id)
        if record.terminal:
            self._services.tasks.discard(record.job_id)
        else:
            self._services.tasks.add(record.job_id)
        return await detailed(context, self._services.queue, record)

    async def update(self, context: Context, params: UpdateParams) -> dict[str, Any]:
        """Take answers to what the job asks; those to anything else are ignored.

        None is taken if one is malformed, so that the client can send them all again.
        """
        record = await self._find(context, params.task_id)
        answers = [
            (question, _answer(question, params.input_responses[question.key]))
            for question in record.questions
            if question.key in params.input_responses
        ]
        shown = shows_forms(context)
        try:
            for question, answer in answers:
                with suppress(QuestionNotOpenError):  # another answer was quicker
                    await self._services.queue.answer_job(
                        record.job_id, question.key, answer.action, answer.content, person=shown
                    )
        except PersonAloneError as error:
            raise invalid_params(error.message) from None
        return {}

    async def cancel(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """Ask the job to stop; its end is not waited for. A second time changes nothing."""
        record = await self._find(context, params.task_id)
        if not record.terminal and not record.stop_requested:
            done = anyio.Event()
            self._services.notifier.start_soon(_stop, self._services.queue, record.job_id, done)
            with anyio.move_on_after(ACKNOWLEDGE):
                await done.wait()
        return {}

    async def _find(self, context: Context, task_id: str) -> JobRecord:
        if not is_modern(context):
            raise no_such_method(context)
        if not declares_tasks(context):
            raise tasks_required()
        record = await find(self._services.queue, task_id)
        if record is None or record.status == states.DELETED:
            self._services.tasks.discard(task_id)
        if record is None:
            raise invalid_params(f"Task not found: {task_id[:200]!r}")
        if record.status == states.DELETED:
            raise invalid_params(f"Task not found: {task_id!r} was deleted ({record.reason})")
        return record


async def find(queue: QueueManager, job_id: str) -> JobRecord | None:
    """The job, or its tombstone; None if the id is unknown."""
    try:
        return await queue.record_of(job_id)
    except JobNotFoundError:
        return None


def created(
    record: JobRecord, settings: Settings, problem: SupervisorError | None = None
) -> dict[str, Any]:
    """The answer to a call that became a task (``CreateTaskResult``)."""
    return {"resultType": "task", **task(record, settings, problem)}


async def detailed(context: Context, queue: QueueManager, record: JobRecord) -> dict[str, Any]:
    """The task with its result, error or questions, as polls and notifications show it."""
    view = task(record, queue.settings, queue.problem)
    if record.questions and shows_forms(context):
        view["status"] = "input_required"
        view["inputRequests"] = {each.key: request_for(each) for each in record.questions}
    view["ttlMs"] = _ttl(record, await queue.retention()) if record.terminal else None
    if view["status"] == "completed":
        result = await finished(context, queue, record)
        view["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    elif view["status"] == "failed":
        view["error"] = {"code": INTERNAL_ERROR, "message": str(record.error)}
    return view


def task(
    record: JobRecord, settings: Settings, problem: SupervisorError | None = None
) -> dict[str, Any]:
    """The job as a task. ``ttlMs`` is null, as of one that has not ended; see `detailed`.

    ``problem``: why no supervisor can be started, if so.
    """
    status = STATUS.get(record.status, "working")
    if record.status == states.FAILED and record.error and record.error.code in LOST:
        status = "failed"
    age = max(0.0, clock.wall() - record.created_at)
    low, high = POLL_LIMITS
    return {
        "taskId": record.job_id,
        "status": status,
        "statusMessage": _status_message(record, settings, problem),
        "createdAt": clock.iso(record.created_at),
        "lastUpdatedAt": clock.iso(record.updated_at),
        "ttlMs": None,
        "pollIntervalMs": int(min(max(1000 * age / POLLS, low), high)),
    }


def _answer(question: JobQuestion, response: object) -> Answer:
    """The answer of a response. -32602 when it does not fit the question."""
    try:
        result = ElicitResult.model_validate(response)
    except ValidationError:
        raise invalid_params(
            f"inputResponses[{question.key!r}] is no answer: it has an action (accept, decline or "
            "cancel) and, when accepted, the content"
        ) from None
    answer, problems = question.check_form(result.action, result.content)
    if problems:
        raise invalid_params(
            f"inputResponses[{question.key!r}] does not fit: {'; '.join(problems)}. "
            f"content takes {forms.allowed(question.schema)}"
        )
    return answer


def _ttl(record: JobRecord, retention: float) -> int | None:
    """Milliseconds from the job's creation until it is forgotten; None when it never is."""
    if record.finished_at is None or not retention:
        return None
    return round(1000 * (max(0.0, record.finished_at - record.created_at) + retention))


async def finished(context: Context, queue: QueueManager, record: JobRecord) -> CallToolResult:
    """What the call would have answered had it waited for its job."""
    links: list[ContentBlock] = [*job_links(context, record)]
    if record.artifact_count:
        from mcp_queue.server.protocol import contents

        links = [*await contents.job_blocks(context, queue, record), *links]
    if record.error is None:
        return success(await job_view(queue, record), *links)
    shape = error_shape(record.error.code, record.error.message, next_step(record))
    view = await job_view(queue, record)
    return failure({**view, **shape}, *links)


def _status_message(record: JobRecord, settings: Settings, problem: SupervisorError | None) -> str:
    text = activity(record)
    if problem is not None and record.needs_supervisor:
        text = f"waiting: {problem.message}"
    elif record.status == states.RUNNING:
        text = f"{record.progress:.1f}".removesuffix(".0") + f"% · {text}"
    if settings.in_memory and not record.terminal:
        text += " · ends with this session (in_memory)"
    return text


async def _stop(queue: QueueManager, job_id: str, done: anyio.Event) -> None:
    try:
        await queue.stop_job(job_id)
    except (JobNotFoundError, InvalidJobStateError):
        pass  # it ended, or was deleted, in the meantime
    except QueueError as error:
        log.warning("%s %s", error.message, error.hint)
    finally:
        done.set()
