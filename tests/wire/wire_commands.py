"""Jobs that do what the test says, line by line."""

from __future__ import annotations

import json
import socket

from mcp_queue import Job, command


@command(use_queue=True)
def steered(port: int, name: str = "job", *, job: Job) -> str:
    """Report what the test says, and end when it lets go."""
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rw") as orders:
        orders.write(name + "\n")
        orders.flush()
        for order in orders:
            said = json.loads(order)
            job.set_progress(said["progress"], said["description"])
    return f"{name} ended"


@command(use_queue=True)
def counted(steps: int, pace: float, *, job: Job) -> int:
    """Count at a pace, in seconds a step, and say how far."""
    import threading

    pause = threading.Event()
    for step in range(steps):
        pause.wait(pace)
        job.set_progress(100 * (step + 1) / steps, f"step {step + 1}")
    return steps
