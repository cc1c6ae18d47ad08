"""What job classes report becomes the outcome of the job."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mcp_queue.commands.classic import CommandExecutionJob, QueueJobBase
from mcp_queue.commands.command import Command, command
from mcp_queue.commands.job import Job, Sink
from mcp_queue.commands.results import SuccessResult
from support.guards import GUARD


class Recorder(Sink):
    def __init__(self) -> None:
        self.events: list[tuple[float | None, str | None]] = []
        self.stop = False

    def progress(self, percent: float | None, description: str | None) -> None:
        self.events.append((percent, description))

    def log(self, line: str) -> None: ...

    def stopping(self) -> bool:
        return self.stop


class Calls(QueueJobBase):
    def run(self) -> Any:
        for name, *arguments in self.mcp_params["calls"]:
            getattr(self, name)(*arguments)
        return self.mcp_params.get("returns")


def outcome(*calls: tuple[Any, ...], **params: Any) -> tuple[dict[str, object], Any]:
    job = Job("a-job", 1, Recorder())
    return Calls.run_in_worker({"calls": calls, **params}, job, run_async=lambda a: a)


COMPLETED = {"status": "completed"}


def failed(message: str, status: str = "failed") -> dict[str, object]:
    return {
        "status": status,
        "reported": True,
        "error_code": "reported",
        "error_message": message,
    }


ERROR_RESULT = {"status": "error", "message": "no good"}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], (COMPLETED, None)),
        ([("set_mcp_result", {"n": 1})], (COMPLETED, {"n": 1})),
        ([("set_mcp_result", {"n": 1}, "success")], (COMPLETED, {"n": 1})),
        ([("set_result", [1])], (COMPLETED, [1])),
        ([("set_status", "completed")], (COMPLETED, None)),
        ([("set_status", "running")], (COMPLETED, None)),
        ([("set_status", "no such")], (COMPLETED, None)),
        ([("set_status", "stopped")], ({"status": "stopped", "reported": True}, None)),
        ([("set_status", "FAILED")], (failed("the job set its status to failed"), None)),
        (
            [("set_description", "half done"), ("set_status", "failed")],
            (failed("half done"), None),
        ),
        ([("set_status", "failed"), ("set_status", "running")], (COMPLETED, None)),
        ([("set_mcp_error", "no good")], (failed("no good"), ERROR_RESULT)),
        ([("set_mcp_error", "no good", "error")], (failed("no good"), ERROR_RESULT)),
        ([("set_mcp_error", "no good", "no such")], (failed("no good"), ERROR_RESULT)),
        (
            [("set_mcp_error", "no good", "stopped")],
            (failed("no good", "stopped"), ERROR_RESULT),
        ),
        ([("set_mcp_error", "no good"), ("set_mcp_result", 1)], (COMPLETED, 1)),
        (
            [("set_mcp_result", {"error": "no file", "status": "failed"})],
            (failed("no file"), {"error": "no file", "status": "failed"}),
        ),
        (
            [("set_mcp_result", {"n": 1, "status": "failed"}, "completed")],
            (COMPLETED, {"n": 1, "status": "failed"}),
        ),
        # Only of failures is the word taken: other words may be about what the result describes.
        (
            [("set_mcp_result", {"container": 1, "status": "stopped"})],
            (COMPLETED, {"container": 1, "status": "stopped"}),
        ),
    ],
)
def test_the_last_word_counts_when_run_returns(
    calls: list[tuple[Any, ...]], expected: tuple[dict[str, object], Any]
) -> None:
    assert outcome(*calls) == expected


def test_what_run_returns_is_the_result_unless_one_was_set() -> None:
    assert outcome(returns=7) == (COMPLETED, 7)
    assert outcome(("set_mcp_result", 1), returns=7) == (COMPLETED, 1)


def test_progress_and_description_reach_the_sink_at_once() -> None:
    sink = Recorder()
    calls = [
        ("set_progress", 250),
        ("set_description", "x" * 2000),
        ("set_mcp_result", {"description": "from the result"}),
        ("set_mcp_error", "from the error"),
    ]
    Calls.run_in_worker({"calls": calls}, Job("a-job", 1, sink), run_async=lambda a: a)
    assert sink.events == [
        (100.0, None),
        (None, "x" * 1024),
        (None, "from the result"),
        (None, "from the error"),
    ]


class Hooks(QueueJobBase):
    def __init__(self, job_id: str, params: dict[str, Any]) -> None:
        super().__init__(job_id, params)
        self.called: list[str] = params["called"]

    def on_start(self) -> None:
        self.called.append("on_start")

    def execute(self) -> None:
        self.called.append("execute")
        if self.params.get("fails"):
            raise ValueError("no good")

    def on_end(self) -> None:
        self.called.append("on_end")

    def on_stop(self) -> None:
        self.called.append("on_stop")

    def on_error(self, exc: Exception) -> None:
        self.called.append(f"on_error {exc}")


def run_hooks(sink: Recorder, **params: Any) -> list[str]:
    called: list[str] = []
    Hooks.run_in_worker({"called": called, **params}, Job("j", 1, sink), run_async=lambda a: a)
    return called


def test_hooks_are_called_around_the_work() -> None:
    sink = Recorder()
    assert run_hooks(sink) == ["on_start", "execute", "on_end"]
    sink.stop = True
    assert run_hooks(sink) == ["on_start", "execute", "on_stop"]


def test_a_hook_hears_of_an_error_that_fails_the_job_all_the_same() -> None:
    called: list[str] = []
    with pytest.raises(ValueError, match="no good"):
        Hooks.run_in_worker(
            {"called": called, "fails": True}, Job("j", 1, Recorder()), run_async=lambda a: a
        )
    assert called == ["on_start", "execute", "on_error no good"]


def test_stopping_follows_the_job_and_may_be_an_attribute_of_a_subclass() -> None:
    sink = Recorder()
    made = Calls("a-job", {})
    assert made.stopping is False
    made._job = Job("a-job", 1, sink)
    sink.stop = True
    assert made.stopping is True
    made.stopping = False
    assert made.stopping is False


def test_a_job_made_by_hand_reports_to_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    job = Calls("by-hand", {"calls": [("set_progress", 5), ("set_mcp_error", "no good")]})
    assert job.run() is None
    assert (job.job_id, job.mcp_params, job.params) == ("by-hand", job.params, job.mcp_params)
    assert "ERROR no good" in capfd.readouterr().err


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Calls' object has no attribute 'loger'"):
        _ = Calls("j", {}).loger  # pyright: ignore[reportAttributeAccessIssue]


def test_without_run_there_is_nothing_to_run() -> None:
    with pytest.raises(NotImplementedError, match="QueueJobBase has no run method"):
        QueueJobBase("j", {}).run()


def run_command(**params: Any) -> tuple[dict[str, object], Any]:
    job = Job("a-job", 1, Recorder())

    def refuse(_awaitable: Any) -> Any:
        raise AssertionError("nothing to await")

    return CommandExecutionJob.run_in_worker(params, job, run_async=refuse)


def test_a_command_execution_job_calls_the_command() -> None:
    class Tell(Command):
        name = "tell"

        def execute(
            self, what: int, context: dict[str, Any] | None = None, **kwargs: Any
        ) -> SuccessResult:
            return SuccessResult({"what": what, "context": context, "more": kwargs})

    fields, result = run_command(
        command="tell", params={"what": "5", "also": 1}, context={"user": "u"}
    )
    assert fields == COMPLETED
    assert result.data == {"what": 5, "context": {"user": "u"}, "more": {"also": 1}}
    assert run_command(command="tell", params={"what": 1})[1].data["context"] == {}


def test_a_command_execution_job_gives_the_job_to_the_command() -> None:
    @command
    def told(*, job: Job) -> str:
        return job.job_id

    assert run_command(command="told") == (COMPLETED, "a-job")


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"command": "no_such"}, "import_error", "No command is named 'no_such'"),
        (
            {"command": "x", "auto_import_modules": ["no_such_module"]},
            "import_error",
            "no_such_module",
        ),
        ({}, "invalid_params", "command must be the name of a command, got None"),
        ({"command": "x", "params": [1]}, "invalid_params", "params must be an object"),
        ({"command": "x", "context": 1}, "invalid_params", "context must be an object"),
        (
            {"command": "x", "auto_import_modules": "x"},
            "invalid_params",
            "auto_import_modules must be a list of modules, got 'x'",
        ),
        (
            {"command": "x", "auto_import_modules": [1]},
            "invalid_params",
            "auto_import_modules must be a list of modules, got [1]",
        ),
    ],
)
def test_a_command_that_cannot_be_called_is_an_error_with_its_reason(
    params: dict[str, Any], code: str, message: str
) -> None:
    fields, _ = run_command(**params)
    assert (fields["status"], fields["error_code"]) == ("failed", code)
    assert message in str(fields["error_message"])


def test_wrong_params_of_the_command_are_named() -> None:
    @command
    def wants_a_number(n: int) -> int:
        return n

    fields, _ = run_command(command="wants_a_number", params={"n": "many"})
    assert (fields["status"], fields["error_code"]) == ("failed", "invalid_params")
    assert '"many"' in str(fields["error_message"])


def test_a_command_need_not_take_what_paces_its_job() -> None:
    @command
    def quick(n: int) -> int:
        return n

    @command
    def paced(duration: int, steps: int) -> int:
        return duration * steps

    pace = {"duration": 600, "steps": 3}
    assert run_command(command="quick", params={"n": 1, **pace}) == (COMPLETED, 1)
    assert run_command(command="paced", params=pace) == (COMPLETED, 1800)


def test_defining_a_job_costs_a_worker_no_import_of_weight() -> None:
    code = (
        "import sys; before = set(sys.modules); import mcp_queue.commands.classic\n"
        "class J(mcp_queue.commands.classic.QueueJobBase):\n    def run(self): ...\n"
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('mcp_queue')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=GUARD
    )
    assert done.stdout.split() == ["__future__"]
