"""Install the programs of other people that the tests run: ``python -m tests.hosts.install``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import fastmcp_client, mcp_schemas, npm

if __name__ == "__main__":
    mcp_schemas.install(os.environ)
    npm.install(os.environ)
    fastmcp_client.install(os.environ)
