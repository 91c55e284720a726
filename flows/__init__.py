"""Thin flows over the other rooms: refresh, publish, nightly, and the command line."""
