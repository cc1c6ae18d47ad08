"""Checks of HTTP requests: the host, the origin, the path and the token.

A request must be sent to a name of this machine, must not come from a foreign web page, and must
have the token. A refused request is answered at once: its body is not read, no session is made for
it, and nothing is logged, since anybody could fill the log.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING

from mcp_types import INVALID_REQUEST
from starlette.responses import JSONResponse

from mcp_queue.server.transport.connection_limit import admit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
LOCAL = ("localhost", "127.0.0.1", "[::1]")
SMALL = 1 << 16  # bytes of an unread body that are skipped; a longer one closes the connection
REALM = 'Bearer realm="mcp-queue"'
INVALID = (
    f'{REALM}, error="invalid_token", error_description="This is not the token of this server"'
)
WANTED = (
    "{what}. Send the header 'Authorization: Bearer TOKEN' with each request; where the token is, "
    "this server has said on its standard error."
)

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # in a log they would control a terminal
_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(?::[0-9]{1,5})?")


class RequestChecks:
    """An ASGI application that passes valid requests on to ``app`` and refuses the others.

    ``address`` is the server's address, ``HOST:PORT``, or None for a Unix socket. With ``token``
    None, no token is needed.
    """

    def __init__(self, app: ASGIApp, address: str | None, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        host, _, port = (address or "").rpartition(":")
        self._names = {*LOCAL, host} - {""}
        self._origins = {f"http://{name}:{port}" for name in self._names} if address else set[str]()
        if port == "80":
            self._origins |= {f"http://{name}" for name in self._names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        refusal = self._refusal(scope)
        if refusal is None:
            admit(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if any(map(_CONTROL.search, (value for _, value in scope["headers"]))):
            return _answer(scope, 400, "A header has control characters.")
        hosts, origins, credentials = (
            _values(scope, name) for name in (b"host", b"origin", b"authorization")
        )
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            text = f"This server is not {' or '.join(map(repr, hosts)) or 'nameless'}."
            return _answer(scope, 421, f"{text} Its names are {', '.join(sorted(self._names))}.")
        if foreign := [origin for origin in origins if origin not in self._origins]:
            return _answer(scope, 403, f"Pages of {foreign[0]!r} are not served.")
        if scope["path"] != PATH:
            return _answer(scope, 404, f"There is nothing here; the server is at {PATH}.")
        if self._token is None:
            return None
        return _token_refusal(scope, credentials, self._token)

    def _is_ours(self, host: str) -> bool:
        """Whether the host is a name of this server, with any port: the port may be forwarded."""
        match = _HOST.fullmatch(host)
        return match is not None and match[1].lower() in self._names


def _token_refusal(scope: Scope, credentials: list[str], token: bytes) -> ASGIApp | None:
    """The refusal of a request without the token (RFC 6750, section 3); None if it has it."""
    scheme, _, value = credentials[0].partition(" ") if len(credentials) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        text = WANTED.format(what="A token is needed")
        return _answer(scope, 401, text, {"WWW-Authenticate": REALM})
    if not compare_digest(value.strip(" ").encode("latin-1"), token):
        text = WANTED.format(what="This is not the token of this server")
        return _answer(scope, 401, text, {"WWW-Authenticate": INVALID})
    return None


def _answer(
    scope: Scope, status: int, text: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A refusal, which clients show. It closes the connection if the request has a large body."""
    length = _values(scope, b"content-length")
    chunked = bool(_values(scope, b"transfer-encoding"))
    closing = {"Connection": "close"} if chunked or not _is_small(length) else {}
    error = {"code": INVALID_REQUEST, "message": text}
    answer = {"jsonrpc": "2.0", "id": None, "error": error}
    return JSONResponse(answer, status, {**(headers or {}), **closing})


def _is_small(length: list[str]) -> bool:
    return not length or (length[0].isdecimal() and len(length[0]) < 10 and int(length[0]) <= SMALL)


def _values(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key == name]
