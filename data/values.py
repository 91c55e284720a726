"""Convert a source's texts to a layer's values: types, units, ratings and missing markers.

The functions are pure: they take columns and return columns. Values that cannot be read become
missing, and a note counts them.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from data.message_text import count_noun, count_texts, join_choices
from data.protocols.file import BLANKS, parse_numbers
from data.source import ColumnOrigin, Source
from geo.contract.units import convert_units
from geo.errors import ContractError
from geo.model import Column

DTYPES: dict[str, Any] = {
    "string": "str",
    "float": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "date": "datetime64[us]",
}
_NUMBER_TYPES = ("float", "integer")
_MAX_SAMPLES = 3
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
# A number with its marks, stages and blanks; then its unit, which starts at any other character.
_NUMBER_AND_UNIT = re.compile(
    rf"^(?P<number>[-+\u2212]?[\d.,][\d.,/\-{BLANKS}]*?)[{BLANKS}]*(?P<unit>[^\d.,/\-{BLANKS}].*)?$"
)
_STAGE_MARK = re.compile(r"[/-]")
# The date format of milliseconds since 1970.
EPOCH_MS = "epoch_ms"
EARLIEST_DATE = pd.Timestamp("1900-01-01")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]00:00:00.*)?")


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


def read_column(
    rows: pd.DataFrame, name: str, origin: ColumnOrigin, column: Column, source: Source, file: str
) -> tuple[pd.Series, list[str]]:
    """Return one column of the layer, in its type and unit, and notes on how it was read.

    Args:
        rows: The source's rows.
        name: The layer's name for the column.
        origin: How the column is derived from the source's columns.
        column: The layer's type and unit.
        source: The source, for its decimal mark and its expectations.
        file: The source's file name, for messages.

    Returns:
        The values, one per row, and notes on what was renamed, unreadable or taken as missing.

    Raises:
        ContractError: A code is not in the map, or more values are unreadable than expected.
    """
    decimal = source.fetch.decimal
    if origin.column is None:
        value = str(origin.value) if column.type == "string" else origin.value
        constant = pd.Series([value] * len(rows), index=rows.index)
        values, _, _ = _convert_type(constant, origin, column, decimal)
        return values.astype(DTYPES[column.type]), []
    texts = text_values(rows[origin.column])
    raw, notes = _apply_code_names(rows, texts, name, origin, source, file)
    values, is_unreadable, more_notes = _convert_type(raw, origin, column, decimal)
    kind = "date" if column.type == "date" else "number"
    notes += _note_unreadable(texts, is_unreadable, kind, (origin.column, name), source, file)
    notes += more_notes
    if column.type in _NUMBER_TYPES:
        values, more_notes = _drop_unbelievable(values, rows, origin, column)
        notes += more_notes
    if origin.times is not None:
        texts = text_values(rows[origin.times])
        times = parse_numbers(rows[origin.times], decimal)
        is_unreadable = texts.notna() & times.isna()
        names = (origin.times, name)
        notes += _note_unreadable(texts, is_unreadable, "number", names, source, file)
        if count := int((values.notna() & texts.isna()).sum()):
            without = f"{count_noun(count, 'value')} without {origin.times}"
            notes.append(f"{origin.column}: {without}, taken as missing")
        values *= times
    if column.type == "integer":
        values = values.round()
    return values.astype(DTYPES[column.type]), notes


def fill_down(
    rows: pd.DataFrame, columns: Mapping[str, ColumnOrigin]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with each declared column's blanks filled with the value above them."""
    notes: list[str] = []
    names = [origin.column for origin in columns.values() if origin.fill_down]
    for name in dict.fromkeys(name for name in names if name is not None):
        is_blank = text_values(rows[name]).isna()
        filled = rows[name].where(~is_blank).ffill()
        rows = rows.assign(**{name: filled})
        if count := int((is_blank & filled.notna()).sum()):
            notes.append(f"{name}: {count_noun(count, 'blank')} filled from above")
    return rows, notes


