"""Images, audio, files and links of results as content blocks, in the form of the client's era."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from mcp_queue.commands.contents import FALLBACK, Content, ContentEncoder
from mcp_queue.commands.source_files import open_file
from mcp_queue.errors import InvalidContentError, QueueError
from mcp_queue.jobs import artifact_names
from mcp_queue.queue_uris import artifact_uri
from mcp_queue.server.protocol.eras import supports_audio, supports_links
from mcp_queue.views import SHOWN_ARTIFACTS

if TYPE_CHECKING:
    from mcp_types import ContentBlock

    from mcp_queue.jobs.artifact_rows import ArtifactRow
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager import QueueManager
    from mcp_queue.server.protocol.eras import Context

BUDGET = 4 << 20  # bytes of contents in one answer; further contents become links
INLINE = "queue://inline/"  # prefix of the URI of a file that exists only in the answer


async def job_blocks(
    context: Context, queue: QueueManager, record: JobRecord
) -> list[ContentBlock]:
    """The contents of a job's result, in their order, then links to its other artifacts.

    Contents that cannot be read any more are left out.
    """
    rows = await queue.artifacts_of(record)
    blocks: list[ContentBlock] = []
    budget = BUDGET
    for row in sorted(
        (row for row in rows if row.place is not None), key=lambda row: row.place or 0
    ):
        size = row.size or 0
        if row.kind == "link" or size > budget:
            blocks.append(_link_to(context, record.job_id, row))
            continue
        budget -= size
        try:
            artifact = await queue.get_artifact(record.job_id, row.name)
            data = await artifact.read()
        except QueueError:
            continue
        blocks.append(_block(context, row.kind, row.mime_type, artifact.uri, data))
    if supports_links(context):
        artifacts = [row for row in rows if row.place is None]
        blocks += [_link_to(context, record.job_id, row) for row in artifacts[-SHOWN_ARTIFACTS:]]
    return blocks


def value_blocks(context: Context, blocks: list[ContentBlock]) -> ContentEncoder:
    """A converter that appends the contents of a plain command's result to ``blocks``.

    It reads the files of the contents.
    """

    def add(content: Content, name: str, _place: int) -> tuple[int | None, str | None]:
        if (fault := artifact_names.fault_of(name)) is not None:
            raise InvalidContentError(name=f"{name!r:.80}", reason=fault)
        source = content.source
        if source is None:
            blocks.append(
                _link(
                    context,
                    name=name,
                    uri=content.uri or "",
                    title=content.title,
                    description=content.description,
                    mime_type=content.mime_type,
                )
            )
            return None, content.uri
        if isinstance(source, str):
            with open_file(name, source) as file:
                source = file.read()
        uri = INLINE + artifact_uri("", name).rpartition("/")[2]
        blocks.append(_block(context, content.kind, content.mime_type, uri, source))
        return len(source), None

    return ContentEncoder(add)


def resource_contents(
    uri: str, mime_type: str, data: bytes
) -> TextResourceContents | BlobResourceContents:
    """Text if both the media type and the bytes are text, else a blob."""
    if _is_text(mime_type):
        try:
            return TextResourceContents(uri=uri, mime_type=mime_type, text=data.decode())
        except UnicodeDecodeError:
            pass
    return BlobResourceContents(uri=uri, mime_type=mime_type, blob=_base64(data))


def _block(
    context: Context, kind: str, mime_type: str | None, uri: str, data: bytes
) -> ContentBlock:
    mime_type = mime_type or FALLBACK
    if kind == "image":
        return ImageContent(data=_base64(data), mime_type=mime_type)
    if kind == "audio" and supports_audio(context):
        return AudioContent(data=_base64(data), mime_type=mime_type)
    return EmbeddedResource(resource=resource_contents(uri, mime_type, data))


def _link_to(context: Context, job_id: str, row: ArtifactRow) -> ContentBlock:
    return _link(
        context,
        name=row.name,
        uri=row.uri or artifact_uri(job_id, row.name),
        title=row.title,
        description=row.description,
        mime_type=row.mime_type,
        size=row.size,
    )


def _link(
    context: Context,
    *,
    name: str,
    uri: str,
    title: str | None,
    description: str | None,
    mime_type: str | None,
    size: int | None = None,
) -> ContentBlock:
    """A link, or a text with the URI for clients that do not support links."""
    if not supports_links(context):
        text = f"{title or name}: {uri}"
        return TextContent(text=f"{text} ({description})" if description else text)
    return ResourceLink(
        name=name, uri=uri, title=title, description=description, mime_type=mime_type, size=size
    )


def _is_text(mime_type: str) -> bool:
    kind, _, rest = mime_type.partition("/")
    form = rest.partition(";")[0].strip()
    return kind == "text" or form in ("json", "xml", "svg+xml", "javascript", "x-ndjson", "yaml")


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
