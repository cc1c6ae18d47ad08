"""A server behind a tap: ``python tap.py LOG COMMAND…``; the log has a line of JSON for each event.

``send`` is what the host wrote, ``answer`` what the server wrote, ``eof`` and ``signal`` how the
host ended it, ``end`` the server's exit status; ``at`` is the wall clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Any

LOG, *COMMAND = sys.argv[1:]
log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(**event: Any) -> None:
    os.write(log, json.dumps({"at": time.time(), **event}).encode() + b"\n")


def main() -> int:
    pipe = subprocess.PIPE
    # A session of its own: what the host does to the group of the tap, the tap passes on.
    server = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, start_new_session=True)
    assert server.stdin
    assert server.stdout
    note(pid=server.pid)

    def pass_on(number: int, _: FrameType | None) -> None:
        note(signal=signal.Signals(number).name)
        server.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    threading.Thread(target=feed, args=(server,), daemon=True).start()
    for line in server.stdout:
        note(answer=json.loads(line))
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    status = server.wait()
    note(end=status)
    if status == -signal.SIGKILL:
        os.kill(os.getpid(), signal.SIGKILL)
    return status


def feed(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin
    try:
        for line in sys.stdin.buffer:
            note(send=json.loads(line))
            server.stdin.write(line)
            server.stdin.flush()
        note(eof=True)
        server.stdin.close()
    except BrokenPipeError:  # it is gone; its status says how
        pass


if __name__ == "__main__":
    sys.exit(main())
