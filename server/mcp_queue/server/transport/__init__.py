"""Transports between the server and its clients: standard input and output, HTTP, Unix sockets."""
