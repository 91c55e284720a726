"""Turn a source's texts into a layer's values: types, units, ratings and what means missing.

Pure: columns in, columns out. What cannot be read is missing, and a note says how many.
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
_COUNTED = ("float", "integer")
_SAMPLES = 3
_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
# A number, its marks, stages and blanks; then what follows it, from the first other character on.
_NUMBER_AND_UNIT = re.compile(
    rf"^(?P<number>[-+\u2212]?[\d.,][\d.,/\-{BLANKS}]*?)[{BLANKS}]*(?P<unit>[^\d.,/\-{BLANKS}].*)?$"
)
_STAGE_MARK = re.compile(r"[/-]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]00:00:00.*)?")


def text_values(values: pd.Series) -> pd.Series:
    """Return values as text without blanks around it; whole numbers have no decimals."""
    if pd.api.types.is_float_dtype(values.dtype):
        whole = values.notna() & (values % 1 == 0) & (values.abs() < 2**53)
        words = values.astype("object").where(values.notna())
        words[whole] = values[whole].astype("int64").astype("str")
    else:
        words = values.astype("object").where(values.notna())
    words = words.map(str, na_action="ignore").astype("str").str.strip()
    return words.where(words != "")


def read_column(
    rows: pd.DataFrame, name: str, origin: ColumnOrigin, column: Column, source: Source, file: str
) -> tuple[pd.Series, list[str]]:
    """Return one column of the layer, in its type and unit, and what was done to read it.

    Raises ContractError for codes that the map does not list, and for more unreadable values than
    the source expects.
    """
    decimal = source.fetch.decimal
    if origin.column is None:
        held = str(origin.value) if column.type == "string" else origin.value
        constant = pd.Series([held] * len(rows), index=rows.index)
        values, _, _ = _convert_type(constant, origin, column, decimal)
        return values.astype(DTYPES[column.type]), []
    words = text_values(rows[origin.column])
    raw, notes = _apply_code_names(rows, words, name, origin, source, file)
    values, unread, said = _convert_type(raw, origin, column, decimal)
    what = "date" if column.type == "date" else "number"
    notes += _note_unreadable(words, unread, what, (origin.column, name), source, file)
    notes += said
    if column.type in _COUNTED:
        values, said = _drop_unbelievable(values, rows, origin, column)
        notes += said
    if origin.times is not None:
        written = text_values(rows[origin.times])
        times = parse_numbers(rows[origin.times], decimal)
        unread = written.notna() & times.isna()
        notes += _note_unreadable(written, unread, "number", (origin.times, name), source, file)
        if count := int((values.notna() & written.isna()).sum()):
            without = f"{count_noun(count, 'value')} without {origin.times}"
            notes.append(f"{origin.column}: {without}, taken as missing")
        values *= times
    if column.type == "integer":
        values = values.round()
    return values.astype(DTYPES[column.type]), notes


def fill_down(
    rows: pd.DataFrame, columns: Mapping[str, ColumnOrigin]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with each declared column's blanks filled by the value above them."""
    notes: list[str] = []
    names = [origin.column for origin in columns.values() if origin.fill_down]
    for name in dict.fromkeys(name for name in names if name is not None):
        blank = text_values(rows[name]).isna()
        whole = rows[name].where(~blank).ffill()
        rows = rows.assign(**{name: whole})
        if count := int((blank & whole.notna()).sum()):
            notes.append(f"{name}: {count_noun(count, 'blank')} filled from above")
    return rows, notes


def _apply_code_names(
    rows: pd.DataFrame, words: pd.Series, name: str, origin: ColumnOrigin, source: Source, file: str
) -> tuple[pd.Series, list[str]]:
    """Return what a column holds, less its markers, with codes and names as they are declared."""
    known = words.notna() & ~words.isin(_missing_markers(origin))
    if origin.map:
        unlisted = known & ~words.isin(list(origin.map))
        if unlisted.any() and origin.other is None:
            raise ContractError(
                f"reading {file} for source {source.id!r}",
                f"column {origin.column!r} holds {count_texts(words[unlisted])}, which the map of "
                f"{name} does not list",
                f"add them to columns.{name}.map in sources/{source.id}.toml, or give other",
            )
        return words.map(origin.map).where(~unlisted, origin.other).where(known), []
    if origin.rename:
        other = known & words.isin(list(origin.rename))
        spelt = count_noun(int(other.sum()), "name") + " in another spelling"
        notes = [f"{origin.column}: {spelt}"] if other.any() else []
        return words.map(origin.rename).where(other, words).where(known), notes
    return rows[origin.column].where(known), []


def _note_unreadable(
    words: pd.Series,
    unread: pd.Series,
    what: str,
    names: tuple[str, str],
    source: Source,
    file: str,
) -> list[str]:
    """Return a note on the rows that could not be read; refuse more of them than is expected.

    `names` are the source's name of the column and the layer's.
    """
    count = int(unread.sum())
    if count > source.expect.unreadable_share_max * len(words):
        raise ContractError(
            f"reading {file} for source {source.id!r}",
            f"column {names[0]!r}: {count} of {len(words)} rows are not a {what}, such as "
            f"{join_choices(sorted(set(words[unread]))[:_SAMPLES])}",
            f"list what means missing in columns.{names[1]}.missing, or raise "
            f"expect.unreadable_share_max in sources/{source.id}.toml",
        )
    return (
        [f"{names[0]}: {count_noun(count, f'unreadable {what}')}, taken as missing"]
        if count
        else []
    )


