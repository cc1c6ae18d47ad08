"""A question to the person in memory, the same in every process, and the check of its answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from mcp_queue import forms
from mcp_queue.answers import Answer


class UnansweredError(Exception):
    """The person could not be asked, or no answer fits. Its text gives the reason."""


@dataclass(frozen=True, slots=True)
class JobQuestion:
    """A question of a job or a call to the person. Its answer has the same key."""

    key: str
    message: str
    schema: dict[str, Any]
    """The form to fill in: a flat JSON Schema, as in MCP's elicitation."""
    person: bool = False
    """Only the person can answer, and no agent on their behalf."""

    def to_dict(self) -> dict[str, Any]:
        """``key``, ``message`` and ``schema``, and ``person`` if it is true."""
        view = {"key": self.key, "message": self.message, "schema": self.schema}
        return view | {"person": True} if self.person else view

    def with_problems(self, problems: list[str]) -> JobQuestion:
        """The question, with the problems of the last answer (if any) in its message."""
        if not problems:
            return self
        return replace(self, message=forms.again(self.message, "; ".join(problems)))

    def check(self, action: object, content: object) -> tuple[Answer, list[str]]:
        """The answer and its problems, one sentence each."""
        if action not in forms.ACTIONS:
            wrong = f"action is one of {', '.join(forms.ACTIONS)}, got {action!r:.80}"
            return Answer("cancel"), [wrong]
        if action != "accept":
            return Answer(str(action)), []
        values, problems = forms.fitted(self.schema, {} if content is None else content)
        return Answer("accept", values), problems

    def check_form(self, action: object, content: object) -> tuple[Answer, list[str]]:
        """`check` for an answer of a client's form, which may have more fields than asked for."""
        if isinstance(content, dict):
            content = forms.known(self.schema, cast("dict[str, Any]", content))
        return self.check(action, content)
