"""The settings that all processes of a registry share: their names, defaults and JSON form.

A server writes them when it joins the registry. The supervisor, the other servers and all programs
that add jobs read them. `config` defines the valid values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

MOST_JOBS = 100_000  # jobs that have not ended, whatever the settings say


def _shown(default: T) -> T:
    """A setting that the view of the queue's health contains."""
    return field(default=default, metadata={"shown": True})


@dataclass(frozen=True)
class SharedSettings:
    """The shared settings with their defaults; docs/configuration.md explains them."""

    in_memory: bool = True
    max_concurrent_jobs: int = _shown(10)
    max_queue_size: int | None = _shown(None)
    queue_full_policy: str = _shown("evict_oldest")
    per_job_type_limits: Mapping[str, int] | None = _shown(None)
    completed_job_retention_seconds: float = _shown(21600.0)
    artifact_cap_bytes: int | None = _shown(1 << 30)
    disk_cap_bytes: int | None = _shown(None)
    stop_grace_seconds: float = _shown(3.0)
    shutdown_timeout: float = _shown(30.0)
    supervisor_linger_seconds: float = 5.0
    niceness: int = 5
    log_cap_bytes: int = 64 << 20
    retry_backoff_seconds: float = 1.0

    def shared(self) -> dict[str, Any]:
        """These settings as a JSON object, without those that a subclass adds."""
        return {key.name: getattr(self, key.name) for key in fields(SharedSettings)}

    def shown(self) -> dict[str, Any]:
        """The settings that the view of the queue's health contains."""
        return {
            key.name: getattr(self, key.name)
            for key in fields(SharedSettings)
            if key.metadata.get("shown")
        }


_NAMES = frozenset(key.name for key in fields(SharedSettings))


def from_json(written: Mapping[str, Any]) -> SharedSettings:
    """The settings of a JSON object.

    A server of another version may have written it: unknown names are left out, and missing ones
    get their defaults.
    """
    return SharedSettings(**{name: written[name] for name in _NAMES & written.keys()})
