"""A pytest plugin: what tests need of PyPI and npm is there before the first of them begins.

A test declares it, ``@pytest.mark.needs("npm")``. What the chosen tests need and is missing is
installed when they have been collected, by one process of those that share the folder. What cannot
be had, as there is no network, skips the tests that need it, by name and with the reason, before
any fixture of theirs begins; where ``CI`` is true it fails them.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pytest

from support import foreign, npm, pypi

if TYPE_CHECKING:
    from pathlib import Path

Found = TypeVar("Found")
Reasons = dict[str, str]
"""By the name of what cannot be had: why."""


@dataclass(frozen=True)
class Need:
    """Something that tests need and that a clone does not have."""

    what: str
    install: Callable[[], None]
    """Raises `foreign.NotInstalledError`."""
    ready: Callable[[], bool] = lambda: False
    silent: bool = False
    """A look whether something can be reached: it leaves nothing here."""


NEEDS = {
    "schemas": Need("the protocol's schemas", pypi.install_schemas, pypi.schemas_ready),
    "npm": Need("npm packages", npm.install, npm.ready),
    "fastmcp": Need("FastMCP's client", pypi.install_fastmcp, pypi.fastmcp_ready),
    "pip": Need("packages by pip", pypi.reach_by_pip, silent=True),
    "uv": Need("packages by uv", pypi.reach_by_uv, silent=True),
}

_missing = pytest.StashKey[Reasons]()
_declared: frozenset[str] | None = None  # by the test that runs; None: none does


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_missing] = {}
    line = f"needs(*names): what is installed before the first test: {', '.join(NEEDS)}"
    config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    wanted = frozenset[str]().union(*map(_names, session.items))
    if wanted and not config.option.collectonly:
        # The processes of one run share what has been found out.
        worker: dict[str, str] = getattr(config, "workerinput", {})
        run = worker.get("testrunuid") or uuid.uuid4().hex
        config.stash[_missing] = prepare(sorted(wanted), run)
        if not _fails():
            _skip(session.items, config.stash[_missing])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    global _declared  # noqa: PLW0603 (what pytest runs is one test at a time)
    _declared = _names(item)
    if _fails() and (reason := _reason(item, item.config.stash[_missing])):
        pytest.fail(reason, pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    global _declared  # noqa: PLW0603
    _declared = None


def _fails() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def _skip(items: Iterable[pytest.Item], missing: Reasons) -> None:
    for item in items:
        if reason := _reason(item, missing):
            item.add_marker(pytest.mark.skip(reason=reason))


def _reason(item: pytest.Item, missing: Reasons) -> str:
    """Why the test cannot run; nothing if it can."""
    lost = sorted(_names(item) & missing.keys())
    return "; ".join(f"{NEEDS[name].what} could not be had: {missing[name]}" for name in lost)


def _names(item: pytest.Item) -> frozenset[str]:
    names = frozenset(name for mark in item.iter_markers("needs") for name in mark.args)
    if unknown := names - NEEDS.keys():
        told = f"{item.nodeid} needs {', '.join(sorted(unknown))}; there is {', '.join(NEEDS)}"
        raise pytest.UsageError(told)
    return names


def check_declared(name: str) -> None:
    """Fail the test that runs unless it has declared that it needs this."""
    if _declared is not None and name not in _declared:
        pytest.fail(f'without @pytest.mark.needs("{name}") this test may find no {name}')


def given(name: str, found: Found | None) -> Found:
    """What was found of a need."""
    check_declared(name)
    assert found is not None, f"{NEEDS[name].what}: not there (python -m tests.hosts.install)"
    return found


def prepare(names: Iterable[str], run: str | None = None) -> Reasons:
    """Install what is missing, and say what cannot be had; processes of one ``run`` do it once."""
    wanted = [name for name in names if not NEEDS[name].ready()]
    if not wanted:
        return {}
    try:
        with foreign.locked() as folder:
            return _prepare(wanted, run, folder / "last run.json")
    except OSError as error:  # the folder cannot be made or written
        return dict.fromkeys(wanted, str(error))


def _prepare(wanted: list[str], run: str | None, file: Path) -> Reasons:
    if (known := _found_out(file, run)) is not None:
        return known
    wanted = [name for name in wanted if not NEEDS[name].ready()]
    if told := [NEEDS[name].what for name in wanted if not NEEDS[name].silent]:
        print(f"installing for the tests: {', '.join(told)} ({file.parent})", file=sys.stderr)
    missing: Reasons = {}
    for name in wanted:
        try:
            NEEDS[name].install()
        except (foreign.NotInstalledError, OSError) as error:
            missing[name] = str(error)
    file.write_text(json.dumps({"run": run, "missing": missing}), "utf-8")
    return missing


def _found_out(file: Path, run: str | None) -> Reasons | None:
    """What another process of the same run has found out."""
    try:
        last = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    match last:
        case {"run": str(its), "missing": dict(missing)} if its == run:
            return missing
        case _:
            return None
