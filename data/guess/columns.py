"""Guess which of a dataset's columns becomes which column of a layer, by name and by content."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from data.guess.catalogue import read_words, split_words
from data.guess.dates import find_date_format
from data.guess.ids import OF_SHAPES, guess_id, tell_streets
from data.guess.lines import Line
from data.guess.naming import Context, find_column
from data.guess.numbers import (
    UnitGuess,
    guess_area_unit,
    guess_bounds,
    guess_markers,
    guess_unit,
    is_number_column,
)
from data.select.lots import KINDS_OF_LAND
from data.texts import text_values
from geo.model import Column, Layer

_ADDRESS = re.compile(r"\d+[A-Za-z]?(?:-\d+)?\s+\S*[A-Za-z]{2}")
# A column of codes has at most so many different ones.
_CODES_MOST = 1500
_VALUES_MOST = 40
# Of these, a 0 is no measurement.
_NO_ZEROS = frozenset(
    {"building_area_m2", "storeys", "recorded_area_m2", "height_m", "voltage_kv", "diameter_in"}
)
_FOLDS = {"building_area_m2": "sum", "recorded_area_m2": "max", "storeys": "max"}


def guess_columns(rows: pd.DataFrame, layer: Layer, context: Context) -> tuple[Line, ...]:
    """Guess how each column of a layer is derived.

    Args:
        rows: The rows, without shapes.
        layer: The layer.
        context: What is known besides.

    Returns:
        A line for each column that can be derived, in the layer's order, and an open line for one
        that cannot but is required, or whose unit nothing says.
    """
    lines: list[Line] = []
    used: set[str] = set()
    for name, column in layer.columns.items():
        line = _guess_column(rows, layer, name, column, context, used)
        if line is None:
            continue
        lines.append(line)
        if isinstance(line.value, Mapping) and "column" in line.value and not line.is_open:
            used.add(str(line.value["column"]))
    if layer.id == "parcels" and "polygon_kind" not in {line.key for line in lines}:
        lines += tell_streets(lines)
    return tuple(lines)


def _guess_column(
    rows: pd.DataFrame,
    layer: Layer,
    name: str,
    column: Column,
    context: Context,
    used: set[str],
) -> Line | None:
    if name in context.constants:
        value, why = context.constants[name]
        return Line(name, {"value": value}, why)
    # Names of people are not needed, and whether a column means yes or no cannot be told.
    if (name == "owner" and layer.id == "parcels") or column.type == "boolean":
        return None
    has_words = bool(column.values)
    free = rows[[one for one in rows.columns if str(one) not in used or has_words]]
    line: Line | None
    if name in {layer.key, "record_id"}:
        line = guess_id(free, layer, name, context)
    elif has_words:
        line = _guess_words(free, layer, name, column)
    elif column.type in {"float", "integer"}:
        line = _guess_number(free, layer, name, column, context)
    elif column.type == "date":
        line = _guess_date(free, layer, name)
    else:
        line = _guess_text(free, layer, name, column)
    return line


# ---------------------------------------------------------------------------------------------
# Texts


def _guess_text(rows: pd.DataFrame, layer: Layer, name: str, column: Column) -> Line | None:
    found = find_column(rows, layer.id, name, _TEXT_CHECKS.get(name, _is_any))
    why = "by its name"
    if found is None and name == "address" and layer.id == "parcels":
        addresses = [one for one in map(str, rows.columns) if _has_addresses(rows[one])]
        found, why = (addresses[0] if addresses else None), "most values look like addresses"
    if found is None:
        if not column.required:
            return None
        return Line(name, {"column": ""}, f"{column.title}: no column is named so; required", True)
    count = text_values(rows[found]).dropna().nunique()
    if name in {"use_code", "zone_code", "city"}:
        why += f"; {count:,} different"
    return Line(name, {"column": found}, why)


def _is_any(values: pd.Series) -> bool:
    del values
    return True


def _are_codes(values: pd.Series) -> bool:
    known = text_values(values).dropna()
    return known.nunique() <= min(_CODES_MOST, max(50, len(known) // 2))


def _are_words(values: pd.Series) -> bool:
    known = text_values(values).dropna()
    return bool(known.str.contains(r"[A-Za-z]{3}").mean() >= 0.5)


def _has_addresses(values: pd.Series) -> bool:
    known = text_values(values).dropna()
    return bool(len(known)) and bool(known.str.match(_ADDRESS).mean() >= 0.6)


def _are_streets(values: pd.Series) -> bool:
    known = text_values(values).dropna()
    return bool(known.str.contains(r"[A-Za-z]{2}").mean() >= 0.5)


def _name_land(values: pd.Series) -> bool:
    """Return whether values tell streets from lots, in the words that the selection knows."""
    return bool(set(text_values(values).dropna().str.upper()) & set(KINDS_OF_LAND))


_TEXT_CHECKS: dict[str, Callable[[pd.Series], bool]] = {
    "use_code": _are_codes,
    "zone_code": _are_codes,
    "use_title": _are_words,
    "city": _are_words,
    "address": _are_streets,
    "polygon_kind": _name_land,
}


def _guess_words(rows: pd.DataFrame, layer: Layer, name: str, column: Column) -> Line | None:
    """Return the column whose values are words of the layer, each translated if it is known."""

    def are_few(values: pd.Series) -> bool:
        return text_values(values).dropna().nunique() <= _VALUES_MOST

    found = find_column(rows, layer.id, name, are_few)
    words = tuple(column.values)
    allowed = ", ".join(words)
    if found is None:
        return _guess_no_words(name, words) if column.required else None
    texts = sorted(text_values(rows[found]).dropna().unique())
    synonyms = read_words().values.get(name, {})  # noqa: PD011
    known = {
        text: word for text in texts if (word := _translate(text, words, synonyms)) is not None
    }
    rest = [text for text in texts if text not in known]
    origin: dict[str, Any] = {"column": found, "map": known}
    if not rest:
        return Line(name, origin, f"each value by its words; may be {allowed}")
    listed = ", ".join(map(repr, rest[:8])) + (f" and {len(rest) - 8} more" if rest[8:] else "")
    if other := next((one for one in ("unknown", "other") if one in words), None):
        return Line(name, origin | {"other": other}, f"not recognized: {listed}; may be {allowed}")
    origin["map"] = known | dict.fromkeys(rest, "")
    why = f"what does each value mean? Not recognized: {listed}; fill in one of {allowed}"
    return Line(name, origin, why, True) if column.required or known else None


def _guess_no_words(name: str, words: tuple[str, ...]) -> Line:
    """Return the line of a required column of words that no column gives."""
    allowed = ", ".join(words)
    if "unknown" in words:
        return Line(name, {"value": "unknown"}, f"no column says it; may be {allowed}")
    return Line(name, {"value": ""}, f"no column says it; fill in one of {allowed}", is_open=True)


def _translate(
    text: str, words: tuple[str, ...], synonyms: Mapping[str, tuple[str, ...]]
) -> str | None:
    if text in words:
        return text
    said = split_words(text)
    for word, written in synonyms.items():
        plain = [split_words(one) for one in written]
        if word in words and (said in plain or said == split_words(word)):
            return word
    return None


# ---------------------------------------------------------------------------------------------
# Numbers and dates


def _guess_number(
    rows: pd.DataFrame, layer: Layer, name: str, column: Column, context: Context
) -> Line | None:
    def can_be_meant(values: pd.Series) -> bool:
        return not OF_SHAPES.match(str(values.name)) and is_number_column(values)

    found = find_column(rows, layer.id, name, can_be_meant)
    if found is None:
        return None
    values = rows[found]
    unit = _unit_of(found, values, name, column, context)
    if unit is None:
        why = f"{column.title}: found, but not in which unit. Write the unit and delete the mark #"
        return Line(name, {"column": found, "unit": ""}, why, True)
    missing, marked = guess_markers(values, zero_is_missing=name in _NO_ZEROS)
    if missing is None:
        return Line(name, {"column": found}, f"{column.title}: {marked}", True)
    bounds, beyond = guess_bounds(values, unit.unit, column)
    origin: dict[str, Any] = {"column": found}
    # A count has no other unit than the layer's.
    origin |= {"unit": unit.unit} if unit.unit and unit.why else {}
    origin |= {"missing": missing} if missing else {}
    origin |= {key: int(bound) if bound == int(bound) else bound for key, bound in bounds.items()}
    if context.many and name in _FOLDS:
        origin["fold"] = _FOLDS[name]
    why = "; ".join(one for one in ("by its name", unit.why, marked, beyond) if one)
    return Line(name, origin, why)


def _unit_of(
    found: str, values: pd.Series, name: str, column: Column, context: Context
) -> UnitGuess | None:
    drawn_m2 = context.drawn_m2
    if name == "recorded_area_m2" and drawn_m2 is not None:
        if (by_size := guess_area_unit(values, drawn_m2)) is not None:
            return by_size
        return guess_unit(found, values, column)
    unit = guess_unit(found, values, column)
    if unit is None and name == "building_area_m2":
        return UnitGuess("ft2", "no unit is named; US assessors use square feet")
    return unit


def _guess_date(rows: pd.DataFrame, layer: Layer, name: str) -> Line | None:
    found = find_column(rows, layer.id, name, lambda values: find_date_format(values) is not None)
    if found is None:
        return None
    date_format = find_date_format(rows[found])
    origin = {"column": found} | ({"date_format": date_format} if date_format else {})
    return Line(name, origin, "by its name")
