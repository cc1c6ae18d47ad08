"""Every way of giving a job, and what a job class reports, through real workers."""

from __future__ import annotations

import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue import CommandExecutionJob, execute_command
from mcp_queue.errors import InvalidParamsError
from support import job_classes
from support.processes import GUARD
from support.queues import done, until

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_queue import JobRecord, QueueManager
    from support.processes import Lifelines


async def started(queue: QueueManager, job_class: Any, **params: Any) -> JobRecord:
    job_id = str(uuid.uuid4())
    added = await queue.add_job(job_class, job_id, params)
    assert (added.job_id, added.status, added.queued) == (job_id, "pending", False)
    return await queue.start_job(job_id)


async def run(queue: QueueManager, job_class: Any, **params: Any) -> JobRecord:
    return await done(queue, await started(queue, job_class, **params))


async def test_a_class_of_a_module_runs_in_a_worker(queue: QueueManager) -> None:
    job = await run(queue, job_classes.Doubles, numbers=[1, 2])
    assert (job.status, job.command, job.result) == ("completed", "Doubles", {"doubled": [2, 4]})
    assert (job.progress, job.description, job.error) == (100.0, "number 2", None)
    logs = await queue.get_job_logs(job.job_id)
    assert (logs["stdout"], logs["stdout_lines"], logs["stderr_lines"]) == ([], 0, 1)
    assert logs["stderr"][0].endswith("INFO doubling 2 numbers")
    assert [found.job_id for found in await queue.list_jobs()] == [job.job_id]


async def test_run_may_be_a_coroutine(queue: QueueManager) -> None:
    job = await run(queue, job_classes.Awaits)
    assert job.result == {"job_id": job.job_id}


async def test_a_class_inside_a_class_is_found(queue: QueueManager) -> None:
    assert (await run(queue, job_classes.Outer.Inner)).result == "from inside"


async def test_a_command_is_given_by_name_or_by_its_class(queue: QueueManager) -> None:
    expected = {"success": True, "data": {"what": "x", "context": None, "more": {}}}
    for given in ("describe_call", job_classes.DescribeCommand):
        job = await run(queue, given, what="x")
        assert (job.command, job.result) == ("describe_call", expected)


async def test_an_error_set_ends_the_job_when_run_returns(
    queue: QueueManager, lines: Lifelines
) -> None:
    calls = [("set_progress", [30]), ("set_mcp_error", ["no good"])]
    job = await started(queue, job_classes.Reports, calls=calls, port=lines.port)
    seen = await until(queue, job, lambda r: r.description == "no good")
    assert (seen.status, seen.progress, seen.error) == ("running", 30.0, None)
    await lines.arrive()
    lines.let_go()
    job = await done(queue, job)
    assert job.error is not None
    assert (job.status, job.error.code, str(job.error)) == ("failed", "reported", "no good")
    assert (job.description, job.result) == ("no good", {"status": "error", "message": "no good"})
    assert "ERROR no good" in (await queue.get_job_logs(job.job_id))["stderr"][0]


@pytest.mark.parametrize(
    ("calls", "status", "error"),
    [
        ([("set_status", ["completed"])], "completed", None),
        ([("set_status", ["stopped"])], "stopped", None),
        ([("set_mcp_error", ["enough", "stopped"])], "stopped", "enough"),
        ([("set_mcp_result", [{"status": "failed", "error": "bad"}])], "failed", "bad"),
        ([("set_mcp_result", [{"n": 1}, "failed"])], "failed", "the job set its status to failed"),
    ],
)
async def test_a_job_says_how_it_ends(
    queue: QueueManager, calls: list[Any], status: str, error: str | None
) -> None:
    job = await run(queue, job_classes.Reports, calls=calls)
    assert (job.status, job.error and str(job.error)) == (status, error)


async def test_an_exception_fails_the_job_whatever_was_set(queue: QueueManager) -> None:
    job = await run(
        queue, job_classes.Reports, calls=[("set_mcp_result", [{"n": 1}])], raises="no good"
    )
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "exception")
    assert str(job.error) == "ValueError: no good"


async def test_hooks_of_the_older_form_are_called(queue: QueueManager, lines: Lifelines) -> None:
    job = await started(queue, job_classes.HooksJob, port=lines.port)
    await until(queue, job, lambda r: r.description == "constructed")
    await lines.arrive()
    lines.let_go()
    job = await done(queue, job)
    assert (job.status, job.result) == ("completed", "executed")
    assert (await queue.get_job_logs(job.job_id))["stdout"] == ["on_start", "on_end"]

    job = await started(queue, job_classes.HooksJob, port=lines.port, fails=True)
    await lines.arrive()
    lines.let_go()
    job = await done(queue, job)
    assert job.error is not None
    assert str(job.error) == "RuntimeError: no good"
    assert "on_error no good" in (await queue.get_job_logs(job.job_id))["stderr"]


