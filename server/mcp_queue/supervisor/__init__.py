"""Process 2, the supervisor: the one process per registry that runs its jobs."""
