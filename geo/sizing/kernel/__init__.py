"""The compiled search: where n machines stand, and how loud they are, one site after another."""
