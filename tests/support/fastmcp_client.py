"""FastMCP's client, in a virtual environment of its own: it brings other versions than ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support import foreign

REQUIREMENTS = Path(__file__).parents[1] / "hosts" / "clients" / "requirements.txt"


def python(environ: Mapping[str, str]) -> Path | None:
    """The interpreter that can import it; ``None`` if the pinned version is missing."""
    installed = _folder(environ) / REQUIREMENTS.name
    if not installed.is_file() or installed.read_text() != REQUIREMENTS.read_text():
        return None
    return _interpreter(environ)


def install(environ: Mapping[str, str]) -> None:
    """Install the pinned version, unless it is there."""
    if python(environ) is not None:
        return
    target = _folder(environ)
    subprocess.run([sys.executable, "-m", "venv", "--clear", target], check=True)
    pip = [_interpreter(environ), "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]
    subprocess.run(pip, env=dict(environ), check=True)
    (target / REQUIREMENTS.name).write_text(REQUIREMENTS.read_text())


def _folder(environ: Mapping[str, str]) -> Path:
    return foreign.folder(environ) / "fastmcp"


def _interpreter(environ: Mapping[str, str]) -> Path:
    name = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return _folder(environ) / name
