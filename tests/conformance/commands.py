"""What the scenarios of the conformance suite call, written as any author would."""

from __future__ import annotations

import base64
from time import sleep
from typing import Annotated, Literal

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mcp_queue import Answer, Audio, File, Image, Job, Question, command, prompt, resource

PIXEL = base64.b64decode(  # a PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842"
    "iQAAAABJRU5ErkJggg=="
)
SILENCE = base64.b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=")  # a WAV


@command
def greet(name: str) -> CallToolResult:
    """Greet someone."""
    return CallToolResult(content=[TextContent(text=f"Hello, {name}!")])


@command
def test_simple_text() -> str:
    """Some text."""
    return "This is a simple text response for testing."


@command
def test_image_content() -> Image:
    """A red pixel."""
    return Image(PIXEL)


@command
def test_audio_content() -> Audio:
    """Silence."""
    return Audio(SILENCE)


@command
def test_embedded_resource() -> File:
    """A file within the answer."""
    return File("This is an embedded resource content.", name="embedded.txt")


@command
def test_multiple_content_types() -> list[object]:
    """Text, an image and a file."""
    return [
        "Multiple content types test:",
        Image(PIXEL),
        File('{"test": "data"}', name="data.json"),
    ]


@command
def test_error_handling() -> None:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@command
def test_tool_with_progress(*, job: Job) -> str:
    """Report progress three times."""
    for percent, done in ((0, "begun"), (50, "half"), (100, "all")):
        job.set_progress(percent, done)
        sleep(0.1)
    return "done"


@command
def test_reconnection() -> str:
    """Answer on a stream that could be taken up again."""
    return "done"


@command
def test_logging_tool(*, job: Job) -> str:
    """Write lines to the server's log, of which no client is told."""
    job.log("a line")
    return "logged"


@command
def header_tool(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Take an argument that clients repeat in the header Mcp-Param-Region."""
    return region


class address(BaseModel):  # noqa: N801 (the suite wants this name)
    model_config = ConfigDict(json_schema_extra={"$anchor": "addressDef"})

    street: str = ""
    city: str = ""


CONTACT = {
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
}


@command(conditions=CONTACT)
def json_schema_2020_12_tool(
    name: str = "",
    address: address | None = None,
    contactMethod: Literal["phone", "email"] | None = None,  # noqa: N803
    phone: str = "",
    email: str = "",
) -> str:
    """Take an address and a way to reach somebody."""
    return f"{name} {address} {contactMethod} {phone} {email}"


# Commands that ask the person within the request.


def said(answer: Answer) -> dict[str, object]:
    return {"action": answer.action, "content": answer.content}


class Person(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


@command
def test_elicitation(message: str, *, job: Job) -> dict[str, object]:
    """Ask for a user."""
    return said(job.ask(message, Person))


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


@command
def test_elicitation_sep1034_defaults(*, job: Job) -> dict[str, object]:
    """Ask with a default for each field."""
    return said(job.ask("Please review the defaults", Defaults))


def titled(**titles: str) -> JsonValue:
    return [{"const": value, "title": title} for value, title in titles.items()]


CHOICES = {
    "untitledSingle": Literal["option1", "option2", "option3"],
    "titledSingle": Annotated[
        str, Field(json_schema_extra={"oneOf": titled(value1="First", value2="Second")})
    ],
    "legacyEnum": Annotated[
        Literal["opt1", "opt2"], Field(json_schema_extra={"enumNames": ["Option 1", "Option 2"]})
    ],
    "untitledMulti": list[Literal["option1", "option2", "option3"]],
    "titledMulti": Annotated[
        list[str],
        Field(json_schema_extra={"items": {"anyOf": titled(value1="First", value2="Second")}}),
    ],
}


@command
def test_elicitation_sep1330_enums(*, job: Job) -> dict[str, object]:
    """Ask for each kind of choice."""
    return said(job.ask("Please choose", CHOICES))


@command
def test_input_required_result_elicitation(*, job: Job) -> str:
    """Ask for a name."""
    answers = job.ask_all({"user_name": Question("What is your name?", {"name": str})})
    return f"Hello, {answers['user_name'].content['name']}!"


@command
def test_streaming_elicitation(*, job: Job) -> str:
    """Ask for a yes."""
    return job.ask("Go on?").action


@command
def test_input_required_result_request_state(*, job: Job) -> str:
    """Ask for a confirmation."""
    job.ask("Please confirm", {"ok": bool})
    return "state-ok"


@command
def test_input_required_result_tampered_state(*, job: Job) -> str:
    """Ask for a confirmation."""
    return job.ask("Please confirm", {"ok": bool}).action


@command
def test_input_required_result_multi_round(*, job: Job) -> str:
    """Ask two questions, one after the other."""
    name = job.ask("Step 1: What is your name?", {"name": str})
    color = job.ask("Step 2: What is your favorite color?", {"color": str})
    return f"{name.content['name']} likes {color.content['color']}"


# What clients read.


@resource("test://static-text")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """A red pixel."""
    return PIXEL


@resource("test://template/{id}/data")
def template_data(id: str) -> dict[str, object]:  # noqa: A002 (the suite wants this name)
    """The data of an id."""
    return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


@resource("test://watched-resource", updated_by="test_simple_text")
def watched_resource() -> str:
    """What a command changes."""
    return "watched"


# What a person asks for.


@prompt
def test_simple_prompt() -> str:
    """Nothing but a text."""
    return "This is a simple prompt for testing."


@prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A text with two arguments."""
    return f"Prompt with arguments: arg1={arg1!r}, arg2={arg2!r}"


@prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[object]:  # noqa: N803
    """A file and what to do with it."""
    file = File("Embedded resource content for testing.", name=resourceUri.rpartition("/")[2])
    return [file, "Please process the embedded resource above."]


@prompt
def test_prompt_with_image() -> list[object]:
    """An image and what to do with it."""
    return [Image(PIXEL), "Please analyze the image above."]


@prompt
def test_input_required_result_prompt(*, job: Job) -> str:
    """A text that the person completes."""
    answer = job.ask("What context should the prompt use?", {"context": str})
    return f"Context: {answer.content['context']}"