def _apply_code_names(
    rows: pd.DataFrame, texts: pd.Series, name: str, origin: ColumnOrigin, source: Source, file: str
) -> tuple[pd.Series, list[str]]:
    """Return a column with its codes and names translated as declared, and markers removed."""
    is_known = texts.notna() & ~texts.isin(_missing_markers(origin))
    if origin.map:
        is_unlisted = is_known & ~texts.isin(list(origin.map))
        if is_unlisted.any() and origin.other is None:
            raise ContractError(
                f"reading {file} for source {source.id!r}",
                f"column {origin.column!r} holds {count_texts(texts[is_unlisted])}, which the map "
                f"of {name} does not list",
                f"add them to columns.{name}.map in sources/{source.id}.toml, or set "
                f"columns.{name}.other",
            )
        return texts.map(origin.map).where(~is_unlisted, origin.other).where(is_known), []
    if origin.rename:
        is_renamed = is_known & texts.isin(list(origin.rename))
        renamed = count_noun(int(is_renamed.sum()), "name") + " in another spelling"
        notes = [f"{origin.column}: {renamed}"] if is_renamed.any() else []
        return texts.map(origin.rename).where(is_renamed, texts).where(is_known), notes
    return rows[origin.column].where(is_known), []


def _note_unreadable(
    texts: pd.Series,
    is_unreadable: pd.Series,
    kind: str,
    names: tuple[str, str],
    source: Source,
    file: str,
) -> list[str]:
    """Return a note on the unreadable rows. Raises ContractError for more rows than expected.

    `names` are the source's name of the column and the layer's.
    """
    count = int(is_unreadable.sum())
    if count > source.expect.unreadable_share_max * len(texts):
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"column {names[0]!r}: {count} of {len(texts)} rows are not a {kind}, such as "
            f"{join_choices(sorted(set(texts[is_unreadable]))[:_MAX_SAMPLES])}",
            f"list what means missing in columns.{names[1]}.missing, or raise "
            f"expect.unreadable_share_max in sources/{source.id}.toml",
        )
    if count == 0:
        return []
    return [f"{names[0]}: {count_noun(count, f'unreadable {kind}')}, taken as missing"]


def _convert_type(
    raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str
) -> tuple[pd.Series, pd.Series, list[str]]:
    """Return `raw` in the column's type and unit, which rows are unreadable, and notes."""
    if column.type in _NUMBER_TYPES:
        return _convert_quantity(raw, origin, column, decimal)
    texts = text_values(raw)
    if column.type == "string":
        return texts, pd.Series(False, index=raw.index), []
    if column.type == "boolean":
        booleans = texts.str.lower().map(_BOOLEANS)
        return booleans, texts.notna() & booleans.isna(), []
    if pd.api.types.is_datetime64_any_dtype(raw.dtype):
        dates = raw.dt.tz_localize(None)
    else:
        dates = _parse_dates(texts, origin.date_format)
    unreadable = texts.notna() & dates.isna()
    # Spreadsheets and servers write 1899-12-30 for no date.
    is_none = dates < EARLIEST_DATE
    count = count_noun(int(is_none.sum()), "date")
    notes = [f"{count} before 1900 taken as missing"] if is_none.any() else []
    return dates.where(~is_none), unreadable, notes


def _parse_dates(texts: pd.Series, date_format: str | None) -> pd.Series:
    if date_format == EPOCH_MS:
        numbers = pd.to_numeric(texts, errors="coerce")
        dates = pd.to_datetime(numbers, unit="ms", errors="coerce", utc=True)
    else:
        dates = pd.to_datetime(texts, format=date_format or "ISO8601", errors="coerce", utc=True)
    return dates.dt.tz_localize(None)


