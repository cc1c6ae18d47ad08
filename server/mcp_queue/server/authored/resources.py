"""Authors' resources (``@resource``): how they are listed and read.

Only a server that has such resources imports this module.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mcp_types import ReadResourceResult, Resource, ResourceTemplate, TextResourceContents

from mcp_queue.commands.schema import schema_of
from mcp_queue.commands.soundness import fault_of_resource, sound
from mcp_queue.commands.source_files import open_file
from mcp_queue.server.authored.containment import in_thread
from mcp_queue.server.authored.invoke import CONTENTS, invoke, protocol_errors
from mcp_queue.values import to_json

if TYPE_CHECKING:
    from mcp_types import BlobResourceContents

    from mcp_queue.commands.catalog import Catalog
    from mcp_queue.commands.contents import Content
    from mcp_queue.commands.resource_info import ResourceInfo
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services

JSON, TEXT = "application/json", "text/plain"


def fixed(catalog: Catalog) -> list[Resource]:
    """The resources without parameters."""
    return [
        Resource(uri=info.uri, **_about(info))
        for info in sound(catalog.resources.values(), fault_of_resource)
        if not info.variables
    ]


def templates(catalog: Catalog) -> list[ResourceTemplate]:
    """The resources with parameters."""
    return [
        ResourceTemplate(uri_template=info.uri, **_about(info))
        for info in sound(catalog.resources.values(), fault_of_resource)
        if info.variables
    ]


async def read(
    services: Services, info: ResourceInfo, values: dict[str, str], uri: str, context: Context
) -> ReadResourceResult | None:
    """The contents of the resource for these parameters; None if the function returns None.

    Raises InvalidParamsError, InputNeeded, and a protocol error if the function raises.
    """
    with protocol_errors(info):
        value = await invoke(services, info, values, context)
        if value is None or isinstance(value, ReadResourceResult):
            return value
        content = await in_thread(lambda: _content(info, value, uri), services.threads)
    return ReadResourceResult(contents=[content], ttl_ms=0, cache_scope="private")


def _content(
    info: ResourceInfo, value: Any, uri: str
) -> TextResourceContents | BlobResourceContents:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes(info, bytes(value), uri)  # pyright: ignore[reportUnknownArgumentType]
    if CONTENTS in sys.modules:
        from mcp_queue.commands.contents import Content

        if isinstance(value, Content):
            return _bytes(info, _data(value), uri, value.mime_type)
    text, mime_type = (value, TEXT) if isinstance(value, str) else (to_json(value, info.name), JSON)
    return TextResourceContents(uri=uri, mime_type=info.mime_type or mime_type, text=text)


def _bytes(
    info: ResourceInfo, data: bytes, uri: str, mime_type: str | None = None
) -> TextResourceContents | BlobResourceContents:
    from mcp_queue.commands.contents import mime_type_of
    from mcp_queue.server.protocol.contents import resource_contents

    kind = info.mime_type or mime_type or mime_type_of(uri.rpartition("/")[2], data)
    return resource_contents(uri, kind, data)


def _data(content: Content) -> bytes:
    if content.source is None:
        raise TypeError("a resource has contents; a Link is for results of commands")
    if isinstance(content.source, bytes):
        return content.source
    with open_file(content.name or content.kind, content.source) as file:
        return file.read()


def _about(info: ResourceInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "title": info.title,
        "description": schema_of(info).summary,
        "mime_type": info.mime_type,
    }
