"""Guess the unit of a column of numbers, and which of its values are no measurements."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from data.guess.catalogue import split_words
from data.protocols.file import parse_numbers
from data.texts import text_values
from geo.contract.units import UNITS, unit_factor
from geo.model import Column

# How names of columns end or begin where they say the unit.
_UNIT_WORDS = {
    "sqft": "ft2", "sf": "ft2", "ft2": "ft2", "sq ft": "ft2", "square feet": "ft2",
    "acres": "acre", "acre": "acre", "acreage": "acre", "ac": "acre",
    "sqm": "m2", "m2": "m2", "sq m": "m2",
    "ft": "ft", "feet": "ft", "meters": "m", "metres": "m", "m": "m",
    "inches": "in", "inch": "in", "in": "in", "mm": "mm",
    "kw": "kW", "mw": "MW", "kva": "kVA", "mva": "MVA", "kv": "kV", "volts": "V",
    "psi": "psi", "psig": "psi", "kpa": "kPa", "bar": "bar", "mbar": "mbar",
    "amps": "A", "a": "A", "percent": "%", "pct": "%", "mmscfd": "MMscfd", "scfh": "scfh",
}  # fmt: skip
_NEED_NO_UNIT = {"count", "share"}
# How far the median of recorded to drawn areas may be from a unit's factor.
_AREA_TOLERANCE = 0.15
# So many different texts may mean "not known".
_MARKERS_MOST = 8
# A column is of numbers if so large a share of its texts are.
_NUMBERS_MIN = 0.5


class UnitGuess(NamedTuple):
    """A unit, and why."""

    unit: str
    why: str


def is_number_column(values: pd.Series) -> bool:
    """Return whether a column holds numbers, apart from a few words for missing values."""
    texts = text_values(values).dropna()
    return bool(len(texts)) and parse_numbers(texts).notna().mean() >= _NUMBERS_MIN


def guess_unit(name: str, values: pd.Series, column: Column) -> UnitGuess | None:
    """Guess the unit of a column of numbers from its name, or from how large the numbers are.

    Args:
        name: The source's name of the column.
        values: Its values.
        column: The layer's column.

    Returns:
        The unit, which measures the same quantity as the layer's; None if nothing says it.

    >>> guess_unit("HEIGHT_FT", pd.Series([20]), Column(title="H", type="float", unit="m")).unit
    'ft'
    """
    if column.unit is None or column.unit in _NEED_NO_UNIT:
        return UnitGuess(column.unit or "", "")
    quantity = UNITS[column.unit][0]
    words = split_words(name)
    for word, unit in _UNIT_WORDS.items():
        in_words = f" {word.replace(' ', '')} " in f" {words} " or f" {word} " in f" {words} "
        # "LandAreaSqft" is three words, and "LANDSQFT" is one.
        is_end = len(word) > 2 and words.replace(" ", "").endswith(word.replace(" ", ""))
        if UNITS[unit][0] == quantity and (in_words or is_end):
            return UnitGuess(unit, f"the name says {unit}")
    numbers = parse_numbers(values).dropna()
    numbers = numbers[numbers > 0]
    if numbers.empty:
        return None
    typical, largest = float(numbers.median()), float(numbers.max())
    if quantity == "voltage":
        unit = "V" if typical > 1000 else "kV"
        return UnitGuess(unit, f"the usual value is {typical:g}, which can only be {unit}")
    if column.unit == "in":
        unit = "mm" if largest > 60 else "in"
        return UnitGuess(unit, f"values up to {largest:g} are a pipe's diameter in {unit}")
    return None


def guess_area_unit(recorded: pd.Series, drawn_m2: pd.Series) -> UnitGuess | None:
    """Guess the unit of lot areas on record by comparing them with the areas as drawn.

    Args:
        recorded: The areas on record.
        drawn_m2: The areas of the shapes in m2, on the same rows.

    Returns:
        The unit whose factor the middle ratio comes near; None if it comes near none.

    >>> guess_area_unit(pd.Series([1076.0, 2150.0]), pd.Series([100.0, 200.0])).unit
    'ft2'
    """
    numbers = parse_numbers(recorded)
    ratios = (numbers / drawn_m2)[(numbers > 0) & (drawn_m2 > 1)].dropna()
    if ratios.empty:
        return None
    middle = float(ratios.median())
    for unit in ("ft2", "m2", "acre"):
        factor = unit_factor("m2", unit)
        if abs(middle / factor - 1) <= _AREA_TOLERANCE:
            return UnitGuess(unit, f"the middle lot is {middle / factor:.0%} of its drawn size")
    return None


def guess_markers(values: pd.Series, *, zero_is_missing: bool) -> tuple[list[str] | None, str]:
    """Return the texts of a column of numbers that mean "not known", and why.

    Args:
        values: The values.
        zero_is_missing: Whether a zero is no measurement, as for the stories of a building.

    Returns:
        The texts, and why; None instead of the texts if too many different texts are no numbers.
    """
    texts = text_values(values)
    numbers = parse_numbers(texts)
    unreadable = texts[texts.notna() & numbers.isna()]
    different = sorted(unreadable.unique())
    if len(different) > _MARKERS_MOST:
        return None, f"{len(different)} different texts are not numbers"
    why = []
    if different:
        why.append(f"rows that are not numbers: {len(unreadable):,}")
    zeros = sorted(texts[numbers == 0].unique())
    if zero_is_missing and zeros:
        different += zeros
        why.append(f"rows with 0, taken as not known: {int((numbers == 0).sum()):,}")
    return different, "; ".join(why)


def guess_bounds(values: pd.Series, unit: str, column: Column) -> tuple[dict[str, float], str]:
    """Return the bounds to declare for values that the layer does not allow, and why.

    Args:
        values: The values.
        unit: Their unit.
        column: The layer's column.

    Returns:
        `least` or `most` in the layer's unit, if a value lies beyond; and the number of such rows.
    """
    factor = unit_factor(unit, column.unit) if unit and column.unit else 1.0
    numbers = parse_numbers(values) * factor
    bounds: dict[str, float] = {}
    is_beyond = np.zeros(len(numbers), dtype=bool)
    for key, bound, is_out in (
        ("least", column.minimum, numbers < (column.minimum or 0)),
        ("most", column.maximum, numbers > (column.maximum or 0)),
    ):
        if bound is not None and bool(is_out.any()):
            bounds[key] = bound
            is_beyond |= is_out.to_numpy()
    count = int(is_beyond.sum())
    why = f"rows with impossible values, taken as not known: {count:,}" if bounds else ""
    return bounds, why
