"""The folder of a run: which file is where. Workers use it."""

from __future__ import annotations

import os


class RunFolder:
    """``runs/<run_id>/``: the input, the output and the events of a run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.run_id = os.path.basename(path)
        self.job = os.path.join(path, "job.json")
        self.stdout = os.path.join(path, "stdout.log")
        self.stderr = os.path.join(path, "stderr.log")
        self.events = os.path.join(path, "events.jsonl")
        self.control = os.path.join(path, "control.jsonl")
        self.bell = os.path.join(path, "bell")
        self.result = os.path.join(path, "result.json")
        self.artifacts = os.path.join(path, "artifacts")
