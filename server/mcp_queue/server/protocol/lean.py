"""The SDK's server with less data in every answer.

Since 2026-07-28 each result names its server. The SDK adds all data of the server, the icon
included. `LeanServer` adds name and version only, and gives the rest in the answer to
``server/discover``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp_types import SERVER_INFO_META_KEY, DiscoverResult, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_queue.server.protocol.eras import FRESH

if TYPE_CHECKING:
    from mcp_queue.server.protocol.eras import Context


class LeanServer(Server[Any]):
    """The SDK's server; results name it by name and version only."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.add_request_handler("server/discover", RequestParams, self._discover)

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """The data about the server in each result."""
        return {"name": self.name, "version": self.version}

    async def _discover(self, context: Context, _params: RequestParams) -> DiscoverResult:
        info = self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)
        return DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=self.get_capabilities(protocol_version=context.protocol_version),
            instructions=self.instructions,
            ttl_ms=FRESH,
            cache_scope="private",
            _meta={SERVER_INFO_META_KEY: info},
        )
