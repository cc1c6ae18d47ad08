"""The data that all processes share: job records, the registry, run folders, events and bells."""
