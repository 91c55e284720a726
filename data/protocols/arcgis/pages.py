"""Ask for rows page by page, by their object ids, and in smaller pages where a server fails.

A page is the rows between two ids, never those after an offset: between two requests by offset a
server may order its rows in another way, and then it repeats some and leaves out others (Esri
BUG-000171499; Esri/arcgis-python-api#1895).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.ask import TRIES, Reply, ask, parse_object
from data.connection import Connection
from data.protocols.arcgis.layer import ServerLayer, read_crs
from data.protocols.arcgis.pbf import NotReadableError, read_table
from data.protocols.arcgis.query import (
    IDS_MOST,
    Listing,
    Query,
    among_ids,
    between_ids,
    list_ids,
    row_parameters,
)
from data.protocols.arcgis.rows import Page, read_page, refuse_page
from data.source import Source
from geo.errors import PadfinderError, SourceChanged, SourceDown

# A page that fails is asked for once more, then in two halves. After so many good pages, the pages
# double again.
PAGE_TRIES, GOOD_PAGES = 2, 8
# The first page has no more rows than this, since nobody knows how large they are. Until a page
# fails or is too large, the pages double each time.
FIRST_ROWS = 250
# A page should not have more bytes than this, so that large shapes do not fill the memory.
PAGE_BYTES = 16_000_000


_CUT_OFF = frozenset({"esriFieldTypeInteger", "esriFieldTypeBigInteger"})


@dataclass
class Pages:
    """The requests for the rows of a layer.

    Attributes:
        connection: The connection.
        query: What is asked of the layer.
        source: The source, for messages.
        keep: Keeps a page.
        check_reference: Checks the spatial reference of the first shapes.
        rows_most: How many rows to ask for at once now.
        good: How many pages came whole since the last change of that.
        is_growing: Whether no page has failed or been too large.
        reference: The spatial reference of the shapes so far, as the server writes it.
        is_binary: Whether to ask for Esri's binary format. It is given up for JSON if the server
            fails at it.
        is_checked: Whether the spatial reference was checked.
        notes: How often something was left out or replaced.
    """

    connection: Connection
    query: Query
    source: Source
    keep: Callable[[Page], None]
    check_reference: Callable[[dict[str, Any]], None]
    rows_most: int
    good: int = 0
    is_growing: bool = True
    reference: dict[str, Any] = field(default_factory=dict)
    is_binary: bool = False
    is_checked: bool = False
    notes: Counter[str] = field(default_factory=Counter)


def first_rows(layer: ServerLayer) -> int:
    """Return how many rows the first page has."""
    return min(layer.page_rows, FIRST_ROWS)


def can_be_binary(query: Query, listing: Listing) -> bool:
    """Return whether a server offers Esri's binary format, and it holds all values.

    Koop (featureserver 9.3) writes whole numbers of more than 32 bits into it cut off: in a column
    of the type Integer, 1774387062000 becomes 565568752. Its JSON is right.
    """
    layer = query.layer
    if "pbf" not in layer.formats or listing.ids is None:
        return False
    is_small = not len(listing.ids) or int(listing.ids[-1]) < 2**31
    return is_small and all(layer.types[name] not in _CUT_OFF for name in query.columns)


def pull_listed(pages: Pages, wanted: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Ask for the rows with some object ids.

    Args:
        pages: The requests.
        wanted: The object ids, ascending.
        listed: All object ids of the layer, ascending.

    Returns:
        Those of the ids that the server did not give, though it was asked for them twice.

    Raises:
        SourceDown: The server does not answer even for one row.
        SourceChanged: Its answer cannot be read even for one row, or has other rows.
    """
    # What is to be asked for, the next last, and whether it was asked for before.
    waiting = [(wanted, False)]
    absent = [wanted[:0]]
    while waiting:
        ids, is_repeat = waiting.pop()
        ids, rest = _split(ids, listed, pages.rows_most)
        if len(rest):
            waiting.append((rest, is_repeat))
        if not len(ids):
            continue
        page = _ask_page(pages, ids, listed)
        if page is None:
            waiting.append((ids, is_repeat))
            continue
        missing = np.setdiff1d(ids, page.ids)
        if len(page.ids):
            pages.keep(page)
        if not len(missing):
            continue
        if len(missing) < len(ids) or not is_repeat:
            waiting.append((missing, True))
        elif page.is_cut and len(ids) > 1:
            _halve(pages, len(ids))
            waiting.append((missing, True))
        else:
            absent.append(missing)
        if page.is_cut or missing[0] > (page.ids.max() if len(page.ids) else missing[0]):
            pages.rows_most, pages.is_growing = max(len(page.ids), len(ids) // 2, 1), False
    return np.sort(np.concatenate(absent))


def pull_unlisted(pages: Pages, after: int | None) -> None:
    """Ask for all rows from the lowest object id on, where the server does not list the ids.

    Where the rows come in the order of their ids, each page begins after the last id of the one
    before. Where they do not, a page may leave out any row, unless it has fewer rows than others:
    then ranges of ids are halved until they have fewer.

    Args:
        pages: The requests.
        after: The last object id that is there already; None if there is none.

    Raises:
        SourceDown: The server does not answer even for one row.
        SourceChanged: Its answer cannot be read, or it gives other rows.
    """
    until: int | None = None
    full = 0
    while True:
        page = _ask_range(pages, after, until)
        if page is None:
            continue
        count = len(page.ids)
        full = max(full, count)
        is_whole = count < full and not page.is_cut
        if not count:
            if page.is_cut:
                _ask_for_less(pages, after)
            elif until is None:
                return
            else:
                after, until = until, None
        elif until is None and page.is_sorted:
            pages.keep(page)
            after = int(page.ids[-1])
        elif is_whole or count == 1:
            pages.keep(page)
            after, until = until or int(page.ids[-1]), None
        else:
            until = int(page.ids[(count - 1) // 2])


def _ask_range(pages: Pages, after: int | None, until: int | None) -> Page | None:
    """Return rows after an object id, up to another; None if fewer are to be asked for."""
    column = pages.query.layer.id_column
    conditions = [] if after is None else [f"{column} > {after}"]
    conditions += [] if until is None else [f"{column} <= {until}"]
    what = "the first rows" if after is None else f"the rows after object id {after}"
    condition = " AND ".join(conditions)
    page = _ask(pages, condition, what, pages.rows_most, is_limited=True)
    if page is not None and after is not None and len(page.ids) and page.ids[0] <= after:
        wrong = f"was asked for {what} and gives the row {page.ids[0]}"
        raise refuse_page(pages.query, pages.source, wrong)
    return page


def _ask_for_less(pages: Pages, after: int | None) -> None:
    """Halve the pages after an empty one that is not the last. Raises SourceChanged."""
    if pages.rows_most == 1 or not pages.query.layer.is_paged:
        where = "" if after is None else f" after object id {after}"
        wrong = f"says that there are more rows{where}, and gives none"
        raise refuse_page(pages.query, pages.source, wrong)
    _halve(pages, pages.rows_most)


def pull_first(pages: Pages, rows: int) -> None:
    """Ask for the first rows only.

    Args:
        pages: The requests.
        rows: How many rows.

    Raises:
        SourceDown: The server does not answer even for one row.
        SourceChanged: Its answer cannot be read.
    """
    if not pages.query.layer.is_paged:
        ids = list_ids(pages.connection, pages.query, pages.source)
        if ids is not None:
            pull_listed(pages, ids[:rows], ids)
            return
    page = None
    while page is None:
        page = _ask(pages, "", "the first rows", pages.rows_most, is_limited=True)
    pages.keep(page)


def _split(ids: np.ndarray, listed: np.ndarray, rows_most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the next page, and the rest.

    A page is a range of ids if no other id lies between them; else a list of not too many.
    """
    places = np.searchsorted(listed, ids[:rows_most])
    gaps = np.flatnonzero(np.diff(places) > 1)
    run = len(places) if not len(gaps) else int(gaps[0]) + 1
    size = min(max(run, IDS_MOST), rows_most)
    return ids[:size], ids[size:]


def _ask_page(pages: Pages, ids: np.ndarray, listed: np.ndarray) -> Page | None:
    """Return the rows with these ids; None if a smaller page is to be asked for."""
    column = pages.query.layer.id_column
    low, high = int(ids[0]), int(ids[-1])
    first, last = np.searchsorted(listed, [low, high])
    is_range = last - first + 1 == len(ids)
    condition = between_ids(column, low, high) if is_range else among_ids(column, ids.tolist())
    what = f"object id {low}" if low == high else f"object ids {low} to {high}"
    page = _ask(pages, condition, f"the rows with {what}", len(ids))
    if page is None:
        return None
    others = page.ids[(page.ids < low) | (page.ids > high)]
    if not is_range:
        others = np.setdiff1d(page.ids, ids)
    if len(others):
        wrong = f"was asked for the rows with {what} and gives the row {others[0]}"
        raise refuse_page(pages.query, pages.source, wrong)
    return page


def _ask(
    pages: Pages, condition: str, what: str, rows: int, *, is_limited: bool = False
) -> Page | None:
    """Return the rows of a condition; None if fewer are to be asked for.

    Args:
        pages: The requests.
        condition: Which rows, in the server's SQL.
        what: The same in words.
        rows: How many rows are asked for.
        is_limited: Whether the server is told how many rows to give.

    Returns:
        The rows.

    Raises:
        SourceDown: The server does not answer even for one row.
        SourceChanged: Its answer cannot be read even for one row.
    """
    limit = rows if is_limited else None
    parameters = row_parameters(pages.query, condition, limit, is_binary=pages.is_binary)
    can_be_less = rows > 1 and (not is_limited or pages.query.layer.is_paged)
    try:
        tries = PAGE_TRIES if can_be_less else TRIES
        reply = ask(pages.connection, pages.query.address, parameters, tries=tries)
        page = _read_reply(pages, reply)
    except (SourceDown, SourceChanged) as error:
        if not error.may_be_size:
            raise
        if not can_be_less and not pages.is_binary:
            raise _name_rows(error, what) from error
        if pages.is_binary and (not can_be_less or not pages.reference):
            pages.is_binary = False
        else:
            _halve(pages, rows)
        return None
    if page is None:
        pages.is_binary = False
        return None
    _check_reference(pages, page)
    pages.notes.update(page.notes)
    _resize(pages, reply, rows)
    return page


def _read_reply(pages: Pages, reply: Reply) -> Page | None:
    """Return the rows of an answer; None for one in the binary format that cannot be read."""
    if not pages.is_binary or reply.body.lstrip()[:1] == b"{":
        answer = parse_object(pages.connection, reply)
        return read_page(answer, pages.query, pages.source)
    try:
        table = read_table(reply.body)
    except NotReadableError:
        return None
    return read_page(table.answer, pages.query, pages.source, (table.shapes, table.notes))


def _name_rows(error: SourceDown | SourceChanged, what: str) -> PadfinderError:
    """Return the error with the rows that were asked for."""
    named = type(error)(error.doing, f"{error.wrong}, asked for {what}", error.remedy)
    named.fault = error.fault
    if isinstance(named, SourceDown) and isinstance(error, SourceDown):
        named.wait_s = error.wait_s
    return named


def _halve(pages: Pages, rows: int) -> None:
    pages.rows_most, pages.good, pages.is_growing = max(rows // 2, 1), 0, False


def _resize(pages: Pages, reply: Reply, rows: int) -> None:
    """Ask for fewer rows after a large answer, and for more after many good ones."""
    pages.good += 1
    if len(reply.body) > PAGE_BYTES:
        _halve(pages, rows)
    elif (pages.is_growing or pages.good >= GOOD_PAGES) and len(reply.body) < PAGE_BYTES / 2:
        pages.rows_most = min(2 * pages.rows_most, pages.query.layer.page_rows)
        pages.good = 0


def _check_reference(pages: Pages, page: Page) -> None:
    """Check the CRS of the first shapes, and that it is that of all others."""
    if not len(page.ids) or pages.query.layer.shape_type is None:
        return
    if not pages.is_checked:
        pages.check_reference(page.reference)
        pages.is_checked = True
    if not page.reference:
        return
    if pages.reference and read_crs(pages.reference) != read_crs(page.reference):
        wrong = f"gives shapes in the CRS {page.reference} after others in {pages.reference}"
        raise refuse_page(pages.query, pages.source, wrong)
    pages.reference = page.reference
