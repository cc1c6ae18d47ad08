"""What tests need is there before they begin; what cannot be had is said before they begin."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import foreign, needs
from support.guards import GUARD

TESTS = Path(__file__).parents[1]

CONFTEST = """
import os, pathlib, time
import pytest
from support import foreign, needs

STORE = pathlib.Path(os.environ["STORE"])

def note(name):
    with (STORE / "notes").open("a") as notes:
        notes.write(name + "\\n")

def install_thing():
    note("thing begins")
    (STORE / "thing").touch()
    note("thing ends")

def install_nothing():
    note("nothing")
    raise foreign.NotInstalledError("no way to the registry")

needs.NEEDS["thing"] = needs.Need("a thing", install_thing, (STORE / "thing").exists)
needs.NEEDS["nothing"] = needs.Need("what is nowhere", install_nothing)

@pytest.fixture(autouse=True, scope="module")
def server():
    note("a server starts")

@pytest.fixture
def job(server):
    note("a job starts")
"""
NEEDY = """
import os, pathlib
import pytest

@pytest.mark.needs("thing")
def test_has_it(job):
    assert pathlib.Path(os.environ["STORE"], "thing").exists()
"""
LOST = """
import pytest

pytestmark = pytest.mark.needs("thing", "nothing")

@pytest.mark.parametrize("n", range(2))
def test_lost(n, job):
    pass
"""
MODEST = """
def test_modest(job):
    pass
"""
SECRETIVE = """
import pytest
from support import needs

def test_declares_nothing():
    needs.given("thing", "found")

@pytest.mark.needs("thing")
def test_declares_another():
    needs.check_declared("nothing")

@pytest.mark.needs("thing")
def test_declares_it():
    assert needs.given("thing", "found") == "found"
"""
MISSPELT = """
import pytest

@pytest.mark.needs("thnig")
def test_misspelt():
    pass
