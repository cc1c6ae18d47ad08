"""The command ``mcp-queue``: serve over stdio, or see it work."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import mcp_queue

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from mcp_queue.config import Settings
    from mcp_queue.errors import QueueError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand and exit with its status: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    sys.exit(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mcp-queue",
        description="Long-running tools for MCP clients: queued commands, isolated workers, "
        "durable results.",
    )
    parser.add_argument("--version", action="version", version=mcp_queue.__version__)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(subcommands)
    _add_demo(subcommands)
    return parser


def _add_serve(subcommands: Any) -> None:
    serve = subcommands.add_parser(
        "serve",
        help="serve the tools to MCP clients",
        description="Serve the tools over standard input and output, for an MCP client to start. "
        "Flags win over the environment (MCP_QUEUE_…), and that over the file.",
    )
    serve.set_defaults(run=_serve)
    serve.add_argument("--config", metavar="FILE", help="a JSON file with the settings")
    serve.add_argument(
        "--commands",
        metavar="SOURCE",
        action="append",
        help="a module or a .py file with commands; repeatable",
    )
    persistence = serve.add_mutually_exclusive_group()
    persistence.add_argument(
        "--in-memory",
        dest="in_memory",
        action="store_const",
        const="true",
        help="jobs and results end with this server (the default)",
    )
    persistence.add_argument(
        "--persistent",
        dest="in_memory",
        action="store_const",
        const="false",
        help="jobs go on and results stay when the client closes",
    )
    serve.add_argument("--registry-path", metavar="FILE", help="the registry of persistent jobs")
    serve.add_argument("--max-concurrent-jobs", metavar="N", help="workers at once (10)")
    serve.add_argument(
        "--http",
        metavar="HOST:PORT",
        help="serve over Streamable HTTP at /mcp instead, on this machine alone; port 0 takes any",
    )


def _add_demo(subcommands: Any) -> None:
    demo = subcommands.add_parser(
        "demo",
        help="start a server as a client would, and watch a real job",
        description="Start the real server as a client would, analyse a folder of Python code as "
        "a queued job, and show its progress live.",
    )
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "folder", nargs="?", help="what to analyse (default: Python's own standard library)"
    )


def _serve(options: argparse.Namespace) -> int:
    # Before anything of a user's is imported, so that no stray print reaches the client.
    from mcp_queue.server.claim import claim
    from mcp_queue.system import signals

    claimed = claim()
    signals.make_ordinary(keep=signals.HANGUP)
    gc.disable()  # nothing that is imported is garbage: a tenth of the start
    from mcp_queue.errors import QueueError
    from mcp_queue.server import sdk

    sdk.put_in_place()
    try:
        listener = _listener(options.http)
        settings = _settings(options)
        _load_commands(settings)
        if listener is not None:
            from mcp_queue.server import http

            start = partial(http.run, settings, listener)
        else:
            from mcp_queue.server import app

            start = partial(app.run, settings, claimed)
        gc.freeze()
        gc.enable()
        start()
    except QueueError as error:
        _complain(error)
        return 1
    return 0


def _listener(address: str | None) -> socket.socket | None:
    """Where HTTP is to be served, taken before anything slow is begun."""
    if address is None:
        return None
    from mcp_queue.server.listening import listen, parse_address

    return listen(parse_address(address))


def _settings(options: argparse.Namespace) -> Settings:
    """The settings that can be used; the others are complained of and stay at their defaults."""
    from mcp_queue.config import read_settings

    flags = {
        "commands": options.commands,
        "in_memory": options.in_memory,
        "registry_path": options.registry_path,
        "max_concurrent_jobs": options.max_concurrent_jobs,
    }
    settings, errors = read_settings(options.config, os.environ, flags)
    for error in errors:
        _complain(error)
    return settings


def _load_commands(settings: Settings) -> None:
    from mcp_queue.commands.loading import load_all

    for error in load_all(settings.commands):
        _complain(error)


def _demo(options: argparse.Namespace) -> int:
    from mcp_queue.demo import demo

    return demo(options.folder)


def _complain(error: QueueError) -> None:
    print(f"mcp-queue: {error.message} {error.hint}", file=sys.stderr)
