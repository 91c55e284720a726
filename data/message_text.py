"""Counts and choices in words, for notes and messages."""

from collections.abc import Sequence

import pandas as pd

_SHOWN = 8


def count_noun(count: int, what: str) -> str:
    """Return a count and its noun.

    >>> many(1, "row"), many(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def join_choices(values: Sequence[str]) -> str:
    """Return texts as a choice.

    >>> either(["a", "b"])
    "'a' or 'b'"
    """
    return " or ".join(repr(value) for value in values)


def count_texts(values: pd.Series) -> str:
    """Return the different texts of a column with how many rows hold each."""
    found = values.value_counts().sort_index()
    shown = ", ".join(f"{value!r} in {count} rows" for value, count in found.head(_SHOWN).items())
    return shown + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
