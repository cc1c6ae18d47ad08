"""Files that a job keeps: artifacts, and the contents of its result.

A file is whole and on disk before the line that tells of it, and nothing knows its name until then.
"""

from __future__ import annotations

import os

from mcp_queue.commands.contents import Shown, mime_type_of
from mcp_queue.commands.source_files import open_file
from mcp_queue.errors import ArtifactCapError, InvalidContentError
from mcp_queue.jobs import artifact_names, events
from mcp_queue.queue_uris import artifact_uri
from mcp_queue.system.ours import make_folder

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
    make_folder(folder)
    path = os.path.join(folder, file)
    try:
        size = _write(reporter, name, source, path, _room(reporter, name, file))
        _check_size(reporter, name, size, _room(reporter, name, file))  # two threads may keep
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


def _room(reporter: Reporter, name: str, file: str) -> int | None:
    """Bytes that ``file``, to be kept as ``name``, may have; None for any number.

    Children of the job keep artifacts too, so all files count that stand in the folder, but for
    those which are replaced.
    """
    if reporter.artifact_cap is None:
        return None
    passed_over = {*reporter.replaced, reporter.files.get(name), file}
    used = 0
    with os.scandir(reporter.run.artifacts) as entries:
        for entry in entries:
            if entry.name not in passed_over:
                try:
                    used += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # the supervisor has removed it
                    pass
    return reporter.artifact_cap - used


def _check_size(reporter: Reporter, name: str, size: int, room: int | None) -> None:
    if room is not None and size > room:
        raise ArtifactCapError(name=f"{name!r:.80}", cap=reporter.artifact_cap)


def _write(reporter: Reporter, name: str, source: Source, path: str, room: int | None) -> int:
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for block in _blocks(name, source):
            size += len(block)
            _check_size(reporter, name, size, room)
            events.write_all(descriptor, block)
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
