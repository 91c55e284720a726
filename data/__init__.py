"""Pull, conform, store and select: the only package that uses the network and the database."""
