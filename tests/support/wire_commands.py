"""Jobs whose progress is the test's to say, or to predict."""

from __future__ import annotations

import json
import socket
import threading

from mcp_queue import Job, command


@command(use_queue=True)
def steered(port: int, name: str = "job", *, job: Job) -> str:
    """Report, print and ask what the test says, and end when it lets go."""
    told = "ended"
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rw") as orders:
        orders.write(name + "\n")
        orders.flush()
        for order in orders:
            said = json.loads(order)
            if "ask" in said:
                answer = job.ask(said["ask"], {"name": str})
                told = f"{answer.action} {answer.content.get('name')}"
            elif "print" in said:
                print(said["print"], flush=True)
            else:
                job.set_progress(said["progress"], said["description"])
    return f"{name} {told}"


@command(use_queue=True)
def counted(name: str, steps: int, pace: float, port: int, *, job: Job) -> str:
    """Wait for the test, then count at a pace, in seconds a step, and say how far."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"here")
        line.recv(1)
    pause = threading.Event()
    for step in range(1, steps + 1):
        pause.wait(pace)
        job.set_progress(100 * step / steps, f"{name} at {step}")
    return name