async def test_a_large_result_is_whole_in_the_status(queue: QueueManager) -> None:
    """A program that polls, as documented, reads ``status.result``."""
    numbers = list(range(5000))
    job = await run(queue, job_classes.Doubles, numbers=numbers)
    assert job.result == {"doubled": [2 * n for n in numbers]}
    assert (await queue.get_job_status(job.job_id)).result == job.result
    [listed] = await queue.list_jobs()
    assert (listed.result, listed.result_size) == (None, job.result_size)


async def test_a_job_id_is_text(queue: QueueManager) -> None:
    for wrong in (7, "", "../x"):
        with pytest.raises(InvalidParamsError, match="job_id cannot be"):
            await queue.add_job(job_classes.Doubles, wrong, {})  # pyright: ignore[reportArgumentType]


# ---------------------------------------------------------------- CommandExecutionJob


async def test_a_command_gets_its_params_and_its_context(queue: QueueManager) -> None:
    job = await run(
        queue,
        CommandExecutionJob,
        command="describe_call",
        params={"what": "x", "extra": 1},
        context={"user": "u"},
    )
    assert (job.status, job.command) == ("completed", "describe_call")
    assert job.result == {
        "success": True,
        "data": {"what": "x", "context": {"user": "u"}, "more": {"extra": 1}},
    }


async def test_an_error_result_of_the_command_fails_the_job(queue: QueueManager) -> None:
    job = await run(queue, CommandExecutionJob, command="describe_call", params={"what": "error"})
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "reported")
    assert str(job.error) == "nothing to describe"
    assert job.result["error"]["code"] == 404


async def test_modules_are_imported_in_the_worker_alone(
    queue: QueueManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "authored_late.py").write_text(
        "from mcp_queue import command\n"
        "@command\ndef only_in_workers(n: int) -> int:\n    return n + 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    modules = ["authored_late"]
    job = await run(
        queue,
        CommandExecutionJob,
        command="only_in_workers",
        params={"n": 1},
        auto_import_modules=modules,
    )
    assert (job.status, job.command, job.result) == ("completed", "only_in_workers", 2)
    assert "authored_late" not in sys.modules

    job = await run(queue, CommandExecutionJob, command="not_there", auto_import_modules=modules)
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "import_error")
    assert "No command is named 'not_there'" in str(job.error)

    job = await run(
        queue,
        CommandExecutionJob,
        command="only_in_workers",
        params={"n": "many"},
        auto_import_modules=modules,
    )
    assert job.error is not None
    assert job.error.code == "invalid_params"


async def test_progress_follows_the_clock(queue: QueueManager, lines: Lifelines) -> None:
    params = {"port": lines.port, "duration": 0.2, "steps": 4}
    job = await started(queue, CommandExecutionJob, command="takes_its_time", params=params)
    seen = await until(queue, job, lambda r: r.progress >= 90)
    assert (seen.progress, seen.description) == (90.0, "step 4 of 4")
    await lines.arrive()
    lines.let_go()
    job = await done(queue, job)
    assert (job.status, job.progress, job.result) == ("completed", 100.0, "done")


async def test_progress_follows_the_command_once_it_speaks(
    queue: QueueManager, lines: Lifelines
) -> None:
    params = {"port": lines.port, "report": 20, "duration": 2, "steps": 1000}
    job = await started(queue, CommandExecutionJob, command="takes_its_time", params=params)
    await lines.arrive()
    await until(queue, job, lambda r: r.progress > 0)
    lines.let_go()
    await until(queue, job, lambda r: r.description == "my own word")
    await lines.arrive()
    assert (await queue.get_job_status(job.job_id)).progress == 20.0
    lines.let_go()
    assert (await done(queue, job)).status == "completed"


async def test_a_queued_call_is_paced_too(queue: QueueManager) -> None:
    """Of a command that takes ``**kwargs`` and knows no ``duration``, as documented."""
    params = {"what": "x", "duration": 0.01, "steps": 1}
    handle = await execute_command("describe_call", params, manager=queue)
    job = await queue.wait_for_job(handle["job_id"], GUARD)
    assert job.result["data"]["more"] == {"duration": 0.01, "steps": 1}