def _convert_type(
    raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str
) -> tuple[pd.Series, pd.Series, list[str]]:
    """Return `raw` in the column's type and unit, which rows could not be read, and notes."""
    if column.type in _COUNTED:
        return _convert_quantity(raw, origin, column, decimal)
    words = text_values(raw)
    if column.type == "string":
        return words, pd.Series(False, index=raw.index), []
    if column.type == "boolean":
        truths = words.str.lower().map(_TRUTHS)
        return truths, words.notna() & truths.isna(), []
    if pd.api.types.is_datetime64_any_dtype(raw.dtype):
        dates = raw.dt.tz_localize(None)
    else:
        dates = pd.to_datetime(
            words, format=origin.date_format or "ISO8601", errors="coerce", utc=True
        ).dt.tz_localize(None)
    return dates, words.notna() & dates.isna(), []


def _convert_quantity(
    raw: pd.Series, origin: ColumnOrigin, column: Column, decimal: str
) -> tuple[pd.Series, pd.Series, list[str]]:
    """Return numbers in the column's unit, which rows hold none that can be read, and notes."""
    notes: list[str] = []
    plain = raw
    factors: float | pd.Series = 1.0
    if origin.unit and column.unit:
        factors = convert_units(1.0, origin.unit, column.unit)
    if origin.units and column.unit:
        parts = _write_decimals(plain, decimal).str.extract(_NUMBER_AND_UNIT)
        plain = parts["number"]
        # One blank or two between the words of a unit are the same unit.
        units = parts["unit"].fillna("").str.split().str.join(" ")
        each = {said: convert_units(1.0, unit, column.unit) for said, unit in origin.units.items()}
        factors = units.map(each).astype("float64")
    if origin.rating:
        plain, said = _restore_ratings(_write_decimals(plain, decimal), origin)
        notes += said
        values = _pick_stage(plain, origin.rating, decimal)
    else:
        values = parse_numbers(plain, decimal)
    unread = raw.notna() & (values * factors).isna()
    # A marker such as -9999 is meant as a number: -9999.0 is the same marker.
    values = values.where(~values.isin([float(m) for m in origin.missing if _is_number(m)]))
    return values * factors, unread, notes


def _restore_ratings(words: pd.Series, origin: ColumnOrigin) -> tuple[pd.Series, list[str]]:
    """Return ratings with those that a spreadsheet made dates of as they were; else unreadable.

    >>> _dates_back(pd.Series(["2020-12-16"]), From(column="", rating="max", date_was="%m/%d/%y"))
    (0    12/16/20
    dtype: str, [': 1 date read back as a rating'])
    """
    dates = words.str.fullmatch(_DATE).fillna(False).astype("bool")
    if not dates.any():
        return words, []
    if origin.date_was is None:
        return words.where(~dates), []
    days = pd.to_datetime(words[dates].str[:10], format="%Y-%m-%d", errors="coerce")
    back = words.where(~dates)
    back[dates] = days.dt.strftime(origin.date_was)
    count = int(dates.sum())
    read = "date read back as a rating" if count == 1 else "dates read back as ratings"
    return back, [f"{origin.column}: {count} {read}"]


def _pick_stage(words: pd.Series, which: str, decimal: str) -> pd.Series:
    """Return the highest or the first stage of each rating; NaN where any stage is no number.

    >>> _rated(pd.Series(["20/26.67/33.33", "12//16"]), "max", ".").tolist()
    [33.33, nan]
    """
    stages = words.reset_index(drop=True).str.split(_STAGE_MARK, regex=True).explode()
    read = parse_numbers(stages, decimal)
    by_row = read.groupby(level=0)
    best = by_row.max() if which == "max" else by_row.head(1)
    whole = read.notna().groupby(level=0).all()
    return pd.Series(best.where(whole).to_numpy(), index=words.index, dtype="float64")


def _drop_unbelievable(
    values: pd.Series, rows: pd.DataFrame, origin: ColumnOrigin, column: Column
) -> tuple[pd.Series, list[str]]:
    """Return values less those that stand for nothing or cannot be, and how many of each."""
    notes: list[str] = []
    if origin.twin is not None:
        twin = text_values(rows[origin.twin])
        hollow = (values == 0) & (twin.isna() | twin.isin(_missing_markers(origin)))
        values = values.where(~hollow)
        if count := int(hollow.sum()):
            beside = f"{count_noun(count, 'zero')} beside an empty {origin.twin}"
            notes.append(f"{origin.column}: {beside}, taken as missing")
    low = -np.inf if origin.least is None else origin.least
    high = np.inf if origin.most is None else origin.most
    beyond = (values < low) | (values > high)
    if count := int(beyond.sum()):
        bounds = [f"below {low:g}"] * (origin.least is not None)
        bounds += [f"above {high:g}"] * (origin.most is not None)
        said = f"{count_noun(count, 'value')} {' or '.join(bounds)} {column.unit or ''}".rstrip()
        notes.append(f"{origin.column}: {said}, taken as missing")
    return values.where(~beyond), notes


def _write_decimals(values: pd.Series, decimal: str) -> pd.Series:
    """Return values as text with the source's decimal mark, which numbers do not have."""
    words = text_values(values)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return words.str.replace(".", decimal, regex=False)
    return words


def _missing_markers(origin: ColumnOrigin) -> set[str]:
    return {str(marker).strip() for marker in origin.missing}


def _is_number(marker: str | float) -> bool:
    try:
        float(marker)
    except ValueError:
        return False
    return True
