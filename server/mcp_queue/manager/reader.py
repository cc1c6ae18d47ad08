"""Read the queue: records, results, artifacts, logs, totals."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.errors import InvalidJobStateError, InvalidParamsError
from mcp_queue.jobs import artifact_names, artifact_rows, job_rows, logs, retention, states
from mcp_queue.jobs.record import NULL_SIZE
from mcp_queue.manager import artifacts, health
from mcp_queue.manager.disk import DiskUsage
from mcp_queue.manager.membership import Membership
from mcp_queue.system.ours import open_ours, read_ours

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from mcp_queue.config import Settings
    from mcp_queue.errors import SupervisorError
    from mcp_queue.jobs.artifact_rows import ArtifactRow
    from mcp_queue.jobs.logs import LogPage
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.jobs.run_folder import RunFolder
    from mcp_queue.manager.artifacts import Artifact
    from mcp_queue.manager.availability import SupervisedWait

SEARCHED = 100_000  # lines at the end of a log that are searched at most


class QueueReader:
    """The methods of `QueueManager` that only read."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._member = Membership(settings)
        self.registry_path = self._member.registry_path
        self._disk = DiskUsage(self._member.folder)

    async def get_job_status(self, job_id: str) -> JobRecord:
        """The job with its whole result, of any size; for a deleted job its tombstone."""
        record = await self.record_of(job_id)
        if record.result is not None or (record.result_size or 0) <= NULL_SIZE:
            return record
        try:
            return replace(record, result=await self.result_of(job_id))
        except InvalidJobStateError:  # deleted meanwhile
            return await self.record_of(job_id)

    async def record_of(self, job_id: str) -> JobRecord:
        """The job without a result that is too large for the record."""
        return self._with_sizes(await self._member.read(job_rows.get, job_id))

    async def is_destructive(self, job_id: str) -> bool:
        """Whether the job's command is marked destructive, here or where the job was added."""
        command = catalog.find((await self.record_of(job_id)).command)
        if command is not None and command.destructive:
            return True
        return await self._member.read(job_rows.is_destructive, job_id)

    async def result_of(self, job_id: str) -> Any:
        """The whole result of an ended job, of any size; None if it has none.

        Raises `InvalidJobStateError`, with the reason, if the job is deleted.
        """
        record = await self._undeleted(job_id)
        folder = self._run_folder(record)
        if record.result is not None or record.result_size is None or folder is None:
            return record.result
        try:
            return await asyncio.to_thread(_load, folder.result)
        except FileNotFoundError:  # deleted or expired in this moment
            return (await self._undeleted(job_id)).result

    async def result_preview(self, record: JobRecord, characters: int) -> str:
        """The beginning of an ended job's result as JSON text; empty if it has none."""
        folder = self._run_folder(record)
        if record.result is not None:
            return json.dumps(record.result, ensure_ascii=False)[:characters]
        if record.result_size is None or folder is None:
            return ""
        return await asyncio.to_thread(_read_beginning, folder.result, characters)

    async def get_artifact(self, job_id: str, name: str) -> Artifact:
        """An artifact of a job, or a content of its result; its `Artifact.read` gives the bytes.

        Errors: `JobNotFoundError`, `InvalidJobStateError` with the reason when the job is deleted,
        `ArtifactNotFoundError`.
        """
        return await self._member.read(artifacts.find, self._member.folder, job_id, name)

    async def list_artifacts(self, job_id: str) -> list[Artifact]:
        """All artifacts that `get_artifact` finds for a job, in the order of storing."""
        record = await self._undeleted(job_id)
        rows = [row for row in await self.artifacts_of(record) if artifact_names.is_file(row.file)]
        of_row, folder, run_id = artifacts.of_row, self._member.folder, record.run_id or ""
        return [of_row(folder, job_id, run_id, row) for row in rows]

    async def artifacts_of(self, record: JobRecord) -> list[ArtifactRow]:
        """The artifacts of the job at the time of ``record``, with links in its result."""
        if not record.artifact_count or record.run_id is None:
            return []
        return await self._member.read(artifact_rows.of_run, record.run_id)

    async def get_job_logs(self, job_id: str) -> dict[str, Any]:
        """The end of both streams as lines (256 KiB of each), and how many lines there are."""
        page = await self.read_logs(job_id, tail=10_000)
        folder = self._run_folder(await self._undeleted(job_id))
        return {
            "job_id": job_id,
            "stdout": page.stdout,
            "stderr": page.stderr,
            "stdout_lines": await asyncio.to_thread(logs.count_lines, folder, "stdout"),
            "stderr_lines": await asyncio.to_thread(logs.count_lines, folder, "stderr"),
        }

    async def read_logs(
        self,
        job_id: str,
        *,
        stream: str = "all",
        tail: int = 100,
        since: str | None = None,
        contains: str | None = None,
        max_bytes: int = logs.PAGE,
    ) -> LogPage:
        """Lines of a job's output: the last ``tail`` of each stream, or all ``since`` a cursor.

        ``stream``: ``stdout``, ``stderr`` or ``all``. ``since``: the cursor of an earlier page, or
        ``"start"``. ``contains`` keeps the lines with a text; the last ``tail`` of them are found
        in the last 256 KiB of a stream. ``max_bytes``: bytes of a stream that an answer ``since``
        a cursor covers at most.
        Raises `InvalidJobStateError`, with the reason, if the job is deleted.
        """
        record = await self._undeleted(job_id)
        folder, run_id = self._run_folder(record), record.run_id or ""
        streams = logs.STREAMS if stream == "all" else (stream,)
        try:
            if since is None:
                lines = tail if contains is None else SEARCHED
                page = await asyncio.to_thread(logs.tail, folder, run_id, streams, lines)
            else:
                page = await asyncio.to_thread(
                    logs.since,
                    folder,
                    run_id,
                    streams,
                    since,
                    ended=record.terminal,
                    page=max_bytes,
                )
        except logs.BadCursorError as error:
            raise InvalidParamsError(
                command="queue_get_job_logs",
                problems=f"since is not a cursor: {since!r}",
                advice="Pass the cursor of an earlier answer, or 'start', or leave since out.",
            ) from error
        if contains is None:
            return page
        found = [
            [line for line in lines if contains in line] for lines in (page.stdout, page.stderr)
        ]
        if since is None:
            found = [lines[-tail:] if tail else [] for lines in found]
        return replace(page, stdout=found[0], stderr=found[1])

    async def list_jobs(self, status: str | None = None, limit: int = 1000) -> list[JobRecord]:
        """The newest jobs, without tombstones unless ``status`` asks for them."""
        return (await self.list_page(status, limit))[0]

    async def list_page(
        self, status: str | None = None, limit: int = 100, cursor: int | None = None
    ) -> tuple[list[JobRecord], int | None]:
        """One page of `list_jobs`, newest first, and the cursor of the next one."""
        records, following = await self._member.read(job_rows.page, status, limit, cursor)
        return [self._with_sizes(record) for record in records], following

    async def find_ids(self, prefix: str, limit: int = 100) -> tuple[list[str], int]:
        """The newest ids that begin with ``prefix``, and how many there are."""
        return await self._member.read(job_rows.ids, prefix, limit)

    async def get_queue_health(self) -> dict[str, Any]:
        """Totals by state, the settings in force, servers and supervisor, and problems."""
        return await self._member.read(
            health.health,
            self.settings,
            self.registry_path,
            self._member.supervision.problem,
            await self._disk.recent(),
            self._member.key_file(),
        )

    @property
    def problem(self) -> SupervisorError | None:
        """Why no supervisor could be started; None if no start is known to have failed."""
        return self._member.supervision.availability.problem

    async def start_problem(self) -> SupervisorError | None:
        """`problem`, after a start of a supervisor that is going on has ended.

        Takes two seconds at most, and no time while there is a supervisor.
        """
        return await self._member.supervision.problem_after_start()

    def while_supervised(
        self, needed: Callable[[], bool]
    ) -> AbstractContextManager[SupervisedWait]:
        """Leave the block when no supervisor can be started while one is ``needed``."""
        return self._member.supervision.availability.while_supervised(needed)

    async def retention(self) -> float:
        """Seconds that an ended job is retained, by the settings in force; 0: for ever."""
        return await self._member.read(retention.seconds)

    async def _undeleted(self, job_id: str) -> JobRecord:
        """The job; raises `InvalidJobStateError` if it is deleted."""
        return await self._member.read(job_rows.get_undeleted, job_id)

    def _run_folder(self, record: JobRecord) -> RunFolder | None:
        return self._member.folder.run(record.run_id) if record.run_id is not None else None

    def _with_sizes(self, record: JobRecord) -> JobRecord:
        if record.run_id is None or record.status == states.DELETED:
            return record
        out, err = logs.sizes(self._run_folder(record))
        return replace(record, stdout_size=out, stderr_size=err)


def _read_beginning(path: str, characters: int) -> str:
    try:
        with open(open_ours(path, os.O_RDONLY), encoding="utf-8") as file:
            return file.read(characters)
    except FileNotFoundError:  # deleted or expired in this moment
        return ""


def _load(path: str) -> Any:
    return json.loads(read_ours(path))
