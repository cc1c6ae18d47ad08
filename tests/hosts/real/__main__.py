"""Real hosts, offline, each with a scripted model: ``python -m tests.hosts.real [HOST …]``.

The pinned npm packages are installed once; then everything runs in a network namespace of its own,
which has loopback alone. A table says what was found; the exit status is 1 if a promise was broken.
``--record`` writes what the models were shown into ``tests/hosts/real/shown``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import claude_code  # noqa: E402
import one_shot  # noqa: E402
import over_http  # noqa: E402
from place import Findings, Place, Shown  # noqa: E402

from support import foreign, npm  # noqa: E402

PROGRAMS = HERE / "programs"
Look = Callable[[Place], Findings]

HOSTS: dict[str, tuple[str, str, dict[str, Look]]] = {
    "claude-code": (
        "@anthropic-ai/claude-code",
        "@anthropic-ai/claude-code-*/claude",
        {
            "wake": claude_code.wake,
            "stop": claude_code.stop,
            "answer": claude_code.answer,
            "resume": claude_code.resume,
        },
    ),
    "claude-p": (
        "@anthropic-ai/claude-code",
        "@anthropic-ai/claude-code-*/claude",
        {"wait": partial(one_shot.handle_and_wait, prepare=one_shot.claude)},
    ),
    "claude-http": (
        "@anthropic-ai/claude-code",
        "@anthropic-ai/claude-code-*/claude",
        {"wait": over_http.wait, "wake": over_http.wake},
    ),
    "codex": (
        "@openai/codex",
        "@openai/codex-*/vendor/*/bin/codex",
        {"wait": partial(one_shot.handle_and_wait, prepare=one_shot.codex)},
    ),
    "opencode": (
        "opencode-ai",
        "opencode-*/bin/opencode",
        {"wait": partial(one_shot.handle_and_wait, prepare=one_shot.opencode)},
    ),
    "gemini": (
        "@google/gemini-cli",
        "@google/gemini-cli/bundle/gemini.js",
        {"wait": partial(one_shot.handle_and_wait, prepare=one_shot.gemini)},
    ),
}
"""By the host's name: its package, where the program is, and what is looked at."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts.real", description=__doc__)
    parser.add_argument("hosts", nargs="*", metavar="HOST", help=f"of {', '.join(HOSTS)}")
    parser.add_argument("--record", action="store_true", help="write what the models were shown")
    parser.add_argument("--offline", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = arguments.hosts or list(HOSTS)
    for name in set(chosen) - set(HOSTS):
        parser.error(f"no host {name!r}; there are {', '.join(HOSTS)}")
    if not arguments.offline:
        with foreign.locked():
            npm.install(PROGRAMS)
        return go_offline()
    return sum(look_at(name, arguments.record) for name in chosen) and 1


def go_offline() -> int:
    """Run this command again where loopback is the only network."""
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    again = [sys.executable, "-m", "tests.hosts.real", "--offline", *sys.argv[1:]]
    return subprocess.call(["unshare", "--net", *own_user, "sh", "-c", script, "sh", *again])


def look_at(name: str, record: bool) -> int:
    """Print what is found of one host; how many looks failed."""
    package, pattern, looks = HOSTS[name]
    version = npm.package(package, PROGRAMS)
    found = sorted(npm.folder(PROGRAMS).glob(f"node_modules/{pattern}"))
    if version is None or not found:
        print(f"{name}: there is no program for this machine in {package}")
        return 1
    failed = 0
    shown: Shown = {}
    for look, measure in looks.items():
        with tempfile.TemporaryDirectory(prefix="mcp-queue-", ignore_cleanup_errors=True) as folder:
            try:
                for what, figure in measure(Place(Path(folder), found[0], shown)):
                    print(f"{name:12} {what:60} {figure}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{name:12} {look} FAILED: {error}", flush=True)
    if record:
        file = HERE / "shown" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
