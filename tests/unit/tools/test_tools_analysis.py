"""analyze_project: true totals, only what changed is read, nothing is fatal, two may run."""

from __future__ import annotations

import ast
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest

from mcp_queue_tools import analysis, maps
from mcp_queue_tools.errors import MapUnusableError, WrongValueError

Analyze = Callable[..., Any]
Project = Callable[[dict[str, str | bytes]], Path]

SMALL: dict[str, str | bytes] = {
    "pkg/__init__.py": "import os\n",
    "pkg/a.py": "import os, json\nclass A:\n    def f(self): ...\n    def g(self): ...\n",
    "pkg/b.py": "from pkg.a import A\n\ndef h():\n    if 1: pass\n",
}


def plain_counts(root: Path) -> dict[str, int]:
    counts = {"modules": 0, "classes": 0, "functions": 0}
    for path in root.rglob("*.py"):
        counts["modules"] += 1
        for node in ast.walk(ast.parse(path.read_bytes())):
            counts["classes"] += isinstance(node, ast.ClassDef)
            counts["functions"] += isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return counts


def make_settled(root: Path) -> None:
    """As if the files had been written a while ago."""
    for path in root.rglob("*.py"):
        os.utime(path, ns=(time.time_ns(), time.time_ns() - 10 * analysis.FRESH_NS))


def stored(result: dict[str, Any], sql: str) -> list[Any]:
    database = sqlite3.connect(result["map"])
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def test_the_totals_of_a_real_package_are_those_of_a_plain_walk(analyze: Analyze):
    root = Path(pydantic.__file__).parent
    result = analyze(root)
    counts = plain_counts(root)
    assert {name: result[name] for name in counts} == counts
    assert (result["parsed"], result["problem_count"]) == (counts["modules"], 0)
    again = analyze(root)
    assert (again["parsed"], again["reused"]) == (0, counts["modules"])
    same = result.keys() - {"parsed", "reused", "elapsed_seconds"}
    assert {name: again[name] for name in same} == {name: result[name] for name in same}
    assert len(json.dumps(result)) < 16 * 1024


def test_the_result_says_what_is_in_the_project(analyze: Analyze, project: Project):
    root = project(SMALL)
    result = analyze(root)
    assert result["root"] == str(root.resolve())
    assert result["complete"] is True
    totals = [result[name] for name in ("modules", "packages", "classes", "functions", "lines")]
    assert totals == [3, 1, 1, 3, 9]
    assert result["imports"][0] == {"module": "os", "files": 2}
    assert result["most_complex"][0] == {"name": "pkg.b.h", "complexity": 2, "place": "pkg/b.py:3"}
    assert result["largest_modules"][0] == {"module": "pkg.a", "file": "pkg/a.py", "lines": 4}


def test_only_what_changed_is_parsed_again(analyze: Analyze, project: Project):
    root = project(SMALL)
    make_settled(root)
    analyze(root)
    (root / "pkg" / "b.py").write_text("class New: ...\n")
    result = analyze(root)
    assert (result["parsed"], result["reused"], result["removed"]) == (1, 2, 0)
    assert (result["classes"], result["functions"]) == (2, 2)


def test_a_change_of_the_same_size_at_the_same_time_is_seen(analyze: Analyze, project: Project):
    root = project(SMALL)
    path = root / "pkg" / "b.py"
    analyze(root)
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"def h", b"def z"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = analyze(root)
    assert (result["parsed"], result["most_complex"][0]["name"]) == (1, "pkg.b.z")


def test_a_touched_file_is_read_but_not_parsed(analyze: Analyze, project: Project):
    root = project(SMALL)
    make_settled(root)
    analyze(root)
    os.utime(root / "pkg" / "a.py")
    result = analyze(root)
    assert (result["parsed"], result["reused"]) == (0, 3)


def test_force_parses_everything(analyze: Analyze, project: Project):
    root = project(SMALL)
    analyze(root)
    result = analyze(root, force=True)
    assert (result["parsed"], result["reused"], result["classes"]) == (3, 0, 1)


