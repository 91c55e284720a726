"""Find the column that tells things apart, and the texts in it that are no ids."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from data.guess.catalogue import split_words
from data.guess.lines import Line
from data.guess.naming import Context, find_column
from data.texts import text_values
from geo.model import Layer

# What a server computes from the shapes.
OF_SHAPES = re.compile(r"(?:st|shape|geom|geometry)[_. ]*(?:area|length|leng|len)", re.IGNORECASE)
# Numbers of rows, and what a server computes from the shapes: neither says anything of a lot.
ROW_NUMBERS = ("objectid", "fid", "oid", "gid", "id", "ogcfid", "index", "rowid")
# An id differs in so large a share of the rows that have one.
_DIFFERENT_MIN = 0.5
_ALL_DIFFERENT = 0.98


def guess_id(rows: pd.DataFrame, layer: Layer, name: str, context: Context) -> Line:
    """Guess the column of ids: by name, else by content, else a number of rows.

    Args:
        rows: The rows, without shapes.
        layer: The layer.
        name: Its column of ids.
        context: What is known besides.

    Returns:
        The line; an open one if no column tells the rows apart.
    """
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
        if _counts_rows(rows[column]) or OF_SHAPES.match(column) or is_measure:
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


def tell_streets(lines: Sequence[Line]) -> list[Line]:
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
