"""Artifacts as resources: text or a blob. A large artifact is read in parts."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from mcp_types import BlobResourceContents, ReadResourceResult

from mcp_queue.server.protocol.contents import resource_contents
from mcp_queue.server.protocol.eras import invalid_params

if TYPE_CHECKING:
    from mcp_queue.manager.artifacts import Artifact

LIMIT = 4 << 20  # bytes in one answer


async def read(artifact: Artifact, uri: str, offset: int | None) -> ReadResourceResult:
    """The whole artifact, or with ``offset`` a part of it from that byte on, always as a blob.

    The ``_meta`` of a part has the size of the whole and the offset of the next part.
    """
    if offset is None:
        if artifact.size > LIMIT:
            raise invalid_params(
                f"{uri} has {artifact.size} bytes, more than the {LIMIT} of one answer. Read it in "
                f"parts: {uri}?offset=0, then from the next_offset that the answer tells."
            )
        data = await artifact.read()
        return ReadResourceResult(contents=[resource_contents(uri, artifact.mime_type, data)])
    data = await artifact.read(offset, LIMIT)
    meta = {"mcp-queue/size": artifact.size}
    if offset + len(data) < artifact.size:
        meta["mcp-queue/next_offset"] = offset + len(data)
    part = BlobResourceContents(
        uri=uri, mime_type=artifact.mime_type, blob=b64encode(data).decode(), _meta=meta
    )
    return ReadResourceResult(contents=[part])
