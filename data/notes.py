"""Which of a source's notes are warnings: all that are not marked as routine.

A library's own warnings are grouped, and quote no value.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_NUMBER = re.compile(r"\d+(?:[.,-]\d+)*")
# A shorter number may be a line, a code or a year, but hardly a telephone number.
_LONG_NUMBER = re.compile(r"\d[\d.,-]{5,}\d")


class RoutineNote(str):
    """A note on what is expected: what the declaration asks for, or what no layer keeps.

    Every other note is a warning: something was lost, repaired or read in another way than written.
    """

    __slots__ = ()


def list_warnings(notes: Iterable[str]) -> tuple[str, ...]:
    """Return the notes that are warnings, in order.

    >>> list_warnings(["2 shapes repaired", RoutineNote("3 rows left out: another KIND")])
    ('2 shapes repaired',)
    """
    return tuple(str(note) for note in notes if not isinstance(note, RoutineNote))


def group_messages(messages: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """Return a library's messages, those that differ only in values as one with their number.

    Args:
        messages: The messages.
        names: What they may quote: names of files and columns. Another quoted text or long number
            may be a value, such as a person's name, and is left out.

    Returns:
        The messages, in alphabetical order.

    >>> group_messages(["Row 1: 'Ann' in 'size'", "Row 2: 'Bob' in 'size'"], ["size"])
    ("Row ...: ... in 'size' (2 times)",)
    """

    def hide(match: re.Match[str]) -> str:
        return match[0] if match[0][1:-1] in names else "..."

    plain = [_LONG_NUMBER.sub("...", _QUOTED.sub(hide, message)) for message in messages]
    counts = Counter(_NUMBER.sub("...", text) for text in plain)
    examples = {_NUMBER.sub("...", text): text for text in plain}
    return tuple(
        f"{group} ({count} times)" if count > 1 else examples[group]
        for group, count in sorted(counts.items())
    )
