"""Plays a transcript: what a client writes, line by line, and what the server must write back.

A transcript has one JSON object a line:

``{"scenario": NAME}``
    begins a scenario.
``{"send": MESSAGE}``
    is written to the server. ``{"send as it is": MESSAGE}`` is of another era.
``{"expect": MESSAGE}``
    must come, after what was expected before it. The server may say more than stands there; the
    members that stand there must be like this.
``{"never": MESSAGE}``
    must not have come since the scenario began.
``{"job": NAME, "says": [PERCENT, TEXT]}``, ``{"job": NAME, "prints": TEXT}``
    let a job report, or print a line.
``{"job": NAME, "asks": TEXT}``
    lets a job ask for a name.
``{"job": NAME, "ends": true}``, ``{"job": NAME}``
    let a job end, or wait until it runs.

``$name`` stands for a value that differs each time: the first expectation binds it.  ``$_`` is any.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support.conversation import Conversation
from support.rawclient import RawClient, Received
from support.steering import Steering

_NAME = re.compile(r"\$(\w+)")

Step = dict[str, Any]


def scenarios(path: Path) -> dict[str, list[Step]]:
    """The steps of each scenario of a transcript, in their order."""
    found: dict[str, list[Step]] = {}
    steps: list[Step] = []
    for line in path.read_text("utf-8").splitlines():
        step = json.loads(line)
        if "scenario" in step:
            steps = found[step["scenario"]] = []
        else:
            steps.append(step)
    return found


class Player:
    """Plays scenarios over one connection."""

    def __init__(self, client: RawClient, era: str, steering: Steering) -> None:
        self._conversation = Conversation(client, era)
        self._client = client
        self._steering = steering
        self._begun = self._seen = 0
        self._bound: dict[str, Any] = {"port": steering.port}

    def play(self, steps: list[Step]) -> None:
        """Play one scenario and check all that came."""
        self._begun = len(self._client.received)
        for step in steps:
            self._play(step)
        self._conversation.check()

    def _play(self, step: Step) -> None:
        match step:
            case {"send": message}:
                self._conversation.send(self._filled(message))
            case {"send as it is": message}:
                self._conversation.send_as_it_is(self._filled(message))
            case {"expect": pattern}:
                self._expect(pattern)
            case {"never": pattern}:
                for received in self._client.received[self._begun :]:
                    assert not self._matches(pattern, received.message, {}), received.message
            case {"job": name, **order}:
                self._steer(name, order)
            case _:
                raise AssertionError(f"no step of a transcript: {step}")

    def _steer(self, name: str, order: Step) -> None:
        match order:
            case {"says": [percent, text]}:
                self._steering.say(name, percent, text)
            case {"prints": text}:
                self._steering.print(name, text)
            case {"asks": message}:
                self._steering.ask(name, message)
            case {"ends": True}:
                self._steering.let_go(name)
            case _:
                self._steering.arrive(name)

    def _expect(self, pattern: Step) -> None:
        bound: dict[str, Any] = {}
        earlier = {id(received) for received in self._client.received[: self._seen]}

        def matches(received: Received) -> bool:
            bound.clear()
            return id(received) not in earlier and self._matches(pattern, received.message, bound)

        received = self._client.wait_for(matches, failure=f"not received: {json.dumps(pattern)}")
        self._seen = self._client.received.index(received) + 1
        self._bound.update(bound)
        if "id" in received.message and received.method is not None:
            self._conversation.note_server_request(received.message)

    def _matches(self, pattern: Any, value: Any, bound: dict[str, Any]) -> bool:
        if isinstance(pattern, dict):
            return isinstance(value, dict) and all(
                (key := self._filled(name, bound)) in value
                and self._matches(part, value[key], bound)
                for name, part in pattern.items()
            )
        if isinstance(pattern, list):
            return (
                isinstance(value, list)
                and len(value) == len(pattern)
                and all(map(self._matches, pattern, value, [bound] * len(value)))
            )
        if isinstance(pattern, str) and (name := _NAME.fullmatch(pattern)):
            return self._binds(name[1], value, bound)
        return self._filled(pattern, bound) == value

    def _binds(self, name: str, value: Any, bound: dict[str, Any]) -> bool:
        if name == "_":
            return True
        known = {**self._bound, **bound}
        bound[name] = value
        return known.get(name, value) == value

    def _filled(self, value: Any, bound: dict[str, Any] | None = None) -> Any:
        known = {**self._bound, **(bound or {})}
        if isinstance(value, dict):
            return {
                self._filled(key, bound): self._filled(part, bound) for key, part in value.items()
            }
        if isinstance(value, list):
            return [self._filled(part, bound) for part in value]
        if not isinstance(value, str):
            return value
        if (name := _NAME.fullmatch(value)) is not None:
            return known[name[1]]
        return _NAME.sub(lambda name: str(known[name[1]]), value)
