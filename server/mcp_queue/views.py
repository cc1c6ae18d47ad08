"""Jobs as clients see them. Handle, job view and the answer of a wait share one envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.commands.intake import intake
from mcp_queue.jobs import states
from mcp_queue.queue_uris import artifact_uri, job_uri

if TYPE_CHECKING:
    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.commands.plugins import Plugin
    from mcp_queue.jobs.artifact_rows import ArtifactRow
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.manager.artifacts import Artifact

PREVIEW = 1024  # characters of a large result that a view shows
NULL_SIZE = len("null")  # bytes of the result of a command that returned nothing
SHOWN = 20  # artifacts that a view lists

FORMS_ALONE = (
    "who alone can give it, in a form: where the client shows forms, while queue_wait_job waits. "
    "Elsewhere tell them so and end your turn."
)


class Envelope(dict[str, Any]):
    """An answer that is complete as it is: it has ``success``, and nothing is put around it.

    ``record``: the job whose contents (images and the like) are shown beside it.
    """

    record: JobRecord | None = None


def handle(record: JobRecord) -> dict[str, Any]:
    """What a queued call answers with at once."""
    return {
        "success": True,
        "job_id": record.job_id,
        "status": record.status,
        "message": f"Command '{record.command}' has been queued for execution",
    }


async def job_view(queue: QueueManager, record: JobRecord) -> Envelope:
    """The whole record; a result over the inline limit gives way to a preview and its address."""
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
    """A file that a job keeps, and where to read it."""
    view: dict[str, Any] = {"name": row.name, "mime_type": row.mime_type, "size": row.size}
    if row.title is not None:
        view["title"] = row.title
    return {**view, "uri": artifact_uri(job_id, row.name)}


def _artifacts(record: JobRecord, rows: list[ArtifactRow]) -> dict[str, Any]:
    """The latest artifacts; what the result shows is described there."""
    kept = [row for row in rows if row.place is None]
    if not kept:
        return {}
    view: dict[str, Any] = {
        "artifacts": [artifact_view(record.job_id, row) for row in kept[-SHOWN:]]
    }
    if len(kept) > SHOWN:
        view["artifact_count"] = len(kept)
        view["artifacts_uri"] = job_uri(record.job_id, "artifacts")
    return view


def brief_view(record: JobRecord) -> dict[str, Any]:
    """The record without its result, for lists."""
    view = record.to_dict()
    view.pop("result", None)
    return view


async def health_view(queue: QueueManager, catalog: Catalog) -> Envelope:
    """The state of the queue, the packages that offer commands, and what is wrong with what authors
    wrote or was set, if anything."""
    from mcp_queue.commands.soundness import problems

    view = Envelope({"success": True, **await queue.get_queue_health()})
    if intake.plugins:
        view["plugins"] = [_plugin_view(catalog, plugin) for plugin in intake.plugins]
    if found := problems(catalog):
        view["problems"] = found
    return view


def _plugin_view(catalog: Catalog, plugin: Plugin) -> dict[str, Any]:
    """A package that offers commands: its version and state, and which commands came from it."""
    shown: dict[str, Any] = {"package": plugin.package, "version": plugin.version}
    shown["state"] = "failed" if plugin.failed else "on" if plugin.on else "off"
    if plugin.on:
        modules = set(plugin.modules)
        came = (info.name for info in catalog if info.source.get("module") in modules)
        shown["commands"] = sorted(came)
        left = {info.name for info in catalog.left_out if info.source.get("module") in modules}
        if left:
            shown["left_out"] = sorted(left)
    return shown


def next_step(record: JobRecord) -> str | None:
    """What to do about a job in this state; None when nothing is left to do."""
    if record.status == states.PENDING and not record.queued:
        return "It is not started: queue_start_job starts it."
    if record.questions and not record.open_to_agents:
        return f"It waits for an answer of the user, {FORMS_ALONE}"
    if record.questions:
        return (
            "It waits for an answer: ask the user, then call queue_answer_job with the key and "
            f"content that fits the schema.{but_not(alone(record))}"
        )
    if record.status in (states.PENDING, states.RUNNING):
        return "queue_wait_job waits for its end."
    if record.status == states.FAILED:
        return "queue_get_job_logs shows what it printed."
    return None


def alone(record: JobRecord) -> list[str]:
    """The keys of the questions that are the person's alone, where others are not."""
    if not record.open_to_agents:
        return []
    return [question.key for question in record.questions if question.person]


def but_not(keys: list[str]) -> str:
    """What to add to the advice to answer questions; nothing if there are no such keys."""
    if not keys:
        return ""
    them = "them" if len(keys) > 1 else "it"
    return (
        f" But do not answer {', '.join(keys)} yourself: the user alone can give {them}, in a form."
    )


def doing(record: JobRecord) -> str:
    """In a few words, what a job is doing."""
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
