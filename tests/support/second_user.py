"""Another ordinary user of this machine, as whom a test attacks what is ours.

The user is a number that no account has, so nothing is left behind. Only root can become another
user; where the tests run as somebody else, those that need one are skipped, by name.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from support.guards import GUARD

UID = 60_606
GID = 60_606

# What the program imports may lie in folders that are closed to the other user.
_PRELUDE = f"""
import ast, os, sys
program = sys.argv.pop(1)
tree = ast.parse(program)
imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
names = {{"__name__": "__main__"}}
exec(compile(ast.Module(imports, []), "imports", "exec"), names)
os.chdir("/")
os.setgroups([])
os.setgid({GID})
os.setuid({UID})
exec(compile(program, "second user", "exec"), names)
"""

needs_second_user = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can become a second user"
)


def run_as_second_user(
    program: str, *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python code as the other user; its imports at the top are made first, as ourselves."""
    return subprocess.run(
        [sys.executable, "-c", _PRELUDE, program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


def start_as_second_user(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Like `run_as_second_user`, for a program that goes on; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE, program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def give_away(path: Path) -> None:
    """Make the other user the owner of a file, or of a folder and all that is in it."""
    os.chown(path, UID, GID, follow_symlinks=False)
    if path.is_dir() and not path.is_symlink():
        for each in path.iterdir():
            give_away(each)


def open_way(folder: Path) -> None:
    """Let the other user pass through the folders of a test that lead to ``folder``.

    pytest makes those for their owner alone; nothing outside the folder of temporary files, which
    is everybody's and sticky, is touched.
    """
    closed: list[Path] = []
    for each in (folder.resolve(), *folder.resolve().parents):
        if each != folder.resolve() and each.stat().st_mode & stat.S_ISVTX:
            break
        closed.append(each)
    else:
        pytest.skip(f"{folder} is in no folder of temporary files")
    for each in closed:
        each.chmod(stat.S_IMODE(each.stat().st_mode) | 0o011)
