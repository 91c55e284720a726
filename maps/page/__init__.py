"""The parts of the page: templates, scripts and style, each read by maps.ranked."""
