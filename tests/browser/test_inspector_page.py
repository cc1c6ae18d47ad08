"""The page of the MCP Inspector, in a browser, uses the server over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import needs, npm
from support.guards import GUARD
from support.serving import Setup
from support.web import WebServer, free_port

pytestmark = pytest.mark.needs("npm")

PAGE = re.compile(r"http://\S+MCP_INSPECTOR_API_TOKEN=\S+")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def inspector() -> list[str]:
    """How the Inspector is started."""
    found = needs.given("npm", npm.package("@modelcontextprotocol/inspector"))
    return [str(npm.node()), str(found / "clients" / "launcher" / "build" / "index.js")]


def test_the_inspectors_page_connects_with_the_token(setup: Setup, chromium: str):
    config = setup.folder / "mcp.json"
    with WebServer(setup.command) as server:
        entry = {"type": "streamable-http", "url": server.url, "headers": server.authorization}
        config.write_text(json.dumps({"mcpServers": {"queue": entry}}))
        words = ["Connected", "mcp-queue", "Tools", "Prompts", "Resources", server.url]
        with page_of([*inspector(), "--web", "--config", str(config)], setup) as page:
            described = {
                "chromium": chromium,
                "page": page,
                "profile": str(setup.folder / "profile"),
                "words": words,
                "patience": GUARD,
            }
            script = Path(__file__).with_name("inspector_page.mjs")
            done = subprocess.run(
                [str(npm.node()), str(script), json.dumps(described)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=2 * GUARD,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        shown = json.loads(done.stdout).splitlines()
        assert set(words) <= set(shown), shown


@contextmanager
def page_of(command: list[str], setup: Setup) -> Iterator[str]:
    """The address of the Inspector's page, which is served for the block."""
    ports = {"CLIENT_PORT": str(free_port()), "MCP_SANDBOX_PORT": "0", "MCP_APP_ORIGIN_PORT": "0"}
    home = {"HOME": str(setup.folder), "USERPROFILE": str(setup.folder)}
    process = subprocess.Popen(
        command,
        env={**os.environ, **ports, **home, "MCP_AUTO_OPEN_ENABLED": "false"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        said = ""
        while not (found := PAGE.search(said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=GUARD)
