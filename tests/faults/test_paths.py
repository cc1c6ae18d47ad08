"""Paths are resolved once, at start: nothing that moves or goes later changes what they mean."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import invariants
from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from support.invariants import Witness
    from support.processes import Lifelines
    from support.serving import Setup

WHERE = """
import os
from mcp_queue import command

@command(use_queue=True)
def where() -> str:
    return os.getcwd()
"""
MOVES = "import os\nos.chdir(os.environ['ELSEWHERE'])\n"


def ended(client: RawClient, job_id: str) -> dict[str, Any]:
    [job] = call(client, "queue_wait_job", job_ids=[job_id])["jobs"]
    assert job["status"] != "pending", job
    return job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture
def where(server: Setup, tmp_path: Path) -> Setup:
    """A server with a command that says where it runs."""
    (tmp_path / "where.py").write_text(WHERE, "utf-8")
    server.commands = [str(tmp_path / "where.py"), *server.commands]
    return server


@pytest.mark.parametrize("value", [".", "rel", ""])
def test_row_43_a_relative_folder_for_temporary_files(
    server: Setup, folder: Path, value: str
) -> None:
    """A supervisor runs elsewhere, and finds a registry in memory all the same."""
    (folder / "rel").mkdir()
    server.settings = {}
    with RawClient(server.command, cwd=folder, env={"TMPDIR": value}) as client:
        greet(client)
        job_id = call(client, "queue_add_job", command="add", params={"a": 1, "b": 2})["job_id"]
        call(client, "queue_start_job", job_id=job_id)
        assert ended(client, job_id)["status"] == "completed"
        health = call(client, "queue_health")
        assert health["status"] == "healthy"
        assert Path(health["registry_path"]).is_absolute()
    assert not list(folder.glob("mcp-queue-*"))


@pytest.mark.parametrize("link", ["of the file", "of the folder", "through the parent", "chain"])
async def test_row_43_through_a_symlink(
    server: Setup, witness: Witness, lines: Lifelines, tmp_path: Path, link: str
) -> None:
    """Two names of a registry are one registry: one folder, one supervisor, one bell each."""
    real = Path(witness.path)
    names = {
        "of the file": tmp_path / "link.db",
        "of the folder": tmp_path / "linked" / real.name,
        "through the parent": real.parent / ".." / real.parent.name / real.name,
        "chain": tmp_path / "second" / "link.db",
    }
    (tmp_path / "link.db").symlink_to(real)
    (tmp_path / "linked").symlink_to(real.parent)
    (tmp_path / "second").symlink_to(tmp_path)
    with RawClient(server.command) as one:
        greet(one)
        job_id = call(one, "gated", port=lines.port, answer=1)["job_id"]
        lines.take()
        server.settings["registry_path"] = str(names[link])
        with RawClient(server.command) as other:
            greet(other)
            health = call(other, "queue_health")
            assert (health["registry_path"], health["servers"]) == (str(real), 2)
            assert health["supervisor"] == call(one, "queue_health")["supervisor"]
            arguments = {"job_ids": [job_id]}
            waiting = other.post("tools/call", {"name": "queue_wait_job", "arguments": arguments})
            second = call(other, "add", a=2, b=3)["job_id"]
            assert ended(one, second)["result"] == 5
            lines.let_go()
            [job] = other.answer(waiting).message["result"]["structuredContent"]["jobs"]
            assert job["result"] == 1
    assert [path.name for path in tmp_path.glob("*.d")] == []
    witness.told(job_id)
    witness.told(second)


@pytest.mark.parametrize("source", ["flag", "variable", "configuration"])
async def test_row_43_a_module_goes_elsewhere(
    where: Setup, witness: Witness, tmp_path: Path, folder: Path, source: str
) -> None:
    """The registry and the folder of jobs are those that the server was started with."""
    (tmp_path / "moves.py").write_text(MOVES, "utf-8")
    where.commands.insert(0, str(tmp_path / "moves.py"))
    relative = os.path.relpath(witness.path, folder)
    flags: list[str] = []
    env = {"ELSEWHERE": str(tmp_path / "elsewhere")}
    (tmp_path / "elsewhere").mkdir()
    del where.settings["registry_path"]
    if source == "flag":
        flags = ["--registry-path", relative]
    elif source == "variable":
        env["MCP_QUEUE_REGISTRY_PATH"] = relative
    else:
        where.settings["registry_path"] = os.path.relpath(witness.path, tmp_path)
    for _ in range(2):
        with RawClient([*where.command, *flags], env=env, cwd=folder) as client:
            greet(client)
            assert call(client, "queue_health")["registry_path"] == witness.path
            job_id = call(client, "where")["job_id"]
            witness.told(job_id)
            assert ended(client, job_id)["result"] == str(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="nobody removes a used folder there")
async def test_row_43_the_working_folder_is_gone(
    where: Setup, witness: Witness, folder: Path
) -> None:
    """Jobs run in an empty folder of their own, which their log tells and which goes with them."""
    with RawClient(where.command, cwd=folder) as client:
        greet(client)
        assert ended(client, call(client, "where")["job_id"])["result"] == str(folder)
        folder.rmdir()
        job_id = call(client, "where")["job_id"]
        run = Path(ended(client, job_id)["result"])
        assert Path(witness.path + ".d") in run.parents
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert list(run.iterdir()) == []
        [line] = call(client, "queue_get_job_logs", job_id=job_id)["stderr"]
        assert line == (
            f"mcp-queue: the working folder {folder} is gone; this job runs in an empty one"
        )
        assert stat.S_IMODE((run.parent / "stderr.log").stat().st_mode) == 0o600
        call(client, "queue_delete_job", job_id=job_id)
        await invariants.becomes(lambda: not run.exists(), "the folder of a deleted job")
        folder.mkdir()
        job_id = call(client, "where")["job_id"]
        assert ended(client, job_id)["result"] == str(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="nobody removes a used folder there")
async def test_row_43_the_working_folder_was_gone_before(
    where: Setup, witness: Witness, folder: Path
) -> None:
    command = ["sh", "-c", 'rmdir "$0" && exec "$@"', str(folder), *where.command]
    with RawClient(command, cwd=folder) as client:
        greet(client)
        job_id = call(client, "where")["job_id"]
        assert Path(witness.path + ".d") in Path(ended(client, job_id)["result"]).parents
        [line] = call(client, "queue_get_job_logs", job_id=job_id)["stderr"]
        assert line.startswith("mcp-queue: the working folder of the server is gone")


async def test_row_43_a_file_is_where_the_working_folder_was(where: Setup, folder: Path) -> None:
    with RawClient(where.command, cwd=folder) as client:
        greet(client)
        folder.rmdir()
        folder.touch()
        job = ended(client, call(client, "where")["job_id"])
        assert job["status"] == "completed", job


@pytest.mark.skipif(
    sys.platform == "win32" or (os.geteuid() == 0 and shutil.which("setpriv") is None),
    reason="nothing is closed to root, and setpriv is missing",
)
async def test_row_43_the_working_folder_cannot_be_entered(where: Setup, folder: Path) -> None:
    capable = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    command = [*(capable if os.geteuid() == 0 else []), *where.command]
    with RawClient(command, cwd=folder) as client:
        greet(client)
        folder.chmod(0)
        job = ended(client, call(client, "where")["job_id"])
        folder.chmod(0o700)
        assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
        assert f"its folder {folder} cannot be entered" in job["error"]["message"]
        assert ended(client, call(client, "where")["job_id"])["result"] == str(folder)


async def test_row_43_relative_search_path(server: Setup, tmp_path: Path, folder: Path) -> None:
    """A module that is found through a relative entry of the path is found by the worker."""
    (folder / "lib").mkdir()
    (folder / "lib" / "relative_commands.py").write_text(WHERE, "utf-8")
    (folder / "lib" / "relative_moves.py").write_text(MOVES, "utf-8")
    server.commands = ["relative_commands", "relative_moves"]
    path = os.pathsep.join([os.environ["PYTHONPATH"], "lib"])
    env = {"PYTHONPATH": path, "ELSEWHERE": str(tmp_path)}
    with RawClient(server.command, cwd=folder, env=env) as client:
        greet(client)
        assert ended(client, call(client, "where")["job_id"])["result"] == str(folder)
