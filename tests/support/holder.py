"""A program with a queue of its own, to be killed.

``python -m support.holder SETTINGS NAME PARAMS`` submits one job and prints the registry's path
and the job's id; then it lives until its standard input ends, and leaves in order.
"""

from __future__ import annotations

import asyncio
import json
import sys

import support.job_commands  # noqa: F401 (registers the commands)
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.config import Settings
from mcp_queue.manager import QueueManager


async def main() -> None:
    settings, name, params = sys.argv[1:]
    async with await QueueManager.open(Settings(**json.loads(settings))) as queue:
        job = await queue.submit(catalog.get(name), json.loads(params))
        print(json.dumps([queue.registry_path, job.job_id]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
