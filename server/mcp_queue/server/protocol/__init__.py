"""What the protocol asks of every answer, and where its eras differ."""
