"""Format counts and choices for notes and error messages."""

from collections.abc import Sequence

import pandas as pd

_MAX_TEXTS = 8


def count_noun(count: int, noun: str) -> str:
    """Return a count and its noun, in the plural unless the count is 1.

    >>> count_noun(1, "row"), count_noun(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def join_choices(values: Sequence[str]) -> str:
    """Return texts as a choice.

    >>> join_choices(["a", "b"])
    "'a' or 'b'"
    """
    return " or ".join(repr(value) for value in values)


def count_texts(values: pd.Series) -> str:
    """Return the different texts of a column, each with the number of rows that have it.

    >>> count_texts(pd.Series(["b", "a", "b"]))
    "'a' in 1 row, 'b' in 2 rows"
    """
    counts = values.value_counts().sort_index()
    shown = counts.head(_MAX_TEXTS).items()
    listed = ", ".join(f"{text!r} in {count_noun(count, 'row')}" for text, count in shown)
    more = len(counts) - _MAX_TEXTS
    return listed + (f" and {more} more" if more > 0 else "")
