"""Commands from files: other processes, and pickles, find the module that they stand in."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_queue import files
from support.processes import GUARD
from support.rawclient import RawClient
from support.scenes import call, greet

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = """
import concurrent.futures, enum, multiprocessing, pickle
from dataclasses import dataclass
from mcp_queue import command
{imports}

@dataclass
class Point:
    x: int

    class Inner:
        pass

class Colour(enum.Enum):
    RED = 1

class Wrong(Exception):
    pass

def square(point: Point) -> Point:
    return Point(point.x ** 2)

def fails(point: Point) -> None:
    raise Wrong(point.x)

def put(queue) -> None:
    queue.put((Point(7), Colour.RED, own_helpers.word()))

def executed(method: str) -> list:
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        squares = [point.x for point in pool.map(square, map(Point, range(4)))]
        error = pool.submit(fails, Point(3)).exception()
    assert type(error) is Wrong, error
    return squares

@command
def at_once(method: str) -> list:
    return executed(method)

@command(use_queue=True)
def executor(method: str) -> list:
    return executed(method)

@command(use_queue=True)
def process(method: str) -> list:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=put, args=(queue,))
    child.start()
    point, colour, word = queue.get()
    child.join()
    queue.close()
    queue.join_thread()
    assert (type(point), colour) == (Point, Colour.RED)
    return [point.x, word, child.exitcode]

@command(use_queue=True)
def pickled() -> str:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for each in (Point(1), Point, Point.Inner, Colour.RED, square):
            assert pickle.loads(pickle.dumps(each, protocol)) == each
    return pickle.dumps((Point(5), Colour.RED, square)).hex()
"""
HELPERS = "def word(): return 'from beside it'\n"
METHODS = ["spawn", "forkserver"] if sys.platform != "win32" else ["spawn"]


def write(path: Path, imports: str = "import own_helpers") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT.format(imports=imports), "utf-8")
    path.with_name("own_helpers.py").write_text(HELPERS, "utf-8")
    return path


@pytest.fixture(params=["file", "odd name", "module", "package"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RawClient]:
    """On a server with the commands from a file, a module or a file of a package."""
    environment: dict[str, str] = {}
    if request.param == "package":
        (tmp_path / "own_package").mkdir()
        (tmp_path / "own_package" / "__init__.py").touch()
        source = write(tmp_path / "own_package" / "cmds.py", "from . import own_helpers")
    elif request.param == "module":
        write(tmp_path / "own_commands.py")
        source, environment = "own_commands", {"PYTHONPATH": str(tmp_path)}
    elif request.param == "odd name":
        source = write(tmp_path / "Smith, John" / "my-tools é.v2.py")
    else:
        source = write(tmp_path / "queue.py")
    command = [sys.executable, "-m", "mcp_queue", "serve", "--commands", str(source)]
    with RawClient(command, env=environment) as client:
        greet(client)
        yield client


def ended(client: RawClient, tool: str, **arguments: Any) -> Any:
    job_id = call(client, tool, **arguments)["job_id"]
    [view] = call(client, "queue_wait_job", job_ids=job_id, timeout_seconds=GUARD)["jobs"]
    assert view["status"] == "completed", (
        view,
        call(client, "queue_get_job_logs", job_id=job_id)["stderr"],
    )
    return view["result"]


def test_processes_of_a_command_find_its_module(client: RawClient) -> None:
    for method in METHODS:
        assert ended(client, "executor", method=method) == [0, 1, 4, 9]
        assert ended(client, "process", method=method) == [7, "from beside it", 0]


def test_processes_of_a_plain_command_do_so_too(client: RawClient) -> None:
    assert call(client, "at_once", method="spawn") == {"result": [0, 1, 4, 9]}


def test_pickles_are_read_again(client: RawClient) -> None:
    first = ended(client, "pickled")
    assert ended(client, "pickled") == first


@pytest.mark.parametrize("name", ["tools.py", "my-tools.v2.py", "no ending", "_.py", "1é.py"])
def test_another_process_needs_the_folder_alone(tmp_path: Path, name: str) -> None:
    """Whoever has the folder on its module search path finds the module by its name."""
    module = files.name_of(str(write(tmp_path / name)))
    text = f"c{module}\nPoint\n(I6\ntR.".encode()  # the pickle of Point(6)
    script = f"import pickle; print(pickle.loads({text!r}))"
    told = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        timeout=GUARD,
        check=True,
    ).stdout
    assert told.strip() == b"Point(x=6)"


@pytest.mark.parametrize(
    "name", ["mcp_queue.files.tools_00000000", "mcp_queue.files.tools", "mcp_queue.files.x.y"]
)
def test_a_name_without_a_file_is_not_found(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"mcp_queue\.files\."):
        pickle.loads(f"c{name}\nPoint\n.".encode())
