"""The address at which an HTTP server listens: a loopback address or a Unix socket."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mcp_queue.errors import ListenError
from mcp_queue.server.transport import unix_socket
from mcp_queue.setting_kinds import expand

if TYPE_CHECKING:
    from mcp_queue.server.transport.bearer_token import Token

BACKLOG = 128  # connections that may wait to be accepted

_FORM = (
    "Give HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000; port 0 takes any that is free. "
    "Or give unix:PATH."
)


class HttpAddress(NamedTuple):
    """A loopback address as the system writes it, and a port or 0."""

    host: str
    port: int


class Endpoint(NamedTuple):
    """A listening socket, and whether clients need a token there."""

    listener: socket.socket
    needs_token: bool = True
    token: Token | None = None
    """The token that the user has chosen; None: a new one is made if one is needed."""


def parse_address(text: str) -> HttpAddress | Path:
    """The address of ``HOST:PORT``, or the absolute path of ``unix:PATH``.

    Raises ListenError if the text is neither, or if other machines can reach the address: HTTP is
    not encrypted, so others could read the token.
    """
    if text.startswith(unix_socket.PREFIX) and text != unix_socket.PREFIX:
        return expand(text.removeprefix(unix_socket.PREFIX)).absolute()
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise ListenError(address=text, reason="it is not HOST:PORT", advice=_FORM)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(address=text, reason="an IPv6 address needs brackets", advice=_FORM)
    if host.lower() == "localhost":
        host = "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ListenError(
            address=text,
            reason="its traffic is not encrypted, so it listens only on loopback addresses",
            advice="Give 127.0.0.1, localhost or [::1] as the host. From another machine, forward "
            "the port: ssh -L 8000:127.0.0.1:8000 HOST.",
        )
    return HttpAddress(str(address), int(port))


def listen(address: HttpAddress | Path) -> socket.socket:
    """A listening socket. Raises ListenError if the address is in use or not permitted."""
    if isinstance(address, Path):
        return unix_socket.listen_at(address, BACKLOG)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # also take a port whose last connections are still closing
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(
            address=_joined(address),
            reason=_reason(error),
            advice="Choose another port; port 0 takes any that is free.",
        ) from None
    return listener


def address_of(listener: socket.socket) -> str | None:
    """The address of a socket as ``HOST:PORT``; None for a Unix socket."""
    name = listener.getsockname()
    return None if isinstance(name, str) else _joined(HttpAddress(*name[:2]))


def location_of(listener: socket.socket) -> str:
    """The location of the server for a person: its URL, and the path of a Unix socket."""
    address = address_of(listener)
    if address is None:
        return f"http://localhost/mcp at the Unix socket {listener.getsockname()}"
    return f"http://{address}/mcp"


def _joined(address: HttpAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there"
    return os.strerror(error.errno) if error.errno else str(error)
