"""The parts of the pages: templates, scripts and style, which maps.sheet reads."""
