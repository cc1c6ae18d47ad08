"""Questions to the person at the client of a request."""
