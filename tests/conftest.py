"""What all tests share: the leak check, the event loop, Hypothesis's patience."""

from __future__ import annotations

import hypothesis
import pytest

pytest_plugins = ["support.leaks"]

# A slow machine is no finding; the guards of the tests bound the time.
hypothesis.settings.register_profile("mcp-queue", deadline=None)
hypothesis.settings.load_profile("mcp-queue")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