"""

Run = Callable[..., "Ran"]


class Ran:
    """A run of pytest that has ended."""

    def __init__(self, status: int, said: str, store: Path) -> None:
        self.status = status
        self.said = said
        notes = store / "notes"
        self.notes = notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def run_tests(tmp_path: Path) -> Run:
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)

    def run(*options: str, **files: str) -> Ran:
        for name, text in files.items():
            if name.startswith("test_"):
                (tmp_path / f"{name}.py").write_text(text)
        environ = {name: value for name, value in os.environ.items() if name != "CI"}
        if "ci" in files:
            environ["CI"] = files["ci"]
        environ |= {"PYTHONPATH": str(TESTS), "STORE": str(store)}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "support.needs", "-ra", *options],
            cwd=tmp_path,
            env={**environ, "MCP_QUEUE_TEST_PROGRAMS": str(tmp_path / "programs")},
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
        )
        return Ran(done.returncode, done.stdout + done.stderr, store)

    return run


@pytest.mark.parametrize("processes", ["-n0", "-n3"])
def test_what_is_missing_is_installed_once_and_before_any_test(run_tests: Run, processes: str):
    ran = run_tests(processes, test_a=NEEDY, test_b=NEEDY, test_c=MODEST)
    assert ran.status == 0, ran.said
    assert ran.notes[:2] == ["thing begins", "thing ends"]
    assert ran.notes.count("thing begins") == 1
    assert ran.said.count("installing for the tests: a thing (") == 1
    again = run_tests(processes)
    assert again.status == 0
    assert again.notes.count("thing begins") == 1
    assert "installing" not in again.said


@pytest.mark.parametrize("options", [("-k", "modest"), ("test_c.py",), ("--collect-only",)])
def test_a_run_without_need_installs_nothing(run_tests: Run, tmp_path: Path, options: list[str]):
    ran = run_tests(*options, test_a=NEEDY, test_b=LOST, test_c=MODEST)
    assert ran.status == 0, ran.said
    assert {"thing begins", "nothing"}.isdisjoint(ran.notes)
    assert not (tmp_path / "programs").exists()


@pytest.mark.parametrize("processes", ["-n0", "-n3"])
def test_what_cannot_be_had_skips_tests_before_anything_of_theirs(run_tests: Run, processes: str):
    ran = run_tests(processes, test_a=LOST, test_b=LOST, test_c=LOST)
    assert ran.status == 0, ran.said
    assert "6 skipped" in ran.said
    assert "test_a.py:6: what is nowhere could not be had: no way to the registry" in ran.said
    assert ran.notes == ["nothing", "thing begins", "thing ends"], "and is tried once"


def test_the_others_run(run_tests: Run):
    ran = run_tests("-n0", test_a=LOST, test_b=NEEDY, test_c=MODEST)
    assert ran.status == 0, ran.said
    assert "2 passed, 2 skipped" in ran.said
    assert ran.notes.count("a job starts") == 2


@pytest.mark.parametrize("value", ["true", "1"])
def test_where_all_must_be_there_what_is_missing_fails(run_tests: Run, value: str):
    ran = run_tests("-n0", test_a=LOST, test_c=MODEST, ci=value)
    assert ran.status == 1, ran.said
    assert "1 passed, 2 errors" in ran.said
    assert "what is nowhere could not be had: no way to the registry" in ran.said
    assert ran.notes.count("a job starts") == 1, "of the test that needs nothing"


def test_what_could_not_be_had_is_tried_again_in_the_next_run(run_tests: Run):
    run_tests("-n2", test_a=LOST)
    ran = run_tests("-n2")
    assert ran.notes.count("nothing") == 2


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the programs, which is not there yet."""
    folder = tmp_path / "programs"
    monkeypatch.setattr(foreign, "FOLDER", folder)
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often a thing has been installed."""
    installed: list[str] = []
    need = needs.Need("a thing", lambda: installed.append("thing"))
    monkeypatch.setitem(needs.NEEDS, "thing", need)
    return installed


def test_a_folder_that_cannot_be_written_is_a_reason(programs: Path, installed: list[str]):
    programs.write_text("a file")
    assert str(programs) in needs.prepare(["thing"], "run")["thing"]
    assert installed == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": "run"}', '{"run": "another"}'])
def test_what_a_killed_run_left_holds_up_nobody(programs: Path, installed: list[str], content: str):
    programs.mkdir()
    (programs / "last run.json").write_text(content)
    assert needs.prepare(["thing"], "run") == {}
    assert installed == ["thing"]
    assert needs.prepare(["thing"], "run") == {}
    assert installed == ["thing"], "the run knows"


def test_a_test_that_declares_nothing_finds_nothing(run_tests: Run):
    ran = run_tests("-n0", test_a=SECRETIVE)
    assert "2 failed, 1 passed" in ran.said
    assert 'without @pytest.mark.needs("thing")' in ran.said
    assert 'without @pytest.mark.needs("nothing")' in ran.said


def test_a_need_that_nobody_knows_is_named(run_tests: Run):
    ran = run_tests("-n0", test_a=MISSPELT)
    assert ran.status != 0
    assert "test_misspelt needs thnig; there is schemas, npm, " in ran.said


@pytest.mark.usefixtures("programs")
def test_each_pin_has_a_folder_of_its_own():
    old, new = foreign.Place("npm", "1"), foreign.Place("npm", "2")
    with old.filling() as folder:
        (folder / "program").touch()
    assert (old.complete, new.complete) == (True, False)
    with new.filling():
        pass
    assert (old.path / "program").exists()
    assert foreign.Place("npm", "1").complete


def break_off(place: foreign.Place) -> None:
    with place.filling() as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt


@pytest.mark.usefixtures("programs")
def test_what_was_broken_off_is_begun_anew():
    place = foreign.Place("npm", "1")
    with pytest.raises(KeyboardInterrupt):
        break_off(place)
    assert not place.complete
    with place.filling() as folder:
        assert not list(folder.iterdir())
    assert place.complete


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('ERROR: no network'); print('a notice'); exit(1)", "ERROR: no network"),
        ("print('nothing of use'); exit(3)", "nothing of use"),
        ("exit(3)", "ended with 3"),
    ],
)
def test_the_reason_is_what_the_installer_said(code: str, told: str):
    with pytest.raises(foreign.NotInstalledError, match=told):
        foreign.run([sys.executable, "-c", code])


def test_an_installer_that_is_not_there_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, programs: Path
):
    need = needs.Need("a thing", lambda: foreign.run([programs / "no npm"]))
    monkeypatch.setitem(needs.NEEDS, "thing", need)
    assert "no npm" in needs.prepare(["thing"])["thing"]
