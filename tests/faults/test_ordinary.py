"""A job that does ordinary things writes and returns what the same file does as a program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from support.invariants import Witness
    from support.serving import Setup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what it does is Linux's")

SOURCE = Path(__file__).parents[1] / "support" / "ordinary"
GUARD = 120.0  # seconds: it starts some fifty processes


@pytest.mark.parametrize("kind", ["file", "module", "package"])
async def test_row_45_as_the_same_program(
    kind: str, server: Setup, witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "author"
    if kind == "package":
        shutil.copytree(SOURCE, folder / "package")
        (folder / "package" / "__init__.py").touch()
        file = folder / "package" / "ordinary.py"
        file.write_text(file.read_text().replace("from parts import", "from .parts import"))
        program = ["-m", "package.ordinary"]
    else:
        shutil.copytree(SOURCE, folder)
        file = folder / "ordinary.py"
        program = [str(file)]
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    expected = _as_program(program, folder, tmp_path / "result.json")
    if kind == "module":
        path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
        monkeypatch.setenv("PYTHONPATH", path)
    server.commands.append("ordinary" if kind == "module" else str(file))
    server.settings["stop_grace_seconds"] = GUARD  # what it does as its interpreter ends takes time
    with RawClient(server.command, cwd=folder) as client:
        greet(client)
        job_id = call(client, "ordinary")["job_id"]
        witness.told(job_id)
        job = _ended(client, job_id)
        log = call(client, "queue_get_job_logs", job_id=job_id)
        deadline = client.now() + GUARD
        while log["stdout"][-1:] != expected[1][-1:]:  # printed when its interpreter ends
            assert client.now() < deadline, log
            log = call(client, "queue_get_job_logs", job_id=job_id)
    assert (job["status"], log["stderr"]) == ("completed", expected[2])
    assert log["stdout"] == expected[1]
    assert job["result"] == expected[0]


def _ended(client: RawClient, job_id: str) -> dict[str, Any]:
    deadline = client.now() + GUARD
    while client.now() < deadline:
        answer = call(client, "queue_wait_job", job_ids=[job_id], timeout_seconds=20)
        if not answer["timed_out"]:
            return answer["jobs"][0]
    raise AssertionError(f"no end within {GUARD} s")


def _as_from_a_shell() -> None:
    """Whoever runs the tests in the background may ignore these."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _as_program(
    program: list[str], folder: Path, result: Path
) -> tuple[object, list[str], list[str]]:
    """Its result, and the lines of its output and its errors, on pipes."""
    done = subprocess.run(
        [sys.executable, *program, str(result)],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GUARD,
        check=True, preexec_fn=_as_from_a_shell,
    )  # fmt: skip
    return json.loads(result.read_text()), done.stdout.splitlines(), done.stderr.splitlines()
