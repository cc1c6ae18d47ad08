"""Spawning: the gate, the session, the output by descriptor, and nothing else that crosses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_queue.system.locks import is_held
from mcp_queue.system.spawn import spawn_detached, spawn_gated, without_relative_paths
from support.processes import GUARD

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

GATE = "import os, sys; sys.exit(7 if os.read(0, 1) else 0)"


def _gated(folder: Path, code: str, **env: str) -> subprocess.Popen[bytes]:
    return spawn_gated(
        [sys.executable, "-c", code],
        cwd=str(folder),
        env={**os.environ, **env},
        stdout=str(folder / "stdout.log"),
        stderr=str(folder / "stderr.log"),
        held=str(folder / "events.jsonl"),
    )


def _through_gate(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    process.stdin.write(b"!")
    process.stdin.close()
    return process.wait(GUARD)


def test_a_byte_opens_the_gate(tmp_path: Path) -> None:
    assert _through_gate(_gated(tmp_path, GATE)) == 7


def test_end_of_file_means_leave(tmp_path: Path) -> None:
    process = _gated(tmp_path, GATE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(GUARD) == 0


def test_the_death_of_the_spawner_closes_the_gate(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom mcp_queue.system.spawn import spawn_gated\n"
        "p = [spawn_gated([sys.executable, '-c', sys.argv[1]], cwd='.', env=dict(os.environ),"
        " stdout=f'{n}.log', stderr='err.log', held=f'{n}.held') for n in range(3)]\n"
        "os.kill(os.getpid(), 9)"
    )
    child = "import os; print(repr(os.read(0, 1)), flush=True)"
    subprocess.run([sys.executable, "-c", code, child], cwd=tmp_path, check=False)
    # The leak check waits for the children; here they must have read an end of file.
    for number in range(3):
        log = tmp_path / f"{number}.log"
        with log.open("rb") as file:
            _read_until(file.fileno(), b"b''\n")


def _read_until(descriptor: int, wanted: bytes) -> None:
    import time

    data, deadline = b"", time.monotonic() + GUARD
    while wanted not in data:
        assert time.monotonic() < deadline, data
        data += os.read(descriptor, 100)


@linux
def test_no_descriptor_of_ours_crosses(tmp_path: Path) -> None:
    code = (
        "import json, os\nos.read(0, 1)\nfound = {}\n"
        "for name in os.listdir('/proc/self/fd'):\n"
        "    try: found[name] = os.readlink(f'/proc/self/fd/{name}')\n"
        "    except OSError: pass\n"
        "print(json.dumps(found))"
    )
    ours = [os.open(tmp_path, os.O_RDONLY) for _ in range(5)]
    left, right = socket.socketpair()
    (tmp_path / "other").mkdir()
    other = _gated(tmp_path / "other", GATE)
    try:
        assert _through_gate(_gated(tmp_path, code)) == 0
    finally:
        for descriptor in ours:
            os.close(descriptor)
        left.close()
        right.close()
        _through_gate(other)
    found = json.loads((tmp_path / "stdout.log").read_text())
    [held] = set(found) - {"0", "1", "2"}
    assert found[held] == str(tmp_path / "events.jsonl")
    assert found["1"] == str(tmp_path / "stdout.log")
    assert found["2"] == str(tmp_path / "stderr.log")


def test_output_is_appended_in_files_of_the_owner(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("before\n")
    code = "import os, sys; os.read(0, 1); print('out'); print('err', file=sys.stderr)"
    old = os.umask(0)
    try:
        assert _through_gate(_gated(tmp_path, code)) == 0
    finally:
        os.umask(old)
    assert (tmp_path / "stdout.log").read_text() == "before\nout\n"
    assert (tmp_path / "stderr.log").read_text() == "err\n"
    assert (tmp_path / "stderr.log").stat().st_mode & 0o777 == 0o600


def test_it_runs_in_a_session_a_folder_and_an_environment_of_its_own(tmp_path: Path) -> None:
    code = (
        "import os; os.read(0, 1)\n"
        "print(os.getsid(0) == os.getpid(), os.getcwd(), os.environ['GIVEN'])"
    )
    assert _through_gate(_gated(tmp_path, code, GIVEN="yes")) == 0
    assert (tmp_path / "stdout.log").read_text() == f"True {tmp_path} yes\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no descriptor is inherited there")
def test_it_holds_a_lock_from_its_birth_to_its_death(tmp_path: Path) -> None:
    held = str(tmp_path / "held")
    process = spawn_gated(
        [sys.executable, "-c", "import os, sys; os.fstat(int(sys.argv[1])); " + GATE],
        cwd=str(tmp_path),
        env=dict(os.environ),
        stdout=str(tmp_path / "stdout.log"),
        stderr=str(tmp_path / "stderr.log"),
        held=held,
    )
    assert is_held(held)
    assert _through_gate(process) == 7
    assert not is_held(held)


@pytest.mark.parametrize("what", ["program", "folder"])
def test_what_cannot_be_started_leaves_no_descriptor(tmp_path: Path, what: str) -> None:
    program = "/no/such/program" if what == "program" else sys.executable
    folder = str(tmp_path) if what == "program" else "/no/such/folder"
    with pytest.raises(FileNotFoundError):
        spawn_gated(
            [program], cwd=folder, env={}, stdout=str(tmp_path / "o"),
            stderr=str(tmp_path / "e"), held=str(tmp_path / "h"),
        )  # fmt: skip


@linux
def test_a_detached_process_has_another_parent_and_session(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    code = (
        "import json, os, sys\nfrom mcp_queue.system.spawn import detach\n"
        "first = os.getpid()\ndetach()\n"
        "while os.getppid() == first: pass\n"
        "told = {'parent': os.getppid(), 'first': first, 'session': os.getsid(0),"
        " 'fds': sorted(os.listdir('/proc/self/fd'))}\n"
        "open(sys.argv[1], 'w').write(json.dumps(told))"
    )
    process = spawn_detached(
        [sys.executable, "-c", code, str(ready)], env=dict(os.environ), log=str(tmp_path / "log")
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(GUARD) == 0
    told = json.loads(ready.read_text())
    assert told["first"] == process.pid
    assert told["parent"] not in (os.getpid(), process.pid)
    assert told["session"] != os.getsid(0)
    assert told["fds"] == ["0", "1", "2", "3"]  # the last one lists them
    assert (tmp_path / "log").read_text() == ""


def test_relative_entries_of_the_search_path_are_left_out() -> None:
    here = str(Path.cwd())
    given = os.pathsep.join(["", here, ".", "lib", f"..{os.sep}x", "", f"{here}{os.sep}b"])
    wanted = os.pathsep.join([here, f"{here}{os.sep}b"])
    env = {"PYTHONPATH": given, "OTHER": ".:x"}
    assert without_relative_paths(env) == {"PYTHONPATH": wanted, "OTHER": ".:x"}
    assert env["PYTHONPATH"] == given
    assert without_relative_paths({"PYTHONPATH": ""}) == {"PYTHONPATH": ""}
    assert without_relative_paths({}) == {}
