"""What an author writes with: commands, their results, the job context, the catalog of all."""
