"""Judgments and texts: the score, call and order of the sites, and sentences for the reader."""
