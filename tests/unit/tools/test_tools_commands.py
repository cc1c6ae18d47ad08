"""The commands as a server sees them: registered, described, cheap to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mcp_queue_tools
from mcp_queue import registry

LATE = ("ast", "sqlite3", "platformdirs", "pydantic", "hashlib", "tokenize", "asyncio")


@pytest.mark.parametrize(
    ("name", "queued", "read_only"),
    [
        ("analyze_project", True, None),
        ("search_classes", False, True),
        ("search_code", False, True),
    ],
)
def test_the_commands_are_registered(name: str, queued: bool, read_only: bool | None):
    info = registry.get(name)
    assert info.target is getattr(mcp_queue_tools, name)
    assert (info.use_queue, info.read_only) == (queued, read_only)


def test_the_schemas_describe_every_parameter_in_few_words():
    from mcp_queue.commands.schema import schema_of

    for name in ("analyze_project", "search_classes", "search_code"):
        schema: Any = schema_of(registry.get(name))
        assert 40 < len(schema.summary) < 300
        properties = schema.input_schema["properties"]
        assert all(each.get("description") for each in properties.values())
        assert schema.plain
    analyze: Any = schema_of(registry.get("analyze_project"))
    assert set(analyze.input_schema["properties"]) == {"root_dir", "force"}
    assert analyze.input_schema["required"] == ["root_dir"]
    assert analyze.validate({"root_dir": "x", "duration": 1, "steps": 2})["duration"] == 1
    code: Any = schema_of(registry.get("search_code"))
    assert "text" in code.input_schema["properties"]["kind"]["enum"]


def test_importing_the_commands_imports_nothing_that_only_the_work_needs():
    script = f"import sys, mcp_queue_tools; print([m for m in {LATE} if m in sys.modules])"
    folders = [str(Path(mcp_queue_tools.__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
