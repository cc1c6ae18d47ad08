"""A plain and a queued call of one function give the same JSON, or the same refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.serving import Setup
from support.speaking import MODERN, Speaker, speaking
from support.value_commands import FAULTS, KINDS

pytestmark = pytest.mark.needs("schemas")

COMMANDS = str(Path(__file__).parents[1] / "support" / "value_commands.py")


def both_forms(result: dict[str, Any]) -> Any:
    """What the text says, which the structured content says too."""
    said = json.loads(result["content"][0]["text"])
    assert result.get("structuredContent", said) == said
    return said


def jobs_of(speaker: Speaker, kinds: list[str]) -> dict[str, dict[str, Any]]:
    """The views of ended jobs, one of each kind."""
    ids = {both_forms(speaker.call("gives_queued", kind=kind))["job_id"]: kind for kind in kinds}
    wait = both_forms(speaker.call("queue_wait_job", job_ids=list(ids), timeout_seconds=600))
    return {ids[view["job_id"]]: view for view in wait["jobs"]}


@pytest.mark.parametrize("version", ["2025-11-25", MODERN])
def test_plain_and_queued_give_the_same(setup: Setup, version: str) -> None:
    setup.commands = [COMMANDS]
    with speaking(setup, version) as speaker:
        queued = jobs_of(speaker, [*KINDS, *FAULTS])
        for kind in KINDS:
            plain = both_forms(speaker.call("gives", kind=kind))["result"]
            assert queued[kind]["status"] == "completed", queued[kind]
            # a view leaves out what is null
            found = queued[kind].get("result")
            assert json.dumps(found) == json.dumps(plain), kind
        for kind, (_, reason) in FAULTS.items():
            error = both_forms(speaker.call("gives", kind=kind))["error"]
            assert error["code"] == queued[kind]["error"]["code"] == "result_not_serializable"
            assert reason in error["message"], kind
            assert queued[kind]["error"]["message"] in error["message"], kind
