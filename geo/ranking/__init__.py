"""Opinions and words: score, call and order of the sites, and what a reader is told of them."""
