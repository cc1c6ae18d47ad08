"""The operating system: processes, their identity, death and descendants; independent of jobs."""
