"""What clients see of the queue: records, results, artifacts, logs, totals."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcp_queue.commands.catalog import registry
from mcp_queue.errors import InvalidJobStateError, InvalidParamsError
from mcp_queue.jobs import artifact_names, artifact_rows, job_rows, logs, retention, states
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
    from mcp_queue.manager.outlook import SupervisedWait

SEARCHED = 100_000  # lines of the end of a log that are searched at most
NULL_SIZE = len("null")  # bytes of the result of a job that has none


class QueueReader:
    """The half of `QueueManager` that changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._member = Membership(settings)
        self.registry_path = self._member.registry_path
        self._disk = DiskUsage(self._member.folder)

    async def get_job_status(self, job_id: str) -> JobRecord:
        """The job now, with its whole result, however large; a deleted one's tombstone too."""
        record = await self.record_of(job_id)
        if record.result is not None or (record.result_size or 0) <= NULL_SIZE:
            return record
        try:
            return replace(record, result=await self.result_of(job_id))
        except InvalidJobStateError:  # deleted meanwhile
            return await self.record_of(job_id)

    async def record_of(self, job_id: str) -> JobRecord:
        """The same without a result that is too large to stand in the record."""
        return self._with_sizes(await self._member.read(job_rows.get, job_id))

    async def is_destructive(self, job_id: str) -> bool:
        """Whether the job's command is marked destructive, here or where the job was added."""
        command = registry.find((await self.record_of(job_id)).command)
        if command is not None and command.destructive:
            return True
        return await self._member.read(job_rows.is_destructive, job_id)

    async def result_of(self, job_id: str) -> Any:
        """The whole result of an ended job, however large; None when it has none.

        `InvalidJobStateError`, with the reason, when the job is deleted.
        """
        record = await self._kept(job_id)
        folder = self._run_folder(record)
        if record.result is not None or record.result_size is None or folder is None:
            return record.result
        try:
            return await asyncio.to_thread(_load, folder.result)
        except FileNotFoundError:  # deleted or forgotten in this very moment
            return (await self._kept(job_id)).result

    async def result_preview(self, record: JobRecord, characters: int) -> str:
        """The beginning of an ended job's result as JSON text; empty when it has none."""
        folder = self._run_folder(record)
        if record.result is not None:
            return json.dumps(record.result, ensure_ascii=False)[:characters]
        if record.result_size is None or folder is None:
            return ""
        return await asyncio.to_thread(_beginning, folder.result, characters)

    async def get_artifact(self, job_id: str, name: str) -> Artifact:
        """An artifact of a job, or a content of its result; its `Artifact.read` gives the bytes.

        Errors: `JobNotFoundError`, `InvalidJobStateError` with the reason when the job is deleted,
        `ArtifactNotFoundError`.
        """
        return await self._member.read(artifacts.find, self._member.folder, job_id, name)

    async def list_artifacts(self, job_id: str) -> list[Artifact]:
        """All that `get_artifact` finds for a job, in the order of keeping."""
        record = await self._kept(job_id)
        rows = [row for row in await self.kept_by(record) if artifact_names.is_file(row.file)]
        of_row, folder, run_id = artifacts.of_row, self._member.folder, record.run_id or ""
        return [of_row(folder, job_id, run_id, row) for row in rows]

    async def kept_by(self, record: JobRecord) -> list[ArtifactRow]:
        """What the job kept until the moment of ``record``, links in its result included."""
        if not record.artifact_count or record.run_id is None:
            return []
        return await self._member.read(artifact_rows.of_run, record.run_id)

    async def get_job_logs(self, job_id: str) -> dict[str, Any]:
        """The end of both streams as lines (256 KiB of each), and how many lines there are."""
        page = await self.read_logs(job_id, tail=10_000)
        folder = self._run_folder(await self._kept(job_id))
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
        `InvalidJobStateError`, with the reason, when the job is deleted.
        """
        record = await self._kept(job_id)
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
        """The newest jobs, tombstones left out unless asked for by status."""
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
        """Totals by state, the settings in force, and who takes part."""
        return await self._member.read(
            health.health,
            self.settings,
            self.registry_path,
            self._member.supervision.trouble,
            await self._disk.glance(),
            self._member.key_file(),
        )

    @property
    def problem(self) -> SupervisorError | None:
        """Why no supervisor could be started for what waits; None when none is known to fail."""
        return self._member.supervision.outlook.problem

    async def start_problem(self) -> SupervisorError | None:
        """`problem`, once the start of a supervisor that is going on has gone one way or the other.

        It takes two seconds at most, and no time while there is a supervisor.
        """
        return await self._member.supervision.verdict()

    def while_supervised(
        self, needed: Callable[[], bool]
    ) -> AbstractContextManager[SupervisedWait]:
        """Leave the block as soon as no supervisor can be started while one is ``needed``."""
        return self._member.supervision.outlook.while_supervised(needed)

    async def retention(self) -> float:
        """Seconds that an ended job is kept, by the settings in force; 0: for ever."""
        return await self._member.read(retention.seconds)

    async def _kept(self, job_id: str) -> JobRecord:
        """The job, if there is more of it than a tombstone."""
        return await self._member.read(job_rows.get_kept, job_id)

    def _run_folder(self, record: JobRecord) -> RunFolder | None:
        return self._member.folder.run(record.run_id) if record.run_id is not None else None

    def _with_sizes(self, record: JobRecord) -> JobRecord:
        if record.run_id is None or record.status == states.DELETED:
            return record
        out, err = logs.sizes(self._run_folder(record))
        return replace(record, stdout_size=out, stderr_size=err)


def _beginning(path: str, characters: int) -> str:
    try:
        with open(open_ours(path, os.O_RDONLY), encoding="utf-8") as file:
            return file.read(characters)
    except FileNotFoundError:  # deleted or forgotten in this very moment
        return ""


def _load(path: str) -> Any:
    return json.loads(read_ours(path))
