"""A server is rung for what changed before the supervisor met it."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_queue.jobs import member_rows
from mcp_queue.jobs.bell import Bell
from mcp_queue.jobs.folder import RegistryFolder
from mcp_queue.jobs.registry import Registry
from mcp_queue.jobs.shared_settings import SharedSettings
from mcp_queue.supervisor import members
from mcp_queue.supervisor.executors.local import LocalExecutor
from mcp_queue.supervisor.loop import Loop
from mcp_queue.supervisor.state import State
from mcp_queue.system.identity import own_identity

SETTINGS = SharedSettings(
    in_memory=False,
    max_concurrent_jobs=1,
    stop_grace_seconds=1,
    shutdown_timeout=1,
    supervisor_linger_seconds=1,
    niceness=0,
    completed_job_retention_seconds=0,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    path = str(tmp_path / "registry.db")
    registry, folder, loop = Registry(path), RegistryFolder(path), Loop()
    folder.make()
    bell = Bell(folder.bell)
    yield State(
        registry=registry,
        folder=folder,
        loop=loop,
        bell=bell,
        executor=LocalExecutor(),
        settings=SETTINGS,
        key_file=str(tmp_path / "key"),
        owner="",
    )
    bell.close()
    loop.close()
    registry.close()


def is_rung(bell: Bell) -> bool:
    readable, _, _ = select.select([bell], [], [], 0)
    bell.hush()
    return bool(readable)


def test_a_server_that_is_met_is_rung_once(state: State) -> None:
    members.ring_servers(state)  # of a change that a server saw too early, or not at all
    own = Bell(state.folder.server_bell("server"))
    try:
        server = member_rows.Server("server", own_identity(), own.path, leaving=False)
        member_rows.enter(state.registry, server, SETTINGS)
        members.read_servers(state)
        assert is_rung(own)
        members.read_servers(state)
        members.ring_servers(state)
        assert not is_rung(own)
        (_, watching) = state.servers["server"]
        if watching is not None:
            state.loop.forget(watching)
            watching.close()
    finally:
        own.close()
