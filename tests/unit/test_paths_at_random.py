"""Trees with links at random, requests at random: nothing outside the root is ever opened."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mcp_queue import Job, PathRefusedError, paths
from mcp_queue.commands.catalog import Catalog
from mcp_queue.commands.job import Sink
from mcp_queue.commands.resource_info import ResourceInfo
from mcp_queue.server.authored.uri_templates import match
from mcp_queue_tools.analysis import analyze
from mcp_queue_tools.maps import CACHE_VARIABLE
from mcp_queue_tools.pace import Pace
from mcp_queue_tools.search import search_code
from support.opened import Watched, needs_inotify

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_inotify

SECRET = "the_secret_of_another"
NAMES = ("a", "b", "c.py", "d.py", "root", "outside")
names = st.sampled_from(NAMES)
inner = st.lists(names, min_size=1, max_size=3).map("/".join)
targets = st.one_of(
    inner,
    st.sampled_from(
        [
            *("..", "../..", ".", "/", "../outside", "../outside/secret.py", "../../outside/deep"),
            *(
                "{top}/outside",
                "{top}/outside/secret.py",
                "{top}/root/a",
                "{top}/outside/deep/s.py",
            ),
            *("../root/../outside/secret.py", "a/../../outside/secret.py", "nowhere/../../outside"),
        ]
    ),
)
trees = st.lists(st.tuples(inner, st.sampled_from(["file", "folder", "link", "pipe"]), targets))
odd = st.sampled_from(
    [
        *("..", ".", "", "/", "%2e%2e", "..%2f", "%2fetc", "\0", "secret.py", "deep", "s.py"),
        *("C:", "...", "\\..\\outside", "{top}/outside/secret.py", "..\\outside"),
    ]
)
requests = st.lists(st.lists(names | odd, min_size=1, max_size=5).map("/".join), max_size=8)


class Place:
    """A root with nothing in it, beside a folder with secrets that is watched."""

    def __init__(self, top: Path) -> None:
        self.top, self.root = top, top / "root"
        outside, deep = top / "outside", top / "outside" / "deep"
        deep.mkdir(parents=True)
        for file in (outside / "secret.py", outside / "c.py", outside / "a", deep / "s.py"):
            file.write_text(f"{SECRET} = 1\n", "utf-8")
        self.folders = (outside, deep)
        self.watched = Watched(*self.folders)

    def plant(self, tree: list[tuple[str, str, str]]) -> None:
        """Make the root anew with what can be made of this."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        for name, kind, target in tree:
            with suppress(OSError), _at(self.root, name) as (folder, last):
                if kind == "folder":
                    os.mkdir(last, dir_fd=folder)
                elif kind == "link":
                    os.symlink(target.format(top=self.top), last, dir_fd=folder)
                elif kind == "pipe":
                    os.mkfifo(last, dir_fd=folder)
                else:
                    os.close(os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=folder))
        self.watched.opened()  # what was opened to make it

    def check(self) -> None:
        """Nothing outside was opened."""
        assert self.watched.opened() == []


class _at:  # noqa: N801
    """The folder of a name below the root, made if missing; raises where it is none."""

    def __init__(self, root: Path, name: str) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The tree itself is planted inside: a link in the way is not followed.
        if path.parent.resolve() != path.parent:
            raise OSError("a link is in its way")
        self._folder, self._last = os.open(path.parent, os.O_RDONLY), path.name

    def __enter__(self) -> tuple[int, str]:
        return self._folder, self._last

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder).resolve())
        with place.watched:
            yield place


def ask(place: Place, *parts: str) -> None:
    """Both ways of asking stay inside, or refuse."""
    with suppress(PathRefusedError):
        found = paths.inside(place.root, *parts)
        assert found == place.root or place.root in found.parents
    with suppress(PathRefusedError, OSError), paths.open_inside(place.root, *parts) as file:
        real = Path(os.readlink(f"/proc/self/fd/{file.fileno()}"))
        assert place.root in real.parents
        assert SECRET.encode() not in file.read()


def of_author(path: str) -> str:
    return path


CATALOG = Catalog()
CATALOG.register_resource(ResourceInfo("files:///{+path}", "of_author", of_author))


def test_the_watch_sees_what_is_opened(place: Place) -> None:
    place.plant([("a", "link", "../outside/secret.py")])
    place.check()
    (place.root / "a").read_text("utf-8")
    assert place.watched.opened() == [str(place.folders[0] / "secret.py")]


@given(tree=trees, asked=requests)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_paths_and_addresses(place: Place, tree: Any, asked: list[str]) -> None:
    place.plant(tree)
    wanted = [each.format(top=place.top) for each in asked if "{" not in each or "{top}" in each]
    for request in [*wanted, *(name for name, _, _ in tree)]:
        ask(place, request)
        ask(place, *request.split("/"))
        for written in (request, quote(request), quote(request, safe="")):
            if (found := match(CATALOG, f"files:///{written}")) is not None:
                ask(place, found[1]["path"])
    place.check()


@example(tree=[("a", "link", "../outside")], within="a")
@example(tree=[("a", "link", "../outside/deep"), ("b/c.py", "link", "../a/s.py")], within="b")
@given(tree=trees, within=st.sampled_from(["", "a", "b", "a/b", "a/outside"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_projects(place: Place, tree: Any, within: str) -> None:
    place.plant([("c.py", "file", ""), *tree])
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as cache:
        patch.setenv(CACHE_VARIABLE, cache)
        job = Job("job", 1, Sink())
        found: Any = analyze(str(place.root), force=False, job=job, pace=Pace(job))
        assert found["complete"]
        links = {name for name, kind, _ in tree if kind == "link"}
        assert {each["path"].rstrip("/") for each in found["problems"]} <= {
            *links,
            *(name for name, kind, _ in tree if kind == "pipe"),
        }
        for root in (str(place.root), str(place.root / within)):
            with suppress(Exception):  # a folder that is not there, or a link that leads out
                assert not search_code(SECRET, root, "any", 5)["hits"]
        assert not search_code(SECRET, None, "any", 5)["hits"]
    place.check()
