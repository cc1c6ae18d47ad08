"""The command ``mcp-queue``: serve over stdio, or see it work."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import mcp_queue
from mcp_queue.printable import as_message, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_queue.config import Settings
    from mcp_queue.errors import QueueError
    from mcp_queue.server.transport.listening import Endpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand and exit with its status.

    0: done, 1: failed, 2: wrong usage, 130: interrupted. A server ends with 1, after it has served,
    if commands were named and none of them could be loaded.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    if not given:
        parser.print_help(sys.stderr)
        sys.exit(2)
    if given[0].endswith(".py"):
        parser.error(_where_commands_go(given[0]))
    options = parser.parse_args(given)
    if stray := getattr(options, "stray", None):
        parser.error(_where_commands_go(*stray))
    if getattr(options, "no_token", False) and options.http is None:
        parser.error("--no-token goes with --http: a server that its client starts asks for none")
    sys.exit(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mcp-queue",
        description="Long-running tools for MCP clients: queued commands, isolated workers, "
        "durable results.",
    )
    parser.add_argument("--version", action="version", version=mcp_queue.__version__)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(subcommands)
    _add_demo(subcommands)
    return parser


class _Parser(argparse.ArgumentParser):
    """One whose errors show what was typed without control over a terminal; so do its
    subcommands."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _where_commands_go(*sources: str) -> str:
    flags = " ".join(f"--commands {source}" for source in sources)
    return f"to serve the commands of {', '.join(sources)}, write: mcp-queue serve {flags}"


def _add_serve(subcommands: Any) -> None:
    serve = subcommands.add_parser(
        "serve",
        help="serve the tools to MCP clients",
        description="Serve the tools over standard input and output, for an MCP client to start. "
        "Flags win over the environment (MCP_QUEUE_…), and that over the file.",
    )
    serve.set_defaults(run=_serve)
    serve.add_argument("stray", nargs="*", help=argparse.SUPPRESS)
    serve.add_argument("--config", metavar="FILE", help="a JSON file with the settings")
    serve.add_argument(
        "--commands",
        metavar="SOURCE",
        action="append",
        help="a module or a .py file with commands; repeatable",
    )
    serve.add_argument(
        "--plugins",
        metavar="NAMES",
        help="which installed packages may offer commands: all (the default), none, or their "
        "names with commas between",
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
        help="serve over Streamable HTTP at /mcp instead, on this machine alone, to who shows the "
        "token: MCP_QUEUE_HTTP_TOKEN, or a new one in a file; port 0 takes any; unix:PATH is a "
        "socket that only you can use, without a token",
    )
    serve.add_argument(
        "--no-token",
        action="store_true",
        help="with --http: ask nobody for a token. Every user and program of this machine can then "
        "run the commands, with your rights",
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
    from mcp_queue.server.transport.standard_streams import take_standard_streams
    from mcp_queue.system import signals

    descriptors = take_standard_streams()
    signals.make_ordinary(keep=signals.HANGUP)
    gc.disable()  # nothing that is imported is garbage: a tenth of the start
    _let_interrupts_end_it()
    from mcp_queue.errors import QueueError
    from mcp_queue.server.protocol import sdk
    from mcp_queue.server.transport import log_lines

    log_lines.install()
    sdk.install()
    from mcp_queue.manager import origin

    origin.keep_folder()
    token = os.environ.pop(origin.HTTP_TOKEN, None)
    try:
        endpoint = None if options.http is None else _endpoint(options, token)
        settings = _settings(options)
        status = _load_commands(settings)
        if endpoint is not None:
            from mcp_queue.server import http

            start = partial(http.run, settings, endpoint, status)
        else:
            from mcp_queue.server import app

            start = partial(app.run, settings, descriptors, status)
        gc.freeze()
        gc.enable()
        start()
    except QueueError as error:
        _complain(error)
        return 1
    return status


def _let_interrupts_end_it() -> None:
    """Until it serves, Ctrl-C ends it at once, without an exception in what is being imported."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _endpoint(options: argparse.Namespace, token: str | None) -> Endpoint:
    """Where HTTP is to be served, taken before any module of a user's is loaded."""
    from mcp_queue.server.transport import bearer_token
    from mcp_queue.server.transport.listening import Endpoint, listen, parse_address

    address = parse_address(options.http)
    if options.no_token and isinstance(address, Path):
        from mcp_queue.errors import SettingIgnoredError

        _note(
            SettingIgnoredError(
                key="--no-token",
                value=options.http,
                reason="a Unix socket is for you alone and needs no token",
                advice="Leave it out.",
            )
        )
    asks = not options.no_token and not isinstance(address, Path)
    given = bearer_token.from_environment(token) if asks and token else None
    return Endpoint(listen(address), asks, given)


def _settings(options: argparse.Namespace) -> Settings:
    """The settings that can be used; the others are complained of and stay at their defaults."""
    from mcp_queue.config import read_settings

    flags = {
        "commands": options.commands,
        "plugins": options.plugins,
        "in_memory": options.in_memory,
        "registry_path": options.registry_path,
        "max_concurrent_jobs": options.max_concurrent_jobs,
    }
    settings, errors = read_settings(options.config, os.environ, flags)
    for error in errors:
        _note(error)
    if settings.in_memory and settings.registry_path is not None:
        from mcp_queue.errors import SettingIgnoredError

        _note(
            SettingIgnoredError(
                key="registry_path",
                value=settings.registry_path,
                reason="jobs are kept in memory and end with this server",
                advice="To keep them there, add --persistent (in_memory: false).",
            )
        )
    return settings


def _load_commands(settings: Settings) -> int:
    """Load what is named, then the entry points. The status with which the server will end: 1 if
    something was named and nothing of it could be loaded."""
    from mcp_queue.commands.catalog import registry
    from mcp_queue.commands.loading import load_all, load_entry_points

    named = set(settings.commands)
    errors = load_all(settings.commands, entry_points=False)
    failed = {error.details.get("spec") for error in errors} >= named
    nothing = bool(errors) and (failed or not registry.everything())
    for error in (*errors, *load_entry_points(named, settings.plugins)):
        _complain(error)
    return 1 if nothing else 0


def _demo(options: argparse.Namespace) -> int:
    try:
        from mcp_queue.demo import demo

        return demo(options.folder)
    except KeyboardInterrupt:
        print("mcp-queue: interrupted; the server and its job are gone.", file=sys.stderr)
        return 130


def _note(error: QueueError) -> None:
    from mcp_queue.commands.catalog import registry

    registry.problems.append(error)
    _complain(error)


def _complain(error: QueueError) -> None:
    print(f"mcp-queue: {as_message(error.text)}", file=sys.stderr)
