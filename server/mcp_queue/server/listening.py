"""The socket of a server over HTTP: on this machine alone."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from typing import NamedTuple

from mcp_queue.errors import ListenError

BACKLOG = 128  # connections that wait to be accepted

_FORM = "Give HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000; port 0 takes any that is free."


class Address(NamedTuple):
    """Where to listen: a loopback address as the system writes it, and a port or 0."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """The address of ``HOST:PORT``.

    Raises ListenError if it is none, or leads to this machine from elsewhere: whoever reaches the
    server can run its commands, and it asks nobody for a name.
    """
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
            reason="the server has no log-in, so it listens on loopback addresses alone: "
            "whoever reaches it can run its commands",
            advice="Give 127.0.0.1, localhost or [::1] as the host. From another machine, forward "
            "the port: ssh -L 8000:127.0.0.1:8000 HOST.",
        )
    return Address(str(address), int(port))


def listen(address: Address) -> socket.socket:
    """A listening socket. Raises ListenError if the port is taken or not for us."""
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


def url_of(listener: socket.socket) -> str:
    """Where clients find a server that listens there."""
    host, port = listener.getsockname()[:2]
    return f"http://{_joined(Address(host, port))}/mcp"


def _joined(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there"
    return os.strerror(error.errno) if error.errno else str(error)
