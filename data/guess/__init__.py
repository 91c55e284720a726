"""Guess how a dataset that nobody has declared yet is to be declared; a person reviews it."""
