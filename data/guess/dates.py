"""Find the format in which a column writes dates."""

import pandas as pd

from data.texts import text_values

# American dates come first, because most of these tables are American.
_FORMATS = ("%m/%d/%Y", "%m/%d/%y", "%Y-%m", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S")
_EPOCHS = (("epoch_ms", 1e11, 1e13), ("epoch_s", 1e8, 1e10))


def find_date_format(values: pd.Series) -> str | None:
    """Return the format of a column of dates; "" for dates as ISO 8601 writes them, None for none.

    >>> find_date_format(pd.Series(["7/5/2005", None])), find_date_format(pd.Series(["2005-07-05"]))
    ('%m/%d/%Y', '')
    """
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return ""
    texts = text_values(values).dropna()
    return None if texts.empty else _find_format(texts)


def _find_format(texts: pd.Series) -> str | None:
    numbers = pd.to_numeric(texts, errors="coerce")
    for name, least, most in _EPOCHS:
        if numbers.abs().between(least, most).all():
            return name
    # Other numbers are no dates, except 20050705.
    if numbers.notna().all() and not texts.str.fullmatch(r"(?:19|20)\d{6}").all():
        return None
    if pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).notna().all():
        return ""
    for written in _FORMATS:
        if pd.to_datetime(texts, format=written, errors="coerce").notna().all():
            return written
    return None
