"""Store the files of a job: artifacts, and the contents of its result.

A file is complete and on disk before its event is written. Until then no other process knows its
name.
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
    """Stores the files of one run and reports them to the supervisor."""

    def __init__(
        self, run: RunFolder, cap: int | None, report: Callable[[str, dict[str, object]], None]
    ) -> None:
        """``cap``: bytes of all files together. ``report`` sends an event to the supervisor."""
        self._folder = run.artifacts
        self._cap = cap
        self._report = report
        self._names: set[str] = set()
        self._files: dict[str, str] = {}  # by name; links have no file
        self._replaced: set[str] = set()  # files that the supervisor removes

    def store(self, name: str, source: Source, about: dict[str, str | None]) -> None:
        """Store an artifact. After InvalidContentError or `OSError` an earlier one stays."""
        mime_type = about["mime_type"] or mime_type_of(name, source, _default_type(source))
        self._store(name, source, {"kind": "file", **about, "mime_type": mime_type})

    def content_encoder(self, job_id: str) -> ContentEncoder:
        """The object that stores the contents of the job's result."""

        def store(content: Content, name: str, place: int) -> tuple[int | None, str | None]:
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
            self._add(name, {**about, "uri": content.uri})
            return None, content.uri

        return ContentEncoder(store, self._names)

    def _store(self, name: str, source: Source, about: dict[str, object]) -> int:
        self._check(name)
        file = artifact_names.new_file()
        make_folder(self._folder)
        path = os.path.join(self._folder, file)
        try:
            size = self._write(name, source, path, self._room_for(name, file))
            # Two threads may store at once.
            self._check_size(name, size, self._room_for(name, file))
        except BaseException:
            if os.path.exists(path):
                os.unlink(path)
            raise
        self._add(name, {**about, "file": file, "size": size})
        return size

    def _add(self, name: str, fields: dict[str, object]) -> None:
        """Report a stored file, unless the job has ended."""
        self._names.add(name)
        before = self._files.pop(name, None)
        if "file" in fields:
            self._files[name] = str(fields["file"])
        self._report(events.ARTIFACT, {"name": name, **fields})
        if before is not None:
            self._replaced.add(before)

    def _check(self, name: str) -> None:
        fault = artifact_names.fault_of(name)
        if fault is None and name not in self._names and len(self._names) >= artifact_names.MOST:
            fault = f"a job keeps at most {artifact_names.MOST}"
        if fault is not None:
            raise InvalidContentError(name=f"{name!r:.80}", reason=fault)

    def _room_for(self, name: str, file: str) -> int | None:
        """The bytes that ``file`` of the artifact ``name`` may have; None for any number.

        Children of the job store artifacts too, so all files in the folder count, except replaced
        ones.
        """
        if self._cap is None:
            return None
        ignored = {*self._replaced, self._files.get(name), file}
        used = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name not in ignored:
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


def _default_type(source: Source) -> str:
    """The type of a source whose name and first bytes do not show it."""
    if isinstance(source, bytes):
        try:
            source[:BLOCK].decode()
        except UnicodeDecodeError:
            pass
        else:
            return "text/plain"
    return "application/octet-stream"
