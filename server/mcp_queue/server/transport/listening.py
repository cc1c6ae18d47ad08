"""Where a server over HTTP listens: on this machine alone."""

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
    from mcp_queue.server.transport.bearer import Token

BACKLOG = 128  # connections that wait to be accepted

_FORM = (
    "Give HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000; port 0 takes any that is free. "
    "Or give unix:PATH."
)


class Address(NamedTuple):
    """Where to listen: a loopback address as the system writes it, and a port or 0."""

    host: str
    port: int


class Door(NamedTuple):
    """Where clients come in; whether they are asked for a token, the given one or a new one."""

    listener: socket.socket
    asks: bool = True
    given: Token | None = None


def parse_address(text: str) -> Address | Path:
    """The address of ``HOST:PORT``, or the absolute path of ``unix:PATH``.

    Raises ListenError if it is neither, or leads to this machine from elsewhere: HTTP is not
    encrypted, so a token would be read on its way.
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
            reason="what it is sent is not encrypted, so it listens on loopback addresses alone",
            advice="Give 127.0.0.1, localhost or [::1] as the host. From another machine, forward "
            "the port: ssh -L 8000:127.0.0.1:8000 HOST.",
        )
    return Address(str(address), int(port))


def listen(address: Address | Path) -> socket.socket:
    """A listening socket. Raises ListenError if the address is taken or not for us."""
    if isinstance(address, Path):
        return unix_socket.listen_at(address, BACKLOG)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # a port whose last connections are still closing is free
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


def bound_to(listener: socket.socket) -> str | None:
    """Its address as ``HOST:PORT``; None for a Unix socket."""
    name = listener.getsockname()
    return None if isinstance(name, str) else _joined(Address(*name[:2]))


def place_of(listener: socket.socket) -> str:
    """Where clients find a server that listens there."""
    bound = bound_to(listener)
    if bound is None:
        return f"http://localhost/mcp at the Unix socket {listener.getsockname()}"
    return f"http://{bound}/mcp"


def _joined(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there"
    return os.strerror(error.errno) if error.errno else str(error)