def test_removed_files_leave_the_map(analyze: Analyze, project: Project):
    root = project(SMALL)
    analyze(root)
    (root / "pkg" / "a.py").unlink()
    result = analyze(root)
    assert (result["removed"], result["modules"], result["classes"]) == (1, 2, 0)
    assert stored(result, "SELECT name FROM names WHERE name = 'A'") == []
    for table in ("symbols", "imports", "sources"):
        orphans = f"SELECT * FROM {table} WHERE file_id NOT IN (SELECT id FROM files)"
        assert stored(result, orphans) == []


def test_a_folder_that_becomes_a_package_renames_its_modules(analyze: Analyze, project: Project):
    root = project({"pkg/a.py": "def f(): ..."})
    make_settled(root)
    assert analyze(root)["most_complex"][0]["name"] == "a.f"
    project({"pkg/__init__.py": ""})
    result = analyze(root)
    assert (result["parsed"], result["most_complex"][0]["name"]) == (2, "pkg.a.f")


def test_what_cannot_be_parsed_is_reported_and_not_read_again(analyze: Analyze, project: Project):
    files: dict[str, str | bytes] = {f"bad{number:02}.py": "def (" for number in range(25)}
    root = project({**SMALL, **files})
    make_settled(root)
    result = analyze(root)
    assert (result["modules"], result["problem_count"], len(result["problems"])) == (3, 25, 20)
    assert result["problems"][0]["path"] == "bad00.py"
    assert result["problems"][0]["reason"].startswith("line 1: ")
    again = analyze(root)
    assert (again["parsed"], again["problem_count"]) == (0, 25)
    (root / "bad00.py").write_text("def good(): ...")
    assert analyze(root)["problem_count"] == 24


