"""Hosts without a terminal: call, handle, wait, result, and what their model was shown."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping

from claude_code import command as claude_command
from claude_code import environment as claude_environment
from models import Asked, Call, Serving
from place import Findings, Place

from support import npm

GUARD = 120  # seconds
PROMPT = "go to work"
MISTAKE = Call("queue_get_job_status", {"job_id": "no-such-job"})
Prepared = tuple[list[str], Mapping[str, str]]
"""A command line and its environment."""


def claude(place: Place, url: str) -> Prepared:
    return claude_command(place, "-p", PROMPT), claude_environment(place, url)


def codex(place: Place, url: str) -> Prepared:
    program, *arguments = place.server
    settings = place.home / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(f"""\
model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.scripted]
name = "scripted"
base_url = {json.dumps(f"{url}/v1")}
wire_api = "responses"

[mcp_servers.queue]
command = {json.dumps(program)}
args = {json.dumps(arguments)}
required = true
""")
    return [str(place.program), "exec", "--skip-git-repo-check", PROMPT], place.environment()


def opencode(place: Place, url: str) -> Prepared:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
        "models": {"scripted": {"tool_call": True}},
    }
    settings = {
        "model": "scripted/scripted",
        "small_model": "scripted/scripted",
        "provider": {"scripted": provider},
        "autoupdate": False,
        "share": "disabled",
        "mcp": {"queue": {"type": "local", "command": place.server, "enabled": True}},
    }
    (place.project / "opencode.json").write_text(json.dumps(settings))
    return [str(place.program), "run", PROMPT], place.environment()


def gemini(place: Place, url: str) -> Prepared:
    program, *arguments = place.server
    server = {"command": program, "args": arguments, "trust": True}
    settings = {
        "mcpServers": {"queue": server},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
    }
    folder = place.home / ".gemini"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    environment = place.environment(
        GEMINI_API_KEY="none",
        GOOGLE_GEMINI_BASE_URL=url,
        GEMINI_CLI_TRUST_WORKSPACE="true",
        GEMINI_CLI_NO_RELAUNCH="true",
    )
    line = [str(npm.node()), str(place.program), "-p", PROMPT, "--yolo", "-m", "gemini-2.5-flash"]
    return line, environment


def handle_and_wait(place: Place, prepare: Callable[[Place, str], Prepared]) -> Findings:
    """The model calls, reads the handle, waits for the job by its id, reads result and error."""
    with Serving() as serving:
        line, environment = prepare(place, serving.url)
        serving.model.script(Call("work", {"seconds": 1}), wait_for_it, MISTAKE, "Done.")
        done = subprocess.run(
            line,
            env=environment,
            cwd=place.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        handle = serving.model.wait_for("has been queued for execution")
        result = serving.model.wait_for("worked for 1 s")
        error = serving.model.wait_for("job_not_found")
    for name, asked in (("handle", handle), ("result", result), ("error", error)):
        place.show(name, asked.news)
        yield f"bytes of the {name}, as the model gets it", str(_bytes_of_last(asked))
    yield from place.described()


def wait_for_it(asked: Asked) -> Call:
    """The model's wait for the job whose handle it was shown."""
    job_id = re.findall(r'job_id[\\": ]+([0-9a-f-]{36})', asked.text)[-1]
    return Call("queue_wait_job", {"job_ids": [job_id]})


def _bytes_of_last(asked: Asked) -> int:
    """The size of the texts in the last tool result that the model was shown."""
    last = asked.news[-1]
    if "parts" in last:
        content = "".join(last["parts"][-1]["functionResponse"]["response"].values())
    else:
        content = last.get("output") or last["content"]
    if isinstance(content, list) and content[-1].get("type") == "tool_result":
        content = content[-1]["content"]
    texts = [part["text"] for part in content] if isinstance(content, list) else [content]
    return sum(len(text.encode()) for text in texts)
