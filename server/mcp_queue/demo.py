"""``mcp-queue demo``: a client of the real server, for a person to watch."""

from __future__ import annotations

import asyncio
import signal
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mcp_queue.manager.origin import package_folder, python
from mcp_queue.printable import printable

if TYPE_CHECKING:
    from mcp import Client

WAIT = 45  # seconds of one call of queue_wait_job; for a longer job it is called again

# -P: nothing is imported from the working folder, whose files may belong to anybody.
BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from mcp_queue.cli import main; main()"


def demo(folder: str | None) -> int:
    """Analyse ``folder`` as a queued job of a new server; the exit status."""
    root = Path(folder) if folder else Path(sysconfig.get_path("stdlib"))
    console = Console()
    if not root.is_dir():
        _say(console, f"mcp-queue: {root} is no folder. Name a folder of Python code.")
        return 2
    interrupted: list[bool] = []
    try:
        status = anyio.run(_until_interrupted, root.resolve(), console, interrupted)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if interrupted:  # other code may have caught the cancellation
        raise KeyboardInterrupt
    return status


async def _until_interrupted(root: Path, console: Console, interrupted: list[bool]) -> int:
    """Run the demo. Ctrl-C cancels it and adds an item to ``interrupted``; its server ends then."""
    task = asyncio.current_task()

    def interrupt() -> None:
        interrupted.append(True)
        if task is not None:
            task.cancel()

    with suppress(NotImplementedError):  # on Windows, Python's own handler is enough
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    return await _demo(root, console)


async def _demo(root: Path, console: Console) -> int:
    from mcp import Client, StdioServerParameters

    command, *flags = python()
    arguments = [*flags, "-P", "-c", BOOT, package_folder(), "serve", "--in-memory"]
    server = StdioServerParameters(command=command, args=arguments)
    _say(console, "Starting a server, as a client would: mcp-queue serve", style="dim")
    async with Client(server) as client:
        try:
            return await _analyse(client, console, root)
        except DemoError as error:
            _say(console, f"mcp-queue: {error}")
            return 1


async def _analyse(client: Client, console: Console, root: Path) -> int:
    tools = sorted(tool.name for tool in (await client.list_tools()).tools)
    _say(console, f"Tools: {', '.join(tools)}")
    handle = await _call(client, "analyze_project", {"root_dir": str(root), "force": True})
    _say(console, f"\nanalyze_project {printable(str(root))}")
    _say(console, f"{handle['message']}: job {handle['job_id']}\n")
    job = await _wait(client, console, handle["job_id"])
    if job["status"] != "completed":
        _say(console, f"The job is {job['status']}: {job.get('error', {}).get('message')}")
        return 1
    _show_totals(console, job["result"])
    await _show_search(client, console, root)
    return 0


async def _wait(client: Client, console: Console, job_id: str) -> dict[str, Any]:
    """Wait for the job as an agent does, and show its progress notifications as a bar."""
    with bar_on(console) as bar:
        shown = bar.add_task("queued", total=100)

        async def on_progress(percent: float, _total: float | None, message: str | None) -> None:
            text = printable(message or "")
            bar.update(shown, completed=min(percent, 100), description=text)
            if not console.is_terminal:
                _say(console, f"{percent:5.1f}%  {text}")

        while True:
            answer = await _call(
                client,
                "queue_wait_job",
                {"job_ids": [job_id], "timeout_seconds": WAIT},
                on_progress,
            )
            job = answer["jobs"][0]
            if not answer["timed_out"]:
                bar.update(shown, completed=job["progress"], description=job["status"])
                return job


def bar_on(console: Console) -> Progress:
    """A bar that shows descriptions without markup, because they contain file names."""
    return Progress(
        TextColumn("{task.percentage:>5.1f}%"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
    )


def _show_totals(console: Console, result: dict[str, Any]) -> None:
    table = Table(title="The job's result", title_justify="left")
    table.add_column("what")
    table.add_column("total", justify="right")
    for name in ("modules", "packages", "classes", "functions", "lines", "problem_count"):
        if name in result:
            table.add_row(name.replace("_", " "), f"{result[name]:,}")
    console.print(table)


async def _show_search(client: Client, console: Console, root: Path) -> None:
    query = {"query": "Client", "root_dir": str(root), "limit": 3}
    with suppress(DemoError):
        answer = await _call(client, "search_classes", query)
        for hit in answer.get("result", answer).get("hits", []):
            place = printable(f"{hit['file']}:{hit['line']}")
            _say(console, f"search_classes 'Client': {printable(hit['name'])}  {place}")


def _say(console: Console, text: str, style: str = "") -> None:
    """Print a text without markup and control characters: it may contain names of files."""
    console.print(Text(printable(text, lines=True), style=style))


class DemoError(Exception):
    """A tool answered with an error."""


async def _call(
    client: Client, tool: str, arguments: dict[str, Any], on_progress: Any = None
) -> dict[str, Any]:
    answer: Any = await client.call_tool(tool, arguments, progress_callback=on_progress)
    if answer.is_error:
        raise DemoError(answer.content[0].text)
    return answer.structured_content
