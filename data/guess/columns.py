"""Guess which of a dataset's columns becomes which column of a layer, by name and by content."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from data.guess.catalogue import fit_name, read_names, read_words, split_words
from data.guess.dates import find_date_format
from data.guess.lines import Line
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

# Numbers of rows, and what a server computes from the shapes: neither says anything of a lot.
ROW_NUMBERS = ("objectid", "fid", "oid", "gid", "id", "ogcfid", "index", "rowid")
_OF_SHAPES = re.compile(r"(?:st|shape|geom|geometry)[_. ]*(?:area|length|leng|len)", re.IGNORECASE)
_ADDRESS = re.compile(r"\d+[A-Za-z]?(?:-\d+)?\s+\S*[A-Za-z]{2}")
# An id differs in so large a share of the rows that have one.
_DIFFERENT_MIN = 0.5
_ALL_DIFFERENT = 0.98
# A column of codes has at most so many different ones.
_CODES_MOST = 1500
_VALUES_MOST = 40
# Of these, a 0 is no measurement.
_NO_ZEROS = frozenset(
    {"building_area_m2", "storeys", "recorded_area_m2", "height_m", "voltage_kv", "diameter_in"}
)
_FOLDS = {"building_area_m2": "sum", "recorded_area_m2": "max", "storeys": "max"}


@dataclass(frozen=True)
class Context:
    """What is known besides the columns.

    Attributes:
        constants: Values that are the same in every row, by column of the layer.
        drawn_m2: The areas of the shapes in m2, on the rows of the columns; None for no areas.
        key: The column that is the key of a join, and so the id; None without a join.
        partners: The keys of the second table; None without a join.
        many: Whether several rows may belong to one row of the layer, as in a joined table.
    """

    constants: Mapping[str, Any] = field(default_factory=dict)
    drawn_m2: pd.Series | None = None
    key: str | None = None
    partners: frozenset[str] | None = None
    many: bool = False


def find_column(
    rows: pd.DataFrame, layer_id: str, name: str, fits: Callable[[pd.Series], bool]
) -> str | None:
    """Return the column whose name is the most telling one for a column of a layer.

    Args:
        rows: The rows, without shapes.
        layer_id: The layer.
        name: Its column.
        fits: Whether the values of a column can be meant.

    Returns:
        The source's name of the column; None if no name tells.
    """
    for pattern in read_names()[layer_id].get(name, ()):
        for column in map(str, rows.columns):
            if fit_name(column, pattern) and not _is_empty(rows[column]) and fits(rows[column]):
                return column
    return None


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
        lines += _tell_streets(lines)
    return tuple(lines)


def _tell_streets(lines: Sequence[Line]) -> list[Line]:
    """Return the line that tells streets and rail from lots, if their ids say what they are."""
    origin: dict[str, Any] = next((one.value for one in lines if one.key == "parcel_id"), {})
    kinds = {
        text: kind
        for text in origin.get("missing", ())
        for kind, words in _LAND_WORDS.items()
        if split_words(text) in words
    }
    if not kinds:
        return []
    value = {"column": origin["column"], "map": kinds, "other": "FEE"}
    return [Line("polygon_kind", value, "the ids of streets and rail say what they are")]


# By the words of data.select.lots.KINDS_OF_LAND.
_LAND_WORDS = {
    "ROW": ("road", "street", "row", "rd", "st", "right of way", "alley", "highway"),
    "RAIL_ROW": ("rr", "rail", "railroad", "railway"),
    "WATER": ("water", "river", "pond", "lake", "hydro"),
}


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
        line = _guess_id(free, layer, name, context)
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
# Ids


def _guess_id(rows: pd.DataFrame, layer: Layer, name: str, context: Context) -> Line:
    """Return the column of ids: by name, else by content, else a number of rows."""
    found: str | None
    if context.key is not None:
        joined = "the key that it shares with the second table"
        found, why = context.key, joined if context.partners is not None else "as named"
    else:
        found, why = _find_id(rows, layer.id, name)
    if found is None:
        listed = ", ".join(map(str, rows.columns)) or "none"
        return Line(name, {"column": ""}, f"no column differs from row to row ({listed})", True)
    texts = text_values(rows[found])
    known = texts.dropna()
    why += f"; {known.nunique():,} different in {len(known):,} rows"
    origin: dict[str, Any] = {"column": found}
    missing = find_pseudo_ids(texts, context.partners) if layer.id == "parcels" else []
    if missing:
        origin["missing"] = missing
        why += "; those listed as missing seem to be no ids, such as streets drawn as parcels"
    return Line(name, origin, why)


def _find_id(rows: pd.DataFrame, layer_id: str, name: str) -> tuple[str | None, str]:
    named = find_column(rows, layer_id, name, _differs)
    if named is not None and not _counts_rows(rows[named]):
        return named, "named like an id"
    best, best_count = None, 0
    for column in map(str, rows.columns):
        known = text_values(rows[column]).dropna()
        is_measure = rows[column].dtype.kind == "f" and not (rows[column].dropna() % 1 == 0).all()
        if _counts_rows(rows[column]) or _OF_SHAPES.match(column) or is_measure:
            continue
        count = known.nunique()
        if len(known) and count >= _ALL_DIFFERENT * len(rows) and count > best_count:
            best, best_count = column, count
    if best is not None:
        return best, "no name says which column is the id, and this one differs in every row"
    numbers = [column for column in map(str, rows.columns) if _counts_rows(rows[column])]
    differing = [column for column in numbers if _differs(rows[column])]
    if differing:
        return differing[0], (
            "only a number of the row was found. It may change when the data are exported again; "
            "a new number looks like a new thing. Name a better column if there is one"
        )
    return None, ""


def find_pseudo_ids(ids: pd.Series, partners: frozenset[str] | None = None) -> list[str]:
    """Return the texts among ids that are none, such as ROAD.

    They have no digit, where nearly every other has one; or they repeat, and have no digit or are
    not known to a second table.

    >>> find_pseudo_ids(pd.Series(["1-2", "ROAD", "ROAD", "7", "7", "A"]))
    ['ROAD']
    """
    counts = ids.dropna().value_counts()
    has_digit = {str(one): any(mark.isdigit() for mark in str(one)) for one in counts.index}
    with_digit = sum(int(counts[one]) for one, has in has_digit.items() if has)
    have_digits = with_digit >= _ALL_DIFFERENT * len(ids.dropna())
    return sorted(
        one
        for one, has in has_digit.items()
        if (not has and (have_digits or counts[one] > 1))
        or (counts[one] > 1 and partners is not None and one not in partners)
    )


def is_row_number(name: str) -> bool:
    """Return whether a column is by its name a number of the row.

    >>> is_row_number("OBJECTID"), is_row_number("PARCEL_ID")
    (True, False)
    """
    return re.sub(r"[\W_]", "", name.rpartition(".")[2].lower()) in ROW_NUMBERS


def _counts_rows(values: pd.Series) -> bool:
    """Return whether a column numbers the rows: it is named so, and has nothing but digits."""
    texts = text_values(values).dropna()
    return is_row_number(str(values.name)) and bool(texts.str.fullmatch(r"\d+").all())


def _differs(values: pd.Series) -> bool:
    known = text_values(values).dropna()
    return len(known) >= _DIFFERENT_MIN * len(values) and (
        known.nunique() >= _DIFFERENT_MIN * len(known)
    )


def _is_empty(values: pd.Series) -> bool:
    return bool(text_values(values).isna().all())


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
        return not _OF_SHAPES.match(str(values.name)) and is_number_column(values)

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
