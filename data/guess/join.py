"""Find the columns by which two tables belong together, from the values that they share."""

import re
from typing import NamedTuple

import pandas as pd

from data.texts import text_values

# A column is a key if so large a share of its values differ.
_DIFFERENT_MIN = 0.2
# Less than this share of partners is no key.
PARTNERS_MIN = 0.5


class JoinGuess(NamedTuple):
    """Two columns that hold the same keys.

    Attributes:
        to: The column of the first table.
        key: The column of the second table.
        keys: How many rows of the first table have a key.
        partners: How many of them find a row of the second.
        unused: How many rows of the second table no row of the first finds.
        repeated: How many rows of the first table find several rows.
    """

    to: str
    key: str
    keys: int
    partners: int
    unused: int
    repeated: int

    @property
    def share(self) -> float:
        """The share of the first table's rows with a key that find a partner."""
        return self.partners / self.keys if self.keys else 0.0


def guess_join(rows: pd.DataFrame, table: pd.DataFrame) -> JoinGuess | None:
    """Return the two columns by which most rows of a table find a row of another.

    Args:
        rows: The first table, without its shapes.
        table: The second table, as text.

    Returns:
        The best pair: by the number of rows that find a partner, then the fewer partners for each,
        then equal names, then the order of the columns. None if no pair is good enough.

    >>> left, right = pd.DataFrame({"ML": ["1-2", "1-3"]}), pd.DataFrame({"LOT": ["1-3", "1-2"]})
    >>> guess_join(left, right)[:4]
    ('ML', 'LOT', 2, 2)
    """
    best: tuple[tuple[float, ...], JoinGuess] | None = None
    theirs = {str(name): text_values(table[name]).dropna() for name in table.columns}
    sets = {name: set(values) for name, values in theirs.items()}
    for to in map(str, rows.columns):
        keys = text_values(rows[to]).dropna()
        if keys.nunique() < max(2, _DIFFERENT_MIN * len(keys)):
            continue
        different = set(keys)
        for key, values in sets.items():
            if len(different & values) < PARTNERS_MIN * len(different):
                continue
            guess = _measure(to, key, keys, theirs[key])
            if guess.share < PARTNERS_MIN:
                continue
            rank = (guess.partners, len(different & values), -guess.repeated, to == key)
            if best is None or rank > best[0]:
                best = rank, guess
    return None if best is None else best[1]


def explain_no_join(rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return which columns would share their keys if these were written alike; "" if none."""
    plain_rows, plain_table = rows.apply(_write_alike), table.apply(_write_alike)
    guess = guess_join(plain_rows, plain_table)
    if guess is None:
        return ""
    here, there = (
        text_values(frame[name]).dropna().iloc[0]
        for frame, name in ((rows, guess.to), (table, guess.key))
    )
    return (
        f"{guess.to!r} (such as {here!r}) and {guess.key!r} (such as {there!r}) would share "
        f"{guess.share:.0%} of their keys if both were written alike"
    )


def _measure(to: str, key: str, keys: pd.Series, theirs: pd.Series) -> JoinGuess:
    counts = keys.map(theirs.value_counts())
    return JoinGuess(
        to=to,
        key=key,
        keys=len(keys),
        partners=int(counts.notna().sum()),
        unused=int((~theirs.isin(set(keys))).sum()),
        repeated=int((counts > 1).sum()),
    )


def _write_alike(values: pd.Series) -> pd.Series:
    """Return keys without marks, blanks, letter case and leading zeros."""
    texts = text_values(values).str.upper()
    plain = texts.str.replace(re.compile(r"[\W_]"), "", regex=True).str.lstrip("0")
    return plain.where(plain != "")
