"""The settings that hold for all of a registry: stored by one server, read by everybody."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

from mcp_queue.config import Settings
from mcp_queue.jobs import setting_rows, shared_settings
from mcp_queue.jobs.shared_settings import SharedSettings

if TYPE_CHECKING:
    from mcp_queue.jobs.registry import Registry

SHOWN = [
    "max_concurrent_jobs",
    "max_queue_size",
    "queue_full_policy",
    "per_job_type_limits",
    "completed_job_retention_seconds",
    "artifact_cap_bytes",
    "disk_cap_bytes",
    "stop_grace_seconds",
    "shutdown_timeout",
]


def test_what_one_server_writes_all_read(registry: Registry) -> None:
    own = Settings(max_queue_size=7, per_job_type_limits={"train": 2}, commands=("a",))
    with registry.transaction():
        setting_rows.write(registry, own)
    expected = SharedSettings(max_queue_size=7, per_job_type_limits={"train": 2})
    assert setting_rows.in_force(registry) == expected


def test_the_json_form_holds_the_shared_settings_alone() -> None:
    written = Settings(commands=("a",), enabled=False).shared()
    assert list(written) == [key.name for key in fields(SharedSettings)]
    assert json.loads(json.dumps(written)) == written


def test_another_version_may_know_more_settings_or_fewer() -> None:
    read = shared_settings.from_json({"niceness": 3, "of_the_next_version": True})
    assert read == SharedSettings(niceness=3)


def test_health_shows_some_of_them() -> None:
    assert list(SharedSettings().shown()) == SHOWN
