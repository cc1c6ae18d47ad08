"""The registry file: one SQLite connection, its schema, its transactions and its errors.

The modules ``*_rows``, `limits`, `retention`, `steady` and `tombstones` read and write its tables.
A connection belongs to one thread. Only SQLite opens the file: closing another descriptor of it
would release its locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from random import random
from typing import TYPE_CHECKING, Any, cast

import apsw

from mcp_queue import clock
from mcp_queue.errors import (
    RegistryBusyError,
    RegistryDamagedError,
    RegistryError,
    RegistryGoneError,
    RegistryUntrustedError,
)
from mcp_queue.jobs import schema, trust
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.header import read_header
from mcp_queue.jobs.registry_file import file_identity, make_owner_only
from mcp_queue.jobs.turn import Turn
from mcp_queue.system import crash
from mcp_queue.system.ours import open_ours

if TYPE_CHECKING:
    from collections.abc import Generator

APPLICATION_ID = 0x6D637171  # "mcqq", in the file's header
BUSY_TIMEOUT = 5.0  # seconds a write waits for another process's write
BUSY_RETRY = 0.01  # seconds at most between tries, while several processes make one registry

NO_DATABASE = "it is not an SQLite database"
NOT_OURS = (
    "Choose another registry_path; a file of another program is never overwritten. "
    "Registries of mcp-proxy-adapter (JSON lines) are not read."
)
DAMAGED = (
    "Restart every server that uses it: once none of them and none of its jobs is left, the next "
    "one keeps the damaged file aside and begins a new registry."
)
NEWER = "Start the newer mcp-queue, or choose another registry_path."
UNTRUSTED_SCHEMA = (
    "Somebody else has changed it. Choose another registry_path; one that is missing is made."
)


class Registry:
    """One connection to a registry file. The file and its folder are made if they are missing.

    Raises `RegistryError` if the file is no registry of ours, is newer or cannot be opened,
    `RegistryDamagedError` if it is ours and damaged, and `RegistryBusyError` if another process
    writes for too long.
    """

    def __init__(self, path: str, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._file: tuple[int, int] | None = None
        trust.check_registry(path)
        make_owner_only(path)
        with self._errors():
            # apsw's stubs use types that Python 3.11 does not have.
            self.connection = cast("Any", _connected(path))
            try:
                self.wait_at_most(busy_timeout)
                self._distrust()
                self._prepare()
                self._file = file_identity(path)
            except BaseException:
                self.connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def wait_at_most(self, seconds: float) -> None:
        """Set how long a write waits for another process's write."""
        self._busy_timeout = seconds
        self.connection.set_busy_handler(Turn(seconds).wait)

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Generator[None]:
        """`wait_at_most` within a block."""
        before = self._busy_timeout
        self.wait_at_most(seconds)
        try:
            yield
        finally:
            self.wait_at_most(before)

    def execute(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        """Run one statement outside or inside a transaction."""
        with self._errors():
            return self.connection.execute(sql, bindings)

    def rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._errors():
            return self.connection.execute(sql, bindings).fetchall()

    def value(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        """The first column of the first row, or None."""
        rows = self.rows(sql, bindings)
        return rows[0][0] if rows else None

    def changed(self, sql: str, bindings: tuple[Any, ...] = ()) -> int:
        """Run one guarded update; the number of changed rows (0: another change came first)."""
        self.execute(sql, bindings)
        return self.connection.changes()

    @contextmanager
    def transaction(self, point: str = "", *, durable: bool = True) -> Generator[None]:
        """A write transaction (``BEGIN IMMEDIATE``), committed at the end of the block.

        ``durable``: the data is on the disk when the block ends, as promised to clients. Without
        it, a power cut may lose the data, but a crash of the process does not. ``point``: the name
        of its crash points.
        """
        self.check_there()
        with self._errors():
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with self._errors():
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            raise
        crash.point(f"{point}.before_commit")
        with self._errors():
            try:
                self.connection.execute("COMMIT")
            except apsw.Error:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        crash.point(f"{point}.after_commit")

    def check_there(self) -> None:
        """Raise `RegistryGoneError` if the file was removed or replaced: writes would be lost."""
        if self._file is not None and file_identity(self.path) != self._file:
            raise RegistryGoneError(path=self.path, reason="its file was removed or replaced")

    def next(self, counter: str) -> int:
        """The next number of ``counter`` (``rev`` or ``start_order``), inside a transaction."""
        return self.value(
            "UPDATE counter SET value = value + 1 WHERE name = ? RETURNING value", (counter,)
        )

    def _distrust(self) -> None:
        """Overwrite removed data, and run no views and functions of a foreign schema."""
        self.connection.pragma("secure_delete", True)
        self.connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        self.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)

    def _prepare(self) -> None:
        if self._usable_version() == schema.VERSION:
            return
        self._use_wal()
        with self.transaction():
            version = self._usable_version()  # another process may have made it meanwhile
            if version == schema.VERSION:
                return
            if version:
                self._bring_up()
            else:
                schema.make(self.connection)
            self.connection.pragma("application_id", APPLICATION_ID)
            self.connection.pragma("user_version", schema.VERSION)

    def _bring_up(self) -> None:
        """Convert a registry of an older version, completely or not at all."""
        try:
            schema.bring_up(self.connection)
        except (apsw.SQLError, apsw.ConstraintError) as error:
            reason = f"it is of an older version and cannot be brought up to this one ({error})"
            raise RegistryUntrustedError(
                path=self.path, reason=reason, advice=UNTRUSTED_SCHEMA
            ) from error

    def _use_wal(self) -> None:
        """Switch to a write-ahead log, also while two processes make the same file.

        SQLite's own busy timeout does not work here, because the two could wait for each other.
        """
        deadline = clock.monotonic() + self._busy_timeout
        self.connection.set_busy_handler(None)
        while True:
            try:
                self.connection.pragma("journal_mode", "wal")
                break
            except apsw.BusyError:
                if clock.monotonic() > deadline:
                    raise
                time.sleep(BUSY_RETRY * random())
        self.wait_at_most(self._busy_timeout)

    def _usable_version(self) -> int:
        """The schema version; 0 for an empty file. Raises `RegistryError` for a foreign file.

        A foreign file is only read, never written.
        """
        with self.snapshot():  # another process may be making it
            application = self.connection.pragma("application_id")
            version = self.connection.pragma("user_version")
            tables = self.value("SELECT count(*) FROM sqlite_schema")
            altered = version == schema.VERSION and not schema.is_of_this_version(self.connection)
        if application == APPLICATION_ID and not 0 < version <= schema.VERSION:
            raise RegistryError(
                path=self.path,
                reason=f"its schema is version {version}, this program knows {schema.VERSION}",
                advice=NEWER,
            )
        if application != APPLICATION_ID and (application or version or tables):
            raise RegistryError(
                path=self.path, reason="it is a database of another program", advice=NOT_OURS
            )
        if altered:
            self._check_undamaged()
            reason = "it has tables, triggers or defaults that this program did not make"
            raise RegistryUntrustedError(path=self.path, reason=reason, advice=UNTRUSTED_SCHEMA)
        return version

    def _check_undamaged(self) -> None:
        finding = self.value("PRAGMA quick_check(1)")
        if finding != "ok":
            raise _damaged(self.path, apsw.CorruptError(finding))

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Read one state of the file within the block: that of the open transaction, if any."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:  # a disk error has already ended it
                self.connection.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (apsw.BusyError, apsw.LockedError, apsw.SchemaChangeError) as error:
            raise RegistryBusyError(path=self.path) from error
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise _damaged(self.path, error) from error
        except (apsw.CantOpenError, apsw.PermissionsError, apsw.ReadOnlyError) as error:
            raise RegistryError(
                path=self.path,
                reason=f"it cannot be opened for writing ({error})",
                advice="Check the folder and its permissions, or choose another registry_path.",
            ) from error
        except (apsw.FullError, apsw.IOError) as error:
            raise RegistryError(
                path=self.path,
                reason=f"it cannot be written ({error})",
                advice="Make room on the disk and try again; nothing was changed.",
            ) from error


def _connected(path: str) -> apsw.Connection:
    try:
        return apsw.Connection(path)
    except UnicodeEncodeError as error:
        raise RegistryError(
            path=ascii(path), reason="SQLite takes paths in UTF-8", advice="Choose another path."
        ) from error


def _damaged(path: str, error: apsw.Error) -> RegistryError:
    """The error for a damaged file.

    If it is a registry of ours, this also leaves a report, and the next server checks all of the
    registry (`damage`).
    """
    header = read_header(path)
    if header is None or header.application_id != APPLICATION_ID:
        is_database = isinstance(error, apsw.CorruptError)
        reason = "it is a damaged database, no registry" if is_database else NO_DATABASE
        return RegistryError(path=path, reason=reason, advice=NOT_OURS)
    if header.user_version > schema.VERSION:
        reason = f"it is damaged, and of the newer version {header.user_version}"
        return RegistryError(path=path, reason=reason, advice=NEWER)
    with suppress(OSError):
        os.close(open_ours(RegistryFolder(path).damaged, os.O_CREAT | os.O_WRONLY))
    return RegistryDamagedError(path=path, reason=str(error), advice=DAMAGED)
