"""Claude Code in a terminal: queued calls become tasks, and wake the model when they end."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from models import Asked, Call, Model, Serving
from place import Findings, Place, seconds_of
from terminal import DOWN, ENTER, Terminal

KEY = "sk-ant-of-the-scripted-model-0123456789"
PROMISE = 0.4  # seconds from the end of a short job to the model's waking
CURSOR = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
STILL_RUNNING = "1 MCP task still running"


def environment(place: Place, url: str) -> dict[str, str]:
    """Its environment, for a model at ``url``."""
    return place.environment(
        ANTHROPIC_BASE_URL=url,
        ANTHROPIC_API_KEY=KEY,
        DISABLE_TELEMETRY="1",
        DISABLE_AUTOUPDATER="1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        ENABLE_TOOL_SEARCH="false",
    )


def command(place: Place, *more: str) -> list[str]:
    """Its command line, its settings and the server's configuration written."""
    settings = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "projects": {str(place.project): {"hasTrustDialogAccepted": True}},
    }
    file = place.home / ".claude.json"
    if not file.exists():
        file.write_text(json.dumps(settings))
    config = place.folder / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"queue": place.entry}}))
    options = ["--mcp-config", str(config), "--strict-mcp-config", "--allowedTools", "mcp__queue"]
    return [str(place.program), *options, *more]


@contextmanager
def session(place: Place, url: str, *more: str) -> Iterator[Terminal]:
    """Claude Code at its prompt, the list of the server's tools answered."""
    since = len(place.wire)
    started = command(place, *more)
    with Terminal(started, environment(place, url), place.project) as terminal:
        terminal.wait_for("/effort")
        place.wait_for_tools(since)
        yield terminal


def say(terminal: Terminal, text: str) -> None:
    """Type a line and send it, once it is shown: together they would be a paste."""
    shown = terminal.shown
    terminal.type(text)
    terminal.wait_for(re.escape(text.replace(" ", "")), shown)
    terminal.type(ENTER)


def start_work(terminal: Terminal, model: Model, call: Call) -> Asked:
    """Have the model call a tool; the request that tells it of the task.

    The host offers the tools to its model a moment after it has their list.
    """
    model.script(call, "Started.")
    while True:
        early = model.early
        say(terminal, "go to work")
        if model.has_tools(early):
            return model.wait_for("started server-side task")


def leave(terminal: Terminal) -> None:
    say(terminal, "/exit")
    terminal.wait()


def wake(place: Place) -> Findings:
    """A call becomes a task, and its end wakes the model."""
    for seconds in (1, 3, 6):
        there = place.another(f"{seconds}s")
        with Serving() as serving, session(there, serving.url) as terminal:
            call = Call("work", {"seconds": seconds})
            started = start_work(terminal, serving.model, call)
            woken = serving.model.wait_for(f"worked for {seconds} s")
            late = woken.at - seconds_of("finished_at", woken.text)
            yield f"woken after the end of a job of {seconds} s", f"{late:.3f} s"
            assert seconds >= 5 or late <= PROMISE, f"the promise is {PROMISE} s"
            leave(terminal)
    there.show("handle", started.news)
    there.show("result", woken.news)
    yield from there.described()


def stop(place: Place) -> Findings:
    """A stop from the task view ends the job."""
    with Serving() as serving, session(place, serving.url) as terminal:
        start_work(terminal, serving.model, Call("work", {"seconds": 60}))
        terminal.wait_for(STILL_RUNNING)
        _open_task_view(terminal)
        pressed = time.time()
        terminal.type("x")
        job = place.ended_job()
        assert job["status"] == "stopped", job
        late = seconds_of("finished_at", json.dumps(job)) - pressed
        yield "stopped after x in the task view", f"{late:.3f} s"
        yield "tasks/cancel for it", str(len(place.sent("tasks/cancel")))


def _open_task_view(terminal: Terminal) -> None:
    shown = terminal.shown
    terminal.type(DOWN)
    terminal.wait_for("to view tasks", shown)
    shown = terminal.shown
    terminal.type(ENTER)
    terminal.wait_for("x to stop", shown)


def answer(place: Place) -> Findings:
    """What a job asks is answered in the host's form, and its result wakes the model."""
    with Serving() as serving, session(place, serving.url) as terminal:
        start_work(terminal, serving.model, Call("greet", {}))
        terminal.wait_for("requests your input.*Who are you")
        _fill_in(terminal, "Ada", lambda: place.sent("tasks/update"))
        woken = serving.model.wait_for("Hello, Ada")
        late = seconds_of("finished_at", woken.text) - place.sent("tasks/update")[0]
        yield "job done after the answer to its form", f"{late:.3f} s"
    place.show("answered", woken.news)


def _fill_in(terminal: Terminal, text: str, accepted: Callable[[], object]) -> None:
    """Type into the only field, and accept the form, which takes keys a moment after it moved."""
    terminal.type(text)
    terminal.wait_for(f"name: {text}")
    shown = terminal.shown
    terminal.type(ENTER)
    terminal.wait_for(f"{CURSOR}Accept", shown)
    for _ in range(20):
        terminal.type(ENTER)
        time.sleep(0.5)
        if accepted():
            return


def resume(place: Place) -> Findings:
    """The session is left and resumed: the job has gone on, its server killed or not."""
    for how in ("left", "killed"):
        there = place.another(how)
        with Serving() as serving:
            with session(there, serving.url) as terminal:
                start_work(terminal, serving.model, Call("work", {"seconds": 10}))
                terminal.wait_for(STILL_RUNNING)
                if how == "killed":
                    os.kill(there.server_pid(), signal.SIGKILL)
                    there.wait_for(lambda event: event.get("end") == -signal.SIGKILL, "the kill")
                _exit_and_stop(terminal)
            since = len(serving.model.asked)
            with session(there, serving.url, "--continue"):
                woken = serving.model.wait_for("worked for 10 s", since)
        late = woken.at - seconds_of("finished_at", woken.text)
        yield f"resumed, the old server {how}: woken after the job's end", f"{late:.3f} s"
        assert not there.sent("tasks/cancel"), "the host cancelled the task"
    place.show("resumed", woken.news)


def _exit_and_stop(terminal: Terminal) -> None:
    """Leave by the choice that the host calls "Exit and stop tasks"."""
    shown = terminal.shown
    say(terminal, "/exit")
    terminal.wait_for("Exit and stop tasks", shown)
    terminal.type(ENTER)
    terminal.wait()
