"""Convert a source's texts to a layer's values: types, codes, bounds and missing markers.

The functions are pure: they take columns and return columns. Values that cannot be read become
missing, and a note counts them.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from data.message_text import count_noun, count_texts, join_choices
from data.notes import RoutineNote
from data.personal import is_personal
from data.protocols.file import parse_numbers
from data.quantities import append_units, read_quantities
from data.source import ColumnOrigin, Source
from data.texts import clean_texts, text_values
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
# Date formats that count from the beginning of 1970, and their units.
EPOCHS: dict[str | None, Literal["ms", "s"]] = {"epoch_ms": "ms", "epoch_s": "s"}
# Numbers that can hardly be of this format, but are dates of 1973 to 2286 in the other one.
OTHER_EPOCH: dict[str | None, tuple[float, float]] = {
    "epoch_ms": (1e8, 1e10),
    "epoch_s": (1e11, 1e13),
}
# How else such values may be read.
_OTHER_WAYS = {
    "number": "; units in the text, ratings, fractions and ranges are read if they are declared",
    "date": "; another date_format may be declared",
}
EARLIEST_DATE = pd.Timestamp("1900-01-01")


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
    if origin.unit_column is not None:
        raw, more_notes = _append_unit_column(raw, rows, origin, decimal)
        texts, notes = raw, notes + more_notes
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
            filled_in = f"{name}: {count_noun(count, 'blank')} filled from above"
            notes.append(RoutineNote(filled_in))
    return rows, notes


def _apply_code_names(
    rows: pd.DataFrame, texts: pd.Series, name: str, origin: ColumnOrigin, source: Source, file: str
) -> tuple[pd.Series, list[str]]:
    """Return a column with its codes and names translated as declared, and markers removed."""
    is_known = texts.notna() & ~texts.isin(_missing_markers(origin))
    if origin.map:
        is_unlisted = is_known & ~texts.isin(list(origin.map))
        if is_unlisted.any() and origin.other is None:
            key = _find_key(name, source, file)
            held = count_texts(texts[is_unlisted])
            if is_personal(origin.column):
                held = f"{count_noun(texts[is_unlisted].nunique(), 'value')}"
            raise ContractError(
                f"reading {file} for source {source.id!r}",
                f"column {origin.column!r} holds {held}, which the map of {name} does not list",
                f"add them to {key}.map in sources/{source.id}.toml, or set {key}.other",
            )
        return texts.map(origin.map).where(~is_unlisted, origin.other).where(is_known), []
    if origin.rename:
        is_renamed = is_known & texts.isin(list(origin.rename))
        renamed = count_noun(int(is_renamed.sum()), "name") + " in another spelling"
        notes: list[str] = []
        if is_renamed.any():
            notes = [RoutineNote(f"{origin.column}: {renamed}")]
        return texts.map(origin.rename).where(is_renamed, texts).where(is_known), notes
    return rows[origin.column].where(is_known), []


def _append_unit_column(
    raw: pd.Series, rows: pd.DataFrame, origin: ColumnOrigin, decimal: str
) -> tuple[pd.Series, list[str]]:
    """Return numbers with the unit of each behind it, and a note on those without a unit."""
    units = text_values(rows[origin.unit_column])
    units = units.where(~units.isin(_missing_markers(origin)))
    notes: list[str] = []
    if count := int((raw.notna() & units.isna()).sum()):
        without = f"{count_noun(count, 'value')} without {origin.unit_column}"
        notes.append(f"{origin.column}: {without}, taken as missing")
    return append_units(raw, units, decimal), notes


def _find_key(name: str, source: Source, file: str) -> str:
    """Return the declaration's key for a column of the layer, which a joined table may fill."""
    is_joined = source.join is not None and file == source.join.path and name in source.join.columns
    return f"{'join.' if is_joined else ''}columns.{name}"


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
        key = _find_key(names[1], source, file)
        samples = join_choices(sorted(set(texts[is_unreadable]))[:_MAX_SAMPLES])
        such_as = "" if is_personal(names[0]) else f", such as {samples}"
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"column {names[0]!r}: {count} of {len(texts)} rows are not a {kind}{such_as}",
            f"list what means missing in {key}.missing, or raise "
            f"expect.unreadable_share_max in sources/{source.id}.toml{_OTHER_WAYS.get(kind, '')}",
        )
    if count == 0:
        return []
    return [f"{names[0]}: {count_noun(count, f'unreadable {kind}')}, taken as missing"]


def _convert_type(
    raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str
) -> tuple[pd.Series, pd.Series, list[str]]:
    """Return `raw` in the column's type and unit, which rows are unreadable, and notes."""
    if column.type in _NUMBER_TYPES:
        return read_quantities(raw, origin, column, decimal)
    texts = text_values(raw)
    if column.type == "string":
        texts, notes = clean_texts(texts)
        notes = [f"{origin.column}: {note}" for note in notes]
        return texts, pd.Series(False, index=raw.index), notes
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
    if date_format in EPOCHS:
        numbers = pd.to_numeric(texts, errors="coerce")
        # Seconds read as milliseconds would be dates of January 1970, and milliseconds read as
        # seconds dates in the far future.
        is_other = numbers.abs().between(*OTHER_EPOCH[date_format])
        unit = EPOCHS[date_format]
        dates = pd.to_datetime(numbers.where(~is_other), unit=unit, errors="coerce", utc=True)
    else:
        dates = pd.to_datetime(texts, format=date_format or "ISO8601", errors="coerce", utc=True)
    return dates.dt.tz_localize(None)


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
            notes.append(RoutineNote(f"{origin.column}: {zeros}, taken as missing"))
    lowest = -np.inf if origin.least is None else origin.least
    highest = np.inf if origin.most is None else origin.most
    is_beyond = (values < lowest) | (values > highest)
    if count := int(is_beyond.sum()):
        bounds = [f"below {lowest:g}"] * (origin.least is not None)
        bounds += [f"above {highest:g}"] * (origin.most is not None)
        beyond = f"{count_noun(count, 'value')} {' or '.join(bounds)} {column.unit or ''}".rstrip()
        notes.append(f"{origin.column}: {beyond}, taken as missing")
    return values.where(~is_beyond), notes


def _missing_markers(origin: ColumnOrigin) -> set[str]:
    return {str(marker).strip() for marker in origin.missing}
