"""A worker that dies before any user code ran: its job waits again, same attempt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.queues import done, opened, submit

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_queue.config import Settings

SITECUSTOMIZE = """
import os
if "MCP_QUEUE_RUN" in os.environ:
    for name in os.listdir(os.environ["FALSE_STARTS"]):
        try:
            os.unlink(os.path.join(os.environ["FALSE_STARTS"], name))
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def false_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each file in this folder kills one worker while its interpreter starts."""
    folder = tmp_path / "false_starts"
    folder.mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("FALSE_STARTS", str(folder))
    return folder


@pytest.mark.parametrize("count", [1, 2])
async def test_it_runs_once_with_the_same_attempt(
    settings: Settings, false_starts: Path, tmp_path: Path, count: int
) -> None:
    for n in range(count):
        (false_starts / str(n)).touch()
    async with opened(settings) as queue:
        record = await done(
            queue, await submit(queue, "note", path=str(tmp_path / "notes"), line="ran")
        )
    assert (record.status, record.attempt) == ("completed", 1)
    assert (tmp_path / "notes").read_text() == "ran\n"
    assert os.listdir(false_starts) == []


async def test_three_in_a_row_are_enough(
    settings: Settings, false_starts: Path, tmp_path: Path
) -> None:
    for n in range(3):
        (false_starts / str(n)).touch()
    async with opened(settings) as queue:
        record = await done(
            queue, await submit(queue, "note", path=str(tmp_path / "notes"), line="ran")
        )
        assert record.error is not None
        assert (record.status, record.error.code) == ("failed", "interrupted")
        assert "SIGKILL" in str(record.error)
        other = await submit(queue, "note", path=str(tmp_path / "notes"), line="other")
        assert (await done(queue, other)).status == "completed"
    assert (tmp_path / "notes").read_text() == "other\n"


async def test_an_interpreter_that_is_gone_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings) as queue:
        await done(queue, await submit(queue, "nothing"))  # a supervisor is there
        monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
        record = await done(queue, await submit(queue, "nothing"))
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "interrupted")
    assert "no-python" in str(record.error)
