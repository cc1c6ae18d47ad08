"""What may be given as a job, and why something else is refused."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_queue import Command, CommandExecutionJob, QueueJobBase, command
from mcp_queue.commands import loading
from mcp_queue.commands.catalog import registry
from mcp_queue.commands.intake import intake
from mcp_queue.errors import (
    CommandNotFoundError,
    InvalidCommandError,
    InvalidJobClassError,
    InvalidParamsError,
    NotGuardedError,
)
from mcp_queue.manager import job_calls, job_params


class Works(QueueJobBase):
    class Nested(QueueJobBase):
        def run(self) -> None: ...

    def run(self) -> None: ...


class Yields(QueueJobBase):
    def run(self) -> Iterator[int]:
        yield 1


class NoRun(QueueJobBase):
    pass


class Replaced(QueueJobBase):
    def run(self) -> None: ...


Original = Replaced
globals()["Replaced"] = Works


@pytest.fixture(autouse=True)
def catalog_as_before() -> Iterator[None]:
    before = set(registry.names())
    yield
    for name in set(registry.names()) - before:
        registry.unregister(name)


def call_of(job_class: Any, params: Any = None) -> tuple[str, str, dict[str, Any]]:
    info, call = job_calls.of(job_class, {} if params is None else params)
    return info.name, info.job_type, json.loads(call.call)


def test_a_class_goes_by_its_import_path_and_is_its_own_type() -> None:
    assert call_of(Works) == (
        "Works",
        "Works",
        {"source": {"module": __name__}, "job_class": "Works", "also_load": []},
    )
    assert call_of(Works.Nested)[2]["job_class"] == "Works.Nested"


def test_a_class_of_a_loaded_file_goes_by_the_path(tmp_path: Path) -> None:
    path = tmp_path / "authored_jobs.py"
    path.write_text(
        "from mcp_queue import QueueJobBase\n"
        "class FromFile(QueueJobBase):\n    def run(self): ...\n"
    )
    found = loading.resolve_class({"file": str(path)}, "FromFile")
    try:
        assert call_of(found)[2]["source"] == {"file": str(path)}
    finally:
        del sys.modules[found.__module__]
        sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("form", ["name", "function"])
def test_a_command_is_given_by_name_or_itself(form: str) -> None:
    @command(use_queue=True)
    def given_as_a_job(n: int) -> int:
        return n

    name, job_type, call = call_of("given_as_a_job" if form == "name" else given_as_a_job, {"n": 1})
    assert (name, job_type) == ("given_as_a_job", "given_as_a_job")
    assert call["source"] == {"module": __name__}


def test_a_command_class_is_given_as_itself() -> None:
    class Given(Command):
        name = "given"

        def execute(self) -> None: ...

    class Unnamed(Given): ...

    assert call_of(Given)[0] == "given"
    with pytest.raises(InvalidJobClassError, match="nor is a command with a name"):
        call_of(Unnamed)


def local_class() -> type[QueueJobBase]:
    class Local(QueueJobBase):
        def run(self) -> None: ...

    return Local


def typed_in() -> type[QueueJobBase]:
    scope = {"QueueJobBase": QueueJobBase, "__name__": __name__}
    code = "class Typed(QueueJobBase):\n    def run(self): ..."
    exec(compile(code, "<python-input-3>", "exec"), scope)
    return scope["Typed"]  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda: lambda: None, "it is a lambda"),
        (local_class, "Local cannot be run as a job: it is defined inside a function"),
        (typed_in, "in an interactive session or with python -c"),
        (lambda: Original, "has another thing under this name"),
        (lambda: NoRun, "NoRun cannot be run as a job: it has no run method"),
        (lambda: Yields, "its run yields"),
        (lambda: Works("j", {}), "it is a job already made"),
        (lambda: print, "it is a function that is no command"),
        (lambda: dict, "neither derives from QueueJobBase"),
        (lambda: None, "it is neither a class derived from QueueJobBase"),
        (lambda: 5, "it is neither a class derived from QueueJobBase"),
    ],
)
def test_what_no_worker_could_find_is_refused_with_the_reason(
    given: Callable[[], Any], reason: str
) -> None:
    with pytest.raises(InvalidJobClassError, match=reason) as refusal:
        call_of(given())
    assert "top level" in refusal.value.hint


def test_in_a_session_without_a_file_there_is_nothing_to_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with ``python -c``: the main module has neither a file nor an import path."""
    main = types.ModuleType("__main__")
    main.__dict__["Works"] = Works
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(Works, "__module__", "__main__")
    with pytest.raises(InvalidJobClassError, match="with python -c"):
        call_of(Works)

    def no_file() -> None: ...

    no_file.__module__ = "__main__"
    command(use_queue=True)(no_file)
    with pytest.raises(InvalidCommandError, match="with python -c"):
        call_of("no_file")


