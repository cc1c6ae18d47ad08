"""What a start says of itself: its flags, and the line of its log that tells why it failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_queue.manager.supervisor_start import last_error_line

NO_CODEC = """\
Python path configuration:
  PYTHONHOME = '/gone'
Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f41f2c9b040 (most recent call first):
  <no Python frame>
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "<string>", line 3, in <module>
apsw.CantOpenError: unable to open database file
"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("\n\n", ""),
        ("one\ntwo\n\n", "two"),
        (NO_CODEC, "ModuleNotFoundError: No module named 'encodings'"),
        (TRACEBACK, "apsw.CantOpenError: unable to open database file"),
        (TRACEBACK + "sh: warning\n", "apsw.CantOpenError: unable to open database file"),
        ("x" * 100_000 + "\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("half a line \udcff", "half a line \ufffd"),
    ],
)
def test_the_line_that_says_why(tmp_path: Path, log: str, line: str) -> None:
    file = tmp_path / "supervisor.log"
    file.write_bytes(log.encode("utf-8", "surrogateescape"))
    assert last_error_line(str(file), 0) == line


def test_what_an_earlier_one_said_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "supervisor.log"
    file.write_text(TRACEBACK, "utf-8")
    assert last_error_line(str(file), file.stat().st_size) == ""
    assert last_error_line(str(tmp_path / "no such file"), 0) == ""


def test_flags_are_given_on() -> None:
    code = "import json; from mcp_queue.manager.origin import python; print(json.dumps(python()))"
    given = [sys.executable, "-I", "-OO", "-B", "-W", "error", "-X", "dev", "-c", code]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    first, *flags = json.loads(done.stdout)
    assert first == sys.executable
    assert {"-I", "-OO", "-B", "-Werror"} <= set(flags)
    assert flags[flags.index("-X") + 1] == "dev"
