"""Job classes of the process tests."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from mcp_queue import Command, ErrorResult, Job, QueueJobBase, SuccessResult, command
from support.job_commands import meet


class Doubles(QueueJobBase):
    """Doubles numbers, and says so."""

    def run(self) -> None:
        numbers = self.mcp_params["numbers"]
        self.set_status("running")
        self.logger.info("doubling %s numbers", len(numbers))
        for done, number in enumerate(numbers, 1):
            self.set_progress(100 * done / len(numbers))
            self.set_description(f"number {number}")
        self.set_mcp_result({"doubled": [2 * number for number in numbers]})


class Awaits(QueueJobBase):
    """Its ``run`` is a coroutine, and it returns its result."""

    async def run(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"job_id": self.job_id}


class Reports(QueueJobBase):
    """Calls its setters as its params say, and then waits for the test or raises."""

    def run(self) -> None:
        for name, arguments in self.mcp_params["calls"]:
            getattr(self, name)(*arguments)
        if "port" in self.mcp_params:
            meet(self.mcp_params["port"])
        if "raises" in self.mcp_params:
            raise ValueError(self.mcp_params["raises"])


class Outer:
    """Holds a job class."""

    class Inner(QueueJobBase):
        """Stands in another class."""

        def run(self) -> None:
            self.set_mcp_result("from inside")


class HooksJob(QueueJobBase):
    """Written as for the queue below the documented one: ``execute``, ``params`` and hooks."""

    def __init__(self, job_id: str, params: dict[str, Any]) -> None:
        super().__init__(job_id, params)
        self.port = params["port"]
        self.set_description("constructed")

    def on_start(self) -> None:
        print("on_start")

    def execute(self) -> None:
        meet(self.port)
        if self.params.get("until_stop"):
            while not self.stopping:
                meet(self.port)
        if self.params.get("fails"):
            raise RuntimeError("no good")
        self.set_result("executed")

    def on_end(self) -> None:
        print("on_end")

    def on_stop(self) -> None:
        print("on_stop")

    def on_error(self, exc: Exception) -> None:
        print("on_error", exc, file=sys.stderr)


class DescribeCommand(Command):
    """Answers with what it got."""

    name = "describe_call"
    use_queue = True

    async def execute(
        self, what: str, context: dict[str, Any] | None = None, **kwargs: Any
    ) -> SuccessResult | ErrorResult:
        if what == "error":
            return ErrorResult("nothing to describe", code=404)
        return SuccessResult(data={"what": what, "context": context, "more": kwargs})


@command(use_queue=True)
def takes_its_time(port: int, report: float | None = None, *, job: Job) -> str:
    """Wait for the test, report if asked, wait again."""
    meet(port)
    if report is not None:
        job.set_progress(report, "my own word")
        meet(port)
    return "done"


@command(use_queue=True)
async def waits_for_ever(port: int) -> None:
    """Until it is cancelled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"here")
    try:
        await reader.read()
        await asyncio.Event().wait()
    finally:
        print("tidied up")
