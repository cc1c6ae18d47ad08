"""The command ``mcp-queue`` with its subcommands ``serve`` and ``demo``."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.commands.intake import intake
from mcp_queue.commands.loading import load_all, load_entry_points
from mcp_queue.errors import QueueError, SettingIgnoredError
from mcp_queue.printable import as_message, printable
from mcp_queue.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_queue.config import Settings
    from mcp_queue.server.transport.listening import Endpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand and exit with its status.

    0: done, 1: failed, 2: wrong usage, 130: interrupted. A server that could load none of the named
    commands serves nevertheless, and ends with 1.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    if not words:
        parser.print_help(sys.stderr)
        sys.exit(2)
    if words[0].endswith(".py"):
        parser.error(_commands_advice(words[0]))
    options = parser.parse_args(words)
    if stray := getattr(options, "stray", None):
        parser.error(_commands_advice(*stray))
    if getattr(options, "no_token", False) and options.http is None:
        parser.error("--no-token goes with --http: a server that its client starts asks for none")
    sys.exit(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mcp-queue",
        description="Long-running tools for MCP clients: queued commands, isolated workers, "
        "durable results.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(subcommands)
    _add_demo(subcommands)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser that escapes control characters in its errors; its subcommands do, too."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _commands_advice(*sources: str) -> str:
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
        help="serve over Streamable HTTP at /mcp instead, only on this machine, to clients with "
        "the token: MCP_QUEUE_HTTP_TOKEN, or a new one in a file; port 0 takes any free port; "
        "unix:PATH is a socket that only you can use, without a token",
    )
    serve.add_argument(
        "--no-token",
        action="store_true",
        help="with --http: clients need no token. Every user and program of this machine can then "
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
    # Before any code of a user is imported, so that its prints do not reach the client.
    from mcp_queue.server.transport.standard_streams import take_standard_streams
    from mcp_queue.system import signals

    descriptors = take_standard_streams()
    signals.make_ordinary(keep=signals.HANGUP)
    gc.disable()  # imports leave no garbage; this saves a tenth of the start
    _end_on_interrupt()
    from mcp_queue.server.protocol import sdk
    from mcp_queue.server.transport import log_lines

    log_lines.install()
    sdk.install()
    from mcp_queue.manager import origin

    origin.remember_working_folder()
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
        _print(error)
        return 1
    return status


def _end_on_interrupt() -> None:
    """Let Ctrl-C end the process at once until it serves, without an exception in an import."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _endpoint(options: argparse.Namespace, token: str | None) -> Endpoint:
    """The endpoint for HTTP. It is opened before any module of a user is loaded."""
    from mcp_queue.server.transport import bearer_token
    from mcp_queue.server.transport.listening import Endpoint, listen, parse_address

    address = parse_address(options.http)
    if options.no_token and isinstance(address, Path):
        _report(
            SettingIgnoredError(
                key="--no-token",
                value=options.http,
                reason="a Unix socket is for you alone and needs no token",
                advice="Leave it out.",
            )
        )
    needs_token = not options.no_token and not isinstance(address, Path)
    chosen = bearer_token.from_environment(token) if needs_token and token else None
    return Endpoint(listen(address), needs_token, chosen)


def _settings(options: argparse.Namespace) -> Settings:
    """The settings. An invalid one is reported and has its default."""
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
        _report(error)
    if settings.in_memory and settings.registry_path is not None:
        _report(
            SettingIgnoredError(
                key="registry_path",
                value=settings.registry_path,
                reason="jobs are kept in memory and end with this server",
                advice="To keep them there, add --persistent (in_memory: false).",
            )
        )
    return settings


def _load_commands(settings: Settings) -> int:
    """Load the named commands, then the entry points.

    Returns the exit status of the server: 1 if none of the named commands could be loaded.
    """
    named = set(settings.commands)
    errors = load_all(settings.commands, entry_points=False)
    all_failed = {error.details.get("spec") for error in errors} >= named
    none_loaded = bool(errors) and (all_failed or not catalog.everything())
    for error in (*errors, *load_entry_points(named, settings.plugins)):
        _print(error)
    return 1 if none_loaded else 0


def _demo(options: argparse.Namespace) -> int:
    try:
        from mcp_queue.demo import demo

        return demo(options.folder)
    except KeyboardInterrupt:
        print("mcp-queue: interrupted; the server and its job are gone.", file=sys.stderr)
        return 130


def _report(error: QueueError) -> None:
    """Print the error, and let queue_health show it."""
    intake.problems.append(error)
    _print(error)


def _print(error: QueueError) -> None:
    print(f"mcp-queue: {as_message(error.text)}", file=sys.stderr)
