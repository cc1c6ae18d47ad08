"""Artifacts in the registry: runs report them, and readers find them.

A row names a file in the run's folder, and the file was complete before the row was written.
Another artifact with the same name has another file, so a reader gets one or the other, never a
mixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mcp_queue.jobs import artifact_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp_queue.jobs.registry import Registry

KINDS = frozenset({"file", "image", "audio", "link"})
TEXT_LIMIT = 4096  # characters of a title, a description, a media type, a URI

_COLUMNS = "name, kind, place, mime_type, title, description, uri, file, size"


class ArtifactRow(NamedTuple):
    """One row. ``kind`` is ``file``, ``image``, ``audio`` or ``link``; ``size`` is in bytes."""

    name: str
    kind: str
    place: int | None
    """The position among the contents of the job's result; None for other artifacts."""
    mime_type: str | None
    title: str | None
    description: str | None
    uri: str | None
    """The target of a link; a link has no file and no size."""
    file: str | None
    size: int | None


def record(registry: Registry, run_id: str, events: Iterable[dict[str, Any]]) -> list[str]:
    """Store the artifacts that a run reports, inside a transaction.

    Returns the files that are no longer needed. Reports of a run that has ended are ignored.
    """
    rows = [row for event in events if (row := _from_event(event)) is not None]
    if not rows or not registry.value(
        "SELECT 1 FROM jobs WHERE run_id = ? AND status = 'running'", (run_id,)
    ):
        return []
    known = {row.file for row in (*of_run(registry, run_id), *rows)}
    for row in rows:
        registry.execute(
            f"INSERT OR REPLACE INTO artifacts (run_id, {_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id, row.name, row.kind, row.place, row.mime_type, row.title, row.description,
                row.uri, row.file, row.size,
            ),
        )  # fmt: skip
    needed = {row.file for row in of_run(registry, run_id)}
    registry.execute(
        "UPDATE jobs SET artifacts = (SELECT count(*) FROM artifacts a WHERE a.run_id = ?1)"
        " WHERE run_id = ?1",
        (run_id,),
    )
    return [file for file in known - needed if file is not None]


def of_run(registry: Registry, run_id: str) -> list[ArtifactRow]:
    """All artifacts of a run, in the order in which they were stored."""
    rows = registry.rows(
        f"SELECT {_COLUMNS} FROM artifacts WHERE run_id = ? ORDER BY id", (run_id,)
    )
    return [ArtifactRow(*row) for row in rows]


def find(registry: Registry, run_id: str, name: str) -> ArtifactRow | None:
    """The artifact with this name, if it has a file; None otherwise."""
    rows = registry.rows(
        f"SELECT {_COLUMNS} FROM artifacts WHERE run_id = ? AND name = ? AND kind <> 'link'",
        (run_id, name),
    )
    return ArtifactRow(*rows[0]) if rows else None


def _from_event(event: dict[str, Any]) -> ArtifactRow | None:
    """The row of an event; None if the event is not valid, because a run has forged it."""
    kind, place, size = event.get("kind"), event.get("place"), event.get("size")
    name, file, uri = event.get("name"), event.get("file"), _text(event.get("uri"))
    if artifact_names.fault_of(name) is not None or kind not in KINDS:
        return None
    if kind == "link":
        file = size = None
        complete = uri is not None
    else:
        uri = None
        complete = artifact_names.is_file(file) and isinstance(size, int)
    if not complete or not (place is None or isinstance(place, int)):
        return None
    return ArtifactRow(
        name=str(name),
        kind=str(kind),
        place=place,
        mime_type=_text(event.get("mime_type")),
        title=_text(event.get("title")),
        description=_text(event.get("description")),
        uri=uri,
        file=file,
        size=size,
    )


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value[:TEXT_LIMIT].encode("utf-8", "replace").decode()
