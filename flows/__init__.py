"""Thin flows over the other packages: refresh, publish, nightly, and the command line."""
