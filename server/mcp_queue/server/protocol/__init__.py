"""Parts of the protocol that all features share: eras, limits, pages and the form of results."""
