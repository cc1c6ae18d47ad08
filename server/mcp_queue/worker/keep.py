"""Files that a job keeps: artifacts, and the contents of its result.

A file is whole and on disk before the line that tells of it, and nothing knows its name until then.
"""

from __future__ import annotations

import os

from mcp_queue.commands.contents import Shown, artifact_uri, mime_type_of
from mcp_queue.commands.source_files import open_file
from mcp_queue.errors import InvalidContentError
from mcp_queue.jobs import artifact_names, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_queue.commands.contents import Content, Source
    from mcp_queue.worker.reporter import Reporter

BLOCK = 1 << 20  # bytes copied at once


def keep(reporter: Reporter, name: str, source: Source, about: dict[str, str | None]) -> None:
    """Keep an artifact. Raises InvalidContentError and `OSError`; what was kept before stays."""
    mime_type = about["mime_type"] or mime_type_of(name, source, _otherwise(source))
    _store(reporter, name, source, {"kind": "file", **about, "mime_type": mime_type})


def shown(reporter: Reporter, job_id: str) -> Shown:
    """Keeps the contents of the job's result."""

    def keep_content(content: Content, name: str, place: int) -> tuple[int | None, str | None]:
        about: dict[str, object] = {
            "kind": content.kind,
            "place": place,
            "mime_type": content.mime_type,
            "title": content.title,
            "description": content.description,
        }
        if content.source is not None:
            return _store(reporter, name, content.source, about), artifact_uri(job_id, name)
        _check(reporter, name)
        reporter.tell_artifact(name, {**about, "uri": content.uri})
        return None, content.uri

    return Shown(keep_content, reporter.kept)


def _store(reporter: Reporter, name: str, source: Source, about: dict[str, object]) -> int:
    _check(reporter, name)
    folder, file = reporter.run.artifacts, artifact_names.new_file()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, file)
    try:
        size = _write(name, source, path)
    except BaseException:
        if os.path.exists(path):
            os.unlink(path)
        raise
    reporter.tell_artifact(name, {**about, "file": file, "size": size})
    return size


def _check(reporter: Reporter, name: str) -> None:
    fault = artifact_names.fault_of(name)
    if fault is None and name not in reporter.kept and len(reporter.kept) >= artifact_names.MOST:
        fault = f"a job keeps at most {artifact_names.MOST}"
    if fault is not None:
        raise InvalidContentError(name=f"{name!r:.80}", reason=fault)


def _write(name: str, source: Source, path: str) -> int:
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for block in _blocks(name, source):
            events.write_all(descriptor, block)
            size += len(block)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size


def _blocks(name: str, source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with open_file(name, source) as file:
        while block := file.read(BLOCK):
            yield block


def _otherwise(source: Source) -> str:
    """The type of what neither name nor beginning tells."""
    if isinstance(source, bytes):
        try:
            source[:BLOCK].decode()
        except UnicodeDecodeError:
            pass
        else:
            return "text/plain"
    return "application/octet-stream"
