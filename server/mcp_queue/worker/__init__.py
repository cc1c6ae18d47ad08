"""Process 3, a run: one spawned process that runs one job. Standard library only."""
