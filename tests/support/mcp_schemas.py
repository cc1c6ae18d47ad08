"""The protocol's JSON schemas, from the source package of the SDK, which carries them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from support import foreign

SDK = "mcp==2.3.0"
ERAS = ("2025-11-25", "2026-07-28")


def file(environ: Mapping[str, str], era: str) -> Path | None:
    """The schema of that era; ``None`` if it is missing."""
    found = _folder(environ) / f"{era}.json"
    return found if found.is_file() else None


def install(environ: Mapping[str, str]) -> None:
    """Get the schemas, unless they are there."""
    if all(file(environ, era) for era in ERAS):
        return
    target = _folder(environ)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-deps", "--no-binary", "mcp", "--dest", folder]
        pip = [sys.executable, "-m", "pip", "download", *options, SDK]
        subprocess.run(pip, env=dict(environ), check=True)
        archive = next(Path(folder).glob("*.tar.gz"))
        with tarfile.open(archive) as package:
            for era in ERAS:
                name = f"{archive.name.removesuffix('.tar.gz')}/schema/{era}.json"
                stream = package.extractfile(name)
                assert stream is not None, f"{archive.name} has no {name}"
                (target / f"{era}.json").write_bytes(stream.read())


def _folder(environ: Mapping[str, str]) -> Path:
    return foreign.folder(environ) / "schemas" / SDK
