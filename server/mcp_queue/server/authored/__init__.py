"""What authors wrote, called and read within a request."""
