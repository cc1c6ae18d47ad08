"""Ask whether a known hole is in what we depend on: ``python -m tests.audit``.

``pip-audit`` looks at every package of ``requirements-dev.txt``, ``npm audit`` at those that the
tests run. The exit status is 1 if something was found, or if something could not be asked.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # as pytest does

from support import npm  # noqa: E402

PIP_AUDIT = "pip-audit>=2.10,<3"


def main() -> int:
    found = {"Python packages": _python(), "npm packages": _npm()}
    for what, status in found.items():
        print(f"{what}: {'nothing found' if status == 0 else 'see above'}")
    return int(any(found.values()))


def _python() -> int:
    options = ["--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    run = [sys.executable, "-m", "uv", "tool", "run", "--from", PIP_AUDIT, "pip-audit", *options]
    return subprocess.call([*run, "-r", ROOT / "requirements-dev.txt"])


def _npm() -> int:
    with tempfile.TemporaryDirectory() as folder:
        for file in npm.PINNED.glob("package*.json"):
            shutil.copy(file, folder)
        return subprocess.call([*npm.npm(), "audit"], cwd=folder, env=npm.environment())


if __name__ == "__main__":
    sys.exit(main())
