"""Count and look into a file that a portal gave, and keep keys out of it."""

import csv
from pathlib import Path

import geopandas as gpd

from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.file import CELL_LENGTH, read_file
from data.protocols.refusal import first_line, refuse_file
from data.secrets import list_keys, mask_in_file
from data.source import Source


def mask_keys(path: Path, source: Source) -> tuple[str, ...]:
    """Write asterisks over the source's keys where a file repeats them; return what was done."""
    fetch = source.fetch
    urls = [fetch.url or "", *fetch.fallback_urls]
    keys = list_keys(urls, fetch.headers.values(), source.id)
    if not keys or not (count := mask_in_file(path, keys)):
        return ()
    return (RoutineNote(f"{count_noun(count, 'key')} in the answer replaced by asterisks"),)


def count_csv_rows(path: Path, source: Source) -> int:
    """Return how many rows a CSV has below its titles; a text may have several lines.

    Raises:
        SourceChanged: It is not a CSV of the declared encoding.
    """
    csv.field_size_limit(CELL_LENGTH)
    try:
        with path.open(
            encoding=source.fetch.encoding or "utf-8", errors="replace", newline=""
        ) as file:
            return sum(1 for row in csv.reader(file, delimiter=source.fetch.delimiter) if row) - 1
    except (csv.Error, LookupError, TypeError) as error:
        wrong = f"is not a readable CSV ({first_line(error)})"
        raise refuse_file(path.name, source.id, wrong) from error


def read_first_rows(path: Path, source: Source, rows: int | None) -> gpd.GeoDataFrame:
    """Return the first rows of a file with all of its columns.

    Args:
        path: The file.
        source: The source.
        rows: How many rows; None for all.

    Returns:
        The rows, in the declared CRS.

    Raises:
        SourceChanged: The file cannot be read whole.
        ContractError: It is in another CRS than the declared one.
    """
    every = source.model_copy(update={"columns": {}, "where": {}, "drop": {}, "join": None})
    frame, _ = read_file(path, every)
    return gpd.GeoDataFrame(frame.iloc[:rows])
