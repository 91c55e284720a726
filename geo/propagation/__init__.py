"""Outdoor sound according to ISO 9613-2: paths, air, ground; checked against ISO/TR 17534-3."""
