"""Bytes between the server and its clients: standard input and output, HTTP, a Unix socket."""
