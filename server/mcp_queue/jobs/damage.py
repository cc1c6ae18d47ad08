"""A damaged registry is kept aside, with the files of its runs, and a new one begins.

A server does so as it starts, and only when a second look under the supervisor's lock finds the
damage too, the file is one of ours, and nothing of it lives: no supervisor, no server, no run.
What an error of the disk or a lock prevents from being read is not damaged.

The damaged file's new name takes one rename; its write-ahead log is copied before, and SQLite
removes the old one when it makes the new file. So a death at any moment leaves either the damaged
registry in its place or the whole of it aside.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import apsw

from mcp_queue import clock
from mcp_queue.errors import RegistryDamagedError, RegistryError
from mcp_queue.jobs import bell
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import DAMAGED, Registry
from mcp_queue.jobs.registry_file import file_identity
from mcp_queue.system import marks
from mcp_queue.system.locks import FileLock, is_held

if TYPE_CHECKING:
    from collections.abc import Iterator

INFIX = ".damaged-"
LOCK_PATIENCE = 3.0  # seconds for a supervisor with nothing to do to leave
LOCK_RETRY = 0.02  # seconds
DAMAGES = {apsw.SQLITE_CORRUPT, apsw.SQLITE_NOTADB}  # not, say, an error of the disk

NOTICE = (
    "The registry %s was damaged (%s). It is kept as %s, with the logs and results of its runs in "
    "the folder beside it. A new registry begins, which knows none of its jobs."
)

log = logging.getLogger(__name__)


def open_or_begin_anew(path: str) -> Registry:
    """Open a registry; one of ours that is damaged is kept aside first.

    The errors of `Registry`; `RegistryDamagedError` when it cannot be kept aside now, and nothing
    is changed then.
    """
    if not os.path.exists(RegistryFolder(path).damaged):
        try:
            return Registry(path)
        except RegistryDamagedError:
            pass
    refusal: RegistryError | None = None
    try:
        set_aside(path)
    except RegistryError as error:
        refusal = error
    try:
        # What is damaged only in part, and in use, still serves where it can.
        return Registry(path)
    except RegistryDamagedError as error:
        raise (refusal or error) from None


def set_aside(path: str) -> str | None:
    """Give a damaged registry another name, which is answered; None when it proves sound."""
    folder = RegistryFolder(path)
    damage = _damage(path)
    if damage is None:
        _forget(folder)
        return None
    lock = FileLock(folder.lock)
    try:
        folder.make()
        if not _take(lock, path, folder, damage):
            return None
        aside = None
        if _damage(path) is not None:
            _check_unused(path, folder, damage)
            aside = _move(path, folder)
            log.warning(NOTICE, path, damage, aside)
        _forget(folder)
    except OSError as error:
        raise _refusal(
            path, f"{damage}; it cannot be kept aside: {error.strerror}", "Move it aside by hand."
        ) from error
    finally:
        lock.release()
    return aside


def confirm(path: str) -> None:
    """Look at all of a registry that somebody found damaged.

    Raises `RegistryDamagedError` if it is; else the report is forgotten.
    """
    damage = _damage(path)
    if damage is not None:
        raise _refusal(path, damage, DAMAGED)
    _forget(RegistryFolder(path))


def kept_aside(path: str) -> list[str]:
    """The damaged registries that were kept aside, oldest first."""
    folder, name = os.path.split(path)
    try:
        found = os.listdir(folder)
    except OSError:
        return []
    form = re.compile(re.escape(name + INFIX) + r"\d{8}T\d{6}Z(-\d+)?")
    return [os.path.join(folder, each) for each in sorted(found) if form.fullmatch(each)]


def _damage(path: str) -> str | None:
    """What a connection of its own finds damaged, with a look at every page.

    Other errors than `RegistryDamagedError` are raised: what cannot be read may still be sound.
    """
    if not os.path.exists(path) or not os.path.getsize(path):
        return None
    try:
        registry = Registry(path)
        try:
            found = [str(row[0]) for row in registry.rows("PRAGMA integrity_check")]
        finally:
            registry.close()
    except RegistryDamagedError as error:
        return str(error.details["reason"])
    if found == ["ok"]:
        return None
    codes = {int(code) & 0xFF for code in re.findall(r"error code[ =](\d+)", " ".join(found))}
    if not codes <= DAMAGES:
        raise RegistryError(
            path=path, reason=f"it cannot be read ({found[0]})", advice="Look after the disk."
        )
    return found[0]


def _take(lock: FileLock, path: str, folder: RegistryFolder, damage: str) -> bool:
    """Take the supervisor's lock; False when another server was quicker to mend the registry."""
    bell.ring(folder.bell)  # a supervisor that meets the damage leaves when nothing runs
    damaged = file_identity(path)
    deadline = clock.monotonic() + LOCK_PATIENCE
    while not lock.try_acquire():
        if file_identity(path) != damaged:
            return False
        if clock.monotonic() > deadline:
            raise _refusal(
                path,
                f"{damage}; its supervisor still sees to jobs that run",
                "Start again when they have ended: the file is then kept aside.",
            )
        time.sleep(LOCK_RETRY)
    return True


