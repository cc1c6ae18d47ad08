"""Links that a stranger put into a folder lead nobody out of it, and pipes hold nobody up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from support.guards import GUARD
from support.opened import Watched, needs_inotify
from support.rawclient import RawClient
from support.scenes import call, greet
from support.second_user import (
    needs_second_user,
    open_way,
    run_as_second_user,
    start_as_second_user,
)

CLI = [sys.executable, "-m", "mcp_queue", "serve"]
SECRET = "the_key_of_mine"
pytestmark = [needs_second_user, needs_inotify]

# What the other user puts into a repository: links to what is the first user's alone, and pipes.
PLANT = """
import os, sys
repository, home = sys.argv[1:]
os.makedirs(repository + "/package")
open(repository + "/package/__init__.py", "w").close()
with open(repository + "/package/fine.py", "w") as file:
    file.write("def fine(): ...\\n")
os.symlink(home + "/key.py", repository + "/key.py")
os.symlink(home + "/notes.txt", repository + "/package/notes.py")
os.symlink(home, repository + "/home")
os.symlink("../../../home/key.py", repository + "/package/relative.py")
os.symlink("package", repository + "/link")
os.mkfifo(repository + "/pipe.py")
os.symlink("/dev/zero", repository + "/device.py")
"""
# Folder and link take turns at one name.
TURN = """
import os, sys
folder, home = sys.argv[1:]
os.chdir(folder)
os.makedirs("real/deep")
for name in ("real/key.py", "real/deep/s.py"):
    open(name, "w").close()
os.symlink(home, "link")
os.rename("real", "package")
print("ready", flush=True)
while True:
    os.rename("package", "real")
    os.rename("link", "package")
    os.rename("package", "link")
    os.rename("real", "package")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the first user's alone, with what nobody else may read."""
    folder = tmp_path / "home"
    (folder / "deep").mkdir(parents=True)
    for name in ("key.py", "deep/s.py"):
        (folder / name).write_text(f"{SECRET} = 'sesame'\n", "utf-8")
    (folder / "notes.txt").write_text(f"my {SECRET} is: sesame\n", "utf-8")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder in which the other user may write."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    open_way(folder)
    return folder


def found(client: RawClient, query: str, **options: str) -> list[dict[str, Any]]:
    answer = call(client, "search_code", query=query, **options)
    return answer.get("result", answer)["hits"]


def analysed(client: RawClient, root: Path) -> dict[str, Any]:
    job_id = call(client, "analyze_project", root_dir=str(root), force=True)["job_id"]
    [job] = call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=GUARD)["jobs"]
    assert job["status"] == "completed", job
    return job["result"]


def test_a_repository_with_links_out_of_it(home: Path, shared: Path, tmp_path: Path) -> None:
    repository, maps = shared / "repository", tmp_path / "maps"
    planted = run_as_second_user(PLANT, str(repository), str(home))
    assert planted.returncode == 0, planted.stderr
    with (
        Watched(home, home / "deep") as watched,
        RawClient(CLI, env={"MCP_QUEUE_TOOLS_CACHE": str(maps)}) as client,
    ):
        greet(client)
        result = analysed(client, repository)
        reasons = {each["path"]: each["reason"] for each in result["problems"]}
        out = "a link leads out of the folder"
        assert reasons == {
            "key.py": out,
            "package/notes.py": out,
            "home": out,
            "package/relative.py": out,
            "pipe.py": "not a regular file",
            "device.py": "not a regular file",
        }
        assert result["modules"] == 2
        for query in (SECRET, "sesame"):
            assert found(client, query) == []
        assert [hit["name"] for hit in found(client, "fine")] == ["fine"]
        assert watched.opened() == []
    kept = b"".join(file.read_bytes() for file in maps.iterdir())
    assert b"sesame" not in kept


def test_links_that_take_a_folders_place_meanwhile(home: Path, shared: Path) -> None:
    turning = start_as_second_user(TURN, str(shared), str(home))
    try:
        assert turning.stdout is not None
        assert turning.stdout.readline() == "ready\n"
        with Watched(home, home / "deep") as watched, RawClient(CLI) as client:
            greet(client)
            for _ in range(20):
                analysed(client, shared)
                assert found(client, "sesame") == []
            assert watched.opened() == []
    finally:
        turning.kill()
        turning.wait()
        for stream in (turning.stdin, turning.stdout):
            assert stream is not None
            stream.close()


NOT_PYTHON = "my password is sesame\n"


def test_text_that_is_no_python_is_not_kept(tmp_path: Path) -> None:
    """A file that was Python when it was first read, and one that never was."""
    maps, project = tmp_path / "maps", tmp_path / "project"
    project.mkdir()
    (project / "never.py").write_text(NOT_PYTHON, "utf-8")
    (project / "broken.py").write_text("def f(:\n    'sesame'\n", "utf-8")
    (project / "nul.py").write_bytes(b"sesame\0")
    (project / "deep.py").write_text("x = " + "(" * 400 + "'sesame'" + ")" * 400, "utf-8")
    (project / "once.py").write_text("\n" + "sesame = 1\n" * 2000, "utf-8")
    with RawClient(CLI, env={"MCP_QUEUE_TOOLS_CACHE": str(maps)}) as client:
        greet(client)
        analysed(client, project)
        assert {hit["file"] for hit in found(client, "sesame")} == {"once.py"}
        (project / "once.py").write_text(NOT_PYTHON, "utf-8")
        assert analysed(client, project)["problem_count"] == 5
        assert found(client, "sesame") == []
        assert found(client, "sesame", kind="text") == []
    kept = b"".join(file.read_bytes() for file in maps.iterdir() if not file.name.endswith("-wal"))
    assert b"sesame" not in kept


RESOURCE = """
from pathlib import Path
from mcp_queue import paths, resource

NOTES = Path({notes!r})

@resource("notes:///{{+path}}", mime_type="text/plain")
def note(path: str) -> str | None:
    \"\"\"A note.\"\"\"
    try:
        with paths.open_inside(NOTES, path) as file:
            return file.read().decode()
    except FileNotFoundError:
        return None
"""


def test_a_resource_of_an_author(home: Path, shared: Path, tmp_path: Path) -> None:
    notes = shared / "notes"
    planted = run_as_second_user(PLANT, str(notes), str(home))
    assert planted.returncode == 0, planted.stderr
    (tmp_path / "notes.py").write_text(RESOURCE.format(notes=str(notes)), "utf-8")
    with (
        Watched(home, home / "deep") as watched,
        RawClient([*CLI, "--commands", tmp_path / "notes.py"]) as client,
    ):
        greet(client)
        uri = "notes:///package/fine.py"
        answer = client.request("resources/read", {"uri": uri})
        assert answer["result"]["contents"][0]["text"] == "def fine(): ...\n"
        for path in (
            *("key.py", "home/key.py", "home/deep/s.py", "package/notes.py", "package/relative.py"),
            *("link/notes.py", "pipe.py", "device.py", "%2e%2e/../home/key.py", "..%2f..%2fhome"),
            *("%2e%2e%2f%2e%2e%2fhome%2fkey.py", "package%2f..%2fhome", "home%2fkey.py", "%00"),
            *(str(home / "key.py"), f"%2f{home / 'key.py'}", "package", "none.py", "%252e%252e"),
        ):
            answer = client.request("resources/read", {"uri": f"notes:///{path}"})
            assert "error" in answer, (path, answer)
            assert "sesame" not in str(answer)
        assert watched.opened() == []
