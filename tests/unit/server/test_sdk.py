"""The SDK's packages are not executed until something is asked of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORT = """
import sys
from mcp_queue.server.protocol import sdk
sdk.install()
sdk.install()
import mcp.server.lowlevel
assert "mcp.client" not in sys.modules, "the client was imported"
"""


@pytest.mark.parametrize(
    "use",
    [
        "from mcp import Client; from mcp.server import MCPServer",
        "import mcp; mcp.Client; mcp.types.Tool; mcp.server.lowlevel.Server",
        "import mcp.client.stdio; from mcp.server.mcpserver import MCPServer",
        "import mcp.server; assert mcp.server.Server is mcp.server.lowlevel.Server",
    ],
)
def test_a_user_s_module_gets_all_of_the_sdk(use: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", IMPORT + use], check=True)


def test_what_is_executed_already_is_left_alone() -> None:
    code = "import mcp; before = mcp.Client\n" + IMPORT.replace(
        'assert "mcp.client" not in sys.modules', "assert mcp.Client is before"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
