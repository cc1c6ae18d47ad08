"""What is no file is refused where a file is kept or shown; characters in two halves are whole."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = """
import os, socket, sys, tempfile
from mcp_queue import File, Image, Job, command, resource

def odd(kind):
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "it")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.chdir(folder)
        socket.socket(socket.AF_UNIX).bind("it")
    return {"folder": folder, "device": "/dev/zero"}.get(kind, path)

@command(use_queue=True)
def keeps(kind: str, *, job: Job) -> str:
    job.artifact("before.txt", b"kept")
    return job.artifact("it.txt", path=odd(kind))

@command(use_queue=True)
def returns(kind: str) -> File:
    return File(path=odd(kind), name="it.txt")

@command
def shows(kind: str) -> File:
    return File(path=odd(kind), name="it.txt")

@resource("odd://{kind}")
def reads(kind: str) -> File:
    return File(path=odd(kind), name="it.txt")

@command(use_queue=True)
def halves(gate: str) -> None:
    data = "日本".encode()
    os.write(1, b"a line\\n" + data[:4])
    open(gate, "wb").close()
    with open(gate + ".go", "rb"):
        os.write(1, data[4:] + b"\\n")

@command(use_queue=True, memory_limit="250MiB")
def shares(own: bool, ready_at: str, gate_at: str) -> int:
    size = 100 << 20
    pages = bytearray(b"x") * size
    ready, told = os.pipe()
    gate, opened = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            os.close(opened)
            kept = bytes(pages) if own else sum(pages[::4096])
            os.write(told, b"!")
            os.read(gate, 1)
            os._exit(0)
    os.close(gate)
    for _ in range(4):
        os.read(ready, 1)
    open(ready_at, "wb").close()
    open(gate_at, "rb").close()
    os.close(opened)
    for _ in range(4):
        os.wait()
    return size
"""
KINDS = ["pipe", "socket", "folder", "device"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawClient]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    file = tmp_path / "odd_files.py"
    file.write_text(TEXT, "utf-8")
    command = [sys.executable, "-m", "mcp_queue", "serve", "--commands", str(file)]
    with RawClient(command) as client:
        greet(client)
        yield client


def ended(client: RawClient, job_id: str) -> dict[str, Any]:
    answer = call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=GUARD)
    assert not answer["timed_out"]
    return answer["jobs"][0]


def test_what_is_no_file_is_not_kept(client: RawClient) -> None:
    for kind in KINDS:
        view = ended(client, call(client, "keeps", kind=kind)["job_id"])
        assert view["status"] == "failed"
        assert f"is a {kind}: " in view["error"]["message"]
        assert [each["name"] for each in view["artifacts"]] == ["before.txt"]
        view = ended(client, call(client, "returns", kind=kind)["job_id"])
        assert view["status"] == "failed"
        assert f"is a {kind}: " in view["error"]["message"]


def test_what_is_no_file_is_not_shown(client: RawClient) -> None:
    for kind in KINDS:
        assert f"is a {kind}: " in refused(client, "shows", kind=kind)["message"]
        answer = client.request("resources/read", {"uri": f"odd://{kind}"})
        assert f"is a {kind}: " in answer["error"]["message"]


def test_a_cursor_passes_over_no_half_character(client: RawClient, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    os.mkfifo(gate + ".go")
    job_id = call(client, "halves", gate=gate)["job_id"]
    with open(gate, "rb"):
        pass
    page = call(client, "queue_get_job_logs", job_id=job_id, stream="stdout")
    assert page["stdout"][0] == "a line"
    assert page["stdout"][1].rstrip("\ufffd") == "日"
    with open(gate + ".go", "wb"):
        pass
    assert ended(client, job_id)["status"] == "completed"
    page = call(client, "queue_get_job_logs", job_id=job_id, stream="stdout", since=page["cursor"])
    assert page["stdout"] == ["本"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells shared pages")
def test_shared_memory_counts_once_against_a_limit(client: RawClient, tmp_path: Path) -> None:
    places: list[dict[str, str]] = []
    for name in ("shared", "own"):
        place = {"ready_at": str(tmp_path / f"{name} ready"), "gate_at": str(tmp_path / name)}
        places.append(place)
        for path in place.values():
            os.mkfifo(path)
    sharing = call(client, "shares", own=False, **places[0])["job_id"]
    open(places[0]["ready_at"], "rb").close()  # it uses all that it will
    owning = call(client, "shares", own=True, **places[1])["job_id"]
    assert ended(client, owning)["error"]["code"] == "out_of_memory"
    open(places[0]["gate_at"], "wb").close()  # it was looked at as well
    view = ended(client, sharing)
    assert (view["status"], view.get("result")) == ("completed", 100 << 20), view
