"""Sound outdoors: ISO 9613-2, its paths, its air and its ground, checked against ISO/TR 17534-3."""
