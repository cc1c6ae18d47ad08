"""Seals prove that this user wrote a job, and the record of its worker's process.

A seal is an HMAC-SHA256. Its key is outside of all registries, in a file that only its owner can
read. A job from a registry in a foreign repository has no valid seal, and neither has a job that
was changed.
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
    """The seal of a job: it covers all fields that determine what a worker does."""
    return _seal(
        key, "job", job.job_id, job.command, job.params, job.call, job.origin, job.timeout,
        job.max_attempts, job.memory_limit,
    )  # fmt: skip


def of_run(key: bytes, run_id: str, identity: str) -> str:
    """The seal of a run: it covers the identity of its process."""
    return _seal(key, "run", run_id, identity)


def holds_for_job(key: bytes, claim: Claim) -> bool:
    """Whether the seal of a claimed job is valid."""
    return _equal(claim.seal, of_job(key, claim))


def holds_for_run(key: bytes, run: RunRow) -> bool:
    """Whether the seal of a run's process is valid."""
    return run.identity is not None and _equal(run.seal, of_run(key, run.run_id, run.identity))


def read_key(path: str) -> bytes:
    """The key in this file. A missing file is made, by only one of several processes.

    Raises `KeyFileError` if there is no key, or if others may read or change the file or its
    folder.
    """
    folder = os.path.dirname(path)
    try:
        ours.check_with_parents(folder)
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
            ours.check_with_parents(folder)
            return _read(path)
    except OSError as error:
        raise _refusal(path, error) from error


def fault_of(path: str) -> KeyFileError | None:
    """Why the key in this file cannot be used; None if it can, or if the file is missing."""
    try:
        ours.check_with_parents(os.path.dirname(path))
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
    """Write the key to a file with a unique name, then link it, so that it is never incomplete."""
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
            pass  # another process has made it
        except OSError:  # the file system has no links
            os.replace(new, path)
    finally:
        try:
            os.unlink(new)
        except FileNotFoundError:
            pass


def _seal(key: bytes, *fields: object) -> str:
    import hmac  # not needed at the start of a process
    import json

    return hmac.digest(key, json.dumps(fields).encode(), "sha256").hex()


def _equal(one: str | None, other: str) -> bool:
    import hmac

    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())
