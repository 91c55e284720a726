"""Keep marks that steer a terminal, or change the order of letters, out of texts."""

import re

# Control characters, and those that turn the direction of writing or end a line.
CONTROLS = "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_BUT_NEWLINES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def make_printable(text: str) -> str:
    r"""Return a text with a blank for each control character, apart from the ends of lines.

    >>> make_printable("a\x1b[31mred\nb")
    'a [31mred\nb'
    """
    return _BUT_NEWLINES.sub(" ", text)
