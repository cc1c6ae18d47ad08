"""What the tests have from PyPI beside the ``dev`` extra, and whether PyPI can be reached."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tarfile
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from support import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

FASTMCP = Path(__file__).parents[1] / "hosts" / "clients" / "requirements.txt"
SDK = "mcp==2.3.0"
ERAS = ("2025-11-25", "2026-07-28")
PROBE = "docstring-parser"  # small, and every installation of ours needs it

# The protocol's JSON schemas, which the source package of the SDK carries.


def schema(era: str) -> Path | None:
    """The schema of that era; ``None`` if it is missing."""
    return _schemas().path / f"{era}.json" if schemas_ready() else None


def schemas_ready() -> bool:
    """Whether the schemas are there."""
    return _schemas().complete


def install_schemas() -> None:
    """Get the schemas, unless they are there."""
    if schemas_ready():
        return
    options = ["--quiet", "--no-deps", "--no-binary", "mcp"]
    with (
        _downloaded(SDK, *options) as archive,
        tarfile.open(archive) as package,
        _schemas().filling() as target,
    ):
        for era in ERAS:
            name = f"{archive.name.removesuffix('.tar.gz')}/schema/{era}.json"
            stream = package.extractfile(name)
            assert stream is not None, f"{archive.name} has no {name}"
            (target / f"{era}.json").write_bytes(stream.read())


def _schemas() -> foreign.Place:
    return foreign.Place("schemas", SDK, *ERAS)


# FastMCP's client, in a virtual environment of its own: it brings other versions than ours.


def fastmcp_python() -> Path | None:
    """The interpreter that can import FastMCP's client; ``None`` if it is missing."""
    return _python_in(_fastmcp().path) if fastmcp_ready() else None


def fastmcp_ready() -> bool:
    """Whether the pinned version is there, and the Python that it was installed for."""
    return _fastmcp().complete and _python_in(_fastmcp().path).exists()


def install_fastmcp() -> None:
    """Install the pinned version, unless it is there."""
    if fastmcp_ready():
        return
    with _fastmcp().filling() as target:
        foreign.run([sys.executable, "-m", "venv", target])
        foreign.run([*_pip_of(_python_in(target)), "install", "--quiet", "-r", FASTMCP])


def _fastmcp() -> foreign.Place:
    return foreign.Place("fastmcp", FASTMCP.read_text("utf-8"))


# Whether the README's own installations can work.


def reach_by_pip() -> None:
    """Raise `foreign.NotInstalledError` unless pip gets packages."""
    with _downloaded(PROBE, "--quiet", "--no-deps"):
        pass


def reach_by_uv() -> None:
    """Raise `foreign.NotInstalledError` unless uv gets packages."""
    uv = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if uv is None:
        raise foreign.NotInstalledError("uv is missing; the dev extra brings it")
    foreign.run([uv, "pip", "compile", "--quiet", "--refresh", "--no-deps", "-"], stdin=PROBE)


@contextmanager
def _downloaded(requirement: str, *options: str) -> Iterator[Path]:
    """The file that pip gets for a requirement, while it lasts."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(sys.executable)
        if find_spec("pip") is None:  # an environment that uv made has none
            foreign.run([sys.executable, "-m", "venv", Path(folder, "venv")])
            python = _python_in(Path(folder, "venv"))
        target = Path(folder, "download")
        foreign.run([*_pip_of(python), "download", *options, "--dest", target, requirement])
        [file] = target.iterdir()
        yield file


def _pip_of(python: Path) -> list[str | Path]:
    return [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _python_in(environment: Path) -> Path:
    name = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return environment / name
