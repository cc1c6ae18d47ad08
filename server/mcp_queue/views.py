"""Jobs as clients see them: the handle, the views of a job and of the queue, and advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.commands.intake import intake
from mcp_queue.jobs import states
from mcp_queue.jobs.record import NULL_SIZE
from mcp_queue.queue_uris import artifact_uri, job_uri

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.commands.plugins import Plugin
    from mcp_queue.jobs.artifact_rows import ArtifactRow
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.manager.artifacts import Artifact

PREVIEW = 1024  # characters of a large result that a view shows
SHOWN_ARTIFACTS = 20  # artifacts that a view lists

ONLY_IN_A_FORM = (
    "that only the user can give, in a form. A client with forms shows it while queue_wait_job "
    "waits. Without forms, tell the user so and end your turn."
)


class Envelope(dict[str, Any]):
    """A complete answer: it has its own ``success``, and the server adds no other envelope.

    ``record``: the job whose contents (images and the like) the answer carries as content blocks.
    """

    record: JobRecord | None = None


def handle(record: JobRecord) -> dict[str, Any]:
    """The immediate answer to a queued call."""
    return {
        "success": True,
        "job_id": record.job_id,
        "status": record.status,
        "message": f"Command '{record.command}' has been queued for execution",
    }


async def job_view(queue: QueueManager, record: JobRecord) -> Envelope:
    """The whole record. A preview and an address replace a result over the inline limit."""
    view = Envelope(success=True, **record.to_dict())
    size = record.result_size or 0
    too_large = size > max(queue.settings.max_inline_result, NULL_SIZE)
    if too_large or (record.result is None and size > NULL_SIZE):
        view.pop("result", None)
        view["result_size"] = size
        view["result_preview"] = await queue.result_preview(record, PREVIEW)
        view["result_uri"] = job_uri(record.job_id, "result")
    if record.artifact_count:
        view |= _artifacts(record, await queue.artifacts_of(record))
    if advice := next_step(record):
        view["next"] = advice
    return view


def artifact_view(job_id: str, row: ArtifactRow | Artifact) -> dict[str, Any]:
    """A file that is stored with a job, and its address."""
    view: dict[str, Any] = {"name": row.name, "mime_type": row.mime_type, "size": row.size}
    if row.title is not None:
        view["title"] = row.title
    return {**view, "uri": artifact_uri(job_id, row.name)}


def _artifacts(record: JobRecord, rows: list[ArtifactRow]) -> dict[str, Any]:
    """The latest artifacts, without the contents that the result itself describes."""
    listed = [row for row in rows if row.place is None]
    if not listed:
        return {}
    view: dict[str, Any] = {
        "artifacts": [artifact_view(record.job_id, row) for row in listed[-SHOWN_ARTIFACTS:]]
    }
    if len(listed) > SHOWN_ARTIFACTS:
        view["artifact_count"] = len(listed)
        view["artifacts_uri"] = job_uri(record.job_id, "artifacts")
    return view


def brief_view(record: JobRecord) -> dict[str, Any]:
    """The record without its result, for lists."""
    view = record.to_dict()
    view.pop("result", None)
    return view


async def health_view(queue: QueueManager, catalog: Catalog) -> Envelope:
    """The state of the queue, the packages that offer commands, and any faults in authors'
    definitions or in the settings."""
    from mcp_queue.commands.soundness import problems

    view = Envelope({"success": True, **await queue.get_queue_health()})
    if intake.plugins:
        view["plugins"] = [_plugin_view(catalog, plugin) for plugin in intake.plugins]
    if faults := problems(catalog):
        view["problems"] = faults
    return view


def _plugin_view(catalog: Catalog, plugin: Plugin) -> dict[str, Any]:
    """A package that offers commands: its version, its state and its commands."""
    view: dict[str, Any] = {"package": plugin.package, "version": plugin.version}
    view["state"] = "failed" if plugin.failed else "on" if plugin.on else "off"
    if plugin.on:
        modules = set(plugin.modules)
        names = (info.name for info in catalog if info.source.get("module") in modules)
        view["commands"] = sorted(names)
        left_out = {info.name for info in catalog.left_out if info.source.get("module") in modules}
        if left_out:
            view["left_out"] = sorted(left_out)
    return view


def next_step(record: JobRecord) -> str | None:
    """Advice on what to do about a job in this state; None if there is nothing to do."""
    if record.status == states.PENDING and not record.queued:
        return "It is not started: queue_start_job starts it."
    if record.questions and not record.open_to_agents:
        return f"It waits for an answer {ONLY_IN_A_FORM}"
    if record.questions:
        return (
            "It waits for an answer: ask the user, then call queue_answer_job with the key and "
            f"content that fits the schema.{person_only_advice(person_only_keys(record))}"
        )
    if record.status in (states.PENDING, states.RUNNING):
        return "queue_wait_job waits for its end."
    if record.status == states.FAILED:
        return "queue_get_job_logs shows what it printed."
    return None


def person_only_keys(record: JobRecord) -> list[str]:
    """The keys of the questions that only the person can answer, if an agent can answer others."""
    if not record.open_to_agents:
        return []
    return [question.key for question in record.questions if question.person]


def person_only_advice(keys: list[str]) -> str:
    """Advice not to answer the questions with these keys; empty if there are none."""
    if not keys:
        return ""
    them = "them" if len(keys) > 1 else "it"
    return (
        f" But do not answer {', '.join(keys)} yourself: only the user can give {them}, in a form."
    )


def activity(record: JobRecord) -> str:
    """A few words on what the job does or how it ended."""
    if record.status == states.PENDING and not record.queued:
        return "not started"
    if record.status == states.PENDING:
        place = f", position {record.queue_position}" if record.queue_position else ""
        return f"waiting for a slot{place}"
    if record.questions:
        more = len(record.questions) - 1
        return f"asks: {record.questions[0].message}" + (f" (and {more} more)" if more else "")
    if record.status == states.RUNNING:
        return record.description or "running"
    if record.error is not None:
        return f"failed: {record.error}"
    if record.status == states.DELETED:
        return f"deleted: {record.reason}"
    return record.status
