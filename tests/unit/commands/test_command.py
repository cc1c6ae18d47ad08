"""Defining commands, as functions and as classes."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest

from mcp_queue.commands.catalog import registry
from mcp_queue.commands.command import Command, command
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.results import SuccessResult
from mcp_queue.errors import InvalidCommandError

# What a worker must not pay for at its start.
HEAVY = {
    "asyncio",
    "dataclasses",
    "inspect",
    "logging",
    "mcp",
    "pathlib",
    "pydantic",
    "re",
    "subprocess",
    "traceback",
    "typing",
}


def info_of(defined: Any) -> CommandInfo:
    return defined.__mcp_queue__


def test_a_bare_decorator_registers_the_function_under_its_name() -> None:
    @command
    def greet(name: str) -> str:
        """Say hello."""
        return f"hello {name}"

    info = registry.get("greet")
    assert greet("you") == "hello you"
    assert info is info_of(greet)
    assert (info.target, info.parameters_of, info.is_class) == (greet, greet, False)
    assert (info.description, info.title, info.job_type) == ("Say hello.", "Greet", "greet")
    assert (info.use_queue, info.timeout, info.task) == (False, None, "optional")
    assert info.source == {"module": __name__}


def test_options_are_kept() -> None:
    @command(
        name="train.v2",
        use_queue=True,
        timeout=1.5,
        task="required",
        title="Train it",
        description="Trains.",
        read_only=False,
        destructive=True,
    )
    def train() -> None:
        """Not shown."""

    info = registry.get("train.v2")
    assert (info.use_queue, info.timeout, info.task) == (True, 1.5, "required")
    assert (info.title, info.description) == ("Train it", "Trains.")
    assert (info.read_only, info.destructive) == (False, True)
    assert info.docstrings == ["Not shown."]
    assert info_of(train) is info


def test_a_title_is_made_of_the_name() -> None:
    @command
    def search_code() -> None: ...

    assert info_of(search_code).title == "Search code"


@pytest.mark.parametrize("name", ["", "two words", "ä", "a/b", "x" * 129, 7, "a\n"])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidCommandError, match="a name"):
        command(name=name)(lambda: None)


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(InvalidCommandError, match="lambda"):
        command(lambda: None)


@pytest.mark.parametrize(
    ("given", "limit"),
    [(None, None), (1, 1), ("2GiB", 2**31), (" 1.5 kB ", 1500), ("512", 512), ("1 TiB", 2**40)],
)
def test_a_memory_limit_is_bytes_or_a_text(given: Any, limit: int | None) -> None:
    info = CommandInfo("x", lambda: None, memory_limit=given)
    assert info.memory_limit == limit


@pytest.mark.parametrize("given", [0, -1, 1.5, True, "", "GiB", "2 XB", "-1MB", "inf", "nanMB"])
def test_what_is_no_memory_limit_is_refused(given: Any) -> None:
    with pytest.raises(InvalidCommandError, match="memory_limit is None or bytes"):
        command(name="x", memory_limit=given)(lambda: None)


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "3", None])
def test_max_attempts_is_a_whole_number_from_one(attempts: Any) -> None:
    with pytest.raises(InvalidCommandError, match="max_attempts is a whole number from 1"):
        command(name="x", max_attempts=attempts)(lambda: None)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_timeout_is_a_positive_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(InvalidCommandError, match="timeout is a positive number of seconds"):
        command(name="x", timeout=timeout)(lambda: None)


def test_other_options_are_checked() -> None:
    bad: Any = "sometimes"
    with pytest.raises(InvalidCommandError, match=r"task is one of .* got 'sometimes'"):
        command(name="x", task=bad)(lambda: None)
    with pytest.raises(InvalidCommandError, match="use_queue is True or False"):
        command(name="x", use_queue=bad)(lambda: None)
    with pytest.raises(InvalidCommandError, match="needs use_queue=True"):
        command(name="x", task="required")(lambda: None)
    assert registry.names() == []


def test_only_functions_are_decorated() -> None:
    not_a_function: Any = 5
    with pytest.raises(InvalidCommandError, match="derives from Command"):
        command(not_a_function)
    with pytest.raises(InvalidCommandError, match="derives from Command"):
        command(dict)


def test_a_generator_is_no_command() -> None:
    def lines() -> Any:
        yield 1

    async def rows() -> Any:
        yield 1

    for function in (lines, rows):
        with pytest.raises(InvalidCommandError, match="it yields"):
            command(function)


def test_the_same_definition_replaces_its_former_self() -> None:
    def define() -> Any:
        @command
        def again() -> None: ...

        return again

    define()
    second = define()
    assert registry.get("again").target is second


def test_a_class_with_a_name_registers() -> None:
    class Analyze(Command):
        """The class."""

        name = "analyze"
        use_queue = True
        timeout = 60

        async def execute(self, root: str) -> SuccessResult:
            """The method."""
            return SuccessResult(root)

    info = registry.get("analyze")
    assert (info.target, info.parameters_of, info.is_class) == (Analyze, Analyze.execute, True)
    assert (info.use_queue, info.timeout) == (True, 60)
    assert info.description == "The class."
    assert info.docstrings == ["The method.", "The class."]


def test_descr_wins_over_docstrings() -> None:
    class Analyze(Command):
        """The class."""

        name = "analyze"
        descr = "The words for the agent."

        def execute(self) -> None: ...

    assert info_of(Analyze).description == "The words for the agent."


def test_the_docstring_of_execute_counts_if_the_class_has_none() -> None:
    class Analyze(Command):
        name = "analyze"

        def execute(self) -> None:
            """The method."""

    assert info_of(Analyze).description == "The method."


def test_a_class_without_a_name_is_a_base_for_others() -> None:
    class Base(Command):
        use_queue = True

        def execute(self) -> str:
            return self.name

    class First(Base):
        name = "first"

    class Second(First):
        pass

    assert registry.names() == ["first"]
    assert registry.get("first").target is First
    assert registry.get("first").use_queue
    assert issubclass(Second, First)


def test_a_class_without_execute_is_refused() -> None:
    with pytest.raises(InvalidCommandError, match="Empty has no execute"):
        type("Empty", (Command,), {"name": "empty"})


async def test_run_awaits_an_async_execute() -> None:
    class Add(Command):
        name = "add"

        async def execute(self, a: int, b: int = 1) -> int:
            return a + b

    assert await Add.run(a=2) == 3


async def test_run_takes_a_sync_execute() -> None:
    class Add(Command):
        name = "add"

        def execute(self, a: int, **more: int) -> int:
            return a + sum(more.values())

    assert await Add.run(a=2, b=5, context={"user": "me"}) == 7


async def test_context_reaches_an_execute_that_names_it() -> None:
    class Who(Command):
        name = "who"

        def execute(self, *, context: dict[str, Any] | None) -> Any:
            return context

    assert await Who.run(context={"user": "me"}) == {"user": "me"}
    assert await Who.run() is None


def test_commands_of_a_script_are_found_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    main = types.ModuleType("__main__")
    main.__file__ = __file__
    monkeypatch.setitem(sys.modules, "__main__", main)

    def scripted() -> None: ...

    scripted.__module__ = "__main__"
    assert info_of(command(scripted)).source == {"file": __file__}

    del main.__file__
    assert info_of(command(scripted)).source == {}

    main.__spec__ = types.SimpleNamespace(name="pkg.__main__")  # pyright: ignore[reportAttributeAccessIssue]
    assert info_of(command(scripted)).source == {"module": "pkg.__main__"}


def test_the_author_side_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import mcp_queue;"
        "from mcp_queue.commands import command, results, job, catalog, loading;"
        "command.command(name='x')(lambda: None);"
        "print(*sorted(set(sys.modules) - before))"
    )
    # -S keeps out what the machine's site packages import by themselves.
    python = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
    imported = subprocess.run(python, check=True, capture_output=True, text=True).stdout.split()
    assert "mcp_queue.commands.command" in imported
    assert HEAVY.isdisjoint(imported), imported
