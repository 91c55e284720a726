"""Read a sheet of an Excel workbook, with every value as text."""

import datetime as dt
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.refusal import refuse_file
from data.source import Source
from geo.errors import SourceChanged

# A column of which more cells than this share hold a formula without a value is refused.
UNCALCULATED_MOST = 0.5


def read_workbook(
    path: Path, source: Source, member: str | None, shown: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a sheet with every value as text, as `file.read_table` does, with notes.

    Dates are written like 2020-12-16, and numbers with the source's decimal mark. A column without
    a title is left out if it is empty, and otherwise named like "Unnamed: 3"; the second column
    with the same title is named "Title.1".

    Args:
        path: The file.
        source: The source that names it.
        member: The sheet; None for the only one.
        shown: The name of the file in messages.

    Returns:
        The rows, and notes.

    Raises:
        SourceChanged: The workbook cannot be read, or has several sheets and none is named.
    """
    fetch = source.fetch
    if member is None:
        _require_one_sheet(path, shown, source.id)
    try:
        with warnings.catch_warnings():
            # openpyxl warns about formatting that it does not know, which does not matter here.
            warnings.simplefilter("ignore", UserWarning)
            sheet = pd.read_excel(
                # Of a name, openpyxl demands the suffix of a workbook.
                io.BytesIO(path.read_bytes()),
                sheet_name=0 if member is None else member,
                header=fetch.header_row - 1,
                dtype=object,
                na_filter=False,
                engine="openpyxl",
            )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        wrong = f"cannot be read as a workbook: {error}"
        raise refuse_file(shown, source.id, wrong) from error
    table = sheet.map(_format_cell, decimal=fetch.decimal).astype("str")
    table.columns = pd.Index([" ".join(str(name).split()) for name in sheet.columns])
    if not table.columns.is_unique:
        title = table.columns[table.columns.duplicated()][0]
        raise refuse_file(shown, source.id, f"has two columns titled {title!r}, apart from blanks")
    is_untitled = table.columns.str.startswith("Unnamed: ")
    table = table.loc[:, ~(is_untitled & table.isna().all().to_numpy())]
    notes = _check_formulas(path, shown, source, member, table)
    is_blank = table.isna().all(axis=1)
    if is_blank.any():
        blank = f"{count_noun(int(is_blank.sum()), 'blank row')} in the sheet"
        notes.append(RoutineNote(blank))
    return table[~is_blank].reset_index(drop=True), tuple(notes)


def _require_one_sheet(path: Path, shown: str, source_id: str) -> None:
    """Raise SourceChanged if no sheet is named and there are several."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise refuse_file(shown, source_id, f"cannot be read as a workbook: {error}") from error
    sheets = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
    book.close()
    if len(sheets) > 1:
        wrong = f"has {len(sheets)} sheets: {', '.join(sheets)}"
        raise refuse_file(shown, source_id, wrong, "name one of them in fetch.member")


def _check_formulas(
    path: Path, shown: str, source: Source, member: str | None, table: pd.DataFrame
) -> list[str]:
    """Note formulas that were never calculated; refuse a column that mostly consists of them.

    A program that writes a workbook without calculating it leaves no value beside a formula.
    """
    fetch = source.fetch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        book = openpyxl.load_workbook(
            io.BytesIO(path.read_bytes()), read_only=True, data_only=False
        )
    sheet = book[member] if member is not None else book.worksheets[0]
    is_formula = np.zeros((len(table), len(table.columns)), dtype=bool)
    for nth, row in enumerate(sheet.iter_rows(min_row=fetch.header_row + 1)):
        for cell in row[: len(table.columns)]:
            if cell.data_type == "f" and nth < len(table):
                is_formula[nth, cell.column - 1] = True
    book.close()
    uncalculated = is_formula & table.isna().to_numpy()
    notes = []
    for name, column in zip(table.columns, uncalculated.T, strict=True):
        count = int(column.sum())
        if not count:
            continue
        wrong = f"{count_noun(count, 'cell')} of {name!r} hold a formula without a value"
        if count > UNCALCULATED_MOST * (table[name].notna().sum() + count):
            raise SourceChanged(
                f"reading {shown} for source {source.id!r}",
                f"{shown}: {wrong}",
                "open the workbook in a spreadsheet program and save it, so that it is calculated",
            )
        notes.append(f"{wrong}; they count as missing")
    return notes


def _format_cell(value: Any, *, decimal: str) -> str | None:
    """Return a workbook's cell as text; None for an empty one or a formula's error.

    >>> _format_cell(3.75, decimal=","), _format_cell(dt.datetime(2020, 12, 16), decimal=".")
    ('3,75', '2020-12-16')
    """
    if isinstance(value, dt.datetime):
        is_midnight = value.time() == dt.time()
        return value.date().isoformat() if is_midnight else value.isoformat(sep=" ")
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.15g}".replace(".", decimal)
    return str(value) if value is not None and str(value).strip() else None