def _convert_quantity(
    raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str
) -> tuple[pd.Series, pd.Series, list[str]]:
    """Return numbers in the column's unit, which rows are unreadable, and notes."""
    notes: list[str] = []
    numbers = raw
    factors: float | pd.Series = 1.0
    if origin.unit and column.unit:
        factors = convert_units(1.0, origin.unit, column.unit)
    if origin.units and column.unit:
        parts = _write_decimals(numbers, decimal).str.extract(_NUMBER_AND_UNIT)
        numbers = parts["number"]
        # Several blanks between the words of a unit count as one.
        suffixes = parts["unit"].fillna("").str.split().str.join(" ")
        factor_of = {
            suffix: convert_units(1.0, unit, column.unit) for suffix, unit in origin.units.items()
        }
        factors = suffixes.map(factor_of).astype("float64")
    if origin.rating:
        ratings, more_notes = _restore_ratings(_write_decimals(numbers, decimal), origin)
        notes += more_notes
        values = _pick_stage(ratings, origin.rating, decimal)
    else:
        values = parse_numbers(numbers, decimal)
    is_unreadable = raw.notna() & (values * factors).isna()
    # A marker such as -9999 is compared as a number, so that -9999.0 is the same marker.
    markers = [float(marker) for marker in origin.missing if _is_number(marker)]
    values = values.where(~values.isin(markers))
    return values * factors, is_unreadable, notes


def _restore_ratings(texts: pd.Series, origin: ColumnOrigin) -> tuple[pd.Series, list[str]]:
    """Restore ratings that a spreadsheet turned into dates; without `date_was` they are missing.

    >>> mva = ColumnOrigin(column="MVA", rating="max", date_was="%m/%d/%y")
    >>> ratings, notes = _restore_ratings(pd.Series(["2020-12-16"]), mva)
    >>> ratings.tolist(), notes
    (['12/16/20'], ['MVA: 1 date read back as a rating'])
    """
    is_date = texts.str.fullmatch(_DATE).fillna(False).astype("bool")
    if not is_date.any():
        return texts, []
    if origin.date_was is None:
        return texts.where(~is_date), []
    days = pd.to_datetime(texts[is_date].str[:10], format="%Y-%m-%d", errors="coerce")
    ratings = texts.where(~is_date)
    ratings[is_date] = days.dt.strftime(origin.date_was)
    count = int(is_date.sum())
    restored = "date read back as a rating" if count == 1 else "dates read back as ratings"
    return ratings, [f"{origin.column}: {count} {restored}"]


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


def _drop_unbelievable(
    values: pd.Series, rows: pd.DataFrame, origin: ColumnOrigin, column: Column
) -> tuple[pd.Series, list[str]]:
    """Remove zeros beside an empty twin and values out of bounds; return values and notes."""
    notes: list[str] = []
    if origin.twin is not None:
        twin = text_values(rows[origin.twin])
        is_filler = (values == 0) & (twin.isna() | twin.isin(_missing_markers(origin)))
        values = values.where(~is_filler)
        if count := int(is_filler.sum()):
            zeros = f"{count_noun(count, 'zero')} beside an empty {origin.twin}"
            notes.append(f"{origin.column}: {zeros}, taken as missing")
    lowest = -np.inf if origin.least is None else origin.least
    highest = np.inf if origin.most is None else origin.most
    is_beyond = (values < lowest) | (values > highest)
    if count := int(is_beyond.sum()):
        bounds = [f"below {lowest:g}"] * (origin.least is not None)
        bounds += [f"above {highest:g}"] * (origin.most is not None)
        beyond = f"{count_noun(count, 'value')} {' or '.join(bounds)} {column.unit or ''}".rstrip()
        notes.append(f"{origin.column}: {beyond}, taken as missing")
    return values.where(~is_beyond), notes


def _write_decimals(values: pd.Series, decimal: str) -> pd.Series:
    """Return values as text; numbers get the source's decimal mark."""
    texts = text_values(values)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return texts.str.replace(".", decimal, regex=False)
    return texts


def _missing_markers(origin: ColumnOrigin) -> set[str]:
    return {str(marker).strip() for marker in origin.missing}


def _is_number(marker: str | float) -> bool:
    try:
        float(marker)
    except ValueError:
        return False
    return True
