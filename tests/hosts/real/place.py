"""Where a host runs: a home and a project of its own, and our server behind a tap."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mcp_queue import init_global_queue_manager, shutdown_global_queue_manager

HERE = Path(__file__).parent
GUARD = 60.0  # seconds
Findings = Iterator[tuple[str, str]]
"""What was measured, and what came out."""
Shown = dict[str, Any]
"""What a model was shown, by the moment."""


@dataclass
class Place:
    """A folder for one run of a host, and how to start the server there."""

    folder: Path
    program: Path
    shown: Shown = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def another(self, name: str) -> Place:
        """A place for another run of the same host."""
        return Place(self.folder / name, self.program, self.shown)

    @cached_property
    def home(self) -> Path:
        return self._made("home")

    @cached_property
    def project(self) -> Path:
        return self._made("project")

    def _made(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir(exist_ok=True)
        return made

    @cached_property
    def entry(self) -> dict[str, Any]:
        """The server as configurations in JSON describe it: started by the host, behind the tap."""
        program, *arguments = self.server
        return {"command": program, "args": arguments}

    @cached_property
    def server(self) -> list[str]:
        """The command line of the server behind its tap."""
        return [sys.executable, str(HERE / "tap.py"), str(self._log), *self.served]

    @cached_property
    def served(self) -> list[str]:
        """The command line of the server, with a registry that outlives it."""
        settings = {"in_memory": False, "registry_path": str(self._registry)}
        config = self.folder / "config.json"
        commands = [str(HERE / "commands.py")]
        config.write_text(json.dumps({"queue_manager": settings, "commands": commands}))
        return [sys.executable, "-m", "mcp_queue", "serve", "--config", str(config)]

    @property
    def _registry(self) -> Path:
        return self.folder / "registry.db"

    @property
    def _log(self) -> Path:
        return self.folder / "wire.jsonl"

    def environment(self, **more: str) -> dict[str, str]:
        """What the host inherits: nothing of the person at the machine but the way to Python."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm-256color", **more}

    def show(self, moment: str, news: Any) -> None:
        """Keep what the model was shown."""
        self.shown[moment] = news

    # The wire between host and server.

    @property
    def wire(self) -> list[dict[str, Any]]:
        """What went over it so far, and how servers began and ended."""
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], what: str, since: int = 0
    ) -> dict[str, Any]:
        """The first event, past the first ``since``, that is wanted."""
        deadline = time.monotonic() + GUARD
        while time.monotonic() < deadline:
            for event in self.wire[since:]:
                if wanted(event):
                    return event
            time.sleep(0.02)
        raise AssertionError(f"{what} did not happen: {self.wire[since:][-10:]}")

    def sent(self, method: str) -> list[float]:
        """When the host sent requests of ``method``, on the wall clock."""
        return [event["at"] for event in self.wire if event.get("send", {}).get("method") == method]

    def wait_for_tools(self, since: int = 0) -> None:
        """Wait until the host has the list of tools."""

        def has_tools(event: dict[str, Any]) -> bool:
            return "tools" in event.get("answer", {}).get("result", {})

        self.wait_for(has_tools, "tools/list", since)

    def server_pid(self) -> int:
        return [event["pid"] for event in self.wire if "pid" in event][-1]

    def described(self) -> Findings:
        """The protocol that the host speaks, and how it ended the server."""
        params = next(event["send"]["params"] for event in self.wire if "send" in event)
        meta = params.get("_meta", {})
        yield (
            "protocol",
            params.get("protocolVersion") or meta["io.modelcontextprotocol/protocolVersion"],
        )
        self.wait_for(lambda event: "end" in event, "the server's end")
        ends = [event for event in self.wire if event.keys() & {"eof", "signal", "end"}]
        steps = [event.get("signal") or "end of stdin" for event in ends if "end" not in event]
        yield "ends the server by", ", ".join(steps) or "SIGKILL"

    # The registry.

    def ended_job(self) -> dict[str, Any]:
        """The only job, once it has ended."""
        return asyncio.run(self._ended_job())

    async def _ended_job(self) -> dict[str, Any]:
        path = str(self._registry)
        queue = await init_global_queue_manager(in_memory=False, registry_path=path)
        try:
            [job] = await queue.list_jobs()
            return (await queue.wait_for_job(job.job_id, timeout=GUARD)).to_dict()
        finally:
            await shutdown_global_queue_manager()


def seconds_of(name: str, text: str) -> float:
    """The wall clock of a job's moment, from the view of the job in ``text``."""
    stamp = re.findall(name + r'[\\": ]+([^"\\]+)', text)[-1]
    return datetime.fromisoformat(stamp).timestamp()
