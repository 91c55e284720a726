"""Which of a source's notes are warnings: all that are not marked as routine."""

from collections.abc import Iterable


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
