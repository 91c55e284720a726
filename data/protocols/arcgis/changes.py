"""Find which rows of a layer changed since the last pull, and which codes have no word."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from data.connection import Connection
from data.message_text import count_texts
from data.protocols.arcgis.query import Listing, Query, list_rows
from data.protocols.arcgis.state import LastPull
from data.source import Source
from geo.errors import SourceChanged, SourceDown

# Rows edited so long before the last known edit are pulled again too: servers and their columns are
# in different time zones.
EDIT_MARGIN = dt.timedelta(days=2)
# Where more than this share of the rows changed, all are pulled.
CHANGED_SHARE_MOST = 0.3


def find_changed(
    connection: Connection,
    query: Query,
    source: Source,
    last: LastPull,
    listing: Listing,
    held: np.ndarray,
) -> np.ndarray | None:
    """Find the rows to pull on top of those of the last pull.

    Args:
        connection: The connection.
        query: What is asked of the layer.
        source: The source, for messages.
        last: What is known of the last pull.
        listing: The rows that the server says it has.
        held: The object ids of the last pull.

    Returns:
        Their object ids, ascending; None if all rows are to be pulled.

    Raises:
        SourceDown: The server does not answer.
    """
    none = np.empty(0, dtype=np.int64)
    edited = query.layer.edited
    is_unedited = bool(edited) and edited == last.edited
    if listing.ids is None:
        return none if is_unedited and listing.row_count == last.row_count else None
    changed = none if is_unedited else _list_edited(connection, query, source, last)
    if changed is None:
        return None
    new = np.setdiff1d(listing.ids, held)
    wanted = np.union1d(new, np.intersect1d(changed, listing.ids))
    return None if len(wanted) > CHANGED_SHARE_MOST * len(listing.ids) else wanted


def _list_edited(
    connection: Connection, query: Query, source: Source, last: LastPull
) -> np.ndarray | None:
    """Return the ids of the rows edited since the last pull; None if the server cannot say it."""
    if query.layer.edit_column is None:
        return None
    since = _last_edit(last) - EDIT_MARGIN
    condition = f"{query.layer.edit_column} >= TIMESTAMP '{since:%Y-%m-%d %H:%M:%S}'"
    try:
        return list_rows(connection, query, source, condition).ids
    except SourceChanged:
        return None
    except SourceDown as error:
        if error.may_be_size:
            return None
        raise


def _last_edit(last: LastPull) -> dt.datetime:
    """Return the last edit that the last pull can have seen, by the server's clock if it says."""
    try:
        return min(last.began, dt.datetime.fromtimestamp(int(last.edited) / 1000, dt.UTC))
    except (ValueError, OverflowError, OSError):
        full_on = dt.datetime.combine(last.full_on, dt.time(), dt.UTC)
        return min(last.began, full_on)


def note_codes(path: Path, query: Query) -> tuple[str, ...]:
    """Return a note for each column with codes for which the server has no word.

    Args:
        path: The file of the rows, in which known codes are words.
        query: What was asked, with the words.

    Returns:
        The notes.
    """
    notes = []
    for name, words in query.words.items():
        texts = pq.read_table(path, columns=[name]).column(name).to_pandas().dropna()
        unknown = texts[~texts.isin(list(words.values()))]
        if len(unknown):
            notes.append(f"{name}: codes without a word of the server: {count_texts(unknown)}")
    return tuple(notes)
