"""Read quantities from texts: units, ratings of several stages, fractions and ranges.

The functions are pure: they take columns and return columns. What cannot be read is missing.
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.notes import RoutineNote
from data.protocols.file import BLANKS, parse_numbers
from data.source import ColumnOrigin
from data.texts import text_values
from geo.contract.units import convert_units
from geo.model import Column

# A number with its marks, stages and blanks; then its unit, which starts at any other character.
_NUMBER_AND_UNIT = re.compile(
    rf"^(?P<number>[-+\u2212]?[\d.,][\d.,/\-{BLANKS}]*?)[{BLANKS}]*(?P<unit>[^\d.,/\-{BLANKS}].*)?$"
)
_STAGE_MARK = re.compile(r"[/-]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]00:00:00.*)?")
# 3/4, 1-1/4 or 1 1/4. Rulers divide an inch into halves, quarters and so on, to sixty-fourths.
_FRACTION = re.compile(
    rf"^(?:(?P<whole>\d+)[{BLANKS}-]+)?(?P<part>\d+)/(?P<of>0?2|0?4|0?8|16|32|64)$"
)
_FRACTION_SIGNS = {
    "\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4",
    "\u215b": "1/8", "\u215c": "3/8", "\u215d": "5/8", "\u215e": "7/8",
}  # fmt: skip
_DASHES = r"\-\u2012-\u2015"
_NUMBER = rf"[-+\u2212]?\.?\d(?:[\d.,{BLANKS}]*\d)?"
_UNIT = rf"[^\d\s.,<>+{_DASHES}](?:[^\d<>+{_DASHES}]*[^\d\s.<>+{_DASHES}])?"
_RANGE = re.compile(
    rf"^(?:(?:between|from)\s+)?(?P<low>{_NUMBER})\s*(?P<low_unit>(?!(?:to|and)\b){_UNIT})?"
    rf"(?:\s*(?:[{_DASHES}]|\bto\b|\band\b|\u2026)\s*"
    rf"(?P<high>{_NUMBER})\s*(?P<high_unit>{_UNIT})?)?$",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    r"^(?:[>\u2265]=?|(?:over|above|more than|greater than|at least|min\.|minimum)(?=[\s\d]))\s*"
    r"|\s*(?:\+|\b(?:or|and) (?:more|over|above|greater)\b)(?=[^\d+]*$)",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"^(?:[<\u2264]=?|(?:under|below|less than|up to|at most|max\.|maximum)(?=[\s\d]))\s*"
    r"|\s*\b(?:or|and) (?:less|under|below)\b(?=[^\d]*$)",
    re.IGNORECASE,
)


class Quantities(NamedTuple):
    """A column of numbers in the layer's unit.

    Attributes:
        numbers: The numbers; NaN where one is missing or unreadable.
        is_unreadable: Where a text is not what the declaration says.
        notes: What was done.
    """

    numbers: pd.Series
    is_unreadable: pd.Series
    notes: list[str]


def read_quantities(
    raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str
) -> Quantities:
    """Read a column of numbers as its declaration says, and convert them to the layer's unit.

    Args:
        raw: Numbers or texts.
        origin: The declaration: its unit, units, rating, fraction or range.
        column: The layer's column, for its unit.
        decimal: Decimal mark of numbers in text.

    Returns:
        The numbers, which of them are unreadable, and notes.

    >>> diameter = Column(title="Diameter", type="float", unit="in")
    >>> origin = ColumnOrigin(column="SIZE", fraction=True, units={'"': "in", "mm": "mm"})
    >>> read_quantities(pd.Series(['1-1/4"', "127 mm"]), origin, diameter, ".").numbers.tolist()
    [1.25, 5.0]
    """
    if origin.range is not None:
        return _read_range(raw, origin, column, decimal)
    notes: list[str] = []
    numbers = raw
    factors: float | pd.Series = _factor_of_unit(origin, column)
    if origin.fraction:
        numbers = _spell_fractions(_write_decimals(numbers, decimal))
    if origin.units and column.unit:
        parts = _write_decimals(numbers, decimal).str.extract(_NUMBER_AND_UNIT)
        numbers = parts["number"]
        factors = _factor_of_suffix(parts["unit"], origin, column)
    if origin.rating or origin.fraction:
        texts, notes = _restore_dates(_write_decimals(numbers, decimal), origin)
        if origin.rating:
            values = _pick_stage(texts, origin.rating, decimal)
        else:
            values = _parse_fractions(texts, decimal)
    else:
        values = parse_numbers(numbers, decimal)
    is_unreadable = raw.notna() & (values * factors).isna()
    return Quantities(_drop_markers(values, origin) * factors, is_unreadable, notes)


def append_units(raw: pd.Series, units: pd.Series, decimal: str) -> pd.Series:
    """Return numbers as texts with the unit text of each behind it; missing where either is.

    Args:
        raw: Numbers or texts.
        units: The unit texts.
        decimal: Decimal mark of numbers in text.

    Returns:
        The texts, as `read_quantities` reads them.

    >>> append_units(pd.Series([0.5, 90.0]), pd.Series(["A", None]), ".").tolist()
    ['0.5 A', nan]
    """
    return _write_decimals(raw, decimal) + " " + text_values(units)


def _factor_of_unit(origin: ColumnOrigin, column: Column) -> float:
    if origin.unit and column.unit:
        return convert_units(1.0, origin.unit, column.unit)
    return 1.0


def _factor_of_suffix(suffixes: pd.Series, origin: ColumnOrigin, column: Column) -> pd.Series:
    """Return the factor for the unit text behind each number; NaN for one that is not declared."""
    factor_of = {
        suffix: convert_units(1.0, unit, str(column.unit)) for suffix, unit in origin.units.items()
    }
    # Several blanks between the words of a unit count as one.
    return suffixes.fillna("").str.split().str.join(" ").map(factor_of).astype("float64")


def _drop_markers(values: pd.Series, origin: ColumnOrigin) -> pd.Series:
    """Remove numbers that mean "not known", so that -9999.0 is the same marker as -9999."""
    return values.where(~values.isin([float(one) for one in origin.missing if _is_number(one)]))


def _read_range(raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str) -> Quantities:
    """Read one end of each range; an end that is open is missing, but not unreadable.

    >>> kw = Column(title="Headroom", type="float", unit="kW")
    >>> texts = pd.Series(["250 - 500 kW", "1.5-2 MW", "> 2000 kW", "300 kW"])
    >>> def read(end):
    ...     units = {"kW": "kW", "MW": "MW"}
    ...     origin = ColumnOrigin(column="CAPACITY", range=end, units=units)
    ...     return _read_range(texts, origin, kw, ".").numbers.tolist()
    >>> read("low")
    [250.0, 1500.0, 2000.0, 300.0]
    >>> read("high")
    [500.0, 2000.0, nan, 300.0]
    """
    texts = _write_decimals(raw, decimal)
    is_marked = []
    for mark in (_AT_LEAST, _AT_MOST):
        is_marked.append(texts.str.contains(mark).fillna(False).astype(bool))
        texts = texts.str.replace(mark, "", n=1, regex=True)
    at_least, at_most = is_marked
    parts = texts.str.strip().str.extract(_RANGE)
    is_single = parts["high"].isna()
    low_suffix = parts["low_unit"].fillna(parts["high_unit"])
    high_suffix = parts["high_unit"].where(~is_single, parts["low_unit"])
    low = parse_numbers(parts["low"], decimal)
    high = parse_numbers(parts["high"], decimal).where(~is_single, low)
    if origin.units and column.unit:
        low_factor = _factor_of_suffix(low_suffix, origin, column)
        high_factor = _factor_of_suffix(high_suffix, origin, column)
    else:
        factor = pd.Series(_factor_of_unit(origin, column), index=raw.index)
        low_factor, high_factor = factor.where(low_suffix.isna()), factor.where(high_suffix.isna())
    is_open = at_least | at_most
    is_readable = low * low_factor <= high * high_factor
    is_readable &= ~is_open | (is_single & ~(at_least & at_most))
    low, high = _drop_markers(low, origin) * low_factor, high * high_factor
    end = low.where(~at_most) if origin.range == "low" else high.where(~at_least)
    values = end.where(is_readable & low.notna())
    return Quantities(values, raw.notna() & ~is_readable, [])


def _spell_fractions(texts: pd.Series) -> pd.Series:
    """Write the signs for fractions with digits.

    >>> _spell_fractions(pd.Series(["1\u00bc in", "\u00be in"])).tolist()
    ['1 1/4 in', '3/4 in']
    """
    texts = texts.str.replace("\u2044", "/")
    for sign, digits in _FRACTION_SIGNS.items():
        texts = texts.str.replace(rf"(?<=\d){sign}", f" {digits}", regex=True)
        texts = texts.str.replace(sign, digits)
    return texts


def _parse_fractions(texts: pd.Series, decimal: str) -> pd.Series:
    """Return numbers that may be fractions of a ruler.

    >>> _parse_fractions(pd.Series(["3/4", "1-1/4", "6", "0.5", "4/3", "1/3"]), ".").tolist()
    [0.75, 1.25, 6.0, 0.5, nan, nan]
    """
    parts = texts.str.extract(_FRACTION).astype("float64")
    share = (parts["part"] / parts["of"]).where(parts["part"] < parts["of"])
    return (parts["whole"].fillna(0.0) + share).fillna(parse_numbers(texts, decimal))


def _restore_dates(texts: pd.Series, origin: ColumnOrigin) -> tuple[pd.Series, list[str]]:
    """Restore texts that a spreadsheet turned into dates; without `date_was` they are missing.

    >>> mva = ColumnOrigin(column="MVA", rating="max", date_was="%m/%d/%y")
    >>> ratings, notes = _restore_dates(pd.Series(["2020-12-16"]), mva)
    >>> ratings.tolist(), notes
    (['12/16/20'], ['MVA: 1 date read back as a rating'])
    """
    is_date = texts.str.fullmatch(_DATE).fillna(False).astype("bool")
    if not is_date.any():
        return texts, []
    if origin.date_was is None:
        return texts.where(~is_date), []
    days = pd.to_datetime(texts[is_date].str[:10], format="%Y-%m-%d", errors="coerce")
    restored = texts.where(~is_date)
    restored[is_date] = days.dt.strftime(origin.date_was)
    count, noun = int(is_date.sum()), "rating" if origin.rating else "fraction"
    said = f"date read back as a {noun}" if count == 1 else f"dates read back as {noun}s"
    return restored, [RoutineNote(f"{origin.column}: {count} {said}")]


def _pick_stage(texts: pd.Series, stage: str, decimal: str) -> pd.Series:
    """Return the highest ("max") or the first stage of each rating; NaN if any is unreadable.

    >>> _pick_stage(pd.Series(["20/26.67/33.33", "12//16"]), "max", ".").tolist()
    [33.33, nan]
    """
    stages = texts.reset_index(drop=True).str.split(_STAGE_MARK, regex=True).explode()
    numbers = parse_numbers(stages, decimal)
    by_row = numbers.groupby(level=0)
    picked = by_row.max() if stage == "max" else by_row.head(1)
    is_complete = numbers.notna().groupby(level=0).all()
    return pd.Series(picked.where(is_complete).to_numpy(), index=texts.index, dtype="float64")


def _write_decimals(values: pd.Series, decimal: str) -> pd.Series:
    """Return values as text; numbers get the source's decimal mark."""
    texts = text_values(values)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return texts.str.replace(".", decimal, regex=False)
    return texts


def _is_number(marker: str | float) -> bool:
    try:
        return bool(np.isfinite(float(marker)))
    except ValueError:
        return False
