"""Where the processes meet: job records, the registry, run folders, events and bells."""
