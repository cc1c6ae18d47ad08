"""Claude Code on a server over HTTP: its configuration names the variable that holds the token."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from claude_code import command, environment, leave, start_work
from models import Call, Serving
from one_shot import GUARD, PROMPT, wait_for_it
from place import Findings, Place, seconds_of
from terminal import Terminal

from support.web import VARIABLE, WebServer


@contextmanager
def server(place: Place, token: str) -> Iterator[WebServer]:
    """The server with that token; the host's configuration leads there."""
    with WebServer(place.served, environ={VARIABLE: token}) as web:
        headers = {"Authorization": f"Bearer ${{{VARIABLE}}}"}
        place.entry = {"type": "http", "url": web.url, "headers": headers}
        yield web


def wait(place: Place) -> Findings:
    """Without a terminal: call, handle, wait, result; with a wrong token, no tools."""
    token = secrets.token_urlsafe()
    with server(place, token), Serving() as serving:
        serving.model.script(Call("work", {"seconds": 1}), wait_for_it, "Done.")
        done = run(place, serving.url, token)
        assert done.returncode == 0, done.stdout + done.stderr
        serving.model.wait_for("has been queued for execution")
        serving.model.wait_for("worked for 1 s")
        yield "with the token, over HTTP", "handle, wait, result"
    there = place.another("wrong")
    with server(there, token), Serving() as serving:
        done = run(there, serving.url, "wrong")
        names = {tool["name"] for asked in serving.model.asked for tool in asked.body["tools"]}
        assert not any("queue" in name for name in names), names
        yield "with a wrong token, over HTTP", f"no tools; exit status {done.returncode}"


def run(place: Place, url: str, token: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(place, "-p", PROMPT),
        env={**environment(place, url), VARIABLE: token},
        cwd=place.project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


def wake(place: Place) -> Findings:
    """In a terminal: a call becomes a task, and its end wakes the model."""
    token = secrets.token_urlsafe()
    with server(place, token), Serving() as serving:
        variables = {**environment(place, serving.url), VARIABLE: token}
        with Terminal(command(place), variables, place.project) as terminal:
            terminal.wait_for("/effort")
            start_work(terminal, serving.model, Call("work", {"seconds": 3}))
            woken = serving.model.wait_for("worked for 3 s")
            late = woken.at - seconds_of("finished_at", woken.text)
            yield "woken after the end of a job of 3 s, over HTTP", f"{late:.3f} s"
            leave(terminal)
