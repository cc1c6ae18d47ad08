"""Consent cannot be walked round: hosts ask by a tool's name and hints, and jobs ask the person."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp_types import ElicitResult

from mcp_queue import PersonAloneError, QueueManager
from mcp_queue.commands import loading
from mcp_queue.config import Settings
from support.serving import Setup, call, ended, refused, until
from support.speaking import MODERN, Speaker, speaking

COMMANDS = str(Path(__file__).parents[1] / "support" / "consent_commands.py")
YES: dict[str, Any] = {"confirm": True}
QUEUED = ["wipes", "wipes_too"]


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, {"stop_grace_seconds": 0.5}, [COMMANDS])


@pytest.fixture
def persistent(setup: Setup) -> Setup:
    registry = str(setup.folder / "data" / "registry.db")
    return replace(
        setup, settings={**setup.settings, "in_memory": False, "registry_path": registry}
    )


async def says_yes(context: Any, params: Any) -> ElicitResult:
    del context, params
    return ElicitResult(action="accept", content=YES)


async def test_tools_that_make_commands_work_have_the_hints_of_what_those_may_do(
    setup: Setup, mode: str
) -> None:
    async with setup.client(mode) as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    for name in ("queue_add_job", "queue_start_job", "queue_answer_job"):
        hints = tools[name]
        assert hints is not None
        found = (hints.read_only_hint, hints.destructive_hint, hints.open_world_hint)
        assert found == (False, True, True), name


@pytest.mark.parametrize("name", QUEUED)
async def test_what_is_marked_destructive_is_not_queued_by_name(
    setup: Setup, mode: str, name: str
) -> None:
    harm = setup.folder / "harm"
    async with setup.client(mode) as client:
        error = await refused(client, "queue_add_job", command=name, params={"path": str(harm)})
        assert error["code"] == "consent_needed"
        assert f"the tool {name!r}" in error["hint"]
        assert "queue_destructive_by_name" in error["hint"]
        assert (await call(client, "queue_list_jobs"))["jobs"] == []
        view = await ended(client, (await call(client, name, path=str(harm)))["job_id"])
    assert (view["result"], harm.read_text()) == ("wiped", "harm")


@pytest.mark.parametrize("name", ["adds_up", "says_nothing"])
async def test_what_is_not_marked_is_queued_by_name(setup: Setup, name: str) -> None:
    async with setup.client() as client:
        added = await call(client, "queue_add_job", command=name, params={"path": "x"})
        await call(client, "queue_start_job", job_id=added["job_id"])
        assert (await ended(client, added["job_id"]))["result"] == "x"


async def test_the_settings_can_allow_it(setup: Setup) -> None:
    setup.settings["queue_destructive_by_name"] = True
    params = {"path": str(setup.folder / "harm")}
    async with setup.client() as client:
        added = await call(client, "queue_add_job", command="wipes", params=params)
        await call(client, "queue_start_job", job_id=added["job_id"])
        assert (await ended(client, added["job_id"]))["result"] == "wiped"


@pytest.mark.parametrize("known", [True, False], ids=["the command known", "the command unknown"])
async def test_what_was_added_where_that_is_allowed_is_not_started_where_it_is_not(
    persistent: Setup, known: bool
) -> None:
    harm = persistent.folder / "harm"
    allowed = replace(
        persistent, settings={**persistent.settings, "queue_destructive_by_name": True}
    )
    async with allowed.client() as client:
        added = await call(client, "queue_add_job", command="wipes", params={"path": str(harm)})
    elsewhere = replace(persistent, commands=[COMMANDS] if known else [])
    async with elsewhere.client() as client:
        error = await refused(client, "queue_start_job", job_id=added["job_id"])
        assert (error["code"], "'wipes'" in error["message"]) == ("consent_needed", True)
        view = await call(client, "queue_get_job_status", job_id=added["job_id"])
        assert view["status"] == "pending"
        await call(client, "queue_delete_job", job_id=added["job_id"])
    assert not harm.exists()


OTHER_NAMES = (
    "CommandExecutionJob", "mcp_queue.CommandExecutionJob", "queue_add_job", "queue_start_job",
    "queue_answer_job", "wipes_at_once", "WIPES", "wipes ", "consent_commands.wipes", "WipesToo",
)  # fmt: skip


async def test_no_other_name_leads_there(setup: Setup) -> None:
    harm = str(setup.folder / "harm")
    async with setup.client() as client:
        for name in OTHER_NAMES:
            for params in ({"path": harm}, {"command": "wipes", "params": {"path": harm}}):
                error = await refused(client, "queue_add_job", command=name, params=params)
                assert error["code"] in ("command_not_found", "invalid_params"), name
        assert (await call(client, "queue_list_jobs"))["jobs"] == []
    assert "harm" not in os.listdir(setup.folder)


async def test_the_shell_is_not_queued_by_name(setup: Setup) -> None:
    setup.commands = ["mcp_queue_tools.shell"]
    params = {"command": f"touch {setup.folder / 'harm'}"}
    async with setup.client() as client:
        error = await refused(client, "queue_add_job", command="run_shell", params=params)
    assert error["code"] == "consent_needed"


async def test_the_authors_own_program_is_not_asked(tmp_path: Path) -> None:
    loading.load_source({"file": COMMANDS})
    registry_path = str(tmp_path / "registry.db")
    settings = Settings(in_memory=False, registry_path=registry_path, supervisor_linger_seconds=0.0)
    async with await QueueManager.open(settings) as queue:
        await queue.add_job("wipes", "mine", {"path": str(tmp_path / "harm")})
        await queue.start_job("mine")
        assert (await queue.wait_for_job("mine", 120)).result == "wiped"


@pytest.mark.parametrize("name", ["asks_the_person", "asks_the_person_async"])
@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_no_tool_call_answers_what_is_for_the_person_alone(
    setup: Setup, mode: str, name: str, action: str
) -> None:
    async with setup.client(mode) as client:
        job_id = (await call(client, name))["job_id"]
        answer = await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
        [question] = answer["jobs"][0]["questions"]
        assert question["person"] is True
        for told in (answer["next"], answer["jobs"][0]["next"]):
            assert "queue_answer_job" not in told
            assert "only the user can give" in told
        for key in ({}, {"key": question["key"]}):
            content = {"content": YES} if action == "accept" else {}
            error = await refused(
                client, "queue_answer_job", job_id=job_id, action=action, **key, **content
            )
            assert (error["code"], question["key"] in error["message"]) == ("person_alone", True)
        view = await call(client, "queue_get_job_status", job_id=job_id)
        assert view["questions"] == [question]
        await call(client, "queue_stop_job", job_id=job_id)


@pytest.mark.parametrize("name", ["asks_the_person", "asks_the_person_async"])
async def test_a_form_of_an_open_wait_answers_it(setup: Setup, mode: str, name: str) -> None:
    async with setup.client(mode, elicitation_callback=says_yes) as client:
        job_id = (await call(client, name))["job_id"]
        assert (await ended(client, job_id))["result"] == [True, "accept"]


async def test_of_two_questions_the_agent_answers_one(setup: Setup, mode: str) -> None:
    async with setup.client(mode) as client:
        job_id = (await call(client, "asks_both"))["job_id"]
        answer = await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
        which, sure = answer["jobs"][0]["questions"]
        assert ("person" in which, sure["person"]) == (False, True)
        assert "queue_answer_job" in answer["next"]
        named = {"job_id": job_id, "key": which["key"], "content": {"n": 1}}
        view = await call(client, "queue_answer_job", **named)
        assert view["questions"] == [sure]
        error = await refused(client, "queue_answer_job", job_id=job_id, content=YES)
        assert error["code"] == "person_alone"
        await call(client, "queue_stop_job", job_id=job_id)


@pytest.mark.needs("schemas")
@pytest.mark.parametrize("forms", [True, False], ids=["forms", "no forms"])
def test_a_task_takes_it_from_a_client_that_shows_forms(setup: Setup, forms: bool) -> None:
    declared: dict[str, Any] = {"elicitation": {}} if forms else {}
    with speaking(setup, MODERN, tasks=True, **declared) as speaker:
        task_id = speaker.call("asks_the_person")["taskId"]
        while not (asked := _questions(speaker, task_id)):
            pass
        answer = {asked[0]["key"]: {"action": "accept", "content": YES}}
        params = {"taskId": task_id, "inputResponses": answer}
        if forms:
            speaker.request("tasks/update", **params)
            while (task := speaker.request("tasks/get", taskId=task_id))["status"] != "completed":
                pass
            assert task["result"]["structuredContent"]["result"] == [True, "accept"]
        else:
            assert "Only the person" in speaker.refused("tasks/update", **params)["message"]
            speaker.call("queue_stop_job", job_id=task_id)


async def test_a_program_says_that_the_person_said_so(persistent: Setup) -> None:
    async with persistent.client() as client:
        job_id = (await call(client, "asks_the_person"))["job_id"]
        await call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=120)
        settings = Settings(in_memory=False, registry_path=persistent.settings["registry_path"])
        async with await QueueManager.open(settings) as queue:
            with pytest.raises(PersonAloneError):
                await queue.answer_job(job_id, content=YES)
            await queue.answer_job(job_id, content=YES, person=True)
        view = await until(client, job_id, status="completed")
    assert view["result"] == [True, "accept"]


def _questions(speaker: Speaker, job_id: str) -> list[dict[str, Any]]:
    view = speaker.call("queue_get_job_status", job_id=job_id)["structuredContent"]
    return view.get("questions", [])
