"""What clients see of a command's parameters, and what it makes of theirs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, BaseModel, Field, SecretStr, Strict
from typing_extensions import TypedDict  # pydantic refuses typing's before Python 3.12

from mcp_queue.commands.command import Command
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.job import Job
from mcp_queue.commands.results import SuccessResult
from mcp_queue.commands.schema import CommandSchema, python_arguments, schema_of
from mcp_queue.errors import InvalidCommandError, InvalidParamsError

if TYPE_CHECKING:
    from nowhere import Missing  # pyright: ignore[reportMissingImports]

    from mcp_queue import Job as HiddenJob
    from mcp_queue import QueueManager


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Config(BaseModel):
    model_config = {"extra": "forbid"}

    rate: float
    color: Color = Color.RED


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict):
    deep: bool


def schema_for(function: Any, **options: Any) -> CommandSchema:
    return CommandSchema(CommandInfo("work", function, **options))


def properties_of(function: Any) -> dict[str, Any]:
    schema = schema_for(function).input_schema
    Draft202012Validator.check_schema(schema)
    return schema["properties"]


def refusal(schema: CommandSchema, params: Any) -> InvalidParamsError:
    with pytest.raises(InvalidParamsError) as caught:
        schema.validate(params)
    with pytest.raises(InvalidParamsError) as again:
        schema.call_arguments(params)
    assert str(again.value) == str(caught.value)
    return caught.value


def definition_error(function: Any) -> str:
    with pytest.raises(InvalidCommandError) as caught:
        schema_for(function)
    return str(caught.value)


class TestInputSchema:
    def test_types_defaults_and_required(self) -> None:
        def work(root: str, depth: Annotated[int, Field(ge=1)] = 3, *, force: bool = False): ...

        assert schema_for(work).input_schema == {
            "type": "object",
            "properties": {
                "root": {"type": "string"},
                "depth": {"type": "integer", "minimum": 1, "default": 3},
                "force": {"type": "boolean", "default": False},
            },
            "required": ["root"],
            "additionalProperties": False,
        }

    def test_no_parameters(self) -> None:
        def work(): ...

        assert schema_for(work).input_schema == {
            "type": "object",
            "properties": {},
            "additionalProperties": False,
        }

    def test_kwargs_let_other_names_through(self) -> None:
        def work(root: str, **more: Any): ...

        schema = schema_for(work)
        assert schema.input_schema["additionalProperties"] is True
        assert list(schema.input_schema["properties"]) == ["root"]
        given_params = {"root": "r", "duration": 3, "field_0": [1, {"a": None}]}
        assert schema.validate(given_params) == given_params
        assert schema.call_arguments(given_params) == given_params

    def test_models_are_described_without_titles(self) -> None:
        def work(config: Config, point: Point, options: Options): ...

        schema = schema_for(work).input_schema
        Draft202012Validator.check_schema(schema)
        assert "title" not in json.dumps(schema)
        assert schema["$defs"]["Config"]["required"] == ["rate"]

    def test_a_title_of_the_authors_stays(self) -> None:
        def work(root: Annotated[str, Field(title="The folder")]): ...

        assert properties_of(work)["root"]["title"] == "The folder"

    def test_none_as_default_allows_null(self) -> None:
        def work(depth: int = None): ...  # pyright: ignore[reportArgumentType]  # noqa: RUF013

        assert schema_for(work).validate({"depth": None}) == {"depth": None}

    def test_without_annotation_anything_goes(self) -> None:
        def work(value, other=5): ...  # pyright: ignore[reportMissingParameterType]

        assert properties_of(work) == {"value": {}, "other": {"default": 5}}

    def test_a_default_that_json_cannot_hold_is_left_out(self) -> None:
        marker: Any = object()

        def work(root: str = marker): ...

        assert schema_for(work).input_schema["properties"] == {"root": {"type": "string"}}
        assert schema_for(work).validate({}) == {}

    def test_names_that_a_model_could_not_have(self) -> None:
        def work(_x: int, schema: str, model_config: int, copy: bool, field_1: int): ...

        given_params = {"_x": 1, "schema": "s", "model_config": 2, "copy": True, "field_1": 3}
        assert list(properties_of(work)) == list(given_params)
        assert schema_for(work).validate(given_params) == given_params
        assert schema_for(work).call_arguments(given_params) == given_params

    def test_an_alias_does_not_rename_a_parameter(self) -> None:
        def work(root: Annotated[str, Field(alias="folder", validation_alias="dir")]): ...

        assert list(properties_of(work)) == ["root"]
        assert schema_for(work).call_arguments({"root": "r"}) == {"root": "r"}

    def test_a_field_as_default(self) -> None:
        def work(depth: int = Field(3, ge=1, description="how deep"), name: str = Field()): ...

        schema = schema_for(work)
        assert schema.input_schema["properties"]["depth"] == {
            "type": "integer",
            "minimum": 1,
            "default": 3,
            "description": "how deep",
        }
        assert schema.input_schema["required"] == ["name"]
        assert not schema.plain
        assert schema.validate({"name": "n"}) == {"name": "n"}
        assert schema.call_arguments({"name": "n"}) == {"depth": 3, "name": "n"}
        assert python_arguments(work, {"name": "n"}) == {"depth": 3, "name": "n"}

    def test_a_wrapped_function_and_a_partial(self) -> None:
        def inner(root: Path, depth: int = 1): ...

        @functools.wraps(inner)
        def outer(*args: Any, **kwargs: Any): ...

        assert list(properties_of(outer)) == ["root", "depth"]
        assert list(properties_of(functools.partial(inner, depth=2))) == ["root", "depth"]

    def test_self_of_execute_is_skipped(self) -> None:
        class Work(Command):
            async def execute(self, root: str): ...

        assert list(properties_of(Work)) == ["root"]


class TestDocstrings:
    GOOGLE = """Find files.

        Recursively, that is.

        Args:
            root (str): where to
                begin
            depth: how deep
        """
    NUMPY = """Find files.

        Parameters
        ----------
        root : str
            where to begin
        depth : int
            how deep
        """
    SPHINX = """Find files.

        :param root: where to begin
        :param int depth: how deep
        :returns: nothing
        """

    @pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX])
    def test_sections_describe_parameters_and_the_first_paragraph_sums_up(
        self, docstring: str
    ) -> None:
        def work(root: str, depth: Annotated[int, Field(description="mine")] = 1): ...

        work.__doc__ = docstring
        schema = schema_for(work)
        properties = schema.input_schema["properties"]
        assert schema.summary == "Find files."
        assert properties["root"]["description"] == "where to begin"
        assert properties["depth"]["description"] == "mine"

    def test_a_summary_is_one_line_and_never_a_section(self) -> None:
        def work(root: str):
            """Find files
            in folders.
            Args:
                root: where
            """

        assert schema_for(work).summary == "Find files in folders."

    def test_without_words_the_title_is_the_summary(self) -> None:
        def work(root: str):
            """
            Args:
                root: where
            """

        assert schema_for(work).summary == "Work"
        assert properties_of(work)["root"]["description"] == "where"

    def test_a_class_is_described_by_descr_and_its_parameters_by_either_docstring(self) -> None:
        class Work(Command):
            """The class.

            Args:
                root: from the class
                depth: from the class
            """

            def execute(self, root: str, depth: int):
                """The method.

                Args:
                    root: from execute
                """

        schema = schema_for(Work, descr="For the agent.")
        assert schema.summary == "For the agent."
        assert schema.input_schema["properties"]["root"]["description"] == "from execute"
        assert schema.input_schema["properties"]["depth"]["description"] == "from the class"


class TestInjection:
    def test_job_context_and_queue_are_not_the_callers(self) -> None:
        def work(
            root: str,
            job: Job,
            context: dict[str, Any] | None = None,
            other: Job | None = None,
            queue: QueueManager = None,  # pyright: ignore[reportArgumentType]
        ): ...

        schema = schema_for(work)
        assert list(schema.input_schema["properties"]) == ["root"]
        assert schema.inject == {
            "job": "job",
            "context": "context",
            "other": "job",
            "queue": "queue",
        }
        assert "'job' is unknown" in str(refusal(schema, {"root": "r", "job": 1}))

    def test_types_imported_for_the_checker_alone_are_known_by_name(self) -> None:
        def work(a: Job | None, b: Optional[QueueManager]): ...  # noqa: UP045

        work.__annotations__ = {
            "a": "mcp_queue.Job | None",
            "b": "Optional[QueueManager]",
        }
        assert schema_for(work).inject == {"a": "job", "b": "queue"}

    def test_a_parameter_named_job_needs_no_annotation(self) -> None:
        def work(job, context): ...  # pyright: ignore[reportMissingParameterType]

        assert schema_for(work).inject == {"job": "job", "context": "context"}

    def test_kwargs_do_not_let_them_through(self) -> None:
        class Work(Command):
            def execute(self, job: Job, **more: Any): ...

        message = str(refusal(schema_for(Work), {"job": 1, "self": 2, "free": 3}))
        assert "'job' is unknown; 'self' is unknown." in message

    def test_a_text_named_context_is_refused(self) -> None:
        def work(context: str | None): ...

        assert "'context' always gets the context of the call" in definition_error(work)


class TestDefinitionErrors:
    def test_positional_only_parameters(self) -> None:
        def work(root, /): ...  # pyright: ignore[reportMissingParameterType]

        assert "'root' is positional-only" in definition_error(work)

    def test_variable_positional_parameters(self) -> None:
        def work(*roots: str): ...

        assert "it takes *roots" in definition_error(work)

    def test_a_name_that_cannot_be_resolved(self) -> None:
        def work(value: Missing): ...

        message = definition_error(work)
        assert "'Missing' of the parameter 'value' cannot be resolved" in message

    def test_a_hidden_import_under_another_name(self) -> None:
        def work(value: HiddenJob): ...

        assert "HiddenJob" in definition_error(work)

    def test_types_without_a_schema_name_their_parameter(self) -> None:
        def work(fine: int, value: Any): ...

        for annotation in (a_class(), Callable[[], int], 5):
            work.__annotations__ = {"fine": int, "value": annotation}
            assert "the parameter 'value' has no JSON Schema" in definition_error(work)

    def test_a_method(self) -> None:
        def work(self: object, root: str): ...

        assert "it is a method" in definition_error(work)

    def test_what_has_no_signature(self) -> None:
        def work(): ...

        work.__signature__ = "unknown"
        assert "no signature" in definition_error(work)


def a_class() -> type:
    class Opaque: ...

    return Opaque


class TestPlain:
    @pytest.mark.parametrize(
        "annotation",
        [
            *(str, int, float, bool, None, list, dict, Any, object),
            *(list[int], dict[str, list[Any]], str | None, int | list[str], Optional[int]),  # noqa: UP045
            *(Literal["a", 1, None], Annotated[int, Field(ge=1)], list[Annotated[str, "doc"]]),
        ],
    )
    def test_json_types_are(self, annotation: Any) -> None:
        def work(value: Any): ...

        work.__annotations__ = {"value": annotation}
        assert schema_for(work).plain

    @pytest.mark.parametrize(
        "annotation",
        [
            *(Path, bytes, set, tuple, Color, Config, Point, Options, dt.date, uuid.UUID),
            *(list[Path], dict[int, str], str | Path, Literal[Color.RED]),
            Annotated[str, AfterValidator(str.upper)],
        ],
    )
    def test_others_are_not(self, annotation: Any) -> None:
        def work(value: Any): ...

        work.__annotations__ = {"value": annotation}
        assert not schema_for(work).plain


class TestOutputSchema:
    def test_a_described_result(self) -> None:
        def work() -> list[Point]: ...

        schema = schema_for(work).output_schema
        assert schema is not None
        Draft202012Validator.check_schema(schema)
        assert schema["properties"]["result"]["items"] == {"$ref": "#/$defs/Point"}
        assert schema["required"] == ["result"]
        assert "title" not in json.dumps(schema)

    def test_nothing_is_promised(self) -> None:
        def anything() -> Any: ...
        def envelope() -> SuccessResult: ...
        def missing() -> Missing: ...
        def silent(): ...

        for function in (anything, envelope, missing, silent):
            assert schema_for(function).output_schema is None

    def test_a_queued_command_has_none_here(self) -> None:
        def work() -> int: ...

        assert schema_for(work, use_queue=True).output_schema is None
        assert schema_for(work).output_schema == {
            "type": "object",
            "properties": {"result": {"type": "integer"}},
            "required": ["result"],
        }


class TestValidate:
    @staticmethod
    def schema() -> CommandSchema:
        def work(
            root: Path,
            depth: Annotated[int, Field(ge=1)] = 3,
            tags: list[str] | None = None,
            mode: Literal["fast", "slow"] = "fast",
            limit: int | str = 1,
            config: Config | None = None,
        ): ...

        return schema_for(work)

    def test_only_what_was_given_comes_back_coerced(self) -> None:
        params = {"depth": "4", "root": "r", "config": {"rate": 1}}
        expected = {"depth": 4, "root": "r", "config": {"rate": 1}}
        assert self.schema().validate(params) == expected
        assert list(self.schema().validate(params)) == list(params)

    def test_python_values_become_json(self) -> None:
        validated = self.schema().validate({"root": Path("r"), "config": Config(rate=1)})
        assert validated == {"root": "r", "config": {"rate": 1.0}}
        assert json.loads(json.dumps(validated)) == validated

    @pytest.mark.parametrize(
        ("params", "shown"),
        [([1], "[1]"), ("root", '"root"'), (None, "null"), (5, "5"), ([1] * 999, "[1, 1")],
    )
    def test_what_is_no_object(self, params: Any, shown: str) -> None:
        message = str(refusal(self.schema(), params))
        assert message.startswith(f"Wrong parameters for 'work': an object is needed, got {shown}")
        assert len(message) < 150

    def test_missing_and_unknown_with_a_near_match(self) -> None:
        assert str(refusal(self.schema(), {"roots": "r", "qqq": 1})) == (
            "Wrong parameters for 'work': 'root' is missing; "
            "'roots' is unknown, did you mean 'root'?; 'qqq' is unknown."
        )

    def test_wrong_values_are_named_and_shown(self) -> None:
        params = {"root": "r", "depth": 0, "tags": "a,b", "mode": "quick"}
        assert str(refusal(self.schema(), params)) == (
            "Wrong parameters for 'work': 'depth' should be greater than or equal to 1, got 0; "
            "'tags' should be a valid array, got \"a,b\"; "
            "'mode' should be 'fast' or 'slow', got \"quick\"."
        )

    def test_places_inside_a_value(self) -> None:
        params = {"root": "r", "tags": ["a", 7], "config": {"rate": "x", "more": 1}}
        message = str(refusal(self.schema(), params))
        assert "'tags[1]' should be a valid string, got 7" in message
        assert "'config.rate' should be a valid number" in message
        assert "'config.more' is unknown" in message

    def test_a_union_is_one_problem(self) -> None:
        assert str(refusal(self.schema(), {"root": "r", "limit": [1]})) == (
            "Wrong parameters for 'work': 'limit' should be integer | string, got [1]."
        )

    def test_long_values_are_shortened(self) -> None:
        error = refusal(self.schema(), {"root": "r", "depth": "x" * 10_000, "y" * 10_000: 1})
        assert len(str(error)) < 500
        assert "…" in str(error)

    def test_at_most_five_problems_are_listed(self) -> None:
        message = str(refusal(self.schema(), {f"wrong{i}": 1 for i in range(9)}))
        assert message.count(";") == 5
        assert message.endswith("and 5 more.")

    def test_the_hint_says_what_is_allowed(self) -> None:
        assert refusal(self.schema(), {}).hint == (
            "work takes root: string (path) (required), depth: integer >= 1 = 3, "
            'tags: array of string | null = null, mode: "fast" | "slow" = "fast", '
            "limit: integer | string = 1, config: object | null = null."
        )

    def test_the_hint_where_there_are_no_or_any_parameters(self) -> None:
        def none(): ...
        def some(root: str, **more: Any): ...

        assert refusal(schema_for(none), {"x": 1}).hint == "work takes no parameters."
        hint = refusal(schema_for(some), {}).hint
        assert hint == "work takes root: string (required), and any other name."

    def test_a_validator_of_the_authors_speaks_for_itself(self) -> None:
        def even(value: int) -> int:
            if value % 2:
                raise ValueError("only even numbers")
            return value

        def work(value: int): ...

        work.__annotations__ = {"value": Annotated[int, AfterValidator(even)]}
        message = str(refusal(schema_for(work), {"value": 3}))
        assert "'value' is wrong: only even numbers, got 3." in message

    def test_braces_in_values_do_no_harm(self) -> None:
        assert "{oops}" in str(refusal(self.schema(), {"root": "r", "depth": "{oops}"}))

    def test_names_that_are_no_strings(self) -> None:
        assert "'7' is unknown" in str(refusal(self.schema(), {"root": "r", 7: 1}))

    def test_what_cannot_be_written_as_json(self) -> None:
        def work(value: Any): ...

        with pytest.raises(InvalidParamsError, match="written as JSON"):
            schema_for(work).validate({"value": object()})

    def test_strict_types_take_what_their_schema_says(self) -> None:
        def work(day: Annotated[dt.date, Strict()]): ...

        schema = schema_for(work)
        assert schema.validate({"day": "2024-01-02"}) == {"day": "2024-01-02"}
        assert schema.call_arguments({"day": "2024-01-02"}) == {"day": dt.date(2024, 1, 2)}

    def test_a_secret_survives_the_way_to_the_worker(self) -> None:
        def work(token: SecretStr): ...

        sent = schema_for(work).validate({"token": "abc"})
        assert python_arguments(work, sent)["token"].get_secret_value() == "abc"


class TestPythonArguments:
    def test_json_becomes_what_the_annotations_say(self) -> None:
        def work(root: Path, color: Color, point: Point, day: dt.date, ids: set[int], n: int = 1):
            """Not called."""

        params = {"root": "r", "color": "blue", "point": {"x": 1}, "day": "2024-01-02", "ids": [1]}
        assert python_arguments(work, params) == {
            "root": Path("r"),
            "color": Color.BLUE,
            "point": Point(1),
            "day": dt.date(2024, 1, 2),
            "ids": {1},
        }

    def test_an_execute_bound_or_not(self) -> None:
        class Work(Command):
            def execute(self, root: Path, job: Job, **more: Any): ...

        for execute in (Work.execute, Work().execute):
            assert python_arguments(execute, {"root": "r", "x": 1}) == {"root": Path("r"), "x": 1}

    def test_wrong_values_are_refused(self) -> None:
        def work(color: Color): ...

        with pytest.raises(InvalidParamsError, match="'color'"):
            python_arguments(work, {"color": "green"})


def test_a_schema_is_built_once() -> None:
    def work(root: str): ...

    info = CommandInfo("work", work)
    assert schema_of(info) is schema_of(info)
    assert schema_of(CommandInfo("work", work)) is not schema_of(info)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def plain_work(
    text: str = "",
    number: int = 0,
    ratio: float = 0.0,
    flag: bool = False,
    items: list[Any] | None = None,
    table: dict[str, Any] | None = None,
    anything: Any = None,
): ...


def typed_work(
    root: Path = Path(),
    color: Color = Color.RED,
    point: Point | None = None,
    day: dt.date | None = None,
    ids: set[int] | None = None,
    key: uuid.UUID | None = None,
    pair: tuple[int, str] | None = None,
): ...


PLAIN_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(),
        "number": st.integers(-(2**53), 2**53),
        "ratio": st.floats(allow_nan=False),
        "flag": st.booleans(),
        "items": st.none() | st.lists(JSON, max_size=3),
        "table": st.none() | st.dictionaries(st.text(), JSON, max_size=3),
        "anything": JSON,
    },
)
TYPED_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "root": st.text("abc/.", min_size=1).map(Path),
        "color": st.sampled_from(Color),
        "point": st.builds(Point, st.integers(), st.integers()),
        "day": st.dates(),
        "ids": st.sets(st.integers()),
        "key": st.uuids(),
        "pair": st.tuples(st.integers(), st.text()),
    },
)


@given(PLAIN_VALUES)
def test_plain_json_passes_unchanged(params: dict[str, Any]) -> None:
    schema = schema_for(plain_work)
    assert schema.validate(params) == params
    assert schema.call_arguments(params) == params


@given(TYPED_VALUES)
def test_python_values_survive_the_way_through_json(params: dict[str, Any]) -> None:
    sent = json.loads(json.dumps(schema_for(typed_work).validate(params)))
    assert python_arguments(typed_work, sent) == params
    assert schema_for(typed_work).validate(sent) == sent


@given(
    st.sampled_from([plain_work, typed_work]),
    JSON
    | st.dictionaries(st.sampled_from(["text", "number", "items", "root", "point", "pair"]), JSON),
)
def test_any_json_is_accepted_or_refused_in_words(function: Any, params: Any) -> None:
    schema = schema_for(function)
    try:
        validated = schema.validate(params)
    except InvalidParamsError as error:
        refused = error
    else:
        given = [name for name in params if name in validated or params[name] is not None]
        assert list(validated) == given  # null may count as left out
        again = python_arguments(function, json.loads(json.dumps(validated)))
        assert list(again) == given
        return
    assert len(refused.message) < 2000
    assert refused.hint.startswith("work takes ")
