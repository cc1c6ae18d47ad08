"""One run of ``analyze_project``: find the files, read changed ones, write them in batches."""

from __future__ import annotations

import gc
import hashlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_queue import PathRefusedError, paths
from mcp_queue_tools.code_map import CodeMap, Entry
from mcp_queue_tools.parse import Facts, parse_source
from mcp_queue_tools.scan import SourceFile, find_root, printable, reason_of, scan
from mcp_queue_tools.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from mcp_queue import Job
    from mcp_queue_tools.pace import Pace

LARGEST_FILE = 5_000_000  # bytes; a syntax tree takes some fifty times the file's size
BATCH_BYTES = 2_000_000  # of source in one transaction
BATCH_FILES = 200
FRESH_NS = 2_000_000_000  # a file written so recently may change again without a new time


def analyze(root_dir: str, *, force: bool, job: Job, pace: Pace) -> dict[str, object]:
    """Update the map of the project and return its summary.

    A stop ends the run after the current file. Files that were read stay in the map, and
    ``complete`` is false.
    """
    started = time.monotonic()
    root = find_root(root_dir)
    job.set_progress(0, f"looking for Python files in {printable(str(root))}")
    listing = scan(root, lambda: job.stopping)
    with CodeMap(root) as code_map:
        run = _Run(root, code_map, force=force)
        with _without_garbage_collection():
            complete = run.read(listing.files, job, pace) and listing.complete
        removed = run.forget_missing(listing.files) if complete else 0
        code_map.finish(complete=complete)
        return {
            "root": printable(str(root)),
            "complete": complete,
            **summarize(code_map.database, listing.problems),
            "parsed": run.parsed,
            "reused": run.reused,
            "removed": removed,
            "elapsed_seconds": round(time.monotonic() - started, 3),
            "map": printable(str(code_map.path)),
        }


class _Run:
    """One run: the numbers of ``parsed`` and ``reused`` files, and the batch to write next."""

    def __init__(self, root: Path, code_map: CodeMap, *, force: bool) -> None:
        self.parsed = 0
        self.reused = 0
        self._root = root
        self._map = code_map
        self._force = force
        self._known = code_map.known()
        self._batch: list[Entry] = []
        self._batch_bytes = 0

    def read(self, files: list[SourceFile], job: Job, pace: Pace) -> bool:
        """Read changed files into the map, with progress by bytes; false if a stop ended it."""
        changed = [file for file in files if self._force or not self._is_unchanged(file)]
        self.reused = len(files) - len(changed)
        total = sum(file.size for file in changed) or 1
        done = 0
        for number, file in enumerate(changed, 1):
            path = f"{printable(self._root.name)}/{file.path}"
            pace.report(done / total, f"{path} ({number} of {len(changed)} files)")
            if job.stopping:
                self._flush()
                return False
            self._add(self._examine(file))
            done += file.size
        self._flush()
        pace.report(1.0, f"{len(files)} files, {len(changed)} of them read")
        return True

    def forget_missing(self, files: list[SourceFile]) -> int:
        """Remove the files from the map that are no longer in the project; their number."""
        gone = self._known.keys() - {file.path for file in files}
        if gone:
            self._map.forget(gone)
        return len(gone)

    def _is_unchanged(self, file: SourceFile) -> bool:
        known = self._known.get(file.path)
        if known is None or not known.settled or known.module != file.module:
            return False
        return (known.size, known.mtime_ns) == (file.size, file.mtime_ns)

    def _examine(self, file: SourceFile) -> Entry:
        try:
            file, settled, data = _read(self._root, file)
        except (OSError, PathRefusedError) as error:
            return Entry(file, False, None, _problem(reason_of(error)))
        if data is None:
            reason = f"larger than {LARGEST_FILE // 1_000_000} MB"
            return Entry(file, settled, None, _problem(reason))
        digest = hashlib.blake2b(data, digest_size=16).digest()
        known = self._known.get(file.path)
        if known and not self._force and (known.digest, known.module) == (digest, file.module):
            return Entry(file, settled, digest, None)
        facts = parse_source(data, file.module, is_package=file.is_package)
        return Entry(file, settled, digest, facts)

    def _add(self, entry: Entry) -> None:
        self.parsed += entry.facts is not None and entry.digest is not None
        self.reused += entry.facts is None
        self._batch.append(entry)
        self._batch_bytes += entry.file.size
        if self._batch_bytes >= BATCH_BYTES or len(self._batch) >= BATCH_FILES:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._map.write(self._batch)
        self._batch = []
        self._batch_bytes = 0


def _read(root: Path, file: SourceFile) -> tuple[SourceFile, bool, bytes | None]:
    """The file now, whether its size and time will show a later change, and its content.

    The content is None if the file is too large.
    """
    now = time.time_ns()
    with paths.open_inside(root, file.path) as stream:
        status = os.fstat(stream.fileno())
        data = stream.read(LARGEST_FILE + 1)
    current = file._replace(size=status.st_size, mtime_ns=status.st_mtime_ns)
    settled = status.st_mtime_ns + FRESH_NS < now
    return current, settled, None if len(data) > LARGEST_FILE else data


def _problem(reason: str) -> Facts:
    return Facts("", 0, [], [], reason)


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Disable garbage collection: syntax trees have no cycles, and it takes a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
