"""A server is rung for what changed before the supervisor met it."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from mcp_queue.jobs import member_rows
from mcp_queue.jobs.bell import Bell
from mcp_queue.supervisor.erasure import Erasure
from mcp_queue.supervisor.servers import Servers
from mcp_queue.system.identity import own_identity

if TYPE_CHECKING:
    from support.supervising import Scene


def is_rung(bell: Bell) -> bool:
    readable, _, _ = select.select([bell], [], [], 0)
    bell.hush()
    return bool(readable)


def test_a_server_that_is_met_is_rung_once(scene: Scene) -> None:
    servers = Servers(scene.state, Erasure(scene.state))
    servers.ring()  # of a change that a server saw too early, or not at all
    own = Bell(scene.state.folder.server_bell("server"))
    try:
        server = member_rows.Server("server", own_identity(), own.path, leaving=False)
        member_rows.enter(scene.state.registry, server, scene.state.settings)
        servers.read()
        assert is_rung(own)
        servers.read()
        servers.ring()
        assert not is_rung(own)
        servers.close()
    finally:
        own.close()
