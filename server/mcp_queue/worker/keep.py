"""Files that a job keeps: artifacts, and the contents of its result.

A file is whole and on disk before the line that tells of it, and nothing knows its name until then.
"""

from __future__ import annotations

import os

from mcp_queue.commands.contents import ContentEncoder, mime_type_of
from mcp_queue.commands.source_files import open_file
from mcp_queue.errors import ArtifactCapError, InvalidContentError
from mcp_queue.jobs import artifact_names, events
from mcp_queue.queue_uris import artifact_uri
from mcp_queue.system.ours import make_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp_queue.commands.contents import Content, Source
    from mcp_queue.jobs.run_folder import RunFolder

BLOCK = 1 << 20  # bytes copied at once


class Artifacts:
    """The files that one run keeps, and what the supervisor is told of them."""

    def __init__(
        self, run: RunFolder, cap: int | None, say: Callable[[str, dict[str, object]], None]
    ) -> None:
        """``cap``: bytes of all files together. ``say`` sends an event to the supervisor."""
        self._folder = run.artifacts
        self._cap = cap
        self._say = say
        self._names: set[str] = set()
        self._files: dict[str, str] = {}  # by name, of those that have one
        self._replaced: set[str] = set()  # files that the supervisor removes

    def keep(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Keep an artifact. Raises InvalidContentError and `OSError`; what was kept before
        stays."""
        mime_type = about["mime_type"] or mime_type_of(name, source, _otherwise(source))
        self._store(name, source, {"kind": "file", **about, "mime_type": mime_type})

    def content_encoder(self, job_id: str) -> ContentEncoder:
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
                return self._store(name, content.source, about), artifact_uri(job_id, name)
            self._check(name)
            self._tell(name, {**about, "uri": content.uri})
            return None, content.uri

        return ContentEncoder(keep_content, self._names)

    def _store(self, name: str, source: Source, about: dict[str, object]) -> int:
        self._check(name)
        file = artifact_names.new_file()
        make_folder(self._folder)
        path = os.path.join(self._folder, file)
        try:
            size = self._write(name, source, path, self._room(name, file))
            self._check_size(name, size, self._room(name, file))  # two threads may keep
        except BaseException:
            if os.path.exists(path):
                os.unlink(path)
            raise
        self._tell(name, {**about, "file": file, "size": size})
        return size

    def _tell(self, name: str, fields: dict[str, object]) -> None:
        """Say that a file is kept, unless the job has ended."""
        self._names.add(name)
        before = self._files.pop(name, None)
        if "file" in fields:
            self._files[name] = str(fields["file"])
        self._say(events.ARTIFACT, {"name": name, **fields})
        if before is not None:
            self._replaced.add(before)

    def _check(self, name: str) -> None:
        fault = artifact_names.fault_of(name)
        if fault is None and name not in self._names and len(self._names) >= artifact_names.MOST:
            fault = f"a job keeps at most {artifact_names.MOST}"
        if fault is not None:
            raise InvalidContentError(name=f"{name!r:.80}", reason=fault)

    def _room(self, name: str, file: str) -> int | None:
        """Bytes that ``file``, to be kept as ``name``, may have; None for any number.

        Children of the job keep artifacts too, so all files count that stand in the folder, but
        for those which are replaced.
        """
        if self._cap is None:
            return None
        passed_over = {*self._replaced, self._files.get(name), file}
        used = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name not in passed_over:
                    try:
                        used += entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:  # the supervisor has removed it
                        pass
        return self._cap - used

    def _check_size(self, name: str, size: int, room: int | None) -> None:
        if room is not None and size > room:
            raise ArtifactCapError(name=f"{name!r:.80}", cap=self._cap)

    def _write(self, name: str, source: Source, path: str, room: int | None) -> int:
        size = 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for block in _blocks(name, source):
                size += len(block)
                self._check_size(name, size, room)
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
