"""How a run ended, decided from why we ended it, what it said last and how its worker died."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_queue.jobs.run_rows import Ending
from mcp_queue.supervisor import causes
from mcp_queue.supervisor.causes import Cause
from mcp_queue.supervisor.ending import ending_of
from mcp_queue.supervisor.executors import Death

DONE = {"status": "completed", "result": "1", "result_size": 1}
RAISED = {"status": "failed", "error_code": "exception", "error_message": "ValueError: x"}
KEPT = {"result": "1", "result_size": 1}
CANCELLED = "cancelled, though no stop was asked"
GONE = "the worker was gone when a new supervisor looked"


@pytest.mark.parametrize(
    ("cause", "outcome", "death", "expected"),
    [
        (None, DONE, None, Ending("completed", **KEPT)),
        (None, DONE, Death(exit_code=0), Ending("completed", **KEPT)),
        (None, DONE, Death(signal="SIGKILL"), Ending("completed", **KEPT)),
        (None, RAISED, None, Ending("failed", "exception", "ValueError: x")),
        (None, {"status": "stopped"}, None, Ending("failed", "exception", CANCELLED)),
        (None, {"status": "stopped", "reported": True}, None, Ending("stopped")),
        (None, {}, None, Ending("failed", "exception", CANCELLED)),
        (None, None, None, Ending("failed", "interrupted", GONE)),
        (None, None, Death(), Ending("failed", "interrupted", GONE)),
        (
            None,
            None,
            Death(exit_code=3),
            Ending(
                "failed",
                "exit",
                "the worker exited with code 3 before its command returned",
                exit_code=3,
            ),
        ),
        (
            None,
            None,
            Death(signal="SIGSEGV"),
            Ending("failed", "signal", "the worker was killed by SIGSEGV", signal="SIGSEGV"),
        ),
        (causes.STOP, None, Death(signal="SIGKILL"), Ending("stopped")),
        (causes.STOP, DONE, Death(exit_code=0), Ending("stopped", **KEPT)),
        (causes.STOP, RAISED, None, Ending("stopped")),
        (causes.DELETE, None, Death(), Ending("stopped")),
        (causes.SHUTDOWN, DONE, None, Ending("stopped", **KEPT)),
        (
            causes.timeout(1.5),
            None,
            Death(signal="SIGKILL"),
            Ending("failed", "timeout", "ran longer than 1.5 seconds"),
        ),
        (
            causes.timeout(2),
            DONE,
            None,
            Ending("failed", "timeout", "ran longer than 2 seconds", **KEPT),
        ),
        (
            causes.out_of_memory(3 << 29, 1 << 30),
            None,
            Death(),
            Ending(
                "failed",
                "out_of_memory",
                "used 1.5 GiB of memory, over its limit of 1 GiB",
            ),
        ),
        (
            causes.out_of_memory(1500, 1023),
            None,
            Death(),
            Ending(
                "failed", "out_of_memory", "used 1.465 KiB of memory, over its limit of 1023 bytes"
            ),
        ),
    ],
)
def test_the_end_of_a_run(
    cause: Cause | None, outcome: dict[str, Any] | None, death: Death | None, expected: Ending
) -> None:
    assert ending_of(cause, outcome, death) == expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            {"status": 7, "error_code": 8, "error_message": []},
            Ending("failed", "exception", CANCELLED),
        ),
        ({"status": "completed", "result": {"a": 1}, "result_size": -1}, Ending("completed")),
        ({"status": "completed", "result_size": 2**63}, Ending("completed")),
        ({"status": "failed", "error_message": "\ud800"}, Ending("failed", "exception", "?")),
        ({"status": "deleted"}, Ending("failed", "exception", CANCELLED)),
    ],
)
def test_a_forged_outcome_is_an_end_too(outcome: dict[str, Any], expected: Ending) -> None:
    assert ending_of(None, outcome, None) == expected