def test_a_huge_file_is_a_problem(
    analyze: Analyze, project: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(analysis, "LARGEST_FILE", 1_000_000)
    result = analyze(project({**SMALL, "data.py": "x = 1\n" * 200_000}))
    assert result["problems"] == [{"path": "data.py", "reason": "larger than 1 MB"}]
    assert result["modules"] == 3


def test_a_file_that_goes_while_the_run_lasts_is_a_problem(
    analyze: Analyze, project: Project, recorder: Any
):
    root = project(SMALL)

    class Remover(recorder):
        def progress(self, percent: float | None, description: str | None) -> None:
            if "b.py" in str(description):
                (root / "pkg" / "b.py").unlink()

    result = analyze(root, recorder=Remover())
    assert [problem["path"] for problem in result["problems"]] == ["pkg/b.py"]
    assert (result["modules"], result["parsed"]) == (2, 2)


def test_an_empty_project_is_no_error(analyze: Analyze, project: Project, recorder: Any):
    remembered = recorder()
    result = analyze(project({"readme.txt": ""}), recorder=remembered)
    assert (result["modules"], result["complete"]) == (0, True)
    assert remembered.reports[-1][0] == 100


def test_progress_grows_by_bytes_and_names_the_file(
    analyze: Analyze, project: Project, recorder: Any
):
    remembered = recorder()
    root = project({"a.py": "#" * 100, "b.py": "#" * 300, "c.py": ""})
    analyze(root, recorder=remembered)
    assert remembered.reports[1:] == [
        (0.0, "project/a.py (1 of 3 files)"),
        (25.0, "project/b.py (2 of 3 files)"),
        (100.0, "project/c.py (3 of 3 files)"),
        (100.0, "3 files, 3 of them read"),
    ]


def test_a_stop_keeps_what_was_done_and_says_so(analyze: Analyze, project: Project, recorder: Any):
    root = project(SMALL)
    make_settled(root)
    stopped = analyze(root, recorder=recorder(stop_after=3))
    assert (stopped["complete"], stopped["parsed"], stopped["modules"]) == (False, 1, 1)
    finished = analyze(root)
    assert (finished["complete"], finished["reused"], finished["parsed"]) == (True, 1, 2)
    (root / "pkg" / "a.py").unlink()
    stopped = analyze(root, recorder=recorder(stop_after=1))
    assert (stopped["complete"], stopped["removed"], stopped["modules"]) == (False, 0, 3)


RUN = """
import json, sys
from mcp_queue import Job
from mcp_queue_tools import analyze_project
class Sink:
    def progress(self, percent, description): pass
    def log(self, line): pass
    def stopping(self): return False
print(json.dumps(analyze_project(sys.argv[1], True, job=Job("j", 1, Sink()))))
"""


def test_runs_at_once_agree(analyze: Analyze, project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    root = project({f"m{i}.py": f"class C{i}:\n    def f(self): ...\n" for i in range(500)})
    command = [sys.executable, "-c", RUN, str(root)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    results = [json.loads(run.communicate()[0]) for run in runs]
    assert [(r["modules"], r["classes"], r["functions"]) for r in results] == [(500, 500, 500)] * 3
    assert stored(analyze(root), "PRAGMA integrity_check") == [("ok",)]


def test_the_map_is_for_the_owner_only(analyze: Analyze, project: Project, cache: Path):
    path = Path(analyze(project(SMALL))["map"])
    assert path.parent == cache
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
        assert cache.stat().st_mode & 0o777 == 0o700


def test_without_the_variable_maps_are_in_the_users_cache(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(maps.CACHE_VARIABLE)
    assert maps.folder().name == "maps"
    assert "mcp-queue" in maps.folder().parts


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""])
def test_a_damaged_map_is_made_anew(analyze: Analyze, project: Project, damage: bytes):
    root = project(SMALL)
    Path(analyze(root)["map"]).write_bytes(damage)
    assert analyze(root)["parsed"] == 3


def test_a_map_of_another_version_is_made_anew(
    analyze: Analyze, project: Project, monkeypatch: pytest.MonkeyPatch
):
    root = project(SMALL)
    analyze(root)
    monkeypatch.setattr(maps, "SCHEMA_VERSION", maps.SCHEMA_VERSION + 1)
    assert analyze(root)["parsed"] == 3
    assert analyze(root)["parsed"] == 0


def test_a_cache_that_cannot_be_written_is_a_clear_error(
    analyze: Analyze, project: Project, cache: Path
):
    cache.write_text("a file where a folder must be")
    with pytest.raises(MapUnusableError, match="cannot be used"):
        analyze(project(SMALL))


def test_a_run_with_a_duration_lasts_so_long_and_reports_in_even_steps(
    analyze: Analyze, project: Project, recorder: Any
):
    remembered = recorder()
    result = analyze(project(SMALL), recorder=remembered, duration=0.4, steps=4)
    assert result["elapsed_seconds"] >= 0.4
    assert [percent for percent, _ in remembered.reports] == [0, 25, 50, 75, 100]


def test_a_stop_ends_the_waiting(analyze: Analyze, project: Project, recorder: Any):
    remembered = recorder(stop_after=2)
    result = analyze(project(SMALL), recorder=remembered, duration=3600, steps=3600)
    assert result["elapsed_seconds"] < 60
    assert result["complete"] is False


@pytest.mark.parametrize(
    "params",
    [
        {"duration": "long"},
        {"duration": -1},
        {"duration": float("nan")},
        {"duration": float("inf")},
        {"duration": True},
        {"steps": 0},
        {"steps": 1.5},
        {"steps": 10**9},
        {"steps": float("nan")},
    ],
)
def test_a_wrong_pace_is_an_error_that_names_it(
    analyze: Analyze, project: Project, params: dict[str, object]
):
    with pytest.raises(WrongValueError) as raised:
        analyze(project(SMALL), **params)
    ((name, value),) = params.items()
    assert repr(name) in raised.value.message
    assert repr(value) in raised.value.message


def test_other_parameters_are_logged_and_ignored(analyze: Analyze, project: Project, recorder: Any):
    remembered = recorder()
    assert analyze(project(SMALL), recorder=remembered, depth=3)["modules"] == 3
    assert remembered.lines == ["parameters without a meaning here: depth"]
