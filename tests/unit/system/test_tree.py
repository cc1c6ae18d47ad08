"""All that a run started: it is found, and it is killed. Each case in a process of its own, since
becoming a subreaper cannot be undone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mcp_queue.system import marks, tree
from support.processes import CONNECT, GUARD, Lifelines

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's")

PRELUDE = """
import os, subprocess, sys, threading
from mcp_queue.system import marks, tree
from mcp_queue.system.identity import identity_of
from mcp_queue.system.watch import watch
from support.processes import CONNECT, DAEMON
port = sys.argv[1]
def start(code, **options):
    return subprocess.Popen([sys.executable, "-c", code, port], **options)
def go():
    print("ready", flush=True)
    assert sys.stdin.readline() == "go\\n"
"""


@pytest.fixture
def lines() -> Iterator[Lifelines]:
    with Lifelines() as lines:
        yield lines


class Helper:
    """A process that does what ``code`` says, in two steps."""

    def __init__(self, code: str, lines: Lifelines, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, str(lines.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
        )  # fmt: skip

    def ready(self) -> None:
        """Wait for `go` to be awaited."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> str:
        """Let it go on to its end; what it printed."""
        out, _ = self.process.communicate("go\n", timeout=GUARD)
        assert self.process.returncode == 0
        return out


def test_descendants_are_found_from_every_thread(lines: Lifelines) -> None:
    helper = Helper(
        """
deeper = "import subprocess, sys; subprocess.run([sys.executable, '-c', %r, sys.argv[1]])" % CONNECT
def hold(event):
    children.append(start(deeper))
    event.wait()
children, leave = [], threading.Event()
thread = threading.Thread(target=hold, args=(leave,))
thread.start()
children.append(start(CONNECT))
go()
found = tree.descendants_of(os.getpid())
assert len(found) == 3, found
assert {child.pid for child in children} < set(found)
for pid in reversed(found):
    os.kill(pid, 9)
leave.set()
for child in children:
    child.wait()
""",
        lines,
    )
    helper.ready()
    lines.take(2)
    helper.go()
    lines.all_dead()


def test_a_daemon_with_a_cleared_environment_is_killed_as_a_stray(lines: Lifelines) -> None:
    helper = Helper(
        """
tree.become_subreaper()
worker = start(DAEMON)
mine = start(CONNECT)
worker.wait()
go()
assert tree.kill_strays({mine.pid})
assert tree.children_of(os.getpid()) == [mine.pid]
assert mine.poll() is None
mine.kill()
mine.wait()
""",
        lines,
    )
    helper.ready()
    lines.take(2)
    assert lines.living() == 2
    helper.go()
    lines.all_dead()


def test_children_of_strays_are_strays(lines: Lifelines) -> None:
    helper = Helper(
        """
tree.become_subreaper()
start("import subprocess, sys; " +
      "[subprocess.Popen([sys.executable, '-c', %r, sys.argv[1]]) for _ in range(3)]" % DAEMON
).wait()
go()
assert tree.kill_strays(set())
assert tree.children_of(os.getpid()) == []
""",
        lines,
    )
    helper.ready()
    lines.take(3)
    helper.go()
    lines.all_dead()


def test_a_run_is_killed_with_all_below_it(lines: Lifelines) -> None:
    helper = Helper(
        """
tree.become_subreaper()
worker = start('''
import subprocess, sys, time
from support.processes import CONNECT, DAEMON
subprocess.Popen([sys.executable, "-c", CONNECT, sys.argv[1]], env={})
subprocess.Popen([sys.executable, "-c", CONNECT, sys.argv[1]], start_new_session=True)
subprocess.Popen([sys.executable, "-c", DAEMON, sys.argv[1]])
time.sleep(600)
''')
go()
root = watch(identity_of(worker.pid))
tree.kill_run(root, "no-such-run")
assert worker.wait() == -9
root.close()
assert tree.kill_strays(set())
""",
        lines,
    )
    helper.ready()
    lines.take(3)
    helper.go()
    lines.all_dead()


def test_what_carries_the_mark_is_killed_wherever_it_went(lines: Lifelines) -> None:
    marked = {**os.environ, marks.MARK: "marked-run"}
    code = f"import os, sys\nif os.fork(): os._exit(0)\nos.setsid()\n{CONNECT}"
    subprocess.run([sys.executable, "-c", code, str(lines.port)], env=marked, check=True)
    other = {**os.environ, marks.MARK: "marked-run-2"}
    with subprocess.Popen([sys.executable, "-c", CONNECT, str(lines.port)], env=other) as stranger:
        lines.take(2)
        [pid] = marks.marked("marked-run")
        assert marks.marked("marked-run-2") == [stranger.pid]
        assert pid != stranger.pid
        tree.kill_marked("marked-run")
        assert marks.marked("marked-run") == []
        assert lines.living() == 1
        tree.kill_marked("marked-run-2")
        lines.all_dead()


def test_nobody_is_below_a_pid_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert tree.children_of(process.pid) == []
    assert tree.descendants_of(process.pid) == []


def test_who_dies_with_its_parent_dies_with_it(lines: Lifelines) -> None:
    child = "import os\nfrom mcp_queue.system import tree\ntree.die_with_parent(os.getppid())\n"
    helper = Helper(f"start({child + CONNECT!r})\ngo()\nos._exit(0)", lines)
    helper.ready()
    lines.take(1)
    assert lines.living() == 1
    helper.go()
    lines.all_dead()


def test_who_lost_its_parent_before_leaves_at_once() -> None:
    code = (
        "import os\nfrom mcp_queue.system import tree\n"
        "tree.die_with_parent(os.getppid() + 1)\nprint('still here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b""