def _check_unused(path: str, folder: RegistryFolder, damage: str) -> None:
    """Refuse while a server has the registry open or a run of it lives."""
    # Windows renames no file that is open.
    if sys.platform != "win32" and any(
        bell.ring(os.path.join(folder.bells, name))
        for name in os.listdir(folder.bells)
        if name != os.path.basename(folder.bell)
    ):
        raise _refusal(
            path,
            f"{damage}; another server has it open",
            "Close every client that uses it, then start again: the file is then kept aside.",
        )
    runs = os.listdir(folder.runs)
    marked = {marks.short(run_id) for run_id in runs}
    if living := [str(pid) for pid, run in marks.marks().items() if run in marked]:
        raise _refusal(
            path,
            f"{damage}; jobs of it still run, as process {', '.join(living)}",
            "Start again when they have ended, or end them: the file is then kept aside.",
        )
    if any(is_held(folder.run(run_id).events) for run_id in runs):
        raise _refusal(
            path,
            f"{damage}; jobs of it still run in another container",
            "Start again when they have ended, or end it: the file is then kept aside.",
        )


def _refusal(path: str, reason: str, advice: str) -> RegistryDamagedError:
    return RegistryDamagedError(path=path, reason=reason, advice=advice)


def _move(path: str, folder: RegistryFolder) -> str:
    """Give the registry and what belongs to it names of the same form; all of it or nothing."""
    aside = next(name for name in _names(path) if not _taken(name))
    kept = RegistryFolder(aside)
    try:
        if os.path.exists(path + "-wal"):
            _copy(path + "-wal", aside + "-wal")
        os.mkdir(kept.path, 0o700)
        os.rename(folder.runs, kept.runs)
        os.rename(path, aside)
    except OSError:
        with suppress(OSError):
            os.rename(kept.runs, folder.runs)
        shutil.rmtree(kept.path, ignore_errors=True)
        with suppress(OSError):
            os.unlink(aside + "-wal")
        raise
    _sync(os.path.dirname(path))
    return aside


def _names(path: str) -> Iterator[str]:
    first = path + INFIX + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(clock.wall()))
    yield first
    number = 2
    while True:
        yield f"{first}-{number}"
        number += 1


def _taken(name: str) -> bool:
    return any(os.path.lexists(name + suffix) for suffix in ("", "-wal", ".d"))


def _copy(source: str, target: str) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(source, "rb") as read, open(descriptor, "wb") as written:
        shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(descriptor)


def _sync(folder: str) -> None:
    """So that no power cut brings the damaged file back over the new one."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _forget(folder: RegistryFolder) -> None:
    with suppress(FileNotFoundError):
        os.unlink(folder.damaged)
