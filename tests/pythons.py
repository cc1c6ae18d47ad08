"""The tests on every Python that is here: ``python -m tests.pythons [--python X] [pytest's own]``.

Each Python from 3.11 on gets a virtual environment of its own in ``.pythons``, with the ``dev``
extra; then pytest runs in it, with the arguments that follow. A table says how it went; the exit
status is 1 if it went wrong anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".pythons"
OLDEST, NEWEST = 11, 30  # minor versions that are looked for
GUARD = 60  # seconds that an interpreter has to say what it is
ASK = """
import ensurepip, json, platform, sys, venv
path = getattr(sys, "_base_executable", sys.executable)  # not that of a virtual environment
print(json.dumps([platform.python_implementation(), *sys.version_info[:3], path]))
"""


@dataclass(frozen=True)
class Python:
    """An interpreter that starts and can make virtual environments."""

    version: tuple[int, int, int]
    path: str

    @property
    def name(self) -> str:
        return "{}.{}".format(*self.version)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.pythons", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--python",
        action="append",
        metavar="X",
        help="only this one: a version such as 3.12, or a path; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="only say which there are")
    options, arguments = parser.parse_known_args()
    pythons = chosen(options.python) if options.python else found()
    if options.list:
        for python in pythons:
            print(python.name, python.path)
        return 0
    rows = [row(python, arguments) for python in pythons]
    print(f"\n{'Python':8} {'outcome':24} {'seconds':>7}  interpreter")
    for python, outcome, seconds in rows:
        version = "{}.{}.{}".format(*python.version)
        print(f"{version:8} {outcome:24} {seconds:7.0f}  {python.path}")
    return int(any(outcome != "passed" for _, outcome, _ in rows) or not rows)


def row(python: Python, arguments: list[str]) -> tuple[Python, str, float]:
    """Run the tests on one Python; how it went and how long it took."""
    print(f"\n== Python {python.name}: {python.path}", flush=True)
    started = time.monotonic()
    try:
        executable = environment(python)
        status = subprocess.call([executable, "-m", "pytest", *arguments], cwd=ROOT)
        outcome = "passed" if status == 0 else f"failed (status {status})"
    except subprocess.CalledProcessError:
        outcome = "could not be installed"
    return python, outcome, time.monotonic() - started


def environment(python: Python) -> Path:
    """The interpreter of the virtual environment for a Python, with the ``dev`` extra."""
    folder = ENVIRONMENTS / python.name
    executable = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    inside = asked(str(executable)) if executable.exists() else None
    if inside is None or inside.version != python.version:
        subprocess.run([python.path, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([executable, "-m", "pip", "install", "-q", "-e", ".[dev]"], cwd=ROOT, check=True)
    return executable


def chosen(wanted: list[str]) -> list[Python]:
    """The Pythons that a person has named."""
    known = {python.name: python for python in found()}
    pythons: list[Python] = []
    for name in wanted:
        python = known.get(name) or asked(name)
        if python is None:
            sys.exit(f"no Python {name!r} starts here; there is {', '.join(known) or 'none'}")
        pythons.append(python)
    return pythons


def found() -> list[Python]:
    """The newest of each minor version that starts here, the oldest version first."""
    newest: dict[str, Python] = {}
    for path in dict.fromkeys(candidates()):
        python = asked(path)
        if python is None or python.version < (3, OLDEST, 0):
            continue
        if python.name not in newest or python.version > newest[python.name].version:
            newest[python.name] = python
    return sorted(newest.values(), key=lambda python: python.version)


def candidates() -> Iterator[str]:
    """Paths where a Python may be."""
    names = [f"python3.{minor}" for minor in range(OLDEST, NEWEST)]
    for folder in os.get_exec_path():
        for name in ["python3", *names]:
            if path := shutil.which(name, path=folder):
                yield path
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(root.glob("versions/*/bin/python3")))
    if uv := shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv"):
        listing = [uv, "python", "list", "--only-installed", "--output-format", "json"]
        done = subprocess.run(listing, capture_output=True, text=True, check=False)
        for entry in json.loads(done.stdout or "[]"):
            yield entry["path"]


def asked(path: str) -> Python | None:
    """What an interpreter says of itself; ``None`` if it does not start or is not CPython."""
    try:
        done = subprocess.run(
            [path, "-c", ASK], capture_output=True, text=True, timeout=GUARD, check=False
        )
        implementation, *version, executable = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    major, minor, micro = version
    return Python((major, minor, micro), executable) if implementation == "CPython" else None


if __name__ == "__main__":
    sys.exit(main())