async def test_a_stop_cancels_an_async_command(queue: QueueManager, lines: Lifelines) -> None:
    job = await started(
        queue, CommandExecutionJob, command="waits_for_ever", params={"port": lines.port}
    )
    await lines.arrive()
    job = await queue.stop_job(job.job_id)
    assert (job.status, job.error) == ("stopped", None)
    assert (await queue.get_job_logs(job.job_id))["stdout"] == ["tidied up"]


async def test_a_stop_reaches_a_job_class(queue: QueueManager, lines: Lifelines) -> None:
    job = await started(queue, job_classes.HooksJob, port=lines.port, until_stop=True)
    await lines.arrive()
    lines.let_go()
    await lines.arrive()
    job = await queue.stop_job(job.job_id)
    assert job.status == "stopped"


# ------------------------------------------------------------------------- scripts

SCRIPT = """
import asyncio, sys
from mcp_queue import (Command, CommandExecutionJob, QueueJobBase, QueueJobResult, SuccessResult,
    command, get_global_queue_manager, init_global_queue_manager, shutdown_global_queue_manager)

class InScript(QueueJobBase):
    def run(self):
        print("running as", __name__)
        self.set_mcp_result({"n": self.mcp_params["n"] + 1, "class": type(self).__qualname__})

class Measure(Command):
    name = "measure_in_script"
    use_queue = True
    async def execute(self, n: int, **kwargs) -> SuccessResult:
        return SuccessResult(data=n + 1)

async def outcome(queue, given, job_id, params):
    await queue.add_job(job_class=given, job_id=job_id, params=params)
    await queue.start_job(job_id)
    while (job := await queue.get_job_status(job_id)).status not in ("completed", "failed"):
        await asyncio.sleep(0.05)
    assert isinstance(job, QueueJobResult)
    print(job.status, job.result, job.error)

async def main():
    await init_global_queue_manager(max_concurrent_jobs=2)
    queue = await get_global_queue_manager()
    try:
        await outcome(queue, InScript, "one", {"n": 1})
        await outcome(queue, "measure_in_script", "two", {"n": 1})
        await outcome(queue, CommandExecutionJob, "three",
            {"command": "measure_in_script", "params": {"n": 1}})
    finally:
        await shutdown_global_queue_manager()

"""
GUARDED = SCRIPT + 'if __name__ == "__main__":\n    asyncio.run(main())\n'
OUTPUT = [
    "completed {'n': 2, 'class': 'InScript'} None",
    "completed {'success': True, 'data': 2} None",
    "completed {'success': True, 'data': 2} None",
]


def python(*arguments: str, cwd: Path, text: str | None = None) -> tuple[list[str], str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        timeout=4 * GUARD,
        check=False,
    )
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("name", ["script.py", "script-without-suffix"])
def test_classes_of_a_script_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GUARDED)
    assert python(name, cwd=tmp_path) == (OUTPUT, "")


def test_classes_of_a_module_that_was_started_run(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "tool.py").write_text(GUARDED)
    assert python("-m", "package.tool", cwd=tmp_path) == (OUTPUT, "")


def test_classes_of_a_folder_that_was_started_run(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(GUARDED)
    assert python("app", cwd=tmp_path) == (OUTPUT, "")


@pytest.mark.parametrize("form", ["-c", "-"])
def test_classes_without_a_file_are_refused(tmp_path: Path, form: str) -> None:
    arguments, text = (["-c", GUARDED], None) if form == "-c" else (["-"], GUARDED)
    lines, errors = python(*arguments, cwd=tmp_path, text=text)
    assert lines == []
    assert "InvalidJobClassError: The class InScript cannot be run as a job" in errors
    assert "interactive session or with python -c" in errors


def test_classes_of_an_interactive_session_are_refused(tmp_path: Path) -> None:
    """Some consoles let the main module have a file; what is typed in comes from none."""
    (tmp_path / "typed.txt").write_text(SCRIPT + "asyncio.run(main())\n")
    command = "exec(compile(open('typed.txt').read(), '<python-input-0>', 'exec'))\n"
    _, errors = python("-i", "-q", cwd=tmp_path, text=command)
    assert "InvalidJobClassError: The class InScript cannot be run as a job" in errors


def test_a_script_without_the_guard_starts_no_jobs_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "unguarded.py").write_text(SCRIPT + "asyncio.run(main())\n")
    lines, _ = python("unguarded.py", cwd=tmp_path)
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("failed None Cannot load commands from")
        assert "A queue was opened by" in line
