"""Count and look into a file that a portal gave, and keep keys out of it."""

import csv
from pathlib import Path

import geopandas as gpd

from data.message_text import count_noun
from data.notes import RoutineNote
from data.protocols.file import read_file
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


def count_csv_rows(path: Path, encoding: str, delimiter: str) -> int:
    """Return how many rows a CSV has below its titles; a text may have several lines.

    Args:
        path: The file.
        encoding: Text encoding; what is not of this encoding does not matter here.
        delimiter: Character between the columns.

    Returns:
        The number of rows.
    """
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        return sum(1 for row in rows if row) - 1


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
