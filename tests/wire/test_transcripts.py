"""What goes over the wire in each era, line by line, each line by the schema of its era."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.rawclient import RawClient
from support.schemas import ERAS
from support.serving import Setup
from support.steering import Steering
from support.transcript import Player, scenarios

pytestmark = pytest.mark.needs("schemas")

TRANSCRIPTS = Path(__file__).with_name("transcripts")
EVERYWHERE = {
    "opening",
    "handle",
    "wait with progress",
    "subscription",
    "after the subscription",
    "subscription to a log",
    "cancel of a wait",
    "after the cancel of a wait",
    "late cancellation",
    "question",
}


@pytest.mark.parametrize("era", ERAS)
def test_the_transcript_of_an_era(setup: Setup, steering: Steering, era: str) -> None:
    played = scenarios(TRANSCRIPTS / f"{era}.jsonl")
    assert set(played) >= EVERYWHERE
    with RawClient(setup.command) as client:
        player = Player(client, era, steering)
        for steps in played.values():
            player.play(steps)
    assert "Traceback" not in client.stderr, client.stderr
