"""Texts of a source's values."""

import pandas as pd


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