def test_a_command_execution_job_counts_as_its_command() -> None:
    @command(use_queue=True, timeout=7)
    def inner(n: int) -> int:
        return n

    params = {"command": "inner", "params": {"n": 1, "duration": 5}}
    info, call = job_calls.of(CommandExecutionJob, params)
    assert (info.name, info.job_type, info.timeout) == ("inner", "inner", 7)
    assert json.loads(call.params) == params
    assert json.loads(call.call) == {
        "source": {"module": "mcp_queue.commands.classic"},
        "job_class": "CommandExecutionJob",
        "also_load": [{"module": __name__}],
    }
    with pytest.raises(InvalidParamsError, match="'n' is missing"):
        call_of(CommandExecutionJob, {"command": "inner"})
    with pytest.raises(CommandNotFoundError, match="Did you mean 'inner'"):
        call_of(CommandExecutionJob, {"command": "iner"})


def test_only_the_worker_knows_what_modules_bring() -> None:
    params = {"command": "unknown_here", "auto_import_modules": ["no_matter"]}
    name, job_type, call = call_of(CommandExecutionJob, params)
    assert (name, job_type, call["also_load"]) == ("unknown_here", "unknown_here", [])


def cycle() -> dict[str, Any]:
    value: dict[str, Any] = {"inside": []}
    value["inside"].append(value)
    return value


def deep() -> dict[str, Any]:
    value: Any = None
    for _ in range(100_000):
        value = [value]
    return {"deep": value}


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"a": [1, {"b": object()}]}, r"params\['a'\]\[1\]\['b'\]: JSON cannot hold .* object"),
        ({"path": Path("x")}, r"params\['path'\]: .* pathlib.\w+"),
        ({"a": {1: "one"}}, r"params\['a'\]: the key 1 is of type int, not text"),
        ({"a": (1, b"x")}, r"params\['a'\]\[1\]: JSON cannot hold .* bytes"),
        ({"f": lambda: 1}, r"params\['f'\]: .* function"),
        ({"a": float("nan")}, r"params\['a'\]: nan is no JSON number"),
        ({"a": [float("-inf")]}, r"params\['a'\]\[0\]: -inf is no JSON number"),
        (cycle(), r"params\['inside'\]\[0\]: it contains itself"),
        (deep(), "nested more than 200 deep"),
        ({"a": 10**10_000}, "digits"),
        ([1], r"params are a dict, got \[1\]"),
        ("text", "params are a dict, got 'text'"),
    ],
)
def test_params_that_json_would_change_are_refused_with_their_place(
    params: Any, problem: str
) -> None:
    with pytest.raises(InvalidParamsError, match=problem) as refusal:
        job_calls.of(Works, params)
    assert "JSON" in refusal.value.hint


def test_a_value_that_a_command_lets_through_is_refused_with_its_place() -> None:
    @command(use_queue=True)
    def anything(x: float) -> None: ...

    with pytest.raises(InvalidParamsError, match=r"params\['x'\]: nan is no JSON number"):
        call_of("anything", {"x": float("nan")})


def test_what_json_can_hold_arrives_as_it_is() -> None:
    shared = [1]
    params = {"a": [None, True, 1.5, "half \ud800 a pair", {"b": shared, "c": shared}], "t": (1,)}
    text = job_params.to_json("Works", params)
    assert json.loads(text) == {**params, "t": [1]}
    text.encode()


def test_a_queue_is_not_opened_by_a_module_that_is_being_loaded() -> None:
    intake.source = {"file": "/a/script.py"}
    try:
        with pytest.raises(NotGuardedError, match=r"/a/script\.py") as refusal:
            job_calls.refuse_while_loading()
    finally:
        intake.source = None
    assert '__name__ == "__main__"' in refusal.value.hint
    job_calls.refuse_while_loading()
