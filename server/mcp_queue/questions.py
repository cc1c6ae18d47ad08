"""A question to the person, as every process holds it, and which answers fit it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from mcp_queue import forms
from mcp_queue.answers import Answer


class UnansweredError(Exception):
    """The person could not be asked, or gave no answer that fits. ``str()`` of it says why."""


@dataclass(frozen=True, slots=True)
class JobQuestion:
    """What a job or a call asks the person; the answer comes under its key."""

    key: str
    message: str
    schema: dict[str, Any]
    """Of the form to fill in: a flat JSON Schema, as of MCP's elicitation."""
    person: bool = False
    """Only the person can answer, not an agent for them."""

    def to_dict(self) -> dict[str, Any]:
        """``key``, ``message`` and ``schema``, and ``person`` where it is true."""
        view = {"key": self.key, "message": self.message, "schema": self.schema}
        return view | {"person": True} if self.person else view

    def again(self, problems: list[str]) -> JobQuestion:
        """The question as it is asked once more, if an answer had problems."""
        if not problems:
            return self
        return replace(self, message=forms.again(self.message, "; ".join(problems)))

    def check(self, action: object, content: object) -> tuple[Answer, list[str]]:
        """The answer, and what is wrong with it, one sentence each."""
        if action not in forms.ACTIONS:
            wrong = f"action is one of {', '.join(forms.ACTIONS)}, got {action!r:.80}"
            return Answer("cancel"), [wrong]
        if action != "accept":
            return Answer(str(action)), []
        values, problems = forms.fitted(self.schema, {} if content is None else content)
        return Answer("accept", values), problems

    def check_form(self, action: object, content: object) -> tuple[Answer, list[str]]:
        """The same for an answer of a client's form, which may have more fields than asked for."""
        if isinstance(content, dict):
            content = forms.known(self.schema, cast("dict[str, Any]", content))
        return self.check(action, content)
