"""Pin the development environment: ``python -m tests.lock`` writes ``requirements-dev.txt``.

The file names the newest versions that ``pyproject.toml`` allows, for every system and Python, with
the hashes of their files. Pins that still fit stay, unless ``--upgrade`` is given.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-dev.txt"
OPTIONS = [
    "--extra=dev",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
]


def main() -> int:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *OPTIONS, *sys.argv[1:]]
    return subprocess.call([*command, "--output-file", LOCK.name, "pyproject.toml"], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
