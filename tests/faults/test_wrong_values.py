"""Row 41: a definition with a value of a wrong type is refused alone, whatever attribute it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue.builtin import NAMES
from mcp_queue.commands.options import OPTIONS
from support.rawclient import RawClient
from support.serving import HANDSHAKE, Setup

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from mcp_queue import Command, command\n"
FINE = """
@command
def first(n: int) -> int:
    return n + 1
"""
WRONG_VALUES = [
    "property(lambda self: True)",
    "lambda *_: True",
    "object()",
    "Broken()",
    "print",
    "int",
    "1.5j",
    "b'x'",
    "[1]",
    "{'x': object()}",
    "float('nan')",
    "10 ** 5000",
    "-1",
]
"""Right for no attribute of a definition."""

BROKEN = """
class Broken:
    def fails(self, *_):
        raise ZeroDivisionError
    __repr__ = __eq__ = __str__ = __bool__ = __len__ = __iter__ = fails
    __hash__ = object.__hash__
"""
ALSO_WRONG = {
    "conditions": [
        "{'anyOf': 1}",
        "{'if': {'const': object()}}",
        "{'if': {'const': float('inf')}}",
        "{'not': {'pattern': '('}}",
    ],
    "memory_limit": ["'1e999GB'", "'nanGB'", "'much'", "0"],
    "task": ["'Never'", "True"],
    "use_queue": ["None", "1"],
    "destructive": ["1", "'yes'"],
    "read_only": ["0", "'no'"],
    "max_attempts": ["0", "True", "None"],
    "ask_for": ["'x'", "None", "('nowhere',)"],
    "timeout": ["True", "'1'", "float('inf')"],
    "inline_wait": ["True", "0"],
    "name": ["''", "'two words'"],
}
IN_A_CLASS = sorted({*OPTIONS, "descr", "name", "title"})
IN_A_DECORATOR = sorted({*OPTIONS, "description", "name", "title"})


def with_wrong_values(form: str, attribute: str) -> list[str]:
    """A definition for each value that this attribute cannot have."""
    texts: list[str] = []
    for number, value in enumerate([*WRONG_VALUES, *ALSO_WRONG.get(attribute, [])]):
        options = {"name": f"'ill_{number}'", attribute: value}
        if attribute == "inline_wait":
            options["use_queue"] = "True"
        if form == "class":
            body = "".join(f"    {key} = {text}\n" for key, text in options.items())
            texts.append(
                f"class Ill{number}(Command):\n{body}    def execute(self, x: int = 1): ...\n"
            )
        else:
            given = ", ".join(f"{key}={text}" for key, text in options.items())
            texts.append(f"@command({given})\ndef ill_{number}(x: int = 1): ...\n")
    return texts


def call(client: RawClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = client.request("tools/call", {"name": tool, "arguments": arguments})
    return json.loads(answer["result"]["content"][0]["text"])


def listed(client: RawClient) -> set[str]:
    return {tool["name"] for tool in client.request("tools/list")["result"]["tools"]}


@pytest.mark.parametrize(
    ("form", "attribute"),
    [
        *(("class", attribute) for attribute in IN_A_CLASS),
        *(("decorator", attribute) for attribute in IN_A_DECORATOR),
    ],
)
def test_row_41_no_attribute_takes_a_value_that_it_cannot_have(
    tmp_path: Path, form: str, attribute: str
) -> None:
    texts = with_wrong_values(form, attribute)
    file = tmp_path / "tools.py"
    file.write_text(HEAD + BROKEN + "\n".join(texts) + FINE, "utf-8")
    with RawClient(Setup(tmp_path, {}, [str(file)]).command) as client:
        client.request("initialize", HANDSHAKE)
        client.notify("notifications/initialized")
        assert listed(client) >= {"first"} | NAMES
        assert not any(name.startswith("ill") for name in listed(client))
        assert call(client, "first", n=1) == {"result": 2}
        problems = call(client, "queue_health")["problems"]
    assert len(problems) == len(texts), problems
    assert all("is not well defined: " in each and attribute in each for each in problems)
