"""Moves a damaged registry aside, with the files of its runs, so that a new one can be made.

A server does this when it starts. The conditions: a second check under the supervisor's lock finds
the damage too, the file is a registry of ours, and no supervisor, server or run of it is alive. A
registry that cannot be read because of a disk error or a lock is not damaged.

The damaged file gets its new name by one rename. Its write-ahead log is copied before; SQLite
removes the original log when it makes the new registry. So if the process dies, the damaged
registry is either still in its place or completely moved.
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
LOCK_PATIENCE = 3.0  # seconds for an idle supervisor to exit
LOCK_RETRY = 0.02  # seconds
DAMAGES = {apsw.SQLITE_CORRUPT, apsw.SQLITE_NOTADB}  # other codes are no damage, as disk errors

NOTICE = (
    "The registry %s was damaged (%s). It is kept as %s, with the logs and results of its runs in "
    "the folder beside it. A new registry begins, which knows none of its jobs."
)

log = logging.getLogger(__name__)


def open_or_begin_anew(path: str) -> Registry:
    """Open a registry; move a damaged registry of ours aside first.

    Raises the errors of `Registry`, and `RegistryDamagedError` if the registry cannot be moved now;
    then nothing is changed.
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
        # A registry in use that is only partly damaged can still serve for the rest.
        return Registry(path)
    except RegistryDamagedError as error:
        raise (refusal or error) from None


def set_aside(path: str) -> str | None:
    """Move a damaged registry aside and return its new path; None if it is not damaged."""
    folder = RegistryFolder(path)
    damage = _damage(path)
    if damage is None:
        _remove_report(folder)
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
        _remove_report(folder)
    except OSError as error:
        raise _refusal(
            path, f"{damage}; it cannot be kept aside: {error.strerror}", "Move it aside by hand."
        ) from error
    finally:
        lock.release()
    return aside


def confirm(path: str) -> None:
    """Check a whole registry after a report that it is damaged.

    Raises `RegistryDamagedError` if it is; otherwise the report is removed.
    """
    damage = _damage(path)
    if damage is not None:
        raise _refusal(path, damage, DAMAGED)
    _remove_report(RegistryFolder(path))


def kept_aside(path: str) -> list[str]:
    """The damaged registries that were moved aside, oldest first."""
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    form = re.compile(re.escape(name + INFIX) + r"\d{8}T\d{6}Z(-\d+)?")
    return [os.path.join(folder, each) for each in sorted(names) if form.fullmatch(each)]


def _damage(path: str) -> str | None:
    """The damage that a new connection finds when it checks every page; None if there is none.

    Raises other errors than `RegistryDamagedError`: a file that cannot be read may be sound.
    """
    if not os.path.exists(path) or not os.path.getsize(path):
        return None
    try:
        registry = Registry(path)
        try:
            lines = [str(row[0]) for row in registry.rows("PRAGMA integrity_check")]
        finally:
            registry.close()
    except RegistryDamagedError as error:
        return str(error.details["reason"])
    if lines == ["ok"]:
        return None
    codes = {int(code) & 0xFF for code in re.findall(r"error code[ =](\d+)", " ".join(lines))}
    if not codes <= DAMAGES:
        raise RegistryError(
            path=path, reason=f"it cannot be read ({lines[0]})", advice="Look after the disk."
        )
    return lines[0]


def _take(lock: FileLock, path: str, folder: RegistryFolder, damage: str) -> bool:
    """Take the supervisor's lock; False if another server has already replaced the registry."""
    bell.ring(folder.bell)  # the supervisor finds the damage, and exits if nothing runs
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
    """Raise an error if a server has the registry open or a run of it is alive."""
    # Not on Windows, which refuses to rename an open file.
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
    """Rename the registry and its files; all of them or none."""
    aside = next(name for name in _names(path) if not _exists(name))
    target = RegistryFolder(aside)
    try:
        if os.path.exists(path + "-wal"):
            _copy(path + "-wal", aside + "-wal")
        os.mkdir(target.path, 0o700)
        os.rename(folder.runs, target.runs)
        os.rename(path, aside)
    except OSError:
        with suppress(OSError):
            os.rename(target.runs, folder.runs)
        shutil.rmtree(target.path, ignore_errors=True)
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


def _exists(name: str) -> bool:
    return any(os.path.lexists(name + suffix) for suffix in ("", "-wal", ".d"))


def _copy(source: str, target: str) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(source, "rb") as original, open(descriptor, "wb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(descriptor)


def _sync(folder: str) -> None:
    """Write the renames to disk, so that a power cut does not undo them."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_report(folder: RegistryFolder) -> None:
    with suppress(FileNotFoundError):
        os.unlink(folder.damaged)
