"""``@command(ask_for=…)``: ask the person for arguments that the caller left out."""

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


async def complete_arguments(
    info: CommandInfo, arguments: dict[str, Any], context: Context
) -> dict[str, Any]:
    """The arguments, with the values that the person fills in.

    If the client shows no forms, the arguments are returned unchanged, and the later check refuses
    missing ones. Raises InvalidParamsError for the given arguments, before the person is asked;
    DeclinedError; and InputNeeded, which ends the request until the client calls again.
    """
    schema = schema_of(info)
    missing = [name for name in info.ask_for if schema.is_left_out(name, arguments)]
    form = schema.form_for(missing) if missing else {}
    if not missing or not shows_forms(context):
        return arguments
    person = Person(context)
    if not person.can_show(form):
        return arguments
    known = {name: value for name, value in arguments.items() if name not in missing}
    schema.validate_without(missing, known)
    question = JobQuestion(KEY, f"{info.title}: please fill in what is missing.", form)
    answer = person.valid_answers([question]).get(KEY)
    if answer is None:
        person.require_answers([question])
        try:
            answer = await person.ask(question)
        except UnansweredError:
            return arguments
    if answer.action != "accept":
        raise DeclinedError(command=info.name, names=", ".join(map(repr, missing)))
    return {**known, **answer.content}
