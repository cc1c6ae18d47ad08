"""Addresses of resources; a job id in one is data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.server.features.uris import QueueUri, parse


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("queue://jobs", QueueUri("jobs")),
        ("queue://health", QueueUri("health")),
        ("queue://commands", QueueUri("commands")),
        ("queue://jobs/a.B-1_", QueueUri("job", "a.B-1_")),
        ("queue://jobs/a%2Eb", QueueUri("job", "a.b")),
        ("queue://jobs/a/logs", QueueUri("job", "a", "logs")),
        ("queue://jobs/a/logs/stderr", QueueUri("job", "a", "logs/stderr")),
        ("queue://jobs/a/result", QueueUri("job", "a", "result")),
    ],
)
def test_addresses(uri: str, address: QueueUri) -> None:
    assert parse(uri) == address


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "queue://",
        "queue://nothing",
        "queue://jobs/",
        "queue://jobs/a/",
        "queue://jobs/a/other",
        "queue://jobs/a/logs/",
        "queue://jobs/a/logs/stdin",
        "queue://jobs/..",
        "queue://jobs/%2e%2e",
        "queue://jobs/%252e",
        "queue://jobs/a%00",
        "queue://jobs/a%2Fresult",
        "queue://jobs/a\n",
        "queue://jobs/ä",
        "queue://jobs/" + "a" * 129,
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address(uri: str) -> None:
    assert parse(uri) is None


@given(st.text())
def test_any_id_is_refused_or_harmless(text: str) -> None:
    address = parse(f"queue://jobs/{text}")
    assert address is None or "/" not in address.job_id
