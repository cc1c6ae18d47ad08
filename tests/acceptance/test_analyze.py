"""An agent analyses a real code base as a queued job and searches what was found."""

from __future__ import annotations

import ast
import sysconfig
import time
import warnings
from pathlib import Path
from typing import Any

import pydantic
import pytest

from support.serving import Setup, call, read, read_text

LIBRARY = Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize(
    ("mode", "folder"),
    [("auto", "pydantic"), ("legacy", "pydantic"), ("auto", "standard library")],
)
async def test_analyze_project_end_to_end(
    setup: Setup, mode: str, folder: str, thorough: bool, record_property: Any
) -> None:
    if folder == "pydantic":
        root = Path(pydantic.__file__).parent
    else:
        root = LIBRARY if thorough else LIBRARY / "asyncio"
    reports: list[tuple[float, str]] = []
    answered_after: list[int] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, message or ""))

    async with setup.client(mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"analyze_project", "search_classes", "search_code", "queue_wait_job"} <= names

        begun = time.perf_counter()
        handle = await call(client, "analyze_project", root_dir=str(root), duration=2, steps=40)
        record_property("handle_ms", round((time.perf_counter() - begun) * 1000, 1))
        assert handle["success"] is True
        assert handle["status"] in {"pending", "running"}
        assert handle["message"] == "Command 'analyze_project' has been queued for execution"
        job_id = handle["job_id"]

        view: dict[str, Any] = {}
        while not view.get("finished_at"):
            answer = await client.call_tool(
                "queue_wait_job", {"job_ids": [job_id]}, progress_callback=on_progress
            )
            answered_after.append(len(reports))
            assert isinstance(answer.structured_content, dict)
            view = answer.structured_content["jobs"][0]
        assert view["status"] == "completed", view

        job_view = await read(client, f"queue://jobs/{job_id}")
        assert job_view["status"] == "completed"
        result = await read(client, f"queue://jobs/{job_id}/result")
        assert isinstance(await read_text(client, f"queue://jobs/{job_id}/logs"), str)
        assert job_id in {job["job_id"] for job in (await read(client, "queue://jobs"))["jobs"]}

        found = await call(client, "search_classes", query="BaseModel", root_dir=str(root))

    assert len(reports) == answered_after[-1], "progress after the answer"
    values = [value for value, _ in reports]
    assert len(values) >= 10
    for begin, end in zip([0, *answered_after], answered_after, strict=False):
        of_one_wait = values[begin:end]
        assert of_one_wait == sorted(set(of_one_wait)), "progress must strictly increase"
    assert all("%" in message for _, message in reports)
    assert any(".py" in message for _, message in reports)

    totals = count(root)
    assert {name: result[name] for name in totals} == totals
    if folder == "pydantic":
        hits = found.get("result", found)["hits"]
        assert hits[0]["name"] == "BaseModel"
        assert hits[0]["file"] == "main.py"
        line = (root / "main.py").read_text("utf-8").splitlines()[hits[0]["line"] - 1]
        assert line.startswith("class BaseModel")


def count(root: Path) -> dict[str, int]:
    """Modules, classes and functions, counted without any of our code."""
    totals = {"modules": 0, "classes": 0, "functions": 0}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        if "site-packages" in parts or "__pycache__" in parts:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        totals["modules"] += 1
        for node in ast.walk(tree):
            totals["classes"] += isinstance(node, ast.ClassDef)
            totals["functions"] += isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return totals
