"""The leak check finds what a test leaves behind, names it, and ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.guards import GUARD

TESTS = Path(__file__).parents[1]

INNOCENT = """
import os, subprocess, sys, tempfile, threading

def test_innocent():
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    with tempfile.TemporaryDirectory(prefix="mcp-queue-") as folder, open(folder + "/f", "w"):
        pass
"""

WAITS = '[sys.executable, "-c", "import threading as t; t.Event().wait()", "stray"]'

CHILD = f"""
import subprocess, sys

def test_leaks_a_child():
    global child
    child = subprocess.Popen({WAITS})

def test_next():
    child.wait()
"""

DAEMON = f"""
import subprocess, sys

def test_leaks_a_daemon():
    subprocess.run(
        [sys.executable, "-c", '''
import subprocess, sys
subprocess.Popen(
    {WAITS},
    start_new_session=True,
)
'''],
        check=True,
    )
"""

STRAGGLER = """
import subprocess, sys

def test_leaves_a_process_that_goes_by_itself():
    global child
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.2)"])

def test_next():
    child.wait()
"""

FIXTURE = f"""
import pytest, subprocess, sys

@pytest.fixture(scope="module")
def server():
    child = subprocess.Popen({WAITS})
    yield child
    child.returncode = 0

def test_uses_the_fixture(server):
    assert server.poll() is None
"""

THREAD = """
import threading
release = threading.Event()

def test_leaks_a_thread():
    threading.Thread(target=release.wait, name="stray", daemon=True).start()

def test_next():
    release.set()
"""

DESCRIPTOR = """
import os

def test_leaks_a_descriptor(tmp_path):
    os.open(tmp_path / "stray", os.O_CREAT | os.O_RDWR)
"""

FOLDER = """
import tempfile

def test_leaks_a_folder():
    tempfile.mkdtemp(prefix="mcp-queue-", suffix="-stray")

def test_next():
    pass
"""

ISOLATION = """
import os, pathlib, tempfile
import platformdirs

def test_settings_of_the_user_are_out_of_reach():
    assert {name for name in os.environ if name.startswith("MCP_QUEUE_")} == {
        "MCP_QUEUE_TEST_SESSION", "MCP_QUEUE_SUPERVISOR_LINGER_SECONDS"
    }
    own = pathlib.Path(tempfile.gettempdir())
    assert own in pathlib.Path(platformdirs.user_data_dir("mcp-queue")).parents
    assert own in pathlib.Path(platformdirs.user_cache_dir("mcp-queue")).parents
"""


def run_tests(folder: Path, code: str, guard: float = 0.3) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_inner.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-p", "support.leaks", f"--leak-guard={guard}"]
    outside = {name: os.environ[name] for name in os.environ if name != "MCP_QUEUE_TEST_SCHEMA"}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--basetemp", str(folder / "base"), "-s"],
        cwd=folder,
        env={**outside, "PYTHONPATH": str(TESTS), "MCP_QUEUE_NICENESS": "3"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("code", [INNOCENT, ISOLATION], ids=["innocent", "isolation"])
def test_who_leaves_nothing_passes(tmp_path: Path, code: str):
    status, output = run_tests(tmp_path, code)
    assert status == 0, output


def test_stragglers_have_time_to_go(tmp_path: Path):
    status, output = run_tests(tmp_path, STRAGGLER, guard=30)
    assert status == 0, output


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (CHILD, "process "),
        (DAEMON, "process "),
        (FIXTURE, "process "),
        (THREAD, "thread stray"),
        pytest.param(
            DESCRIPTOR,
            "descriptor ",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell"),
        ),
        (FOLDER, "temporary folder "),
    ],
    ids=["child", "daemon", "fixture", "thread", "descriptor", "folder"],
)
def test_what_is_left_behind_fails_the_test_and_is_named(tmp_path: Path, code: str, named: str):
    status, output = run_tests(tmp_path, code)
    assert status == 1, output
    assert "1 error" in output
    (found,) = {line for line in output.splitlines() if line.startswith(named)}
    assert "stray" in found
    if named == "process ":
        assert not psutil.pid_exists(int(found.split()[1].rstrip(":")))
