"""The eras of the protocol, the capabilities that clients declare, and the protocol's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS, is_version_at_least

if TYPE_CHECKING:
    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext
    from mcp_types import InputRequiredResult

    Context = ServerRequestContext[Any, Any]

FRESH = 3_600_000  # milliseconds that a client may cache data that never changes in this process
PAGE = 100  # items in one page of such a list
TASKS = "io.modelcontextprotocol/tasks"
RESOURCE_NOT_FOUND = -32002  # of the handshake era; since 2026-07-28 it is INVALID_PARAMS


class InputNeeded(BaseException):
    """Ends a request whose handler needs input; the client repeats the request with the input.

    It is no `Exception`, so that an ``except Exception`` of user code does not catch it.
    """

    def __init__(self, result: InputRequiredResult) -> None:
        self.result = result
        super().__init__()


def is_modern(context: Context) -> bool:
    """Whether the request is of the stateless era, 2026-07-28 and later."""
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def connection_of(context: Context) -> Connection:
    """The client's connection, with its data (``state``) and its cleanup at the end.

    A handshake-era session has one connection; since 2026-07-28 each request has its own.
    """
    # The SDK gives handlers only the session, which is new for each request.
    return context.session._connection  # pyright: ignore[reportPrivateUsage]


def supports_links(context: Context) -> bool:
    """Whether results may contain resource links; older clients refuse unknown content types."""
    return is_version_at_least(context.protocol_version, "2025-06-18")


def supports_audio(context: Context) -> bool:
    """Whether results may contain audio; older clients refuse unknown content types."""
    return is_version_at_least(context.protocol_version, "2025-03-26")


def knows_lists_of_choices(context: Context) -> bool:
    """Whether forms may ask for lists of choices, and give text and numbers a default."""
    return is_version_at_least(context.protocol_version, "2025-11-25")


def declares_tasks(context: Context) -> bool:
    """Whether this request may be answered with a task (SEP-2663)."""
    capabilities = context.session.client_capabilities
    return is_modern(context) and TASKS in ((capabilities and capabilities.extensions) or {})


def shows_forms(context: Context) -> bool:
    """Whether the client can show a form to the person during this request.

    A client that declares the capability without a mode means forms (specification 2025-11-25).
    """
    capabilities = context.session.client_capabilities
    declared = capabilities and capabilities.elicitation
    if not declared or (declared.form is None and declared.url is not None):
        return False
    if is_modern(context):
        return True
    has_forms = is_version_at_least(context.protocol_version, "2025-06-18")
    return has_forms and context.session.can_send_request


def wants_progress(context: Context) -> bool:
    """Whether the request carries a progress token."""
    return "progress_token" in (context.meta or {})


def tasks_required() -> MCPError:
    """The error for a client without the tasks extension, where only a task can be the answer."""
    return MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        f"Missing required client capability: the extension {TASKS}",
        {"requiredCapabilities": {"extensions": {TASKS: {}}}},
    )


def no_such_method(context: Context) -> MCPError:
    """The error for a method that does not exist in the era of the request."""
    return MCPError(METHOD_NOT_FOUND, "Method not found", context.method)


def no_such_resource(context: Context, uri: str, why: str = "") -> MCPError:
    """The error for a URI without a resource; ``why``: the reason, if it is known."""
    code = INVALID_PARAMS if is_modern(context) else RESOURCE_NOT_FOUND
    return MCPError(code, f"Resource not found: {uri[:200]}{why and f' ({why})'}", {"uri": uri})


def invalid_params(message: str) -> MCPError:
    """The error for a request with invalid parameters."""
    return MCPError(INVALID_PARAMS, message)
