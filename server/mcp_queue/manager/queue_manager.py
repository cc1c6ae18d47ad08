"""`QueueManager`: the asynchronous Python API of the queue. The MCP server uses it too."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from mcp_queue.errors import (
    JobNotFoundError,
    QueueDisabledError,
)
from mcp_queue.jobs import job_rows, question_rows, seals, setting_rows, states
from mcp_queue.jobs.job_rows import NewJob
from mcp_queue.manager import job_calls
from mcp_queue.manager.origin import origin, working_folder
from mcp_queue.manager.reader import QueueReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable
    from typing import Self

    from mcp_queue.commands.classic import QueueJobBase
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.config import Settings
    from mcp_queue.jobs.record import JobRecord
    from mcp_queue.jobs.registry import Registry
    from mcp_queue.jobs.shared_settings import SharedSettings
    from mcp_queue.manager.job_calls import JobCall

STOP_MARGIN = 1.0  # seconds beyond the grace that `stop_job` waits
START_PATIENCE = 2.0  # seconds that `start_job` waits for a worker if a slot is free


class QueueManager(QueueReader):
    """A registry of jobs and the processes that run them.

    Use it as ``async with await QueueManager.open(settings) as queue``. All methods raise the
    errors of `mcp_queue.errors`, among them `RegistryBusyError`, `RegistryError` and, once it is
    closed, `QueueClosedError`. Cancelling a method never undoes its writes.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._folder = working_folder()

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
        self._disk.close()
        await self._member.close(wait=wait)

    # ------------------------------------------------------------------ change jobs

    async def submit(
        self,
        info: CommandInfo,
        params: object,
        *,
        job_id: str | None = None,
        start: bool = True,
        context: dict[str, Any] | None = None,
    ) -> JobRecord:
        """Queue a call of a command. It is on disk when this returns.

        Errors: `InvalidParamsError`, `JobAlreadyExistsError`, `QueueDisabledError`,
        `QueueFullError` and its kinds `QueueBoundError` and `DiskCapError`.
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
            job_id=job_calls.check_id(job_id, info.name)
            if job_id is not None
            else str(uuid.uuid4()),
            command=info.name,
            job_type=info.job_type,
            params=call.params,
            call=call.call,
            origin=origin(self._folder),
            timeout=float(timeout) if timeout is not None else None,
            start=start,
            max_attempts=info.max_attempts,
            memory_limit=info.memory_limit or self.settings.default_memory_limit,
        )
        return await self._member.change(self._add_sealed, job, self._member.key_file())

    def _add_sealed(self, registry: Registry, job: NewJob, key_file: str) -> JobRecord:
        self._disk.check(registry)
        key = seals.read_key(key_file)
        return job_rows.add(registry, replace(job, seal=seals.of_job(key, job)))

    async def add_job(
        self,
        job_class: type[QueueJobBase] | Callable[..., Any] | str,
        job_id: str,
        params: object = None,
    ) -> JobRecord:
        """Add a job under an id of the caller. `start_job` starts it.

        ``job_class``: a class derived from `QueueJobBase` that a worker can load (at the top
        level of a module or of the script), or a registered command or its name. ``params`` go
        as JSON. Errors: `InvalidJobClassError`, `CommandNotFoundError`, and those of `submit`.
        """
        info, call = job_calls.of(job_class, {} if params is None else params)
        return await self._add(info, call, job_id, start=False)

    async def start_job(self, job_id: str) -> JobRecord:
        """Start an added job. The record is ``running`` if a slot was free, else ``pending``."""
        if not self.settings.enabled:
            raise QueueDisabledError(command=(await self.record_of(job_id)).command)
        record = await self._member.change(job_rows.start, job_id)
        with anyio.move_on_after(START_PATIENCE):
            async with aclosing(self.watch([job_id])) as changes:
                async for record in changes:
                    if record.status != states.PENDING or await self._is_full():
                        break
        return record

    async def stop_job(self, job_id: str) -> JobRecord:
        """Stop a job and all its processes. A running job gets the stop grace to end by itself.

        Returns the ended job, or the running one if it has not ended one second after the grace.
        Raises `InvalidJobStateError` if it has ended already.
        """
        record = await self._member.change(job_rows.request_stop, job_id)
        if not record.terminal:
            with suppress(TimeoutError):
                grace = (await self._settings_in_force()).stop_grace_seconds
                return await self.wait_for_job(job_id, grace + STOP_MARGIN)
        return await self.get_job_status(job_id)

    async def answer_job(
        self,
        job_id: str,
        key: str | None = None,
        action: str = "accept",
        content: dict[str, Any] | None = None,
        *,
        person: bool = False,
    ) -> JobRecord:
        """Answer a question of a running job, durably. The first answer counts.

        ``key``: of the question, not needed while the job asks only one. ``action``: ``accept``
        with the values of the form as ``content``, ``decline``, or ``cancel``. ``person``: the
        person gave the answer to this program, without an agent; questions for the person alone
        require that. Errors: `QuestionNotOpenError` (answered already, withdrawn, or the job has
        ended), `PersonAloneError`, `InvalidAnswerError`, `JobNotFoundError`.
        """
        return await self._member.change(
            question_rows.answer, job_id, key, action, content, person=person
        )

    async def delete_job(self, job_id: str, reason: str = "by client") -> JobRecord:
        """Delete a job, its result and its logs, and end its run. A tombstone has the reason."""
        before, after = await self._member.change(job_rows.delete, job_id, reason)
        if before.run_id is not None and before.status != states.RUNNING:
            path = self._member.folder.run(before.run_id).path
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        await self._member.erase_later()
        return after

    # ------------------------------------------------------------------ wait and watch

    async def wait_for_job(self, job_id: str, timeout: float | None = None) -> JobRecord:
        """The job once it has ended; raises `TimeoutError` after ``timeout`` seconds.

        Raises `SupervisorError` if the job waits for a supervisor and none can be started.
        """
        record = await self.record_of(job_id)
        with self.while_supervised(lambda: record.needs_supervisor) as wait:
            async with asyncio.timeout(timeout), aclosing(self.watch([job_id])) as changes:
                async for record in changes:
                    if record.terminal:
                        return await self.get_job_status(job_id)
        if wait.problem is not None:
            raise wait.problem
        raise JobNotFoundError(job_id=job_id)

    def watch(
        self, job_ids: Iterable[str] | None = None, begin: Callable[[], None] | None = None
    ) -> AsyncGenerator[JobRecord]:
        """Yield each named job, then every change.

        For all jobs (None) only the changes. A slow reader gets only the latest record of each job.
        ``begin`` is called when no later change can be missed.
        """
        return self._member.watch(job_ids, begin)

    async def _is_full(self) -> bool:
        totals = await self._member.read(job_rows.totals)
        return totals[states.RUNNING] >= (await self._settings_in_force()).max_concurrent_jobs

    async def _settings_in_force(self) -> SharedSettings:
        """The settings of the server that joined last, which the supervisor uses."""
        return await self._member.read(setting_rows.in_force)
