"""The tests in a browser: ``python -m tests.browser [pytest's own]``.

They need Chromium. Where it is missing, and this is Debian or a relative of it and root, its
packages are installed first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
INSTALL = (
    ["apt-get", "update", "-q"],
    ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"],
)


def main() -> int:
    root = sys.platform == "linux" and os.geteuid() == 0
    if shutil.which("chromium") is None and shutil.which("apt-get") and root:
        for command in INSTALL:
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
    environ = {**os.environ, "TESTS_IN_A_BROWSER": "1"}
    command = [sys.executable, "-m", "pytest", "-n0", str(HERE), *sys.argv[1:]]
    return subprocess.call(command, env=environ, cwd=HERE.parents[1])


if __name__ == "__main__":
    sys.exit(main())
