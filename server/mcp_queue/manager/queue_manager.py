"""`QueueManager`: the queue as an asynchronous Python API, the one that the MCP server uses too."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from mcp_queue.errors import (
    InvalidJobStateError,
    InvalidParamsError,
    JobNotFoundError,
    QueueDisabledError,
)
from mcp_queue.jobs import artifact_rows, job_rows, logs, question_rows, retention, states
from mcp_queue.jobs.job_rows import NewJob
from mcp_queue.manager import artifacts, health, job_calls
from mcp_queue.manager.membership import Membership
from mcp_queue.manager.origin import origin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable
    from typing import Self

    from mcp_queue.commands.classic import QueueJobBase
    from mcp_queue.commands.command import CommandInfo
    from mcp_queue.config import Settings
    from mcp_queue.jobs.artifact_rows import ArtifactRow
    from mcp_queue.jobs.folder import RunFolder
    from mcp_queue.jobs.logs import LogPage
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.manager.artifacts import Artifact
    from mcp_queue.manager.job_calls import JobCall

STOP_MARGIN = 1.0  # seconds beyond the grace that a stop is waited for
START_PATIENCE = 2.0  # seconds that a start waits for a free slot's worker
NULL_SIZE = len("null")  # bytes of the result of a job that has none


class QueueManager:
    """A registry of jobs and the processes that run them.

    Use it as ``async with await QueueManager.open(settings) as queue``. All methods raise the
    errors of `mcp_queue.errors`, among them `RegistryBusyError`, `RegistryError` and, once it is
    closed, `QueueClosedError`; cancelling one never undoes what it has written.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._member = Membership(settings)
        self.registry_path = self._member.registry_path

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Open or make the registry of ``settings``; a supervisor starts with the first work."""
        job_calls.refuse_while_loading()
        manager = cls(settings)
        try:
            await manager._member.open()
        except BaseException:
            await manager.close(wait=False)
            raise
        return manager

    def __await__(self) -> Generator[Any, None, Self]:
        async def itself() -> Self:
            return self

        return itself().__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, *, wait: bool = True) -> None:
        """Leave the registry. Persistent jobs go on.

        In-memory jobs are asked to stop and killed after ``shutdown_timeout``; ``wait`` for that.
        """
        await self._member.close(wait=wait)

    # ------------------------------------------------------------------ what clients do

    async def submit(
        self,
        info: CommandInfo,
        params: object,
        *,
        job_id: str | None = None,
        start: bool = True,
        context: dict[str, Any] | None = None,
    ) -> JobRecord:
        """Queue a call of a command, durably: once this answers, the job is never lost.

        Errors: `InvalidParamsError`, `JobAlreadyExistsError`, `QueueDisabledError`,
        `QueueFullError`.
        """
        call = job_calls.of_command(info, params, context)
        return await self._add(info, call, job_id, start=start)

    async def _add(
        self, info: CommandInfo, call: JobCall, job_id: str | None, *, start: bool
    ) -> JobRecord:
        if not self.settings.enabled:
            raise QueueDisabledError(command=info.name)
        timeout = info.timeout or self.settings.default_timeout_seconds
        job = NewJob(
            job_id=job_calls.checked_id(job_id, info.name)
            if job_id is not None
            else str(uuid.uuid4()),
            command=info.name,
            job_type=info.job_type,
            params=call.params,
            call=call.call,
            origin=origin(),
            timeout=float(timeout) if timeout is not None else None,
            start=start,
            max_attempts=info.max_attempts,
            memory_limit=info.memory_limit or self.settings.default_memory_limit,
        )
        return await self._member.change(job_rows.add, job)

    async def add_job(
        self,
        job_class: type[QueueJobBase] | Callable[..., Any] | str,
        job_id: str,
        params: object = None,
    ) -> JobRecord:
        """Add a job under an id of the caller's; `start_job` starts it.

        ``job_class``: a class derived from `QueueJobBase` that a worker can load (at the top
        level of a module or of the script), or a registered command or its name. ``params`` go
        as JSON. Errors: `InvalidJobClassError`, `CommandNotFoundError`, and those of `submit`.
        """
        info, call = job_calls.of(job_class, {} if params is None else params)
        return await self._add(info, call, job_id, start=False)

    async def start_job(self, job_id: str) -> JobRecord:
        """Start an added job: ``running`` in the answer if a slot was free, else ``pending``."""
        if not self.settings.enabled:
            raise QueueDisabledError(command=(await self.record_of(job_id)).command)
        record = await self._member.change(job_rows.start, job_id)
        with anyio.move_on_after(START_PATIENCE):
            async with aclosing(self.watch([job_id])) as changes:
                async for record in changes:
                    if record.status != states.PENDING or await self._full():
                        break
        return record

    async def stop_job(self, job_id: str) -> JobRecord:
        """Stop a job and all its processes; answers when they are gone, or nearly.

        A running job gets the stop grace to end by itself. `InvalidJobStateError` when it has
        ended already.
        """
        record = await self._member.change(job_rows.request_stop, job_id)
        if not record.terminal:
            with suppress(TimeoutError):
                patience = self.settings.stop_grace_seconds + STOP_MARGIN
                return await self.wait_for_job(job_id, patience)
        return await self.get_job_status(job_id)

    async def answer_job(
        self,
        job_id: str,
        key: str | None = None,
        action: str = "accept",
        content: dict[str, Any] | None = None,
    ) -> JobRecord:
        """Answer what a running job asks, durably; the first answer counts.

        ``key``: of the question, not needed while the job asks just one. ``action``: ``accept``
        with the values of the form as ``content``, ``decline``, or ``cancel``. Errors:
        `QuestionNotOpenError` (answered already, asked no more, the job has ended),
        `InvalidAnswerError`, `JobNotFoundError`.
        """
        return await self._member.change(question_rows.answer, job_id, key, action, content)

    async def delete_job(self, job_id: str, reason: str = "by client") -> JobRecord:
        """Delete a job, its result and its logs; a run of it is ended. A tombstone tells why."""
        before, after = await self._member.change(job_rows.delete, job_id, reason)
        if before.run_id is not None and before.status != states.RUNNING:
            path = self._member.folder.run(before.run_id).path
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        return after

    # ------------------------------------------------------------------ what clients see

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
        rows = [row for row in await self.kept_by(record) if row.file is not None]
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

        ``stream``: ``stdout``, ``stderr`` or ``all``. ``contains`` keeps the lines with a text.
        ``max_bytes``: bytes of a stream that an answer ``since`` a cursor covers at most.
        `InvalidJobStateError`, with the reason, when the job is deleted.
        """
        record = await self._kept(job_id)
        folder, run_id = self._run_folder(record), record.run_id or ""
        streams = logs.STREAMS if stream == "all" else (stream,)
        try:
            if since is None:
                page = await asyncio.to_thread(logs.tail, folder, run_id, streams, tail)
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
                advice="Pass the cursor of an earlier answer as it is, or leave since out.",
            ) from error
        if contains is None:
            return page
        return replace(
            page,
            stdout=[line for line in page.stdout if contains in line],
            stderr=[line for line in page.stderr if contains in line],
        )

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
        return await self._member.read(health.health, self.settings, self.registry_path)

    async def retention(self) -> float:
        """Seconds that an ended job is kept, by the settings in force; 0: for ever."""
        return await self._member.read(retention.seconds)

    async def wait_for_job(self, job_id: str, timeout: float | None = None) -> JobRecord:
        """The job once it has ended; `TimeoutError` when it has not after ``timeout`` seconds."""
        async with asyncio.timeout(timeout), aclosing(self.watch([job_id])) as changes:
            async for record in changes:
                if record.terminal:
                    return await self.get_job_status(job_id)
        raise JobNotFoundError(job_id=job_id)

    def watch(
        self, job_ids: Iterable[str] | None = None, begin: Callable[[], None] | None = None
    ) -> AsyncGenerator[JobRecord]:
        """First each named job as it is, then every change, coalesced.

        For all jobs (None) the changes alone. A slow reader gets the latest state of each job.
        ``begin`` is called when no change from then on will be missed.
        """
        return self._member.watch(job_ids, begin)

    async def _full(self) -> bool:
        totals = await self._member.read(job_rows.totals)
        return totals[states.RUNNING] >= self.settings.max_concurrent_jobs

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
        with open(path, encoding="utf-8") as file:
            return file.read(characters)
    except FileNotFoundError:  # deleted or forgotten in this very moment
        return ""


def _load(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
