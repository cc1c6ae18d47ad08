"""Patterns in conditions, matched in a time that grows with the text alone.

Python's own regular expressions can take for ever, and nothing can end them. Those of pydantic
cannot; they know neither looks around nor references back.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic_core import SchemaError, SchemaValidator, core_schema
from pydantic_core import ValidationError as NoMatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = "patternProperties"


def fault_in(keywords: object) -> str | None:
    """Why a pattern somewhere in a JSON Schema cannot be used; None if all can."""
    if isinstance(keywords, list):
        return next(filter(None, map(fault_in, keywords)), None)  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(keywords, dict):
        return None
    given = cast("dict[str, Any]", keywords)
    if NAMES in given:
        return f"{NAMES} is not known here; name the properties"
    pattern = given.get("pattern")
    if isinstance(pattern, str):
        try:
            _compiled(pattern)
        except SchemaError as error:
            reason = str(error).split("\n")[-1].strip()
            return f"the pattern {pattern!r:.80} has no bound to its time ({reason:.200})"
    return next(filter(None, map(fault_in, given.values())), None)


@cache
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    try:
        _compiled(pattern).validate_python(instance)
    except NoMatchError:
        yield ValidationError(f"{instance!r:.200} does not match {pattern!r:.200}")


_extend: Any = vars(validators)["extend"]  # it has no types
Validator: Any = _extend(Draft202012Validator, {"pattern": _pattern})
"""JSON Schema 2020-12 with such patterns."""
