"""Read columns that a market's layer may lack."""

import numpy as np
import pandas as pd


def text_column(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column of texts; None where a text or the whole column is missing."""
    if column not in frame.columns:
        return np.full(len(frame), None, dtype=object)
    values = frame[column].astype(object)
    return values.where(values.notna(), None).to_numpy(dtype=object)


def number_column(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column of numbers; NaN where a number or the whole column is missing."""
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[column]).to_numpy(dtype=float, na_value=np.nan)
