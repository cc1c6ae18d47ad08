"""The interface for authors: commands, prompts, resources, results, the job, and the catalog."""
