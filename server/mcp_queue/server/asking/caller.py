"""``job.ask`` of a plain command: the caller of the request is asked, while it is open.

In 2026-07-28 a request cannot ask while it is open. It ends with what it needs, and the client
calls again: the command runs anew, and what was answered before is answered at once. So such a
command had better ask before it does anything.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from mcp_queue import forms
from mcp_queue.commands.asking import nobody
from mcp_queue.errors import AskTimeoutError, JobStoppedError
from mcp_queue.server.asking import request_state
from mcp_queue.server.asking.person import Person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_queue.commands.asking import Form, Given
    from mcp_queue.server.protocol.eras import Context

Answers = dict[str, "Given"]


class Caller:
    """Asks within one request (`commands.asking.Asking`), in any thread."""

    def __init__(
        self,
        context: Context,
        loop: asyncio.AbstractEventLoop,
        leaves: Mapping[str, Any] | None = None,
    ) -> None:
        self._person = Person(context)
        self._loop = loop
        self._leaves = leaves or {}
        self._asked = 0
        before: dict[str, Any] = request_state.opened(context).get("answers") or {}
        self._known: Answers = {key: (action, given) for key, (action, given) in before.items()}
        self._waiting: set[Future[Answers]] = set()

    def stop(self) -> None:
        """The request is over: whoever waits in a thread learns it."""
        for future in tuple(self._waiting):
            future.cancel()

    def ask(self, forms: Mapping[str, Form], timeout: float | None) -> Answers:
        """For a command in a thread."""
        if asyncio._get_running_loop() is self._loop:
            raise nobody(
                forms,
                "job.ask would block the server in an async def",
                "Its author has to write: await job.ask_async(…).",
            )
        if self._person.calls_again:
            return self._replayed(forms)
        future = asyncio.run_coroutine_threadsafe(self._shown(forms, timeout), self._loop)
        self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise JobStoppedError from None
        finally:
            self._waiting.discard(future)

    async def ask_async(self, forms: Mapping[str, Form], timeout: float | None) -> Answers:
        """For a command in the event loop."""
        if self._person.calls_again:
            return self._replayed(forms)
        return await self._shown(forms, timeout)

    def _replayed(self, asked: Mapping[str, Form]) -> Answers:
        self._asked += 1
        given = self._person.given
        needed: dict[str, tuple[str, dict[str, Any]]] = {}
        names = {key: key if self._asked == 1 else f"q{self._asked}.{key}" for key in asked}
        for key, form in asked.items():
            name = names[key]
            if name in self._known:
                continue
            answer, wrong = _fitting(form, given[name]) if name in given else (None, [])
            if answer is not None:
                self._known[name] = answer
            else:
                needed[name] = (_message(form, wrong), form.schema)
        if needed:
            self._person.need(needed, {**self._leaves, "answers": self._known})
        return {key: self._known[name] for key, name in names.items()}

    async def _shown(self, asked: Mapping[str, Form], timeout: float | None) -> Answers:
        answers: Answers = {}
        tasks = [asyncio.create_task(self._show(key, asked, answers)) for key in asked]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=timeout, return_when=asyncio.FIRST_EXCEPTION
            )
        finally:
            for task in tasks:
                task.cancel()  # withdraws the form
        for task in done:
            task.result()
        if len(done) < len(tasks):
            left = ", ".join(repr(key) for key in asked if key not in answers)
            error = AskTimeoutError(timeout=timeout or 0.0, keys=left)
            error.answers = answers
            raise error
        return answers

    async def _show(self, key: str, asked: Mapping[str, Form], answers: Answers) -> None:
        form, wrong = asked[key], []
        for _ in range(forms.TRIES):
            given = await self._person.ask(_message(form, wrong), form.schema)
            if given is None:
                raise nobody({key: form}, "the client could not show the form")
            answer, wrong = _fitting(form, given)
            if answer is not None:
                answers[key] = answer
                return
        raise nobody({key: form}, f"what came back does not fit: {'; '.join(wrong)}")


def _fitting(form: Form, given: Given) -> tuple[Given | None, list[str]]:
    action, content = given
    if action != "accept":
        return (action, {}), []
    values, problems = forms.fitted(form.schema, forms.known(form.schema, content))
    return (None if problems else (action, values)), problems


def _message(form: Form, wrong: list[str]) -> str:
    return forms.again(form.message, "; ".join(wrong)) if wrong else form.message
