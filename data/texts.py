"""Texts of a source's values."""

import pandas as pd

from data.message_text import count_noun
from geo.printable import CONTROLS

# A longer text is cut: it would fill the cards and lists of every reader.
LETTERS_MOST = 1_000


def text_values(values: pd.Series) -> pd.Series:
    """Return values as text without blanks around it; whole numbers have no decimals.

    >>> text_values(pd.Series([7.0, 2.5])).tolist()
    ['7', '2.5']
    """
    if pd.api.types.is_float_dtype(values.dtype):
        is_whole = values.notna() & (values % 1 == 0) & (values.abs() < 2**53)
        whole = values.where(is_whole, 0).astype("int64").astype("str")
        texts = values.astype("float64").astype("str").where(~is_whole, whole)
    elif isinstance(values.dtype, pd.StringDtype) or pd.api.types.is_integer_dtype(values.dtype):
        texts = values.astype("str")
    else:
        texts = values.astype("object").where(values.notna()).map(str, na_action="ignore")
    texts = texts.astype("str").str.strip()
    return texts.where(texts != "")


def clean_texts(texts: pd.Series) -> tuple[pd.Series, list[str]]:
    r"""Return texts without control characters and of at most LETTERS_MOST characters, and notes.

    >>> clean_texts(pd.Series(["a\nb", "c"]))[0].tolist()
    ['a b', 'c']
    """
    notes = []
    is_odd = texts.str.contains(CONTROLS, regex=True).fillna(False).astype(bool)
    if count := int(is_odd.sum()):
        blank = texts[is_odd].str.replace(CONTROLS, " ", regex=True).str.strip()
        texts = texts.where(~is_odd, blank.where(blank != ""))
        notes.append(f"{count_noun(count, 'text')} with control characters, read as blanks")
    is_long = (texts.str.len() > LETTERS_MOST).fillna(False).astype(bool)
    if count := int(is_long.sum()):
        texts = texts.where(~is_long, texts.str.slice(0, LETTERS_MOST - 1) + "…")
        notes.append(f"{count_noun(count, 'text')} cut after {LETTERS_MOST:,} characters")
    return texts, notes
