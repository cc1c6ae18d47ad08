"""The operating system: processes, their identity, death and descendants. Knows nothing of jobs."""
