"""Patterns in conditions, matched in a time proportional to the length of the text.

A match of Python's regular expressions can take for ever and cannot be stopped. A match
of pydantic's cannot take that long; in return they have no look-around and no back-references.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic_core import SchemaError, SchemaValidator, core_schema
from pydantic_core import ValidationError as NoMatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATTERN_PROPERTIES = "patternProperties"


def fault_in(keywords: object) -> str | None:
    """The reason why some pattern in a JSON Schema cannot be used; None if there is none."""
    if isinstance(keywords, list):
        return next(filter(None, map(fault_in, keywords)), None)  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(keywords, dict):
        return None
    schema = cast("dict[str, Any]", keywords)
    if PATTERN_PROPERTIES in schema:
        return f"{PATTERN_PROPERTIES} is not known here; name the properties"
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            _compiled(pattern)
        except SchemaError as error:
            reason = str(error).split("\n")[-1].strip()
            return f"the pattern {pattern!r:.80} has no bound to its time ({reason:.200})"
    return next(filter(None, map(fault_in, schema.values())), None)


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


_extend: Any = vars(validators)["extend"]  # untyped
Validator: Any = _extend(Draft202012Validator, {"pattern": _pattern})
"""JSON Schema 2020-12 with these patterns."""
