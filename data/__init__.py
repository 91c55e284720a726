"""Pull, conform, store, select: the only room that knows the network and the database."""
