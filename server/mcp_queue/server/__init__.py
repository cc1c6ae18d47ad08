"""Process 1: the MCP server. Only the server and the command line import it."""
