"""A raw client that speaks one era of the protocol, every answer checked against its schema."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from support.rawclient import RawClient
from support.serving import ENVELOPE, HANDSHAKE
from support.wire import check_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rawclient import Received
    from support.serving import Setup

MODERN = "2026-07-28"
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
ERAS = (*HANDSHAKES, MODERN)


class Speaker:
    """A raw client that knows how a request of its era looks."""

    def __init__(self, client: RawClient, version: str, meta: dict[str, Any]) -> None:
        self.client = client
        self.version = version
        self._meta = meta

    def params(self, **params: Any) -> dict[str, Any]:
        meta = {**self._meta, **params.pop("_meta", {})}
        return {**params, "_meta": meta} if meta else params

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request, checked against its era's schema."""
        answer = self.client.request(method, self.params(**params))
        assert "result" in answer, answer
        check_result(method, self.version, answer["result"])
        return answer["result"]

    def refused(self, method: str, **params: Any) -> dict[str, Any]:
        answer = self.client.request(method, self.params(**params))
        assert "error" in answer, answer
        return answer["error"]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.request("tools/call", name=tool, arguments=arguments)

    def job(self, seconds: float) -> str:
        """The id of a new job of ``sleeps``, whatever answers."""
        result = self.call("sleeps", seconds=seconds)
        return result.get("taskId") or result["structuredContent"]["job_id"]

    def told(self, method: str, **params: Any) -> dict[str, Any]:
        """The params of the first notification like this."""

        def matches(received: Received) -> bool:
            given = received.message.get("params", {})
            same = all(given.get(name) == value for name, value in params.items())
            return received.method == method and same

        return self.client.wait_for(matches).message["params"]


@contextmanager
def speaking(
    setup: Setup, version: str, *, tasks: bool = False, **declared: Any
) -> Iterator[Speaker]:
    """A speaker of ``version`` on a new server; ``tasks``: it declares the tasks extension.

    ``declared``: other capabilities of its.
    """
    capabilities = "io.modelcontextprotocol/clientCapabilities"
    with RawClient(setup.command) as client:
        if version == MODERN:
            extensions = ENVELOPE[capabilities] if tasks else {}
            yield Speaker(client, version, {**ENVELOPE, capabilities: {**extensions, **declared}})
            return
        speaker = Speaker(client, version, {})
        hello = {**HANDSHAKE, "protocolVersion": version, "capabilities": declared}
        speaker.request("initialize", **hello)
        client.notify("notifications/initialized")
        yield speaker
