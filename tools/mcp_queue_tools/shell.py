"""``run_shell``: any shell command as a job. It is off by default.

The package does not register it with its other commands. A server has it only if it is started with
``--commands mcp_queue_tools.shell``, or with that module in its configuration.
"""

from __future__ import annotations

import mcp_queue

__all__ = ["run_shell"]


@mcp_queue.command(use_queue=True, destructive=True, inline_wait=20, title="Run a shell command")
def run_shell(
    command: str, cwd: str | None = None, timeout: float | None = None, *, job: mcp_queue.Job
) -> dict[str, object]:
    """Run a command in a shell as a job of its own: builds, tests, servers, downloads. Gives its
    exit code and the end of what it printed; all of that is in the job's logs, as it comes.

    Args:
        command: What the shell is to run. It gets no input.
        cwd: The folder to run it in, absolute; the server's own if left out.
        timeout: Seconds after which it and all that it started are ended.
    """
    from mcp_queue_tools.shell_run import run

    return run(command, cwd, timeout, job)
