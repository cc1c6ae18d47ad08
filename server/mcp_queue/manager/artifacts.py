"""Read artifacts, the files of a job beside its result."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_queue.errors import ArtifactNotFoundError
from mcp_queue.jobs import artifact_names, artifact_rows, job_rows
from mcp_queue.jobs.artifact_rows import ArtifactRow
from mcp_queue.queue_uris import artifact_uri
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from mcp_queue.jobs.folder import RegistryFolder
    from mcp_queue.jobs.registry import Registry


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored file of a job: one of `Job.artifact`, or a content of its result."""

    job_id: str
    name: str
    mime_type: str
    size: int
    """Bytes."""
    title: str | None
    path: str
    """The path of the file. It belongs to the queue: do not change it."""

    @property
    def uri(self) -> str:
        """Its address as a resource."""
        return artifact_uri(self.job_id, self.name)

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """Its bytes, from ``offset`` on, at most ``length``.

        Raises ArtifactNotFoundError if it was replaced or its job was deleted in the meantime.
        """
        try:
            return await asyncio.to_thread(_read, self.path, offset, length)
        except FileNotFoundError:
            raise ArtifactNotFoundError(job_id=self.job_id, name=self.name) from None


def find(registry: Registry, folder: RegistryFolder, job_id: str, name: str) -> Artifact:
    """The artifact. Errors: JobNotFoundError, InvalidJobStateError, ArtifactNotFoundError."""
    record = job_rows.get_undeleted(registry, job_id)
    row = None
    if record.run_id is not None and artifact_names.fault_of(name) is None:
        row = artifact_rows.find(registry, record.run_id, name)
    if record.run_id is None or row is None or not artifact_names.is_file(row.file):
        raise ArtifactNotFoundError(job_id=job_id, name=name[: artifact_names.NAME_LIMIT])
    return of_row(folder, job_id, record.run_id, row)


def of_row(folder: RegistryFolder, job_id: str, run_id: str, row: ArtifactRow) -> Artifact:
    """The artifact of a row that has a file."""
    assert row.file is not None
    return Artifact(
        job_id=job_id,
        name=row.name,
        mime_type=row.mime_type or "application/octet-stream",
        size=row.size or 0,
        title=row.title,
        path=os.path.join(folder.run(run_id).artifacts, row.file),
    )


def _read(path: str, offset: int, length: int | None) -> bytes:
    with open(open_ours(path, os.O_RDONLY, deep=2), "rb") as file:
        file.seek(offset)
        return file.read(-1 if length is None else length)
