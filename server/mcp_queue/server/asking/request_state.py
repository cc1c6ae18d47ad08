"""``requestState``: state that a request gives its client for the next call.

It is sealed, as the client sends it back. It is only valid if this process made it, for the same
tool and arguments, within `LIFETIME` (specification 2026-07-28, basic/patterns/mrtr).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING, Any, cast

from mcp_queue import clock
from mcp_queue.server.protocol.eras import invalid_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_queue.server.protocol.eras import Context

LIFETIME = 86_400.0  # seconds in which a person may fill in a form
_KEY = os.urandom(32)


def seal(context: Context, state: Mapping[str, Any]) -> str:
    """``state`` as text for the client of this request."""
    body = json.dumps({"at": clock.wall(), "state": state}).encode()
    return f"{_text(body)}.{_text(_signature(context, body))}"


def open_state(context: Context) -> dict[str, Any]:
    """The state in this request, empty without one. Raises -32602 if it is not valid."""
    params = _params(context)
    if params.get("requestState") is None:
        return {}
    try:
        body, signature = (_bytes(part) for part in str(params["requestState"]).split("."))
        if hmac.compare_digest(signature, _signature(context, body)):
            found = json.loads(body)
            if abs(clock.wall() - found["at"]) < LIFETIME:
                return found["state"]
    except ValueError:
        pass
    raise invalid_params("requestState is not of this call, or too old: call again without it")


def _signature(context: Context, body: bytes) -> bytes:
    params = _params(context)
    what: list[Any] = [
        context.method,
        params.get("name"),
        params.get("uri"),
        params.get("arguments") or {},
    ]
    call = json.dumps(what, sort_keys=True).encode()
    return hmac.digest(_KEY, hashlib.sha256(call).digest() + body, "sha256")


def _params(context: Context) -> dict[str, Any]:
    return cast("dict[str, Any]", context.params or {})


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, altchars=b"-_", validate=True)
