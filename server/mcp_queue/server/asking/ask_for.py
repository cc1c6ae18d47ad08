"""``@command(ask_for=…)``: what the caller left out, the person is asked for before the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import DeclinedError
from mcp_queue.questions import JobQuestion, UnansweredError
from mcp_queue.server.asking.person import Person
from mcp_queue.server.protocol.eras import shows_forms

if TYPE_CHECKING:
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.server.protocol.eras import Context

KEY = "call.arguments"  # of the form in an input_required result; no question can have it


async def completed(
    info: CommandInfo, arguments: dict[str, Any], context: Context
) -> dict[str, Any]:
    """The arguments, with what the person fills in.

    As they are where the client shows no forms: what is required and missing is then refused as
    ever. Raises InvalidParamsError for what was given, before anybody is asked; DeclinedError;
    and InputNeeded, with which the request ends until the client calls again.
    """
    schema = schema_of(info)
    missing = [name for name in info.ask_for if schema.is_left_out(name, arguments)]
    form = schema.form_for(missing) if missing else {}
    if not missing or not shows_forms(context):
        return arguments
    person = Person(context)
    if not person.can_see(form):
        return arguments
    known = {name: value for name, value in arguments.items() if name not in missing}
    schema.validate_without(missing, known)
    question = JobQuestion(KEY, f"{info.title}: please fill in what is missing.", form)
    answer = person.fitting([question]).get(KEY)
    if answer is None:
        person.leave_for([question])
        try:
            answer = await person.ask(question)
        except UnansweredError:
            return arguments
    if answer.action != "accept":
        raise DeclinedError(command=info.name, names=", ".join(map(repr, missing)))
    return {**known, **answer.content}
