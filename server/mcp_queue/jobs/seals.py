"""Seals: what a worker will run was written by this user, and so was which process it became.

A seal is an HMAC-SHA256 with a key that lies outside of every registry, in a file for its owner
alone. A job that a repository brought along has none, and neither has one that was changed.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from mcp_queue.errors import KeyFileError
from mcp_queue.system import ours

if TYPE_CHECKING:
    from mcp_queue.jobs.job_rows import NewJob
    from mcp_queue.jobs.run_rows import Claim, RunRow

SIZE = 32  # bytes of a key
UNTRUSTED = "untrusted"  # the code of a job that is not run
_BY_WHOM = "by an older version, by another user, or with another key than {key}"
_AGAIN = (
    "If it is yours, submit it again; servers that share a registry need one key: "
    "MCP_QUEUE_KEY_FILE"
)
NOT_OURS = f"nothing of it was run: it was written {_BY_WHOM}. {_AGAIN}"
NOT_FOLLOWED = f"its process is left alone: it was started {_BY_WHOM}. {_AGAIN}"
_OTHER = "or name another file with MCP_QUEUE_KEY_FILE"
_MEND = (
    "You alone may own, read and write it. Mend or remove it (a new one is made; jobs that still "
    f"wait are then not run), {_OTHER}."
)
_ROOM = f"Make {{folder}} a folder in which you can make files, {_OTHER}."
_WAY = f"You alone may write to its folder. Close that to others if it is yours, {_OTHER}."


def of_job(key: bytes, job: NewJob | Claim) -> str:
    """The seal of a job: of all that decides what a worker does."""
    return _seal(
        key, "job", job.job_id, job.command, job.params, job.call, job.origin, job.timeout,
        job.max_attempts, job.memory_limit,
    )  # fmt: skip


def of_run(key: bytes, run_id: str, identity: str) -> str:
    """The seal of a run: it is this process."""
    return _seal(key, "run", run_id, identity)


def holds_for_job(key: bytes, claim: Claim) -> bool:
    """Whether a job that was claimed bears its seal."""
    return _equal(claim.seal, of_job(key, claim))


def holds_for_run(key: bytes, run: RunRow) -> bool:
    """Whether the record of a run's process bears its seal."""
    return run.identity is not None and _equal(run.seal, of_run(key, run.run_id, run.identity))


def read_key(path: str) -> bytes:
    """The key in this file, which is made when missing, by one process of several.

    `KeyFileError` when it cannot be had, or when others may read it, or change it or its folder.
    """
    folder = os.path.dirname(path)
    try:
        ours.check_way(folder)
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
            ours.check_way(folder)
            return _read(path)
    except OSError as error:
        raise _refusal(path, error) from error


def fault_of(path: str) -> KeyFileError | None:
    """Why the key in this file cannot be used; a missing one is made when it is needed."""
    try:
        ours.check_way(os.path.dirname(path))
        _read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _refusal(path, error)
    return None


def _refusal(path: str, error: OSError) -> KeyFileError:
    fault = error.strerror or str(error)
    if isinstance(error, ours.NotOursError) and error.filename != path:
        return KeyFileError(path=path, reason=f"{error.filename}: {fault}", advice=_WAY)
    advice = _MEND if os.path.lexists(path) else _ROOM.format(folder=os.path.dirname(path))
    return KeyFileError(path=path, reason=fault, advice=advice)


def _read(path: str) -> bytes:
    with open(ours.open_ours(path, os.O_RDONLY, deep=0), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if sys.platform != "win32" and mode & 0o077:
            fault = f"other users may read it (mode {stat.S_IMODE(mode):03o})"
            raise ours.NotOursError(path, fault)
        key = file.read(SIZE + 1)
    if len(key) != SIZE:
        raise ours.NotOursError(path, f"it does not hold {SIZE} bytes")
    if len(set(key)) == 1:
        raise ours.NotOursError(path, "all its bytes are the same, so it can be guessed")
    return key


def _make(path: str) -> None:
    """Under a name of its own, then by a link, so that nobody ever sees a part of it."""
    ours.make_folder(os.path.dirname(path))
    new = f"{path}.{os.urandom(8).hex()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            os.write(descriptor, os.urandom(SIZE))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # another was quicker
        except OSError:  # a file system without links
            os.replace(new, path)
    finally:
        try:
            os.unlink(new)
        except FileNotFoundError:
            pass


def _seal(key: bytes, *fields: object) -> str:
    import hmac  # what starts needs no seal
    import json

    return hmac.digest(key, json.dumps(fields).encode(), "sha256").hex()


def _equal(one: str | None, other: str) -> bool:
    import hmac

    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())
