"""Changes of jobs, for those who follow them."""
